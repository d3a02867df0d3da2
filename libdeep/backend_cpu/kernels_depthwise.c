/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 3x3 depthwise convolution, stride 1, one column of padding on either side.
 * A vector of channels runs along a few rows at once with its nine taps in registers; each input pixel is loaded once
 * and given to all the output pixels of those rows that it belongs to. The last vector overlaps the one before when the
 * channels are no multiple of it.
 */
#include "backend_cpu/kernels_list.h"
#include "backend_cpu/vec.h"

/* Output rows at once: their sums, three for each, and the taps have to stay in registers. */
#define UNROLL_GROUP _Pragma("GCC unroll 7")
#if defined(__AVX512F__)
enum { GROUP = 5, LARGE = 1 << 19 };
#else
enum { GROUP = 1, LARGE = 1 };
#endif

typedef struct row_group {
    const cpu_depthwise *d;
    float *y;
    uint8_t *quantized; /* instead of y */
    int64_t first;      /* output row of `d` */
    const float *x[GROUP + 2];
    bool live[GROUP + 2]; /* else padding, and x is some other row */
} row_group;

/* Of a vector of channels; half is added to the zero point. */
typedef struct quantization {
    vec inverse, zero;
} quantization;

VEC_INLINE quantization quantization_of(const cpu_depthwise *d, int64_t channel)
{
    return (quantization){vec_load(d->inverse + channel), vec_load(d->zero + channel) + .5f};
}

VEC_INLINE void finish(const row_group *g, int64_t at, vec value, const quantization *q, const bool quantized)
{
    const float *mask = g->d->mask;
    if (quantized)
        vec_store_quantized(g->quantized + at, value * q->inverse + q->zero);
    else
        vec_store(g->y + at, mask != 0 ? vec_gate(value, vec_load(mask + at)) : value);
}

/* Sums of the output pixels of one column: R rows of V vectors. */
typedef vec column_sums[GROUP][2];

/*
 * Adds input column `from` to the output columns before, at and after it, the last of which it begins. A single row has
 * taps of 0 where it meets padding, several load zeros there.
 */
VEC_INLINE void add_column(const row_group *g, vec taps[9][2], int64_t from, column_sums before, column_sums here,
                           column_sums after, const int R, const int V, const bool relu)
{
    UNROLL_GROUP
    for (int i = 0; i < R + 2; ++i)
        for (int v = 0; v < V; ++v) {
            const float *memory = g->x[i] + from + v * VEC_FLOATS;
            vec x = R > 1 ? vec_load_if(memory, g->live[i]) : vec_load(memory);
            x = relu ? vec_relu(x) : vec_keep(x);
            for (int t = 0, r = i; t < 3; ++t, --r) {
                if (r < 0 || r >= R) continue;
                after[r][v] = t == 0 ? x * taps[0][v] : vec_multiply_add(x, taps[t * 3][v], after[r][v]);
                here[r][v] = vec_multiply_add(x, taps[t * 3 + 1][v], here[r][v]);
                before[r][v] = vec_multiply_add(x, taps[t * 3 + 2][v], before[r][v]);
            }
        }
}

VEC_INLINE void finish_column(const row_group *g, int64_t at, column_sums sums, const quantization q[2], const int R,
                              const int V, const bool quantized)
{
    const int64_t row_values = g->d->width * g->d->channels;
    UNROLL_GROUP
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v)
            finish(g, at + r * row_values + v * VEC_FLOATS, sums[r][v], &q[v], quantized);
}

/* R rows of V vectors of channels; three sets of sums take turns as the columns pass. */
VEC_INLINE void group_block(const row_group *g, int64_t channel, const int R, const int V, const bool quantized,
                            const bool relu)
{
    const cpu_depthwise *d = g->d;
    const int64_t channels = d->channels, end = channel + d->width * channels;
    vec taps[9][2];
    column_sums a = {{{0}}}, b = {{{0}}}, c = {{{0}}};
    quantization q[2] = {{{0}, {0}}};
    for (int v = 0; v < V && quantized; ++v)
        q[v] = quantization_of(d, channel + v * VEC_FLOATS);
    for (int t = 0; t < 9; ++t)
        for (int v = 0; v < V; ++v)
            taps[t][v] = R > 1 || g->live[t / 3] ? vec_load(d->w + t * channels + channel + v * VEC_FLOATS) : (vec){0};
    int64_t from = channel, at = g->first * d->width * channels + channel;
    add_column(g, taps, from, c, a, b, R, V, relu);
    for (from += channels; from + 2 * channels < end; from += 3 * channels, at += 3 * channels) {
        add_column(g, taps, from, a, b, c, R, V, relu);
        finish_column(g, at, a, q, R, V, quantized);
        add_column(g, taps, from + channels, b, c, a, R, V, relu);
        finish_column(g, at + channels, b, q, R, V, quantized);
        add_column(g, taps, from + 2 * channels, c, a, b, R, V, relu);
        finish_column(g, at + 2 * channels, c, q, R, V, quantized);
    }
    if (from < end) {
        add_column(g, taps, from, a, b, c, R, V, relu);
        finish_column(g, at, a, q, R, V, quantized);
        from += channels;
        at += channels;
        if (from < end) {
            add_column(g, taps, from, b, c, a, R, V, relu);
            finish_column(g, at, b, q, R, V, quantized);
            finish_column(g, at + channels, c, q, R, V, quantized);
        } else {
            finish_column(g, at, b, q, R, V, quantized);
        }
    } else {
        finish_column(g, at, a, q, R, V, quantized);
    }
}

/* All channels, of which there is a vector at least. Few rows take two vectors at once, to keep the adders busy. */
VEC_INLINE void group_rows(const row_group *g, const int R, const bool quantized, const bool relu)
{
    const int64_t channels = g->d->channels;
    const int V = R <= 2 ? 2 : 1;
    int64_t channel = 0;
    for (; channel + V * VEC_FLOATS <= channels; channel += V * VEC_FLOATS)
        group_block(g, channel, R, V, quantized, relu);
    for (; channel < channels; channel += VEC_FLOATS)
        group_block(g, channel + VEC_FLOATS <= channels ? channel : channels - VEC_FLOATS, R, 1, quantized, relu);
}

VEC_INLINE void group_any(const row_group *g, int64_t rows, const bool quantized, const bool relu)
{
    switch (rows) {
#if defined(__AVX512F__)
    case 5:
        group_rows(g, 5, quantized, relu);
        break;
    case 4:
        group_rows(g, 4, quantized, relu);
        break;
    case 3:
        group_rows(g, 3, quantized, relu);
        break;
    case 2:
        group_rows(g, 2, quantized, relu);
        break;
#endif
    default:
        group_rows(g, 1, quantized, relu);
        break;
    }
}

/* One row of fewer channels than a vector has. */
static void row_scalar(const row_group *g)
{
    const cpu_depthwise *d = g->d;
    for (int64_t i = 0; i < d->width * d->channels; ++i) {
        const int64_t column = i / d->channels, c = i % d->channels, at = g->first * d->width * d->channels + i;
        float sum = 0;
        for (int t = 0; t < 9; ++t) {
            const int64_t from = column - 1 + t % 3;
            if (!g->live[t / 3] || from < 0 || from >= d->width) continue;
            const float x = g->x[t / 3][from * d->channels + c];
            sum += (d->relu && !(x > 0) ? 0 : x) * d->w[t * d->channels + c];
        }
        if (g->quantized != 0)
            g->quantized[at] = quantum(sum * d->inverse[c] + d->zero[c]);
        else
            g->y[at] = d->mask != 0 && !(d->mask[at] > 0) ? 0 : sum;
    }
}

/* Rows first .. end - 1 of the group's convolution. */
VEC_INLINE void run_group(row_group *g, int64_t first, int64_t end, const bool quantized)
{
    const cpu_depthwise *d = g->d;
    g->first = first;
    for (int64_t i = first; i < end + 2; ++i) {
        g->live[i - first] = d->x[i] != 0;
        g->x[i - first] = d->x[i] != 0 ? d->x[i] : d->x[first + 1]; /* looked at, never counted */
    }
    if (d->channels < VEC_FLOATS)
        row_scalar(g);
    else if (d->relu)
        group_any(g, end - first, quantized, true);
    else
        group_any(g, end - first, quantized, false);
}

/* What does not stay in the second-level cache is better read a pair of vectors and of rows at a time. */
static int64_t rows_at_once(const cpu_depthwise *d)
{
    if (d->channels < VEC_FLOATS || GROUP < 2) return 1;
    return d->width * d->channels * (int64_t)sizeof(float) * (GROUP + 2) > LARGE ? 2 : GROUP;
}

VEC_INLINE void run_rows(row_group *g, const bool quantized)
{
    const int64_t rows = g->d->rows, most = rows_at_once(g->d), groups = (rows + most - 1) / most;
    for (int64_t i = 0; i < groups; ++i)
        run_group(g, rows * i / groups, rows * (i + 1) / groups, quantized);
}

void KERNEL(depthwise_rows)(float *y, const cpu_depthwise *d)
{
    row_group g = {.d = d, .y = y};
    run_rows(&g, false);
}

void KERNEL(depthwise_rows_quantized)(uint8_t *y, const cpu_depthwise *d)
{
    row_group g = {.d = d, .quantized = y};
    run_rows(&g, true);
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
