/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "failing_allocator.h"
#include "png_builder.h"
#include "test.h"

#include <deep/image.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static deep_context *context;
static failing_allocator allocator;
static char warning[256];

static void on_log(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)level;
    snprintf(warning, sizeof warning, "%s", line);
}

static void setup(void)
{
    allocator = (failing_allocator){0};
    warning[0] = '\0';
    deep_context_options options = failing_options(&allocator);
    options.log = on_log;
    assert_ok(deep__context_create(&context, &options));
}

static void teardown(void)
{
    deep_context_free(context);
    ck_assert_int_eq(allocator.living, 0);
}

/* ---- the hand-made files, each with its status ---- */

static const uint8_t exif_upside_down[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 3, 0, 0, 0};
static const uint8_t bad_profile[] = "not a profile";

static const struct png_case {
    const char *name;
    deep_status expected;
    png_plan plan;
} cases[] = {
    /* whole */
    {"grey 1 bit", DEEP_OK, {.depth = 1}},
    {"grey 2 bits", DEEP_OK, {.depth = 2}},
    {"grey 4 bits", DEEP_OK, {.depth = 4}},
    {"grey 8 bits", DEEP_OK, {.depth = 8}},
    {"grey 16 bits", DEEP_OK, {.depth = 16}},
    {"RGB 8 bits", DEEP_OK, {.colour = 2}},
    {"RGB 16 bits", DEEP_OK, {.colour = 2, .depth = 16}},
    {"RGB with a suggested palette", DEEP_OK, {.colour = 2, .palette = 4}},
    {"palette 1 bit", DEEP_OK, {.colour = 3, .depth = 1}},
    {"palette 8 bits", DEEP_OK, {.colour = 3}},
    {"palette with transparency", DEEP_OK, {.colour = 3, .transparency = 9}},
    {"grey and alpha", DEEP_OK, {.colour = 4}},
    {"grey and alpha 16 bits", DEEP_OK, {.colour = 4, .depth = 16}},
    {"RGBA", DEEP_OK, {.colour = 6}},
    {"grey with a transparent level", DEEP_OK, {.transparency = 2}},
    {"interlaced grey 1 bit", DEEP_OK, {.interlace = 1, .depth = 1}},
    {"interlaced RGB", DEEP_OK, {.interlace = 1, .colour = 2}},
    {"interlaced palette", DEEP_OK, {.interlace = 1, .colour = 3}},
    {"interlaced 1 x 1", DEEP_OK, {.interlace = 1, .width = 1, .height = 1}},
    {"five IDAT chunks", DEEP_OK, {.idats = 5}},
    {"colour profile that is none, skipped", DEEP_OK, {.extra = "iCCP", .extra_data = bad_profile, .extra_size = 13}},
    {"unknown chunk, skipped", DEEP_OK, {.extra = "deEp", .extra_size = 300}},
    {"animation (first frame)", DEEP_OK, {.extra = "acTL", .extra_size = 8}},
    {"garbage behind the end", DEEP_OK, {.trailer = "anything at all"}},
    {"EXIF", DEEP_OK, {.extra = "eXIf", .extra_data = exif_upside_down, .extra_size = sizeof exif_upside_down}},
    /* cut off */
    {"cut in the signature", DEEP_ERROR_TRUNCATED, {.keep = 5}},
    {"cut behind the signature", DEEP_ERROR_TRUNCATED, {.keep = 8}},
    {"cut in IHDR", DEEP_ERROR_TRUNCATED, {.cut_in = "IHDR"}},
    {"cut behind IHDR", DEEP_ERROR_TRUNCATED, {.keep = 33}},
    {"cut in PLTE", DEEP_ERROR_TRUNCATED, {.colour = 3, .cut_in = "PLTE"}},
    {"cut in tRNS", DEEP_ERROR_TRUNCATED, {.colour = 3, .transparency = 8, .cut_in = "tRNS"}},
    {"cut in IDAT", DEEP_ERROR_TRUNCATED, {.cut_in = "IDAT"}},
    {"cut before IEND", DEEP_ERROR_TRUNCATED, {.keep = -12}},
    {"cut in IEND", DEEP_ERROR_TRUNCATED, {.keep = -1}},
    /* checksums */
    {"CRC of IHDR", DEEP_ERROR_FORMAT, {.wrong_crc = "IHDR"}},
    {"CRC of IDAT", DEEP_ERROR_FORMAT, {.wrong_crc = "IDAT"}},
    {"CRC of IEND", DEEP_ERROR_FORMAT, {.wrong_crc = "IEND"}},
    {"CRC of a text", DEEP_ERROR_FORMAT, {.extra = "tEXt", .extra_size = 9, .wrong_crc = "tEXt"}},
    {"Adler-32", DEEP_ERROR_FORMAT, {.wrong_adler = 1}},
    /* chunks that claim more than the file has */
    {"iTXt of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "iTXt", .extra_claims = 2097152115u, .extra_size = 9}},
    {"tEXt of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "tEXt", .extra_claims = 0x7fffffffu, .extra_size = 9}},
    {"zTXt of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "zTXt", .extra_claims = 0x7fffffffu, .extra_size = 9}},
    {"iCCP of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "iCCP", .extra_claims = 0x7fffffffu, .extra_size = 9}},
    {"sPLT of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "sPLT", .extra_claims = 0x7fffffffu, .extra_size = 9}},
    {"eXIf of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "eXIf", .extra_claims = 0x7fffffffu, .extra_size = 9}},
    {"hIST of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "hIST", .extra_claims = 0x7fffffffu, .extra_size = 9}},
    {"pCAL of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "pCAL", .extra_claims = 0x7fffffffu, .extra_size = 9}},
    {"unknown chunk of 2 GB", DEEP_ERROR_TRUNCATED, {.extra = "deEp", .extra_claims = 0x7fffffffu, .extra_size = 9}},
    {"length of 2^32 - 1", DEEP_ERROR_FORMAT, {.extra = "tEXt", .extra_claims = 0xffffffffu, .extra_size = 9}},
    {"text longer than its chunk", DEEP_ERROR_TRUNCATED, {.extra = "tEXt", .extra_claims = 70000, .extra_size = 9}},
    /* sides */
    {"width 0", DEEP_ERROR_FORMAT, {.claim_width = PNG_ZERO}},
    {"height 0", DEEP_ERROR_FORMAT, {.claim_height = PNG_ZERO}},
    {"width 2^31", DEEP_ERROR_FORMAT, {.claim_width = 0x80000000u}},
    {"width 2^31 - 1", DEEP_ERROR_LIMIT, {.claim_width = 0x7fffffffu}},
    {"height above the limit", DEEP_ERROR_LIMIT, {.claim_height = 65501}},
    {"too many pixels", DEEP_ERROR_LIMIT, {.claim_width = 65500, .claim_height = 65500}},
    {"fewer rows than claimed", DEEP_ERROR_FORMAT, {.claim_height = 60}},
    {"more rows than claimed", DEEP_ERROR_FORMAT, {.claim_height = 2}},
    /* header */
    {"depth 3", DEEP_ERROR_FORMAT, {.depth = 3}},
    {"RGB of 4 bits", DEEP_ERROR_FORMAT, {.depth = 4, .colour = 2}},
    {"palette of 16 bits", DEEP_ERROR_FORMAT, {.depth = 16, .colour = 3, .palette = 9}},
    {"colour type 5", DEEP_ERROR_FORMAT, {.colour = 5}},
    {"interlace 2", DEEP_ERROR_FORMAT, {.interlace = 2}},
    {"compression 1", DEEP_ERROR_FORMAT, {.compression = 1}},
    {"filter method 1", DEEP_ERROR_FORMAT, {.filter = 1}},
    {"second IHDR", DEEP_ERROR_FORMAT, {.extra = "IHDR", .extra_size = 13}},
    {"unknown critical chunk", DEEP_ERROR_FORMAT, {.extra = "DEEP", .extra_size = 4}},
    /* palette */
    {"index outside the palette", DEEP_ERROR_FORMAT, {.colour = 3, .palette = 3}},
    {"no palette", DEEP_ERROR_FORMAT, {.colour = 3, .no_palette = 1}},
    {"palette of 7 bytes", DEEP_ERROR_FORMAT, {.colour = 3, .palette_bytes = 7}},
    {"palette of 300 colours", DEEP_ERROR_FORMAT, {.colour = 3, .palette = 300}},
    {"palette too long for its depth, the rest unused", DEEP_OK, {.colour = 3, .depth = 2, .palette = 5}},
    {"palette in a grey image", DEEP_ERROR_FORMAT, {.palette = 4}},
    {"second palette", DEEP_ERROR_FORMAT, {.colour = 3, .extra = "PLTE", .extra_size = 9}},
    {"more transparency than colours", DEEP_ERROR_FORMAT, {.colour = 3, .palette = 256, .transparency = 257}},
    /* image data */
    {"no image data", DEEP_ERROR_FORMAT, {.idats = -1}},
    {"half the rows", DEEP_ERROR_FORMAT, {.short_data = 1}},
    {"row filter 5", DEEP_ERROR_FORMAT, {.row_filter = 5}},
    {"a text between the IDAT chunks", DEEP_ERROR_FORMAT, {.idats = 2, .between_idats = "tEXt"}},
    {"bomb of 64 MB", DEEP_ERROR_FORMAT, {.surplus = 64u << 20}},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static deep_status decode(deep_image **image, const bytes *file, int32_t truncation)
{
    /* A copy of the exact size, so that a sanitizer sees a read behind the end. */
    uint8_t *copy = malloc(file->size ? file->size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, file->data, file->size);
    const deep_image_options options = {DEEP_IMAGE_OPTIONS_INIT, .truncation = truncation};
    const deep_status status = deep_image_decode(image, context, copy, file->size, &options);
    free(copy);
    ck_assert((status == DEEP_OK) == (*image != NULL));
    return status;
}

START_TEST(each_file_has_its_status)
{
    const struct png_case *row = &cases[_i];
    bytes file = png_build(&row->plan);
    deep_image *image;
    const deep_status status = decode(&image, &file, DEEP_TRUNCATION_STRICT);
    ck_assert_msg(status == row->expected, "%s: %s (%s), expected %s", row->name, deep_status_name(status),
                  deep_last_error(), deep_status_name(row->expected));
    ck_assert_msg(allocator.largest <= 1 << 20, "%s: a request of %zu bytes", row->name, allocator.largest);
    if (status == DEEP_OK) {
        ck_assert_int_eq(deep_image_width(image), row->plan.width ? row->plan.width : 8);
        ck_assert_int_eq(deep_image_channels(image), row->plan.colour == 0 || row->plan.colour == 4 ? 1 : 3);
    }
    deep_image_free(image);
    bytes_free(&file);
}
END_TEST

/* ---- content ---- */

START_TEST(samples_become_8_bits)
{
    static const struct {
        png_plan plan;
        uint8_t first[6]; /* of row 1 */
    } table[] = {
        {{.depth = 1}, {0, 0, 0, 255, 0, 0}},     /* row 1 begins with 0x10 */
        {{.depth = 2}, {0, 85, 0, 0, 0, 85}},     /* 0x10 0x15 */
        {{.depth = 4}, {17, 0, 17, 85, 17, 170}}, /* 0x10 0x15 0x1a */
        {{.depth = 8}, {16, 21, 26, 31, 36, 41}},
        {{.depth = 16}, {16, 26, 36, 46, 56, 66}}, /* 0x1015, 0x1a1f, ... over 257, rounded */
        {{.colour = 4}, {16, 26, 36, 46, 56, 66}}, /* alpha dropped */
        {{.colour = 2}, {16, 21, 26, 31, 36, 41}},
        {{.colour = 6}, {16, 21, 26, 36, 41, 46}},
        {{.colour = 3}, {80, 87, 94, 185, 192, 199}}, /* entry i is 21 i, 21 i + 7, 21 i + 14 modulo 256 */
        {{.colour = 3, .transparency = 20}, {80, 87, 94, 185, 192, 199}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i) {
        bytes file = png_build(&table[i].plan);
        deep_image *image;
        assert_ok(decode(&image, &file, DEEP_TRUNCATION_STRICT));
        const uint8_t *row = deep_image_data(image) + deep_image_stride(image);
        for (int k = 0; k < 6; ++k)
            ck_assert_msg(row[k] == table[i].first[k], "case %zu, sample %d: %d", i, k, row[k]);
        deep_image_free(image);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(interlaced_rows_land_where_they_belong)
{
    /* The first pixel of Adam7's pass 6 row 0 is (1, 0): its sample is the sixth block's first byte, 0. */
    bytes file = png_build(&(png_plan){.interlace = 1});
    deep_image *image;
    assert_ok(decode(&image, &file, DEEP_TRUNCATION_STRICT));
    const uint8_t *data = deep_image_data(image);
    static const uint8_t row_0[8] = {0, 0, 0, 5, 0, 10, 5, 15}; /* passes 1 6 4 6 2 6 4 6, columns counted by 5 */
    ck_assert_mem_eq(data, row_0, 8);
    ck_assert_uint_eq(data[8 + 7], 35);     /* pass 7, row 0, column 7 */
    ck_assert_uint_eq(data[3 * 8 + 7], 51); /* pass 7, row 1 */
    deep_image_free(image);
    bytes_free(&file);
}
END_TEST

START_TEST(exif_turns_unless_it_is_ignored)
{
    bytes file =
        png_build(&(png_plan){.extra = "eXIf", .extra_data = exif_upside_down, .extra_size = sizeof exif_upside_down});
    deep_image *turned, *stored;
    const deep_image_options options = {DEEP_IMAGE_OPTIONS_INIT, .ignore_orientation = 1};
    assert_ok(decode(&turned, &file, DEEP_TRUNCATION_STRICT));
    assert_ok(deep_image_decode(&stored, context, file.data, file.size, &options));
    for (int i = 0; i < 48; ++i)
        ck_assert_uint_eq(deep_image_data(turned)[i], deep_image_data(stored)[47 - i]);
    deep_image_free(turned);
    deep_image_free(stored);
    bytes_free(&file);
}
END_TEST

START_TEST(lenient_keeps_the_rows_there_are)
{
    const png_plan plan = {.width = 200, .height = 100, .colour = 2, .idats = 20};
    bytes file = png_build(&plan);
    deep_image *whole, *part;
    assert_ok(decode(&whole, &file, DEEP_TRUNCATION_LENIENT));
    ck_assert_str_eq(warning, "");
    file.size -= (file.size - 41) / 2;
    assert_status(decode(&part, &file, DEEP_TRUNCATION_STRICT), DEEP_ERROR_TRUNCATED);
    assert_ok(decode(&part, &file, DEEP_TRUNCATION_LENIENT));
    ck_assert_ptr_nonnull(strstr(warning, "image in memory"));
    int same = 0;
    while (same < 100 && memcmp(deep_image_data(part) + 600 * same, deep_image_data(whole) + 600 * same, 600) == 0)
        ++same;
    ck_assert_msg(same >= 1 && same < 99, "%d rows", same);
    for (int i = 600 * (same + 1); i < 600 * 100; ++i)
        ck_assert_uint_eq(deep_image_data(part)[i], 0);
    deep_image_free(whole);
    deep_image_free(part);
    bytes_free(&file);
}
END_TEST

START_TEST(lenient_still_refuses_damage_and_cut_headers)
{
    bytes damaged = png_build(&(png_plan){.wrong_crc = "IDAT"}), cut = png_build(&(png_plan){.keep = 30});
    deep_image *image;
    assert_status(decode(&image, &damaged, DEEP_TRUNCATION_LENIENT), DEEP_ERROR_FORMAT);
    assert_status(decode(&image, &cut, DEEP_TRUNCATION_LENIENT), DEEP_ERROR_TRUNCATED);
    bytes_free(&damaged);
    bytes_free(&cut);
}
END_TEST

START_TEST(a_small_file_cannot_claim_much_memory) /* 235 bytes whose iTXt chunk asks libpng for 2 GB */
{
    uint8_t text[190] = "XML:com.adobe.xmp";
    bytes file =
        png_build(&(png_plan){.extra = "iTXt", .extra_claims = 2097152115u, .extra_data = text, .extra_size = 190});
    file.size = 235;
    deep_image *image;
    for (int32_t truncation = DEEP_TRUNCATION_STRICT; truncation <= DEEP_TRUNCATION_LENIENT; ++truncation) {
        ck_assert_int_ne(decode(&image, &file, truncation), DEEP_OK);
        ck_assert_uint_le(allocator.largest, 1 << 16);
    }
    bytes_free(&file);
}
END_TEST

START_TEST(the_decoder_stays_within_its_memory)
{
    deep_context *small;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .max_decoder_bytes = 20000};
    assert_ok(deep__context_create(&small, &options));
    bytes file = png_build(&(png_plan){0});
    deep_image *image;
    assert_status(deep_image_decode(&image, small, file.data, file.size, NULL), DEEP_ERROR_LIMIT);
    bytes_free(&file);
    deep_context_free(small);
}
END_TEST

/* ---- sweeps ---- */

static const png_plan sweep_plans[] = {
    {.width = 5, .height = 4},
    {.colour = 2, .interlace = 1, .extra = "tEXt", .extra_size = 5},
    {.colour = 3, .depth = 4, .transparency = 3},
    {.colour = 6, .depth = 16, .width = 3, .height = 3, .idats = 3},
    {.depth = 1, .extra = "eXIf", .extra_data = exif_upside_down, .extra_size = sizeof exif_upside_down},
};

enum { SWEEPS = sizeof sweep_plans / sizeof sweep_plans[0] };

START_TEST(no_prefix_is_a_file)
{
    bytes file = png_build(&sweep_plans[_i]);
    const size_t size = file.size;
    for (file.size = 0; file.size < size; ++file.size) {
        deep_image *image;
        assert_status(decode(&image, &file, DEEP_TRUNCATION_STRICT), DEEP_ERROR_TRUNCATED);
        decode(&image, &file, DEEP_TRUNCATION_LENIENT);
        deep_image_free(image);
    }
    bytes_free(&file);
}
END_TEST

START_TEST(no_flipped_bit_goes_unnoticed) /* every byte stands under a CRC */
{
    bytes file = png_build(&sweep_plans[_i]);
    for (size_t bit = 0; bit < 8 * file.size; ++bit) {
        deep_image *image;
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const deep_status status = decode(&image, &file, DEEP_TRUNCATION_STRICT);
        ck_assert_msg(status == DEEP_ERROR_FORMAT || status == DEEP_ERROR_TRUNCATED || status == DEEP_ERROR_LIMIT,
                      "bit %zu: %s", bit, deep_status_name(status));
        decode(&image, &file, DEEP_TRUNCATION_LENIENT);
        deep_image_free(image);
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    bytes_free(&file);
}
END_TEST

START_TEST(flipped_bits_under_a_right_crc_do_not_crash)
{
    bytes file = png_build(&sweep_plans[_i]);
    const size_t idat = png_find(&file, "IDAT"), size = file.size;
    for (size_t bit = 8 * 16; bit < 8 * (size - 12); ++bit) {
        const uint8_t mask = (uint8_t)(1 << bit % 8);
        file.data[bit / 8] ^= mask;
        png_repair_crc(&file, 8);
        if (bit / 8 >= idat + 8) png_repair_crc(&file, idat);
        deep_image *image;
        decode(&image, &file, DEEP_TRUNCATION_STRICT);
        deep_image_free(image);
        file.data[bit / 8] ^= mask;
        png_repair_crc(&file, idat);
    }
    bytes_free(&file);
}
END_TEST

START_TEST(each_failing_allocation_is_an_error)
{
    bytes file = png_build(&(png_plan){.width = 40,
                                       .height = 30,
                                       .colour = 3,
                                       .extra = "eXIf",
                                       .extra_data = exif_upside_down,
                                       .extra_size = sizeof exif_upside_down});
    const long live = allocator.living;
    deep_image *image = NULL;
    int64_t refused = 0;
    for (int32_t on = 0; on <= 1; ++on) {
        allocator.forever = on != 0;
        deep_status status = DEEP_ERROR_OUT_OF_MEMORY;
        for (long k = 1; status != DEEP_OK; ++k, ++refused) {
            ck_assert_int_lt(k, 1000);
            allocator.fail_at = allocator.requests + k;
            status = decode(&image, &file, DEEP_TRUNCATION_STRICT);
            ck_assert_msg(status == DEEP_OK || status == DEEP_ERROR_OUT_OF_MEMORY, "call %d: %s (%s)", (int)k,
                          deep_status_name(status), deep_last_error());
            ck_assert(status == DEEP_OK || allocator.living == live);
        }
        deep_image_free(image);
    }
    ck_assert_int_gt(refused, 10);
    allocator.fail_at = 0;
    bytes_free(&file);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("image_png");
    TCase *tests = tcase_create("image_png");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, each_file_has_its_status, 0, CASES);
    tcase_add_test(tests, samples_become_8_bits);
    tcase_add_test(tests, interlaced_rows_land_where_they_belong);
    tcase_add_test(tests, exif_turns_unless_it_is_ignored);
    tcase_add_test(tests, lenient_keeps_the_rows_there_are);
    tcase_add_test(tests, lenient_still_refuses_damage_and_cut_headers);
    tcase_add_test(tests, a_small_file_cannot_claim_much_memory);
    tcase_add_test(tests, the_decoder_stays_within_its_memory);
    tcase_add_loop_test(tests, no_prefix_is_a_file, 0, SWEEPS);
    tcase_add_loop_test(tests, no_flipped_bit_goes_unnoticed, 0, SWEEPS);
    tcase_add_loop_test(tests, flipped_bits_under_a_right_crc_do_not_crash, 0, SWEEPS);
    tcase_add_test(tests, each_failing_allocation_is_an_error);
    suite_add_tcase(suite, tests);
    return suite;
}
