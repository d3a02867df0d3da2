/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_ref/ref.h"
#include "base/bf16.h"
#include "base/f16.h"

#include <stdio.h>

struct deep_plan {
    const deep_graph *graph;
    deep_host host;
};

typedef void (*kernel)(const deep_call *call);

static const kernel kernels[DEEP_OP_COUNT] = {
    [DEEP_OP_CONV2D] = REF_NAME(conv2d),
    [DEEP_OP_SEPARABLE] = REF_NAME(separable),
    [DEEP_OP_SEPARABLE_TRAIN] = REF_NAME(separable_train),
    [DEEP_OP_SEPARABLE_GRAD] = REF_NAME(separable_grad),
    [DEEP_OP_CONV2D_GRAD_INPUT] = REF_NAME(conv2d_grad_input),
    [DEEP_OP_CONV2D_GRAD_WEIGHTS] = REF_NAME(conv2d_grad_weights),
    [DEEP_OP_DEPTHWISE] = REF_NAME(depthwise),
    [DEEP_OP_DEPTHWISE_GRAD_INPUT] = REF_NAME(depthwise_grad_input),
    [DEEP_OP_DEPTHWISE_GRAD_WEIGHTS] = REF_NAME(depthwise_grad_weights),
    [DEEP_OP_BATCH_NORM_TRAIN] = REF_NAME(batch_norm_train),
    [DEEP_OP_BATCH_NORM_GRAD] = REF_NAME(batch_norm_grad),
    [DEEP_OP_BATCH_NORM_INFER] = REF_NAME(batch_norm_infer),
    [DEEP_OP_BATCH_NORM_INFER_GRAD] = REF_NAME(batch_norm_infer_grad),
    [DEEP_OP_BATCH_NORM_FOLD] = HOST_NAME(batch_norm_fold),
    [DEEP_OP_STATISTICS_UPDATE] = HOST_NAME(statistics_update),
    [DEEP_OP_RELU] = REF_NAME(relu),
    [DEEP_OP_RELU_GRAD] = REF_NAME(relu_grad),
    [DEEP_OP_MAX_POOL] = REF_NAME(max_pool),
    [DEEP_OP_MAX_POOL_GRAD] = REF_NAME(max_pool_grad),
    [DEEP_OP_GLOBAL_AVERAGE_POOL] = REF_NAME(global_average_pool),
    [DEEP_OP_GLOBAL_AVERAGE_POOL_GRAD] = REF_NAME(global_average_pool_grad),
    [DEEP_OP_DENSE] = REF_NAME(dense),
    [DEEP_OP_DENSE_GRAD_INPUT] = REF_NAME(dense_grad_input),
    [DEEP_OP_DENSE_GRAD_WEIGHTS] = REF_NAME(dense_grad_weights),
    [DEEP_OP_ADD] = REF_NAME(add),
    [DEEP_OP_DROPOUT] = HOST_NAME(dropout),
    [DEEP_OP_SOFTMAX] = HOST_NAME(softmax),
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY] = HOST_NAME(softmax_cross_entropy),
    [DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD] = HOST_NAME(softmax_cross_entropy_grad),
    [DEEP_OP_L2_PENALTY] = REF_NAME(l2_penalty),
    [DEEP_OP_L2_GRAD] = REF_NAME(l2_grad),
    [DEEP_OP_SCALE] = HOST_NAME(scale),
    [DEEP_OP_GRADIENT_NORM] = REF_NAME(gradient_norm),
    [DEEP_OP_UPDATE_SGD] = REF_NAME(update_sgd),
    [DEEP_OP_UPDATE_RMSPROP] = REF_NAME(update_rmsprop),
    [DEEP_OP_UPDATE_ADAM] = REF_NAME(update_adam),
    [DEEP_OP_CAST] = HOST_NAME(cast),
    [DEEP_OP_REORDER] = HOST_NAME(reorder),
    [DEEP_OP_FILL] = HOST_NAME(fill),
    [DEEP_OP_REDUCE_SUM] = REF_NAME(reduce_sum),
    [DEEP_OP_BROADCAST_ROWS] = HOST_NAME(broadcast_rows),
    [DEEP_OP_FINITE_CHECK] = HOST_NAME(finite_check),
};

static int32_t describe(int32_t isa, char *text, size_t size)
{
    (void)isa;
    snprintf(text, size, "plain C reference, one thread");
    return 1;
}

static deep_status open_device(const deep_host *host, int32_t isa)
{
    (void)host;
    (void)isa;
    return DEEP_OK;
}

static bool supports(const deep_graph *graph, const deep_node *node)
{
    return graph->real == DEEP_HOST_REAL && kernels[node->op] != NULL && !node->joined;
}

/* ---- activations stored as halves: widened before an op, rounded after it; kernels of such types are the ops' affair ---- */

static size_t widened_bytes(const deep_value_info *info)
{
    const bool half = info->dtype == DEEP_DTYPE_BF16 || info->dtype == DEEP_DTYPE_F16;
    return half && info->segment == DEEP_SEGMENT_ARENA ? (info->bytes * 2 + 63) / 64 * 64 : 0;
}

static size_t all_widened(const deep_call *call)
{
    size_t bytes = 0;
    for (int32_t k = 0; k < call->node->input_count; ++k)
        bytes += widened_bytes(call->in[k]);
    for (int32_t k = 0; k < call->node->output_count; ++k)
        bytes += widened_bytes(call->out[k]);
    return bytes;
}

/* What an op sees instead of an operand of halves; `scratch` moves behind its floats. */
static void *widen(deep_value_info *wide, const deep_value_info **info, void *data, bool read, char **scratch)
{
    float *floats = (float *)(void *)*scratch;
    if (widened_bytes(*info) == 0) return data;
    const uint16_t *halves = data;
    const bool bf16 = (*info)->dtype == DEEP_DTYPE_BF16;
    for (int64_t i = 0; i < deep__value_elements(*info) && read; ++i)
        floats[i] = bf16 ? deep__bf16_widen(halves[i]) : deep__f16_widen(halves[i]);
    *scratch += widened_bytes(*info);
    *wide = **info;
    wide->dtype = DEEP_DTYPE_F32;
    wide->bytes *= 2;
    *info = wide;
    return floats;
}

static void round_to(void *data, const deep_value_info *info, const float *floats)
{
    const bool bf16 = info->dtype == DEEP_DTYPE_BF16;
    for (int64_t i = 0; i < deep__value_elements(info); ++i)
        ((uint16_t *)data)[i] = bf16 ? deep__bf16_round(floats[i]) : deep__f16_round(floats[i]);
}

static void run_call(const deep_call *call)
{
    deep_call wide = *call;
    deep_value_info in[DEEP_NODE_INPUTS], out[DEEP_NODE_OUTPUTS];
    char *scratch = call->scratch;
    for (int32_t k = 0; k < call->node->input_count; ++k)
        wide.src[k] = widen(&in[k], &wide.in[k], call->src[k], true, &scratch);
    for (int32_t k = 0; k < call->node->output_count; ++k)
        wide.dst[k] = widen(&out[k], &wide.out[k], call->dst[k], false, &scratch);
    wide.scratch = scratch;
    kernels[call->node->op](&wide);
    for (int32_t k = 0; k < call->node->output_count; ++k)
        if (widened_bytes(call->out[k]) != 0) round_to(call->dst[k], call->out[k], wide.dst[k]);
}

static deep_status plan_create(deep_plan **out, size_t *scratch, const deep_graph *graph,
                               const deep_plan_options *options, const deep_host *host)
{
    (void)options;
    *out = NULL;
    *scratch = 0;
    for (int32_t i = 0; i < graph->node_count; ++i) {
        char text[96];
        deep_call call;
        deep__call_describe(&call, graph, &graph->nodes[i]);
        const size_t bytes = REF_NAME(separable_scratch)(&call) + all_widened(&call);
        if (bytes > *scratch) *scratch = bytes;
        if (supports(graph, &graph->nodes[i])) continue;
        snprintf(text, sizeof text, "the reference backend has no %s of this type%s", deep__op_name(graph->nodes[i].op),
                 graph->nodes[i].joined ? ", joined" : "");
        return host->fail(host->user, DEEP_ERROR_UNSUPPORTED, text);
    }
    deep_plan *plan = host->alloc(host->user, sizeof *plan);
    if (plan == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    *plan = (deep_plan){graph, *host};
    *out = plan;
    return DEEP_OK;
}

static deep_status plan_run(deep_plan *plan, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end)
{
    for (int32_t i = first; i < end; ++i) {
        const deep_node *node = &plan->graph->nodes[i];
        deep_call call;
        deep__call_describe(&call, plan->graph, node);
        deep__call_resolve(&call, base);
        run_call(&call);
    }
    return DEEP_OK;
}

static void plan_free(deep_plan *plan)
{
    if (plan == NULL) return;
    const deep_host host = plan->host;
    host.free(host.user, plan);
}

#ifdef DEEP_REF_DOUBLE
const deep_backend *deep__backend_ref_double(void);
const deep_backend *deep__backend_ref_double(void)
#else
const deep_backend *deep__backend_ref(void);
const deep_backend *deep__backend_ref(void)
#endif
{
    static const deep_backend backend = {
        .struct_size = sizeof(deep_backend),
        .name = "ref",
        .describe = describe,
        .open = open_device,
        .supports = supports,
        .plan_create = plan_create,
        .plan_run = plan_run,
        .plan_free = plan_free,
    };
    return &backend;
}
