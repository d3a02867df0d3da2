/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that run joined give, bit for bit, what they give one after the other (which test_ops compares with the
 * reference): over types of kernels, instruction sets, numbers of threads, and shapes with every kind of rest.
 */
#include "backend/registry.h"
#include "base/rng.h"
#include "graph/memory_plan.h"
#include "graph/passes.h"
#include "test.h"

#include <deep/context.h>
#include <deep/tensor.h>
#include <stdlib.h>
#include <string.h>

typedef struct joined_case {
    int64_t images, height, width;
    int64_t channels[3]; /* of the input, and of the results; 0 = one convolution alone */
    bool residual;
} joined_case;

static const joined_case cases[] = {
    {1, 9, 7, {5, 6, 40}, true},     {2, 19, 19, {16, 32, 33}, true}, {3, 10, 12, {20, 24, 16}, false},
    {1, 37, 37, {32, 64, 64}, true}, {1, 23, 160, {3, 8, 8}, true},   {2, 12, 75, {40, 48, 0}, true},
    {5, 3, 4, {16, 16, 16}, false},  {1, 2, 2, {4, 4, 4}, true},
};
static const int32_t dtypes[] = {DEEP_DTYPE_F32, DEEP_DTYPE_BF16, DEEP_DTYPE_I8};
enum { CASES = sizeof cases / sizeof cases[0], DTYPES = sizeof dtypes / sizeof dtypes[0], PARAMS = 16 };

typedef struct chain {
    const joined_case *c;
    deep_graph graph;
    deep_value output, x;
    struct {
        deep_value value;
        int32_t kind;
    } params[PARAMS];
    int32_t param_count;
    size_t param_bytes;
    deep_plan *plan;
    void *base[DEEP_SEGMENT_COUNT];
} chain;

enum { WEIGHTS, PACKED, QUANTIZATION };

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

/* ---- the graph ---- */

static deep_value param(chain *g, int32_t kind, int32_t dtype, int32_t rank, const int64_t *shape)
{
    const deep_value value = deep__graph_place_as(&g->graph, DEEP_SEGMENT_PARAM, g->param_bytes, dtype, rank, shape);
    g->param_bytes += ((size_t)deep__kernel_floats(dtype, rank, shape) * 4 + 63) / 64 * 64 + 64;
    g->params[g->param_count].kind = kind;
    g->params[g->param_count++].value = value;
    return value;
}

static deep_value add_separable(chain *g, deep_value x, int64_t from, int64_t to, int32_t dtype, bool relu)
{
    const int64_t window[4] = {3, 3, from, 1}, point[4] = {1, 1, from, to}, vector[1] = {to};
    const int64_t quantization[1] = {2 * from + to};
    const deep_attr attr = {.conv = {.stride = 1,
                                     .pad = {1, 1, 1, 1},
                                     .relu_input = relu,
                                     .epilogue = DEEP_EPILOGUE_AFFINE | (relu ? 0 : DEEP_EPILOGUE_RELU)}};
    deep_value inputs[6] = {x, param(g, WEIGHTS, DEEP_DTYPE_F32, 4, window), param(g, PACKED, dtype, 4, point)};
    int32_t count = 3;
    if (dtype == DEEP_DTYPE_I8) inputs[count++] = param(g, QUANTIZATION, DEEP_DTYPE_F32, 1, quantization);
    inputs[count++] = param(g, WEIGHTS, DEEP_DTYPE_F32, 1, vector);
    inputs[count++] = param(g, WEIGHTS, DEEP_DTYPE_F32, 1, vector);
    return deep__graph_add(&g->graph, DEEP_OP_SEPARABLE, &attr, inputs, count);
}

static void build(chain *g, const joined_case *c, int32_t dtype)
{
    const int64_t shape[4] = {c->images, c->height, c->width, c->channels[0]};
    const int64_t *channels = c->channels;
    deep_attr pool = {.pool = {.window = 3, .stride = 2}};
    deep__pad_same(c->height, 3, 2, &pool.pool.pad[DEEP_PAD_TOP], &pool.pool.pad[DEEP_PAD_BOTTOM]);
    deep__pad_same(c->width, 3, 2, &pool.pool.pad[DEEP_PAD_LEFT], &pool.pool.pad[DEEP_PAD_RIGHT]);
    const deep_value input = deep__graph_input(&g->graph, 0, DEEP_DTYPE_F32, 4, shape);
    g->x = DEEP_GRAPH_ADD(&g->graph, DEEP_OP_RELU, NULL, input); /* so that the plan places what is read */
    deep_value y = add_separable(g, g->x, channels[0], channels[1], dtype, false);
    if (channels[2] != 0) y = add_separable(g, y, channels[1], channels[2], dtype, true);
    const int64_t pooled[4] = {c->images, (c->height + 1) / 2, (c->width + 1) / 2,
                               channels[2] != 0 ? channels[2] : channels[1]};
    const deep_value residual = deep__graph_input(&g->graph, 1, DEEP_DTYPE_F32, 4, pooled);
    const deep_value inputs[2] = {y, residual};
    g->output = deep__graph_add(&g->graph, DEEP_OP_MAX_POOL, &pool, inputs, c->residual ? 2 : 1);
    assert_ok(g->graph.status);
    g->graph.values[g->output].keep = true;
}

/* As deep__pass_join_bands() does with results large enough. */
static void join(deep_graph *graph)
{
    const int32_t last = graph->node_count - 1;
    for (int32_t i = 1; i < last; ++i) {
        graph->nodes[i].joined = true;
        graph->values[graph->nodes[i].outputs[0]].segment = DEEP_SEGMENT_NONE;
    }
    graph->values[graph->nodes[last].outputs[1]].segment = DEEP_SEGMENT_NONE;
}

static float uniform(size_t i, uint32_t stream)
{
    return 2 * (float)deep__rng_uniform(deep__rng(11, DEEP_RNG_SYNTH, i, stream).word[0]) - 1;
}

static void fill_kernel(char *to, const deep_value_info *info, uint32_t stream)
{
    const size_t count = (size_t)deep__kernel_floats(info->dtype, info->rank, info->shape);
    for (size_t i = 0; i < count; ++i) {
        const float value = uniform(i, stream);
        if (info->dtype == DEEP_DTYPE_F32)
            ((float *)(void *)to)[i] = value;
        else if (info->dtype == DEEP_DTYPE_I8)
            for (int k = 0; k < 4; ++k)
                to[4 * i + (size_t)k] = (char)(value * (float)(100 - 20 * k));
        else
            ((uint32_t *)(void *)to)[i] = UINT32_C(0x3c003d00) + (uint32_t)(i % 100);
    }
}

static void fill_params(chain *g)
{
    for (int32_t p = 0; p < g->param_count; ++p) {
        const deep_value_info *info = deep__graph_value(&g->graph, g->params[p].value);
        char *to = (char *)g->base[DEEP_SEGMENT_PARAM] + info->offset;
        if (g->params[p].kind == PACKED) {
            fill_kernel(to, info, (uint32_t)p);
            continue;
        }
        for (int64_t i = 0; i < deep__value_elements(info); ++i)
            ((float *)(void *)to)[i] =
                g->params[p].kind == QUANTIZATION ? (float)(20 + i % 9) : uniform((size_t)i, (uint32_t)p);
    }
}

static void open_chain(chain *g, const joined_case *c, int32_t dtype, int32_t threads, int32_t isa, bool joined)
{
    const deep_host host = {sizeof host, NULL, host_alloc, host_free, host_fail, NULL};
    const deep_plan_options options = {sizeof options, threads, isa, true, NULL, false, 0};
    *g = (chain){.c = c};
    allocator = deep__allocator_default();
    deep__graph_init(&g->graph, &allocator, DEEP_DTYPE_F32);
    build(g, c, dtype);
    if (joined) join(&g->graph);
    assert_ok(deep__memory_plan(&g->graph));
    size_t scratch;
    assert_ok(deep__backend_cpu()->plan_create(&g->plan, &scratch, &g->graph, &options, &host));
    g->base[DEEP_SEGMENT_ARENA] = host_alloc(NULL, g->graph.arena_bytes + 64);
    g->base[DEEP_SEGMENT_SCRATCH] = host_alloc(NULL, scratch + 64);
    g->base[DEEP_SEGMENT_PARAM] = host_alloc(NULL, g->param_bytes + 64);
    memset(g->base[DEEP_SEGMENT_ARENA], 0xff, g->graph.arena_bytes); /* not a number: shows when it is read */
    memset(g->base[DEEP_SEGMENT_SCRATCH], 0xff, scratch);
    memset(g->base[DEEP_SEGMENT_PARAM], 0, g->param_bytes);
    fill_params(g);
    for (int32_t k = 0; k < 2; ++k) {
        const deep_value_info *y = deep__graph_value(&g->graph, g->output);
        const size_t count = k == 0 ? (size_t)(c->images * c->height * c->width * c->channels[0]) : y->bytes / 4;
        float *to = g->base[DEEP_SEGMENT_INPUT + k] = host_alloc(NULL, count * 4 + 64);
        for (size_t i = 0; i < count; ++i)
            to[i] = uniform(i, 40 + (uint32_t)k);
    }
    assert_ok(deep__backend_cpu()->plan_run(g->plan, g->base, 0, g->graph.node_count));
}

static const float *output_of(const chain *g)
{
    return (const float *)(const void *)((const char *)g->base[DEEP_SEGMENT_ARENA] +
                                         deep__graph_value(&g->graph, g->output)->offset);
}

static void close_chain(chain *g)
{
    deep__backend_cpu()->plan_free(g->plan);
    for (int i = 0; i < DEEP_SEGMENT_COUNT; ++i)
        free(g->base[i]);
    deep__graph_free(&g->graph);
}

/* ---- tests ---- */

static void compare(const joined_case *c, int32_t dtype, int32_t threads, int32_t isa)
{
    chain one, other;
    open_chain(&one, c, dtype, 1, isa, false);
    open_chain(&other, c, dtype, threads, isa, true);
    const int64_t count = deep__value_elements(deep__graph_value(&one.graph, one.output));
    const float *a = output_of(&one), *b = output_of(&other);
    bool varied = false;
    for (int64_t i = 0; i < count; ++i) {
        ck_assert_msg(a[i] == b[i],
                      "%lld x %lld x %lld, dtype %d, %d threads, isa %d: element %lld is %.9g, joined %.9g",
                      (long long)c->height, (long long)c->width, (long long)c->channels[0], (int)dtype, (int)threads,
                      (int)isa, (long long)i, (double)a[i], (double)b[i]);
        varied = varied || a[i] != a[0];
    }
    ck_assert(varied);
    close_chain(&one);
    close_chain(&other);
}

START_TEST(joined_nodes_give_the_same_bits)
{
    for (int32_t isa = DEEP_ISA_BASELINE; isa <= DEEP_ISA_AVX512_BF16; ++isa)
        for (int32_t threads = 1; threads <= 3; ++threads)
            for (int d = 0; d < DTYPES; ++d)
                compare(&cases[_i], dtypes[d], threads, isa);
}
END_TEST

START_TEST(what_joined_nodes_read_stays_until_all_have_run)
{
    chain g;
    open_chain(&g, &cases[3], DEEP_DTYPE_F32, 1, DEEP_ISA_AUTO, true);
    const deep_value_info *x = deep__graph_value(&g.graph, g.x), *y = deep__graph_value(&g.graph, g.output);
    ck_assert(x->offset + x->bytes <= y->offset || y->offset + y->bytes <= x->offset);
    ck_assert_uint_le(g.graph.arena_bytes, x->bytes + y->bytes + 128); /* and nothing between them has a place */
    close_chain(&g);
}
END_TEST

/* Block 2 of Xception at 299 pixels is joined, block 4 is not: its kernels are too large. */
START_TEST(the_pass_joins_large_results_of_small_kernels)
{
    static const joined_case large = {1, 147, 147, {64, 128, 128}, true}, heavy = {1, 37, 37, {256, 728, 728}, true},
                             little = {1, 20, 20, {64, 128, 128}, true};
    const joined_case *const all[3] = {&large, &heavy, &little};
    for (int i = 0; i < 3; ++i) {
        chain g = {.c = all[i]};
        allocator = deep__allocator_default();
        deep__graph_init(&g.graph, &allocator, DEEP_DTYPE_F32);
        build(&g, all[i], DEEP_DTYPE_F32);
        assert_ok(deep__pass_join_bands(&g.graph));
        ck_assert(!g.graph.nodes[0].joined && !g.graph.nodes[3].joined);
        ck_assert_int_eq(g.graph.nodes[1].joined, i == 0);
        ck_assert_int_eq(g.graph.nodes[2].joined, i == 0);
        deep__graph_free(&g.graph);
    }
}
END_TEST

/* A backend that cannot says so. */
START_TEST(the_reference_refuses_joined_nodes)
{
    const deep_host host = {sizeof host, NULL, host_alloc, host_free, host_fail, NULL};
    const deep_plan_options options = {sizeof options, 1, DEEP_ISA_AUTO, false, NULL, false, 0};
    chain g = {.c = &cases[0]};
    allocator = deep__allocator_default();
    deep__graph_init(&g.graph, &allocator, DEEP_DTYPE_F32);
    build(&g, g.c, DEEP_DTYPE_F32);
    join(&g.graph);
    size_t scratch;
    assert_status(deep__backend_ref()->plan_create(&g.plan, &scratch, &g.graph, &options, &host),
                  DEEP_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "separable_conv2d of this type, joined"));
    deep__graph_free(&g.graph);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("joined");
    TCase *tests = tcase_create("joined");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, joined_nodes_give_the_same_bits, 0, CASES);
    tcase_add_test(tests, what_joined_nodes_read_stays_until_all_have_run);
    tcase_add_test(tests, the_pass_joins_large_results_of_small_kernels);
    tcase_add_test(tests, the_reference_refuses_joined_nodes);
    suite_add_tcase(suite, tests);
    return suite;
}
