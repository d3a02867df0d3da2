/* SPDX-License-Identifier: Apache-2.0 */
/* Batch norm over all axes but the last. The variance is the biased one, as Keras 3's. */
#include "backend_ref/ref.h"

#include <math.h>

typedef struct norm_channel {
    double gamma, beta, mean, inverse; /* inverse = 1 / sqrt(variance + epsilon) */
} norm_channel;

static norm_channel channel_at(const deep_call *call, void *const src[4], int64_t c)
{
    return (norm_channel){(double)((const real *)src[0])[c], (double)((const real *)src[1])[c],
                          (double)((const real *)src[2])[c],
                          1.0 / sqrt((double)((const real *)src[3])[c] + call->attr->norm.epsilon)};
}

static double normalised(const norm_channel *k, double x)
{
    return k->gamma * (x - k->mean) * k->inverse + k->beta;
}

static void apply(const deep_call *call, void *const src[4], const real *residual)
{
    const real *x = call->src[0];
    real *y = call->dst[0];
    const int64_t rows = deep__rows(call->in[0]), columns = deep__columns(call->in[0]);
    for (int64_t c = 0; c < columns; ++c) {
        const norm_channel k = channel_at(call, src, c);
        for (int64_t r = 0; r < rows; ++r) {
            double value = normalised(&k, (double)x[r * columns + c]);
            if (residual != NULL) value += (double)residual[r * columns + c];
            y[r * columns + c] = (real)(call->attr->norm.relu && value < 0 ? 0 : value);
        }
    }
}

void REF_NAME(moments)(const real *x, int64_t rows, int64_t columns, real *mean, real *variance)
{
    for (int64_t c = 0; c < columns; ++c) {
        double sum = 0, squares = 0;
        for (int64_t r = 0; r < rows; ++r)
            sum += (double)x[r * columns + c];
        const double centre = sum / (double)rows;
        for (int64_t r = 0; r < rows; ++r)
            squares += ((double)x[r * columns + c] - centre) * ((double)x[r * columns + c] - centre);
        mean[c] = (real)centre;
        variance[c] = (real)(squares / (double)rows);
    }
}

void REF_NAME(batch_norm_train)(const deep_call *call)
{
    REF_NAME(moments)
    (call->src[0], deep__rows(call->in[0]), deep__columns(call->in[0]), call->dst[1], call->dst[2]);
    apply(call, (void *const[4]){call->src[1], call->src[2], call->dst[1], call->dst[2]}, NULL);
}

void REF_NAME(batch_norm_infer)(const deep_call *call)
{
    const real *residual = call->node->input_count > 5 ? call->src[5] : NULL;
    apply(call, (void *const[4]){call->src[1], call->src[2], call->src[3], call->src[4]}, residual);
}

/* dx of training subtracts what flows through the batch's own mean and variance; that of stored statistics does not. */
static void gradients(const deep_call *call, bool batch_statistics)
{
    const real *dy = call->src[0], *x = call->src[1];
    real *dx = call->dst[0], *dgamma = call->dst[1], *dbeta = call->dst[2];
    const int64_t rows = deep__rows(call->in[0]), columns = deep__columns(call->in[0]);
    for (int64_t c = 0; c < columns; ++c) {
        const norm_channel k = channel_at(call, call->src + 2, c);
        double sum = 0, dot = 0;
        for (int64_t i = c; i < rows * columns; i += columns) {
            if (call->attr->norm.relu && !(normalised(&k, (double)x[i]) > 0)) continue;
            sum += (double)dy[i];
            dot += (double)dy[i] * ((double)x[i] - k.mean) * k.inverse;
        }
        dgamma[c] = (real)dot;
        dbeta[c] = (real)sum;
        for (int64_t i = c; i < rows * columns; i += columns) {
            const bool dead = call->attr->norm.relu && !(normalised(&k, (double)x[i]) > 0);
            double slope = dead ? 0 : (double)dy[i];
            if (batch_statistics) slope -= (sum + ((double)x[i] - k.mean) * k.inverse * dot) / (double)rows;
            dx[i] = (real)(k.gamma * k.inverse * slope);
        }
    }
}

void REF_NAME(batch_norm_grad)(const deep_call *call)
{
    gradients(call, true);
}

void REF_NAME(batch_norm_infer_grad)(const deep_call *call)
{
    gradients(call, false);
}
