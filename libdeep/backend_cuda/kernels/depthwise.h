/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_DEPTHWISE_H
#define DEEP_BACKEND_CUDA_KERNELS_DEPTHWISE_H

/* Depthwise convolutions: those of Xception (3x3, stride 1, one pixel of padding), and all others, plainly. */
#include "backend_cuda/kernels/columns.h"

/*
 * y = depthwise(f(x)), f = norm, ReLU. A thread has DEPTHWISE_STRIP rows of a column of y, a few channels wide; a block has
 * DEPTHWISE_GROUPS of those side by side, neighbours in the same row below them: what they share comes from the L1 cache.
 */
typedef struct depthwise_arguments {
    int32_t images, height, width, channels;
    norm_arguments norm;
    int32_t flip; /* the kernel's taps in reverse: y is the slope of x, f nothing */
    const void *x;
    const float *w;   /* [3, 3, C] */
    const void *mask; /* y is 0 where this is not above 0; NULL = everywhere kept */
    void *y;
} depthwise_arguments;

enum { DEPTHWISE_STRIP = 4, DEPTHWISE_GROUPS = 8, DEPTHWISE_LANES = 4 /* of any storage: registers are scarce */ };

/*
 * Backward in one pass over x and dy: dx = slope of f(x), stopped by its ReLU but not gone through its norm, and the sums of
 * partial [chunks, 9 or 11, C]: of the kernel's gradient, then, with a norm, of dx times the normalised x, and of dx.
 * `tiles` are of images x height rows; a thread goes along each of its rows.
 */
typedef struct depthwise_grad_arguments {
    column_tiles tiles;
    int32_t height, width;
    norm_arguments norm;
    const void *dy;
    const void *x;
    const float *w; /* read with dx alone */
    void *dx;       /* NULL = not wanted */
    float *partial;
} depthwise_grad_arguments;

enum { DEPTHWISE_TAPS = 9, DEPTHWISE_SUMS = 11, DEPTHWISE_GRAD_LANES = 2 };

/* Any window, a thread for each value of y, dx, or sum of a tap in a chunk of y's rows. */
typedef struct window_arguments {
    int32_t images;
    int32_t height, width;         /* of x */
    int32_t out_height, out_width; /* of y */
    int32_t channels;
    int32_t rows, columns; /* of the window */
    int32_t stride, top, left;
    int32_t relu;  /* x counts as max(x, 0) */
    uint32_t span; /* images x out_height rows of a chunk */
    const float *x;
    const float *w;
    const float *dy;
    float *result; /* y, dx, or partial [chunks, rows x columns, C] */
} window_arguments;

KERNEL_FORMS_DECLARE(deep__kernel_depthwise, depthwise_arguments)
KERNEL_FORMS_DECLARE(deep__kernel_depthwise_grad, depthwise_grad_arguments)
KERNEL_DECLARE(deep__kernel_window, window_arguments)
KERNEL_DECLARE(deep__kernel_window_grad_input, window_arguments)
KERNEL_DECLARE(deep__kernel_window_grad_weights, window_arguments)

#endif
