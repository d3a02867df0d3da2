/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolutions. 3x3 with stride 1 and one pixel of padding, all that Xception has, run in the row kernels;
 * the gradient of the input is then the same convolution with the kernel turned by half a turn. Anything else goes tap
 * by tap.
 */
#include "backend_cpu/cpu.h"

#include <string.h>

enum { TAPS = 9 };

typedef struct depthwise_call {
    const cpu_run *run;
    const deep_value_info *x, *y; /* shapes of input and output of the forward op */
    const float *from, *w;        /* what is convolved: x, or dy for the gradients */
    const float *mask;            /* x, in the gradients */
    float *to;
    int64_t kernel_rows, kernel_columns;
    bool common; /* 3x3, stride 1, padding 1 */
    bool relu;
} depthwise_call;

static bool is_common(const deep_attr *attr, const deep_value_info *w)
{
    const int32_t *pad = attr->conv.pad;
    return w->shape[0] == 3 && w->shape[1] == 3 && attr->conv.stride == 1 && pad[0] == 1 && pad[1] == 1 &&
           pad[2] == 1 && pad[3] == 1;
}

/* Row `h` of image `n` of an NHWC tensor, or NULL outside. */
static const float *row_of(const deep_value_info *shape, const float *data, int64_t n, int64_t h)
{
    return h < 0 || h >= shape->shape[1] ? NULL : data + (n * shape->shape[1] + h) * shape->shape[2] * shape->shape[3];
}

/* The output rows of image row `row` (over all images) and those below it in the image: `most` of them at most. */
static void view_rows(const depthwise_call *d, cpu_depthwise *rows, const float *x[CPU_DEPTHWISE_ROWS + 2], int64_t row,
                      int64_t most)
{
    const int64_t height = d->x->shape[1], n = row / height, h = row % height;
    const int64_t left = height - h < most ? height - h : most;
    *rows = (cpu_depthwise){.x = x,
                            .w = d->w,
                            .rows = left < CPU_DEPTHWISE_ROWS ? left : CPU_DEPTHWISE_ROWS,
                            .width = d->x->shape[2],
                            .channels = d->x->shape[3],
                            .relu = d->relu};
    for (int64_t i = 0; i < rows->rows + 2; ++i)
        x[i] = row_of(d->x, d->from, n, h - 1 + i);
}

enum { TOGETHER = 5 }; /* rows of a part of the work: what a kernel likes */

static void common_part(const void *context, int64_t part)
{
    const depthwise_call *d = context;
    const int64_t height = d->x->shape[1], parts = cpu_parts(height, TOGETHER), i = part % parts;
    const int64_t first = part / parts * height + i * TOGETHER,
                  count = cpu_part_end(i, TOGETHER, height) - i * TOGETHER;
    const int64_t at = first * d->x->shape[2] * d->x->shape[3];
    cpu_depthwise rows;
    const float *x[CPU_DEPTHWISE_ROWS + 2];
    view_rows(d, &rows, x, first, count);
    rows.mask = d->mask == NULL ? NULL : d->mask + at;
    d->run->kernels->depthwise_rows(d->to + at, &rows);
}

static void common_convolution(const depthwise_call *d)
{
    deep__cpu_parallel(d->run->threads, d->x->shape[0] * cpu_parts(d->x->shape[1], TOGETHER), common_part, d);
}

/* ---- any window, stride and padding ---- */

static bool tap_inside(const depthwise_call *d, int64_t h, int64_t w, int64_t tap, int64_t *row, int64_t *column)
{
    const deep_attr *attr = d->run->call->attr;
    *row = h * attr->conv.stride - attr->conv.pad[DEEP_PAD_TOP] + tap / d->kernel_columns;
    *column = w * attr->conv.stride - attr->conv.pad[DEEP_PAD_LEFT] + tap % d->kernel_columns;
    return *row >= 0 && *row < d->x->shape[1] && *column >= 0 && *column < d->x->shape[2];
}

static void general_image(const void *context, int64_t n)
{
    const depthwise_call *d = context;
    const int64_t channels = d->x->shape[3];
    for (int64_t p = 0, row, column; p < d->y->shape[1] * d->y->shape[2]; ++p) {
        float *to = d->to + (n * d->y->shape[1] * d->y->shape[2] + p) * channels;
        memset(to, 0, (size_t)channels * sizeof *to);
        for (int64_t t = 0; t < d->kernel_rows * d->kernel_columns; ++t)
            if (tap_inside(d, p / d->y->shape[2], p % d->y->shape[2], t, &row, &column))
                d->run->kernels->multiply_add(to, row_of(d->x, d->from, n, row) + column * channels,
                                              d->w + t * channels, channels, d->relu);
    }
}

static void general_grad_image(const void *context, int64_t n)
{
    const depthwise_call *d = context;
    const int64_t channels = d->x->shape[3], size = d->x->shape[1] * d->x->shape[2] * channels;
    float *to = d->to + n * size;
    memset(to, 0, (size_t)size * sizeof *to);
    for (int64_t p = 0, row, column; p < d->y->shape[1] * d->y->shape[2]; ++p) {
        const float *from = d->from + (n * d->y->shape[1] * d->y->shape[2] + p) * channels;
        for (int64_t t = 0; t < d->kernel_rows * d->kernel_columns; ++t)
            if (tap_inside(d, p / d->y->shape[2], p % d->y->shape[2], t, &row, &column))
                d->run->kernels->multiply_add(to + (row * d->x->shape[2] + column) * channels, from,
                                              d->w + t * channels, channels, false);
    }
    if (d->mask != NULL) d->run->kernels->relu_gradient(to, to, d->mask + n * size, size);
}

/* ---- the ops ---- */

static depthwise_call forward_of(const cpu_run *run, const deep_call *call)
{
    return (depthwise_call){.run = run,
                            .x = call->in[0],
                            .y = call->out[0],
                            .from = call->src[0],
                            .w = call->src[1],
                            .to = call->dst[0],
                            .kernel_rows = call->in[1]->shape[0],
                            .kernel_columns = call->in[1]->shape[1],
                            .relu = call->attr->conv.relu_input};
}

bool deep__cpu_depthwise_common(const deep_call *call)
{
    return is_common(call->attr, call->in[1]);
}

void deep__cpu_depthwise_view(const cpu_run *run, cpu_depthwise *rows, const float *x[CPU_DEPTHWISE_ROWS + 2],
                              int64_t row, int64_t most)
{
    const depthwise_call d = forward_of(run, run->call);
    view_rows(&d, rows, x, row, most);
}

deep_status deep__cpu_depthwise(const cpu_run *run)
{
    const deep_call *call = run->call;
    const depthwise_call d = forward_of(run, call);
    if (is_common(call->attr, call->in[1]))
        common_convolution(&d);
    else
        deep__cpu_parallel(run->threads, d.x->shape[0], general_image, &d);
    return DEEP_OK;
}

static void turn_kernel(float *to, const float *from, int64_t channels)
{
    for (int64_t t = 0; t < TAPS; ++t)
        memcpy(to + t * channels, from + (TAPS - 1 - t) * channels, (size_t)channels * sizeof *to);
}

deep_status deep__cpu_depthwise_grad_input(const cpu_run *run)
{
    const deep_call *call = run->call;
    depthwise_call d = {.run = run,
                        .x = call->out[0],
                        .y = call->in[0],
                        .from = call->src[0],
                        .w = call->src[1],
                        .mask = call->attr->conv.relu_input ? call->src[2] : NULL,
                        .to = call->dst[0],
                        .kernel_rows = call->in[1]->shape[0],
                        .kernel_columns = call->in[1]->shape[1]};
    if (!is_common(call->attr, call->in[1])) {
        deep__cpu_parallel(run->threads, d.x->shape[0], general_grad_image, &d);
        return DEEP_OK;
    }
    turn_kernel(call->scratch, d.w, d.x->shape[3]);
    d.w = call->scratch;
    common_convolution(&d);
    return DEEP_OK;
}

/* ---- gradient of the weights: each part of the rows makes its own sum, added up in order ---- */

/* Parts per image: about 16 in all, so that one image keeps several threads busy. */
static int64_t bands_of(const deep_value_info *x)
{
    const int64_t wanted = cpu_parts(16, x->shape[0]);
    return wanted < x->shape[1] ? wanted : x->shape[1];
}

size_t deep__cpu_depthwise_weights_scratch(const cpu_node *node)
{
    if (node->call.node->op == DEEP_OP_DEPTHWISE_GRAD_INPUT) return node->call.in[1]->bytes;
    const deep_value_info *x = node->call.in[0];
    return (size_t)(x->shape[0] * bands_of(x)) * node->call.out[0]->bytes;
}

static void weights_common(const depthwise_call *d, float *sum, int64_t n, int64_t first, int64_t end)
{
    const float *dy = d->from, *x = d->mask;
    for (int64_t h = first; h < end; ++h) {
        const float *const rows[3] = {row_of(d->y, dy, n, h + 1), row_of(d->y, dy, n, h), row_of(d->y, dy, n, h - 1)};
        d->run->kernels->depthwise_weights_row(sum, row_of(d->x, x, n, h), rows, d->x->shape[2], d->x->shape[3],
                                               d->relu);
    }
}

/* Rows first .. end - 1 are output rows here. */
static void weights_general(const depthwise_call *d, float *sum, int64_t n, int64_t first, int64_t end)
{
    const int64_t channels = d->x->shape[3], width = d->y->shape[2];
    for (int64_t p = first * width, row, column; p < end * width; ++p)
        for (int64_t t = 0; t < d->kernel_rows * d->kernel_columns; ++t)
            if (tap_inside(d, p / width, p % width, t, &row, &column))
                d->run->kernels->multiply_add(sum + t * channels, row_of(d->x, d->mask, n, row) + column * channels,
                                              d->from + (n * d->y->shape[1] * width + p) * channels, channels, d->relu);
}

static void weights_part(const void *context, int64_t part)
{
    const depthwise_call *d = context;
    const int64_t bands = bands_of(d->x), size = d->kernel_rows * d->kernel_columns * d->x->shape[3];
    const int64_t n = part / bands, band = part % bands;
    const int64_t rows = d->common ? d->x->shape[1] : d->y->shape[1];
    float *sum = d->to + part * size;
    memset(sum, 0, (size_t)size * sizeof *sum);
    const int64_t first = rows * band / bands, end = rows * (band + 1) / bands;
    if (d->common)
        weights_common(d, sum, n, first, end);
    else
        weights_general(d, sum, n, first, end);
}

deep_status deep__cpu_depthwise_grad_weights(const cpu_run *run)
{
    const deep_call *call = run->call;
    const int64_t parts = call->in[0]->shape[0] * bands_of(call->in[0]), size = deep__value_elements(call->out[0]);
    const depthwise_call d = {.run = run,
                              .x = call->in[0],
                              .y = call->in[1],
                              .from = call->src[1],
                              .mask = call->src[0],
                              .to = call->scratch,
                              .kernel_rows = call->out[0]->shape[0],
                              .kernel_columns = call->out[0]->shape[1],
                              .relu = call->attr->conv.relu_input,
                              .common = is_common(call->attr, call->out[0])};
    float *dw = call->dst[0];
    deep__cpu_parallel(run->threads, parts, weights_part, &d);
    memcpy(dw, d.to, (size_t)size * sizeof *dw);
    for (int64_t part = 1; part < parts; ++part)
        run->kernels->add(dw, dw, d.to + part * size, size);
    return DEEP_OK;
}
