/* SPDX-License-Identifier: Apache-2.0 */
#include "agreement.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSES = 3 };

/* The three classes of a prediction, the most probable first. */
#define ROW(a, pa, b, pb, c, pc)                                                                                       \
    (const deep_prediction[CLASSES])                                                                                   \
    {                                                                                                                  \
        {a, pa}, {b, pb},                                                                                              \
        {                                                                                                              \
            c, pc                                                                                                      \
        }                                                                                                              \
    }

static agreement of_three_images(void)
{
    agreement found = {0};
    agreement_add(&found, ROW(1, .75f, 0, .25f, 2, 0), ROW(1, .5f, 0, .375f, 2, .125f), CLASSES, 1);
    agreement_add(&found, ROW(0, .5f, 1, .4375f, 2, .0625f), ROW(1, .5f, 0, .4375f, 2, .0625f), CLASSES, 1);
    agreement_add(&found, ROW(2, .625f, 0, .25f, 1, .125f), ROW(0, .5f, 1, .375f, 2, .125f), CLASSES, 2);
    return found;
}

START_TEST(images_are_counted_by_what_the_first_model_is_sure_of)
{
    const agreement found = of_three_images();
    ck_assert_int_eq(found.images, 3);
    ck_assert_int_eq(found.same, 1);
    ck_assert_int_eq(found.sure, 2); /* the second leads by a sixteenth */
    ck_assert_int_eq(found.sure_same, 1);
    ck_assert_int_eq(found.correct[0], 2);
    ck_assert_int_eq(found.correct[1], 2);
}
END_TEST

START_TEST(differences_are_those_of_the_first_models_best_class)
{
    const agreement found = of_three_images();
    ck_assert_double_eq(found.sum_of_differences, .25 + .0625 + .5);
    ck_assert_double_eq(found.largest_difference, .5);
}
END_TEST

START_TEST(one_class_is_always_sure)
{
    agreement found = {0};
    const deep_prediction only = {0, 1};
    agreement_add(&found, &only, &only, 1, 0);
    ck_assert_int_eq(found.sure_same, 1);
}
END_TEST

START_TEST(json_has_parts_not_counts)
{
    json_out json = {0};
    const agreement found = of_three_images(), none = {0};
    agreement_to_json(&json, &found);
    ck_assert_ptr_nonnull(strstr(json.data, "\"same_class_sure\": 0.5,"));
    ck_assert_ptr_nonnull(strstr(json.data, "\"largest_difference\": 0.5}"));
    emit_free(&json);
    agreement_to_json(&json, &none);
    ck_assert_ptr_nonnull(strstr(json.data, "\"same_class\": 1,"));
    emit_free(&json);
}
END_TEST

TEST_SUITE("agreement", images_are_counted_by_what_the_first_model_is_sure_of,
           differences_are_those_of_the_first_models_best_class, one_class_is_always_sure, json_has_parts_not_counts)
