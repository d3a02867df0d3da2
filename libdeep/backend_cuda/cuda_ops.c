/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda.h"

#define RUN(name)     .run = deep__cuda_run_##name
#define SCRATCH(name) .scratch = deep__cuda_scratch_##name
#define PREPARE(name) .prepare = deep__cuda_prepare_##name
#define TAKES(name)   .takes = takes_##name
#define UPDATES                                                                                                        \
    {                                                                                                                  \
        .together = deep__cuda_updates_together, .run_many = deep__cuda_run_updates                                    \
    }

/* ---- halves ---- */

/* Whether operands `in` and `out` (bits) are all of one type, and no other operand is stored as halves. */
static bool are_alike(const deep_call *call, uint32_t in, uint32_t out)
{
    int32_t dtype = 0;
    for (int32_t i = 0; i < call->node->input_count + call->node->output_count; ++i) {
        const int32_t k = i - call->node->input_count;
        const deep_value_info *value = k < 0 ? call->in[i] : call->out[k];
        if (((k < 0 ? in >> i : out >> k) & 1) == 0) {
            if (cuda_is_half(value->dtype)) return false;
        } else {
            if (dtype != 0 && value->dtype != dtype) return false;
            dtype = value->dtype;
        }
    }
    return true;
}

/* Operands that may be stored as halves: of inputs and of outputs. */
#define TAKES_ALIKE(name, in, out)                                                                                     \
    static bool takes_##name(const deep_call *call)                                                                    \
    {                                                                                                                  \
        return are_alike(call, in, out);                                                                               \
    }
enum { FIRST = 1, SECOND = 2, THIRD = 4, SIXTH = 32 };

TAKES_ALIKE(first, FIRST, FIRST)        /* x -> y */
TAKES_ALIKE(two, FIRST | SECOND, FIRST) /* dy, x -> dx; or two that are added */
TAKES_ALIKE(norm, FIRST | SIXTH, FIRST) /* x and a residual */
TAKES_ALIKE(from, FIRST, 0)             /* x, of which floats are made */
TAKES_ALIKE(to, 0, FIRST)               /* made of floats */

static bool takes_any(const deep_call *call)
{
    (void)call;
    return true;
}

static bool takes_depthwise(const deep_call *call)
{
    return deep__cuda_is_xceptions(call->attr, call->in[1]) && are_alike(call, FIRST, FIRST);
}

static bool takes_depthwise_grad_input(const deep_call *call)
{
    return deep__cuda_is_xceptions(call->attr, call->in[1]) && are_alike(call, FIRST | THIRD, FIRST);
}

static bool takes_depthwise_grad_weights(const deep_call *call)
{
    return deep__cuda_is_xceptions(call->attr, call->out[0]) && are_alike(call, FIRST | SECOND, 0);
}

/* ---- the table ---- */

const cuda_op deep__cuda_ops[DEEP_OP_COUNT] = {
    [DEEP_OP_CONV2D] = {.takes = deep__cuda_takes_conv2d, PREPARE(conv2d), SCRATCH(conv2d), RUN(conv2d)},
    [DEEP_OP_CONV2D_GRAD_INPUT] = {.takes = deep__cuda_takes_conv2d_grad_input,
                                   PREPARE(conv2d_grad_input),
                                   SCRATCH(conv2d_grad_input),
                                   RUN(conv2d_grad_input)},
    [DEEP_OP_CONV2D_GRAD_WEIGHTS] = {.takes = deep__cuda_takes_conv2d_grad_weights,
                                     PREPARE(conv2d_grad_weights),
                                     SCRATCH(conv2d_grad_weights),
                                     RUN(conv2d_grad_weights)},
    [DEEP_OP_SEPARABLE] = {.fits = deep__cuda_fits_separable,
                           .takes = deep__cuda_takes_separable,
                           PREPARE(separable),
                           SCRATCH(separable),
                           RUN(separable)},
    [DEEP_OP_SEPARABLE_TRAIN] = {.fits = deep__cuda_fits_separable,
                                 TAKES(first),
                                 PREPARE(separable_train),
                                 SCRATCH(separable_train),
                                 RUN(separable_train)},
    [DEEP_OP_SEPARABLE_GRAD] = {.fits = deep__cuda_fits_separable,
                                TAKES(two),
                                PREPARE(separable_grad),
                                SCRATCH(separable_grad),
                                RUN(separable_grad)},
    [DEEP_OP_DEPTHWISE] = {TAKES(depthwise), RUN(depthwise)},
    [DEEP_OP_DEPTHWISE_GRAD_INPUT] = {TAKES(depthwise_grad_input), RUN(depthwise_grad_input)},
    [DEEP_OP_DEPTHWISE_GRAD_WEIGHTS] = {TAKES(depthwise_grad_weights), SCRATCH(depthwise_grad_weights),
                                        RUN(depthwise_grad_weights)},
    [DEEP_OP_BATCH_NORM_TRAIN] = {TAKES(first), SCRATCH(norm), RUN(batch_norm_train)},
    [DEEP_OP_BATCH_NORM_GRAD] = {TAKES(two), SCRATCH(norm), RUN(batch_norm_grad)},
    [DEEP_OP_BATCH_NORM_INFER] = {TAKES(norm), RUN(batch_norm_infer)},
    [DEEP_OP_BATCH_NORM_INFER_GRAD] = {TAKES(two), SCRATCH(norm), RUN(batch_norm_infer_grad)},
    [DEEP_OP_BATCH_NORM_FOLD] = {RUN(batch_norm_fold)},
    [DEEP_OP_STATISTICS_UPDATE] = {RUN(statistics_update)},
    [DEEP_OP_RELU] = {TAKES(first), RUN(relu)},
    [DEEP_OP_RELU_GRAD] = {TAKES(two), RUN(relu_grad)},
    [DEEP_OP_MAX_POOL] = {TAKES(two), RUN(max_pool)},
    [DEEP_OP_MAX_POOL_GRAD] = {TAKES(first), RUN(max_pool_grad)},
    [DEEP_OP_GLOBAL_AVERAGE_POOL] = {TAKES(from), RUN(average)},
    [DEEP_OP_GLOBAL_AVERAGE_POOL_GRAD] = {TAKES(to), RUN(average_grad)},
    [DEEP_OP_DENSE] = {PREPARE(dense), RUN(dense)},
    [DEEP_OP_DENSE_GRAD_INPUT] = {PREPARE(dense_grad_input), RUN(dense_grad_input)},
    [DEEP_OP_DENSE_GRAD_WEIGHTS] = {PREPARE(dense_grad_weights), RUN(dense_grad_weights)},
    [DEEP_OP_ADD] = {TAKES(two), RUN(add)},
    [DEEP_OP_DROPOUT] = {RUN(dropout)},
    [DEEP_OP_SOFTMAX] = {RUN(softmax)},
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY] = {SCRATCH(cross_entropy), RUN(cross_entropy)},
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD] = {RUN(cross_entropy_grad)},
    [DEEP_OP_L2_PENALTY] = {SCRATCH(reduce), RUN(l2_penalty)},
    [DEEP_OP_L2_GRAD] = {RUN(l2_grad)},
    [DEEP_OP_SCALE] = {RUN(scale)},
    [DEEP_OP_GRADIENT_NORM] = {SCRATCH(reduce), RUN(gradient_norm)},
    [DEEP_OP_UPDATE_SGD] = UPDATES,
    [DEEP_OP_UPDATE_RMSPROP] = UPDATES,
    [DEEP_OP_UPDATE_ADAM] = UPDATES,
    [DEEP_OP_CAST] = {TAKES(any), RUN(cast)},
    [DEEP_OP_REORDER] = {RUN(reorder)},
    [DEEP_OP_FILL] = {RUN(fill)},
    [DEEP_OP_REDUCE_SUM] = {TAKES(from), SCRATCH(reduce_sum), RUN(reduce_sum)},
    [DEEP_OP_BROADCAST_ROWS] = {RUN(broadcast_rows)},
    [DEEP_OP_FINITE_CHECK] = {SCRATCH(reduce), RUN(finite_check)},
};
