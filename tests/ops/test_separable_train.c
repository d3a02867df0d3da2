/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two separable convolutions in a row, as a block of Xception has them, in training: the graph that deep__pass_fuse_training()
 * leaves against the one before it, outputs, statistics and every gradient. In double the two are the same sums in the
 * same order; in float cpu's fused graph is judged by the unfused one in double.
 */
#include "backend/registry.h"
#include "base/rng.h"
#include "graph/autodiff.h"
#include "graph/memory_plan.h"
#include "graph/passes.h"
#include "shim.h"
#include "test.h"

#include <deep/context.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const deep_backend *deep__backend_ref_double(void);

enum { KERNEL_1, POINT_1, GAMMA_1, BETA_1, KERNEL_2, POINT_2, GAMMA_2, BETA_2, PARAMS, MAX_VALUES = 128 };

typedef struct block_case {
    const char *name;
    int64_t n, h, w, c, between; /* c -> between -> c channels */
    bool relu, residual;         /* before the first convolution; x added to the result */
    int32_t without;             /* DEEP_WANT_* that nobody wants of either convolution */
} block_case;

static const block_case cases[] = {
    {"a middle block in small", 2, 3, 4, 24, 24, true, true, 0},
    {"channels beside the vectors", 3, 5, 7, 13, 37, true, true, 0},
    {"no ReLU in front, nothing added", 2, 6, 5, 16, 40, false, false, 0},
    {"728 channels", 1, 3, 3, 728, 728, true, true, 0},
    {"one row, one column", 17, 1, 1, 16, 8, true, true, 0},
    {"several bands and groups", 3, 90, 91, 64, 16, true, true, 0},
    {"packed kernels, two bands of several chunks", 6, 19, 19, 520, 40, true, true, 0},
    {"images in one band", 20, 3, 3, 8, 16, false, true, 0},
    {"kernels alone", 2, 4, 5, 16, 24, true, true, DEEP_WANT_INPUT},
    {"frozen kernels", 2, 4, 5, 16, 24, true, true, DEEP_WANT_KERNELS},
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

typedef struct block {
    deep_graph graph;
    deep_value x, dy, y, dx, params[PARAMS], gradients[PARAMS], statistics[4];
    void *base[DEEP_SEGMENT_COUNT];
    deep_plan *plan;
    const deep_backend *backend;
} block;

static deep_context *context;

static size_t next_offset;

static deep_value place(block *b, int32_t rank, const int64_t *shape)
{
    const deep_value v = deep__graph_place(&b->graph, DEEP_SEGMENT_PARAM, next_offset, rank, shape);
    next_offset += (deep__graph_value(&b->graph, v)->bytes + 63) / 64 * 64;
    return v;
}

static deep_value add_convolution(block *b, deep_value x, int64_t from, int64_t to, int first)
{
    static const deep_attr window = {.conv = {.stride = 1, .pad = {1, 1, 1, 1}}}, point = {.conv = {.stride = 1}},
                           norm = {.norm = {.epsilon = 1e-3}};
    b->params[first] = place(b, 4, (const int64_t[]){3, 3, from, 1});
    b->params[first + 1] = place(b, 4, (const int64_t[]){1, 1, from, to});
    b->params[first + 2] = place(b, 1, &to);
    b->params[first + 3] = place(b, 1, &to);
    x = DEEP_GRAPH_ADD(&b->graph, DEEP_OP_DEPTHWISE, &window, x, b->params[first]);
    x = DEEP_GRAPH_ADD(&b->graph, DEEP_OP_CONV2D, &point, x, b->params[first + 1]);
    x = DEEP_GRAPH_ADD(&b->graph, DEEP_OP_BATCH_NORM_TRAIN, &norm, x, b->params[first + 2], b->params[first + 3]);
    const int which = first == KERNEL_1 ? 0 : 2;
    b->statistics[which] = deep__graph_last_output(&b->graph, 1);
    b->statistics[which + 1] = deep__graph_last_output(&b->graph, 2);
    return x;
}

static bool is_wanted(const block_case *c, int param)
{
    const bool kernel = param == KERNEL_1 || param == POINT_1 || param == KERNEL_2 || param == POINT_2;
    return !(c->without & DEEP_WANT_KERNELS && kernel);
}

static void differentiate(block *b, const block_case *c)
{
    bool wanted[MAX_VALUES] = {false};
    deep_value gradients[MAX_VALUES];
    ck_assert_int_lt(b->graph.value_count, MAX_VALUES);
    wanted[b->x] = !(c->without & DEEP_WANT_INPUT);
    for (int p = 0; p < PARAMS; ++p)
        wanted[b->params[p]] = is_wanted(c, p);
    assert_ok(deep__autodiff(&b->graph, b->y, b->dy, wanted, gradients));
    b->dx = wanted[b->x] ? gradients[b->x] : DEEP_NO_VALUE;
    if (b->dx != DEEP_NO_VALUE) b->graph.values[b->dx].keep = true;
    for (int p = 0; p < PARAMS; ++p) {
        b->gradients[p] = wanted[b->params[p]] ? gradients[b->params[p]] : DEEP_NO_VALUE;
        if (b->gradients[p] != DEEP_NO_VALUE) b->graph.values[b->gradients[p]].keep = true;
    }
}

/* How the graph is rewritten. */
enum form { UNFUSED, FUSED, STORED_BF16, STORED_F16 };

static void build(block *b, const block_case *c, int32_t real, enum form form)
{
    const int64_t shape[4] = {c->n, c->h, c->w, c->c};
    next_offset = 0;
    deep__graph_init(&b->graph, &context->allocator, real);
    b->x = deep__graph_input(&b->graph, 0, real, 4, shape);
    b->dy = deep__graph_input(&b->graph, 1, real, 4, shape);
    deep_value y = c->relu ? DEEP_GRAPH_ADD(&b->graph, DEEP_OP_RELU, NULL, b->x) : b->x;
    y = add_convolution(b, y, c->c, c->between, KERNEL_1);
    y = DEEP_GRAPH_ADD(&b->graph, DEEP_OP_RELU, NULL, y);
    y = add_convolution(b, y, c->between, c->c, KERNEL_2);
    if (c->residual) y = DEEP_GRAPH_ADD(&b->graph, DEEP_OP_ADD, NULL, y, b->x);
    b->y = y;
    b->graph.values[y].keep = true;
    for (int i = 0; i < 4; ++i)
        b->graph.values[b->statistics[i]].keep = true;
    assert_ok(deep__pass_fuse_relu(&b->graph));
    if (form != UNFUSED) {
        assert_ok(deep__pass_fuse_training(&b->graph));
        ck_assert_int_eq(b->graph.nodes[0].op, DEEP_OP_SEPARABLE_TRAIN);
        ck_assert_int_eq(b->graph.nodes[1].op, DEEP_OP_SEPARABLE_TRAIN);
        ck_assert(b->graph.nodes[1].attr.conv.norm_input);
        ck_assert_int_eq(b->graph.node_count, 3);
    }
    differentiate(b, c);
    if (form == STORED_BF16 || form == STORED_F16) {
        const int32_t dtype = form == STORED_BF16 ? DEEP_DTYPE_BF16 : DEEP_DTYPE_F16;
        assert_ok(deep__pass_store_halves(&b->graph, dtype));
        ck_assert_int_eq(deep__graph_value(&b->graph, b->graph.nodes[0].outputs[0])->dtype, dtype);
        ck_assert_int_eq(deep__graph_value(&b->graph, b->y)->dtype, DEEP_DTYPE_F32); /* it is kept */
    }
    assert_ok(deep__memory_plan(&b->graph));
}

static void *at(const block *b, deep_value value)
{
    const deep_value_info *info = deep__graph_value(&b->graph, value);
    return (char *)b->base[info->segment] + info->offset;
}

static double get(const block *b, deep_value value, int64_t i)
{
    return b->graph.real == DEEP_DTYPE_F64 ? ((const double *)at(b, value))[i]
                                           : (double)((const float *)at(b, value))[i];
}

/* Uniform numbers around `middle`, each a float. */
static void fill(block *b, deep_value value, uint32_t stream, double spread, double middle)
{
    const int64_t count = deep__value_elements(deep__graph_value(&b->graph, value));
    for (int64_t i = 0; i < count; ++i) {
        const double uniform =
            2 * (double)deep__rng_uniform(deep__rng(3, DEEP_RNG_SYNTH, (uint64_t)i, stream).word[0]) - 1;
        const float number = (float)(middle + spread * uniform);
        if (b->graph.real == DEEP_DTYPE_F64)
            ((double *)at(b, value))[i] = (double)number;
        else
            ((float *)at(b, value))[i] = number;
    }
}

static void run(block *b, const block_case *c, const deep_backend *backend, int32_t real, enum form form,
                deep_plan_options options)
{
    const deep_host host = deep__host(context);
    size_t scratch;
    memset(b, 0, sizeof *b);
    build(b, c, real, form);
    b->backend = backend;
    assert_ok(backend->plan_create(&b->plan, &scratch, &b->graph, &options, &host));
    b->base[DEEP_SEGMENT_ARENA] = aligned_alloc(64, b->graph.arena_bytes + 64);
    b->base[DEEP_SEGMENT_SCRATCH] = aligned_alloc(64, (scratch + 127) / 64 * 64);
    b->base[DEEP_SEGMENT_PARAM] = aligned_alloc(64, next_offset + 64);
    /* not a number: what is read before it is written shows */
    memset(b->base[DEEP_SEGMENT_ARENA], 0xff, b->graph.arena_bytes);
    memset(b->base[DEEP_SEGMENT_SCRATCH], 0xff, (scratch + 127) / 64 * 64);
    for (int i = 0; i < 2; ++i)
        b->base[DEEP_SEGMENT_INPUT + i] = aligned_alloc(64, (deep__graph_value(&b->graph, b->x)->bytes + 63) / 64 * 64);
    fill(b, b->x, 0, 1, 0);
    fill(b, b->dy, 1, 1, 0);
    for (int p = 0; p < PARAMS; ++p)
        fill(b, b->params[p], 2 + (uint32_t)p, 0.5, p == GAMMA_1 || p == GAMMA_2 ? 1 : 0);
    assert_ok(backend->plan_run(b->plan, b->base, 0, b->graph.node_count));
}

static void close_block(block *b)
{
    b->backend->plan_free(b->plan);
    for (int i = 0; i < DEEP_SEGMENT_COUNT; ++i)
        free(b->base[i]);
    deep__graph_free(&b->graph);
}

static void compare_value(const block *a, deep_value value, const block *b, deep_value other, double tolerance,
                          const char *name, const char *what)
{
    double largest = 0, worst = 0;
    if (other == DEEP_NO_VALUE) return;
    for (int64_t i = 0; i < deep__value_elements(deep__graph_value(&b->graph, other)); ++i) {
        const double wanted = get(b, other, i), got = get(a, value, i);
        if (fabs(wanted) > largest) largest = fabs(wanted);
        if (!isnan(worst) && !(fabs(wanted - got) <= worst)) worst = fabs(wanted - got);
    }
    ck_assert_msg(worst <= tolerance * largest, "%s: %s differs by %.3g, largest value %.3g", name, what, worst,
                  largest);
}

static void compare(const block *a, const block *b, const block_case *c, double tolerance)
{
    static const char *const names[PARAMS] = {"kernel 1's gradient", "pointwise 1's gradient", "gamma 1's gradient",
                                              "beta 1's gradient",   "kernel 2's gradient",    "pointwise 2's gradient",
                                              "gamma 2's gradient",  "beta 2's gradient"};
    compare_value(a, a->y, b, b->y, tolerance, c->name, "y");
    compare_value(a, a->dx, b, b->dx, tolerance, c->name, "dx");
    for (int i = 0; i < 4; ++i)
        compare_value(a, a->statistics[i], b, b->statistics[i], tolerance, c->name, "a statistic");
    for (int p = 0; p < PARAMS; ++p)
        compare_value(a, a->gradients[p], b, b->gradients[p], tolerance, c->name, names[p]);
}

START_TEST(the_fused_block_is_the_unfused_one)
{
    static block fused, unfused;
    const deep_plan_options options = {sizeof options, 1, DEEP_ISA_AUTO, false, NULL, false, 0};
    run(&unfused, &cases[_i], deep__backend_ref_double(), DEEP_DTYPE_F64, UNFUSED, options);
    run(&fused, &cases[_i], deep__backend_ref_double(), DEEP_DTYPE_F64, FUSED, options);
    compare(&fused, &unfused, &cases[_i], 1e-14);
    close_block(&fused);
    close_block(&unfused);
}
END_TEST

START_TEST(cpu_computes_the_fused_block)
{
    static block fused, unfused;
    static const struct {
        int32_t threads, isa;
    } runs[] = {{1, DEEP_ISA_AUTO}, {2, DEEP_ISA_AUTO}, {3, DEEP_ISA_AVX2}, {2, DEEP_ISA_BASELINE}};
    deep_plan_options options = {sizeof options, 1, DEEP_ISA_AUTO, false, NULL, false, 0};
    run(&unfused, &cases[_i], deep__backend_ref_double(), DEEP_DTYPE_F64, UNFUSED, options);
    for (size_t r = 0; r < sizeof runs / sizeof runs[0]; ++r) {
        options.threads = runs[r].threads;
        options.isa = runs[r].isa;
        run(&fused, &cases[_i], deep__backend_cpu(), DEEP_DTYPE_F32, FUSED, options);
        compare(&fused, &unfused, &cases[_i], 5e-5);
        close_block(&fused);
    }
    close_block(&unfused);
}
END_TEST

START_TEST(cuda_computes_the_fused_block)
{
    static block fused, unfused;
    const deep_plan_options options = {sizeof options, 1, DEEP_ISA_AUTO, false, NULL, false, 0};
    run(&unfused, &cases[_i], deep__backend_ref_double(), DEEP_DTYPE_F64, UNFUSED, options);
    run(&fused, &cases[_i], deep__backend_shim(), DEEP_DTYPE_F32, FUSED, options);
    compare(&fused, &unfused, &cases[_i], 5e-5);
    close_block(&fused);
    close_block(&unfused);
}
END_TEST

typedef struct error {
    double difference, size; /* sums of squares */
} error;

static void add_error(error *e, const block *a, deep_value value, const block *b, deep_value other)
{
    if (other == DEEP_NO_VALUE) return;
    for (int64_t i = 0; i < deep__value_elements(deep__graph_value(&b->graph, other)); ++i) {
        const double wanted = get(b, other, i), off = get(a, value, i) - wanted;
        e->difference += off * off;
        e->size += wanted * wanted;
    }
}

/*
 * A rounding to bfloat16 is off by at most 2^-9 of the value, in the mean square by 2^-9 / sqrt(3) = 0.11 %. Between the
 * block's ends stand two results forward and four slopes backward; a slope whose mean and part along x are subtracted can be
 * left with a quarter of its size. Four times what six roundings give: 1.1 %.
 * A gradient also feels the values that fall on the other side of the ReLU's 0: normalised ones have a density of up to 0.4
 * there and are moved by 2^-10 in the mean, so 0.04 % of all, 0.08 % of the half that counts; the root of it is 2.8 %.
 */
static const double RESULT = 4 * 0.0011 * 2.45, GRADIENT = 4 * 0.0011 * 2.45 + 0.028;

static void assert_error(const error *e, double most, const block_case *c, const char *what)
{
    const double off = e->size > 0 ? sqrt(e->difference / e->size) : 0;
    ck_assert_msg(off <= most, "%s: %s off by %.3g", c->name, what, off);
}

static void assert_within(const block *a, const block *b, const block_case *c, double result, double gradient)
{
    error y = {0}, dx = {0}, params = {0}; /* of all parameters together: the step that an optimizer would take */
    add_error(&y, a, a->y, b, b->y);
    add_error(&dx, a, a->dx, b, b->dx);
    for (int p = 0; p < PARAMS; ++p)
        add_error(&params, a, a->gradients[p], b, b->gradients[p]);
    assert_error(&y, result, c, "y is");
    assert_error(&dx, gradient, c, "dx is");
    assert_error(&params, gradient, c, "the parameters' gradient is");
}

static void assert_near(const block *a, const block *b, const block_case *c)
{
    assert_within(a, b, c, RESULT, GRADIENT);
}

START_TEST(values_stored_as_bfloat16_stay_near)
{
    static block narrow, exact, again;
    const block_case *c = &cases[_i];
    deep_plan_options options = {sizeof options, 2, DEEP_ISA_AUTO, false, NULL, false, 0};
    run(&exact, c, deep__backend_ref_double(), DEEP_DTYPE_F64, UNFUSED, options);
    run(&narrow, c, deep__backend_ref(), DEEP_DTYPE_F32, STORED_BF16, options);
    assert_near(&narrow, &exact, c);
    close_block(&narrow);
    for (int32_t isa = DEEP_ISA_BASELINE; isa <= DEEP_ISA_AVX512 && deep__backend_cpu() != NULL; ++isa) {
        options.isa = isa;
        run(&narrow, c, deep__backend_cpu(), DEEP_DTYPE_F32, STORED_BF16, options);
        assert_near(&narrow, &exact, c);
        run(&again, c, deep__backend_cpu(), DEEP_DTYPE_F32, STORED_BF16, options);
        compare(&again, &narrow, c, 0);
        close_block(&again);
        close_block(&narrow);
    }
    close_block(&exact);
}
END_TEST

/*
 * A rounding to half precision is off by an eighth of that, and moves an eighth of the values over the ReLU's 0, whose
 * part in the gradient is a root. A GPU rounds the depthwise result and its slope, too, and the kernels: four more roundings.
 */
static const double MORE = 4 * 0.0011 * 2.0;

START_TEST(cuda_stays_near_with_stored_halves)
{
    static block narrow, exact, again;
    const block_case *c = &cases[_i];
    const deep_plan_options options = {sizeof options, 1, DEEP_ISA_AUTO, false, NULL, false, 0};
    run(&exact, c, deep__backend_ref_double(), DEEP_DTYPE_F64, UNFUSED, options);
    for (enum form form = STORED_BF16; form <= STORED_F16; ++form) {
        const double finer = form == STORED_F16 ? 8 : 1;
        run(&narrow, c, deep__backend_shim(), DEEP_DTYPE_F32, form, options);
        assert_within(&narrow, &exact, c, (RESULT + MORE) / finer,
                      (GRADIENT - 0.028 + MORE) / finer + 0.028 / sqrt(finer));
        run(&again, c, deep__backend_shim(), DEEP_DTYPE_F32, form, options);
        compare(&again, &narrow, c, 0);
        close_block(&again);
        close_block(&narrow);
    }
    close_block(&exact);
}
END_TEST

static void open_context(void)
{
    assert_ok(deep_context_create(&context, NULL));
}

static void close_context(void)
{
    deep_context_free(context);
}

Suite *test_suite(void)
{
    Suite *suite = suite_create("separable_train");
    TCase *tests = tcase_create("separable_train");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_loop_test(tests, the_fused_block_is_the_unfused_one, 0, CASE_COUNT);
    tcase_add_loop_test(tests, values_stored_as_bfloat16_stay_near, 0, CASE_COUNT);
    if (deep__backend_cpu() != NULL) tcase_add_loop_test(tests, cpu_computes_the_fused_block, 0, CASE_COUNT);
    tcase_add_loop_test(tests, cuda_computes_the_fused_block, 0, CASE_COUNT);
    tcase_add_loop_test(tests, cuda_stays_near_with_stored_halves, 0, CASE_COUNT);
    suite_add_tcase(suite, tests);
    return suite;
}
