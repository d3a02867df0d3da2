/* SPDX-License-Identifier: Apache-2.0 */
#include "op_graph.h"

#include "backend/loader.h"
#include "base/bf16.h"
#include "base/f16.h"
#include "base/rng.h"
#include "graph/autodiff.h"
#include "graph/memory_plan.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static deep_allocator allocator;

static deep_accelerator *accelerator; /* of the plugin that is tested */

static void *host_alloc(void *user, size_t size)
{
    (void)user;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void host_free(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static deep_status host_fail(void *user, deep_status status, const char *text)
{
    (void)user;
    return deep__fail(status, "%s", text);
}

static char last_log[128];

static void host_log(void *user, int32_t level, const char *text)
{
    (void)user;
    (void)level;
    snprintf(last_log, sizeof last_log, "%s", text);
}

const char *op_last_log(void)
{
    return last_log;
}

static const deep_host host = {sizeof host, NULL, host_alloc, host_free, host_fail, host_log};

const deep_backend *op_plugin(void)
{
    char reason[256];
    const char *file = getenv("DEEP_TEST_PLUGIN");
    if (file == NULL) return NULL;
    const deep_backend *backend = deep__load_plugin(file, reason, sizeof reason);
    ck_assert_msg(backend != NULL, "%s", reason);
    if (accelerator == NULL) assert_ok(backend->accelerators->open(&accelerator, 0, &host));
    return backend;
}

static void *bytes_of(const op_graph *g, deep_value value)
{
    const deep_value_info *info = deep__graph_value(&g->graph, value);
    return (char *)g->base[info->segment] + info->offset;
}

double op_graph_get(const op_graph *g, deep_value value, int64_t index)
{
    const void *data = bytes_of(g, value);
    switch (deep__graph_value(&g->graph, value)->dtype) {
    case DEEP_DTYPE_F64:
        return ((const double *)data)[index];
    case DEEP_DTYPE_U8:
        return ((const uint8_t *)data)[index];
    case DEEP_DTYPE_BF16:
        return (double)deep__bf16_widen(((const uint16_t *)data)[index]);
    case DEEP_DTYPE_F16:
        return (double)deep__f16_widen(((const uint16_t *)data)[index]);
    default:
        return (double)((const float *)data)[index];
    }
}

void op_graph_set(op_graph *g, deep_value value, int64_t index, double number)
{
    void *data = bytes_of(g, value);
    switch (deep__graph_value(&g->graph, value)->dtype) {
    case DEEP_DTYPE_F64:
        ((double *)data)[index] = number;
        break;
    case DEEP_DTYPE_BF16:
        ((uint16_t *)data)[index] = deep__bf16_round((float)number);
        break;
    case DEEP_DTYPE_F16:
        ((uint16_t *)data)[index] = deep__f16_round((float)number);
        break;
    default:
        ((float *)data)[index] = (float)number;
    }
}

int64_t op_graph_elements(const op_graph *g, deep_value value)
{
    return deep__value_elements(deep__graph_value(&g->graph, value));
}

static bool is_narrow(const op_input *input)
{
    return input->kind == OP_INPUT_BF16 || input->kind == OP_INPUT_F16 || input->kind == OP_INPUT_I8;
}

static void fill_input(op_graph *g, const op_case *c, int32_t k, int32_t classes)
{
    const deep_value value = g->inputs[k];
    if (is_narrow(&c->inputs[k])) return; /* filled by whoever packs it */
    for (int64_t i = 0; i < op_graph_elements(g, value); ++i) {
        const uint32_t word = deep__rng(7, DEEP_RNG_SYNTH, (uint64_t)i, (uint32_t)k).word[0];
        const double uniform = (double)deep__rng_uniform(word);
        if (c->inputs[k].kind == OP_INPUT_LABELS)
            ((int32_t *)bytes_of(g, value))[i] = (int32_t)deep__rng_below(word, (uint32_t)classes);
        else if (c->inputs[k].kind == OP_INPUT_COUNTER)
            ((int64_t *)bytes_of(g, value))[i] = 5 + i;
        else
            op_graph_set(g, value, i, c->inputs[k].kind == OP_INPUT_POSITIVE ? 0.5 + uniform : 2 * uniform - 1);
    }
}

/* Operands of the op that are kernels, as bits. */
static uint32_t kernels_of(deep_op op)
{
    if (op == DEEP_OP_SEPARABLE || op == DEEP_OP_SEPARABLE_TRAIN) return 1U << 1 | 1U << 2;
    return op == DEEP_OP_CONV2D || op == DEEP_OP_DEPTHWISE ? 1U << 1 : 0;
}

/* A copy in the arena, where store() can change its type, of an activation or its slope. */
static deep_value stored_copy(op_graph *g, deep_value value)
{
    const deep_attr attr = {.cast = {DEEP_DTYPE_F32}};
    if (deep__graph_value(&g->graph, value)->rank != 4) return value;
    return DEEP_GRAPH_ADD(&g->graph, DEEP_OP_CAST, &attr, value);
}

/* Stores what has four axes in the arena as `dtype`, but gradients of kernels. */
static bool store(op_graph *g, const op_case *c, int32_t dtype)
{
    bool weights[OP_VALUES] = {false}, any = false;
    for (int32_t k = 0; k < g->input_count; ++k)
        if ((kernels_of(c->op) >> k & 1) != 0 && g->gradients[k] != DEEP_NO_VALUE) weights[g->gradients[k]] = true;
    for (int32_t v = 0; v < g->graph.value_count; ++v) {
        deep_value_info *info = &g->graph.values[v];
        if (weights[v] || info->segment != DEEP_SEGMENT_ARENA || info->rank != 4 || info->dtype != DEEP_DTYPE_F32)
            continue;
        info->dtype = dtype;
        info->bytes /= 2;
        any = true;
    }
    return any;
}

static void add_gradient(op_graph *g, const op_case *c, bool stored)
{
    bool wanted[OP_VALUES] = {false};
    deep_value gradients[OP_VALUES];
    deep_value_info y = *deep__graph_value(&g->graph, g->output);
    g->dy = deep__graph_input(&g->graph, 7, y.dtype, y.rank, y.shape);
    for (int32_t k = 0; k < g->input_count; ++k) {
        const bool statistic = c->op == DEEP_OP_BATCH_NORM_INFER && k >= 3;
        wanted[g->inputs[k]] = !statistic && c->inputs[k].kind != OP_INPUT_COUNTER;
    }
    const deep_value dy = stored ? stored_copy(g, g->dy) : g->dy;
    assert_ok(deep__autodiff(&g->graph, g->output, dy, wanted, gradients));
    for (int32_t k = 0; k < g->input_count; ++k) {
        g->gradients[k] = wanted[g->inputs[k]] ? gradients[g->inputs[k]] : DEEP_NO_VALUE;
        if (g->gradients[k] != DEEP_NO_VALUE) g->graph.values[g->gradients[k]].keep = true;
    }
}

static int32_t dtype_of(enum op_input_kind kind, int32_t real)
{
    switch (kind) {
    case OP_INPUT_LABELS:
        return DEEP_DTYPE_I32;
    case OP_INPUT_COUNTER:
        return DEEP_DTYPE_I64;
    case OP_INPUT_BF16:
        return DEEP_DTYPE_BF16;
    case OP_INPUT_F16:
        return DEEP_DTYPE_F16;
    case OP_INPUT_I8:
        return DEEP_DTYPE_I8;
    default:
        return real;
    }
}

/* `stored`: the type of activations, or 0 for `real`; false when there are none. */
static bool build(op_graph *g, const op_case *c, int32_t real, int32_t stored, bool gradient)
{
    deep_attr attr = c->attr;
    if (c->op == DEEP_OP_FILL) attr.fill.dtype = real;
    if (c->op == DEEP_OP_CAST) attr.cast.dtype = real;
    for (int32_t k = 0; k < 7 && c->inputs[k].kind != OP_INPUT_NONE; ++k) {
        const int32_t dtype = dtype_of(c->inputs[k].kind, real);
        g->inputs[k] = deep__graph_input(&g->graph, k, dtype, c->inputs[k].rank, c->inputs[k].shape);
        g->input_count = k + 1;
    }
    deep_value operands[7];
    for (int32_t k = 0; k < g->input_count; ++k)
        operands[k] = stored == 0 || (kernels_of(c->op) >> k & 1) != 0 ? g->inputs[k] : stored_copy(g, g->inputs[k]);
    g->output = deep__graph_add(&g->graph, c->op, &attr, operands, g->input_count);
    assert_ok(g->graph.status);
    g->forward_end = g->graph.node_count;
    const deep_node *node = op_graph_node(g);
    for (int32_t k = 0; k < node->output_count; ++k)
        g->graph.values[node->outputs[k]].keep = true;
    if (gradient) add_gradient(g, c, stored != 0);
    if (stored != 0 && !store(g, c, stored)) return false;
    assert_ok(deep__memory_plan(&g->graph));
    return true;
}

static void make_segment(op_graph *g, int segment, size_t bytes)
{
    g->base[segment] = host_alloc(NULL, bytes);
    g->bytes[segment] = bytes;
    if (g->accelerator != NULL) assert_ok(g->backend->accelerators->alloc(g->accelerator, &g->device[segment], bytes));
}

static bool open_stored(op_graph *g, const op_case *c, const deep_backend *backend, int32_t real, int32_t stored,
                        const deep_plan_options *options, bool gradient)
{
    deep_plan_options placed = *options;
    *g = (op_graph){.dy = DEEP_NO_VALUE, .backend = backend};
    if (backend->accelerators != NULL) placed.accelerator = g->accelerator = accelerator;
    for (int32_t k = 0; k < 7; ++k)
        g->gradients[k] = DEEP_NO_VALUE;
    allocator = deep__allocator_default();
    deep__graph_init(&g->graph, &allocator, real);
    if (!build(g, c, real, stored, gradient)) {
        deep__graph_free(&g->graph);
        return false;
    }
    size_t scratch;
    assert_ok(backend->plan_create(&g->plan, &scratch, &g->graph, &placed, &host));
    make_segment(g, DEEP_SEGMENT_ARENA, g->graph.arena_bytes + 64);
    make_segment(g, DEEP_SEGMENT_SCRATCH, scratch + 64);
    memset(g->base[DEEP_SEGMENT_ARENA], 0xff,
           g->graph.arena_bytes); /* not a number: what is read before it is written shows */
    const int64_t classes = g->input_count > 0 ? deep__graph_value(&g->graph, g->inputs[0])->shape[1] : 0;
    for (int32_t k = 0; k < g->input_count; ++k) {
        /* whoever reads a packed kernel looks further */
        const deep_value_info *info = deep__graph_value(&g->graph, g->inputs[k]);
        const size_t packed = (size_t)deep__kernel_floats(info->dtype, info->rank, info->shape) * sizeof(float);
        make_segment(g, DEEP_SEGMENT_INPUT + k, (info->bytes > packed ? info->bytes : packed) + 64);
        fill_input(g, c, k, (int32_t)classes);
    }
    if (g->dy == DEEP_NO_VALUE) return true;
    make_segment(g, DEEP_SEGMENT_INPUT + 7, deep__graph_value(&g->graph, g->dy)->bytes);
    for (int64_t i = 0; i < op_graph_elements(g, g->dy); ++i)
        op_graph_set(g, g->dy, i,
                     2 * (double)deep__rng_uniform(deep__rng(8, DEEP_RNG_SYNTH, (uint64_t)i, 9).word[0]) - 1);
    return true;
}

static void open_with(op_graph *g, const op_case *c, const deep_backend *backend, int32_t real,
                      const deep_plan_options *options, bool gradient)
{
    open_stored(g, c, backend, real, 0, options, gradient);
}

bool op_graph_open_stored(op_graph *g, const op_case *c, const deep_backend *backend, int32_t dtype, bool gradient)
{
    const deep_plan_options options = {sizeof options, 1, DEEP_ISA_AUTO, false, NULL, false, 0};
    return open_stored(g, c, backend, DEEP_DTYPE_F32, dtype, &options, gradient);
}

bool op_graph_open_fused(op_graph *g, const op_case *c, const deep_backend *backend, int32_t dtype)
{
    const deep_plan_options options = {sizeof options, 1, DEEP_ISA_AUTO, false, NULL, false, 2};
    return open_stored(g, c, backend, DEEP_DTYPE_F32, dtype, &options, false);
}

void op_graph_open(op_graph *g, const op_case *c, const deep_backend *backend, int32_t real, int32_t threads,
                   int32_t isa, bool gradient)
{
    const deep_plan_options options = {sizeof options, threads, isa, false, NULL, false, 0};
    open_with(g, c, backend, real, &options, gradient);
}

/* The operand that is a kernel, or -1. */
static int32_t kernel_operand(const op_case *c)
{
    if (c->op == DEEP_OP_SEPARABLE) return 2;
    return c->op == DEEP_OP_CONV2D || c->op == DEEP_OP_DENSE ? 1 : -1;
}

static deep_packing packing_of(const op_input *kernel)
{
    deep_packing packing = {.dtype = dtype_of(kernel->kind, DEEP_DTYPE_F32), .inner = 1};
    for (int32_t axis = 0; axis + 1 < kernel->rank; ++axis)
        packing.inner *= kernel->shape[axis];
    packing.columns = kernel->shape[kernel->rank - 1];
    packing.channels = kernel->shape[kernel->rank - 2];
    return packing;
}

/* Packs `plain` into the graph's kernel, and sees that unpacking gives the same. */
static void pack_kernel(op_graph *g, int32_t k, const deep_packing *packing, const void *plain, int32_t isa)
{
    const size_t bytes = deep__graph_value(&g->graph, g->inputs[k])->bytes;
    void *kernel = bytes_of(g, g->inputs[k]), *back = host_alloc(NULL, bytes);
    if (g->backend->pack == NULL) {
        memcpy(kernel, plain, bytes);
    } else {
        g->backend->pack(isa, packing, kernel, plain, false);
        g->backend->pack(isa, packing, back, kernel, true);
        ck_assert_mem_eq(back, plain, bytes);
    }
    free(back);
}

bool op_graph_open_packed(op_graph *g, const op_case *c, const deep_backend *backend, int32_t threads, int32_t isa)
{
    const deep_plan_options options = {sizeof options, threads, isa, true, NULL, false, 0};
    const int32_t k = kernel_operand(c);
    if (k < 0 || c->op == DEEP_OP_DENSE || c->inputs[k].shape[0] != 1 || c->inputs[k].shape[1] != 1) return false;
    open_with(g, c, backend, DEEP_DTYPE_F32, &options, false);
    const deep_packing packing = packing_of(&c->inputs[k]);
    const size_t bytes = deep__graph_value(&g->graph, g->inputs[k])->bytes;
    float *plain = host_alloc(NULL, bytes);
    memcpy(plain, bytes_of(g, g->inputs[k]), bytes);
    pack_kernel(g, k, &packing, plain, isa);
    free(plain);
    return true;
}

/* ---- kernels of other types ---- */

static op_case narrow_case(const op_case *c, int32_t k, int32_t dtype)
{
    op_case narrow = *c;
    narrow.inputs[k].kind = dtype == DEEP_DTYPE_I8    ? OP_INPUT_I8
                            : dtype == DEEP_DTYPE_F16 ? OP_INPUT_F16
                                                      : OP_INPUT_BF16;
    if (dtype != DEEP_DTYPE_I8) return narrow;
    const int32_t at = c->op == DEEP_OP_DENSE ? k + 2 : k + 1, rank = c->inputs[k].rank;
    memmove(&narrow.inputs[at + 1], &c->inputs[at], (size_t)(6 - at) * sizeof c->inputs[0]);
    narrow.inputs[at] = (op_input){OP_INPUT_QUANTIZATION, 1, {0}};
    narrow.inputs[at].shape[0] = 2 * c->inputs[k].shape[rank - 2] + c->inputs[k].shape[rank - 1];
    return narrow;
}

static uint32_t word_at(int64_t i, uint32_t stream)
{
    return deep__rng(9, DEEP_RNG_SYNTH, (uint64_t)i, stream).word[0];
}

/* Quarters from -1 to 1 everywhere, so that a depthwise result is up to 144 sixteenths. */
static void fill_exact(op_graph *g, const op_case *c)
{
    for (int32_t k = 0; k < g->input_count; ++k)
        for (int64_t i = 0; i < op_graph_elements(g, g->inputs[k]) && !is_narrow(&c->inputs[k]); ++i)
            op_graph_set(g, g->inputs[k], i, (double)deep__rng_below(word_at(i, (uint32_t)k), 9) / 4 - 1);
}

static const float *fill_quantization(op_graph *g, deep_value value, const deep_packing *packing)
{
    float *q = bytes_of(g, value);
    for (int64_t i = 0; i < packing->channels; ++i) {
        q[i] = i % 3 == 0 ? 16 : 5;
        q[packing->channels + i] = (float)(90 + i % 7);
    }
    for (int64_t i = 0; i < packing->columns; ++i)
        q[2 * packing->channels + i] = (float)(1 + i % 5) / 8192;
    return q + packing->channels;
}

static void fill_kernel(void *plain, const deep_packing *packing)
{
    for (int64_t i = 0; i < packing->inner * packing->columns; ++i) {
        const int32_t number = (int32_t)deep__rng_below(word_at(i, 77), 255) - 127;
        if (packing->dtype == DEEP_DTYPE_I8)
            ((int8_t *)plain)[i] = (int8_t)number;
        else
            ((uint16_t *)plain)[i] = packing->dtype == DEEP_DTYPE_BF16 ? deep__bf16_round((float)number / 128)
                                                                       : deep__f16_round((float)number / 128);
    }
}

bool op_graph_open_narrow(op_graph *g, const op_case *c, const deep_backend *backend, int32_t dtype, int32_t threads,
                          int32_t isa)
{
    const deep_plan_options options = {sizeof options, threads, isa, true, NULL, false, 0};
    const int32_t k = kernel_operand(c);
    if (k < 0) return false;
    const op_case narrow = narrow_case(c, k, dtype);
    open_with(g, &narrow, backend, DEEP_DTYPE_F32, &options, false);
    fill_exact(g, &narrow);
    deep_packing packing = packing_of(&narrow.inputs[k]);
    for (int32_t i = 0; i < g->input_count; ++i)
        if (narrow.inputs[i].kind == OP_INPUT_QUANTIZATION) packing.zero = fill_quantization(g, g->inputs[i], &packing);
    void *plain = host_alloc(NULL, deep__graph_value(&g->graph, g->inputs[k])->bytes);
    fill_kernel(plain, &packing);
    pack_kernel(g, k, &packing, plain, isa);
    free(plain);
    return true;
}

void op_graph_close(op_graph *g)
{
    g->backend->plan_free(g->plan);
    for (int i = 0; i < DEEP_SEGMENT_COUNT; ++i) {
        if (g->accelerator != NULL) g->backend->accelerators->free(g->accelerator, g->device[i]);
        free(g->base[i]);
    }
    deep__graph_free(&g->graph);
}

void op_graph_run(op_graph *g, int32_t first, int32_t end)
{
    const deep_accelerators *a = g->backend->accelerators;
    void **base = g->accelerator != NULL ? g->device : g->base;
    for (int i = 0; i < DEEP_SEGMENT_COUNT && g->accelerator != NULL; ++i)
        if (g->base[i] != NULL) assert_ok(a->upload(g->accelerator, g->device[i], g->base[i], g->bytes[i]));
    assert_ok(g->backend->plan_run(g->plan, base, first, end));
    for (int i = 0; i < DEEP_SEGMENT_COUNT && g->accelerator != NULL; ++i)
        if (g->base[i] != NULL) assert_ok(a->download(g->accelerator, g->base[i], g->device[i], g->bytes[i]));
}
