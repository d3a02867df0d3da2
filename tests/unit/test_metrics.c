/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "failing_allocator.h"
#include "test.h"

#include <deep/metrics.h>
#include <math.h>
#include <string.h>

enum { ROWS = 10, CLASSES = 7 };

static const float probabilities[ROWS][CLASSES] = {
    {.70f, .10f, .10f, .05f, .03f, .02f, .00f}, {.10f, .60f, .10f, .10f, .05f, .03f, .02f},
    {.30f, .30f, .10f, .10f, .10f, .05f, .05f}, {.05f, .05f, .05f, .05f, .05f, .05f, .70f},
    {.20f, .10f, .50f, .10f, .05f, .03f, .02f}, {.15f, .15f, .14f, .14f, .14f, .14f, .14f},
    {.01f, .01f, .95f, .01f, .01f, .01f, .00f}, {.00f, .00f, .00f, .02f, .93f, .05f, .00f},
    {.40f, .30f, .10f, .10f, .05f, .03f, .02f}, {.25f, .25f, .25f, .15f, .05f, .03f, .02f},
};
static const int32_t labels[ROWS] = {0, 1, 1, 6, 0, 6, 2, 3, 6, 2};

static deep_context *context;

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
}

static void teardown(void)
{
    deep_context_free(context);
}

static deep_metrics *compute(void)
{
    deep_metrics *metrics;
    assert_ok(deep_metrics_compute(&metrics, context, &probabilities[0][0], labels, ROWS, CLASSES));
    return metrics;
}

START_TEST(
    figures_are_those_of_scikit_learn) /* 1.9.1: accuracy, precision_recall_fscore_support over the labels present */
{
    deep_metrics *metrics = compute();
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    assert_ok(deep_metrics_get_summary(metrics, &summary));
    ck_assert_int_eq(summary.count, ROWS);
    ck_assert_int_eq(summary.classes, CLASSES);
    ck_assert_double_eq_tol(summary.accuracy, 0.4, 1e-12);
    ck_assert_double_eq_tol(summary.macro_recall, 0.36666666666666664, 1e-12);
    ck_assert_double_eq_tol(summary.macro_precision, 0.54, 1e-12);
    ck_assert_double_eq_tol(summary.macro_f1, 0.3904761904761905, 1e-12);
    ck_assert_double_eq_tol(summary.weighted_f1, 0.4404761904761905, 1e-12);
    ck_assert_double_eq_tol(summary.log_loss, 1.526533274, 1e-9);
    ck_assert_double_eq_tol(summary.ece, 0.35800000429, 1e-10);
    deep_metrics_free(metrics);
}
END_TEST

START_TEST(top_5_breaks_ties_by_index) /* row 5: class 6 shares .14 with four classes before it, so it is seventh */
{
    deep_metrics *metrics = compute();
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    assert_ok(deep_metrics_get_summary(metrics, &summary));
    ck_assert_double_eq_tol(summary.top5_accuracy, 0.8, 1e-12);
    ck_assert_int_eq(deep_metrics_predicted(metrics, 2), 0); /* .30 and .30 */
    deep_metrics_free(metrics);
}
END_TEST

START_TEST(a_class_has_its_figures)
{
    deep_metrics *metrics = compute();
    deep_class_metrics first = {.struct_size = sizeof first};
    assert_ok(deep_metrics_get_class(metrics, 0, &first)); /* true in 2 images, 1 of them found; called 5 times */
    ck_assert_int_eq(first.support, 2);
    ck_assert_int_eq(first.predicted, 5);
    ck_assert_double_eq_tol(first.precision, 1.0 / 5, 1e-12);
    ck_assert_double_eq_tol(first.recall, 1.0 / 2, 1e-12);
    ck_assert_double_eq_tol(first.f1, 2.0 / 7, 1e-12);
    deep_class_metrics absent = {.struct_size = sizeof absent};
    assert_ok(deep_metrics_get_class(metrics, 5, &absent));
    ck_assert_int_eq(absent.support, 0);
    ck_assert_double_eq(absent.f1, 0);
    assert_status(deep_metrics_get_class(metrics, CLASSES, &absent), DEEP_ERROR_INVALID_ARGUMENT);
    deep_metrics_free(metrics);
}
END_TEST

START_TEST(the_confusion_matrix_has_true_classes_in_rows)
{
    deep_metrics *metrics = compute();
    const int64_t *confusion = deep_metrics_confusion(metrics);
    ck_assert_int_eq(confusion[6 * CLASSES + 0], 2); /* rows 5 and 8 */
    ck_assert_int_eq(confusion[0 * CLASSES + 6], 0);
    int64_t sum = 0;
    for (int i = 0; i < CLASSES * CLASSES; ++i)
        sum += confusion[i];
    ck_assert_int_eq(sum, ROWS);
    deep_metrics_free(metrics);
}
END_TEST

START_TEST(rows_are_kept)
{
    deep_metrics *metrics = compute();
    ck_assert_int_eq(deep_metrics_label(metrics, 7), 3);
    ck_assert_int_eq(deep_metrics_predicted(metrics, 7), 4);
    ck_assert_float_eq(deep_metrics_confidence(metrics, 7), .93f);
    ck_assert_int_eq(deep_metrics_label(metrics, -1), -1);
    ck_assert_int_eq(deep_metrics_predicted(metrics, ROWS), -1);
    ck_assert_float_eq(deep_metrics_confidence(metrics, ROWS), 0);
    deep_metrics_free(metrics);
}
END_TEST

START_TEST(a_probability_of_zero_costs_a_finite_loss)
{
    deep_metrics *metrics;
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    assert_ok(deep_metrics_compute(&metrics, context, (float[]){1, 0}, (int32_t[]){1}, 1, 2));
    assert_ok(deep_metrics_get_summary(metrics, &summary));
    ck_assert_double_eq_tol(summary.log_loss, -log(1e-15), 1e-9);
    ck_assert_double_eq(summary.ece, 1);
    deep_metrics_free(metrics);
}
END_TEST

START_TEST(bad_rows_are_named)
{
    deep_metrics *metrics;
    assert_status(deep_metrics_compute(&metrics, context, (float[]){.5f, .5f, NAN, 1}, (int32_t[]){0, 1}, 2, 2),
                  DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "row 1"));
    ck_assert_ptr_null(metrics);
    assert_status(deep_metrics_compute(&metrics, context, (float[]){.5f, .5f}, (int32_t[]){2}, 1, 2),
                  DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "label 2"));
    assert_status(deep_metrics_compute(&metrics, context, (float[]){-1, 1}, (int32_t[]){0}, 1, 2),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_metrics_compute(&metrics, context, (float[]){1}, (int32_t[]){0}, 0, 1),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_metrics_compute(&metrics, context, (float[]){1}, (int32_t[]){0}, 1, 0),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_metrics_compute(&metrics, context, NULL, (int32_t[]){0}, 1, 1), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_metrics_compute(&metrics, NULL, (float[]){1}, (int32_t[]){0}, 1, 1),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_metrics_get_summary(NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(deep_metrics_confusion(NULL));
    deep_metrics_free(NULL);
}
END_TEST

START_TEST(a_failed_allocation_is_an_error_without_a_leak)
{
    for (long n = 1;; ++n) {
        failing_allocator allocator = {.fail_at = n + 1}; /* the first is the context's own */
        const deep_context_options options = failing_options(&allocator);
        deep_context *failing;
        deep_metrics *metrics;
        assert_ok(deep__context_create(&failing, &options));
        const deep_status status = deep_metrics_compute(&metrics, failing, &probabilities[0][0], labels, ROWS, CLASSES);
        ck_assert(status == DEEP_OK || status == DEEP_ERROR_OUT_OF_MEMORY);
        deep_metrics_free(metrics);
        deep_context_free(failing);
        ck_assert_int_eq(allocator.living, 0);
        if (status == DEEP_OK) break;
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, figures_are_those_of_scikit_learn);
    tcase_add_test(tests, top_5_breaks_ties_by_index);
    tcase_add_test(tests, a_class_has_its_figures);
    tcase_add_test(tests, the_confusion_matrix_has_true_classes_in_rows);
    tcase_add_test(tests, rows_are_kept);
    tcase_add_test(tests, a_probability_of_zero_costs_a_finite_loss);
    tcase_add_test(tests, bad_rows_are_named);
    tcase_add_test(tests, a_failed_allocation_is_an_error_without_a_leak);
    suite_add_tcase(suite, tests);
    return suite;
}
