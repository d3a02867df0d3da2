/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a GPU has to show beside test_device.c (../gpu.sh runs each case by itself): twenty steps beside the reference, the same
 * bits twice, several sessions at once, and what happens when its memory is full.
 */
#define _POSIX_C_SOURCE 200809L /* unsetenv */
#include "small_network.h"
#include "test.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 2, RUNS = 8 };

static const int32_t dtypes[] = {DEEP_DTYPE_F32, DEEP_DTYPE_BF16, DEEP_DTYPE_F16};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0], HALVES = DTYPES - 1 };

/* Gradients are summed up, not divided by their size as Adam does: rounding errors stay in proportion. */
static const deep_fit_options sgd = {DEEP_FIT_OPTIONS_INIT,           .batch = BATCH,  .seed = 2,
                                     .optimizer = DEEP_OPTIMIZER_SGD, .momentum = 0.9, .l2 = 1e-4};
static const deep_fit_options adam = {DEEP_FIT_OPTIONS_INIT, .batch = BATCH, .seed = 2, .l2 = 1e-4, .clip_norm = 1};

static void setup(void)
{
    make_input();
    unsetenv("FAKE_GPUS");
    unsetenv("FAKE_GPU_BYTES");
}

/* ---- steps ---- */

/* Multiplies every parameter by 1 +- `by`, in turns. */
static void disturb(deep_model *model, float by)
{
    static float values[1 << 20];
    for (int32_t i = 0; i < deep_model_param_count(model); ++i) {
        deep_param param = {.struct_size = sizeof param};
        int64_t count = 1;
        assert_ok(deep_model_param_info(model, i, &param));
        for (int32_t axis = 0; axis < param.rank; ++axis)
            count *= param.shape[axis];
        ck_assert_int_le(count, 1 << 20);
        assert_ok(deep_model_param_read(model, i, values, count));
        for (int64_t k = 0; k < count; ++k)
            values[k] *= 1 + (k % 2 == 0 ? by : -by);
        assert_ok(deep_model_param_write(model, i, values, count));
    }
}

/* The largest relative distance of the losses so far, step by step. */
static void distances(double *found, const trained *a, const trained *b)
{
    for (int i = 0; i < MAX_STEPS; ++i) {
        found[i] = fabs(a->loss[i] - b->loss[i]) / fabs(b->loss[i]);
        if (i > 0) found[i] = fmax(found[i], found[i - 1]);
    }
}

/*
 * How far two right answers come apart is measured: the reference from parameters that are off by 8 roundings of a float,
 * which is what a sum of 64 products in another order is off by. A step of another rate must be told from that.
 */
START_TEST(twenty_steps_are_the_references)
{
    const float roundings = 8.0F / (1 << 24);
    double found[MAX_STEPS], allowed[MAX_STEPS], planted[MAX_STEPS];
    deep_fit_options other = sgd;
    other.momentum = 0.89;
    trained device = open_trainer("cuda", &sgd), host = open_trainer("ref", &sgd), near = open_trainer("ref", &sgd),
            wrong = open_trainer("ref", &other);
    deep_trainer_free(near.trainer);
    disturb(near.model, roundings);
    assert_ok(deep_trainer_create(&near.trainer, near.model, &sgd));
    trained *const all[] = {&device, &host, &near, &wrong};
    for (int i = 0; i < 4; ++i)
        take_steps(all[i], 0, MAX_STEPS);
    distances(found, &device, &host);
    distances(allowed, &near, &host);
    distances(planted, &wrong, &host);
    ck_assert_msg(host.loss[MAX_STEPS - 1] < 0.9 * host.loss[0], "nothing was learnt: loss %.3g, then %.3g",
                  host.loss[0], host.loss[MAX_STEPS - 1]);
    for (int i = 0; i < MAX_STEPS; ++i) {
        const double most = 4 * allowed[i] + 1e-6; /* of losses that are rounded to float */
        ck_assert_msg(found[i] <= most, "step %d: loss %.9g, not %.9g: off by %.2g, %.2g is allowed", i + 1,
                      device.loss[i], host.loss[i], found[i], most);
    }
    const double most = 4 * allowed[MAX_STEPS - 1] + 1e-6;
    ck_assert_msg(planted[MAX_STEPS - 1] > most, "momentum .89 is off by %.2g only, %.2g is allowed",
                  planted[MAX_STEPS - 1], most);
    for (int i = 0; i < 4; ++i)
        close_trainer(all[i]);
}
END_TEST

/*
 * What is stored as halves is off by their roundings on the reference, too. A GPU rounds the kernels and what stands between
 * the two parts of a separable convolution besides, so twice as often. The furthest of twenty steps is compared, at a rate at
 * which small differences do not grow from step to step; a step of another rate is to be told from them.
 */
START_TEST(twenty_steps_in_halves_are_near_the_references)
{
    enum { LAST = MAX_STEPS - 1 };
    double found[MAX_STEPS], usual[MAX_STEPS], planted[MAX_STEPS];
    deep_fit_options exact = sgd, halves, other;
    exact.learning_rate = 2e-3;
    halves = other = exact;
    halves.dtype = dtypes[1 + _i];
    other.momentum = 0.7;
    trained device = open_trainer("cuda", &halves), host = open_trainer("ref", &exact),
            near = open_trainer("ref", &halves), wrong = open_trainer("ref", &other);
    trained *const all[] = {&device, &host, &near, &wrong};
    for (int i = 0; i < 4; ++i)
        take_steps(all[i], 0, MAX_STEPS);
    distances(found, &device, &host);
    distances(usual, &near, &host);
    distances(planted, &wrong, &host);
    ck_assert_msg(device.loss[LAST] < 0.9 * device.loss[0], "nothing was learnt: loss %.3g, then %.3g", device.loss[0],
                  device.loss[LAST]);
    ck_assert_msg(found[LAST] <= 4 * usual[LAST], "off by up to %.2g, the reference by %.2g", found[LAST], usual[LAST]);
    ck_assert_msg(planted[LAST] > 4 * usual[LAST], "momentum .7 is off by %.2g only, halves on the reference by %.2g",
                  planted[LAST], usual[LAST]);
    for (int i = 0; i < 4; ++i)
        close_trainer(all[i]);
}
END_TEST

/* ---- the same bits ---- */

START_TEST(the_same_training_gives_the_same_bits)
{
    enum { STEPS = 6 };
    deep_fit_options options = adam;
    options.dtype = dtypes[_i];
    trained first = open_trainer("cuda", &options), second = open_trainer("cuda", &options);
    take_steps(&first, 0, STEPS);
    take_steps(&second, 0, STEPS);
    ck_assert_mem_eq(first.loss, second.loss, STEPS * sizeof *first.loss);
    deep_trainer_free(first.trainer);
    deep_trainer_free(second.trainer);
    first.trainer = second.trainer = NULL;
    assert_same_weights(first.model, second.model, 0);
    close_trainer(&second);
    close_trainer(&first);
}
END_TEST

START_TEST(the_same_session_gives_the_same_bits)
{
    float first[BATCH * CLASSES], again[BATCH * CLASSES];
    deep_context *context = open_context("cuda");
    deep_model *model = _i == 0 ? new_model(context) : new_model_of(context, dtypes[_i]);
    deep_session *session;
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = BATCH};
    assert_ok(deep_session_create(&session, model, &options));
    assert_ok(deep_session_run(session, input, BATCH, first, NULL));
    for (int i = 0; i < RUNS; ++i) {
        assert_ok(deep_session_run(session, input, BATCH, again, NULL));
        ck_assert_mem_eq(again, first, sizeof first);
    }
    deep_session_free(session);
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

/* ---- at once ---- */

/* One thread's session, on `count` images from `x`; Check's assertions belong to the main thread. */
typedef struct worker {
    pthread_t thread;
    const deep_model *model;
    const float *x;
    int32_t count;
    deep_status status;
    float expected[BATCH * CLASSES];
    int differ; /* runs whose result was another */
} worker;

static void *run_session(void *user)
{
    worker *w = user;
    float found[BATCH * CLASSES];
    deep_session *session = NULL;
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = w->count};
    w->status = deep_session_create(&session, w->model, &options);
    for (int i = 0; i < RUNS && w->status == DEEP_OK; ++i) {
        w->status = deep_session_run(session, w->x, w->count, found, NULL);
        w->differ += memcmp(found, w->expected, (size_t)(w->count * CLASSES) * sizeof *found) != 0;
    }
    deep_session_free(session);
    return NULL;
}

/* What the session gives when it is alone; then `model` is another context's or the same. */
static void prepare(worker *w, const deep_model *model, int32_t first)
{
    deep_session *session;
    *w = (worker){.model = model, .x = input + first * VALUES, .count = BATCH - first};
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = w->count};
    assert_ok(deep_session_create(&session, model, &options));
    assert_ok(deep_session_run(session, w->x, w->count, w->expected, NULL));
    deep_session_free(session);
}

static void run_together(worker *workers)
{
    for (int i = 0; i < THREADS; ++i)
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, run_session, &workers[i]), 0);
    for (int i = 0; i < THREADS; ++i)
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; ++i) {
        ck_assert_msg(workers[i].status == DEEP_OK, "thread %d: %s", i, deep_status_name(workers[i].status));
        ck_assert_msg(workers[i].differ == 0, "thread %d: %d of %d runs gave another result", i, workers[i].differ,
                      RUNS);
    }
}

START_TEST(sessions_in_two_threads_do_not_disturb_each_other)
{
    worker workers[THREADS];
    deep_context *context = open_context("cuda");
    deep_model *model = new_model(context);
    for (int i = 0; i < THREADS; ++i)
        prepare(&workers[i], model, i);
    run_together(workers);
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

START_TEST(contexts_in_two_threads_do_not_disturb_each_other)
{
    worker workers[THREADS];
    deep_context *contexts[THREADS];
    deep_model *models[THREADS];
    for (int i = 0; i < THREADS; ++i) {
        contexts[i] = open_context("cuda");
        models[i] = new_model(contexts[i]);
        prepare(&workers[i], models[i], i);
    }
    run_together(workers);
    for (int i = 0; i < THREADS; ++i) {
        deep_model_free(models[i]);
        deep_context_free(contexts[i]);
    }
}
END_TEST

/* ---- memory ---- */

/* A trainer of so many images of 512 pixels wants about 120 GB: the first or the second does not fit, nor any fifth. */
START_TEST(a_full_device_says_what_fits_and_goes_on)
{
    enum { LARGE = 250, MOST = 5 };
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception", .input_size = 512,
                                        .class_count = CLASSES};
    const deep_fit_options large = {DEEP_FIT_OPTIONS_INIT, .batch = LARGE};
    float before[BATCH * CLASSES], after[BATCH * CLASSES];
    deep_model *models[MOST] = {NULL};
    deep_trainer *trainers[MOST] = {NULL};
    deep_context *context = open_context("cuda");
    deep_model *small = new_model(context);
    deep_status status = DEEP_OK;
    int last = -1;
    predict(small, before);
    while (status == DEEP_OK && ++last < MOST) {
        assert_ok(deep_model_create(&models[last], context, &options));
        status = deep_trainer_create(&trainers[last], models[last], &large);
    }
    ck_assert_msg(status == DEEP_ERROR_OUT_OF_MEMORY, "%s", deep_last_error());
    const int32_t offered = offered_batch(LARGE);
    ck_assert_int_gt(offered, 0);
    ck_assert(fits(models[last], offered));
    predict(small, after);
    ck_assert_mem_eq(before, after, sizeof before);
    for (int i = 0; i <= last; ++i) {
        deep_trainer_free(trainers[i]);
        deep_model_free(models[i]);
    }
    deep_model_free(small);
    deep_context_free(context);
}
END_TEST

/* Each test `loops` times, with _i from 0 on. */
static void add_case(Suite *suite, const char *name, const TTest *first, const TTest *second, int loops)
{
    TCase *tests = tcase_create(name);
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_loop_test(tests, first, 0, loops);
    if (second != NULL) tcase_add_loop_test(tests, second, 0, loops);
    suite_add_tcase(suite, tests);
}

Suite *test_suite(void)
{
    Suite *suite = suite_create("gpu");
    add_case(suite, "steps", twenty_steps_are_the_references, NULL, 1);
    add_case(suite, "halves", twenty_steps_in_halves_are_near_the_references, NULL, HALVES);
    add_case(suite, "bits", the_same_training_gives_the_same_bits, the_same_session_gives_the_same_bits, DTYPES);
    add_case(suite, "threads", sessions_in_two_threads_do_not_disturb_each_other,
             contexts_in_two_threads_do_not_disturb_each_other, 1);
    add_case(suite, "memory", a_full_device_says_what_fits_and_goes_on, NULL, 1);
    return suite;
}
