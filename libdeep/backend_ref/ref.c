/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_ref/ref.h"

#include <stdio.h>

struct deep_plan {
    const deep_graph *graph;
    deep_host host;
};

static const ref_kernel kernels[DEEP_OP_COUNT] = {
#define OP(enumerator, name, inputs, outputs, in_place) [DEEP_OP_##enumerator] = REF_NAME(enumerator),
#include "graph/ops.def"
#undef OP
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
    return graph->real == DEEP_REF_REAL && kernels[node->op] != NULL;
}

static deep_status plan_create(deep_plan **out, size_t *scratch, const deep_graph *graph,
                               const deep_plan_options *options, const deep_host *host)
{
    (void)options;
    *out = NULL;
    *scratch = 0;
    for (int32_t i = 0; i < graph->node_count; ++i) {
        char text[96];
        if (supports(graph, &graph->nodes[i])) continue;
        snprintf(text, sizeof text, "the reference backend has no %s of this type", deep__op_name(graph->nodes[i].op));
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
        kernels[node->op](&call);
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
        sizeof(deep_backend), "ref", describe, open_device, supports, plan_create, plan_run, plan_free,
    };
    return &backend;
}
