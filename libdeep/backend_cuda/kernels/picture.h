/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_PICTURE_H
#define DEEP_BACKEND_CUDA_KERNELS_PICTURE_H

/* Network inputs of pictures: a slice for each, a thread for each pixel of the result. */
#include "backend_cuda/kernels/kernel.h"
#include "base/picture.h"

typedef struct picture_arguments {
    const deep_pictures *block;
    int32_t size; /* as the block says */
    float *out;   /* [pictures, size, size, 3] */
} picture_arguments;

/* Resized in fixed point, or with weights in floating point. */
KERNEL_DECLARE(deep__kernel_picture_fixed, picture_arguments)
KERNEL_DECLARE(deep__kernel_picture_weighted, picture_arguments)

#endif
