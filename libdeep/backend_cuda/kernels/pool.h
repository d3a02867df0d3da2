/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_POOL_H
#define DEEP_BACKEND_CUDA_KERNELS_POOL_H

/* Maximum and mean of windows. A thread has a few channels of one position of the result. */
#include "backend_cuda/kernels/form.h"

typedef struct pool_arguments {
    int32_t images;
    int32_t height, width;         /* of x */
    int32_t out_height, out_width; /* of y */
    int32_t channels;
    int32_t window, stride, top, left;
    const void *from;     /* x, or dy */
    const void *residual; /* added to the maxima, whose taps nobody wants then; NULL = none */
    void *to;             /* y, or dx */
    uint8_t *taps;        /* [y's shape], which value of the window is the largest */
} pool_arguments;

/* Over all pixels: y [images, channels], or dx, each pixel's share of dy. */
typedef struct average_arguments {
    int32_t images, pixels, channels;
    int32_t storage; /* of x and dx; y and dy are floats */
    const void *from;
    void *to;
} average_arguments;

KERNEL_FORMS_DECLARE(deep__kernel_max_pool, pool_arguments)
KERNEL_FORMS_DECLARE(deep__kernel_max_pool_grad, pool_arguments)
KERNEL_DECLARE(deep__kernel_average, average_arguments)
KERNEL_DECLARE(deep__kernel_average_grad, average_arguments)

#endif
