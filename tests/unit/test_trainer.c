/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <deep/deep.h>
#include <math.h>
#include <string.h>

enum { SIZE = 71, BATCH = 4, CLASSES = 3, VALUES = SIZE * SIZE * 3 };

static deep_context *context;
static deep_model *model;
static deep_trainer *trainer;
static float input[BATCH * VALUES];
static const int32_t labels[BATCH] = {0, 2, 1, 2};

static void setup(void)
{
    const deep_context_options context_options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = 2};
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small",
                                        .input_size = SIZE,      .class_count = CLASSES,
                                        .middle_blocks = 1,      .width = 0.1};
    const deep_fit_options fit_options = {DEEP_FIT_OPTIONS_INIT, .batch = BATCH};
    assert_ok(deep_context_create(&context, &context_options));
    assert_ok(deep_model_create(&model, context, &options));
    assert_ok(deep_trainer_create(&trainer, model, &fit_options));
    for (int i = 0; i < BATCH * VALUES; ++i)
        input[i] = sinf((float)i * 0.37F) * (float)(1 + i % 7) / 7;
}

static void teardown(void)
{
    deep_trainer_free(trainer);
    deep_model_free(model);
    deep_context_free(context);
}

static double loss_with(const float *weights)
{
    deep_step step = {.struct_size = sizeof step};
    assert_ok(deep_trainer_set_class_weights(trainer, weights, weights == NULL ? 0 : CLASSES));
    assert_ok(deep_trainer_gradients(trainer, input, labels, BATCH, &step));
    return step.loss;
}

START_TEST(class_weights_weigh_the_images_of_their_class)
{
    const double plain = loss_with(NULL);
    const double twice = loss_with((const float[CLASSES]){2, 2, 2});
    ck_assert_double_eq_tol(twice, 2 * plain, 1e-6 * plain);
    double sum = 0;
    for (int c = 0; c < CLASSES; ++c) {
        float one[CLASSES] = {0};
        one[c] = 1;
        sum += loss_with(one);
    }
    ck_assert_double_eq_tol(sum, plain, 1e-6 * plain);
    ck_assert_double_eq(loss_with((const float[CLASSES]){0, 0, 0}), 0);
    ck_assert_double_eq(loss_with(NULL), plain);
}
END_TEST

START_TEST(bad_class_weights_are_refused)
{
    assert_status(deep_trainer_set_class_weights(NULL, NULL, 0), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_trainer_set_class_weights(trainer, NULL, 1), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_trainer_set_class_weights(trainer, (const float[2]){1, 1}, 2), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "2"));
    const float negative[CLASSES] = {1, -1, 1}, infinite[CLASSES] = {1, 1, INFINITY};
    assert_status(deep_trainer_set_class_weights(trainer, negative, CLASSES), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_trainer_set_class_weights(trainer, infinite, CLASSES), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "class 2"));
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("trainer");
    TCase *tests = tcase_create("trainer");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, class_weights_weigh_the_images_of_their_class);
    tcase_add_test(tests, bad_class_weights_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
