/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_NORM_ON_LOAD_H
#define DEEP_BACKEND_CUDA_KERNELS_NORM_ON_LOAD_H

/* What is done to a value where it is read: batch norm, then ReLU, or one of them, or nothing. */
#include "backend_cuda/kernels/form.h"

#include <math.h>

typedef struct norm_arguments {
    const float *gamma; /* NULL = no norm; all are [C] */
    const float *beta;
    const float *mean;
    const float *variance;
    float epsilon;
    int32_t relu;
} norm_arguments;

/* Of the channels of one thread; without a norm those that change nothing. */
typedef struct norm_lanes {
    float mean[MAX_LANES];
    float inverse[MAX_LANES]; /* 1 / sqrt(variance + epsilon) */
    float scale[MAX_LANES];   /* gamma x inverse */
    float beta[MAX_LANES];
} norm_lanes;

KERNEL_FUNCTION void norm_load(norm_lanes *k, const norm_arguments *norm, uint32_t channel, int lanes)
{
    float gamma[MAX_LANES], variance[MAX_LANES];
    KERNEL_UNROLL
    for (int i = 0; i < MAX_LANES; ++i) {
        k->mean[i] = k->beta[i] = 0;
        k->inverse[i] = k->scale[i] = 1;
    }
    if (norm->gamma == NULL) return;
    lanes_load(gamma, norm->gamma + channel, lanes);
    lanes_load(k->beta, norm->beta + channel, lanes);
    lanes_load(k->mean, norm->mean + channel, lanes);
    lanes_load(variance, norm->variance + channel, lanes);
    KERNEL_UNROLL
    for (int i = 0; i < lanes; ++i) {
        k->inverse[i] = 1 / sqrtf(variance[i] + norm->epsilon);
        k->scale[i] = gamma[i] * k->inverse[i];
    }
}

KERNEL_FUNCTION float norm_value(const norm_lanes *k, float x, int lane)
{
    return (x - k->mean[lane]) * k->scale[lane] + k->beta[lane];
}

KERNEL_FUNCTION float relu_if(int32_t relu, float value)
{
    return relu && value < 0 ? 0 : value;
}

#endif
