/* SPDX-License-Identifier: Apache-2.0 */
#include "op_graph.h"

#include "base/rng.h"
#include "graph/autodiff.h"
#include "graph/memory_plan.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static deep_allocator allocator;

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

static void host_log(void *user, int32_t level, const char *text)
{
    (void)user;
    (void)level;
    (void)text;
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
    default:
        return (double)((const float *)data)[index];
    }
}

void op_graph_set(op_graph *g, deep_value value, int64_t index, double number)
{
    void *data = bytes_of(g, value);
    if (deep__graph_value(&g->graph, value)->dtype == DEEP_DTYPE_F64)
        ((double *)data)[index] = number;
    else
        ((float *)data)[index] = (float)number;
}

int64_t op_graph_elements(const op_graph *g, deep_value value)
{
    return deep__value_elements(deep__graph_value(&g->graph, value));
}

static void fill_input(op_graph *g, const op_case *c, int32_t k, int32_t classes)
{
    const deep_value value = g->inputs[k];
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

static void add_gradient(op_graph *g, const op_case *c)
{
    bool wanted[OP_VALUES] = {false};
    deep_value gradients[OP_VALUES];
    deep_value_info y = *deep__graph_value(&g->graph, g->output);
    g->dy = deep__graph_input(&g->graph, 7, y.dtype, y.rank, y.shape);
    for (int32_t k = 0; k < g->input_count; ++k) {
        const bool statistic = c->op == DEEP_OP_BATCH_NORM_INFER && k >= 3;
        wanted[g->inputs[k]] = !statistic && c->inputs[k].kind != OP_INPUT_COUNTER;
    }
    assert_ok(deep__autodiff(&g->graph, g->output, g->dy, wanted, gradients));
    for (int32_t k = 0; k < g->input_count; ++k) {
        g->gradients[k] = wanted[g->inputs[k]] ? gradients[g->inputs[k]] : DEEP_NO_VALUE;
        if (g->gradients[k] != DEEP_NO_VALUE) g->graph.values[g->gradients[k]].keep = true;
    }
}

static void build(op_graph *g, const op_case *c, int32_t real, bool gradient)
{
    deep_attr attr = c->attr;
    if (c->op == DEEP_OP_FILL) attr.fill.dtype = real;
    if (c->op == DEEP_OP_CAST) attr.cast.dtype = real;
    for (int32_t k = 0; k < 7 && c->inputs[k].kind != OP_INPUT_NONE; ++k) {
        const int32_t dtype = c->inputs[k].kind == OP_INPUT_LABELS    ? DEEP_DTYPE_I32
                              : c->inputs[k].kind == OP_INPUT_COUNTER ? DEEP_DTYPE_I64
                                                                      : real;
        g->inputs[k] = deep__graph_input(&g->graph, k, dtype, c->inputs[k].rank, c->inputs[k].shape);
        g->input_count = k + 1;
    }
    g->output = deep__graph_add(&g->graph, c->op, &attr, g->inputs, g->input_count);
    assert_ok(g->graph.status);
    for (int32_t k = 0; k < g->graph.nodes[0].output_count; ++k)
        g->graph.values[g->graph.nodes[0].outputs[k]].keep = true;
    g->forward_end = g->graph.node_count;
    if (gradient) add_gradient(g, c);
    assert_ok(deep__memory_plan(&g->graph));
}

static void open_with(op_graph *g, const op_case *c, const deep_backend *backend, int32_t real,
                      const deep_plan_options *options, bool gradient)
{
    static const deep_host host = {sizeof host, NULL, host_alloc, host_free, host_fail, host_log};
    *g = (op_graph){.dy = DEEP_NO_VALUE, .backend = backend};
    for (int32_t k = 0; k < 7; ++k)
        g->gradients[k] = DEEP_NO_VALUE;
    allocator = deep__allocator_default();
    deep__graph_init(&g->graph, &allocator, real);
    build(g, c, real, gradient);
    size_t scratch;
    assert_ok(backend->plan_create(&g->plan, &scratch, &g->graph, options, &host));
    g->base[DEEP_SEGMENT_ARENA] = host_alloc(NULL, g->graph.arena_bytes + 64);
    g->base[DEEP_SEGMENT_SCRATCH] = host_alloc(NULL, scratch + 64);
    memset(g->base[DEEP_SEGMENT_ARENA], 0xff,
           g->graph.arena_bytes); /* not a number: what is read before it is written shows */
    const int64_t classes = g->input_count > 0 ? deep__graph_value(&g->graph, g->inputs[0])->shape[1] : 0;
    for (int32_t k = 0; k < g->input_count; ++k) {
        /* whoever reads a packed kernel looks further */
        g->base[DEEP_SEGMENT_INPUT + k] = host_alloc(NULL, deep__graph_value(&g->graph, g->inputs[k])->bytes + 64);
        fill_input(g, c, k, (int32_t)classes);
    }
    if (g->dy == DEEP_NO_VALUE) return;
    g->base[DEEP_SEGMENT_INPUT + 7] = host_alloc(NULL, deep__graph_value(&g->graph, g->dy)->bytes);
    for (int64_t i = 0; i < op_graph_elements(g, g->dy); ++i)
        op_graph_set(g, g->dy, i,
                     2 * (double)deep__rng_uniform(deep__rng(8, DEEP_RNG_SYNTH, (uint64_t)i, 9).word[0]) - 1);
}

void op_graph_open(op_graph *g, const op_case *c, const deep_backend *backend, int32_t real, int32_t threads,
                   int32_t isa, bool gradient)
{
    const deep_plan_options options = {sizeof options, threads, isa, false};
    open_with(g, c, backend, real, &options, gradient);
}

bool op_graph_open_packed(op_graph *g, const op_case *c, const deep_backend *backend, int32_t threads, int32_t isa)
{
    const deep_plan_options options = {sizeof options, threads, isa, true};
    const int32_t k = c->op == DEEP_OP_SEPARABLE ? 2 : 1;
    const int64_t *shape = c->inputs[k].shape;
    if ((c->op != DEEP_OP_SEPARABLE && c->op != DEEP_OP_CONV2D) || shape[0] != 1 || shape[1] != 1) return false;
    open_with(g, c, backend, DEEP_DTYPE_F32, &options, false);
    float *kernel = bytes_of(g, g->inputs[k]);
    const size_t bytes = deep__graph_value(&g->graph, g->inputs[k])->bytes;
    float *plain = host_alloc(NULL, bytes), *back = host_alloc(NULL, bytes);
    memcpy(plain, kernel, bytes);
    backend->pack(isa, kernel, plain, shape[2], shape[3], false);
    backend->pack(isa, back, kernel, shape[2], shape[3], true);
    ck_assert_mem_eq(back, plain, bytes);
    free(plain);
    free(back);
    return true;
}

void op_graph_close(op_graph *g)
{
    g->backend->plan_free(g->plan);
    for (int i = 0; i < DEEP_SEGMENT_COUNT; ++i)
        free(g->base[i]);
    deep__graph_free(&g->graph);
}

void op_graph_run(op_graph *g, int32_t first, int32_t end)
{
    assert_ok(g->backend->plan_run(g->plan, g->base, first, end));
}
