/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_UPDATE_H
#define DEEP_BACKEND_CUDA_KERNELS_UPDATE_H

/*
 * Optimizers, with the formulas of backend_ref/ref_update.c, for many parameters in one launch: most are vectors of a few
 * hundred values, for which a launch each would take longer than the work.
 */
#include "backend_cuda/kernels/form.h"

enum { UPDATE_TENSORS = 32, UPDATE_SPAN = 4096 /* values of a block */ };

typedef struct update_tensor {
    float *w;
    const float *g;
    float *slot[3];
    int64_t count;
    float rate; /* multiplier of the learning rate */
    float decay;
} update_tensor;

typedef struct update_arguments {
    int32_t tensors;
    uint32_t first_block[UPDATE_TENSORS]; /* of each, ascending */
    update_tensor tensor[UPDATE_TENSORS];
    const float *hyper; /* DEEP_HYPER_* */
    const float *norm;  /* of all gradients */
    float momentum;     /* beta1 of SGD and RMSprop */
    float rho;          /* beta2 of RMSprop */
    float keep1, keep2; /* 1 - beta1, 1 - beta2 */
    float epsilon;
    float clip;
    int32_t nesterov, amsgrad;
} update_arguments;

KERNEL_DECLARE(deep__kernel_update_sgd, update_arguments)
KERNEL_DECLARE(deep__kernel_update_rmsprop, update_arguments)
KERNEL_DECLARE(deep__kernel_update_adam, update_arguments)

#endif
