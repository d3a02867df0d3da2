/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ops that compute in float32 alone see widened copies, in scratch, of operands that are stored as halves, and what they
 * write is rounded behind them. What large networks spend their time in takes halves as they are (deep__cuda_ops).
 */
#include "backend_cuda/cuda.h"

struct cuda_widened {
    const deep_value_info *stored_in[DEEP_NODE_INPUTS], *stored_out[DEEP_NODE_OUTPUTS]; /* how they stand in memory */
    deep_value_info in[DEEP_NODE_INPUTS], out[DEEP_NODE_OUTPUTS];                       /* as the op sees them */
};

static bool has_halves(const deep_call *call)
{
    for (int32_t i = 0; i < call->node->input_count; ++i)
        if (cuda_is_half(call->in[i]->dtype)) return true;
    for (int32_t i = 0; i < call->node->output_count; ++i)
        if (cuda_is_half(call->out[i]->dtype)) return true;
    return false;
}

/* `*seen` becomes `wide`, a copy in float32 of what is stored as halves. */
static void see_wide(const deep_value_info **seen, deep_value_info *wide, const deep_value_info **stored)
{
    *stored = *seen;
    if (!cuda_is_half((*seen)->dtype)) return;
    *wide = **seen;
    wide->dtype = DEEP_DTYPE_F32;
    wide->bytes = (size_t)cuda_elements(wide) * sizeof(float);
    *seen = wide;
}

deep_status deep__cuda_widen(cuda_node *node, const deep_host *host)
{
    deep_call *call = &node->call;
    if (!has_halves(call) || (node->op->takes != NULL && node->op->takes(call))) return DEEP_OK;
    cuda_widened *w = host->alloc(host->user, sizeof *w);
    if (w == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    node->widened = w;
    for (int32_t i = 0; i < call->node->input_count; ++i)
        see_wide(&call->in[i], &w->in[i], &w->stored_in[i]);
    for (int32_t i = 0; i < call->node->output_count; ++i)
        see_wide(&call->out[i], &w->out[i], &w->stored_out[i]);
    return DEEP_OK;
}

/* Bytes of the copy of a value that is stored so; 0 when there is none. */
static size_t copy_bytes(const deep_value_info *stored)
{
    return cuda_is_half(stored->dtype) ? cuda_room(cuda_elements(stored), DEEP_DTYPE_F32) : 0;
}

size_t deep__cuda_widened_bytes(const cuda_node *node)
{
    size_t bytes = 0;
    if (node->widened == NULL) return 0;
    for (int32_t i = 0; i < node->call.node->input_count; ++i)
        bytes += copy_bytes(node->widened->stored_in[i]);
    for (int32_t i = 0; i < node->call.node->output_count; ++i)
        bytes += copy_bytes(node->widened->stored_out[i]);
    return bytes;
}

deep_status deep__cuda_run_widened(const cuda_node *node)
{
    const cuda_widened *w = node->widened;
    const deep_call *call = &node->call;
    cuda_node inner = *node;
    char *scratch = call->scratch;
    for (int32_t i = 0; i < call->node->input_count; ++i) {
        if (copy_bytes(w->stored_in[i]) == 0) continue;
        deep__cuda_convert(node, scratch, DEEP_DTYPE_F32, call->src[i], w->stored_in[i]->dtype,
                           cuda_elements(w->stored_in[i]));
        inner.call.src[i] = scratch;
        scratch += copy_bytes(w->stored_in[i]);
    }
    for (int32_t i = 0; i < call->node->output_count; ++i) {
        if (copy_bytes(w->stored_out[i]) == 0) continue;
        inner.call.dst[i] = scratch;
        scratch += copy_bytes(w->stored_out[i]);
    }
    inner.call.scratch = scratch;
    DEEP_TRY(node->op->run(&inner));
    for (int32_t i = 0; i < call->node->output_count; ++i)
        if (copy_bytes(w->stored_out[i]) != 0)
            deep__cuda_convert(node, call->dst[i], w->stored_out[i]->dtype, inner.call.dst[i], DEEP_DTYPE_F32,
                               cuda_elements(w->stored_out[i]));
    return DEEP_OK;
}
