/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda.h"
#include "backend_cuda/kernels/elementwise.h"

typedef void (*pair_kernel)(const pair_arguments *a, kernel_form form, kernel_grid grid);

static deep_status run_pair(const cuda_node *node, pair_kernel kernel, const void *a, const void *b, void *y,
                            float factor)
{
    const deep_value_info *x = node->call.in[0];
    const pair_arguments arguments = {cuda_elements(x), a, b, y, factor};
    const kernel_form form = cuda_form(x->dtype, 0); /* whatever their number: the last thread has fewer */
    kernel(&arguments, form, cuda_grid(node, cuda_divide_up(arguments.count, form.lanes)));
    return DEEP_OK;
}

deep_status deep__cuda_run_relu(const cuda_node *node)
{
    return run_pair(node, deep__kernel_relu, node->call.src[0], NULL, node->call.dst[0], 1);
}

deep_status deep__cuda_run_relu_grad(const cuda_node *node)
{
    return run_pair(node, deep__kernel_relu_grad, node->call.src[0], node->call.src[1], node->call.dst[0], 1);
}

deep_status deep__cuda_run_add(const cuda_node *node)
{
    return run_pair(node, deep__kernel_scaled_add, node->call.src[0], node->call.src[1], node->call.dst[0], 1);
}

/* dw += 2 lambda w */
deep_status deep__cuda_run_l2_grad(const cuda_node *node)
{
    const float factor = (float)(2 * node->call.attr->loss.lambda);
    return run_pair(node, deep__kernel_scaled_add, node->call.src[1], node->call.src[0], node->call.src[0], factor);
}

deep_status deep__cuda_run_scale(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const scale_arguments a = {.count = cuda_elements(call->in[0]),
                               .factor = (const float *)call->src[1] + call->attr->scale.element,
                               .x = call->src[0]};
    deep__kernel_scale(&a, cuda_flat_grid(node, a.count));
    return DEEP_OK;
}

static deep_status run_rows(const cuda_node *node, const float *x, float value)
{
    const deep_value_info *y = node->call.out[0];
    const rows_arguments a = {
        .count = cuda_elements(y), .columns = deep__columns(y), .x = x, .value = value, .y = node->call.dst[0]};
    deep__kernel_rows(&a, cuda_flat_grid(node, a.count));
    return DEEP_OK;
}

deep_status deep__cuda_run_fill(const cuda_node *node)
{
    return run_rows(node, NULL, (float)node->call.attr->fill.value);
}

deep_status deep__cuda_run_broadcast_rows(const cuda_node *node)
{
    return run_rows(node, node->call.src[0], 0);
}

deep_status deep__cuda_run_reorder(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_value_info *x = call->in[0], *y = call->out[0];
    permute_arguments a = {.count = cuda_elements(y), .rank = y->rank, .x = call->src[0], .y = call->dst[0]};
    for (int32_t axis = 0; axis < y->rank; ++axis) {
        const int32_t from = call->attr->reorder.axis[axis];
        a.shape[axis] = y->shape[axis];
        a.stride[axis] = 1;
        for (int32_t behind = from + 1; behind < x->rank; ++behind)
            a.stride[axis] *= x->shape[behind];
    }
    deep__kernel_permute(&a, cuda_flat_grid(node, a.count));
    return DEEP_OK;
}

void deep__cuda_convert(const cuda_node *node, void *to, int32_t to_dtype, const void *from, int32_t from_dtype,
                        int64_t count)
{
    const convert_arguments a = {count, cuda_storage(from_dtype), cuda_storage(to_dtype), from, to};
    deep__kernel_convert(&a, cuda_grid(node, cuda_divide_up(count, HALF_LANES)));
}

deep_status deep__cuda_run_cast(const cuda_node *node)
{
    const deep_call *call = &node->call;
    deep__cuda_convert(node, call->dst[0], call->out[0]->dtype, call->src[0], call->in[0]->dtype,
                       cuda_elements(call->in[0]));
    return DEEP_OK;
}

deep_status deep__cuda_run_dropout(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const dropout_arguments a = {.count = cuda_elements(call->in[0]),
                                 .counter = call->src[1],
                                 .rate = call->attr->dropout.rate,
                                 .layer = call->attr->dropout.layer,
                                 .x = call->src[0],
                                 .y = call->dst[0]};
    deep__kernel_dropout(&a, cuda_flat_grid(node, a.count));
    return DEEP_OK;
}

deep_status deep__cuda_run_batch_norm_fold(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const fold_arguments a = {.count = cuda_elements(call->in[0]),
                              .epsilon = call->attr->norm.epsilon,
                              .gamma = call->src[0],
                              .beta = call->src[1],
                              .mean = call->src[2],
                              .variance = call->src[3],
                              .scale = call->dst[0],
                              .shift = call->dst[1]};
    deep__kernel_fold(&a, cuda_grid(node, a.count));
    return DEEP_OK;
}

deep_status deep__cuda_run_statistics_update(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const running_arguments a = {.count = cuda_elements(call->in[0]),
                                 .momentum = (float)call->attr->norm.momentum,
                                 .running = {call->src[0], call->src[1]},
                                 .batch = {call->src[2], call->src[3]}};
    deep__kernel_running(&a, cuda_grid(node, a.count));
    return DEEP_OK;
}
