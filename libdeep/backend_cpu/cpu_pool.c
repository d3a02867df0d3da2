/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/cpu_widen.h"

#include <string.h>

typedef struct pool_call {
    const cpu_run *run;
    const deep_value_info *x, *y; /* shapes of input and output of the forward op */
    const void *from;             /* floats or bfloat16, as x->dtype says; the average pools' are floats */
    void *to;
    uint8_t *index;
    const float *residual;
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
                       NULL,
                       attr->pool.window,
                       attr->pool.stride,
                       attr->pool.pad[DEEP_PAD_TOP],
                       attr->pool.pad[DEEP_PAD_LEFT]};
}

/* A row's maxima alone, as inference wants them. */
static void max_row_alone(const void *context, int64_t row)
{
    const pool_call *p = context;
    const int64_t n = row / p->y->shape[1], h = row % p->y->shape[1], row_values = p->x->shape[2] * p->x->shape[3];
    const int64_t at = row * p->y->shape[2] * p->y->shape[3];
    const float *x[3];
    for (int64_t t = 0; t < 3; ++t) {
        const int64_t r = h * p->stride - p->top + t, last = p->x->shape[1] - 1;
        x[t] = (const float *)p->from + (n * p->x->shape[1] + (r < 0 ? 0 : r > last ? last : r)) * row_values;
    }
    p->run->kernels->pool_row((float *)p->to + at, x, p->residual + at, p->y->shape[2], p->y->shape[3], p->x->shape[2],
                              p->left);
}

static void max_tap(const pool_call *p, int64_t to, int64_t from, uint8_t tap, bool first)
{
    const cpu_kernels *k = p->run->kernels;
    const int64_t channels = p->x->shape[3];
    if (p->x->dtype == DEEP_DTYPE_BF16)
        k->pool_max_bf16((uint16_t *)p->to + to, p->index + to, (const uint16_t *)p->from + from, tap, first, channels);
    else
        k->pool_max((float *)p->to + to, p->index + to, (const float *)p->from + from, tap, first, channels);
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
            max_tap(p, to, ((n * p->x->shape[1] + r) * p->x->shape[2] + c) * channels, (uint8_t)t, first);
            first = false;
        }
    }
}

deep_status deep__cpu_max_pool_prepare(cpu_node *node, const deep_host *host)
{
    const deep_attr *attr = node->call.attr;
    if (node->call.node->input_count == 1) return DEEP_OK;
    if (attr->pool.window == 3 && attr->pool.stride == 2 && node->call.in[0]->dtype == DEEP_DTYPE_F32) return DEEP_OK;
    return host->fail(host->user, DEEP_ERROR_UNSUPPORTED,
                      "the cpu backend has max_pool with a residual for 3x3 windows, stride 2 and floats alone");
}

deep_status deep__cpu_max_pool(const cpu_run *run)
{
    pool_call p = pool_of(run, run->call->in[0], run->call->out[0]);
    const bool residual = run->call->node->input_count > 1;
    if (residual) p.residual = run->call->src[1];
    p.index = run->call->dst[1];
    deep__cpu_parallel(run->threads, p.y->shape[0] * p.y->shape[1], residual ? max_row_alone : max_row, &p);
    return DEEP_OK;
}

/* The windows that hold input pixel (r, c) of image n: adds to `to` channels first .. first + count - 1 of their slopes. */
static void max_gradient_pixel(const pool_call *p, float *to, int64_t n, int64_t r, int64_t c, int64_t first,
                               int64_t count)
{
    const cpu_kernels *k = p->run->kernels;
    memset(to, 0, (size_t)count * sizeof *to);
    for (int32_t t = 0; t < p->window * p->window; ++t) {
        const int64_t top = r + p->top - t / p->window, left = c + p->left - t % p->window;
        const int64_t h = top / p->stride, w = left / p->stride;
        if (top < 0 || left < 0 || top % p->stride != 0 || left % p->stride != 0) continue;
        if (h >= p->y->shape[1] || w >= p->y->shape[2]) continue;
        const int64_t from = ((n * p->y->shape[1] + h) * p->y->shape[2] + w) * p->x->shape[3] + first;
        if (p->y->dtype == DEEP_DTYPE_BF16)
            k->pool_gradient_bf16(to, (const uint16_t *)p->from + from, p->index + from, (uint8_t)t, count);
        else
            k->pool_gradient(to, (const float *)p->from + from, p->index + from, (uint8_t)t, count);
    }
}

enum { WIDENED = 2048 };

/* One input row. */
static void max_gradient_row(const void *context, int64_t row)
{
    const pool_call *p = context;
    const int64_t channels = p->x->shape[3], n = row / p->x->shape[1], r = row % p->x->shape[1];
    const bool narrow = p->x->dtype == DEEP_DTYPE_BF16;
    float sums[WIDENED];
    for (int64_t c = 0; c < p->x->shape[2]; ++c)
        for (int64_t first = 0, count; first < channels; first += count) {
            const int64_t at = (row * p->x->shape[2] + c) * channels + first;
            count = narrow && channels - first > WIDENED ? WIDENED : channels - first;
            float *to = cpu_writable(p->x, p->to, at, sums);
            max_gradient_pixel(p, to, n, r, c, first, count);
            cpu_written(p->run->kernels, p->x, p->to, at, count, to);
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
    float *to = (float *)p->to + n * channels;
    memset(to, 0, (size_t)channels * sizeof *to);
    p->run->kernels->sum_rows(to, (const float *)p->from + n * pixels * channels, pixels, channels);
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
    const float *from = (const float *)p->from + n * channels;
    float *to = (float *)p->to + n * pixels * channels;
    for (int64_t i = 0; i < pixels; ++i)
        for (int64_t c = 0; c < channels; ++c)
            to[i * channels + c] = from[c] / (float)pixels;
}

deep_status deep__cpu_global_average_pool_grad(const cpu_run *run)
{
    const pool_call p = {.run = run, .x = run->call->out[0], .from = run->call->src[0], .to = run->call->dst[0]};
    deep__cpu_parallel(run->threads, p.x->shape[0], average_gradient_image, &p);
    return DEEP_OK;
}
