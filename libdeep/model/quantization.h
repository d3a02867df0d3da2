/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_QUANTIZATION_H
#define DEEP_MODEL_QUANTIZATION_H

/*
 * The numbers of kernels that are not float32. An I8 kernel [taps, inputs, outputs] goes with a vector of 2 inputs + outputs
 * floats: inverse scale and zero point of each input channel, scale of each output channel. An input x of channel k becomes
 * q = round(x inverse_k + zero_k) in 0..255, and a weight w8 stands for w8 scale_n inverse_k.
 */
#include "nn/arch.h"

enum { DEEP_U8_MAX = 255, DEEP_I8_MAX = 127 };

typedef struct deep_kernel_shape {
    int64_t taps; /* of the window; 1 for dense */
    int64_t inputs;
    int64_t outputs;
} deep_kernel_shape;

/* The parts of an I8 kernel's vector; borrowed from it. */
typedef struct deep_quantization {
    float *inverse; /* [inputs] */
    float *zero;    /* [inputs] */
    float *scale;   /* [outputs] */
} deep_quantization;

/* Of a convolution's kernel HWIO or a dense one IO. */
deep_kernel_shape deep__kernel_shape(const deep_param_spec *spec);

int64_t deep__quantization_values(deep_kernel_shape shape);
deep_quantization deep__quantization_of(float *values, deep_kernel_shape shape);

/* Element of an I8 kernel's vector that none can have: scales are finite and above 0, zero points whole, 0 to 255; or -1. */
int64_t deep__quantization_bad_element(const float *values, deep_kernel_shape shape);

/* Element of a stored BF16, F16 or I8 kernel that none can have, and what it is: not finite, or -128; or -1. */
int64_t deep__kernel_bad_element(const void *stored, const deep_param_spec *spec, double *value);

/* Rounds a kernel to the nearest BF16 or F16, ties to even, and back. */
void deep__kernel_to_halves(uint16_t *to, const float *from, int64_t count, int32_t dtype);
void deep__kernel_from_halves(float *to, const uint16_t *from, int64_t count, int32_t dtype);

/* Chooses `scale` for the given `inverse`, and rounds the kernel to -127..127. */
void deep__kernel_to_i8(int8_t *to, const deep_quantization *quantization, const float *from, deep_kernel_shape shape);
void deep__kernel_from_i8(float *to, const int8_t *from, const deep_quantization *quantization,
                          deep_kernel_shape shape);

/* What an input of the kernel becomes, as floats: (q - zero) / inverse, over `rows` x inputs values, in place. */
void deep__activation_round(float *values, int64_t rows, const deep_quantization *quantization, int64_t inputs);

#endif
