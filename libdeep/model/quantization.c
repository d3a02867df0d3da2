/* SPDX-License-Identifier: Apache-2.0 */
#include "quantization.h"

#include "base/bf16.h"
#include "base/f16.h"

#include <deep/tensor.h>
#include <math.h>
#include <string.h>

deep_kernel_shape deep__kernel_shape(const deep_param_spec *spec)
{
    deep_kernel_shape shape = {1, spec->shape[spec->rank - 2], spec->shape[spec->rank - 1]};
    for (int32_t axis = 0; axis < spec->rank - 2; ++axis)
        shape.taps *= spec->shape[axis];
    return shape;
}

int64_t deep__quantization_values(deep_kernel_shape shape)
{
    return 2 * shape.inputs + shape.outputs;
}

deep_quantization deep__quantization_of(float *values, deep_kernel_shape shape)
{
    return (deep_quantization){values, values + shape.inputs, values + 2 * shape.inputs};
}

static bool is_scale(float value)
{
    return isfinite(value) && value > 0;
}

static bool is_zero_point(float value)
{
    return value >= 0 && value <= DEEP_U8_MAX && value == rintf(value);
}

int64_t deep__quantization_bad_element(const float *values, deep_kernel_shape shape)
{
    const int64_t count = deep__quantization_values(shape);
    for (int64_t i = 0; i < count; ++i) {
        const bool zero_point = i >= shape.inputs && i < 2 * shape.inputs;
        if (zero_point ? !is_zero_point(values[i]) : !is_scale(values[i])) return i;
    }
    return -1;
}

static float widen(uint16_t half, int32_t dtype)
{
    return dtype == DEEP_DTYPE_BF16 ? deep__bf16_widen(half) : deep__f16_widen(half);
}

int64_t deep__kernel_bad_element(const void *stored, const deep_param_spec *spec, double *value)
{
    const int8_t *levels = stored;
    const uint16_t *halves = stored;
    for (int64_t i = 0; i < spec->elements; ++i) {
        const bool i8 = spec->dtype == DEEP_DTYPE_I8;
        *value = i8 ? levels[i] : (double)widen(halves[i], spec->dtype);
        if (i8 ? levels[i] < -DEEP_I8_MAX : !isfinite(*value)) return i;
    }
    return -1;
}

void deep__kernel_to_halves(uint16_t *to, const float *from, int64_t count, int32_t dtype)
{
    for (int64_t i = 0; i < count; ++i)
        to[i] = dtype == DEEP_DTYPE_BF16 ? deep__bf16_round(from[i]) : deep__f16_round(from[i]);
}

void deep__kernel_from_halves(float *to, const uint16_t *from, int64_t count, int32_t dtype)
{
    for (int64_t i = 0; i < count; ++i)
        to[i] = widen(from[i], dtype);
}

/* ---- i8 ---- */

/* The largest |w| / inverse of each output becomes 127. */
static void choose_scales(const deep_quantization *q, const float *from, deep_kernel_shape shape)
{
    memset(q->scale, 0, (size_t)shape.outputs * sizeof *q->scale);
    for (int64_t row = 0; row < shape.taps * shape.inputs; ++row) {
        const float inverse = q->inverse[row % shape.inputs];
        for (int64_t n = 0; n < shape.outputs; ++n) {
            const float weight = fabsf(from[row * shape.outputs + n]) / inverse;
            if (weight > q->scale[n]) q->scale[n] = weight;
        }
    }
    for (int64_t n = 0; n < shape.outputs; ++n) {
        q->scale[n] /= DEEP_I8_MAX;
        if (!is_scale(q->scale[n])) q->scale[n] = 1; /* a column of zeros */
    }
}

static int8_t round_weight(float weight)
{
    const float rounded = rintf(weight);
    return (int8_t)(rounded > DEEP_I8_MAX ? DEEP_I8_MAX : rounded < -DEEP_I8_MAX ? -DEEP_I8_MAX : rounded);
}

void deep__kernel_to_i8(int8_t *to, const deep_quantization *q, const float *from, deep_kernel_shape shape)
{
    choose_scales(q, from, shape);
    for (int64_t row = 0; row < shape.taps * shape.inputs; ++row) {
        const float inverse = q->inverse[row % shape.inputs];
        for (int64_t n = 0; n < shape.outputs; ++n)
            to[row * shape.outputs + n] = round_weight(from[row * shape.outputs + n] / inverse / q->scale[n]);
    }
}

void deep__kernel_from_i8(float *to, const int8_t *from, const deep_quantization *q, deep_kernel_shape shape)
{
    for (int64_t row = 0; row < shape.taps * shape.inputs; ++row) {
        const float inverse = q->inverse[row % shape.inputs];
        for (int64_t n = 0; n < shape.outputs; ++n)
            to[row * shape.outputs + n] = (float)from[row * shape.outputs + n] * q->scale[n] * inverse;
    }
}

void deep__activation_round(float *values, int64_t rows, const deep_quantization *q, int64_t inputs)
{
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t k = 0; k < inputs; ++k) {
            float *value = &values[row * inputs + k];
            const float rounded = rintf(*value * q->inverse[k] + q->zero[k]);
            const float level = rounded < 0 ? 0 : rounded > DEEP_U8_MAX ? DEEP_U8_MAX : rounded;
            *value = (level - q->zero[k]) / q->inverse[k];
        }
}
