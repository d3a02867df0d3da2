/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_REDUCE_H
#define DEEP_BACKEND_CUDA_KERNELS_REDUCE_H

/* One number from all elements, in two stages and always in the same order: each block's, then theirs, in double. */
#include "backend_cuda/kernels/form.h"

typedef struct reduce_arguments {
    int64_t count;
    int64_t span; /* elements of a block */
    const float *x;
    double *partial; /* [blocks] */
} reduce_arguments;

enum reduce_result {
    REDUCE_NORM,   /* out = {square root of the sum, 1 when that is finite} */
    REDUCE_FINITE, /* out = {1 when the sum is 0} */
    REDUCE_ADD     /* out[0] += factor sum */
};

typedef struct reduce_end_arguments {
    const double *partial;
    uint32_t count;
    int32_t result; /* enum reduce_result */
    double factor;
    float *out;
} reduce_end_arguments;

KERNEL_DECLARE(deep__kernel_square_sum, reduce_arguments)
KERNEL_DECLARE(deep__kernel_bad_count, reduce_arguments) /* elements that are not finite */
KERNEL_DECLARE(deep__kernel_reduce_end, reduce_end_arguments)

#endif
