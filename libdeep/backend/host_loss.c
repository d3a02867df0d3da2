/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses. With one-hot labels smoothed to t_k = (1 - s) [k = label] + s / K, the loss of a batch of N is
 * sum over images of weight[label] sum_k -t_k log p_k, divided by N (not by the sum of weights), as in Keras.
 */
#include "backend/host.h"

#include <math.h>

/* Logarithm of sum exp(row), and the row's maximum's index. */
static double log_sum_exp(const real *row, int64_t classes, int64_t *argmax)
{
    double sum = 0;
    *argmax = 0;
    for (int64_t k = 1; k < classes; ++k)
        if (row[k] > row[*argmax]) *argmax = k;
    for (int64_t k = 0; k < classes; ++k)
        sum += exp((double)row[k] - (double)row[*argmax]);
    return log(sum) + (double)row[*argmax];
}

void HOST_NAME(softmax)(const deep_call *call)
{
    const real *logits = call->src[0];
    real *y = call->dst[0];
    const int64_t rows = call->in[0]->shape[0], classes = call->in[0]->shape[1];
    for (int64_t r = 0; r < rows; ++r) {
        int64_t argmax;
        const double total = log_sum_exp(logits + r * classes, classes, &argmax);
        for (int64_t k = 0; k < classes; ++k)
            y[r * classes + k] = (real)exp((double)logits[r * classes + k] - total);
    }
}

static double target(const deep_call *call, int64_t k, int64_t label, int64_t classes)
{
    const double smoothing = call->attr->loss.smoothing;
    return (k == label ? 1 - smoothing : 0) + smoothing / (double)classes;
}

void HOST_NAME(softmax_cross_entropy)(const deep_call *call)
{
    const real *logits = call->src[0], *weights = call->src[2];
    const int32_t *labels = call->src[1];
    real *result = call->dst[0]; /* {loss, correct} */
    const int64_t rows = call->in[0]->shape[0], classes = call->in[0]->shape[1];
    double loss = 0;
    int64_t correct = 0;
    for (int64_t r = 0; r < rows; ++r) {
        int64_t argmax;
        const real *row = logits + r * classes;
        const double total = log_sum_exp(row, classes, &argmax);
        double sum = 0;
        for (int64_t k = 0; k < classes; ++k)
            sum += target(call, k, labels[r], classes) * (total - (double)row[k]);
        loss += (double)weights[labels[r]] * sum;
        correct += argmax == labels[r];
    }
    result[0] = (real)(loss / (double)rows);
    result[1] = (real)correct;
}

void HOST_NAME(softmax_cross_entropy_grad)(const deep_call *call)
{
    const real *logits = call->src[0], *weights = call->src[2];
    const int32_t *labels = call->src[1];
    real *dlogits = call->dst[0];
    const int64_t rows = call->in[0]->shape[0], classes = call->in[0]->shape[1];
    for (int64_t r = 0; r < rows; ++r) {
        int64_t argmax;
        const real *row = logits + r * classes;
        const double total = log_sum_exp(row, classes, &argmax);
        for (int64_t k = 0; k < classes; ++k)
            dlogits[r * classes + k] = (real)((double)weights[labels[r]] / (double)rows *
                                              (exp((double)row[k] - total) - target(call, k, labels[r], classes)));
    }
}
