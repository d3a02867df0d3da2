/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Separable convolutions of training. Forward, the norm and ReLU in front are applied as the depthwise kernel reads; its
 * result is made again backward, where one pass then gives the depthwise gradients and the norm's sums.
 */
#include "backend_cuda/cuda.h"

static size_t matrix_bytes(const deep_value_info *x)
{
    return cuda_align((size_t)cuda_elements(x) * sizeof(float));
}

/* Operands from `first` on: x, depthwise w, pointwise w [, gamma, beta, mean, variance]. */
static cuda_depthwise depthwise_of(const deep_call *call, int first)
{
    void *const *operand = call->src + first;
    cuda_depthwise d = {call->in[first], {.relu = call->attr->conv.relu_input}, operand[0], operand[1]};
    if (!call->attr->conv.norm_input) return d;
    d.norm.gamma = operand[3];
    d.norm.beta = operand[4];
    d.norm.mean = operand[5];
    d.norm.variance = operand[6];
    d.norm.epsilon = (float)call->attr->conv.epsilon;
    return d;
}

/* ---- forward ---- */

deep_status deep__cuda_prepare_separable_train(cuda_node *node)
{
    const deep_value_info *x = node->call.in[0], *w = node->call.in[2];
    const deep_product_shape shape = {.rows = deep__rows(x), .columns = deep__columns(w), .inner = deep__columns(x)};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

static size_t moments_bytes(const deep_value_info *y)
{
    return deep__cuda_sums_bytes(deep__rows(y), deep__columns(y), cuda_lanes(deep__columns(y)), 2);
}

size_t deep__cuda_scratch_separable_train(const deep_call *call)
{
    return matrix_bytes(call->in[0]) + moments_bytes(call->out[0]);
}

deep_status deep__cuda_run_separable_train(const cuda_node *node)
{
    const deep_call *call = &node->call;
    float *between = call->scratch, *partial = between + matrix_bytes(call->in[0]) / sizeof *between;
    const cuda_depthwise d = depthwise_of(call, 0);
    deep__cuda_depthwise(node, &d, between);
    const deep_product_operands operands = {between, call->src[2], NULL, NULL, call->dst[0], cuda_workspace(node)};
    DEEP_TRY(deep__product_run(node->products[0], &operands));
    deep__cuda_moments(node, call->dst[0], deep__rows(call->out[0]), deep__columns(call->out[0]), partial, call->dst[1],
                       call->dst[2]);
    return DEEP_OK;
}

/* ---- backward ---- */

deep_status deep__cuda_prepare_separable_grad(cuda_node *node)
{
    const deep_value_info *dy = node->call.in[0], *x = node->call.in[1];
    const deep_product_shape weights = {
        .rows = deep__columns(x), .columns = deep__columns(dy), .inner = deep__rows(x), .a_transposed = true};
    const deep_product_shape slope = {
        .rows = deep__rows(x), .columns = deep__columns(x), .inner = deep__columns(dy), .b_transposed = true};
    DEEP_TRY(deep__product_create(&node->products[0], node->accelerator, &weights));
    return deep__product_create(&node->products[1], node->accelerator, &slope);
}

size_t deep__cuda_scratch_separable_grad(const deep_call *call)
{
    return 2 * matrix_bytes(call->in[1]) + deep__cuda_depthwise_grad_bytes(call->in[1]);
}

deep_status deep__cuda_run_separable_grad(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const size_t matrix = matrix_bytes(call->in[1]) / sizeof(float);
    float *between = call->scratch, *slope = between + matrix, *partial = slope + matrix;
    const cuda_depthwise d = depthwise_of(call, 1);
    deep__cuda_depthwise(node, &d, between);
    const deep_product_operands weights = {between, call->src[0], NULL, NULL, call->dst[2], cuda_workspace(node)};
    DEEP_TRY(deep__product_run(node->products[0], &weights));
    const deep_product_operands back = {call->src[0], call->src[3], NULL, NULL, slope, cuda_workspace(node)};
    DEEP_TRY(deep__product_run(node->products[1], &back));
    deep__cuda_depthwise_grad(node, &d, slope, call->dst[0], call->dst[1], call->dst[3], call->dst[4], partial);
    if (d.norm.gamma == NULL) return DEEP_OK;
    const norm_grad_arguments grad = {
        .tiles = {.rows = (uint32_t)deep__rows(call->in[1]), .columns = (uint32_t)deep__columns(call->in[1])},
        .norm = d.norm,
        .dy = call->dst[0],
        .x = d.x,
        .dot = call->dst[3],
        .sum = call->dst[4],
        .dx = call->dst[0],
    };
    deep__cuda_norm_grad(node, &grad);
    return DEEP_OK;
}
