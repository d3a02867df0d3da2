/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_SEPARABLE_H
#define DEEP_BACKEND_CUDA_KERNELS_SEPARABLE_H

/*
 * A separable convolution of halves in one kernel: what stands between its parts never leaves the multiprocessor. A block has a tile
 * of pixels and output channels; in rounds of SEPARABLE_DEPTH input channels it makes the depthwise results of its pixels in shared
 * memory, and multiplies them on tensor cores with the pointwise kernel's part. Sums stay in registers, in float.
 *
 * Pixels are counted in images that have one more column and one more line, which are 0: so every pixel's nine neighbours lie at the
 * same nine distances, whatever its place, and a tile's are one stretch of memory. Results at those columns and lines are not stored.
 */
#include "backend_cuda/kernels/kernel.h"

typedef struct separable_arguments {
    int32_t images, height, width;
    uint32_t channels, columns; /* of x and of y: multiples of HALF_LANES */
    int32_t relu_input, relu;
    const void *x;
    const float *depthwise; /* [3, 3, channels] */
    const void *pointwise;  /* [columns, channels], halves */
    const float *scale;     /* [columns]; NULL = 1 and 0 */
    const float *shift;
    const void *residual; /* NULL = none; may be y */
    void *y;
} separable_arguments;

enum { SEPARABLE_DEPTH = 32 };

/* Pixels and output channels of a block. */
typedef enum separable_tile { SEPARABLE_TALL /* 256 x 128 */, SEPARABLE_WIDE /* 128 x 256 */ } separable_tile;

/*
 * Whether the current device has code of it, for compute capability 8.0 and later, and shared memory for images of that width. Asked
 * before the kernel is first queued on a device.
 */
KERNEL_LINKAGE bool deep__kernel_separable_fits(const separable_arguments *a, separable_tile tile);

/* Of halves alone: STORED_BF16 or STORED_F16. */
KERNEL_LINKAGE void deep__kernel_separable(const separable_arguments *a, separable_tile tile, int32_t storage,
                                           void *stream);

#endif
