/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda.h"
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shim_plan {
    deep_plan *plan;
    deep_accelerator *accelerator;
} shim_plan;

static const char *const op_names[DEEP_OP_COUNT] = {
#define OP(enumerator, name, inputs, outputs, in_place) [DEEP_OP_##enumerator] = name,
#include "graph/ops.def"
#undef OP
};

static int32_t describe(int32_t isa, char *text, size_t size)
{
    (void)isa;
    return deep__cuda_accelerators.count(text, size) > 0 && deep__cuda_accelerators.describe(0, text, size);
}

static deep_status open_device(const deep_host *host, int32_t isa)
{
    (void)host;
    (void)isa;
    return DEEP_OK;
}

/* FAKE_GPU_LACKS names an op that this device has not. */
static bool is_lacking(const deep_node *node)
{
    const char *lacks = getenv("FAKE_GPU_LACKS");
    return lacks != NULL && strcmp(lacks, op_names[node->op]) == 0;
}

static bool supports(const deep_graph *graph, const deep_node *node)
{
    return !is_lacking(node) && deep__cuda_supports(graph, node);
}

static deep_status plan_create(deep_plan **out, size_t *scratch, const deep_graph *graph,
                               const deep_plan_options *options, const deep_host *host)
{
    shim_plan *shim = malloc(sizeof *shim);
    *out = NULL;
    for (int32_t i = 0; i < graph->node_count; ++i)
        if (is_lacking(&graph->nodes[i])) {
            free(shim);
            return host->fail(host->user, DEEP_ERROR_UNSUPPORTED, "the cuda backend has no op that it is to lack");
        }
    if (shim == NULL) return host->fail(host->user, DEEP_ERROR_OUT_OF_MEMORY, "out of memory: a plan");
    shim->accelerator = options->accelerator;
    const deep_status status = deep__cuda_plan_create(&shim->plan, scratch, graph, options, host);
    if (status == DEEP_OK)
        *out = (deep_plan *)shim;
    else
        free(shim);
    return status;
}

/* A device reads nothing but its own memory. */
static deep_status plan_run(deep_plan *plan, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end)
{
    shim_plan *shim = (shim_plan *)plan;
    for (int s = 0; s < DEEP_SEGMENT_COUNT && shim->accelerator != NULL; ++s)
        if (base[s] != NULL && !shim_owns(shim->accelerator, base[s])) {
            fprintf(stderr, "segment %d is not memory of the device\n", s);
            abort();
        }
    return deep__cuda_plan_run(shim->plan, base, first, end);
}

static void plan_free(deep_plan *plan)
{
    if (plan == NULL) return;
    shim_plan *shim = (shim_plan *)plan;
    deep__cuda_plan_free(shim->plan);
    free(shim);
}

static void plan_scratch(const deep_plan *plan, size_t *bytes)
{
    deep__cuda_plan_scratch(((const shim_plan *)plan)->plan, bytes);
}

static void plan_place(deep_plan *plan, const size_t *offsets)
{
    deep__cuda_plan_place(((shim_plan *)plan)->plan, offsets);
}

const deep_backend *deep__backend_shim(void)
{
    static const deep_backend backend = {
        .struct_size = sizeof(deep_backend),
        .name = "cuda",
        .describe = describe,
        .open = open_device,
        .supports = supports,
        .plan_create = plan_create,
        .plan_run = plan_run,
        .plan_free = plan_free,
        .accelerators = &deep__cuda_accelerators,
        .plan_scratch = plan_scratch,
        .plan_place = plan_place,
    };
    return &backend;
}
