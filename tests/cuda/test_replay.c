/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs that come again are recorded and replayed: with other images, labels, rates and dropout masks they must give, bit for bit,
 * what kernels queued one by one give.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "small_network.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 5, STEPS = 9 };

static int recorded, refused; /* lines of the log */

static void count_lines(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)level;
    recorded += strcmp(line, "cuda: a run is recorded") == 0;
    refused += strstr(line, "cuda: runs cannot be recorded") == line;
}

static void setup(void)
{
    make_input();
    unsetenv("FAKE_GPU_RECORDS");
    recorded = refused = 0;
}

static deep_context *open_counted(int32_t plain)
{
    deep_context *context;
    const deep_context_options options = {
        DEEP_CONTEXT_OPTIONS_INIT,   .threads = 1,           .device = "cuda", .log = count_lines,
        .log_level = DEEP_LOG_DEBUG, .plain_launches = plain};
    assert_ok(deep_context_create(&context, &options));
    return context;
}

/* Other images for each run. */
static void change_input(int run)
{
    for (int i = 0; i < BATCH * VALUES; ++i)
        input[i] = input[i] * 0.75F + (float)((i + run) % 5) * 0.1F;
}

static void run_session(float *probabilities, int32_t plain)
{
    deep_context *context = open_counted(plain);
    deep_model *model = new_model(context);
    deep_session *session;
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = BATCH};
    make_input();
    assert_ok(deep_session_create(&session, model, &options));
    for (int run = 0; run < RUNS; ++run) {
        change_input(run);
        assert_ok(deep_session_run(session, input, BATCH, NULL, probabilities + run * BATCH * CLASSES));
    }
    deep_session_free(session);
    deep_model_free(model);
    deep_context_free(context);
}

START_TEST(a_session_is_recorded_once_and_sees_each_image)
{
    float queued[RUNS * BATCH * CLASSES], replayed[RUNS * BATCH * CLASSES];
    run_session(queued, 1);
    ck_assert_int_eq(recorded, 0);
    run_session(replayed, 0);
    ck_assert_int_eq(recorded, 1);
    ck_assert_int_eq(refused, 0);
    ck_assert_mem_eq(replayed, queued, sizeof queued);
    ck_assert_mem_ne(queued, queued + (RUNS - 1) * BATCH * CLASSES, BATCH * CLASSES * sizeof *queued);
}
END_TEST

/* Rates, class weights, labels and batches change; the dropout's mask does by itself. Batches of one come first, so that buffers grow. */
static trained train(int32_t plain, int32_t dtype)
{
    const deep_fit_options options = {DEEP_FIT_OPTIONS_INIT, .batch = BATCH, .seed = 2, .l2 = 1e-4,
                                      .clip_norm = 1,        .dtype = dtype};
    const float weights[2][CLASSES] = {{1, 2, 1, 1}, {2, 1, 1, 3}};
    const int32_t other[BATCH] = {2, 0, 1}, counts[STEPS] = {1, 1, 1, BATCH, 1, BATCH, BATCH, 1, 1};
    trained t = {.context = open_counted(plain)};
    t.model = new_model(t.context);
    make_input();
    assert_ok(deep_trainer_create(&t.trainer, t.model, &options));
    for (int i = 0; i < STEPS; ++i) {
        deep_step step = {.struct_size = sizeof step};
        change_input(i);
        assert_ok(deep_trainer_set_learning_rate(t.trainer, 1e-3 / (1 + i)));
        assert_ok(deep_trainer_set_class_weights(t.trainer, weights[i % 2], CLASSES));
        assert_ok(deep_trainer_step(t.trainer, input, i % 3 == 0 ? labels : other, counts[i], &step));
        t.loss[i] = step.loss;
    }
    deep_trainer_free(t.trainer);
    t.trainer = NULL;
    return t;
}

static void assert_same_training(trained *a, trained *b)
{
    ck_assert_mem_eq(a->loss, b->loss, STEPS * sizeof *a->loss);
    assert_same_weights(a->model, b->model, 0);
    close_trainer(a);
    close_trainer(b);
}

/* fp16 comes with a factor of the loss, which changes by itself. */
static const int32_t dtypes[] = {DEEP_DTYPE_F32, DEEP_DTYPE_BF16, DEEP_DTYPE_F16};

START_TEST(a_step_is_recorded_for_each_size_and_place)
{
    const int32_t dtype = dtypes[_i];
    trained queued = train(1, dtype);
    ck_assert_int_eq(recorded, 0);
    trained replayed = train(0, dtype);
    /* Forward and update of batches of one, twice, as the images' buffer moves, and of whole ones. */
    ck_assert_msg(recorded >= 5 && recorded <= 6, "%d recordings", recorded);
    assert_same_training(&replayed, &queued);
}
END_TEST

START_TEST(a_device_that_cannot_record_queues_one_by_one)
{
    const int32_t dtype = DEEP_DTYPE_F32;
    trained queued = train(1, dtype);
    setenv("FAKE_GPU_RECORDS", "0", 1);
    trained other = train(0, dtype);
    ck_assert_int_eq(recorded, 0);
    ck_assert_int_eq(refused, 2); /* once for each size of batch */
    assert_same_training(&other, &queued);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("replay");
    TCase *tests = tcase_create("replay"), *stand_in = tcase_create("stand-in"); /* no GPU refuses to record */
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_checked_fixture(stand_in, setup, NULL);
    tcase_add_test(tests, a_session_is_recorded_once_and_sees_each_image);
    tcase_add_loop_test(tests, a_step_is_recorded_for_each_size_and_place, 0, 3);
    tcase_add_test(stand_in, a_device_that_cannot_record_queues_one_by_one);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, stand_in);
    return suite;
}
