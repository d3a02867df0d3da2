/* SPDX-License-Identifier: Apache-2.0 */
#include "image/augment.h"
#include "image/exif.h"
#include "image/image.h"
#include "image/preprocess.h"
#include "test.h"

#include <deep/model.h>
#include <deep/trainer.h>
#include <string.h>

static deep_context *context;

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
}

static void teardown(void)
{
    deep_context_free(context);
}

static deep_image *numbered(int32_t width, int32_t height, int32_t channels)
{
    deep_image *image;
    assert_ok(deep__image_create(&image, context, width, height, channels));
    for (int32_t i = 0; i < width * height * channels; ++i)
        image->data[i] = (uint8_t)i;
    return image;
}

static deep_image *turned(const deep_image *image, int32_t quarter_turns, int32_t mirror)
{
    deep_image *result;
    assert_ok(deep_image_turn(&result, image, quarter_turns, mirror));
    return result;
}

START_TEST(the_eight_turns_of_a_3_by_2_image)
{
    static const struct {
        int32_t turns, mirror, width;
        uint8_t values[6];
    } table[] = {/* 0 1 2 / 3 4 5 */
                 {0, 0, 3, {0, 1, 2, 3, 4, 5}}, {1, 0, 2, {2, 5, 1, 4, 0, 3}}, {2, 0, 3, {5, 4, 3, 2, 1, 0}},
                 {3, 0, 2, {3, 0, 4, 1, 5, 2}}, {0, 1, 3, {2, 1, 0, 5, 4, 3}}, {1, 1, 2, {5, 2, 4, 1, 3, 0}},
                 {2, 1, 3, {3, 4, 5, 0, 1, 2}}, {3, 1, 2, {0, 3, 1, 4, 2, 5}}};
    deep_image *image = numbered(3, 2, 1);
    for (size_t i = 0; i < 8; ++i) {
        deep_image *result = turned(image, table[i].turns, table[i].mirror);
        ck_assert_int_eq(result->width, table[i].width);
        ck_assert_int_eq(result->height, 6 / table[i].width);
        ck_assert_mem_eq(result->data, table[i].values, 6);
        deep_image_free(result);
    }
    deep_image_free(image);
}
END_TEST

START_TEST(turns_add_up) /* turning by a, then b, is turning by a + b; mirroring twice is nothing */
{
    deep_image *image = numbered(4, 7, 3);
    for (int32_t a = 0; a < 4; ++a)
        for (int32_t b = 0; b < 4; ++b) {
            deep_image *first = turned(image, a, 0), *both = turned(first, b, 0), *sum = turned(image, (a + b) % 4, 0);
            ck_assert_mem_eq(both->data, sum->data, 84);
            deep_image *mirrored = turned(first, 0, 1), *back = turned(mirrored, 0, 1);
            ck_assert_mem_eq(back->data, first->data, 84);
            deep_image_free(first);
            deep_image_free(both);
            deep_image_free(sum);
            deep_image_free(mirrored);
            deep_image_free(back);
        }
    deep_image_free(image);
}
END_TEST

START_TEST(bad_turns_are_refused)
{
    deep_image *image = numbered(2, 2, 1), *result;
    assert_status(deep_image_turn(&result, image, 4, 0), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_turn(&result, image, -1, 0), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_turn(&result, image, 0, 2), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_turn(&result, NULL, 0, 0), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(result);
    deep_image_free(image);
}
END_TEST

START_TEST(exif_orientations_make_the_picture_upright)
{
    /* How the upright picture "0 1 2 / 3 4 5" is stored under each orientation (EXIF 2.3, figure of tag 0x0112). */
    static const struct {
        int32_t width;
        uint8_t stored[6];
    } table[8] = {{3, {0, 1, 2, 3, 4, 5}}, {3, {2, 1, 0, 5, 4, 3}}, {3, {5, 4, 3, 2, 1, 0}}, {3, {3, 4, 5, 0, 1, 2}},
                  {2, {0, 3, 1, 4, 2, 5}}, {2, {2, 5, 1, 4, 0, 3}}, {2, {5, 2, 4, 1, 3, 0}}, {2, {3, 0, 4, 1, 5, 2}}};
    static const uint8_t upright[6] = {0, 1, 2, 3, 4, 5};
    for (int32_t orientation = 1; orientation <= 8; ++orientation) {
        deep_image *image = numbered(table[orientation - 1].width, 6 / table[orientation - 1].width, 1);
        memcpy(image->data, table[orientation - 1].stored, 6);
        const deep_orientation turn = deep__exif_turn(orientation);
        deep_image *result = turned(image, turn.quarter_turns, turn.mirror);
        ck_assert_msg(memcmp(result->data, upright, 6) == 0, "orientation %d", orientation);
        ck_assert_int_eq(result->width, 3);
        deep_image_free(result);
        deep_image_free(image);
    }
    ck_assert_int_eq(deep__exif_turn(0).quarter_turns, 0);
    ck_assert_int_eq(deep__exif_turn(9).mirror, 0);
}
END_TEST

START_TEST(augmentation_reaches_what_its_flags_allow)
{
    static const struct {
        int32_t flags;
        int reached; /* bit 2 * turns + mirror */
    } table[] = {{DEEP_AUGMENT_NONE, 1 << 0},
                 {0, 1 << 0},
                 {DEEP_AUGMENT_FLIP, 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5},
                 {DEEP_AUGMENT_ROTATE90, 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6},
                 {DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90, 0xff}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i) {
        int reached = 0;
        for (uint64_t sample = 0; sample < 500; ++sample) {
            int32_t turns, mirror;
            deep__augment_draw(7, sample, 3, table[i].flags, &turns, &mirror);
            ck_assert(turns >= 0 && turns < 4 && (mirror == 0 || mirror == 1));
            reached |= 1 << (2 * turns + mirror);
        }
        ck_assert_int_eq(reached, table[i].reached);
    }
}
END_TEST

START_TEST(augmentation_is_even_and_repeats_itself)
{
    int counts[8] = {0}, changed = 0;
    for (uint64_t sample = 0; sample < 8000; ++sample) {
        int32_t turns, mirror, again, mirror_again;
        deep__augment_draw(1, sample, 0, DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90, &turns, &mirror);
        deep__augment_draw(1, sample, 0, DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90, &again, &mirror_again);
        ck_assert(turns == again && mirror == mirror_again);
        deep__augment_draw(1, sample, 1, DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90, &again, &mirror_again);
        changed += turns != again || mirror != mirror_again;
        ++counts[2 * turns + mirror];
    }
    for (int i = 0; i < 8; ++i)
        ck_assert_msg(counts[i] > 850 && counts[i] < 1150, "turn %d: %d of 8000", i, counts[i]); /* 1000 +- 5 sigma */
    ck_assert_int_gt(changed, 6700);
}
END_TEST

static float close_to(float a, double b)
{
    return (float)(a > b ? a - b : b - a);
}

START_TEST(normalisation_follows_its_formula)
{
    deep_preprocess preprocess = {.size = 1, .mean = {100, 50, 25}, .std = {2, 4, 5}};
    deep_image *pixel = numbered(1, 1, 3);
    memcpy(pixel->data, (const uint8_t[]){110, 40, 35}, 3);
    static const double expected[3][3] = {{10 / 127.5, -10 / 127.5, 10 / 127.5}, {5, -2.5, 2}, {10, -10, 10}};
    static const int32_t modes[3] = {DEEP_PREPROCESS_TF, DEEP_PREPROCESS_TORCH, DEEP_PREPROCESS_CAFFE};
    for (int i = 0; i < 3; ++i) {
        float values[3];
        preprocess.mode = modes[i];
        deep__preprocess_normalise(values, pixel, &preprocess, 0, 0);
        for (int c = 0; c < 3; ++c)
            ck_assert_float_lt(close_to(values[c], expected[i][c]), 1e-6f);
    }
    preprocess.mean[2] = 30; /* caffe: blue comes first */
    float values[3];
    deep__preprocess_normalise(values, pixel, &preprocess, 0, 0);
    ck_assert_float_eq(values[0], 5);
    ck_assert_float_eq(values[2], 10);
    deep_image_free(pixel);
}
END_TEST

START_TEST(normalisation_turns_as_deep_image_turn)
{
    const deep_preprocess preprocess = {.mode = DEEP_PREPROCESS_CAFFE, .size = 4};
    deep_image *image = numbered(4, 4, 3);
    for (int32_t i = 0; i < 8; ++i) {
        float values[48];
        deep_image *expected = turned(image, i / 2, i % 2);
        deep__preprocess_normalise(values, image, &preprocess, i / 2, i % 2);
        for (int k = 0; k < 16; ++k) {
            ck_assert_float_eq(values[3 * k], expected->data[3 * k + 2]);
            ck_assert_float_eq(values[3 * k + 1], expected->data[3 * k + 1]);
            ck_assert_float_eq(values[3 * k + 2], expected->data[3 * k]);
        }
        deep_image_free(expected);
    }
    deep_image_free(image);
}
END_TEST

START_TEST(the_square_has_three_channels)
{
    deep_preprocess preprocess = {.size = 5, .filter = DEEP_FILTER_AREA, .fit = DEEP_FIT_PAD, .channels = 3};
    deep_image *colour = numbered(9, 6, 3), *grey = numbered(9, 6, 1), *square;
    assert_ok(deep__preprocess_square(&square, colour, &preprocess));
    ck_assert_int_eq(square->channels, 3);
    ck_assert_int_eq(square->width, 5);
    ck_assert_int_eq(square->height, 5);
    deep_image_free(square);
    assert_ok(deep__preprocess_square(&square, grey, &preprocess));
    ck_assert_int_eq(square->channels, 3);
    ck_assert_uint_eq(square->data[0], square->data[2]);
    deep_image_free(square);
    preprocess.channels = 1;
    assert_ok(deep__preprocess_square(&square, colour, &preprocess));
    ck_assert_int_eq(square->channels, 3);
    for (int i = 0; i < 25; ++i)
        ck_assert(square->data[3 * i] == square->data[3 * i + 1] && square->data[3 * i] == square->data[3 * i + 2]);
    deep_image_free(square);
    preprocess.size = 0;
    assert_status(deep__preprocess_square(&square, colour, &preprocess), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(square);
    deep_image_free(colour);
    deep_image_free(grey);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("image_turn");
    TCase *tests = tcase_create("image_turn");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_eight_turns_of_a_3_by_2_image);
    tcase_add_test(tests, turns_add_up);
    tcase_add_test(tests, bad_turns_are_refused);
    tcase_add_test(tests, exif_orientations_make_the_picture_upright);
    tcase_add_test(tests, augmentation_reaches_what_its_flags_allow);
    tcase_add_test(tests, augmentation_is_even_and_repeats_itself);
    tcase_add_test(tests, normalisation_follows_its_formula);
    tcase_add_test(tests, normalisation_turns_as_deep_image_turn);
    tcase_add_test(tests, the_square_has_three_channels);
    suite_add_tcase(suite, tests);
    return suite;
}
