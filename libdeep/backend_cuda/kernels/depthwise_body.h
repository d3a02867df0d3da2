/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/depthwise.h"
#include "backend_cuda/kernels/tiles_body.h"

/* ---- 3x3, stride 1, forward ---- */

/* What a thread of depthwise_arguments has. */
typedef struct strip_place {
    bool inside;
    uint32_t channel;
    int32_t image, row, column; /* of the first output */
} strip_place;

KERNEL_FUNCTION strip_place strip_find(const depthwise_arguments *a, kernel_position at, int lanes)
{
    strip_place p;
    const uint32_t strips = ((uint32_t)a->height + DEPTHWISE_STRIP - 1) / DEPTHWISE_STRIP;
    uint32_t index = at.block * (at.threads / DEPTHWISE_GROUPS) + at.thread / DEPTHWISE_GROUPS;
    p.channel = (at.slice * DEPTHWISE_GROUPS + at.thread % DEPTHWISE_GROUPS) * (uint32_t)lanes;
    p.column = (int32_t)(index % (uint32_t)a->width);
    index /= (uint32_t)a->width;
    p.row = (int32_t)(index % strips) * DEPTHWISE_STRIP;
    p.image = (int32_t)(index / strips);
    p.inside = p.channel < (uint32_t)a->channels && p.image < a->images;
    return p;
}

KERNEL_FUNCTION size_t pixel_at(int32_t height, int32_t width, int32_t channels, int32_t image, int32_t row,
                                int32_t column)
{
    return (((size_t)image * (size_t)height + (size_t)row) * (size_t)width + (size_t)column) * (size_t)channels;
}

/* f(x) of three neighbours in a row; 0 outside of the image. */
KERNEL_FUNCTION void row_load(float x[3][MAX_LANES], const depthwise_arguments *a, const norm_lanes *k,
                              const strip_place *p, int32_t row, int lanes, int storage)
{
    KERNEL_UNROLL
    for (int b = 0; b < 3; ++b) {
        const int32_t column = p->column + b - 1;
        const bool inside = row >= 0 && row < a->height && column >= 0 && column < a->width;
        KERNEL_UNROLL
        for (int l = 0; l < lanes; ++l)
            x[b][l] = 0;
        if (!inside) continue;
        values_load(x[b], a->x, pixel_at(a->height, a->width, a->channels, p->image, row, column) + p->channel, lanes,
                    storage);
        KERNEL_UNROLL
        for (int l = 0; l < lanes; ++l)
            x[b][l] = relu_if(a->norm.relu, norm_value(k, x[b][l], l));
    }
}

KERNEL_FUNCTION void strip_store(const depthwise_arguments *a, const strip_place *p, int32_t row, float *sum, int lanes,
                                 int storage)
{
    float mask[MAX_LANES];
    if (row >= a->height) return;
    const size_t i = pixel_at(a->height, a->width, a->channels, p->image, row, p->column) + p->channel;
    if (a->mask != NULL) {
        values_load(mask, a->mask, i, lanes, storage);
        KERNEL_UNROLL
        for (int l = 0; l < lanes; ++l)
            sum[l] = mask[l] > 0 ? sum[l] : 0;
    }
    values_store(a->y, i, sum, lanes, storage);
}

KERNEL_FUNCTION void depthwise(const depthwise_arguments *a, kernel_position at, int lanes, int storage)
{
    const strip_place p = strip_find(a, at, lanes);
    norm_lanes k;
    float w[DEPTHWISE_TAPS][MAX_LANES], x[3][MAX_LANES], sum[DEPTHWISE_STRIP][MAX_LANES];
    if (!p.inside) return;
    norm_load(&k, &a->norm, p.channel, lanes);
    KERNEL_UNROLL
    for (int tap = 0; tap < DEPTHWISE_TAPS; ++tap)
        lanes_load(w[tap], a->w + (a->flip ? DEPTHWISE_TAPS - 1 - tap : tap) * a->channels + p.channel, lanes);
    KERNEL_UNROLL
    for (int i = 0; i < DEPTHWISE_STRIP; ++i)
        KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l)
        sum[i][l] = 0;
    KERNEL_UNROLL
    for (int r = 0; r < DEPTHWISE_STRIP + 2; ++r) { /* rows of x: each belongs to three of y */
        row_load(x, a, &k, &p, p.row + r - 1, lanes, storage);
        KERNEL_UNROLL
        for (int tap = 0; tap < DEPTHWISE_TAPS; ++tap) {
            const int i = r - tap / 3;
            if (i < 0 || i >= DEPTHWISE_STRIP) continue;
            KERNEL_UNROLL
            for (int l = 0; l < lanes; ++l)
                sum[i][l] += x[tap % 3][l] * w[tap][l];
        }
    }
    KERNEL_UNROLL
    for (int i = 0; i < DEPTHWISE_STRIP; ++i)
        strip_store(a, &p, p.row + i, sum[i], lanes, storage);
}

/* ---- 3x3, stride 1, backward ---- */

/* The sums of a thread, one quantity after the other through the same shared memory would need a barrier for each. */
typedef struct grad_room {
    float v[DEPTHWISE_SUMS][KERNEL_THREADS][DEPTHWISE_GRAD_LANES];
} grad_room;

typedef struct grad_thread {
    float w[DEPTHWISE_TAPS][DEPTHWISE_GRAD_LANES];
    float dy[DEPTHWISE_TAPS]
            [DEPTHWISE_GRAD_LANES]; /* around the position: dy[3 i + j] is i - 1 rows below, j - 1 to the right */
    float sum[DEPTHWISE_SUMS][DEPTHWISE_GRAD_LANES];
    norm_lanes norm;
} grad_thread;

/* The column of dy at `column`, rows row - 1 to row + 1, as the window's last; what was there moves to the left. */
KERNEL_FUNCTION void window_move(grad_thread *t, const depthwise_grad_arguments *a, int32_t image, int32_t row,
                                 int32_t column, uint32_t channel, int lanes, int storage)
{
    KERNEL_UNROLL
    for (int i = 0; i < 3; ++i) {
        const int32_t r = row + i - 1;
        KERNEL_UNROLL
        for (int l = 0; l < lanes; ++l) {
            t->dy[3 * i][l] = t->dy[3 * i + 1][l];
            t->dy[3 * i + 1][l] = t->dy[3 * i + 2][l];
            t->dy[3 * i + 2][l] = 0;
        }
        if (r < 0 || r >= a->height || column >= a->width) continue;
        values_load(t->dy[3 * i + 2], a->dy,
                    pixel_at(a->height, a->width, (int32_t)a->tiles.columns, image, r, column) + channel, lanes,
                    storage);
    }
}

/* One position of x: tap (a, b) of the kernel took it to the output 1 - a rows below, 1 - b to the right. */
KERNEL_FUNCTION void position_grad(grad_thread *t, const depthwise_grad_arguments *a, size_t index, int lanes,
                                   int storage)
{
    float x[MAX_LANES], dx[MAX_LANES];
    values_load(x, a->x, index, lanes, storage);
    KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l) {
        const float value = norm_value(&t->norm, x[l], l);
        const float seen = relu_if(a->norm.relu, value);
        float slope = 0;
        KERNEL_UNROLL
        for (int tap = 0; tap < DEPTHWISE_TAPS; ++tap) {
            const float dy = t->dy[DEPTHWISE_TAPS - 1 - tap][l];
            slope += dy * t->w[tap][l];
            t->sum[tap][l] += dy * seen;
        }
        if (a->norm.relu && !(value > 0)) slope = 0;
        dx[l] = slope;
        if (a->norm.gamma == NULL) continue;
        t->sum[DEPTHWISE_TAPS][l] += slope * ((x[l] - t->norm.mean[l]) * t->norm.inverse[l]);
        t->sum[DEPTHWISE_TAPS + 1][l] += slope;
    }
    if (a->dx != NULL) values_store(a->dx, index, dx, lanes, storage);
}

KERNEL_FUNCTION void row_grad(grad_thread *t, const depthwise_grad_arguments *a, uint32_t index, uint32_t channel,
                              int lanes, int storage)
{
    const int32_t image = (int32_t)(index / (uint32_t)a->height), row = (int32_t)(index % (uint32_t)a->height);
    KERNEL_UNROLL
    for (int i = 0; i < DEPTHWISE_TAPS; ++i)
        KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l)
        t->dy[i][l] = 0;
    window_move(t, a, image, row, 0, channel, lanes, storage);
    for (int32_t column = 0; column < a->width; ++column) {
        window_move(t, a, image, row, column + 1, channel, lanes, storage);
        position_grad(t, a, pixel_at(a->height, a->width, (int32_t)a->tiles.columns, image, row, column) + channel,
                      lanes, storage);
    }
}

KERNEL_FUNCTION void grad_gather(const depthwise_grad_arguments *a, kernel_position at, grad_room *room, int lanes,
                                 int storage)
{
    const tile_place p = tile_find(&a->tiles, at, lanes);
    grad_thread t;
    KERNEL_UNROLL
    for (int q = 0; q < DEPTHWISE_SUMS; ++q)
        KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l)
        t.sum[q][l] = t.w[q % DEPTHWISE_TAPS][l] = 0;
    if (p.inside) {
        norm_load(&t.norm, &a->norm, p.channel, lanes);
        KERNEL_UNROLL
        for (int tap = 0; tap < DEPTHWISE_TAPS && a->dx != NULL; ++tap)
            lanes_load(t.w[tap], a->w + (size_t)tap * a->tiles.columns + p.channel, lanes);
        for (uint32_t row = p.row; row < p.end; row += p.step)
            row_grad(&t, a, row, p.channel, lanes, storage);
    }
    KERNEL_UNROLL
    for (int q = 0; q < DEPTHWISE_SUMS; ++q)
        KERNEL_UNROLL
    for (int l = 0; l < lanes; ++l)
        room->v[q][at.thread][l] = t.sum[q][l];
}

/* The threads of the block share the quantities and the tile's groups. */
KERNEL_FUNCTION void grad_write(const depthwise_grad_arguments *a, kernel_position at, const grad_room *room, int lanes)
{
    const uint32_t quantities = a->norm.gamma == NULL ? DEPTHWISE_TAPS : DEPTHWISE_SUMS, width = a->tiles.width;
    for (uint32_t i = at.thread; i < quantities * width; i += at.threads) {
        const uint32_t q = i / width, group = i % width;
        const uint32_t channel = (at.slice * width + group) * (uint32_t)lanes;
        float sum[DEPTHWISE_GRAD_LANES] = {0};
        if (channel >= a->tiles.columns) continue;
        for (uint32_t t = group; t < at.threads; t += width)
            KERNEL_UNROLL
        for (int l = 0; l < lanes; ++l)
            sum[l] += room->v[q][t][l];
        lanes_store(a->partial + ((size_t)at.block * quantities + q) * a->tiles.columns + channel, sum, lanes);
    }
}

/* ---- any window ---- */

KERNEL_FUNCTION bool in_image(const window_arguments *a, int32_t row, int32_t column)
{
    return row >= 0 && row < a->height && column >= 0 && column < a->width;
}

/* Position `index` of [images, height, width, channels]; false behind its end. */
KERNEL_FUNCTION bool value_find(const window_arguments *a, kernel_position at, int32_t height, int32_t width,
                                int32_t position[4])
{
    uint32_t index = at.block * at.threads + at.thread;
    position[3] = (int32_t)(index % (uint32_t)a->channels);
    index /= (uint32_t)a->channels;
    position[2] = (int32_t)(index % (uint32_t)width);
    index /= (uint32_t)width;
    position[1] = (int32_t)(index % (uint32_t)height);
    position[0] = (int32_t)(index / (uint32_t)height);
    return position[0] < a->images;
}

KERNEL_FUNCTION void window_forward(const window_arguments *a, kernel_position at)
{
    int32_t p[4];
    float sum = 0;
    if (!value_find(a, at, a->out_height, a->out_width, p)) return;
    for (int32_t i = 0; i < a->rows; ++i)
        for (int32_t j = 0; j < a->columns; ++j) {
            const int32_t row = p[1] * a->stride - a->top + i, column = p[2] * a->stride - a->left + j;
            if (!in_image(a, row, column)) continue;
            const float x = a->x[pixel_at(a->height, a->width, a->channels, p[0], row, column) + (size_t)p[3]];
            sum += relu_if(a->relu, x) * a->w[(i * a->columns + j) * a->channels + p[3]];
        }
    a->result[pixel_at(a->out_height, a->out_width, a->channels, p[0], p[1], p[2]) + (size_t)p[3]] = sum;
}

/* The output that tap `tap` takes input `at` to; -1 when there is none. */
KERNEL_FUNCTION int32_t output_of(int32_t at, int32_t before, int32_t tap, int32_t stride, int32_t outputs)
{
    const int32_t place = at + before - tap;
    return place >= 0 && place % stride == 0 && place / stride < outputs ? place / stride : -1;
}

KERNEL_FUNCTION void window_grad_input(const window_arguments *a, kernel_position at)
{
    int32_t p[4];
    float sum = 0;
    if (!value_find(a, at, a->height, a->width, p)) return;
    const size_t here = pixel_at(a->height, a->width, a->channels, p[0], p[1], p[2]) + (size_t)p[3];
    for (int32_t i = 0; i < a->rows; ++i)
        for (int32_t j = 0; j < a->columns; ++j) {
            const int32_t row = output_of(p[1], a->top, i, a->stride, a->out_height);
            const int32_t column = output_of(p[2], a->left, j, a->stride, a->out_width);
            if (row < 0 || column < 0) continue;
            const size_t from = pixel_at(a->out_height, a->out_width, a->channels, p[0], row, column) + (size_t)p[3];
            sum += a->dy[from] * a->w[(i * a->columns + j) * a->channels + p[3]];
        }
    a->result[here] = a->relu && !(a->x[here] > 0) ? 0 : sum;
}

/* Block: channels, chunk of y's rows; slice: tap. */
KERNEL_FUNCTION void window_grad_weights(const window_arguments *a, kernel_position at)
{
    const uint32_t wide = ((uint32_t)a->channels + at.threads - 1) / at.threads;
    const uint32_t channel = at.block % wide * at.threads + at.thread, chunk = at.block / wide;
    const int32_t i = (int32_t)at.slice / a->columns, j = (int32_t)at.slice % a->columns;
    float sum = 0;
    if (channel >= (uint32_t)a->channels) return;
    for (uint32_t r = chunk * a->span; r < (chunk + 1) * a->span && r < (uint32_t)(a->images * a->out_height); ++r) {
        const int32_t image = (int32_t)r / a->out_height, h = (int32_t)r % a->out_height;
        for (int32_t w = 0; w < a->out_width; ++w) {
            const int32_t row = h * a->stride - a->top + i, column = w * a->stride - a->left + j;
            if (!in_image(a, row, column)) continue;
            const float x = a->x[pixel_at(a->height, a->width, a->channels, image, row, column) + channel];
            sum +=
                relu_if(a->relu, x) * a->dy[pixel_at(a->out_height, a->out_width, a->channels, image, h, w) + channel];
        }
    }
    a->result[((size_t)chunk * (size_t)(a->rows * a->columns) + at.slice) * (size_t)a->channels + channel] = sum;
}

KERNEL_FORMS(deep__kernel_depthwise, depthwise_arguments, depthwise, DEPTHWISE_LANES, DEPTHWISE_LANES)
KERNEL_FORMS_IN_TWO(deep__kernel_depthwise_grad, depthwise_grad_arguments, grad_room, grad_gather, grad_write,
                    DEPTHWISE_GRAD_LANES, DEPTHWISE_GRAD_LANES)
KERNEL(deep__kernel_window, window_arguments, window_forward)
KERNEL(deep__kernel_window_grad_input, window_arguments, window_grad_input)
KERNEL(deep__kernel_window_grad_weights, window_arguments, window_grad_weights)
