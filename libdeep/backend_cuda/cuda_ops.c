/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda.h"

#define RUN(name)     .run = deep__cuda_run_##name
#define SCRATCH(name) .scratch = deep__cuda_scratch_##name
#define PREPARE(name) .prepare = deep__cuda_prepare_##name
#define UPDATES                                                                                                        \
    {                                                                                                                  \
        .together = deep__cuda_updates_together, .run_many = deep__cuda_run_updates                                    \
    }

const cuda_op deep__cuda_ops[DEEP_OP_COUNT] = {
    [DEEP_OP_CONV2D] = {PREPARE(conv2d), SCRATCH(conv2d), RUN(conv2d)},
    [DEEP_OP_CONV2D_GRAD_INPUT] = {PREPARE(conv2d_grad_input), SCRATCH(conv2d_grad), RUN(conv2d_grad_input)},
    [DEEP_OP_CONV2D_GRAD_WEIGHTS] = {PREPARE(conv2d_grad_weights), SCRATCH(conv2d_grad), RUN(conv2d_grad_weights)},
    [DEEP_OP_SEPARABLE] = {.fits = deep__cuda_fits_separable, PREPARE(separable), SCRATCH(separable), RUN(separable)},
    [DEEP_OP_SEPARABLE_TRAIN] = {.fits = deep__cuda_fits_separable,
                                 PREPARE(separable_train),
                                 SCRATCH(separable_train),
                                 RUN(separable_train)},
    [DEEP_OP_SEPARABLE_GRAD] = {.fits = deep__cuda_fits_separable,
                                PREPARE(separable_grad),
                                SCRATCH(separable_grad),
                                RUN(separable_grad)},
    [DEEP_OP_DEPTHWISE] = {RUN(depthwise)},
    [DEEP_OP_DEPTHWISE_GRAD_INPUT] = {RUN(depthwise_grad_input)},
    [DEEP_OP_DEPTHWISE_GRAD_WEIGHTS] = {SCRATCH(depthwise_grad_weights), RUN(depthwise_grad_weights)},
    [DEEP_OP_BATCH_NORM_TRAIN] = {SCRATCH(norm), RUN(batch_norm_train)},
    [DEEP_OP_BATCH_NORM_GRAD] = {SCRATCH(norm), RUN(batch_norm_grad)},
    [DEEP_OP_BATCH_NORM_INFER] = {RUN(batch_norm_infer)},
    [DEEP_OP_BATCH_NORM_INFER_GRAD] = {SCRATCH(norm), RUN(batch_norm_infer_grad)},
    [DEEP_OP_BATCH_NORM_FOLD] = {RUN(batch_norm_fold)},
    [DEEP_OP_STATISTICS_UPDATE] = {RUN(statistics_update)},
    [DEEP_OP_RELU] = {RUN(relu)},
    [DEEP_OP_RELU_GRAD] = {RUN(relu_grad)},
    [DEEP_OP_MAX_POOL] = {RUN(max_pool)},
    [DEEP_OP_MAX_POOL_GRAD] = {RUN(max_pool_grad)},
    [DEEP_OP_GLOBAL_AVERAGE_POOL] = {RUN(average)},
    [DEEP_OP_GLOBAL_AVERAGE_POOL_GRAD] = {RUN(average_grad)},
    [DEEP_OP_DENSE] = {PREPARE(dense), RUN(dense)},
    [DEEP_OP_DENSE_GRAD_INPUT] = {PREPARE(dense_grad_input), RUN(dense_grad_input)},
    [DEEP_OP_DENSE_GRAD_WEIGHTS] = {PREPARE(dense_grad_weights), RUN(dense_grad_weights)},
    [DEEP_OP_ADD] = {RUN(add)},
    [DEEP_OP_DROPOUT] = {RUN(dropout)},
    [DEEP_OP_SOFTMAX] = {RUN(softmax)},
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY] = {SCRATCH(cross_entropy), RUN(cross_entropy)},
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD] = {RUN(cross_entropy_grad)},
    [DEEP_OP_L2_PENALTY] = {SCRATCH(reduce), RUN(l2_penalty)},
    [DEEP_OP_L2_GRAD] = {RUN(l2_grad)},
    [DEEP_OP_GRADIENT_NORM] = {SCRATCH(reduce), RUN(gradient_norm)},
    [DEEP_OP_UPDATE_SGD] = UPDATES,
    [DEEP_OP_UPDATE_RMSPROP] = UPDATES,
    [DEEP_OP_UPDATE_ADAM] = UPDATES,
    [DEEP_OP_CAST] = {RUN(cast)},
    [DEEP_OP_REORDER] = {RUN(reorder)},
    [DEEP_OP_FILL] = {RUN(fill)},
    [DEEP_OP_REDUCE_SUM] = {SCRATCH(reduce_sum), RUN(reduce_sum)},
    [DEEP_OP_BROADCAST_ROWS] = {RUN(broadcast_rows)},
    [DEEP_OP_FINITE_CHECK] = {SCRATCH(reduce), RUN(finite_check)},
};
