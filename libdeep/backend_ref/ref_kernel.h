/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_REF_REF_KERNEL_H
#define DEEP_BACKEND_REF_REF_KERNEL_H

/* The kernel of a dense or pointwise convolution, or of a dense layer, in whichever type it is stored. */
#include "backend_ref/ref.h"
#include "base/bf16.h"
#include "base/f16.h"

#include <math.h>

typedef struct ref_kernel {
    const void *weights;
    const real *quantization; /* of I8, or NULL */
    int32_t dtype;
    int64_t channels, outputs;
} ref_kernel;

/* Operand `operand` of the call, its quantization being operand `quantization`. */
static inline ref_kernel ref_kernel_of(const deep_call *call, int32_t operand, int32_t quantization)
{
    const deep_value_info *w = call->in[operand];
    return (ref_kernel){call->src[operand], w->dtype == DEEP_DTYPE_I8 ? call->src[quantization] : NULL, w->dtype,
                        w->shape[w->rank - 2], w->shape[w->rank - 1]};
}

/* Input x of channel i as the whole number that stands for it, less that of 0. */
static inline double ref_quantize(const ref_kernel *k, double x, int64_t i)
{
    const double zero = (double)k->quantization[k->channels + i], q = x * (double)k->quantization[i] + zero;
    return floor(fmin(fmax(q, 0), 255) + 0.5) - zero;
}

/* What input x of channel i adds to output o; `tap` counts the window's positions. */
static inline double ref_weigh(const ref_kernel *k, double x, int64_t tap, int64_t i, int64_t o)
{
    const int64_t at = (tap * k->channels + i) * k->outputs + o;
    if (k->dtype == DEEP_DTYPE_BF16) return x * (double)deep__bf16_widen(((const uint16_t *)k->weights)[at]);
    if (k->dtype == DEEP_DTYPE_F16) return x * (double)deep__f16_widen(((const uint16_t *)k->weights)[at]);
    if (k->dtype != DEEP_DTYPE_I8) return x * (double)((const real *)k->weights)[at];
    const double scale = (double)k->quantization[2 * k->channels + o];
    return ref_quantize(k, x, i) * ((const int8_t *)k->weights)[at] * scale;
}

#endif
