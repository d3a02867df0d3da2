/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense convolutions whose input is converted to groups, and whose pixels fill groups: each thread converts a few lines of
 * its share of the image, and the product reads the windows there, overlapping as they are.
 */
#include "backend_cpu/cpu_form.h"

enum { LINES_BYTES = 1 << 16 /* of the converted lines, about: in the second-level cache */ };

typedef struct windows {
    const cpu_run *run;
    cpu_kernel kernel;
    cpu_form form;
    cpu_product product;
    int64_t height, columns;     /* of the output */
    int64_t window_rows, stride; /* lines of a window; from one window to the next */
    int64_t line_values;         /* of an input line with its padding */
    int64_t line_bytes;          /* of it, converted */
    int64_t rows;                /* output rows made of the same converted lines, at most */
    int64_t thread_bytes;
} windows;

bool deep__cpu_windows_fit(const cpu_node *node)
{
    const cpu_kernel kernel = deep__cpu_kernel_of(&node->call);
    const cpu_operand operand = deep__cpu_operand_of(node, &kernel);
    const int64_t bytes = operand == CPU_QUANTIZED ? 1 : 2;
    return (operand == CPU_QUANTIZED || operand == CPU_BF16) && !deep__cpu_is_pointwise(&node->call) &&
           deep__columns(node->call.in[0]) * bytes % 4 == 0;
}

/* Everything but addresses. */
static windows shape_of(const cpu_run *run)
{
    const deep_call *call = run->call;
    const int32_t *pad = call->attr->conv.pad;
    windows s = {.run = run, .kernel = deep__cpu_kernel_of(call), .stride = call->attr->conv.stride};
    s.form = deep__cpu_form_of(run->node, &s.kernel);
    s.height = call->out[0]->shape[1];
    s.columns = call->out[0]->shape[2];
    s.window_rows = s.kernel.info->shape[0];
    s.line_values = (call->in[0]->shape[2] + pad[DEEP_PAD_LEFT] + pad[DEEP_PAD_RIGHT]) * s.form.channels;
    s.line_bytes = s.line_values * cpu_form_value_bytes(&s.form);
    const int64_t fitting = (LINES_BYTES / s.line_bytes - s.window_rows) / s.stride + 1;
    s.rows = fitting < 1 ? 1 : fitting < s.height ? fitting : s.height;
    const int64_t lines = (s.rows - 1) * s.stride + s.window_rows;
    s.thread_bytes = (s.line_values * 4 + lines * s.line_bytes + 63) / 64 * 64;
    return s;
}

size_t deep__cpu_windows_scratch(const cpu_node *node)
{
    const cpu_run run = {&node->call, node->kernels, NULL, node, node->threads};
    return (size_t)(shape_of(&run).thread_bytes * node->threads);
}

/* `count` rows of image `n`, from row `row` on. */
static void make_rows(const windows *s, int64_t part, int64_t n, int64_t row, int64_t count)
{
    const deep_call *call = s->run->call;
    char *memory = (char *)call->scratch + part * s->thread_bytes, *lines = memory + s->line_values * 4;
    const int64_t top = row * s->stride - call->attr->conv.pad[DEEP_PAD_TOP];
    for (int64_t i = 0; i < (count - 1) * s->stride + s->window_rows; ++i)
        deep__cpu_form_line(&s->form, call, n, top + i, (float *)(void *)memory, lines + i * s->line_bytes);
    cpu_product product = s->product;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t pixel = (n * s->height + row + i) * s->columns;
        product.a = lines + i * s->stride * s->line_bytes;
        product.c = s->product.c + pixel * product.columns;
        if (product.residual != NULL) product.residual = s->product.residual + pixel * product.columns;
        deep__cpu_multiply_alone(s->run, &product, &s->kernel, s->columns, NULL);
    }
}

static void make_share(const void *context, int64_t part)
{
    const windows *s = context;
    const int64_t rows = s->run->call->out[0]->shape[0] * s->height, threads = s->run->threads,
                  end = rows * (part + 1) / threads;
    for (int64_t at = rows * part / threads, count; at < end; at += count) {
        const int64_t row = at % s->height, left = end - at < s->height - row ? end - at : s->height - row;
        count = left < s->rows ? left : s->rows;
        make_rows(s, part, at / s->height, row, count);
    }
}

deep_status deep__cpu_windows(const cpu_run *run)
{
    windows s = shape_of(run);
    s.product = deep__cpu_product_of(run->call, &s.kernel);
    s.product.pitch = s.stride * s.form.channels * cpu_form_value_bytes(&s.form) / 4;
    s.product.pieces = s.window_rows;
    s.product.piece_pitch = s.line_bytes / 4;
    deep__cpu_form_resolve(&s.form, run->call, &s.kernel);
    deep__cpu_parallel(run->threads, run->threads, make_share, &s);
    return DEEP_OK;
}
