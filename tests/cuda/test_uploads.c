/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that go up to a device while it computes with the ones before: trainings and evaluations give, bit for bit, what they give
 * without that, wherever the images stand and whatever memory is left. They are pictures that the device resizes and normalises, or the
 * host's floats: that changes nothing either.
 */
#define _XOPEN_SOURCE 700 /* nftw, setenv */
#include "backend/backend.h"
#include "core/context.h"
#include "image/pictures.h"
#include "scratch.h"
#include "small_network.h"
#include "small_set.h"

#include <signal.h>
#include <time.h>

enum { IMAGES = 9 * SMALL_SET_CLASSES, TOGETHER = 5, EPOCHS = 2 };

/* The device's functions as they are, and as a test changes them. */
static const deep_accelerators *real;
static deep_accelerators changed;
static deep_backend backend;
static int uploads, buffers, lines;
static int allowed_buffers;
static bool pictures; /* the device makes inputs of them */

static scratch folder;

static void setup(void)
{
    unsetenv("FAKE_GPU_LOCKS");
    uploads = buffers = lines = 0;
    allowed_buffers = 2;
    pictures = false;
    scratch_make(&folder);
}

static void teardown(void)
{
    scratch_remove(&folder);
}

static deep_status count_upload(deep_accelerator *accelerator, void *to, const void *from, size_t bytes)
{
    ++uploads;
    return real->upload_beside(accelerator, to, from, bytes);
}

/* Called once a batch: the loader's threads get ahead meanwhile, however fast the device is. */
static deep_status take_a_rest(deep_accelerator *accelerator)
{
    const struct timespec rest = {.tv_nsec = 20 * 1000 * 1000};
    nanosleep(&rest, NULL);
    return real->meet(accelerator);
}

static size_t batch_bytes(void)
{
    size_t bytes = (size_t)TOGETHER * VALUES * sizeof(float);
    if (pictures) ck_assert(deep__pictures_room(&bytes, &(deep_preprocess){.size = SIZE}, TOGETHER));
    return bytes;
}

/* No more than `allowed_buffers` of a whole batch's size. */
static deep_status count_buffer(deep_accelerator *accelerator, void **out, size_t bytes)
{
    if (bytes != batch_bytes() || ++buffers <= allowed_buffers) return real->alloc(accelerator, out, bytes);
    *out = NULL;
    return DEEP_ERROR_OUT_OF_MEMORY;
}

static void count_lines(void *user, int32_t level, const char *line)
{
    lines += strstr(line, user) == line;
    ck_assert(level == DEEP_LOG_INFO || strstr(line, user) != line);
}

/* A device that uploads beside what it computes, or not; lines that begin with `counted` are counted. */
static deep_context *open_changed(bool beside, char *counted)
{
    deep_context *context;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT,  .threads = 1,
                                          .device = "cuda",           .log = counted == NULL ? NULL : count_lines,
                                          .log_level = DEEP_LOG_INFO, .log_user = counted};
    assert_ok(deep_context_create(&context, &options));
    backend = *context->backend;
    real = backend.accelerators;
    changed = *real;
    changed.upload_beside = beside ? count_upload : NULL;
    changed.meet = take_a_rest;
    changed.alloc = count_buffer;
    if (!pictures) changed.preprocess = NULL;
    backend.accelerators = &changed;
    context->backend = &backend;
    buffers = uploads = 0;
    return context;
}

/* ---- training and evaluation ---- */

typedef struct outcome {
    deep_context *context;
    deep_model *model;
    double loss[EPOCHS], valid[EPOCHS];
    double evaluated;
    int trained_ahead, evaluated_ahead; /* batches */
} outcome;

static deep_dataset *open_set(deep_context *context)
{
    deep_dataset *all;
    small_set_write(context, folder.root, IMAGES / SMALL_SET_CLASSES);
    assert_ok(deep_dataset_open(&all, context, folder.root, NULL));
    ck_assert_int_eq(deep_dataset_size(all), IMAGES);
    return all;
}

static deep_model *new_classifier(deep_context *context, const deep_dataset *set)
{
    deep_model *model;
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT,
                                        .architecture = "xception-small",
                                        .input_size = SIZE,
                                        .middle_blocks = 1,
                                        .width = 0.1,
                                        .seed = 5,
                                        .classes = deep_dataset_classes(set)};
    assert_ok(deep_model_create(&model, context, &options));
    return model;
}

/* On the host's floats, sent in turn: what everything else must be like. */
static outcome train(bool beside, int32_t dtype, char *counted);

static outcome train_plainly(int32_t dtype)
{
    const bool kept = pictures;
    pictures = false;
    const outcome o = train(false, dtype, NULL);
    pictures = kept;
    return o;
}

/* Epochs that end with a batch that is not full, validation and statistics included. */
static outcome train(bool beside, int32_t dtype, char *counted)
{
    outcome o = {.context = open_changed(beside, counted)};
    deep_dataset *all = open_set(o.context), *train, *valid;
    deep_history *history;
    deep_metrics *metrics;
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .epochs = EPOCHS, .batch = TOGETHER, .seed = 3,
                                  .dtype = dtype};
    const deep_predict_options predict = {DEEP_PREDICT_OPTIONS_INIT, .batch = TOGETHER};
    assert_ok(deep_dataset_split(&train, &valid, all, 0.25, NULL));
    ck_assert_int_ne(deep_dataset_size(train) % TOGETHER, 0);
    o.model = new_classifier(o.context, all);
    assert_ok(deep_model_fit(o.model, train, valid, &fit, NULL, NULL, &history));
    for (int i = 0; i < EPOCHS; ++i) {
        deep_epoch epoch = {.struct_size = sizeof epoch};
        assert_ok(deep_history_get(history, i, &epoch));
        o.loss[i] = epoch.loss;
        o.valid[i] = epoch.valid_loss;
    }
    o.trained_ahead = uploads;
    buffers = uploads = 0; /* the evaluation's session has its own */
    assert_ok(deep_model_evaluate(o.model, all, &predict, &metrics));
    assert_ok(deep_metrics_get_summary(metrics, &summary));
    o.evaluated = summary.log_loss;
    o.evaluated_ahead = uploads;
    deep_metrics_free(metrics);
    deep_history_free(history);
    deep_dataset_free(valid);
    deep_dataset_free(train);
    deep_dataset_free(all);
    return o;
}

static void close_outcome(outcome *o)
{
    deep_model_free(o->model);
    deep_context_free(o->context);
}

/* Closes both. Weights that are not finite would be alike, losses would not. */
static void assert_same_outcome(outcome *a, outcome *b)
{
    ck_assert_double_gt(a->loss[0], 0);
    ck_assert_mem_eq(a->loss, b->loss, sizeof a->loss);
    ck_assert_mem_eq(a->valid, b->valid, sizeof a->valid);
    ck_assert_double_eq(a->evaluated, b->evaluated);
    assert_same_weights(a->model, b->model, 0);
    close_outcome(b);
    close_outcome(a);
}

static const int32_t dtypes[] = {DEEP_DTYPE_F32, DEEP_DTYPE_F16};
enum { FORMS = 2 }; /* of batches */

static void assert_ahead(const outcome *o, bool wanted)
{
    /* a last batch that is not full stays behind, if it is of floats */
    const int evaluations = IMAGES / TOGETHER + (pictures ? 1 : 0),
              whole = EPOCHS * 3 * evaluations; /* steps, statistics, validation */
    ck_assert_msg(wanted == (o->trained_ahead > 0) && o->trained_ahead < whole, "%d of a training", o->trained_ahead);
    ck_assert_msg(wanted == (o->evaluated_ahead > 0) && o->evaluated_ahead < evaluations, "%d of an evaluation",
                  o->evaluated_ahead);
}

START_TEST(batches_that_go_up_ahead_change_nothing)
{
    const int32_t dtype = dtypes[_i / FORMS];
    outcome plain = train_plainly(dtype);
    assert_ahead(&plain, false);
    pictures = _i % FORMS == 1;
    outcome ahead = train(true, dtype, NULL);
    assert_ahead(&ahead, true);
    assert_same_outcome(&ahead, &plain);
}
END_TEST

START_TEST(pictures_that_go_up_in_turn_change_nothing)
{
    char counted[] = "the device resizes and normalises images";
    outcome plain = train_plainly(DEEP_DTYPE_F32);
    pictures = true;
    outcome in_turn = train(false, DEEP_DTYPE_F32, counted);
    ck_assert_int_eq(lines, 2); /* the training and the evaluation */
    assert_ahead(&in_turn, false);
    assert_same_outcome(&in_turn, &plain);
}
END_TEST

START_TEST(pageable_batches_go_up_ahead_too)
{
    char counted[] = "batches stand in pageable memory: this device is to lock nothing";
    outcome plain = train_plainly(DEEP_DTYPE_F32);
    pictures = _i == 1;
    setenv("FAKE_GPU_LOCKS", "0", 1);
    outcome ahead = train(true, DEEP_DTYPE_F32, counted);
    assert_ahead(&ahead, true);
    ck_assert_int_gt(lines, 0);
    assert_same_outcome(&ahead, &plain);
}
END_TEST

START_TEST(without_memory_for_a_second_buffer_batches_go_up_in_turn)
{
    char counted[] = "batches are not uploaded ahead: ";
    outcome plain = train_plainly(DEEP_DTYPE_F32);
    pictures = _i == 1;
    allowed_buffers = 1;
    outcome ahead = train(true, DEEP_DTYPE_F32, counted);
    assert_ahead(&ahead, false);
    ck_assert_int_eq(lines, 2); /* the trainer's and the session's */
    assert_same_outcome(&ahead, &plain);
}
END_TEST

/* ---- prediction ---- */

enum { PICTURES = 3 * TOGETHER + 2, TOP = 2, PICTURE = 30 };

static void predict_pictures(bool beside, int32_t n, deep_prediction *top)
{
    static uint8_t pixels[PICTURES][PICTURE * PICTURE];
    deep_image *images[PICTURES];
    deep_context *context = open_changed(beside, NULL);
    deep_model *model = new_model(context);
    const deep_predict_options options = {DEEP_PREDICT_OPTIONS_INIT, .batch = TOGETHER};
    for (int i = 0; i < PICTURES; ++i) {
        for (int p = 0; p < PICTURE * PICTURE; ++p)
            pixels[i][p] = (uint8_t)((p * (i + 3)) ^ (p >> 3));
        const deep_pixels frame = {DEEP_PIXELS_INIT, .data = pixels[i], .width = PICTURE, .height = PICTURE,
                                   .format = DEEP_PIXEL_GRAY8};
        assert_ok(deep_image_wrap(&images[i], context, &frame));
    }
    assert_ok(deep_model_predict(model, images, n, &options, top, TOP));
    const int once = uploads;
    assert_ok(deep_model_predict(model, images, n, &options, top, TOP)); /* by the same session */
    ck_assert_int_eq(uploads, 2 * once);
    for (int i = 0; i < PICTURES; ++i)
        deep_image_free(images[i]);
    deep_model_free(model);
    deep_context_free(context);
}

START_TEST(predictions_that_go_up_ahead_are_what_they_are)
{
    static const int32_t counts[] = {1, TOGETHER, TOGETHER + 1, 2 * TOGETHER, PICTURES};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; ++c) {
        const int32_t n = counts[c];
        deep_prediction alone[PICTURES * TOP], in_turn[PICTURES * TOP], ahead[PICTURES * TOP];
        pictures = false;
        predict_pictures(false, n, in_turn);
        ck_assert_int_eq(uploads, 0);
        pictures = _i == 1;
        predict_pictures(true, n, ahead);
        ck_assert_int_eq(uploads, 2 * ((n - 1) / TOGETHER));
        ck_assert_mem_eq(ahead, in_turn, (size_t)(n * TOP) * sizeof *ahead);
        predict_pictures(true, TOGETHER, alone); /* the first of them, in one batch */
        const int32_t first = n < TOGETHER ? n : TOGETHER;
        ck_assert_mem_eq(ahead, alone, (size_t)(first * TOP) * sizeof *ahead);
        if (n > 1) ck_assert_mem_ne(ahead, ahead + TOP, TOP * sizeof *ahead);
    }
}
END_TEST

/* ---- what ends early ---- */

static int32_t stop_at(void *user, const deep_progress *progress)
{
    return progress->phase == DEEP_PHASE_TRAIN && progress->step == *(const int *)user;
}

/* With a batch on its way: nothing stays allocated on the device, and nothing reads memory that is gone (a sanitizer would tell). */
static void cancel_trainings(void)
{
    deep_context *context = open_changed(true, NULL);
    deep_dataset *all = open_set(context);
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .epochs = 1, .batch = TOGETHER};
    bool any = false;
    for (int step = 1; step <= 3; ++step) {
        deep_model *model = new_classifier(context, all);
        buffers = uploads = 0;
        assert_status(deep_model_fit(model, all, NULL, &fit, stop_at, &step, NULL), DEEP_ERROR_CANCELLED);
        deep_model_free(model);
        ck_assert_int_le(uploads, step);
        any = any || uploads > 0;
    }
    ck_assert(any);
    deep_dataset_free(all);
    deep_context_free(context);
}

START_TEST(a_training_that_is_cancelled_leaves_nothing_behind)
{
    pictures = _i == 1;
    cancel_trainings();
}
END_TEST

START_TEST(a_training_on_pageable_memory_that_is_cancelled_leaves_nothing_behind)
{
    pictures = _i == 1;
    setenv("FAKE_GPU_LOCKS", "0", 1);
    cancel_trainings();
}
END_TEST

/* ---- the contract ---- */

enum { COUNT = 1000 };

/* A queue with a block of zeros, and a page-locked one of others. */
typedef struct blocks {
    deep_context *context;
    const deep_accelerators *device;
    deep_accelerator *queue;
    void *there, *here;
} blocks;

static blocks open_blocks(void)
{
    blocks b = {.context = open_context("cuda")};
    b.device = b.context->backend->accelerators;
    assert_ok(b.device->branch(&b.queue, b.context->accelerator, NULL));
    assert_ok(b.device->alloc(b.queue, &b.there, COUNT));
    assert_ok(b.device->alloc_locked(b.queue, &b.here, COUNT));
    ck_assert_uint_eq((uintptr_t)b.here % 64, 0);
    memset(b.here, 'x', COUNT);
    assert_ok(b.device->clear(b.queue, b.there, COUNT));
    return b;
}

static void close_blocks(blocks *b)
{
    b->device->free(b->queue, b->there);
    b->device->free_locked(b->queue, b->here);
    b->device->close(b->queue);
    deep_context_free(b->context);
}

START_TEST(an_upload_beside_comes_between_two_meetings)
{
    char found[COUNT];
    blocks b = open_blocks();
    for (char letter = 'a'; letter < 'e'; ++letter) {
        memset(b.here, letter, COUNT);
        assert_ok(b.device->meet(b.queue));
        assert_ok(b.device->upload_beside(b.queue, b.there, b.here, COUNT));
        assert_ok(b.device->meet(b.queue));
        assert_ok(b.device->download(b.queue, found, b.there, COUNT));
        ck_assert_mem_eq(found, b.here, COUNT);
    }
    assert_ok(b.device->meet(b.queue));
    assert_ok(b.device->upload_beside(b.queue, b.there, b.here, COUNT));
    memset(found, 0, COUNT);
    assert_ok(b.device->sync(b.queue));
    memset(b.here, 'z', COUNT); /* it was read */
    assert_ok(b.device->download(b.queue, found, b.there, COUNT));
    ck_assert_int_eq(found[COUNT - 1], 'd');
    close_blocks(&b);
}
END_TEST

/* ---- what the stand-in finds ---- */

START_TEST(what_does_not_meet_finds_nothing)
{
    char found[COUNT], zeros[COUNT] = {0};
    blocks b = open_blocks();
    assert_ok(b.device->meet(b.queue));
    assert_ok(b.device->upload_beside(b.queue, b.there, b.here, COUNT));
    assert_ok(b.device->download(b.queue, found, b.there, COUNT));
    ck_assert_mem_eq(found, zeros, COUNT);
    close_blocks(&b);
}
END_TEST

START_TEST(an_upload_into_what_is_in_use_ends_the_program)
{
    blocks b = open_blocks(); /* its zeros are queued */
    b.device->upload_beside(b.queue, b.there, b.here, COUNT);
}
END_TEST

START_TEST(page_locked_memory_is_read_late)
{
    char found[COUNT];
    blocks b = open_blocks();
    assert_ok(b.device->upload(b.queue, b.there, b.here, COUNT));
    memset(b.here, 'y', COUNT);
    assert_ok(b.device->download(b.queue, found, b.there, COUNT));
    ck_assert_mem_eq(found, b.here, COUNT);
    close_blocks(&b);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("uploads");
    TCase *tests = tcase_create("uploads"), *stand_in = tcase_create("stand-in"); /* GPUs do not look, and lock */
    tcase_set_timeout(tests, 300);
    tcase_set_timeout(stand_in, 300);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_checked_fixture(stand_in, setup, teardown);
    tcase_add_loop_test(tests, batches_that_go_up_ahead_change_nothing, 0, 2 * FORMS);
    tcase_add_test(tests, pictures_that_go_up_in_turn_change_nothing);
    tcase_add_loop_test(tests, predictions_that_go_up_ahead_are_what_they_are, 0, FORMS);
    tcase_add_loop_test(tests, without_memory_for_a_second_buffer_batches_go_up_in_turn, 0, FORMS);
    tcase_add_loop_test(tests, a_training_that_is_cancelled_leaves_nothing_behind, 0, FORMS);
    tcase_add_test(tests, an_upload_beside_comes_between_two_meetings);
    tcase_add_loop_test(stand_in, pageable_batches_go_up_ahead_too, 0, FORMS);
    tcase_add_loop_test(stand_in, a_training_on_pageable_memory_that_is_cancelled_leaves_nothing_behind, 0, FORMS);
    tcase_add_test(stand_in, what_does_not_meet_finds_nothing);
    tcase_add_test_raise_signal(stand_in, an_upload_into_what_is_in_use_ends_the_program, SIGABRT);
    tcase_add_test(stand_in, page_locked_memory_is_read_late);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, stand_in);
    return suite;
}
