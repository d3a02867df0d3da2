/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Separable convolutions of training. Forward, the norm and ReLU in front are applied as the depthwise kernel reads; its
 * result is made again backward, where one pass then gives the depthwise gradients and the norm's sums.
 */
#include "backend_cuda/cuda.h"

static size_t matrix_bytes(const deep_value_info *x)
{
    return cuda_room(cuda_elements(x), x->dtype);
}

/* Bytes of the pointwise kernel as the products read it, in the type of x; 0 when it is that already. */
static size_t kernel_bytes(const deep_value_info *w, const deep_value_info *x)
{
    return w->dtype == x->dtype ? 0 : cuda_room(cuda_elements(w), x->dtype);
}

static const void *kernel_as(const cuda_node *node, const deep_value_info *x, int operand, char *room)
{
    const deep_value_info *w = node->call.in[operand];
    if (w->dtype == x->dtype) return node->call.src[operand];
    deep__cuda_convert(node, room, x->dtype, node->call.src[operand], w->dtype, cuda_elements(w));
    return room;
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
    const deep_product_shape shape = {.factors = x->dtype,
                                      .result = x->dtype,
                                      .rows = deep__rows(x),
                                      .columns = deep__columns(w),
                                      .inner = deep__columns(x)};
    return deep__product_create(&node->products[0], node->accelerator, &shape);
}

size_t deep__cuda_scratch_separable_train(const deep_call *call)
{
    return matrix_bytes(call->in[0]) + kernel_bytes(call->in[2], call->in[0]) + deep__cuda_sums_bytes(call->out[0], 2);
}

deep_status deep__cuda_run_separable_train(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_value_info *x = call->in[0];
    char *between = call->scratch, *kernel = between + matrix_bytes(x);
    void *partial = kernel + kernel_bytes(call->in[2], x);
    const cuda_depthwise d = depthwise_of(call, 0);
    deep__cuda_depthwise(node, &d, between);
    const deep_product_operands operands = {
        .a = between, .b = kernel_as(node, x, 2, kernel), .d = call->dst[0], .workspace = cuda_workspace(node)};
    DEEP_TRY(deep__product_run(node->products[0], &operands));
    deep__cuda_moments(node, call->out[0], call->dst[0], partial, call->dst[1], call->dst[2]);
    return DEEP_OK;
}

/* ---- backward ---- */

deep_status deep__cuda_prepare_separable_grad(cuda_node *node)
{
    const deep_value_info *dy = node->call.in[0], *x = node->call.in[1];
    const deep_product_shape weights = {.factors = x->dtype,
                                        .result = DEEP_DTYPE_F32,
                                        .rows = deep__columns(x),
                                        .columns = deep__columns(dy),
                                        .inner = deep__rows(x),
                                        .a_transposed = true};
    const deep_product_shape slope = {.factors = x->dtype,
                                      .result = x->dtype,
                                      .rows = deep__rows(x),
                                      .columns = deep__columns(x),
                                      .inner = deep__columns(dy),
                                      .b_transposed = true};
    DEEP_TRY(deep__product_create(&node->products[0], node->accelerator, &weights));
    return deep__product_create(&node->products[1], node->accelerator, &slope);
}

size_t deep__cuda_scratch_separable_grad(const deep_call *call)
{
    const deep_value_info *x = call->in[1];
    return matrix_bytes(x) + kernel_bytes(call->in[3], x) + deep__cuda_depthwise_grad_bytes(x);
}

/* The pointwise half: its kernel's gradient, then the slope of the depthwise result `between` in its place. */
static deep_status run_pointwise_grad(const cuda_node *node, void *between, char *kernel)
{
    const deep_call *call = &node->call;
    const deep_product_operands weights = {
        .a = between, .b = call->src[0], .d = call->dst[2], .workspace = cuda_workspace(node)};
    DEEP_TRY(deep__product_run(node->products[0], &weights));
    const deep_product_operands back = {.a = call->src[0],
                                        .b = kernel_as(node, call->in[1], 3, kernel),
                                        .d = between,
                                        .workspace = cuda_workspace(node)};
    return deep__product_run(node->products[1], &back);
}

deep_status deep__cuda_run_separable_grad(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const deep_value_info *x = call->in[1];
    char *between = call->scratch, *kernel = between + matrix_bytes(x);
    void *partial = kernel + kernel_bytes(call->in[3], x);
    const cuda_depthwise d = depthwise_of(call, 1);
    deep__cuda_depthwise(node, &d, between);
    DEEP_TRY(run_pointwise_grad(node, between, kernel));
    deep__cuda_depthwise_grad(node, &d, between, call->dst[0], call->dst[1], call->dst[3], call->dst[4], partial);
    if (d.norm.gamma == NULL) return DEEP_OK;
    const norm_grad_arguments grad = {
        .norm = d.norm, .dy = call->dst[0], .x = d.x, .dot = call->dst[3], .sum = call->dst[4], .dx = call->dst[0]};
    deep__cuda_norm_grad(node, x, &grad);
    return DEEP_OK;
}
