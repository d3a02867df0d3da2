/* SPDX-License-Identifier: Apache-2.0 */
/* Updates of many parameters at once: neighbours in the node list with the same settings but rate and decay. */
#include "backend_cuda/cuda.h"
#include "backend_cuda/kernels/update.h"

static bool is_alike(const deep_call *a, const deep_call *b)
{
    const deep_attr *p = a->attr, *q = b->attr;
    return a->node->op == b->node->op && p->update.beta1 == q->update.beta1 && p->update.beta2 == q->update.beta2 &&
           p->update.epsilon == q->update.epsilon && p->update.clip == q->update.clip &&
           p->update.nesterov == q->update.nesterov && p->update.amsgrad == q->update.amsgrad && a->in[2] == b->in[2] &&
           a->in[3] == b->in[3];
}

int32_t deep__cuda_updates_together(const cuda_node *node, int32_t most)
{
    int32_t count = 1;
    while (count < most && count < UPDATE_TENSORS && is_alike(&node->call, &node[count].call))
        ++count;
    return count;
}

static update_tensor tensor_of(const deep_call *call)
{
    update_tensor t = {.w = call->src[0],
                       .g = call->src[1],
                       .count = cuda_elements(call->in[0]),
                       .rate = (float)call->attr->update.rate,
                       .decay = (float)call->attr->update.decay};
    for (int32_t i = 4; i < call->node->input_count; ++i)
        t.slot[i - 4] = call->src[i];
    return t;
}

deep_status deep__cuda_run_updates(const cuda_node *node, int32_t count)
{
    const deep_call *call = &node->call;
    const deep_attr *attr = call->attr;
    update_arguments a = {.tensors = count,
                          .hyper = call->src[2],
                          .norm = call->src[3],
                          .momentum = (float)attr->update.beta1,
                          .rho = (float)attr->update.beta2,
                          .keep1 = (float)(1 - attr->update.beta1),
                          .keep2 = (float)(1 - attr->update.beta2),
                          .epsilon = (float)attr->update.epsilon,
                          .clip = (float)attr->update.clip,
                          .nesterov = attr->update.nesterov,
                          .amsgrad = attr->update.amsgrad};
    uint32_t blocks = 0;
    for (int32_t i = 0; i < count; ++i) {
        a.first_block[i] = blocks;
        a.tensor[i] = tensor_of(&node[i].call);
        blocks += (uint32_t)((a.tensor[i].count + UPDATE_SPAN - 1) / UPDATE_SPAN);
    }
    const kernel_grid grid = {blocks, 1, KERNEL_THREADS, deep__accelerator_stream(node->accelerator)};
    if (call->node->op == DEEP_OP_UPDATE_SGD)
        deep__kernel_update_sgd(&a, grid);
    else if (call->node->op == DEEP_OP_UPDATE_RMSPROP)
        deep__kernel_update_rmsprop(&a, grid);
    else
        deep__kernel_update_adam(&a, grid);
    return DEEP_OK;
}
