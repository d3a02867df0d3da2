/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda.h"
#include "backend_cuda/kernels/pool.h"

static pool_arguments shape_of(const deep_attr *attr, const deep_value_info *x, const deep_value_info *y)
{
    return (pool_arguments){.images = (int32_t)x->shape[0],
                            .height = (int32_t)x->shape[1],
                            .width = (int32_t)x->shape[2],
                            .out_height = (int32_t)y->shape[1],
                            .out_width = (int32_t)y->shape[2],
                            .channels = (int32_t)x->shape[3],
                            .window = attr->pool.window,
                            .stride = attr->pool.stride,
                            .top = attr->pool.pad[DEEP_PAD_TOP],
                            .left = attr->pool.pad[DEEP_PAD_LEFT]};
}

deep_status deep__cuda_run_max_pool(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const kernel_form form = cuda_form(call->in[0]->dtype, call->in[0]->shape[3]);
    pool_arguments a = shape_of(call->attr, call->in[0], call->out[0]);
    a.from = call->src[0];
    a.residual = call->node->input_count > 1 ? call->src[1] : NULL;
    a.to = call->dst[0];
    a.taps = call->dst[1];
    deep__kernel_max_pool(&a, form, cuda_grid(node, cuda_elements(call->out[0]) / form.lanes));
    return DEEP_OK;
}

deep_status deep__cuda_run_max_pool_grad(const cuda_node *node)
{
    const deep_call *call = &node->call;
    const kernel_form form = cuda_form(call->out[0]->dtype, call->out[0]->shape[3]);
    pool_arguments a = shape_of(call->attr, call->out[0], call->in[0]);
    a.from = call->src[0];
    a.to = call->dst[0];
    a.taps = call->src[1];
    deep__kernel_max_pool_grad(&a, form, cuda_grid(node, cuda_elements(call->out[0]) / form.lanes));
    return DEEP_OK;
}

static average_arguments average_of(const deep_call *call, const deep_value_info *x)
{
    return (average_arguments){.images = (int32_t)x->shape[0],
                               .pixels = (int32_t)(x->shape[1] * x->shape[2]),
                               .channels = (int32_t)x->shape[3],
                               .storage = cuda_storage(x->dtype),
                               .from = call->src[0],
                               .to = call->dst[0]};
}

deep_status deep__cuda_run_average(const cuda_node *node)
{
    const average_arguments a = average_of(&node->call, node->call.in[0]);
    deep__kernel_average(&a, cuda_grid(node, cuda_elements(node->call.out[0])));
    return DEEP_OK;
}

deep_status deep__cuda_run_average_grad(const cuda_node *node)
{
    const average_arguments a = average_of(&node->call, node->call.out[0]);
    deep__kernel_average_grad(&a, cuda_grid(node, cuda_elements(node->call.out[0])));
    return DEEP_OK;
}
