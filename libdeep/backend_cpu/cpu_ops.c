/* SPDX-License-Identifier: Apache-2.0 */
/* Which function computes which op. */
#include "backend/host.h"
#include "backend_cpu/cpu.h"

#define HOST_OP(name)                                                                                                  \
    static deep_status run_##name(const cpu_run *run)                                                                  \
    {                                                                                                                  \
        HOST_NAME(name)(run->call);                                                                                    \
        return DEEP_OK;                                                                                                \
    }
HOST_OP(softmax)
HOST_OP(softmax_cross_entropy)
HOST_OP(softmax_cross_entropy_grad)
HOST_OP(batch_norm_fold)
HOST_OP(statistics_update)
HOST_OP(dropout)
HOST_OP(cast)
HOST_OP(reorder)
HOST_OP(fill)
HOST_OP(broadcast_rows)
HOST_OP(finite_check)

const cpu_op deep__cpu_ops[DEEP_OP_COUNT] = {
    [DEEP_OP_CONV2D] = {deep__cpu_conv2d, deep__cpu_conv_prepare, deep__cpu_conv_scratch},
    [DEEP_OP_SEPARABLE] = {deep__cpu_bands, deep__cpu_separable_prepare, deep__cpu_bands_scratch},
    [DEEP_OP_SEPARABLE_TRAIN] = {deep__cpu_separable_train, deep__cpu_unit_prepare, deep__cpu_separable_train_scratch,
                                 true},
    [DEEP_OP_SEPARABLE_GRAD] = {deep__cpu_separable_grad, deep__cpu_unit_prepare, deep__cpu_separable_grad_scratch,
                                true},
    [DEEP_OP_CONV2D_GRAD_INPUT] = {deep__cpu_conv2d_grad_input, deep__cpu_conv_prepare, deep__cpu_conv_scratch},
    [DEEP_OP_CONV2D_GRAD_WEIGHTS] = {deep__cpu_conv2d_grad_weights, deep__cpu_conv_prepare, deep__cpu_conv_scratch},
    [DEEP_OP_DEPTHWISE] = {deep__cpu_depthwise, NULL, NULL},
    [DEEP_OP_DEPTHWISE_GRAD_INPUT] = {deep__cpu_depthwise_grad_input, NULL, deep__cpu_depthwise_weights_scratch},
    [DEEP_OP_DEPTHWISE_GRAD_WEIGHTS] = {deep__cpu_depthwise_grad_weights, NULL, deep__cpu_depthwise_weights_scratch},
    [DEEP_OP_BATCH_NORM_TRAIN] = {deep__cpu_batch_norm_train, NULL, deep__cpu_norm_scratch},
    [DEEP_OP_BATCH_NORM_GRAD] = {deep__cpu_batch_norm_grad, NULL, deep__cpu_norm_scratch, true},
    [DEEP_OP_BATCH_NORM_INFER] = {deep__cpu_batch_norm_infer, NULL, deep__cpu_norm_scratch, true},
    [DEEP_OP_BATCH_NORM_INFER_GRAD] = {deep__cpu_batch_norm_infer_grad, NULL, deep__cpu_norm_scratch, true},
    [DEEP_OP_BATCH_NORM_FOLD] = {run_batch_norm_fold, NULL, NULL},
    [DEEP_OP_STATISTICS_UPDATE] = {run_statistics_update, NULL, NULL},
    [DEEP_OP_RELU] = {deep__cpu_relu, NULL, NULL},
    [DEEP_OP_RELU_GRAD] = {deep__cpu_relu_grad, NULL, NULL},
    [DEEP_OP_MAX_POOL] = {deep__cpu_max_pool, deep__cpu_max_pool_prepare, NULL, true},
    [DEEP_OP_MAX_POOL_GRAD] = {deep__cpu_max_pool_grad, NULL, NULL, true},
    [DEEP_OP_GLOBAL_AVERAGE_POOL] = {deep__cpu_global_average_pool, NULL, NULL},
    [DEEP_OP_GLOBAL_AVERAGE_POOL_GRAD] = {deep__cpu_global_average_pool_grad, NULL, NULL},
    [DEEP_OP_DENSE] = {deep__cpu_dense, NULL, deep__cpu_dense_scratch},
    [DEEP_OP_DENSE_GRAD_INPUT] = {deep__cpu_dense_grad_input, NULL, NULL},
    [DEEP_OP_DENSE_GRAD_WEIGHTS] = {deep__cpu_dense_grad_weights, NULL, NULL},
    [DEEP_OP_ADD] = {deep__cpu_add, NULL, NULL, true},
    [DEEP_OP_DROPOUT] = {run_dropout, NULL, NULL},
    [DEEP_OP_SOFTMAX] = {run_softmax, NULL, NULL},
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY] = {run_softmax_cross_entropy, NULL, NULL},
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD] = {run_softmax_cross_entropy_grad, NULL, NULL},
    [DEEP_OP_L2_PENALTY] = {deep__cpu_l2_penalty, NULL, deep__cpu_parts_scratch},
    [DEEP_OP_L2_GRAD] = {deep__cpu_l2_grad, NULL, NULL},
    [DEEP_OP_GRADIENT_NORM] = {deep__cpu_gradient_norm, NULL, deep__cpu_parts_scratch},
    [DEEP_OP_UPDATE_SGD] = {deep__cpu_update_sgd, NULL, NULL},
    [DEEP_OP_UPDATE_RMSPROP] = {deep__cpu_update_rmsprop, NULL, NULL},
    [DEEP_OP_UPDATE_ADAM] = {deep__cpu_update_adam, NULL, NULL},
    [DEEP_OP_CAST] = {run_cast, NULL, NULL},
    [DEEP_OP_REORDER] = {run_reorder, NULL, NULL},
    [DEEP_OP_FILL] = {run_fill, NULL, NULL},
    [DEEP_OP_REDUCE_SUM] = {deep__cpu_reduce_sum, NULL, deep__cpu_rows_scratch},
    [DEEP_OP_BROADCAST_ROWS] = {run_broadcast_rows, NULL, NULL},
    [DEEP_OP_FINITE_CHECK] = {run_finite_check, NULL, NULL},
};
