/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/cpu_widen.h"

#include <stdio.h>

struct deep_plan {
    deep_host host;
    const cpu_kernels *kernels;
    cpu_node *nodes;
    int32_t count;
    int32_t threads;
};

/* ---- instruction sets ---- */

static int32_t best_isa(void)
{
#ifdef DEEP_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
        if (!__builtin_cpu_supports("avx512vnni")) return DEEP_ISA_AVX512;
        return __builtin_cpu_supports("avx512bf16") ? DEEP_ISA_AVX512_BF16 : DEEP_ISA_AVX512_VNNI;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return DEEP_ISA_AVX2;
#endif
    return DEEP_ISA_BASELINE;
}

static const struct {
    const char *name;
    const cpu_kernels *kernels;
} instruction_sets[] = {
    [DEEP_ISA_BASELINE] = {"baseline", &deep__kernels_baseline},
#ifdef DEEP_X86
    [DEEP_ISA_AVX2] = {"AVX2", &deep__kernels_avx2},
    [DEEP_ISA_AVX512] = {"AVX-512", &deep__kernels_avx512},
    [DEEP_ISA_AVX512_VNNI] = {"AVX-512 VNNI", &deep__kernels_avx512_vnni},
    [DEEP_ISA_AVX512_BF16] = {"AVX-512 VNNI and BF16", &deep__kernels_avx512_vnni},
#endif
};

/*
 * The fastest the processor has, or the best up to `cap`. Without AMX, Intel's bf16 dot products have half the rate of
 * float's multiply-adds (measured on Emerald Rapids: bench_peak), AMD's the double one.
 */
static int32_t choose_isa(int32_t cap)
{
    const int32_t best = best_isa();
#ifdef DEEP_X86
    if (cap == DEEP_ISA_AUTO && best == DEEP_ISA_AVX512_BF16 && __builtin_cpu_is("intel")) return DEEP_ISA_AVX512_VNNI;
#endif
    return cap == DEEP_ISA_AUTO || cap > best ? best : cap;
}

static int32_t describe(int32_t isa, char *text, size_t size)
{
    char version[32];
    deep__onednn_version(version, sizeof version);
    snprintf(text, size, "oneDNN %s, %s kernels", version, instruction_sets[choose_isa(isa)].name);
    return 1;
}

static deep_status open_device(const deep_host *host, int32_t isa)
{
    return deep__onednn_cap_isa(host, isa);
}

/* ---- plans ---- */

static bool has_f16(const deep_graph *graph, const deep_node *node)
{
    bool found = false;
    for (int32_t i = 0; i < node->input_count; ++i)
        found = found || graph->values[node->inputs[i]].dtype == DEEP_DTYPE_F16;
    for (int32_t i = 0; i < node->output_count; ++i)
        found = found || graph->values[node->outputs[i]].dtype == DEEP_DTYPE_F16;
    return found;
}

static bool supports(const deep_graph *graph, const deep_node *node)
{
    return graph->real == DEEP_DTYPE_F32 && deep__cpu_ops[node->op].run != NULL && !has_f16(graph, node);
}

static deep_status prepare_node(cpu_node *node, const deep_graph *graph, const deep_node *source, const deep_host *host)
{
    if (has_f16(graph, source))
        return host->fail(host->user, DEEP_ERROR_UNSUPPORTED,
                          "the cpu backend computes nothing in fp16; bf16 takes as little memory");
    if (!supports(graph, source)) {
        char text[96];
        snprintf(text, sizeof text, "the cpu backend has no %s of this type", deep__op_name(source->op));
        return host->fail(host->user, DEEP_ERROR_UNSUPPORTED, text);
    }
    deep__call_describe(&node->call, graph, source);
    node->op = &deep__cpu_ops[source->op];
    const bool alike = node->call.node->input_count > 0 && node->call.node->output_count > 0 &&
                       node->call.in[0]->dtype == node->call.out[0]->dtype;
    if (!node->op->bf16 || !alike) DEEP_TRY(deep__cpu_widen(node, host));
    DEEP_TRY(node->op->prepare != NULL ? node->op->prepare(node, host) : DEEP_OK);
    return node->joined > 0 && !source->joined ? deep__cpu_chain_prepare(node, host) : DEEP_OK;
}

static size_t scratch_of(const cpu_node *node)
{
    if (node->call.node->joined) return 0;
    if (node->joined > 0) return deep__cpu_chain_scratch(node);
    return node->op->scratch != NULL ? node->op->scratch(node) : 0;
}

static void plan_free(deep_plan *plan)
{
    if (plan == NULL) return;
    const deep_host host = plan->host;
    for (int32_t i = 0; i < plan->count; ++i) {
        deep__onednn_conv_free(plan->nodes[i].conv);
        host.free(host.user, plan->nodes[i].widened);
    }
    host.free(host.user, plan->nodes);
    host.free(host.user, plan);
}

static deep_status plan_create(deep_plan **out, size_t *scratch, const deep_graph *graph,
                               const deep_plan_options *options, const deep_host *host)
{
    *out = NULL;
    *scratch = 0;
    deep_plan *plan = host->alloc(host->user, sizeof *plan);
    if (plan == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    const int32_t isa = choose_isa(options->isa);
    *plan = (deep_plan){.host = *host, .threads = options->threads, .kernels = instruction_sets[isa].kernels};
    const size_t count = (size_t)graph->node_count;
    plan->nodes = host->alloc(host->user, (count + 1) * sizeof *plan->nodes);
    deep_status status = plan->nodes == NULL ? DEEP_ERROR_OUT_OF_MEMORY : DEEP_OK;
    for (size_t i = 0; i < count && status == DEEP_OK; ++i) {
        cpu_node *node = &plan->nodes[plan->count++];
        *node = (cpu_node){.kernels = plan->kernels, .threads = plan->threads, .packed = options->packed};
        node->bf16_dot = isa == DEEP_ISA_AVX512_BF16;
        if (i > 0 && graph->nodes[i - 1].joined) node->joined = node[-1].joined + 1;
        status = prepare_node(node, graph, &graph->nodes[i], host);
        const size_t bytes = (status == DEEP_OK ? scratch_of(node) : 0) + deep__cpu_activation_bytes(node);
        if (bytes > *scratch) *scratch = bytes;
    }
    if (status != DEEP_OK) {
        plan_free(plan);
        return status;
    }
    *out = plan;
    return DEEP_OK;
}

static deep_status plan_run(deep_plan *plan, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end)
{
    const int32_t team = deep__cpu_team(plan->threads);
    deep_status status = DEEP_OK;
    for (int32_t i = first; i < end && status == DEEP_OK; ++i) {
        cpu_node *node = &plan->nodes[i];
        deep__call_resolve(&node->call, base);
        if (node->call.node->joined) continue; /* until the last of them */
        const cpu_run run = {&node->call, plan->kernels, &plan->host, node, plan->threads};
        status = node->joined > 0        ? deep__cpu_chain(&run)
                 : node->widened != NULL ? deep__cpu_run_widened(&run)
                                         : node->op->run(&run);
    }
    deep__cpu_team(team);
    return status;
}

static void pack(int32_t isa, const deep_packing *p, void *to, const void *from, bool back)
{
    const cpu_kernels *k = instruction_sets[choose_isa(isa)].kernels;
    if (p->dtype == DEEP_DTYPE_BF16)
        (back ? k->unpack_bf16 : k->pack_bf16)(to, from, p->inner, p->columns);
    else if (p->dtype != DEEP_DTYPE_I8)
        (back ? k->unpack : k->pack)(to, from, p->inner, p->columns);
    else if (back)
        k->unpack_i8(to, from, p->inner, p->columns);
    else
        k->pack_i8(to, from, p->inner, p->columns, p->zero, p->channels);
}

const deep_backend *deep__backend_cpu(void);
const deep_backend *deep__backend_cpu(void)
{
    static const deep_backend backend = {
        .struct_size = sizeof(deep_backend),
        .name = "cpu",
        .describe = describe,
        .open = open_device,
        .supports = supports,
        .plan_create = plan_create,
        .plan_run = plan_run,
        .plan_free = plan_free,
        .pack = pack,
        .joins = true,
    };
    return &backend;
}
