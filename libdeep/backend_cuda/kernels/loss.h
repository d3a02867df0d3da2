/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_LOSS_H
#define DEEP_BACKEND_CUDA_KERNELS_LOSS_H

/*
 * Softmax and its cross-entropy with smoothed labels (backend/host_loss.c has the formula): a block for each row of logits,
 * in double precision, since rows are few.
 */
#include "backend_cuda/kernels/kernel.h"

typedef struct loss_arguments {
    int32_t rows, classes;
    const float *logits;
    const int32_t *labels;
    const float *weights; /* [classes] */
    double smoothing;
    float *out; /* probabilities or gradient [rows, classes]; losses: {loss, 1 when right} of each row */
} loss_arguments;

/* out = {mean of the rows' losses, number of right ones} */
typedef struct loss_end_arguments {
    int32_t rows;
    const float *losses;
    float *out;
} loss_end_arguments;

KERNEL_DECLARE(deep__kernel_softmax, loss_arguments)
KERNEL_DECLARE(deep__kernel_losses, loss_arguments)
KERNEL_DECLARE(deep__kernel_loss_grad, loss_arguments)
KERNEL_DECLARE(deep__kernel_loss_end, loss_end_arguments)

#endif
