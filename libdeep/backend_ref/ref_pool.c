/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling. Padding never wins a maximum; of equal values the first tap does. */
#include "backend_ref/ref.h"

#include <string.h>

static bool inside(const deep_value_info *x, int64_t row, int64_t column)
{
    return row >= 0 && row < x->shape[1] && column >= 0 && column < x->shape[2];
}

void REF_NAME(max_pool)(const deep_call *call)
{
    const deep_value_info *from = call->in[0], *to = call->out[0];
    const real *x = call->src[0];
    const int32_t window = call->attr->pool.window, stride = call->attr->pool.stride;
    const int32_t top = call->attr->pool.pad[DEEP_PAD_TOP], left = call->attr->pool.pad[DEEP_PAD_LEFT];
    for (int64_t position = 0; position < deep__value_elements(to); ++position) {
        const int64_t c = position % to->shape[3], w = position / to->shape[3] % to->shape[2];
        const int64_t h = position / to->shape[3] / to->shape[2] % to->shape[1];
        const int64_t n = position / to->shape[3] / to->shape[2] / to->shape[1];
        int32_t winner = -1;
        real best = 0;
        for (int32_t t = 0; t < window * window; ++t) {
            const int64_t row = h * stride - top + t / window, column = w * stride - left + t % window;
            if (!inside(from, row, column)) continue;
            const real value = x[ref_at(from, n, row, column, c)];
            if (winner >= 0 && !(value > best)) continue;
            winner = t;
            best = value;
        }
        if (call->node->input_count > 1) {
            ((real *)call->dst[0])[position] = best + ((const real *)call->src[1])[position];
            continue;
        }
        ((real *)call->dst[0])[position] = best;
        ((uint8_t *)call->dst[1])[position] = (uint8_t)winner;
    }
}

void REF_NAME(max_pool_grad)(const deep_call *call)
{
    const deep_value_info *from = call->in[0], *to = call->out[0];
    const real *dy = call->src[0];
    const uint8_t *index = call->src[1];
    real *dx = call->dst[0];
    const int32_t window = call->attr->pool.window, stride = call->attr->pool.stride;
    memset(dx, 0, to->bytes);
    for (int64_t position = 0; position < deep__value_elements(from); ++position) {
        const int64_t c = position % from->shape[3], w = position / from->shape[3] % from->shape[2];
        const int64_t h = position / from->shape[3] / from->shape[2] % from->shape[1];
        const int64_t n = position / from->shape[3] / from->shape[2] / from->shape[1];
        const int64_t row = h * stride - call->attr->pool.pad[DEEP_PAD_TOP] + index[position] / window;
        const int64_t column = w * stride - call->attr->pool.pad[DEEP_PAD_LEFT] + index[position] % window;
        dx[ref_at(to, n, row, column, c)] += dy[position];
    }
}

void REF_NAME(global_average_pool)(const deep_call *call)
{
    const deep_value_info *from = call->in[0];
    const real *x = call->src[0];
    real *y = call->dst[0];
    const int64_t pixels = from->shape[1] * from->shape[2], channels = from->shape[3];
    for (int64_t n = 0; n < from->shape[0]; ++n)
        for (int64_t c = 0; c < channels; ++c) {
            double sum = 0;
            for (int64_t p = 0; p < pixels; ++p)
                sum += (double)x[(n * pixels + p) * channels + c];
            y[n * channels + c] = (real)(sum / (double)pixels);
        }
}

void REF_NAME(global_average_pool_grad)(const deep_call *call)
{
    const deep_value_info *to = call->out[0];
    const real *dy = call->src[0];
    real *dx = call->dst[0];
    const int64_t pixels = to->shape[1] * to->shape[2], channels = to->shape[3];
    for (int64_t i = 0; i < deep__value_elements(to); ++i)
        dx[i] = dy[i / (pixels * channels) * channels + i % channels] / (real)pixels;
}
