/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"
#include "test.h"

#include <stdlib.h>

static deep_context *context;
static deep_image *pattern; /* 7 x 5 grey */

static deep_image *new_image(int32_t width, int32_t height, int32_t channels)
{
    deep_image *image;
    assert_ok(deep__image_create(&image, context, width, height, channels));
    return image;
}

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
    pattern = new_image(7, 5, 1);
    for (int y = 0; y < 5; ++y)
        for (int x = 0; x < 7; ++x)
            deep__image_row_to_write(pattern, y)[x] = (uint8_t)(x * x * 37 + y * 91 + x * y * 13);
}

static void teardown(void)
{
    deep_image_free(pattern);
    deep_context_free(context);
}

/* The pattern resized by OpenCV 5.0 (bilinear, area) and by Pillow 13 on floats (triangle, bicubic). */
typedef struct resized {
    int32_t filter, width, height;
    uint8_t values[72];
} resized;

static const resized tables[] = {
    {DEEP_FILTER_BILINEAR, 4, 3, {46, 104, 127, 114, 206, 120, 106, 164, 109, 147, 171, 117}},
    {DEEP_FILTER_BILINEAR, 9, 8, {0,   25,  86,  132, 77,  79,  123, 122, 52,  40,  68,  85,  97,  134, 141,
                                  126, 117, 126, 97,  130, 89,  57,  199, 212, 133, 116, 215, 153, 193, 158,
                                  96,  120, 140, 156, 163, 161, 130, 175, 182, 153, 121, 147, 170, 157, 107,
                                  27,  77,  162, 228, 203, 235, 175, 97,  52,  68,  124, 157, 159, 140, 178,
                                  116, 85,  142, 108, 167, 155, 100, 85,  128, 69,  81,  216}},
    {DEEP_FILTER_AREA, 4, 3, {54, 101, 132, 118, 158, 137, 153, 146, 108, 152, 152, 108}},
    {DEEP_FILTER_TRIANGLE, 4, 3, {60, 99, 133, 121, 152, 142, 157, 145, 109, 154, 148, 108}},
    {DEEP_FILTER_TRIANGLE, 9, 8, {0,   25,  86,  132, 77,  79,  123, 122, 52,  40,  68,  85,  98,  134, 141,
                                  126, 117, 126, 97,  131, 89,  57,  199, 212, 133, 116, 216, 154, 193, 158,
                                  96,  120, 140, 156, 163, 161, 130, 175, 182, 153, 122, 147, 170, 157, 107,
                                  27,  77,  162, 228, 203, 235, 175, 97,  52,  68,  124, 157, 159, 140, 178,
                                  116, 85,  142, 108, 167, 156, 100, 85,  128, 69,  81,  216}},
    {DEEP_FILTER_BICUBIC, 4, 3, {57, 98, 134, 121, 157, 143, 163, 146, 107, 162, 148, 103}},
    {DEEP_FILTER_BICUBIC, 9, 8, {0,   9,   92,  151, 68,  61,  132, 131, 34,  29,  58,  79,  96,  135, 144,
                                 123, 112, 124, 95,  142, 81,  34,  206, 234, 120, 101, 230, 170, 223, 169,
                                 75,  110, 129, 159, 176, 170, 138, 189, 200, 158, 111, 134, 185, 172, 93,
                                 17,  61,  166, 246, 209, 252, 183, 86,  42,  60,  120, 162, 161, 141, 192,
                                 106, 68,  150, 110, 183, 164, 82,  76,  130, 48,  68,  239}},
};

START_TEST(filters_agree_with_the_references) /* bilinear exactly, the others to one level */
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; ++i) {
        const resized *table = &tables[i];
        deep_image *image;
        assert_ok(deep_image_resize(&image, pattern, table->width, table->height, table->filter));
        for (int32_t k = 0; k < table->width * table->height; ++k) {
            const int difference = abs(image->data[k] - table->values[k]);
            ck_assert_msg(difference <= (table->filter != DEEP_FILTER_BILINEAR), "filter %d, value %d: %d, expected %d",
                          table->filter, k, image->data[k], table->values[k]);
        }
        deep_image_free(image);
    }
}
END_TEST

START_TEST(half_the_size_is_the_mean_of_four) /* as OpenCV does, which is not what its weights would give */
{
    deep_image *image = new_image(4, 4, 1), *half;
    static const uint8_t pixels[16] = {1, 2, 0, 0, 3, 4, 0, 1, 255, 255, 9, 8, 255, 254, 7, 7};
    for (int i = 0; i < 16; ++i)
        deep__image_row_to_write(image, i / 4)[i % 4] = pixels[i];
    assert_ok(deep_image_resize(&half, image, 2, 2, DEEP_FILTER_BILINEAR));
    static const uint8_t means[4] = {3, 0, 255, 8}; /* 2.5, 0.25, 254.75, 7.75 */
    for (int i = 0; i < 4; ++i)
        ck_assert_uint_eq(deep__image_row(half, i / 2)[i % 2], means[i]);
    deep_image_free(half);
    deep_image_free(image);
}
END_TEST

START_TEST(rgb_is_resized_channel_by_channel)
{
    deep_image *colour = new_image(7, 5, 3), *grey, *small;
    for (int i = 0; i < 35; ++i) {
        colour->data[3 * i] = pattern->data[i];
        colour->data[3 * i + 1] = (uint8_t)(255 - pattern->data[i]);
        colour->data[3 * i + 2] = 9;
    }
    for (int32_t filter = DEEP_FILTER_BILINEAR; filter <= DEEP_FILTER_BICUBIC; ++filter) {
        assert_ok(deep_image_resize(&small, colour, 3, 11, filter));
        assert_ok(deep_image_resize(&grey, pattern, 3, 11, filter));
        for (int i = 0; i < 33; ++i) {
            ck_assert_uint_eq(small->data[3 * i], grey->data[i]);
            ck_assert_int_le(abs(255 - grey->data[i] - small->data[3 * i + 1]), 1);
            ck_assert_uint_eq(small->data[3 * i + 2], 9);
        }
        deep_image_free(small);
        deep_image_free(grey);
    }
    deep_image_free(colour);
}
END_TEST

START_TEST(the_same_size_changes_nothing)
{
    for (int32_t filter = DEEP_FILTER_BILINEAR; filter <= DEEP_FILTER_BICUBIC; ++filter) {
        deep_image *same;
        assert_ok(deep_image_resize(&same, pattern, 7, 5, filter));
        ck_assert_mem_eq(same->data, pattern->data, 35);
        deep_image_free(same);
    }
}
END_TEST

START_TEST(a_constant_image_stays_constant)
{
    deep_image *constant = new_image(301, 2, 1);
    for (int i = 0; i < 602; ++i)
        constant->data[i] = 200;
    for (int32_t filter = DEEP_FILTER_BILINEAR; filter <= DEEP_FILTER_BICUBIC; ++filter) {
        deep_image *other;
        assert_ok(deep_image_resize(&other, constant, 13, 700, filter));
        for (int i = 0; i < 13 * 700; ++i)
            ck_assert_uint_eq(other->data[i], 200);
        deep_image_free(other);
    }
    deep_image_free(constant);
}
END_TEST

START_TEST(a_tall_image_shrinks_to_its_mean) /* more rows than the ring keeps */
{
    deep_image *tall = new_image(2, 2000, 1), *pixel;
    for (int y = 0; y < 2000; ++y)
        tall->data[2 * y] = tall->data[2 * y + 1] = y % 2 ? 100 : 50;
    assert_ok(deep_image_resize(&pixel, tall, 1, 1, DEEP_FILTER_AREA));
    ck_assert_uint_eq(pixel->data[0], 75);
    deep_image_free(pixel);
    deep_image_free(tall);
}
END_TEST

START_TEST(bad_sizes_and_filters_are_refused)
{
    deep_image *image;
    assert_status(deep_image_resize(&image, pattern, 0, 5, DEEP_FILTER_AREA), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(image);
    assert_status(deep_image_resize(&image, pattern, 5, -1, DEEP_FILTER_AREA), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_resize(&image, pattern, 5, 5, 4), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_resize(&image, pattern, 65501, 1, DEEP_FILTER_AREA), DEEP_ERROR_LIMIT);
    assert_status(deep_image_resize(&image, pattern, 65500, 65500, DEEP_FILTER_AREA), DEEP_ERROR_LIMIT);
    assert_status(deep_image_resize(&image, NULL, 5, 5, DEEP_FILTER_AREA), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_resize(NULL, pattern, 5, 5, DEEP_FILTER_AREA), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_fit(&image, pattern, 0, DEEP_FILTER_AREA, DEEP_FIT_PAD), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_fit(&image, pattern, 9, 7, DEEP_FIT_PAD), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_fit(&image, pattern, 9, DEEP_FILTER_AREA, 2), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_fit(&image, NULL, 9, DEEP_FILTER_AREA, DEEP_FIT_PAD), DEEP_ERROR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(padding_keeps_the_aspect_ratio_and_takes_the_border_colour)
{
    deep_image *wide = new_image(8, 4, 3), *square;
    for (int y = 0; y < 4; ++y)
        for (int x = 0; x < 8; ++x) {
            const int border = y == 0 || y == 3 || x == 0 || x == 7;
            uint8_t *pixel = deep__image_row_to_write(wide, y) + 3 * x;
            pixel[0] = border ? 10 : 200;
            pixel[1] = border ? 20 : 200;
            pixel[2] = border ? 30 : 200;
        }
    assert_ok(deep_image_fit(&square, wide, 8, DEEP_FILTER_AREA, DEEP_FIT_PAD));
    ck_assert_int_eq(square->width, 8);
    ck_assert_int_eq(square->height, 8);
    for (int x = 0; x < 8; ++x) {
        ck_assert_uint_eq(square->data[3 * x], 10); /* two rows above, two below */
        ck_assert_uint_eq(deep__image_row(square, 1)[3 * x + 1], 20);
        ck_assert_uint_eq(deep__image_row(square, 7)[3 * x + 2], 30);
        ck_assert_mem_eq(deep__image_row(square, 2), deep__image_row(wide, 0), 24);
        ck_assert_mem_eq(deep__image_row(square, 5), deep__image_row(wide, 3), 24);
    }
    ck_assert_uint_eq(deep__image_row(square, 3)[3], 200);
    deep_image_free(square);
    deep_image_free(wide);
}
END_TEST

START_TEST(a_thin_image_is_padded_to_at_least_one_pixel)
{
    deep_image *thin = new_image(1, 900, 1), *square;
    assert_ok(deep_image_fit(&square, thin, 5, DEEP_FILTER_BILINEAR, DEEP_FIT_PAD));
    ck_assert_int_eq(square->width, 5);
    deep_image_free(square);
    deep_image_free(thin);
}
END_TEST

START_TEST(squashing_is_a_plain_resize)
{
    deep_image *square, *resized_image;
    assert_ok(deep_image_fit(&square, pattern, 6, DEEP_FILTER_TRIANGLE, DEEP_FIT_SQUASH));
    assert_ok(deep_image_resize(&resized_image, pattern, 6, 6, DEEP_FILTER_TRIANGLE));
    ck_assert_mem_eq(square->data, resized_image->data, 36);
    deep_image_free(square);
    deep_image_free(resized_image);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("image_resize");
    TCase *tests = tcase_create("image_resize");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, filters_agree_with_the_references);
    tcase_add_test(tests, half_the_size_is_the_mean_of_four);
    tcase_add_test(tests, rgb_is_resized_channel_by_channel);
    tcase_add_test(tests, the_same_size_changes_nothing);
    tcase_add_test(tests, a_constant_image_stays_constant);
    tcase_add_test(tests, a_tall_image_shrinks_to_its_mean);
    tcase_add_test(tests, bad_sizes_and_filters_are_refused);
    tcase_add_test(tests, padding_keeps_the_aspect_ratio_and_takes_the_border_colour);
    tcase_add_test(tests, a_thin_image_is_padded_to_at_least_one_pixel);
    tcase_add_test(tests, squashing_is_a_plain_resize);
    suite_add_tcase(suite, tests);
    return suite;
}
