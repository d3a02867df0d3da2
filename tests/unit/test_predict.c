/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "failing_allocator.h"
#include "small_set.h"

#include <deep/deep.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#else /* the library was built without the backend that uses it */
#define omp_set_num_threads(n) (void)(n)
#define omp_get_max_threads()  5
#endif

enum { IMAGES = 9, CLASSES = 7, TOP = 3, THREADS = 6, SIZE = 71 };

static deep_context *context;
static deep_model *model;
static deep_image *images[IMAGES];
static uint8_t pixels[IMAGES][40 * 30 * 3];

static void make_model(const char *device)
{
    const deep_context_options context_options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = 2, .device = device};
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small",
                                        .input_size = SIZE,      .class_count = CLASSES,
                                        .middle_blocks = 1,      .seed = 2};
    assert_ok(deep_context_create(&context, &context_options));
    assert_ok(deep_model_create(&model, context, &options));
}

static void make_images(void)
{
    for (int i = 0; i < IMAGES; ++i) {
        for (int p = 0; p < 40 * 30 * 3; ++p)
            pixels[i][p] = (uint8_t)((p * (i + 3)) ^ (p >> 3));
        const deep_pixels frame = {DEEP_PIXELS_INIT, .data = pixels[i], .width = 40, .height = 30,
                                   .format = DEEP_PIXEL_RGB};
        assert_ok(deep_image_wrap(&images[i], context, &frame));
    }
}

static void setup(void)
{
    make_model(NULL);
    make_images();
}

static void teardown(void)
{
    for (int i = 0; i < IMAGES; ++i)
        deep_image_free(images[i]);
    deep_model_free(model);
    deep_context_free(context);
}

START_TEST(predictions_are_sorted_and_padded)
{
    deep_prediction top[CLASSES + 2];
    assert_ok(deep_model_predict(model, images, 1, NULL, top, CLASSES + 2));
    double sum = 0;
    for (int k = 0; k < CLASSES; ++k) {
        sum += (double)top[k].probability;
        if (k > 0) ck_assert_float_le(top[k].probability, top[k - 1].probability);
    }
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    for (int k = CLASSES; k < CLASSES + 2; ++k) {
        ck_assert_int_eq(top[k].class_index, -1);
        ck_assert_float_eq(top[k].probability, 0);
    }
    assert_status(deep_model_predict(model, images, 1, NULL, top, 0), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_model_predict(model, images, -1, NULL, top, 1), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_model_predict(NULL, images, 1, NULL, top, 1), DEEP_ERROR_INVALID_ARGUMENT);
    assert_ok(deep_model_predict(model, NULL, 0, NULL, NULL, 1));
}
END_TEST

START_TEST(a_batch_gives_what_single_images_give)
{
    static deep_prediction single[IMAGES][CLASSES], batched[IMAGES][CLASSES];
    const deep_predict_options options = {DEEP_PREDICT_OPTIONS_INIT, .batch = 4}; /* two whole batches and a rest */
    assert_ok(deep_model_predict(model, images, IMAGES, NULL, single[0], CLASSES));
    assert_ok(deep_model_predict(model, images, IMAGES, &options, batched[0], CLASSES));
    for (int i = 0; i < IMAGES; ++i)
        for (int k = 0; k < CLASSES; ++k) {
            ck_assert_int_eq(batched[i][k].class_index, single[i][k].class_index);
            ck_assert_float_eq_tol(batched[i][k].probability, single[i][k].probability, 1e-6f);
        }
}
END_TEST

static void *predict_all(void *out)
{
    for (int round = 0; round < 3; ++round)
        if (deep_model_predict(model, images, IMAGES, NULL, out, TOP) != DEEP_OK) return (void *)1;
    return NULL;
}

START_TEST(threads_predict_side_by_side)
{
    static deep_prediction serial[IMAGES * TOP], parallel[THREADS][IMAGES * TOP];
    pthread_t threads[THREADS];
    ck_assert_ptr_null(predict_all(serial));
    for (int t = 0; t < THREADS; ++t)
        ck_assert_int_eq(pthread_create(&threads[t], NULL, predict_all, parallel[t]), 0);
    for (int t = 0; t < THREADS; ++t) {
        void *failed;
        pthread_join(threads[t], &failed);
        ck_assert_ptr_null(failed);
        ck_assert_int_eq(memcmp(parallel[t], serial, sizeof serial), 0);
    }
}
END_TEST

START_TEST(a_session_holds_the_model_but_lets_it_predict)
{
    deep_session *session;
    deep_trainer *trainer;
    deep_prediction top[TOP];
    float one = 1;
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = 2};
    assert_ok(deep_session_create(&session, model, &options));
    assert_ok(deep_model_predict(model, images, 1, NULL, top, TOP));
    assert_status(deep_trainer_create(&trainer, model, NULL), DEEP_ERROR_STATE);
    assert_status(deep_model_param_write(model, 0, &one, 1), DEEP_ERROR_STATE);
    static float input[2 * SIZE * SIZE * 3], probabilities[CLASSES];
    assert_ok(deep_session_preprocess(session, images[0], input));
    assert_ok(deep_session_run(session, input, 1, NULL, probabilities));
    ck_assert_float_eq_tol(probabilities[top[0].class_index], top[0].probability, 1e-6f);
    assert_status(deep_session_run(session, input, 3, NULL, probabilities), DEEP_ERROR_INVALID_ARGUMENT);
    deep_session_free(session);
    const deep_fit_options small = {DEEP_FIT_OPTIONS_INIT, .batch = 2};
    assert_ok(deep_trainer_create(&trainer, model, &small)); /* idle sessions do not stand in the way */
    assert_status(deep_model_predict(model, images, 1, NULL, top, TOP), DEEP_ERROR_STATE);
    deep_trainer_free(trainer);
    assert_ok(deep_model_predict(model, images, 1, NULL, top, TOP));
}
END_TEST

/* 0 when `call` refuses at once with DEEP_ERROR_FORKED in a forked child. */
static int refused_in_child(int (*call)(void))
{
    const pid_t child = fork();
    if (child == 0) {
        alarm(5); /* a hang is a failure too */
        _exit(call());
    }
    int result = -1;
    waitpid(child, &result, 0);
    return result;
}

static int call_predict(void)
{
    deep_prediction top[TOP];
    return deep_model_predict(model, images, 1, NULL, top, TOP) == DEEP_ERROR_FORKED ? 0 : 1;
}

static int call_context(void)
{
    deep_context *fresh;
    return deep_context_create(&fresh, NULL) == DEEP_ERROR_FORKED ? 0 : 1;
}

static int call_new_context_works(void)
{
    deep_prediction top[TOP];
    make_model(NULL); /* the parent has not computed yet */
    make_images();
    return deep_model_predict(model, images, 1, NULL, top, TOP) == DEEP_OK ? 0 : 1;
}

START_TEST(forked_children_get_errors_not_hangs)
{
    deep_prediction top[TOP];
    ck_assert_int_eq(refused_in_child(call_predict), 0);
    ck_assert_int_eq(refused_in_child(call_new_context_works), 0);
    assert_ok(deep_model_predict(model, images, 1, NULL, top, TOP));
    ck_assert_int_eq(refused_in_child(call_predict), 0);
    ck_assert_int_eq(refused_in_child(call_context), 0);
}
END_TEST

START_TEST(the_host_is_left_as_it_was)
{
    cpu_set_t before, after;
    struct sigaction handler_before, handler_after;
    deep_prediction top[TOP];
    omp_set_num_threads(5);
    sched_getaffinity(0, sizeof before, &before);
    sigaction(SIGINT, NULL, &handler_before);
    const char *locale = setlocale(LC_ALL, NULL);
    assert_ok(deep_model_predict(model, images, 2, NULL, top, 1));
    ck_assert_int_eq(omp_get_max_threads(), 5);
    sched_getaffinity(0, sizeof after, &after);
    ck_assert(CPU_EQUAL(&before, &after));
    sigaction(SIGINT, NULL, &handler_after);
    ck_assert_ptr_eq((void *)(size_t)handler_before.sa_handler, (void *)(size_t)handler_after.sa_handler);
    ck_assert_str_eq(setlocale(LC_ALL, NULL), locale);
}
END_TEST

START_TEST(the_instruction_set_is_fixed_once)
{
    deep_context *first, *second;
    deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .isa = DEEP_ISA_AVX2};
    if (strcmp(deep_context_device(context), "cpu") != 0) return; /* `ref` has no instruction set to fix */
    assert_ok(deep_context_create(&first, &options));
    assert_ok(deep_context_create(&second, &options));
    deep_context_free(second);
    options.isa = DEEP_ISA_BASELINE;
    assert_status(deep_context_create(&second, &options), DEEP_ERROR_STATE);
    options.isa = 99;
    assert_status(deep_context_create(&second, &options), DEEP_ERROR_INVALID_ARGUMENT);
    deep_context_free(first);
}
END_TEST

START_TEST(the_estimate_is_near_what_a_session_allocates)
{
    failing_allocator counter = {0};
    deep_context_options options = failing_options(&counter);
    deep_memory_estimate estimate = {.struct_size = sizeof estimate};
    deep_context *counted;
    deep_model *copy;
    deep_session *session;
    const deep_model_options model_options = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small",
                                              .input_size = SIZE, .class_count = CLASSES};
    assert_ok(deep_context_create(&counted, &options));
    assert_ok(deep_model_create(&copy, counted, &model_options));
    assert_ok(deep_model_memory_estimate(copy, 1, 0, &estimate));
    counter.largest = 0;
    assert_ok(deep_session_create(&session, copy, NULL));
    ck_assert_int_ge(estimate.activations, (int64_t)counter.largest); /* the arena is the largest block */
    ck_assert_int_le(estimate.activations, (int64_t)counter.largest + (1 << 20));
    ck_assert_int_eq(estimate.total, estimate.weights + estimate.activations);
    deep_memory_estimate training = {.struct_size = sizeof training};
    deep_session_free(session);
    assert_ok(deep_model_memory_estimate(copy, 4, 1, &training));
    ck_assert_int_eq(training.optimizer, 4 * training.weights);
    ck_assert_int_gt(training.activations, estimate.activations);
    deep_model_free(copy);
    deep_context_free(counted);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("predict");
    TCase *tests = tcase_create("predict");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, predictions_are_sorted_and_padded);
    tcase_add_test(tests, a_batch_gives_what_single_images_give);
    tcase_add_test(tests, threads_predict_side_by_side);
    tcase_add_test(tests, a_session_holds_the_model_but_lets_it_predict);
    tcase_add_test(tests, forked_children_get_errors_not_hangs);
    tcase_add_test(tests, the_host_is_left_as_it_was);
    tcase_add_test(tests, the_instruction_set_is_fixed_once);
    tcase_add_test(tests, the_estimate_is_near_what_a_session_allocates);
    suite_add_tcase(suite, tests);
    return suite;
}
