/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "base/file_writer.h"
#include "core/context.h"
#include "image/image.h"
#include "jpeg_builder.h"
#include "png_builder.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static deep_context *context;
static char folder[] = "image-file-XXXXXX";
static char path[64];

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    static const char *const names[] = {"a.png", "a.jpg", "b.png", "text"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        unlink(in_folder(names[i]));
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left behind */
    deep_context_free(context);
}

static void write_file(const char *name, const bytes *file)
{
    const deep_allocator allocator = deep__allocator_default();
    assert_ok(deep__file_write(&allocator, in_folder(name), file->data, file->size));
}

static deep_image *numbered(int32_t width, int32_t height, int32_t channels)
{
    deep_image *image;
    assert_ok(deep__image_create(&image, context, width, height, channels));
    for (int32_t i = 0; i < width * height * channels; ++i)
        image->data[i] = (uint8_t)(i * 7);
    return image;
}

START_TEST(files_are_told_apart_by_content)
{
    bytes png = png_build(&(png_plan){0}), jpeg = jpeg_build(&(jpeg_plan){0});
    write_file("a.jpg", &png);
    write_file("a.png", &jpeg);
    deep_image *image;
    assert_ok(deep_image_load(&image, context, in_folder("a.jpg"), NULL));
    ck_assert_int_eq(deep_image_width(image), 8);
    deep_image_free(image);
    assert_ok(deep_image_load(&image, context, in_folder("a.png"), NULL));
    ck_assert_int_eq(deep_image_width(image), 24);
    deep_image_free(image);
    bytes_free(&png);
    bytes_free(&jpeg);
}
END_TEST

START_TEST(other_content_has_its_status)
{
    static const struct {
        const char *bytes;
        size_t size;
        deep_status expected;
    } table[] = {{"", 0, DEEP_ERROR_TRUNCATED},
                 {"\x89PN", 3, DEEP_ERROR_TRUNCATED},
                 {"\xff", 1, DEEP_ERROR_TRUNCATED},
                 {"GIF89a and so on", 16, DEEP_ERROR_UNSUPPORTED},
                 {"II*\0", 4, DEEP_ERROR_UNSUPPORTED},
                 {"MM\0*", 4, DEEP_ERROR_UNSUPPORTED},
                 {"BM", 2, DEEP_ERROR_UNSUPPORTED},
                 {"RIFF....WEBP", 12, DEEP_ERROR_UNSUPPORTED},
                 {"label,x,y\n", 10, DEEP_ERROR_FORMAT},
                 {"\xff\xd9\xff", 3, DEEP_ERROR_FORMAT},
                 {"\x8aMNG\r\n\x1a\n", 8, DEEP_ERROR_FORMAT}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i) {
        bytes file = {0};
        bytes_append(&file, table[i].bytes, table[i].size);
        write_file("text", &file);
        deep_image *image;
        assert_status(deep_image_load(&image, context, in_folder("text"), NULL), table[i].expected);
        ck_assert_ptr_null(image);
        ck_assert_ptr_nonnull(strstr(deep_last_error(), "/text"));
        assert_status(deep_image_decode(&image, context, table[i].bytes, table[i].size, NULL), table[i].expected);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(bad_calls_are_refused)
{
    bytes png = png_build(&(png_plan){0});
    deep_image *image;
    deep_image_options options;
    deep_image_options_init(&options, sizeof options);
    assert_ok(deep_image_decode(&image, context, png.data, png.size, &options));
    deep_image_free(image);
    options.channels = 2;
    assert_status(deep_image_decode(&image, context, png.data, png.size, &options), DEEP_ERROR_INVALID_ARGUMENT);
    options.channels = 0;
    options.truncation = 2;
    assert_status(deep_image_decode(&image, context, png.data, png.size, &options), DEEP_ERROR_INVALID_ARGUMENT);
    options.truncation = 0;
    options.reserved = 1;
    assert_status(deep_image_load(&image, context, "x", &options), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_decode(&image, context, NULL, 5, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_decode(&image, context, NULL, 0, NULL), DEEP_ERROR_TRUNCATED);
    assert_status(deep_image_decode(&image, NULL, png.data, png.size, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_decode(NULL, context, png.data, png.size, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_load(&image, context, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    bytes_free(&png);
}
END_TEST

START_TEST(paths_that_are_no_files_have_their_status)
{
    deep_image *image;
    assert_status(deep_image_load(&image, context, in_folder("none.png"), NULL), DEEP_ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "none.png"));
    assert_status(deep_image_load(&image, context, folder, NULL), DEEP_ERROR_IO);
    ck_assert_int_eq(mkfifo(in_folder("text"), 0600), 0);
    assert_status(deep_image_load(&image, context, path, NULL), DEEP_ERROR_IO);
}
END_TEST

START_TEST(large_files_are_refused_unread)
{
    deep_context *small;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .max_image_bytes = 60};
    assert_ok(deep__context_create(&small, &options));
    bytes png = png_build(&(png_plan){0});
    write_file("a.png", &png);
    deep_image *image;
    assert_status(deep_image_load(&image, small, in_folder("a.png"), NULL), DEEP_ERROR_LIMIT);
    assert_status(deep_image_decode(&image, small, png.data, png.size, NULL), DEEP_ERROR_LIMIT);
    bytes_free(&png);
    deep_context_free(small);
}
END_TEST

START_TEST(what_is_saved_can_be_loaded)
{
    for (int32_t channels = 1; channels <= 3; channels += 2) {
        deep_image *image = numbered(37, 11, channels), *loaded;
        assert_ok(deep_image_save_png(image, in_folder("a.png")));
        assert_ok(deep_image_save_png(image, in_folder("a.png"))); /* again, over the first */
        assert_ok(deep_image_load(&loaded, context, in_folder("a.png"), NULL));
        ck_assert_int_eq(deep_image_channels(loaded), channels);
        ck_assert_mem_eq(deep_image_data(loaded), deep_image_data(image), 37 * 11 * (size_t)channels);
        deep_image_free(image);
        deep_image_free(loaded);
    }
}
END_TEST

START_TEST(a_rectangle_is_encoded_with_its_stride)
{
    uint8_t frame[6 * 9];
    for (size_t i = 0; i < sizeof frame; ++i)
        frame[i] = (uint8_t)i;
    const deep_pixels pixels = {
        DEEP_PIXELS_INIT, .data = frame, .width = 9,     .height = 6,    .format = DEEP_PIXEL_GRAY8,
        .roi_x = 2,       .roi_y = 3,    .roi_width = 4, .roi_height = 2};
    deep_image *image, *again;
    void *file;
    size_t size;
    assert_ok(deep_image_wrap(&image, context, &pixels));
    assert_ok(deep_image_encode_png(image, &file, &size));
    assert_ok(deep_image_decode(&again, context, file, size, NULL));
    ck_assert_mem_eq(deep_image_data(again), frame + 3 * 9 + 2, 4);
    ck_assert_mem_eq(deep_image_data(again) + 4, frame + 4 * 9 + 2, 4);
    deep_free(context, file);
    deep_image_free(image);
    deep_image_free(again);
}
END_TEST

START_TEST(saving_where_one_cannot_is_an_error)
{
    deep_image *image = numbered(3, 3, 1);
    void *file;
    size_t size;
    assert_status(deep_image_save_png(image, in_folder("none/b.png")), DEEP_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "none/b.png"));
    assert_status(deep_image_save_png(image, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_save_png(NULL, "x"), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_encode_png(NULL, &file, &size), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_encode_png(image, NULL, &size), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_image_encode_png(image, &file, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    deep_image_free(image);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("image_file");
    TCase *tests = tcase_create("image_file");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, files_are_told_apart_by_content);
    tcase_add_test(tests, other_content_has_its_status);
    tcase_add_test(tests, bad_calls_are_refused);
    tcase_add_test(tests, paths_that_are_no_files_have_their_status);
    tcase_add_test(tests, large_files_are_refused_unread);
    tcase_add_test(tests, what_is_saved_can_be_loaded);
    tcase_add_test(tests, a_rectangle_is_encoded_with_its_stride);
    tcase_add_test(tests, saving_where_one_cannot_is_an_error);
    suite_add_tcase(suite, tests);
    return suite;
}
