/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward, loss and backward of the whole network: a backend and `ref` in single precision, judged by `ref` in double on the same weights,
 * images and labels. The yardstick, per tensor and in the Euclidean norm, is error(backend) <= max(1e-4, 3 x error(ref in float)).
 *
 * One exception is in the nature of single precision: a value within rounding of 0 (or of its neighbour under a pool) may fall on the
 * other side, and one such decision among some 10^5 shifts every gradient below it by about 3e-3. It happens to about every third set of
 * images; a mistake happens to all of them. So one of four sets must agree in every tensor.
 */
#include "backend/registry.h"
#include "base/rng.h"
#include "graph/autodiff.h"
#include "graph/memory_plan.h"
#include "graph/passes.h"
#include "nn/network.h"
#include "shim.h"
#include "test.h"

#include <deep/model.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 5, MAX_PARAMS = 512 };

typedef struct step_case {
    const char *name, *architecture;
    int32_t size, batch, head;
    double width, dropout;
    int32_t middle_blocks;
} step_case;

static const step_case cases[] = {
    {"small at 71, batch 3, dropout", "xception-small", 71, 3, DEEP_HEAD_SERVICE, 0.25, 0.3, 2},
    {"small at 100 (uneven pools), batch 4", "xception-small", 100, 4, DEEP_HEAD_IMAGENET, 0.25, 0, 1},
    {"narrow at 224 (two uneven pools), batch 2", "xception", 224, 2, DEEP_HEAD_SERVICE, 0.05, 0, 1},
    {"narrow at 299 (pool 74 -> 37), batch 1", "xception", 299, 1, DEEP_HEAD_SERVICE, 0.05, 0, 1},
    {"published channels at 71, batch 1", "xception", 71, 1, DEEP_HEAD_IMAGENET, 1, 0, 1},
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0], CUDA_CASES = 2 };

const deep_backend *deep__backend_ref_double(void);

typedef struct step {
    deep_graph graph;
    deep_network net;
    deep_value loss, gradients[MAX_PARAMS];
    size_t memory; /* of arena and scratch */
    bool frugal;   /* norms are computed again, and scratch stands between values, as on a device */
    void *base[DEEP_SEGMENT_COUNT];
} step;

static deep_context *context;

static void put(const step *s, void *data, int64_t index, double value)
{
    if (s->graph.real == DEEP_DTYPE_F64)
        ((double *)data)[index] = value;
    else
        ((float *)data)[index] = (float)value;
}

static double get(const step *s, deep_value value, int64_t index)
{
    const deep_value_info *info = deep__graph_value(&s->graph, value);
    const void *data = (const char *)s->base[info->segment] + info->offset;
    return info->dtype == DEEP_DTYPE_F64 ? ((const double *)data)[index] : (double)((const float *)data)[index];
}

static void build(step *s, const step_case *c, int32_t real)
{
    deep_arch arch;
    const int64_t batch = c->batch, classes = CLASSES;
    assert_ok(deep__arch_find(&arch, c->architecture));
    arch.input_size = c->size;
    arch.head = c->head;
    arch.classes = CLASSES;
    arch.width = c->width;
    arch.dropout = c->dropout;
    arch.middle_blocks = c->middle_blocks;
    deep__graph_init(&s->graph, &context->allocator, real);
    assert_ok(deep__network_build(&s->net, &s->graph, &arch, c->batch, DEEP_MODE_TRAIN, NULL));
    ck_assert_int_le(s->net.params.count, MAX_PARAMS);
    s->graph.values[s->net.logits].keep = true;
    assert_ok(deep__pass_fuse_relu(&s->graph));
    assert_ok(deep__pass_fuse_training(&s->graph));
    const deep_attr attr = {.loss = {.smoothing = 0.1}};
    const deep_value labels = deep__graph_input(&s->graph, DEEP_INPUT_LABELS, DEEP_DTYPE_I32, 1, &batch);
    const deep_value weights = deep__graph_input(&s->graph, DEEP_INPUT_CLASS_WEIGHTS, real, 1, &classes);
    s->loss = DEEP_GRAPH_ADD(&s->graph, DEEP_OP_SOFTMAX_CROSS_ENTROPY, &attr, s->net.logits, labels, weights);
    const deep_value slope =
        DEEP_GRAPH_ADD(&s->graph, DEEP_OP_SOFTMAX_CROSS_ENTROPY_GRAD, &attr, s->net.logits, labels, weights);
    bool *wanted = calloc((size_t)s->graph.value_count, sizeof *wanted);
    deep_value *gradients = calloc((size_t)s->graph.value_count, sizeof *gradients);
    for (int32_t i = 0; i < s->net.params.count; ++i)
        wanted[s->net.values[i]] = s->net.params.specs[i].role < DEEP_ROLE_MEAN;
    const int32_t backward = s->graph.node_count;
    assert_ok(deep__autodiff(&s->graph, s->net.logits, slope, wanted, gradients));
    if (s->frugal) assert_ok(deep__pass_recompute_norms(&s->graph, backward));
    for (int32_t i = 0; i < s->net.params.count; ++i) {
        s->gradients[i] = wanted[s->net.values[i]] ? gradients[s->net.values[i]] : DEEP_NO_VALUE;
        if (s->gradients[i] != DEEP_NO_VALUE) s->graph.values[s->gradients[i]].keep = true;
    }
    s->graph.values[s->loss].keep = true;
    free(gradients);
    free(wanted);
    assert_ok(deep__memory_plan(&s->graph));
}

/* The same numbers in either precision: each is a float. */
static void fill(step *s, const step_case *c, uint64_t images)
{
    const size_t size = deep__dtype_size(s->graph.real);
    const int64_t values = (int64_t)c->batch * c->size * c->size * 3;
    s->base[DEEP_SEGMENT_PARAM] = calloc((size_t)s->net.params.elements, size);
    for (int32_t i = 0; i < s->net.params.count; ++i) {
        const deep_param_spec *spec = &s->net.params.specs[i];
        const double spread = spec->role == DEEP_ROLE_KERNEL
                                  ? sqrt(3.0 * (double)spec->shape[spec->rank - 1] / (double)spec->elements)
                                  : 0.2;
        for (int64_t k = 0; k < spec->elements; ++k) {
            const double uniform =
                2 * (double)deep__rng_uniform(deep__rng(1, DEEP_RNG_WEIGHTS, (uint64_t)k, (uint32_t)i).word[0]) - 1;
            put(s, s->base[DEEP_SEGMENT_PARAM], spec->offset + k,
                (double)(float)(uniform * spread + (spec->role == DEEP_ROLE_GAMMA ? 1 : 0)));
        }
    }
    s->base[DEEP_SEGMENT_INPUT + DEEP_INPUT_IMAGES] = calloc((size_t)values, size);
    for (int64_t i = 0; i < values; ++i)
        put(s, s->base[DEEP_SEGMENT_INPUT + DEEP_INPUT_IMAGES], i,
            (double)(float)(2 * (double)deep__rng_uniform(deep__rng(images, DEEP_RNG_SYNTH, (uint64_t)i, 0).word[0]) -
                            1));
    s->base[DEEP_SEGMENT_INPUT + DEEP_INPUT_CLASS_WEIGHTS] = calloc(CLASSES, size);
    for (int64_t k = 0; k < CLASSES; ++k)
        put(s, s->base[DEEP_SEGMENT_INPUT + DEEP_INPUT_CLASS_WEIGHTS], k, 0.5 + 0.25 * (double)k);
    int32_t *labels = calloc((size_t)c->batch, sizeof *labels);
    for (int32_t i = 0; i < c->batch; ++i)
        labels[i] = i * 2 % CLASSES;
    s->base[DEEP_SEGMENT_INPUT + DEEP_INPUT_LABELS] = labels;
    s->base[DEEP_SEGMENT_INPUT + DEEP_INPUT_COUNTER] = calloc(2, sizeof(int64_t));
}

/* Scratch between the arena's values. */
static void share_arena(step *s, const deep_backend *backend, deep_plan *plan)
{
    const size_t count = (size_t)s->graph.node_count;
    size_t *bytes = calloc(2 * count, sizeof *bytes);
    backend->plan_scratch(plan, bytes);
    assert_ok(deep__memory_place_scratch(&s->graph, bytes, bytes + count));
    backend->plan_place(plan, bytes + count);
    free(bytes);
}

static void run_step(step *s, const step_case *c, uint64_t images, const deep_backend *backend, int32_t real,
                     bool frugal)
{
    const deep_host host = deep__host(context);
    const deep_plan_options options = {sizeof options, 2, DEEP_ISA_AUTO, false, NULL, false, 0};
    deep_plan *plan;
    size_t scratch;
    memset(s, 0, sizeof *s);
    s->frugal = frugal;
    build(s, c, real);
    fill(s, c, images);
    assert_ok(backend->plan_create(&plan, &scratch, &s->graph, &options, &host));
    if (frugal) share_arena(s, backend, plan);
    s->base[DEEP_SEGMENT_ARENA] = aligned_alloc(64, (s->graph.arena_bytes + 127) / 64 * 64);
    s->memory = s->graph.arena_bytes + (frugal ? 0 : scratch);
    void *own = aligned_alloc(64, (scratch + 127) / 64 * 64);
    s->base[DEEP_SEGMENT_SCRATCH] = frugal ? s->base[DEEP_SEGMENT_ARENA] : own;
    memset(s->base[DEEP_SEGMENT_ARENA], 0xff, s->graph.arena_bytes);
    assert_ok(backend->plan_run(plan, s->base, 0, s->graph.node_count));
    backend->plan_free(plan);
    free(own);
    s->base[DEEP_SEGMENT_SCRATCH] = NULL;
}

static void close_step(step *s)
{
    for (int i = 0; i < DEEP_SEGMENT_COUNT; ++i)
        free(s->base[i]);
    deep__network_free(&s->net);
    deep__graph_free(&s->graph);
}

/* |a - b| / |b| in the Euclidean norm */
static double distance(const step *a, const step *b, deep_value value)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < deep__value_elements(deep__graph_value(&b->graph, value)); ++i) {
        const double wanted = get(b, value, i), off = get(a, value, i) - wanted;
        difference += off * off;
        size += wanted * wanted;
    }
    return sqrt(difference / size);
}

typedef struct verdict {
    bool agrees;
    char text[200]; /* the first tensor that does not */
} verdict;

static void compare(verdict *v, const step *other, const step *ref, const step *truth, deep_value value,
                    const char *name)
{
    const double got = distance(other, truth, value), usual = distance(ref, truth, value);
    if (!v->agrees || got <= fmax(1e-4, 3 * usual)) return;
    v->agrees = false;
    snprintf(v->text, sizeof v->text, "%s is off by %.3g, the reference in float by %.3g", name, got, usual);
}

static verdict judge(const step_case *c, uint64_t images, const deep_backend *backend)
{
    static step other, ref, truth;
    verdict v = {.agrees = true};
    run_step(&truth, c, images, deep__backend_ref_double(), DEEP_DTYPE_F64, false);
    run_step(&ref, c, images, deep__backend_ref(), DEEP_DTYPE_F32, false);
    run_step(&other, c, images, backend, DEEP_DTYPE_F32, false);
    compare(&v, &other, &ref, &truth, truth.loss, "loss");
    compare(&v, &other, &ref, &truth, truth.net.logits, "logits");
    for (int32_t i = truth.net.params.count - 1; i >= 0; --i)
        if (truth.gradients[i] != DEEP_NO_VALUE)
            compare(&v, &other, &ref, &truth, truth.gradients[i], truth.net.params.specs[i].name);
    close_step(&other);
    close_step(&ref);
    close_step(&truth);
    return v;
}

static void expect_agreement(const step_case *c, const deep_backend *backend)
{
    verdict v = {false, ""};
    assert_ok(deep_context_create(&context, NULL));
    for (uint64_t images = 1; images <= 4 && !v.agrees; ++images)
        v = judge(c, images, backend);
    ck_assert_msg(v.agrees, "%s: %s", c->name, v.text);
    deep_context_free(context);
}

START_TEST(a_training_step_agrees)
{
    expect_agreement(&cases[_i], deep__backend_cpu());
}
END_TEST

/* The GPU's kernels as loops: the first cases, which are the quick ones. */
START_TEST(a_training_step_on_cuda_agrees)
{
    expect_agreement(&cases[_i], deep__backend_shim());
}
END_TEST

/* A device's memory is scarce: what takes less of it gives the same bits. */
START_TEST(a_frugal_step_is_the_same)
{
    static step usual, frugal;
    const step_case *c = &cases[_i];
    assert_ok(deep_context_create(&context, NULL));
    run_step(&usual, c, 1, deep__backend_shim(), DEEP_DTYPE_F32, false);
    run_step(&frugal, c, 1, deep__backend_shim(), DEEP_DTYPE_F32, true);
    ck_assert_int_gt(frugal.graph.node_count, usual.graph.node_count);
    ck_assert_uint_lt(frugal.memory, usual.memory);
    for (int32_t i = 0; i < usual.net.params.count; ++i) {
        const deep_value value = usual.gradients[i];
        if (value == DEEP_NO_VALUE) continue;
        for (int64_t k = 0; k < deep__value_elements(deep__graph_value(&usual.graph, value)); ++k)
            ck_assert_msg(get(&usual, value, k) == get(&frugal, frugal.gradients[i], k), "%s, value %d",
                          usual.net.params.specs[i].name, (int)k);
    }
    close_step(&frugal);
    close_step(&usual);
    deep_context_free(context);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("step");
    TCase *tests = tcase_create("step");
    tcase_set_timeout(tests, 600);
    if (deep__backend_cpu() != NULL) tcase_add_loop_test(tests, a_training_step_agrees, 0, CASE_COUNT);
    tcase_add_loop_test(tests, a_training_step_on_cuda_agrees, 0, CUDA_CASES);
    tcase_add_loop_test(tests, a_frugal_step_is_the_same, 0, CUDA_CASES);
    suite_add_tcase(suite, tests);
    return suite;
}
