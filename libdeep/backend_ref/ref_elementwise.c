/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_ref/ref.h"

static int64_t elements(const deep_call *call)
{
    return deep__value_elements(call->in[0]);
}

void REF_NAME(relu)(const deep_call *call)
{
    const real *x = call->src[0];
    real *y = call->dst[0];
    for (int64_t i = 0; i < elements(call); ++i)
        y[i] = x[i] > 0 ? x[i] : 0;
}

void REF_NAME(relu_grad)(const deep_call *call)
{
    const real *dy = call->src[0], *y = call->src[1];
    real *dx = call->dst[0];
    for (int64_t i = 0; i < elements(call); ++i)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

void REF_NAME(add)(const deep_call *call)
{
    const real *a = call->src[0], *b = call->src[1];
    real *y = call->dst[0];
    for (int64_t i = 0; i < elements(call); ++i)
        y[i] = a[i] + b[i];
}

void REF_NAME(reduce_sum)(const deep_call *call)
{
    const real *x = call->src[0];
    real *y = call->dst[0];
    const int64_t rows = deep__rows(call->in[0]), columns = deep__columns(call->in[0]);
    for (int64_t c = 0; c < columns; ++c) {
        double sum = 0;
        for (int64_t r = 0; r < rows; ++r)
            sum += (double)x[r * columns + c];
        y[c] = (real)sum;
    }
}

void REF_NAME(l2_penalty)(const deep_call *call)
{
    real *loss = call->src[0];
    const real *w = call->src[1];
    double sum = 0;
    for (int64_t i = 0; i < deep__value_elements(call->in[1]); ++i)
        sum += (double)w[i] * (double)w[i];
    loss[0] += (real)(call->attr->loss.lambda * sum);
}

void REF_NAME(l2_grad)(const deep_call *call)
{
    real *dw = call->src[0];
    const real *w = call->src[1];
    for (int64_t i = 0; i < deep__value_elements(call->in[1]); ++i)
        dw[i] += (real)(2 * call->attr->loss.lambda) * w[i];
}
