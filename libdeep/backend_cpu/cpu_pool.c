/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/cpu.h"

#include <string.h>

typedef struct pool_call {
    const cpu_run *run;
    const deep_value_info *x, *y; /* shapes of input and output of the forward op */
    const float *from;
    float *to;
    uint8_t *index;
    int32_t window, stride, top, left;
} pool_call;

static pool_call pool_of(const cpu_run *run, const deep_value_info *x, const deep_value_info *y)
{
    const deep_attr *attr = run->call->attr;
    return (pool_call){run,
                       x,
                       y,
                       run->call->src[0],
                       run->call->dst[0],
                       NULL,
                       attr->pool.window,
                       attr->pool.stride,
                       attr->pool.pad[DEEP_PAD_TOP],
                       attr->pool.pad[DEEP_PAD_LEFT]};
}

/* One output row, tap by tap over the channels. */
static void max_row(const void *context, int64_t row)
{
    const pool_call *p = context;
    const int64_t channels = p->x->shape[3], n = row / p->y->shape[1], h = row % p->y->shape[1];
    for (int64_t w = 0; w < p->y->shape[2]; ++w) {
        const int64_t to = (row * p->y->shape[2] + w) * channels;
        bool first = true;
        for (int32_t t = 0; t < p->window * p->window; ++t) {
            const int64_t r = h * p->stride - p->top + t / p->window, c = w * p->stride - p->left + t % p->window;
            if (r < 0 || r >= p->x->shape[1] || c < 0 || c >= p->x->shape[2]) continue;
            p->run->kernels->pool_max(p->to + to, p->index + to,
                                      p->from + ((n * p->x->shape[1] + r) * p->x->shape[2] + c) * channels, (uint8_t)t,
                                      first, channels);
            first = false;
        }
    }
}

deep_status deep__cpu_max_pool(const cpu_run *run)
{
    pool_call p = pool_of(run, run->call->in[0], run->call->out[0]);
    p.index = run->call->dst[1];
    deep__cpu_parallel(run->threads, p.y->shape[0] * p.y->shape[1], max_row, &p);
    return DEEP_OK;
}

/* One input row: for each pixel, the windows that hold it. */
static void max_gradient_row(const void *context, int64_t row)
{
    const pool_call *p = context;
    const int64_t channels = p->x->shape[3], n = row / p->x->shape[1], r = row % p->x->shape[1];
    memset(p->to + row * p->x->shape[2] * channels, 0, (size_t)(p->x->shape[2] * channels) * sizeof *p->to);
    for (int64_t c = 0; c < p->x->shape[2]; ++c)
        for (int32_t t = 0; t < p->window * p->window; ++t) {
            const int64_t top = r + p->top - t / p->window, left = c + p->left - t % p->window;
            const int64_t h = top / p->stride, w = left / p->stride;
            if (top < 0 || left < 0 || top % p->stride != 0 || left % p->stride != 0) continue;
            if (h >= p->y->shape[1] || w >= p->y->shape[2]) continue;
            const int64_t from = ((n * p->y->shape[1] + h) * p->y->shape[2] + w) * channels;
            p->run->kernels->pool_gradient(p->to + (row * p->x->shape[2] + c) * channels, p->from + from,
                                           p->index + from, (uint8_t)t, channels);
        }
}

deep_status deep__cpu_max_pool_grad(const cpu_run *run)
{
    pool_call p = pool_of(run, run->call->out[0], run->call->in[0]);
    p.index = run->call->src[1];
    deep__cpu_parallel(run->threads, p.x->shape[0] * p.x->shape[1], max_gradient_row, &p);
    return DEEP_OK;
}

static void average_image(const void *context, int64_t n)
{
    const pool_call *p = context;
    const int64_t pixels = p->x->shape[1] * p->x->shape[2], channels = p->x->shape[3];
    float *to = p->to + n * channels;
    memset(to, 0, (size_t)channels * sizeof *to);
    p->run->kernels->sum_rows(to, p->from + n * pixels * channels, pixels, channels);
    for (int64_t c = 0; c < channels; ++c)
        to[c] /= (float)pixels;
}

deep_status deep__cpu_global_average_pool(const cpu_run *run)
{
    const pool_call p = {.run = run, .x = run->call->in[0], .from = run->call->src[0], .to = run->call->dst[0]};
    deep__cpu_parallel(run->threads, p.x->shape[0], average_image, &p);
    return DEEP_OK;
}

static void average_gradient_image(const void *context, int64_t n)
{
    const pool_call *p = context;
    const int64_t pixels = p->x->shape[1] * p->x->shape[2], channels = p->x->shape[3];
    const float *from = p->from + n * channels;
    for (int64_t i = 0; i < pixels; ++i)
        for (int64_t c = 0; c < channels; ++c)
            p->to[(n * pixels + i) * channels + c] = from[c] / (float)pixels;
}

deep_status deep__cpu_global_average_pool_grad(const cpu_run *run)
{
    const pool_call p = {.run = run, .x = run->call->out[0], .from = run->call->src[0], .to = run->call->dst[0]};
    deep__cpu_parallel(run->threads, p.x->shape[0], average_gradient_image, &p);
    return DEEP_OK;
}
