/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda.h"
#include "backend_cuda/cuda_replay.h"

#include <stdio.h>

struct deep_plan {
    deep_host host;
    deep_accelerator *accelerator;
    cuda_node *nodes;
    int32_t count;
    int32_t fused; /* as the option */
    cuda_replays replays;
};

static const char *const op_names[DEEP_OP_COUNT] = {
#define OP(enumerator, name, inputs, outputs, in_place) [DEEP_OP_##enumerator] = name,
#include "graph/ops.def"
#undef OP
};

/* ---- what can be computed ---- */

/* Floats, halves, and labels, counters and indices. Threads count elements in 32 bits. */
static bool is_known(const deep_value_info *value)
{
    const bool type = value->dtype == DEEP_DTYPE_F32 || cuda_is_half(value->dtype) || value->dtype == DEEP_DTYPE_I32 ||
                      value->dtype == DEEP_DTYPE_I64 || value->dtype == DEEP_DTYPE_U8;
    return type && cuda_elements(value) <= UINT32_MAX;
}

static bool fits(const deep_call *call)
{
    const cuda_op *op = &deep__cuda_ops[call->node->op];
    for (int32_t i = 0; i < call->node->input_count; ++i)
        if (!is_known(call->in[i])) return false;
    for (int32_t i = 0; i < call->node->output_count; ++i)
        if (!is_known(call->out[i])) return false;
    return (op->run != NULL || op->run_many != NULL) && (op->fits == NULL || op->fits(call));
}

bool deep__cuda_supports(const deep_graph *graph, const deep_node *node)
{
    deep_call call;
    deep__call_describe(&call, graph, node);
    return graph->real == DEEP_DTYPE_F32 && fits(&call);
}

/* ---- plans ---- */

void deep__cuda_plan_free(deep_plan *plan)
{
    if (plan == NULL) return;
    const deep_host host = plan->host;
    int32_t before;
    if (deep__accelerator_enter(plan->accelerator, &before) == DEEP_OK) {
        deep__cuda_free_runs(&plan->replays);
        deep__accelerator_leave(plan->accelerator, before);
    }
    for (int32_t i = 0; i < plan->count; ++i) {
        deep__convolution_free(plan->nodes[i].convolution);
        host.free(host.user, plan->nodes[i].widened);
        for (int k = 0; k < CUDA_PRODUCTS; ++k)
            deep__product_free(plan->nodes[i].products[k]);
    }
    host.free(host.user, plan->nodes);
    host.free(host.user, plan);
}

/*
 * Bytes of scratch that the node needs: widened copies, then the op's own, then those of its libraries, which work one after
 * the other.
 */
static size_t place_workspace(cuda_node *node)
{
    size_t libraries = node->convolution == NULL ? 0 : deep__convolution_workspace(node->convolution);
    node->workspace = node->op->scratch == NULL ? 0 : cuda_align(node->op->scratch(&node->call));
    for (int k = 0; k < CUDA_PRODUCTS; ++k) {
        const size_t bytes = node->products[k] == NULL ? 0 : deep__product_workspace(node->products[k]);
        if (bytes > libraries) libraries = bytes;
    }
    return deep__cuda_widened_bytes(node) + node->workspace + libraries;
}

static deep_status prepare_node(deep_plan *plan, const deep_graph *graph, const deep_node *source, size_t *scratch)
{
    cuda_node *node = &plan->nodes[plan->count++];
    *node =
        (cuda_node){.op = &deep__cuda_ops[source->op], .accelerator = plan->accelerator, .wants_fused = plan->fused};
    deep__call_describe(&node->call, graph, source);
    if (graph->real != DEEP_DTYPE_F32 || !fits(&node->call)) {
        char text[128];
        snprintf(text, sizeof text, "the cuda backend has no %s of this type or size", op_names[source->op]);
        return plan->host.fail(plan->host.user, DEEP_ERROR_UNSUPPORTED, text);
    }
    DEEP_TRY(deep__cuda_widen(node, &plan->host));
    if (node->op->prepare != NULL) DEEP_TRY(node->op->prepare(node));
    node->scratch_bytes = place_workspace(node);
    if (node->scratch_bytes > *scratch) *scratch = node->scratch_bytes;
    return DEEP_OK;
}

static deep_status prepare_nodes(deep_plan *plan, const deep_graph *graph, size_t *scratch)
{
    int32_t before;
    deep_status status = DEEP_OK;
    DEEP_TRY(deep__accelerator_enter(plan->accelerator, &before));
    for (int32_t i = 0; i < graph->node_count && status == DEEP_OK; ++i)
        status = prepare_node(plan, graph, &graph->nodes[i], scratch);
    deep__accelerator_leave(plan->accelerator, before);
    return status;
}

static void tell_fused(const deep_plan *plan)
{
    int32_t all = 0, fused = 0;
    char text[96];
    for (int32_t i = 0; i < plan->count; ++i) {
        const bool is_separable = plan->nodes[i].call.node->op == DEEP_OP_SEPARABLE;
        all += is_separable;
        fused += is_separable && plan->nodes[i].fused;
    }
    if (all == 0) return; /* one that folds the norms, say */
    snprintf(text, sizeof text, "cuda: %d of %d separable convolutions are one kernel", (int)fused, (int)all);
    plan->host.log(plan->host.user, DEEP_LOG_INFO, text);
}

deep_status deep__cuda_plan_create(deep_plan **out, size_t *scratch, const deep_graph *graph,
                                   const deep_plan_options *options, const deep_host *host)
{
    *out = NULL;
    *scratch = 0;
    deep_plan *plan = host->alloc(host->user, sizeof *plan);
    if (plan == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    *plan = (deep_plan){.host = *host, .accelerator = options->accelerator, .fused = options->fused};
    plan->replays.off = options->plain || options->accelerator == NULL;
    plan->nodes = host->alloc(host->user, ((size_t)graph->node_count + 1) * sizeof *plan->nodes);
    deep_status status = plan->nodes == NULL ? DEEP_ERROR_OUT_OF_MEMORY : prepare_nodes(plan, graph, scratch);
    if (status != DEEP_OK) {
        deep__cuda_plan_free(plan);
        return status;
    }
    if (plan->fused != 0) tell_fused(plan);
    *out = plan;
    return DEEP_OK;
}

void deep__cuda_plan_scratch(const deep_plan *plan, size_t *bytes)
{
    for (int32_t i = 0; i < plan->count; ++i)
        bytes[i] = plan->nodes[i].scratch_bytes;
}

void deep__cuda_plan_place(deep_plan *plan, const size_t *offsets)
{
    for (int32_t i = 0; i < plan->count; ++i)
        plan->nodes[i].scratch_offset = offsets[i];
}

static void resolve(cuda_node *node, void *const base[DEEP_SEGMENT_COUNT])
{
    deep__call_resolve(&node->call, base);
    if (node->scratch_bytes != 0) node->call.scratch = (char *)base[DEEP_SEGMENT_SCRATCH] + node->scratch_offset;
}

static deep_status run_node(const cuda_node *node, int32_t together)
{
    if (node->widened != NULL) return deep__cuda_run_widened(node);
    return node->op->run_many != NULL ? node->op->run_many(node, together) : node->op->run(node);
}

static deep_status run_nodes(deep_plan *plan, int32_t first, int32_t end)
{
    int32_t together;
    for (int32_t i = first; i < end; i += together) {
        const cuda_node *node = &plan->nodes[i];
        together = node->op->together == NULL ? 1 : node->op->together(node, end - i);
        DEEP_TRY(run_node(node, together));
        DEEP_TRY(deep__accelerator_check(plan->accelerator, op_names[node->call.node->op]));
    }
    return DEEP_OK;
}

/* Records nodes that have run before, and queues them; where that fails, one by one as before. */
static deep_status record(deep_plan *plan, cuda_run *run)
{
    deep_status status = deep__recording_begin(plan->accelerator);
    if (status == DEEP_OK) {
        const deep_status queued = run_nodes(plan, run->first, run->end);
        status = deep__recording_end(plan->accelerator, &run->recording);
        if (queued != DEEP_OK) status = queued;
    }
    if (status == DEEP_OK) {
        plan->host.log(plan->host.user, DEEP_LOG_DEBUG, "cuda: a run is recorded");
        return deep__recording_replay(run->recording);
    }
    plan->host.log(plan->host.user, DEEP_LOG_INFO, "cuda: runs cannot be recorded, kernels are queued one by one");
    const int32_t first = run->first, end = run->end;
    deep__cuda_free_runs(&plan->replays); /* and never tries again */
    return run_nodes(plan, first, end);
}

static deep_status run_or_replay(deep_plan *plan, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end)
{
    cuda_run *run = deep__cuda_find_run(&plan->replays, base, first, end);
    if (run != NULL && run->recording != NULL) return deep__recording_replay(run->recording);
    for (int32_t i = first; i < end; ++i)
        resolve(&plan->nodes[i], base);
    return run == NULL || run->times == 1 ? run_nodes(plan, first, end) : record(plan, run);
}

deep_status deep__cuda_plan_run(deep_plan *plan, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end)
{
    int32_t before;
    DEEP_TRY(deep__accelerator_enter(plan->accelerator, &before));
    const deep_status status = run_or_replay(plan, base, first, end);
    deep__accelerator_leave(plan->accelerator, before);
    return status;
}
