/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 3x3 depthwise convolution, stride 1, one column of padding on either side.
 * A block of channels runs along the row with its nine taps in registers; each input pixel is loaded once and given to
 * the three output pixels that it belongs to. The last block overlaps the one before when the channels are no multiple
 * of the vector.
 */
#include "backend_cpu/kernels_list.h"
#include "backend_cpu/vec.h"

typedef struct row_call {
    float *y;
    uint8_t *quantized; /* instead of y; with: */
    const float *inverse, *zero;
    const float *x[3];
    const float *mask;
    int64_t width, channels;
    bool relu;
} row_call;

/* Of a vector of channels; half is added to the zero point. */
typedef struct quantization {
    vec inverse, zero;
} quantization;

VEC_INLINE quantization quantization_of(const row_call *r, int64_t channel)
{
    return (quantization){vec_load(r->inverse + channel), vec_load(r->zero + channel) + .5f};
}

VEC_INLINE void finish(const row_call *r, int64_t column, int64_t channel, vec value, const quantization *q,
                       const bool quantized)
{
    const int64_t at = column * r->channels + channel;
    if (quantized)
        vec_store_quantized(r->quantized + at, value * q->inverse + q->zero);
    else
        vec_store(r->y + at, r->mask != 0 ? vec_gate(value, vec_load(r->mask + at)) : value);
}

/* Channels channel .. channel + V vectors - 1; taps of padding rows are 0. */
VEC_INLINE void row_block(const row_call *r, const float *w, const bool live[3], int64_t channel, const int V,
                          const bool quantized)
{
    vec taps[9 * 2], before[2] = {{0}}, here[2] = {{0}};
    quantization q[2] = {{{0}, {0}}};
    for (int v = 0; v < V && quantized; ++v)
        q[v] = quantization_of(r, channel + v * VEC_FLOATS);
    for (int t = 0; t < 9; ++t)
        for (int v = 0; v < V; ++v)
            taps[t * V + v] = live[t / 3] ? vec_load(w + t * r->channels + channel + v * VEC_FLOATS) : (vec){0};
    for (int64_t column = 0; column < r->width; ++column) {
        vec after[2] = {{0}};
        for (int row = 0; row < 3; ++row)
            for (int v = 0; v < V; ++v) {
                vec x = vec_load(r->x[row] + column * r->channels + channel + v * VEC_FLOATS);
                if (r->relu) x = vec_relu(x);
                after[v] += x * taps[(row * 3 + 0) * V + v];
                here[v] += x * taps[(row * 3 + 1) * V + v];
                before[v] += x * taps[(row * 3 + 2) * V + v];
            }
        for (int v = 0; v < V; ++v) {
            if (column > 0) finish(r, column - 1, channel + v * VEC_FLOATS, before[v], &q[v], quantized);
            before[v] = here[v];
            here[v] = after[v];
        }
    }
    for (int v = 0; v < V; ++v)
        finish(r, r->width - 1, channel + v * VEC_FLOATS, before[v], &q[v], quantized);
}

static uint8_t quantum(float value)
{
    const float low = value > 0 ? value : 0;
    return (uint8_t)((low < 255 ? low : 255) + .5f);
}

static void row_scalar(const row_call *r, const float *w, const bool live[3])
{
    for (int64_t column = 0; column < r->width; ++column)
        for (int64_t c = 0; c < r->channels; ++c) {
            float sum = 0;
            for (int t = 0; t < 9; ++t) {
                const int64_t from = column - 1 + t % 3;
                if (!live[t / 3] || from < 0 || from >= r->width) continue;
                const float x = r->x[t / 3][from * r->channels + c];
                sum += (r->relu && !(x > 0) ? 0 : x) * w[t * r->channels + c];
            }
            const int64_t at = column * r->channels + c;
            if (r->quantized != 0)
                r->quantized[at] = quantum(sum * r->inverse[c] + r->zero[c]);
            else
                r->y[at] = r->mask != 0 && !(r->mask[at] > 0) ? 0 : sum;
        }
}

VEC_INLINE void row_blocks(const row_call *r, const float *w, const bool live[3], const bool quantized)
{
    int64_t channel = 0;
    for (; channel + 2 * VEC_FLOATS <= r->channels; channel += 2 * VEC_FLOATS)
        row_block(r, w, live, channel, 2, quantized);
    for (; channel < r->channels; channel += VEC_FLOATS)
        row_block(r, w, live, channel + VEC_FLOATS <= r->channels ? channel : r->channels - VEC_FLOATS, 1, quantized);
}

static void run_row(row_call *r, const float *const x[3], const float *w)
{
    const bool live[3] = {x[0] != 0, x[1] != 0, x[2] != 0};
    const float *any = live[1] ? x[1] : live[0] ? x[0] : x[2]; /* stands in for a padding row, times 0 */
    for (int row = 0; row < 3; ++row)
        r->x[row] = live[row] ? x[row] : any;
    if (r->channels < VEC_FLOATS)
        row_scalar(r, w, live);
    else if (r->quantized != 0)
        row_blocks(r, w, live, true);
    else
        row_blocks(r, w, live, false);
}

void KERNEL(depthwise_row)(float *y, const float *const x[3], const float *w, const float *mask, int64_t width,
                           int64_t channels, bool relu)
{
    row_call r = {.y = y, .mask = mask, .width = width, .channels = channels, .relu = relu};
    run_row(&r, x, w);
}

void KERNEL(depthwise_row_quantized)(uint8_t *y, const float *const x[3], const float *w, const float *inverse,
                                     const float *zero, int64_t width, int64_t channels, bool relu)
{
    row_call r = {.quantized = y, .inverse = inverse, .zero = zero, .width = width, .channels = channels, .relu = relu};
    run_row(&r, x, w);
}

/* One input pixel times the output pixels of row `dy` at columns column + 1, column and column - 1 (those that exist).
 */
VEC_INLINE void weights_pixel(vec sum[3], vec x, const float *dy, int64_t column, int64_t channels, bool left,
                              bool right)
{
    const float *at = dy + column * channels;
    if (right) sum[0] += x * vec_load(at + channels);
    sum[1] += x * vec_load(at);
    if (left) sum[2] += x * vec_load(at - channels);
}

VEC_INLINE void weights_block(float *dw, const float *x, const float *const dy[3], int64_t width, int64_t channels,
                              bool relu, int64_t channel)
{
    vec sum[3][3] = {{{0}}};
    for (int64_t column = 0; column < width; ++column) {
        vec value = vec_load(x + column * channels + channel);
        if (relu) value = vec_relu(value);
        for (int row = 0; row < 3; ++row)
            if (dy[row] != 0)
                weights_pixel(sum[row], value, dy[row] + channel, column, channels, column > 0, column + 1 < width);
    }
    for (int t = 0; t < 9; ++t) {
        float *to = dw + t * channels + channel;
        vec_store(to, vec_load(to) + sum[t / 3][t % 3]);
    }
}

static void weights_scalar(float *dw, const float *x, const float *const dy[3], int64_t width, int64_t channels,
                           bool relu, int64_t channel)
{
    for (int64_t column = 0; column < width; ++column)
        for (int t = 0; t < 9; ++t) {
            const int64_t to = column + 1 - t % 3;
            const float value = x[column * channels + channel];
            if (dy[t / 3] == 0 || to < 0 || to >= width || (relu && !(value > 0))) continue;
            dw[t * channels + channel] += value * dy[t / 3][to * channels + channel];
        }
}

void KERNEL(depthwise_weights_row)(float *dw, const float *x, const float *const dy[3], int64_t width, int64_t channels,
                                   bool relu)
{
    int64_t channel = 0;
    for (; channel + VEC_FLOATS <= channels; channel += VEC_FLOATS)
        weights_block(dw, x, dy, width, channels, relu, channel);
    for (; channel < channels; ++channel)
        weights_scalar(dw, x, dy, width, channels, relu, channel);
}
