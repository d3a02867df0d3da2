/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_ref/ref_kernel.h"

void REF_NAME(dense)(const deep_call *call)
{
    const real *x = call->src[0], *bias = call->src[2];
    const ref_kernel kernel = ref_kernel_of(call, 1, 3);
    real *y = call->dst[0];
    const int64_t rows = call->in[0]->shape[0], inner = call->in[0]->shape[1], columns = call->in[1]->shape[1];
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c) {
            double sum = (double)bias[c];
            for (int64_t i = 0; i < inner; ++i)
                sum += ref_weigh(&kernel, (double)x[r * inner + i], 0, i, c);
            y[r * columns + c] = (real)sum;
        }
}

void REF_NAME(dense_grad_input)(const deep_call *call)
{
    const real *dy = call->src[0], *w = call->src[1];
    real *dx = call->dst[0];
    const int64_t rows = call->in[0]->shape[0], columns = call->in[0]->shape[1], inner = call->in[1]->shape[0];
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < inner; ++i) {
            double sum = 0;
            for (int64_t c = 0; c < columns; ++c)
                sum += (double)dy[r * columns + c] * (double)w[i * columns + c];
            dx[r * inner + i] = (real)sum;
        }
}

void REF_NAME(dense_grad_weights)(const deep_call *call)
{
    const real *x = call->src[0], *dy = call->src[1];
    real *dw = call->dst[0];
    const int64_t rows = call->in[0]->shape[0], inner = call->in[0]->shape[1], columns = call->in[1]->shape[1];
    for (int64_t i = 0; i < inner; ++i)
        for (int64_t c = 0; c < columns; ++c) {
            double sum = 0;
            for (int64_t r = 0; r < rows; ++r)
                sum += (double)x[r * inner + i] * (double)dy[r * columns + c];
            dw[i * columns + c] = (real)sum;
        }
}
