/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_CPU_FORM_H
#define DEEP_BACKEND_CPU_CPU_FORM_H

/* The form in which rows of pixels meet a packed kernel: converted as they stand, or as depthwise results are made. */
#include "backend_cpu/cpu.h"

typedef struct cpu_form {
    const cpu_kernels *kernels;
    cpu_operand operand;
    const float *inverse, *zero; /* of a quantized operand, for each input channel */
    int64_t channels;            /* of a pixel */
    int64_t row_bytes;           /* of the operand that a pixel, or a window of them, gives */
} cpu_form;

/* Without the addresses of the quantization. */
cpu_form deep__cpu_form_of(const cpu_node *node, const cpu_kernel *kernel);
void deep__cpu_form_resolve(cpu_form *form, const deep_call *call, const cpu_kernel *kernel);

static inline int64_t cpu_form_value_bytes(const cpu_form *form)
{
    return form->operand == CPU_QUANTIZED ? 1 : form->operand == CPU_BF16 ? 2 : 4;
}

/* True when the values of a pixel fill its groups. */
static inline bool cpu_form_is_whole(const cpu_form *form)
{
    return form->channels * cpu_form_value_bytes(form) == form->row_bytes;
}

/* `pixels` pixels of x, one behind the other. */
void deep__cpu_form_pixels(const cpu_form *form, void *to, const float *x, int64_t pixels);

/*
 * Input row `h` of image `n` of a dense convolution, with the padding on its left and right; rows outside the image are 0.
 * `line` has room for it in float.
 */
void deep__cpu_form_line(const cpu_form *form, const deep_call *call, int64_t n, int64_t h, float *line, void *to);

/* Depthwise results; `line` has room for a row of them in float unless they are wanted in float. */
void deep__cpu_form_depthwise(const cpu_form *form, void *to, const cpu_depthwise *rows, float *line);

#endif
