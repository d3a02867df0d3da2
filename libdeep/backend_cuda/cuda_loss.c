/* SPDX-License-Identifier: Apache-2.0 */
/* Losses, and single numbers made of many. */
#include "backend_cuda/cuda.h"
#include "backend_cuda/kernels/loss.h"
#include "backend_cuda/kernels/reduce.h"

/* ---- softmax and its cross-entropy ---- */

enum { LOSS_THREADS = 128 };

static loss_arguments loss_of(const deep_call *call)
{
    loss_arguments a = {.rows = (int32_t)call->in[0]->shape[0],
                        .classes = (int32_t)call->in[0]->shape[1],
                        .logits = call->src[0],
                        .out = call->dst[0]};
    if (call->node->op == DEEP_OP_SOFTMAX) return a;
    a.labels = call->src[1];
    a.weights = call->src[2];
    a.smoothing = call->attr->loss.smoothing;
    return a;
}

/* A block for each row. */
static kernel_grid row_grid(const cuda_node *node)
{
    return (kernel_grid){(uint32_t)node->call.in[0]->shape[0], 1, LOSS_THREADS,
                         deep__accelerator_stream(node->accelerator)};
}

deep_status deep__cuda_run_softmax(const cuda_node *node)
{
    const loss_arguments a = loss_of(&node->call);
    deep__kernel_softmax(&a, row_grid(node));
    return DEEP_OK;
}

size_t deep__cuda_scratch_cross_entropy(const deep_call *call)
{
    return cuda_align(2 * (size_t)call->in[0]->shape[0] * sizeof(float));
}

deep_status deep__cuda_run_cross_entropy(const cuda_node *node)
{
    loss_arguments a = loss_of(&node->call);
    a.out = node->call.scratch;
    deep__kernel_losses(&a, row_grid(node));
    const loss_end_arguments end = {a.rows, a.out, node->call.dst[0]};
    deep__kernel_loss_end(&end, cuda_grid(node, 1));
    return DEEP_OK;
}

deep_status deep__cuda_run_cross_entropy_grad(const cuda_node *node)
{
    const loss_arguments a = loss_of(&node->call);
    deep__kernel_loss_grad(&a, row_grid(node));
    return DEEP_OK;
}

/* ---- single numbers ---- */

enum { REDUCE_BLOCKS = 1024, REDUCE_LEAST = 4 * KERNEL_THREADS * FLOAT_LANES /* elements of a block */ };

/* What is reduced: the last operand. */
static const deep_value_info *reduced(const deep_call *call)
{
    return call->in[call->node->input_count - 1];
}

static reduce_arguments reduce_of(const deep_call *call)
{
    reduce_arguments a = {
        .count = cuda_elements(reduced(call)), .x = call->src[call->node->input_count - 1], .partial = call->scratch};
    a.span = (a.count + REDUCE_BLOCKS - 1) / REDUCE_BLOCKS;
    if (a.span < REDUCE_LEAST) a.span = REDUCE_LEAST;
    a.span =
        (a.span + FLOAT_LANES - 1) / FLOAT_LANES * FLOAT_LANES; /* a thread's four values begin at a multiple of four */
    return a;
}

size_t deep__cuda_scratch_reduce(const deep_call *call)
{
    (void)call;
    return REDUCE_BLOCKS * sizeof(double);
}

typedef void (*reduce_kernel)(const reduce_arguments *a, kernel_grid grid);

static deep_status run_reduce(const cuda_node *node, reduce_kernel kernel, enum reduce_result result, double factor,
                              float *out)
{
    const reduce_arguments a = reduce_of(&node->call);
    kernel_grid grid = cuda_grid(node, 1);
    grid.x = (uint32_t)((a.count + a.span - 1) / a.span);
    kernel(&a, grid);
    const reduce_end_arguments end = {a.partial, grid.x, (int32_t)result, factor, out};
    deep__kernel_reduce_end(&end, cuda_grid(node, 1));
    return DEEP_OK;
}

deep_status deep__cuda_run_gradient_norm(const cuda_node *node)
{
    return run_reduce(node, deep__kernel_square_sum, REDUCE_NORM, 1, node->call.dst[0]);
}

deep_status deep__cuda_run_finite_check(const cuda_node *node)
{
    return run_reduce(node, deep__kernel_bad_count, REDUCE_FINITE, 1, node->call.dst[0]);
}

deep_status deep__cuda_run_l2_penalty(const cuda_node *node)
{
    return run_reduce(node, deep__kernel_square_sum, REDUCE_ADD, node->call.attr->loss.lambda, node->call.src[0]);
}
