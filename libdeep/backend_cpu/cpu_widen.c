/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/cpu_widen.h"

#include <string.h>

enum { GRAIN = 1 << 14, OPERANDS = DEEP_NODE_INPUTS + DEEP_NODE_OUTPUTS };

struct cpu_widened {
    deep_value_info info[OPERANDS]; /* inputs, then outputs: what the op sees */
    bool narrow[OPERANDS];          /* stored as bfloat16 */
    size_t offset[OPERANDS];        /* of the floats in scratch */
    size_t bytes;
};

/* Activations are; kernels of that type, which stand elsewhere, are packed as their ops want them. */
static bool is_narrow(const deep_value_info *info)
{
    return info->dtype == DEEP_DTYPE_BF16 && info->segment == DEEP_SEGMENT_ARENA;
}

static void widen_operand(cpu_widened *w, int32_t k, const deep_value_info **info)
{
    w->info[k] = **info;
    w->narrow[k] = is_narrow(*info);
    if (w->narrow[k]) {
        w->info[k].dtype = DEEP_DTYPE_F32;
        w->info[k].bytes *= 2;
        w->offset[k] = w->bytes;
        w->bytes += (w->info[k].bytes + 63) / 64 * 64;
    }
    *info = &w->info[k];
}

deep_status deep__cpu_widen(cpu_node *node, const deep_host *host)
{
    deep_call *call = &node->call;
    bool any = false;
    for (int32_t k = 0; k < call->node->input_count; ++k)
        any = any || is_narrow(call->in[k]);
    for (int32_t k = 0; k < call->node->output_count; ++k)
        any = any || is_narrow(call->out[k]);
    if (!any) return DEEP_OK;
    cpu_widened *w = host->alloc(host->user, sizeof *w);
    if (w == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    memset(w, 0, sizeof *w);
    node->widened = w;
    for (int32_t k = 0; k < call->node->input_count; ++k)
        widen_operand(w, k, &call->in[k]);
    for (int32_t k = 0; k < call->node->output_count; ++k)
        widen_operand(w, DEEP_NODE_INPUTS + k, &call->out[k]);
    return DEEP_OK;
}

size_t deep__cpu_activation_bytes(const cpu_node *node)
{
    return node->widened == NULL ? 0 : node->widened->bytes;
}

typedef struct copy_call {
    const cpu_kernels *kernels;
    float *floats;
    uint16_t *halves;
    int64_t count;
} copy_call;

static void load_part(const void *context, int64_t part)
{
    const copy_call *c = context;
    const int64_t at = part * GRAIN;
    c->kernels->load_bf16(c->floats + at, c->halves + at, cpu_part_end(part, GRAIN, c->count) - at);
}

static void store_part(const void *context, int64_t part)
{
    const copy_call *c = context;
    const int64_t at = part * GRAIN;
    c->kernels->round_bf16(c->halves + at, c->floats + at, cpu_part_end(part, GRAIN, c->count) - at);
}

static void copy_operand(const cpu_run *run, int32_t k, void *halves, cpu_task task)
{
    const cpu_widened *w = run->node->widened;
    const copy_call c = {run->kernels, (float *)(void *)((char *)run->call->scratch + w->offset[k]), halves,
                         deep__value_elements(&w->info[k])};
    deep__cpu_parallel(run->threads, cpu_parts(c.count, GRAIN), task, &c);
}

deep_status deep__cpu_run_widened(const cpu_run *run)
{
    const cpu_widened *w = run->node->widened;
    char *scratch = run->call->scratch;
    deep_call wide = *run->call;
    wide.scratch = scratch + w->bytes;
    for (int32_t k = 0; k < wide.node->input_count; ++k) {
        if (!w->narrow[k]) continue;
        copy_operand(run, k, run->call->src[k], load_part);
        wide.src[k] = scratch + w->offset[k];
    }
    for (int32_t k = 0; k < wide.node->output_count; ++k)
        if (w->narrow[DEEP_NODE_INPUTS + k]) wide.dst[k] = scratch + w->offset[DEEP_NODE_INPUTS + k];
    cpu_run widened = *run;
    widened.call = &wide;
    DEEP_TRY(run->node->op->run(&widened));
    for (int32_t k = 0; k < wide.node->output_count; ++k)
        if (w->narrow[DEEP_NODE_INPUTS + k]) copy_operand(run, DEEP_NODE_INPUTS + k, run->call->dst[k], store_part);
    return DEEP_OK;
}
