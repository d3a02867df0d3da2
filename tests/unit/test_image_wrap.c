/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "failing_allocator.h"
#include "image/image.h"
#include "test.h"

#include <string.h>

static deep_context *context;
static failing_allocator allocator;

static void setup(void)
{
    allocator = (failing_allocator){0};
    const deep_context_options options = failing_options(&allocator);
    assert_ok(deep__context_create(&context, &options));
}

static void teardown(void)
{
    deep_context_free(context);
    ck_assert_int_eq(allocator.living, 0);
}

START_TEST(grey_and_rgb_are_used_in_place)
{
    uint8_t frame[60];
    const deep_pixels grey = {DEEP_PIXELS_INIT, .data = frame, .width = 10, .height = 6, .format = DEEP_PIXEL_GRAY8};
    deep_image *image;
    assert_ok(deep_image_wrap(&image, context, &grey));
    ck_assert_ptr_eq(deep_image_data(image), frame);
    ck_assert_int_eq(deep_image_stride(image), 10);
    ck_assert_int_eq(deep_image_channels(image), 1);
    deep_image_free(image);
    const deep_pixels rgb = {DEEP_PIXELS_INIT,         .data = frame, .stride = 20, .width = 5,     .height = 3,
                             .format = DEEP_PIXEL_RGB, .roi_x = 1,    .roi_y = 2,   .roi_width = 3, .roi_height = 1};
    assert_ok(deep_image_wrap(&image, context, &rgb));
    ck_assert_ptr_eq(deep_image_data(image), frame + 2 * 20 + 3);
    ck_assert_int_eq(deep_image_width(image), 3);
    ck_assert_int_eq(deep_image_height(image), 1);
    ck_assert_int_eq(deep_image_channels(image), 3);
    deep_image_free(image);
}
END_TEST

START_TEST(other_formats_are_converted)
{
    static const uint8_t four[2][12] = {{9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8},
                                        {9, 9, 9, 9, 11, 12, 13, 14, 15, 16, 17, 18}};
    static const struct {
        int32_t format, roi_x;
        uint8_t row_0[6], row_1[6];
    } table[] = {{DEEP_PIXEL_RGBA, 1, {1, 2, 3, 5, 6, 7}, {11, 12, 13, 15, 16, 17}},
                 {DEEP_PIXEL_BGRA, 1, {3, 2, 1, 7, 6, 5}, {13, 12, 11, 17, 16, 15}},
                 {DEEP_PIXEL_BGR, 0, {9, 9, 9, 2, 1, 9}, {9, 9, 9, 12, 11, 9}}};
    for (size_t i = 0; i < 3; ++i) {
        const deep_pixels pixels = {
            DEEP_PIXELS_INIT,        .data = four,   .stride = 12,   .width = 3, .height = 2, .format = table[i].format,
            .roi_x = table[i].roi_x, .roi_width = 2, .roi_height = 2};
        deep_image *image;
        assert_ok(deep_image_wrap(&image, context, &pixels));
        ck_assert_mem_eq(deep_image_data(image), table[i].row_0, 6);
        ck_assert_mem_eq(deep_image_data(image) + 6, table[i].row_1, 6);
        deep_image_free(image);
    }
}
END_TEST

START_TEST(sixteen_bits_are_scaled_by_257)
{
    static uint16_t values[65536];
    for (int i = 0; i < 65536; ++i)
        values[i] = (uint16_t)i;
    const deep_pixels pixels = {DEEP_PIXELS_INIT, .data = values, .width = 256, .height = 256,
                                .format = DEEP_PIXEL_GRAY16};
    deep_image *image;
    assert_ok(deep_image_wrap(&image, context, &pixels));
    for (int i = 0; i < 65536; ++i)
        ck_assert_int_eq(deep_image_data(image)[i], (i + 128) / 257);
    deep_image_free(image);
}
END_TEST

START_TEST(bad_frames_are_refused)
{
    uint8_t frame[60];
    const deep_pixels good = {DEEP_PIXELS_INIT, .data = frame, .width = 10, .height = 6, .format = DEEP_PIXEL_GRAY8};
    deep_pixels bad[12];
    for (size_t i = 0; i < 12; ++i)
        bad[i] = good;
    bad[0].format = 0;
    bad[1].format = 7;
    bad[2].data = NULL;
    bad[3].width = 0;
    bad[4].height = -1;
    bad[5].stride = 9;
    bad[6].roi_width = 11;
    bad[6].roi_height = 1;
    bad[7].roi_x = 9;
    bad[7].roi_width = 2;
    bad[7].roi_height = 1;
    bad[8].roi_y = -1;
    bad[8].roi_width = bad[8].roi_height = 1;
    bad[9].roi_x = 3; /* a place without a size */
    bad[10].reserved = 1;
    bad[11].stride = INT64_MAX;
    deep_image *image;
    for (size_t i = 0; i < 12; ++i) {
        assert_status(deep_image_wrap(&image, context, &bad[i]), DEEP_ERROR_INVALID_ARGUMENT);
        ck_assert_ptr_null(image);
    }
    assert_status(deep_image_wrap(&image, context, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_wrap(&image, NULL, &good), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_wrap(NULL, context, &good), DEEP_ERROR_INVALID_ARGUMENT);
    deep_pixels wide = good;
    wide.width = 70000;
    assert_status(deep_image_wrap(&image, context, &wide), DEEP_ERROR_LIMIT);
    wide.format = DEEP_PIXEL_BGR;
    assert_status(deep_image_wrap(&image, context, &wide), DEEP_ERROR_LIMIT);
    deep_pixels old = good;
    old.struct_size = 8;
    assert_status(deep_image_wrap(&image, context, &old), DEEP_ERROR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(getters_take_null)
{
    ck_assert_int_eq(deep_image_width(NULL), 0);
    ck_assert_int_eq(deep_image_height(NULL), 0);
    ck_assert_int_eq(deep_image_channels(NULL), 0);
    ck_assert_int_eq(deep_image_stride(NULL), 0);
    ck_assert_ptr_null(deep_image_data(NULL));
    deep_image_free(NULL);
    deep_pixels pixels;
    memset(&pixels, 1, sizeof pixels);
    deep_pixels_init(&pixels, sizeof pixels);
    ck_assert_uint_eq(pixels.struct_size, sizeof pixels);
    ck_assert_int_eq(pixels.roi_x, 0);
}
END_TEST

/* What a sweep runs: everything that allocates, except the decoders. */
static deep_status work(const deep_pixels *pixels)
{
    deep_image *image = NULL, *other = NULL;
    void *file = NULL;
    size_t size;
    deep_status status = deep_image_wrap(&image, context, pixels);
    if (status == DEEP_OK) status = deep_image_resize(&other, image, 5, 40, DEEP_FILTER_BICUBIC);
    deep_image_free(image);
    image = NULL;
    if (status == DEEP_OK) status = deep_image_turn(&image, other, 1, 1);
    deep_image_free(other);
    other = NULL;
    if (status == DEEP_OK) status = deep_image_fit(&other, image, 9, DEEP_FILTER_AREA, DEEP_FIT_PAD);
    if (status == DEEP_OK) status = deep_image_encode_png(other, &file, &size);
    if (status != DEEP_OK) ck_assert_ptr_null(file);
    deep_image_free(image);
    deep_image_free(other);
    deep_free(context, file);
    return status;
}

START_TEST(each_failing_allocation_is_an_error)
{
    static uint8_t frame[4 * 20 * 30];
    const deep_pixels pixels = {DEEP_PIXELS_INIT, .data = frame, .width = 20, .height = 30, .format = DEEP_PIXEL_BGRA};
    const long live = allocator.living;
    for (int32_t on = 0; on <= 1; ++on) {
        allocator.forever = on != 0;
        deep_status status = DEEP_ERROR_OUT_OF_MEMORY;
        long k;
        for (k = 1; status != DEEP_OK; ++k) {
            ck_assert_int_lt(k, 1000);
            allocator.fail_at = allocator.requests + k;
            status = work(&pixels);
            ck_assert(status == DEEP_OK || status == DEEP_ERROR_OUT_OF_MEMORY);
            ck_assert_int_eq(allocator.living, live);
        }
        ck_assert_int_gt(k, 20);
    }
    allocator.fail_at = 0;
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("image_wrap");
    TCase *tests = tcase_create("image_wrap");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, grey_and_rgb_are_used_in_place);
    tcase_add_test(tests, other_formats_are_converted);
    tcase_add_test(tests, sixteen_bits_are_scaled_by_257);
    tcase_add_test(tests, bad_frames_are_refused);
    tcase_add_test(tests, getters_take_null);
    tcase_add_test(tests, each_failing_allocation_is_an_error);
    suite_add_tcase(suite, tests);
    return suite;
}
