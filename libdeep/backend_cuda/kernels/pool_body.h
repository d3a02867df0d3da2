/* SPDX-License-Identifier: Apache-2.0 */
/* Padding never wins a maximum; of equal values the first tap does. */
#include "backend_cuda/kernels/pool.h"

typedef struct pool_place {
    bool inside;
    int32_t image, row, column, channel;
} pool_place;

KERNEL_FUNCTION pool_place pool_find(const pool_arguments *a, kernel_position at, int32_t height, int32_t width,
                                     int lanes)
{
    pool_place p;
    const uint32_t groups = (uint32_t)(a->channels / lanes);
    uint32_t index = at.block * at.threads + at.thread;
    p.channel = (int32_t)(index % groups) * lanes;
    index /= groups;
    p.column = (int32_t)(index % (uint32_t)width);
    index /= (uint32_t)width;
    p.row = (int32_t)(index % (uint32_t)height);
    p.image = (int32_t)(index / (uint32_t)height);
    p.inside = p.image < a->images;
    return p;
}

/* Of [images, height, width, channels]. */
KERNEL_FUNCTION size_t pool_at(const pool_arguments *a, const pool_place *p, int32_t height, int32_t width, int32_t row,
                               int32_t column)
{
    return (((size_t)p->image * (size_t)height + (size_t)row) * (size_t)width + (size_t)column) * (size_t)a->channels +
           (size_t)p->channel;
}

KERNEL_FUNCTION void taps_store(uint8_t *to, const uint8_t *taps, int lanes)
{
#ifdef __CUDACC__
    if (lanes > 1) {
        KERNEL_UNROLL
        for (int l = 0; l < lanes; l += 4)
            *reinterpret_cast<uchar4 *>(to + l) = make_uchar4(taps[l], taps[l + 1], taps[l + 2], taps[l + 3]);
        return;
    }
#endif
    for (int l = 0; l < lanes; ++l)
        to[l] = taps[l];
}

KERNEL_FUNCTION void taps_load(uint8_t *taps, const uint8_t *from, int lanes)
{
#ifdef __CUDACC__
    if (lanes > 1) {
        KERNEL_UNROLL
        for (int l = 0; l < lanes; l += 4) {
            const uchar4 q = *reinterpret_cast<const uchar4 *>(from + l);
            taps[l] = q.x, taps[l + 1] = q.y, taps[l + 2] = q.z, taps[l + 3] = q.w;
        }
        return;
    }
#endif
    for (int l = 0; l < lanes; ++l)
        taps[l] = from[l];
}

KERNEL_FUNCTION void max_pool(const pool_arguments *a, kernel_position at, int lanes, int storage)
{
    const pool_place p = pool_find(a, at, a->out_height, a->out_width, lanes);
    float best[MAX_LANES] = {0}, x[MAX_LANES];
    uint8_t winner[MAX_LANES] = {0};
    bool any = false;
    if (!p.inside) return;
    for (int32_t tap = 0; tap < a->window * a->window; ++tap) {
        const int32_t row = p.row * a->stride - a->top + tap / a->window;
        const int32_t column = p.column * a->stride - a->left + tap % a->window;
        if (row < 0 || row >= a->height || column < 0 || column >= a->width) continue;
        values_load(x, a->from, pool_at(a, &p, a->height, a->width, row, column), lanes, storage);
        KERNEL_UNROLL
        for (int l = 0; l < lanes; ++l)
            if (!any || x[l] > best[l]) {
                best[l] = x[l];
                winner[l] = (uint8_t)tap;
            }
        any = true;
    }
    const size_t to = pool_at(a, &p, a->out_height, a->out_width, p.row, p.column);
    if (a->residual == NULL) {
        values_store(a->to, to, best, lanes, storage);
        taps_store(a->taps + to, winner, lanes);
        return;
    }
    values_load(x, a->residual, to, lanes, storage);
    KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l)
        best[l] += x[l];
    values_store(a->to, to, best, lanes, storage);
}

/* Gathers from the windows that reach the position: nothing is added by two threads. */
KERNEL_FUNCTION void max_pool_grad(const pool_arguments *a, kernel_position at, int lanes, int storage)
{
    const pool_place p = pool_find(a, at, a->height, a->width, lanes);
    float dx[MAX_LANES] = {0}, dy[MAX_LANES];
    uint8_t taps[MAX_LANES];
    if (!p.inside) return;
    const int32_t below = p.row + a->top, right = p.column + a->left;
    const int32_t first_row = below < a->window ? 0 : (below - a->window) / a->stride + 1;
    const int32_t first_column = right < a->window ? 0 : (right - a->window) / a->stride + 1;
    for (int32_t row = first_row; row < a->out_height && row * a->stride <= below; ++row)
        for (int32_t column = first_column; column < a->out_width && column * a->stride <= right; ++column) {
            const int32_t tap = (below - row * a->stride) * a->window + right - column * a->stride;
            const size_t from = pool_at(a, &p, a->out_height, a->out_width, row, column);
            values_load(dy, a->from, from, lanes, storage);
            taps_load(taps, a->taps + from, lanes);
            KERNEL_UNROLL
            for (int l = 0; l < lanes; ++l)
                if (taps[l] == tap) dx[l] += dy[l];
        }
    values_store(a->to, pool_at(a, &p, a->height, a->width, p.row, p.column), dx, lanes, storage);
}

KERNEL_FUNCTION void average(const average_arguments *a, kernel_position at)
{
    const uint32_t index = at.block * at.threads + at.thread, channels = (uint32_t)a->channels;
    const uint32_t image = index / channels, channel = index % channels;
    float sum = 0;
    if (image >= (uint32_t)a->images) return;
    for (int32_t i = 0; i < a->pixels; ++i)
        sum += value_load(a->from, ((size_t)image * (size_t)a->pixels + (size_t)i) * channels + channel, a->storage);
    ((float *)a->to)[index] = sum / (float)a->pixels;
}

KERNEL_FUNCTION void average_grad(const average_arguments *a, kernel_position at)
{
    const size_t index = (size_t)at.block * at.threads + at.thread;
    const size_t channels = (size_t)a->channels, image = index / ((size_t)a->pixels * channels);
    if (image >= (size_t)a->images) return;
    const float dy = ((const float *)a->from)[image * channels + index % channels];
    value_store(a->to, index, dy / (float)a->pixels, a->storage);
}

KERNEL_FORMS(deep__kernel_max_pool, pool_arguments, max_pool, FLOAT_LANES, HALF_LANES)
KERNEL_FORMS(deep__kernel_max_pool_grad, pool_arguments, max_pool_grad, FLOAT_LANES, HALF_LANES)
KERNEL(deep__kernel_average, average_arguments, average)
KERNEL(deep__kernel_average_grad, average_arguments, average_grad)
