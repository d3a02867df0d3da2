/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions with packed kernels as products: the rows that meet the kernel (depthwise results, or the windows of a
 * dense convolution) are made in bands that stay in the second-level caches, in the form that the product wants, and never
 * stand in memory as a whole.
 */
#include "backend_cpu/cpu_form.h"

#include <string.h>

enum { BAND_BYTES = 5 << 18 }; /* 1.25 MiB over all threads: a whole 19 x 19 x 728 in float */

typedef struct bands {
    const cpu_run *run;
    cpu_kernel kernel;
    cpu_form form;
    int64_t window[2], width, columns; /* rows, columns of the window; pixels of an input row, of an output row */
    int64_t rows, step;                /* output rows over all images; of a band */
    int64_t line_floats;               /* of an input row with its padding, or of a depthwise row */
    char *operands;                    /* step x columns rows */
    char *lines;                       /* for each thread, lines_bytes() */
    float *widened;
    int64_t first; /* output row of the band in hand */
    int64_t count; /* of its rows */
} bands;

/* A thread's memory for one line in float and its window's lines in the operand's form. */
static int64_t lines_bytes(const bands *b)
{
    const bool depthwise = b->run->call->node->op == DEEP_OP_SEPARABLE;
    if (depthwise) return b->form.operand == CPU_FLOAT ? 0 : (b->line_floats * 4 + 63) / 64 * 64;
    return ((1 + b->window[0]) * b->line_floats * 4 + 63) / 64 * 64;
}

bool deep__cpu_is_packed(const cpu_node *node)
{
    const deep_call *call = &node->call;
    if (call->node->op != DEEP_OP_CONV2D) return false;
    return call->in[1]->dtype != DEEP_DTYPE_F32 || (node->packed && deep__cpu_is_pointwise(call));
}

deep_status deep__cpu_separable_prepare(cpu_node *node, const deep_host *host)
{
    const bool packed = node->packed || node->call.in[2]->dtype != DEEP_DTYPE_F32;
    if (packed && deep__cpu_depthwise_common(&node->call)) return DEEP_OK;
    return host->fail(host->user, DEEP_ERROR_UNSUPPORTED,
                      "the cpu backend has separable_conv2d for 3x3 windows and packed kernels alone");
}

/* Everything but addresses. */
static bands shape_of(const cpu_run *run)
{
    const deep_call *call = run->call;
    bands b = {.run = run, .kernel = deep__cpu_kernel_of(call), .window = {1, 1}, .width = 1, .columns = 1};
    const deep_value_info *x = call->in[0], *w = b.kernel.info;
    b.form = deep__cpu_form_of(run->node, &b.kernel);
    b.rows = x->shape[0];
    b.line_floats = b.form.channels;
    if (call->node->op != DEEP_OP_DENSE) {
        const int32_t *pad = call->attr->conv.pad;
        b.width = x->shape[2];
        b.columns = call->out[0]->shape[2];
        b.rows *= call->out[0]->shape[1];
        b.line_floats = (b.width + pad[DEEP_PAD_LEFT] + pad[DEEP_PAD_RIGHT]) * b.form.channels;
    }
    if (call->node->op == DEEP_OP_CONV2D) {
        b.window[0] = w->shape[0];
        b.window[1] = w->shape[1];
    }
    const int64_t fitting = BAND_BYTES / (b.columns * b.form.row_bytes), step = fitting < 2 ? 1 : fitting / 2 * 2;
    b.step = b.rows < step ? b.rows : step; /* even: the threads share it */
    return b;
}

static int64_t operand_bytes(const bands *b)
{
    return (b->step * b->columns * b->form.row_bytes + 63) / 64 * 64;
}

size_t deep__cpu_bands_scratch(const cpu_node *node)
{
    const cpu_run run = {&node->call, node->kernels, NULL, node, node->threads};
    const bands b = shape_of(&run);
    return (size_t)(operand_bytes(&b) + node->threads * lines_bytes(&b)) + deep__cpu_widened_bytes(node, &b.kernel);
}

/* ---- one row of pixels ---- */

/* Depthwise results of `count` rows, from row `row` over all images on. */
static void depthwise_pixels(const bands *b, int64_t row, int64_t count, char *to, char *lines)
{
    cpu_depthwise rows;
    const float *x[CPU_DEPTHWISE_ROWS + 2];
    for (int64_t done = 0; done < count; done += rows.rows) {
        deep__cpu_depthwise_view(b->run, &rows, x, row + done, count - done);
        deep__cpu_form_depthwise(&b->form, to + done * b->columns * b->form.row_bytes, &rows, (float *)(void *)lines);
    }
}

/* The pixels that a strided 1x1 kernel meets. */
static void strided_pixels(const bands *b, int64_t row, char *to, float *line)
{
    const deep_call *call = b->run->call;
    const int64_t height = call->out[0]->shape[1], stride = call->attr->conv.stride;
    const int64_t from = row / height * call->in[0]->shape[1] + row % height * stride;
    const float *x = (const float *)call->src[0] + from * b->width * b->form.channels;
    for (int64_t w = 0; w < b->columns; ++w)
        memcpy(line + w * b->form.channels, x + w * stride * b->form.channels, (size_t)b->form.channels * sizeof *line);
    deep__cpu_form_pixels(&b->form, to, line, b->columns);
}

static void window_pixels(const bands *b, int64_t row, char *to, char *lines)
{
    const deep_call *call = b->run->call;
    const int64_t height = call->out[0]->shape[1], stride = call->attr->conv.stride, n = row / height;
    const int64_t top = row % height * stride - call->attr->conv.pad[DEEP_PAD_TOP];
    const int64_t pixel = b->form.channels * cpu_form_value_bytes(&b->form), line_bytes = b->line_floats * 4,
                  segment = b->window[1] * pixel;
    char *converted = lines + line_bytes;
    for (int64_t a = 0; a < b->window[0]; ++a)
        deep__cpu_form_line(&b->form, b->run->call, n, top + a, (float *)(void *)lines, converted + a * line_bytes);
    for (int64_t w = 0; w < b->columns; ++w, to += b->form.row_bytes) {
        for (int64_t a = 0; a < b->window[0]; ++a)
            memcpy(to + a * segment, converted + a * line_bytes + w * stride * pixel, (size_t)segment);
        const int64_t used = b->window[0] * segment;
        memset(to + used, 0, (size_t)(b->form.row_bytes - used));
    }
}

/* ---- bands ---- */

static void make_rows(const void *context, int64_t part)
{
    const bands *b = context;
    const int64_t threads = b->run->threads, first = b->count * part / threads, end = b->count * (part + 1) / threads;
    char *lines = b->lines + part * lines_bytes(b), *to = b->operands + first * b->columns * b->form.row_bytes;
    if (b->run->call->node->op == DEEP_OP_SEPARABLE) {
        depthwise_pixels(b, b->first + first, end - first, to, lines);
        return;
    }
    for (int64_t i = first; i < end; ++i, to += b->columns * b->form.row_bytes) {
        switch (b->run->call->node->op) {
        case DEEP_OP_DENSE:
            memset(to, 0, (size_t)b->form.row_bytes);
            deep__cpu_form_pixels(&b->form, to, (const float *)b->run->call->src[0] + (b->first + i) * b->form.channels,
                                  1);
            break;
        default:
            if (deep__cpu_is_pointwise(b->run->call) && cpu_form_is_whole(&b->form))
                strided_pixels(b, b->first + i, to, (float *)(void *)lines);
            else
                window_pixels(b, b->first + i, to, lines);
            break;
        }
    }
}

/* True when the input is the operand as it stands. */
static bool is_direct(const bands *b)
{
    return b->form.operand == CPU_FLOAT && b->run->call->node->op == DEEP_OP_CONV2D &&
           deep__cpu_is_pointwise(b->run->call) && b->run->call->attr->conv.stride == 1;
}

deep_status deep__cpu_bands(const cpu_run *run)
{
    bands b = shape_of(run);
    char *scratch = run->call->scratch;
    cpu_product product = deep__cpu_product_of(run->call, &b.kernel);
    b.operands = scratch;
    b.lines = scratch + operand_bytes(&b);
    b.widened = (float *)(void *)(b.lines + run->threads * lines_bytes(&b));
    deep__cpu_form_resolve(&b.form, run->call, &b.kernel);
    if (is_direct(&b)) {
        product.a = run->call->src[0];
        deep__cpu_multiply(run, &product, &b.kernel, b.rows * b.columns, b.widened);
        return DEEP_OK;
    }
    product.a = b.operands;
    for (; b.first < b.rows; b.first += b.step) {
        b.count = b.rows - b.first < b.step ? b.rows - b.first : b.step;
        deep__cpu_parallel(run->threads, run->threads, make_rows, &b);
        deep__cpu_multiply(run, &product, &b.kernel, b.count * b.columns, b.widened);
        product.c += b.count * b.columns * product.columns;
        if (product.residual != NULL) product.residual += b.count * b.columns * product.columns;
    }
    return DEEP_OK;
}
