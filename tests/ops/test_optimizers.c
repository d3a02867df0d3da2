/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimizer steps of both backends against Keras 3's formulas, written out here in double: velocity = m v - lr g; Adam's rate
 * lr sqrt(1 - b2^t) / (1 - b1^t), denominator sqrt(v) + epsilon, amsgrad's maximum on the uncorrected v; RMSprop's sqrt(v + epsilon).
 */
#include "backend/registry.h"
#include "graph/memory_plan.h"
#include "shim.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

enum { COUNT = 20000, STEPS = 20 }; /* more than one part of the parallel loop */

typedef struct rule {
    const char *name;
    deep_op op;
    int32_t slots;
    deep_attr attr;
} rule;

#define UPDATE(...)                                                                                                    \
    {                                                                                                                  \
        .update = {.rate = 1, __VA_ARGS__ }                                                                            \
    }

static const rule rules[] = {
    {"sgd", DEEP_OP_UPDATE_SGD, 1, UPDATE(.beta1 = 0)},
    {"sgd momentum", DEEP_OP_UPDATE_SGD, 1, UPDATE(.beta1 = 0.9)},
    {"sgd nesterov, clipped", DEEP_OP_UPDATE_SGD, 1, UPDATE(.beta1 = 0.9, .nesterov = true, .clip = 10)},
    {"rmsprop", DEEP_OP_UPDATE_RMSPROP, 2, UPDATE(.beta2 = 0.9, .epsilon = 1e-7)},
    {"rmsprop momentum", DEEP_OP_UPDATE_RMSPROP, 2, UPDATE(.beta1 = 0.9, .beta2 = 0.9, .epsilon = 1e-7)},
    {"adam", DEEP_OP_UPDATE_ADAM, 3, UPDATE(.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7)},
    {"adam amsgrad", DEEP_OP_UPDATE_ADAM, 3, UPDATE(.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7, .amsgrad = true)},
    {"adamw, slower group",
     DEEP_OP_UPDATE_ADAM,
     3,
     {.update = {.rate = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7, .decay = 0.004, .amsgrad = true}}},
};
enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static double gradient_at(int step, int i)
{
    return sin(0.37 * i + step) * (1 + 0.5 * cos(0.11 * i * step)) * (step % 5 == 4 ? 0.1 : 1);
}

/* One element through all steps. */
static double expected(const rule *r, double w, int i, const double *norms)
{
    const double lr = 0.01 * r->attr.update.rate, b1 = r->attr.update.beta1, b2 = r->attr.update.beta2;
    const double epsilon = r->attr.update.epsilon, clip = r->attr.update.clip;
    double a = 0, b = 0, c = 0;
    for (int t = 1; t <= STEPS; ++t) {
        const double g = gradient_at(t, i) * (clip > 0 && norms[t] > clip ? clip / norms[t] : 1);
        if (r->op == DEEP_OP_UPDATE_SGD) {
            a = b1 * a - lr * g;
            w += r->attr.update.nesterov ? b1 * a - lr * g : a;
        } else if (r->op == DEEP_OP_UPDATE_RMSPROP) {
            a = b2 * a + (1 - b2) * g * g;
            b = b1 * b + lr * g / sqrt(a + epsilon);
            w -= b;
        } else {
            w -= w * r->attr.update.decay * lr;
            a += (g - a) * (1 - b1);
            b += (g * g - b) * (1 - b2);
            c = fmax(c, b);
            w -= lr * sqrt(1 - pow(b2, t)) / (1 - pow(b1, t)) * a / (sqrt(r->attr.update.amsgrad ? c : b) + epsilon);
        }
    }
    return w;
}

static double norm_of(int step)
{
    double sum = 0;
    for (int i = 0; i < COUNT; ++i)
        sum += gradient_at(step, i) * gradient_at(step, i);
    return sqrt(sum);
}

static void run_rule(const rule *r, const deep_backend *backend, const deep_host *host)
{
    static float memory[6][COUNT], hyper[DEEP_HYPER_COUNT];
    const deep_allocator allocator = deep__allocator_default();
    const deep_plan_options options = {sizeof options, 2, DEEP_ISA_AUTO, false, NULL, false, 0};
    const int64_t count = COUNT, hypers = DEEP_HYPER_COUNT;
    double norms[STEPS + 1];
    deep_graph graph;
    deep_plan *plan;
    size_t scratch;
    deep__graph_init(&graph, &allocator, DEEP_DTYPE_F32);
    deep_value operands[7];
    operands[0] = deep__graph_input(&graph, 0, DEEP_DTYPE_F32, 1, &count);
    operands[1] = deep__graph_input(&graph, 1, DEEP_DTYPE_F32, 1, &count);
    operands[2] = deep__graph_input(&graph, 2, DEEP_DTYPE_F32, 1, &hypers);
    operands[3] = DEEP_GRAPH_ADD(&graph, DEEP_OP_GRADIENT_NORM, NULL, operands[1]);
    for (int s = 0; s < r->slots; ++s)
        operands[4 + s] = deep__graph_input(&graph, 3 + s, DEEP_DTYPE_F32, 1, &count);
    deep__graph_add(&graph, r->op, &r->attr, operands, 4 + r->slots);
    assert_ok(deep__memory_plan(&graph));
    assert_ok(backend->plan_create(&plan, &scratch, &graph, &options, host));
    void *base[DEEP_SEGMENT_COUNT] = {NULL};
    base[DEEP_SEGMENT_ARENA] = malloc(graph.arena_bytes + 64);
    base[DEEP_SEGMENT_SCRATCH] = malloc(scratch + 64);
    base[DEEP_SEGMENT_INPUT] = memory[0];
    base[DEEP_SEGMENT_INPUT + 1] = memory[1];
    base[DEEP_SEGMENT_INPUT + 2] = hyper;
    for (int s = 0; s < r->slots; ++s)
        base[DEEP_SEGMENT_INPUT + 3 + s] = memory[2 + s];
    for (int i = 0; i < COUNT; ++i)
        memory[0][i] = (float)cos(i), memory[2][i] = memory[3][i] = memory[4][i] = 0;
    for (int t = 1; t <= STEPS; ++t) {
        norms[t] = norm_of(t);
        for (int i = 0; i < COUNT; ++i)
            memory[1][i] = (float)gradient_at(t, i);
        hyper[DEEP_HYPER_RATE] = 0.01f;
        hyper[DEEP_HYPER_ADAM_RATE] =
            (float)(0.01 * sqrt(1 - pow(r->attr.update.beta2, t)) / (1 - pow(r->attr.update.beta1, t)));
        assert_ok(backend->plan_run(plan, base, 0, graph.node_count));
    }
    double squares = 0;
    for (int i = 0; i < COUNT; ++i) {
        const double wanted = expected(r, (double)(float)cos(i), i, norms);
        const double error = fabs(wanted - (double)memory[0][i]);
        squares += error * error;
        /* 20 steps of up to 3e-2 in single precision: a few rounding errors of the weight's own size each */
        ck_assert_msg(error <= 4e-6, "%s on %s: element %d is %.9g, not %.9g", r->name, backend->name, i,
                      (double)memory[0][i], wanted);
    }
    /* 20 roundings of weights up to 1, 3e-8 at most each, so that a constant wrong in its fifth digit is seen, as 1 - .999f
       for .001 would be. A decay of 4e-6 of the weight is rounded the same way in each step. */
    const double typical = sqrt(squares / COUNT), most = r->attr.update.decay > 0 ? 4e-7 : 2e-7;
    ck_assert_msg(typical <= most, "%s on %s: off by %.2g on average", r->name, backend->name, typical);
    backend->plan_free(plan);
    free(base[DEEP_SEGMENT_ARENA]);
    free(base[DEEP_SEGMENT_SCRATCH]);
    deep__graph_free(&graph);
}

START_TEST(updates_follow_keras_formulas)
{
    deep_context *context;
    assert_ok(deep__context_create(&context, NULL));
    const deep_host host = deep__host(context);
    run_rule(&rules[_i], deep__backend_ref(), &host);
    if (deep__backend_cpu() != NULL) run_rule(&rules[_i], deep__backend_cpu(), &host);
    run_rule(&rules[_i], deep__backend_shim(), &host);
    deep_context_free(context);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("optimizers");
    TCase *tests = tcase_create("optimizers");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, updates_follow_keras_formulas, 0, RULE_COUNT);
    suite_add_tcase(suite, tests);
    return suite;
}
