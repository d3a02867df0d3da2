/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a scenario fails in its turn, once, and again from there on: each time an error comes back, nothing leaks, and
 * nothing crashes. All of it goes through the context's allocator, the decoders' included.
 */
#define _XOPEN_SOURCE 700
#include "failing_allocator.h"
#include "scratch.h"
#include "small_set.h"

#include <deep/deep.h>

enum { SIZE = 71, CLASSES = SMALL_SET_CLASSES };

typedef deep_status (*scenario)(deep_context *context);

static scratch folder;

static deep_model_options tiny(void)
{
    return (deep_model_options){DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small",
                                .input_size = SIZE,      .width = 0.02,
                                .middle_blocks = 1,      .class_count = CLASSES};
}

#define STEP(call)                                                                                                     \
    do {                                                                                                               \
        status = (call);                                                                                               \
        if (status != DEEP_OK) goto end;                                                                               \
    } while (0)

static deep_status load_and_predict(deep_context *context)
{
    deep_model *model = NULL;
    deep_image *image = NULL;
    deep_prediction top[2];
    deep_status status;
    STEP(deep_model_load(&model, context, scratch_path(&folder, "model.safetensors")));
    STEP(deep_image_load(&image, context, scratch_path(&folder, "images/down/000.png"), NULL));
    STEP(deep_model_predict(model, &image, 1, NULL, top, 2));
end:
    deep_image_free(image);
    deep_model_free(model);
    return status;
}

static deep_status step_and_save(deep_context *context)
{
    static float input[SIZE * SIZE * 3];
    const deep_model_options options = tiny();
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .batch = 1};
    const int32_t label = 1;
    deep_model *model = NULL;
    deep_trainer *trainer = NULL;
    deep_status status;
    STEP(deep_model_create(&model, context, &options));
    STEP(deep_trainer_create(&trainer, model, &fit));
    STEP(deep_trainer_step(trainer, input, &label, 1, NULL));
    STEP(deep_trainer_save(trainer, scratch_path(&folder, "checkpoint")));
    STEP(deep_trainer_load(trainer, scratch_path(&folder, "checkpoint")));
    deep_trainer_free(trainer);
    trainer = NULL;
    STEP(deep_model_save(model, scratch_path(&folder, "other.safetensors")));
end:
    deep_trainer_free(trainer);
    deep_model_free(model);
    return status;
}

static deep_status fit_on_images(deep_context *context)
{
    deep_model_options options = tiny();
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .batch = 3, .epochs = 1, .workers = 1};
    const deep_dataset_options opening = {DEEP_DATASET_OPTIONS_INIT, .threads = 1};
    deep_dataset *all = NULL, *train = NULL, *valid = NULL;
    deep_model *model = NULL;
    deep_history *history = NULL;
    deep_status status;
    STEP(deep_dataset_open(&all, context, scratch_path(&folder, "images"), &opening));
    STEP(deep_dataset_split(&train, &valid, all, 0.34, NULL));
    options.classes = deep_dataset_classes(train);
    STEP(deep_model_create(&model, context, &options));
    STEP(deep_model_fit(model, train, valid, &fit, NULL, NULL, &history));
end:
    deep_history_free(history);
    deep_model_free(model);
    deep_dataset_free(valid);
    deep_dataset_free(train);
    deep_dataset_free(all);
    return status;
}

static const struct {
    const char *name;
    scenario run;
    long stride; /* only every stride-th request, where a run is long */
} scenarios[] = {
    {"load and predict", load_and_predict, 1}, {"step and save", step_and_save, 3}, {"fit", fit_on_images, 17}};

static deep_status run_with(failing_allocator *allocator, scenario run, const char *device)
{
    deep_context *context;
    deep_context_options options = failing_options(allocator);
    options.threads = 1;
    options.device = device;
    const deep_status status = deep_context_create(&context, &options);
    if (status != DEEP_OK) return status;
    const deep_status result = run(context);
    deep_context_free(context);
    return result;
}

static void setup(void)
{
    deep_context *context;
    deep_model *model;
    const deep_model_options options = tiny();
    scratch_make(&folder);
    assert_ok(deep_context_create(&context, NULL));
    mkdir(scratch_path(&folder, "images"), 0777);
    small_set_write(context, scratch_path(&folder, "images"), 3);
    assert_ok(deep_model_create(&model, context, &options));
    assert_ok(deep_model_save(model, scratch_path(&folder, "model.safetensors")));
    deep_model_free(model);
    deep_context_free(context);
}

static void teardown(void)
{
    scratch_remove(&folder);
}

START_TEST(every_allocation_may_fail)
{
    const char *device = _i % 2 == 0 ? "ref" : "auto"; /* what oneDNN allocates inside itself is not the library's */
    const int i = _i / 2;
    failing_allocator whole = {0};
    assert_ok(run_with(&whole, scenarios[i].run, device));
    ck_assert_int_eq(whole.living, 0);
    ck_assert_int_gt(whole.requests, 20);
    for (long k = 1; k <= whole.requests; k += scenarios[i].stride)
        for (int forever = 0; forever < 2; ++forever) {
            failing_allocator allocator = {.fail_at = k, .forever = forever};
            const deep_status status = run_with(&allocator, scenarios[i].run, device);
            ck_assert_msg(status != DEEP_OK, "%s: request %ld of %ld was refused, and nobody noticed",
                          scenarios[i].name, k, whole.requests);
            ck_assert_msg(allocator.living == 0, "%s: request %ld refused: %ld blocks leak after %s", scenarios[i].name,
                          k, allocator.living, deep_last_error());
        }
}
END_TEST

START_TEST(steps_and_runs_allocate_nothing_once_warm)
{
    static float input[SIZE * SIZE * 3];
    const deep_model_options options = tiny();
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .batch = 1};
    const int32_t label = 1;
    failing_allocator counter = {0};
    deep_context_options counted = failing_options(&counter);
    deep_context *context;
    deep_model *model;
    deep_trainer *trainer;
    deep_session *session;
    counted.device = _i == 0 ? "ref" : "auto";
    assert_ok(deep_context_create(&context, &counted));
    assert_ok(deep_model_create(&model, context, &options));
    assert_ok(deep_trainer_create(&trainer, model, &fit));
    assert_ok(deep_trainer_step(trainer, input, &label, 1, NULL));
    const long after_first_step = counter.requests;
    for (int step = 0; step < 3; ++step)
        assert_ok(deep_trainer_step(trainer, input, &label, 1, NULL));
    ck_assert_int_eq(counter.requests, after_first_step);
    deep_trainer_free(trainer);
    assert_ok(deep_session_create(&session, model, NULL));
    const long after_creation = counter.requests;
    for (int run = 0; run < 3; ++run)
        assert_ok(deep_session_run(session, input, 1, NULL, NULL));
    ck_assert_int_eq(counter.requests, after_creation);
    deep_session_free(session);
    deep_model_free(model);
    deep_context_free(context);
    ck_assert_int_eq(counter.living, 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("memory failure");
    TCase *tests = tcase_create("memory failure");
    tcase_set_timeout(tests, 900);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, every_allocation_may_fail, 0, 2 * (int)(sizeof scenarios / sizeof scenarios[0]));
    tcase_add_loop_test(tests, steps_and_runs_allocate_nothing_once_warm, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
