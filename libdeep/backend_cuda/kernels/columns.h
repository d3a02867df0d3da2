/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_COLUMNS_H
#define DEEP_BACKEND_CUDA_KERNELS_COLUMNS_H

/*
 * Matrices of `rows` pixels and `columns` channels, by tiles: a block has a power of two of channel groups side by side, so
 * that accesses join, and as many rows below each other as its threads allow; it goes down a chunk of the rows.
 *
 * Sums over rows are made in two stages, always in the same order: each block writes those of its chunk, partial [chunks,
 * quantities, columns]; then these are added up in double precision. Chunks depend on the shape alone.
 */
#include "backend_cuda/kernels/norm_on_load.h"

typedef struct column_tiles {
    uint32_t rows;
    uint32_t columns;
    uint32_t width; /* groups of a tile, a power of two to 32 */
    uint32_t span;  /* rows of a chunk */
} column_tiles;

/* y = f(x) or (a x + b) + residual: the norm's or, without, that of `scale` and `shift`; then ReLU. */
typedef struct affine_arguments {
    column_tiles tiles;
    norm_arguments norm;
    const float *scale; /* NULL = 1 and 0 */
    const float *shift;
    const void *x;
    const void *residual; /* NULL = none */
    void *y;
} affine_arguments;

/* Sums over rows of: x; or x - first row, and the square of that; or dy', and dy' times the normalised x (norm_sums). */
typedef struct sums_arguments {
    column_tiles tiles;
    norm_arguments norm; /* norm_sums: of x; its ReLU stops dy */
    const void *x;
    const void *dy;
    float *partial;
} sums_arguments;

typedef struct totals_arguments {
    const float *partial;
    uint32_t chunks;
    uint32_t quantities;
    uint32_t columns;
    float *out;      /* the first quantities, [quantities - extra, columns] */
    float *extra[2]; /* where the last two go; NULL = they go to `out` too */
} totals_arguments;

typedef struct moments_arguments {
    const float *partial; /* of x - first row, and of its square */
    uint32_t chunks;
    uint32_t columns;
    uint32_t rows;
    const void *x;   /* its first row */
    int32_t storage; /* of x, enum storage */
    float *mean;
    float *variance;
} moments_arguments;

/* dx of a norm whose sums are known: dx may be where dy is. */
typedef struct norm_grad_arguments {
    column_tiles tiles;
    norm_arguments norm;
    const void *dy;
    const void *x;
    const float *dot; /* [C], sum of dy' times the normalised x; NULL = the statistics were stored ones */
    const float *sum; /* [C], of dy' */
    void *dx;
} norm_grad_arguments;

KERNEL_FORMS_DECLARE(deep__kernel_affine, affine_arguments)
KERNEL_FORMS_DECLARE(deep__kernel_sum, sums_arguments)
KERNEL_FORMS_DECLARE(deep__kernel_moment_sums, sums_arguments)
KERNEL_FORMS_DECLARE(deep__kernel_norm_sums, sums_arguments)
KERNEL_DECLARE(deep__kernel_totals, totals_arguments)
KERNEL_DECLARE(deep__kernel_moments, moments_arguments)
KERNEL_FORMS_DECLARE(deep__kernel_norm_grad, norm_grad_arguments)

#endif
