/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/cpu_form.h"

#include <string.h>

cpu_form deep__cpu_form_of(const cpu_node *node, const cpu_kernel *kernel)
{
    const cpu_operand operand = deep__cpu_operand_of(node, kernel);
    return (cpu_form){.kernels = node->kernels,
                      .operand = operand,
                      .channels = deep__columns(node->call.in[0]),
                      .row_bytes = deep__cpu_row_bytes(operand, deep__cpu_inner(kernel))};
}

void deep__cpu_form_resolve(cpu_form *form, const deep_call *call, const cpu_kernel *kernel)
{
    if (kernel->quantization == 0) return;
    form->inverse = call->src[kernel->quantization];
    form->zero = form->inverse + form->channels;
}

void deep__cpu_form_pixels(const cpu_form *form, void *to, const float *x, int64_t pixels)
{
    const cpu_kernels *k = form->kernels;
    switch (form->operand) {
    case CPU_FLOAT:
        memcpy(to, x, (size_t)(pixels * form->channels) * sizeof *x);
        break;
    case CPU_BF16:
        k->round_bf16(to, x, pixels * form->channels);
        break;
    case CPU_QUANTIZED:
        k->quantize(to, x, form->inverse, form->zero, pixels, form->channels);
        break;
    case CPU_QUANTIZED_WIDE:
        k->quantize_wide(to, x, form->inverse, form->zero, pixels, form->channels);
        break;
    }
}

void deep__cpu_form_line(const cpu_form *form, const deep_call *call, int64_t n, int64_t h, float *line, void *to)
{
    const int64_t height = call->in[0]->shape[1], width = call->in[0]->shape[2], floats = width * form->channels,
                  left = call->attr->conv.pad[DEEP_PAD_LEFT],
                  padded = width + left + call->attr->conv.pad[DEEP_PAD_RIGHT];
    const bool inside = h >= 0 && h < height;
    const float *x = (const float *)call->src[0] + (n * height + h) * floats;
    if (inside && padded == width) {
        deep__cpu_form_pixels(form, to, x, width);
        return;
    }
    memset(line, 0, (size_t)(padded * form->channels) * sizeof *line);
    if (inside) memcpy(line + left * form->channels, x, (size_t)floats * sizeof *line);
    deep__cpu_form_pixels(form, to, line, padded);
}

/* Pixels whose values do not fill their groups are converted one by one. */
static void convert_line(const cpu_form *form, char *to, const float *line, int64_t width)
{
    if (cpu_form_is_whole(form)) {
        deep__cpu_form_pixels(form, to, line, width);
        return;
    }
    memset(to, 0, (size_t)(width * form->row_bytes));
    for (int64_t w = 0; w < width; ++w)
        deep__cpu_form_pixels(form, to + w * form->row_bytes, line + w * form->channels, 1);
}

void deep__cpu_form_depthwise(const cpu_form *form, void *to, const cpu_depthwise *rows, float *line)
{
    cpu_depthwise d = *rows;
    if (form->operand == CPU_FLOAT) {
        form->kernels->depthwise_rows(to, &d);
        return;
    }
    d.inverse = form->inverse;
    d.zero = form->zero;
    if (form->operand == CPU_QUANTIZED && cpu_form_is_whole(form)) {
        form->kernels->depthwise_rows_quantized(to, &d);
        return;
    }
    d.rows = 1;
    for (int64_t i = 0; i < rows->rows; ++i, ++d.x) {
        form->kernels->depthwise_rows(line, &d);
        convert_line(form, (char *)to + i * d.width * form->row_bytes, line, d.width);
    }
}
