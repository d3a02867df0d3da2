/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "base/hash.h"
#include "scratch.h"
#include "small_set.h"

#include <deep/deep.h>
#include <math.h>
#include <stdbool.h>

enum { PER_CLASS = 12, BATCH = 5, EPOCHS = 2 };

static deep_context *context;
static deep_dataset *train, *valid;
static scratch folder;

static void open_context(int32_t threads)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = threads};
    assert_ok(deep_context_create(&context, &options));
}

static void setup(void)
{
    deep_dataset *all;
    open_context(2);
    scratch_make(&folder);
    small_set_write(context, folder.root, PER_CLASS);
    assert_ok(deep_dataset_open(&all, context, folder.root, NULL));
    assert_ok(deep_dataset_split(&train, &valid, all, 0.25, NULL));
    deep_dataset_free(all);
}

static void teardown(void)
{
    deep_dataset_free(valid);
    deep_dataset_free(train);
    scratch_remove(&folder);
    deep_context_free(context);
}

static deep_model *new_model(void)
{
    deep_model *model;
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT,
                                        .architecture = "xception-small",
                                        .input_size = 71,
                                        .head = DEEP_HEAD_SERVICE,
                                        .dropout = 0.2,
                                        .middle_blocks = 1,
                                        .width = 0.1,
                                        .classes = deep_dataset_classes(train),
                                        .seed = 3};
    assert_ok(deep_model_create(&model, context, &options));
    return model;
}

static deep_fit_options usual(void)
{
    return (deep_fit_options){DEEP_FIT_OPTIONS_INIT, .epochs = EPOCHS, .batch = BATCH, .seed = 4};
}

/* XXH3 of the model file's bytes. */
static uint64_t hash_of(const deep_model *model)
{
    void *data;
    size_t size;
    assert_ok(deep_model_save_memory(model, &data, &size));
    const uint64_t hash = deep__xxh3(data, size);
    deep_free(context, data);
    return hash;
}

static uint64_t train_whole(const deep_fit_options *options)
{
    deep_model *model = new_model();
    assert_ok(deep_model_fit(model, train, valid, options, NULL, NULL, NULL));
    const uint64_t hash = hash_of(model);
    deep_model_free(model);
    return hash;
}

START_TEST(the_same_seed_gives_the_same_file)
{
    deep_fit_options options = usual();
    const uint64_t first = train_whole(&options);
    ck_assert_uint_eq(train_whole(&options), first);
    options.workers = 7;
    ck_assert_uint_eq(train_whole(&options), first);
    options.cache_bytes = -1;
    ck_assert_uint_eq(train_whole(&options), first);
    options.seed = 5;
    ck_assert_uint_ne(train_whole(&options), first);
}
END_TEST

START_TEST(bfloat16_activations_give_one_file_too)
{
    deep_fit_options options = usual();
    const uint64_t single = train_whole(&options);
    options.dtype = DEEP_DTYPE_BF16;
    const uint64_t narrow = train_whole(&options);
    ck_assert_uint_ne(narrow, single);
    ck_assert_uint_eq(train_whole(&options), narrow);
}
END_TEST

/* Cancels after so many callbacks of any phase. */
static int32_t cancel_after(void *user, const deep_progress *progress)
{
    int *left = user;
    ck_assert_uint_eq(progress->struct_size, sizeof *progress);
    return --*left <= 0;
}

START_TEST(resuming_at_any_callback_equals_never_having_stopped)
{
    deep_fit_options options = usual();
    options.schedule = DEEP_SCHEDULE_COSINE;
    options.warmup_epochs = 0.5;
    const uint64_t straight = train_whole(&options);
    options.checkpoint = scratch_path(&folder, "checkpoint");
    options.resume = 1;
    for (int stop = 1; stop <= 18; stop += stop < 9 ? 3 : 1) {
        int left = stop;
        unlink(options.checkpoint);
        deep_model *model = new_model();
        deep_history *history;
        assert_status(deep_model_fit(model, train, valid, &options, cancel_after, &left, &history),
                      DEEP_ERROR_CANCELLED);
        ck_assert_ptr_nonnull(history);
        deep_history_free(history);
        deep_model_free(model);
        model = new_model();
        assert_ok(deep_model_fit(model, train, valid, &options, NULL, NULL, &history));
        ck_assert_int_eq(deep_history_count(history), EPOCHS);
        ck_assert_msg(hash_of(model) == straight, "another model after a stop at callback %d", stop);
        deep_history_free(history);
        deep_model_free(model);
    }
}
END_TEST

START_TEST(a_damaged_checkpoint_falls_back_to_the_one_before)
{
    deep_fit_options options = usual();
    const uint64_t straight = train_whole(&options);
    options.checkpoint = scratch_path(&folder, "checkpoint");
    options.checkpoint_steps = 2;
    options.resume = 1;
    int left = 5;
    deep_model *model = new_model();
    assert_status(deep_model_fit(model, train, valid, &options, cancel_after, &left, NULL), DEEP_ERROR_CANCELLED);
    deep_model_free(model);
    FILE *file = fopen(options.checkpoint, "r+b");
    ck_assert_ptr_nonnull(file);
    fseek(file, -5, SEEK_END);
    fputc(0x55, file);
    fclose(file);
    model = new_model();
    assert_ok(deep_model_fit(model, train, valid, &options, NULL, NULL, NULL));
    ck_assert_uint_eq(hash_of(model), straight);
    deep_model_free(model);

    options.epochs = EPOCHS + 1; /* another training */
    model = new_model();
    assert_status(deep_model_fit(model, train, valid, &options, NULL, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "epochs"));
    deep_model_free(model);
}
END_TEST

static bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Which checkpoints exist after each epoch, before the next one begins. */
typedef struct watched {
    const char *path;
    const char *previous;
    bool written[EPOCHS];
    bool kept[EPOCHS];
} watched;

static int32_t watch_epochs(void *user, const deep_progress *progress)
{
    watched *w = user;
    if (progress->phase != DEEP_PHASE_EPOCH) return 0;
    w->written[progress->epoch - 1] = there(w->path);
    w->kept[progress->epoch - 1] = there(w->previous);
    return 0;
}

static const struct checkpoint_rule {
    int32_t seconds;
    int64_t steps;
    bool each_epoch; /* is written, not the last one alone */
} checkpoint_rules[] = {{1000000, 0, false}, {-1, 0, true}, {1000000, 1000, true}};

START_TEST(ends_of_epochs_write_checkpoints_when_the_last_is_old_enough)
{
    const struct checkpoint_rule *rule = &checkpoint_rules[_i];
    deep_fit_options options = usual();
    options.checkpoint = scratch_path(&folder, "checkpoint");
    options.checkpoint_seconds = rule->seconds;
    options.checkpoint_steps = rule->steps;
    watched w = {.path = options.checkpoint, .previous = scratch_path(&folder, "checkpoint.prev")};
    deep_model *model = new_model();
    assert_ok(deep_model_fit(model, train, valid, &options, watch_epochs, &w, NULL));
    for (int epoch = 0; epoch < EPOCHS; ++epoch) {
        ck_assert_int_eq(w.written[epoch], rule->each_epoch || epoch == EPOCHS - 1);
        ck_assert_int_eq(w.kept[epoch], rule->each_epoch && epoch > 0);
    }
    const uint64_t ended = hash_of(model);
    deep_model_free(model);

    model = new_model(); /* the last one is of the end: nothing is left to do */
    options.resume = 1;
    deep_history *history;
    assert_ok(deep_model_fit(model, train, valid, &options, NULL, NULL, &history));
    ck_assert_int_eq(deep_history_count(history), EPOCHS);
    ck_assert_uint_eq(hash_of(model), ended);
    deep_history_free(history);
    deep_model_free(model);
}
END_TEST

/* Takes the images of a class away when the first epoch has ended. */
static int32_t hide_images(void *user, const deep_progress *progress)
{
    (void)user;
    if (progress->phase == DEEP_PHASE_EPOCH && progress->epoch == 1)
        ck_assert_int_eq(rename(scratch_path(&folder, "round"), scratch_path(&folder, "hidden")), 0);
    return 0;
}

START_TEST(a_training_that_fails_can_be_gone_on_with)
{
    deep_fit_options options = usual();
    const uint64_t straight = train_whole(&options);
    options.checkpoint = scratch_path(&folder, "checkpoint");
    options.cache_bytes = -1; /* so that images are missed */
    options.resume = 1;
    deep_model *model = new_model();
    const deep_status status = deep_model_fit(model, train, valid, &options, hide_images, NULL, NULL);
    assert_status(status, DEEP_ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "round"));
    deep_model_free(model);
    ck_assert(there(options.checkpoint));

    ck_assert_int_eq(rename(scratch_path(&folder, "hidden"), scratch_path(&folder, "round")), 0);
    model = new_model();
    deep_history *history;
    assert_ok(deep_model_fit(model, train, valid, &options, NULL, NULL, &history));
    ck_assert_int_eq(deep_history_count(history), EPOCHS);
    ck_assert_uint_eq(hash_of(model), straight);
    deep_history_free(history);
    deep_model_free(model);
}
END_TEST

START_TEST(a_failure_is_told_when_its_checkpoint_cannot_be_written_either)
{
    deep_fit_options options = usual();
    options.checkpoint = scratch_path(&folder, "nowhere/checkpoint");
    options.checkpoint_seconds = 1000000;
    options.cache_bytes = -1;
    deep_model *model = new_model();
    const deep_status status = deep_model_fit(model, train, valid, &options, hide_images, NULL, NULL);
    assert_status(status, DEEP_ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "round"));
    deep_model_free(model);
}
END_TEST

static const int32_t dtypes[] = {DEEP_DTYPE_F32, DEEP_DTYPE_BF16};

START_TEST(a_small_network_learns_the_small_set)
{
    deep_fit_options options = usual();
    options.dtype = dtypes[_i];
    options.epochs = 12;
    options.learning_rate = 3e-3;
    options.augment = DEEP_AUGMENT_FLIP;
    deep_model *model = new_model();
    deep_history *history;
    assert_ok(deep_model_fit(model, train, valid, &options, NULL, NULL, &history));
    deep_epoch best = {.struct_size = sizeof best};
    assert_ok(deep_history_get(history, deep_history_best(history) - 1, &best));
    ck_assert_double_ge(best.valid_accuracy, 0.8);
    deep_metrics *metrics; /* the model that is left is the best epoch's, with the statistics that it was judged with */
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    assert_ok(deep_model_evaluate(model, valid, NULL, &metrics));
    assert_ok(deep_metrics_get_summary(metrics, &summary));
    ck_assert_double_eq_tol(summary.accuracy, best.valid_accuracy, 1e-12);
    ck_assert_double_eq_tol(summary.log_loss, best.valid_loss, 1e-5);
    deep_metrics_free(metrics);
    deep_history_free(history);
    deep_model_free(model);
}
END_TEST

START_TEST(evaluating_never_changes_training)
{
    deep_fit_options options = usual();
    options.keep_last = 1;
    const uint64_t judged = train_whole(&options);
    deep_model *model = new_model();
    assert_ok(deep_model_fit(model, train, NULL, &options, NULL, NULL, NULL));
    ck_assert_uint_eq(hash_of(model), judged);
    deep_model_free(model);
}
END_TEST

static float *read_all(const deep_model *model, const char *name, int64_t *count)
{
    deep_param param = {.struct_size = sizeof param};
    const int32_t index = deep_model_param_index(model, name);
    assert_ok(deep_model_param_info(model, index, &param));
    *count = 1;
    for (int32_t axis = 0; axis < param.rank; ++axis)
        *count *= param.shape[axis];
    float *values = malloc((size_t)*count * sizeof *values);
    assert_ok(deep_model_param_read(model, index, values, *count));
    return values;
}

START_TEST(frozen_layers_keep_weights_and_statistics)
{
    deep_fit_options options = usual();
    options.epochs = 1;
    deep_model *model = new_model();
    int64_t count;
    float *kernel = read_all(model, "block2_sepconv1.pointwise_kernel", &count);
    assert_ok(deep_model_set_trainable(model, "backbone", 0));
    assert_ok(deep_model_fit(model, train, valid, &options, NULL, NULL, NULL));
    float *after = read_all(model, "block2_sepconv1.pointwise_kernel", &count);
    ck_assert_int_eq(memcmp(kernel, after, (size_t)count * sizeof *kernel), 0);
    free(kernel);
    free(after);
    float *mean = read_all(model, "block1_conv1_bn.moving_mean", &count);
    for (int64_t i = 0; i < count; ++i)
        ck_assert_float_eq(mean[i], 0); /* as created */
    free(mean);
    deep_model_free(model);
}
END_TEST

START_TEST(exact_statistics_are_those_of_the_training_images)
{
    /* A rate of almost nothing: the statistics of the first norm are those of its input under the initial weights. */
    deep_fit_options options = usual();
    options.epochs = 1;
    options.learning_rate = 1e-12;
    options.batch = 9; /* 27 images: three whole batches */
    deep_model *exact = new_model(), *running = new_model();
    assert_ok(deep_model_fit(exact, train, NULL, &options, NULL, NULL, NULL));
    options.keep_running_statistics = 1;
    assert_ok(deep_model_fit(running, train, NULL, &options, NULL, NULL, NULL));
    int64_t count;
    float *a = read_all(exact, "block1_conv1_bn.moving_variance", &count);
    float *b = read_all(running, "block1_conv1_bn.moving_variance", &count);
    for (int64_t i = 0; i < count; ++i) { /* three updates of momentum 0.99 from 1: about 3 % of the way */
        const float expected = 1 + (a[i] - 1) * (1 - 0.99f * 0.99f * 0.99f);
        ck_assert_float_eq_tol(b[i], expected, 0.01f + 0.02f * a[i]);
    }
    free(a);
    free(b);
    deep_model_free(exact);
    deep_model_free(running);
}
END_TEST

START_TEST(a_diverging_training_stops_with_a_number)
{
    deep_fit_options options = usual();
    options.optimizer = DEEP_OPTIMIZER_SGD;
    options.learning_rate = 1e3;
    options.epochs = 30;
    options.checkpoint = scratch_path(&folder, "checkpoint");
    deep_model *model = new_model();
    int64_t count;
    assert_status(deep_model_fit(model, train, valid, &options, NULL, NULL, NULL), DEEP_ERROR_DIVERGED);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "not finite"));
    ck_assert(there(options.checkpoint)); /* of the step before */
    float *kernel = read_all(model, "predictions.kernel", &count);
    for (int64_t i = 0; i < count; ++i)
        ck_assert(isfinite(kernel[i]));
    free(kernel);
    deep_model_free(model);
}
END_TEST

START_TEST(a_set_of_one_class_is_refused)
{
    deep_dataset *one;
    deep_model *model = new_model();
    const char *paths[3];
    int32_t labels[3] = {0};
    int64_t found = 0;
    for (int64_t i = 0; found < 3; ++i)
        if (deep_dataset_label(train, i) == 0) paths[found++] = deep_dataset_path(train, i);
    assert_ok(deep_dataset_create(&one, context, paths, labels, NULL, 3, deep_dataset_classes(train), NULL));
    assert_status(deep_model_fit(model, one, NULL, NULL, NULL, NULL, NULL), DEEP_ERROR_DATASET);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "1 class"));
    deep_dataset_free(one);
    deep_model_free(model);
}
END_TEST

START_TEST(early_stop_and_bad_options)
{
    deep_fit_options options = usual();
    options.epochs = 40;
    options.learning_rate = 1e-12; /* nothing gets better */
    options.early_stop = 2;
    deep_model *model = new_model();
    deep_history *history;
    assert_ok(deep_model_fit(model, train, valid, &options, NULL, NULL, &history));
    ck_assert_int_lt(deep_history_count(history), 20);
    deep_history_free(history);
    options.learning_rate = -1;
    assert_status(deep_model_fit(model, train, valid, &options, NULL, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "learning_rate"));
    options = usual();
    options.checkpoint_seconds = -2;
    assert_status(deep_model_fit(model, train, valid, &options, NULL, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "checkpoint_seconds is -2"));
    options = usual();
    options.batch = 5000;
    assert_status(deep_model_fit(model, train, valid, &options, NULL, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "5000"));
    deep_model_free(model);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("fit");
    TCase *tests = tcase_create("fit"), *narrow = tcase_create("bfloat16"); /* which not every device has */
    tcase_set_timeout(tests, 600);
    tcase_set_timeout(narrow, 600);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_checked_fixture(narrow, setup, teardown);
    tcase_add_test(tests, the_same_seed_gives_the_same_file);
    tcase_add_test(narrow, bfloat16_activations_give_one_file_too);
    tcase_add_test(tests, resuming_at_any_callback_equals_never_having_stopped);
    tcase_add_test(tests, a_damaged_checkpoint_falls_back_to_the_one_before);
    tcase_add_loop_test(tests, ends_of_epochs_write_checkpoints_when_the_last_is_old_enough, 0,
                        (int)(sizeof checkpoint_rules / sizeof checkpoint_rules[0]));
    tcase_add_test(tests, a_training_that_fails_can_be_gone_on_with);
    tcase_add_test(tests, a_failure_is_told_when_its_checkpoint_cannot_be_written_either);
    tcase_add_loop_test(tests, a_small_network_learns_the_small_set, 0, 1);
    tcase_add_loop_test(narrow, a_small_network_learns_the_small_set, 1, 2);
    tcase_add_test(tests, evaluating_never_changes_training);
    tcase_add_test(tests, frozen_layers_keep_weights_and_statistics);
    tcase_add_test(tests, exact_statistics_are_those_of_the_training_images);
    tcase_add_test(tests, a_diverging_training_stops_with_a_number);
    tcase_add_test(tests, a_set_of_one_class_is_refused);
    tcase_add_test(tests, early_stop_and_bad_options);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, narrow);
    return suite;
}
