/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_REF_REF_H
#define DEEP_BACKEND_REF_REF_H

/*
 * The reference backend: every op in plain C, one thread, sums in double, written to be read. It is the oracle for the
 * others. Compiled once in float for the library and once in double (-DDEEP_REF_DOUBLE) for tests of gradients by
 * finite differences.
 */
#include "backend/host.h"

#ifdef DEEP_REF_DOUBLE
#define REF_NAME(name) deep__ref_double_##name
#else
#define REF_NAME(name) deep__ref_##name
#endif

void REF_NAME(conv2d)(const deep_call *call);
void REF_NAME(separable)(const deep_call *call);
void REF_NAME(separable_train)(const deep_call *call);
void REF_NAME(separable_grad)(const deep_call *call);
void REF_NAME(conv2d_grad_input)(const deep_call *call);
void REF_NAME(conv2d_grad_weights)(const deep_call *call);
void REF_NAME(depthwise)(const deep_call *call);
void REF_NAME(depthwise_grad_input)(const deep_call *call);
void REF_NAME(depthwise_grad_weights)(const deep_call *call);
void REF_NAME(batch_norm_train)(const deep_call *call);
void REF_NAME(batch_norm_grad)(const deep_call *call);
void REF_NAME(batch_norm_infer)(const deep_call *call);
void REF_NAME(batch_norm_infer_grad)(const deep_call *call);
void REF_NAME(relu)(const deep_call *call);
void REF_NAME(relu_grad)(const deep_call *call);
void REF_NAME(max_pool)(const deep_call *call);
void REF_NAME(max_pool_grad)(const deep_call *call);
void REF_NAME(global_average_pool)(const deep_call *call);
void REF_NAME(global_average_pool_grad)(const deep_call *call);
void REF_NAME(dense)(const deep_call *call);
void REF_NAME(dense_grad_input)(const deep_call *call);
void REF_NAME(dense_grad_weights)(const deep_call *call);
void REF_NAME(add)(const deep_call *call);
void REF_NAME(l2_penalty)(const deep_call *call);
void REF_NAME(l2_grad)(const deep_call *call);
void REF_NAME(gradient_norm)(const deep_call *call);
void REF_NAME(update_sgd)(const deep_call *call);
void REF_NAME(update_rmsprop)(const deep_call *call);
void REF_NAME(update_adam)(const deep_call *call);
void REF_NAME(reduce_sum)(const deep_call *call);

/* Mean and biased variance of each column. */
void REF_NAME(moments)(const real *x, int64_t rows, int64_t columns, real *mean, real *variance);

/* Bytes of scratch that a call needs. */
size_t REF_NAME(separable_scratch)(const deep_call *call);

/* NHWC position. */
static inline int64_t ref_at(const deep_value_info *value, int64_t n, int64_t h, int64_t w, int64_t c)
{
    return ((n * value->shape[1] + h) * value->shape[2] + w) * value->shape[3] + c;
}

#endif
