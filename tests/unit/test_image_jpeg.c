/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "core/context.h"
#include "failing_allocator.h"
#include "jpeg_builder.h"
#include "test.h"

#include <deep/image.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static deep_context *context;
static failing_allocator allocator;
static char warning[256];

enum { APP0 = 0xe0, SOF0 = 0xc0, SOF2 = 0xc2, DHT = 0xc4, DQT = 0xdb, SOS = 0xda, DRI = 0xdd };

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

/* ---- ways to break a file ---- */

static void cut_half(bytes *file, int marker)
{
    const size_t at = jpeg_find(file, marker, 0);
    file->size = at + 2 + ((size_t)file->data[at + 2] << 8 | file->data[at + 3]) / 2;
}

static void cut_soi(bytes *file, int unused)
{
    (void)unused;
    file->size = 2;
}

static void cut_behind(bytes *file, int marker)
{
    const size_t at = jpeg_find(file, marker, 0);
    file->size = at + 2 + ((size_t)file->data[at + 2] << 8 | file->data[at + 3]);
}

static void cut_scan(bytes *file, int unused)
{
    (void)unused;
    file->size = (jpeg_find(file, SOS, 0) + file->size) / 2 + 5;
}

static void cut_end(bytes *file, int count)
{
    file->size -= (size_t)count;
}

static void drop_segment(bytes *file, int marker)
{
    const size_t at = jpeg_find(file, marker, 0);
    bytes_remove(file, at, 2 + ((size_t)file->data[at + 2] << 8 | file->data[at + 3]));
}

static void drop_scan(bytes *file, int unused)
{
    (void)unused;
    const size_t at = jpeg_find(file, SOS, 0);
    bytes_remove(file, at, file->size - 2 - at);
}

static void repeat_segment(bytes *file, int marker)
{
    const size_t at = jpeg_find(file, marker, 0), size = 2 + ((size_t)file->data[at + 2] << 8 | file->data[at + 3]);
    uint8_t copy[512];
    ck_assert_uint_le(size, sizeof copy);
    memcpy(copy, file->data + at, size);
    bytes_insert(file, at, copy, size);
}

/* Writes 16 bits `offset` bytes behind the start of the frame header: 4 precision, 5 height, 7 width, 9 components. */
static void set_sof_16(bytes *file, size_t offset, unsigned value)
{
    const int marker = memmem(file->data, file->size, "\xff\xc2", 2) != NULL ? SOF2 : SOF0;
    const size_t at = jpeg_find(file, marker, 0) + offset;
    file->data[at] = (uint8_t)(value >> 8);
    file->data[at + 1] = (uint8_t)value;
}

static void set_height(bytes *file, int value)
{
    set_sof_16(file, 5, (unsigned)value);
}

static void set_width(bytes *file, int value)
{
    set_sof_16(file, 7, (unsigned)value);
}

static void set_both_sides(bytes *file, int value)
{
    set_height(file, value);
    set_width(file, value);
}

static void set_precision(bytes *file, int value)
{
    file->data[jpeg_find(file, SOF0, 0) + 4] = (uint8_t)value;
}

static void set_sof_marker(bytes *file, int value)
{
    file->data[jpeg_find(file, SOF0, 0) + 1] = (uint8_t)value;
}

static void set_components(bytes *file, int value)
{
    file->data[jpeg_find(file, SOF0, 0) + 9] = (uint8_t)value;
}

static void set_sampling(bytes *file, int value)
{
    file->data[jpeg_find(file, SOF0, 0) + 11] = (uint8_t)value;
}

static void set_table_of_component(bytes *file, int value)
{
    file->data[jpeg_find(file, SOF0, 0) + 12] = (uint8_t)value;
}

static void set_sos_count(bytes *file, int value)
{
    file->data[jpeg_find(file, SOS, 0) + 4] = (uint8_t)value;
}

static void set_sos_component(bytes *file, int value)
{
    file->data[jpeg_find(file, SOS, 0) + 5] = (uint8_t)value;
}

static void set_sos_tables(bytes *file, int value)
{
    file->data[jpeg_find(file, SOS, 0) + 6] = (uint8_t)value;
}

static void set_dht_index(bytes *file, int value)
{
    file->data[jpeg_find(file, DHT, 0) + 4] = (uint8_t)value;
}

static void set_dht_first_count(bytes *file, int value)
{
    file->data[jpeg_find(file, DHT, 0) + 5] = (uint8_t)value;
}

static void set_dqt_index(bytes *file, int value)
{
    file->data[jpeg_find(file, DQT, 0) + 4] = (uint8_t)value;
}

static void set_segment_length(bytes *file, int marker_and_length)
{
    const size_t at = jpeg_find(file, marker_and_length >> 16, 0);
    file->data[at + 2] = (uint8_t)(marker_and_length >> 8);
    file->data[at + 3] = (uint8_t)marker_and_length;
}

static void insert_segment(bytes *file, int marker, size_t size)
{
    bytes segment = {0};
    bytes_u16(&segment, 0xff00u | (uint32_t)marker);
    bytes_u16(&segment, (uint32_t)size + 2);
    for (size_t i = 0; i < size; ++i)
        bytes_byte(&segment, (int)(i & 127));
    bytes_insert(file, 2, segment.data, segment.size);
    bytes_free(&segment);
}

static void add_large_profile(bytes *file, int parts)
{
    for (int i = 0; i < parts; ++i)
        insert_segment(file, 0xe2, 65533);
}

static void add_exif(bytes *file, int orientation)
{
    jpeg_add_exif(file, orientation, 1, 0);
}

static void add_huge_exif(bytes *file, int orientation)
{
    jpeg_add_exif(file, orientation, 0, 65400);
}

static void add_broken_exif(bytes *file, int unused)
{
    (void)unused;
    jpeg_add_exif(file, 6, 1, 0);
    memset(file->data + 2 + 4 + 6 + 4, 0xff, 4); /* the directory lies far outside */
}

static void add_fill_bytes(bytes *file, int marker)
{
    bytes_insert(file, jpeg_find(file, marker, 0), "\xff\xff\xff", 3);
}

static void add_behind_soi(bytes *file, int byte)
{
    const uint8_t value = (uint8_t)byte;
    bytes_insert(file, 2, &value, 1);
}

static void add_second_soi(bytes *file, int unused)
{
    (void)unused;
    bytes_insert(file, 2, "\xff\xd8", 2);
}

static void add_garbage_behind(bytes *file, int count)
{
    for (int i = 0; i < count; ++i)
        bytes_byte(file, i);
}

static void end_at_once(bytes *file, int unused)
{
    (void)unused;
    bytes_insert(file, 2, "\xff\xd9", 2);
}

static void end_in_scan(bytes *file, int unused)
{
    (void)unused;
    bytes_insert(file, file->size - 40, "\xff\xd9", 2);
}

static void set_restart(bytes *file, int marker)
{
    file->data[jpeg_find_restart(file, jpeg_find(file, SOS, 0)) + 1] = (uint8_t)marker;
}

static void drop_restart(bytes *file, int unused)
{
    (void)unused;
    bytes_remove(file, jpeg_find_restart(file, jpeg_find(file, SOS, 0)), 2);
}

static void fill_scan(bytes *file, int byte)
{
    const size_t at = jpeg_find(file, SOS, 0) + 20;
    memset(file->data + at, byte, file->size - 2 - at);
}

/* 158 bytes that declare a progressive image of 65500 x 65500: its coefficients would take 26 GB. */
static void make_progressive_bomb(bytes *file, int side)
{
    set_both_sides(file, side);
    file->size = 158;
}

/* ---- the hand-made files, each with its status ---- */

static const struct jpeg_case {
    const char *name;
    deep_status expected;
    jpeg_plan plan;
    void (*break_it)(bytes *file, int argument);
    int argument;
} cases[] = {
    /* whole */
    {"grey", DEEP_OK, {0}, NULL, 0},
    {"YCbCr 4:4:4", DEEP_OK, {.components = 3}, NULL, 0},
    {"YCbCr 4:2:0", DEEP_OK, {.components = 3, .luma_h = 2, .luma_v = 2}, NULL, 0},
    {"YCbCr 4:2:2", DEEP_OK, {.components = 3, .luma_h = 2}, NULL, 0},
    {"YCbCr 4:4:0", DEEP_OK, {.components = 3, .luma_v = 2}, NULL, 0},
    {"YCbCr 4:1:0", DEEP_OK, {.components = 3, .luma_h = 4, .luma_v = 2}, NULL, 0},
    {"sampling 3 to 1", DEEP_OK, {.components = 3, .luma_h = 3}, NULL, 0},
    {"chroma finer than luma", DEEP_OK, {.components = 3, .other_h = 2}, NULL, 0},
    {"RGB without transform", DEEP_OK, {.components = 3, .rgb = 1}, NULL, 0},
    {"progressive", DEEP_OK, {.components = 3, .progressive = 1}, NULL, 0},
    {"progressive grey", DEEP_OK, {.progressive = 1}, NULL, 0},
    {"100 scans", DEEP_OK, {.components = 3, .scans = 100}, NULL, 0},
    {"restart markers", DEEP_OK, {.restart = 1}, NULL, 0},
    {"own Huffman tables", DEEP_OK, {.components = 3, .optimize = 1}, NULL, 0},
    {"EXIF", DEEP_OK, {0}, add_exif, 3},
    {"EXIF of 65 KB", DEEP_OK, {0}, add_huge_exif, 3},
    {"EXIF with a wild offset, ignored", DEEP_OK, {0}, add_broken_exif, 0},
    {"EXIF with orientation 9, ignored", DEEP_OK, {0}, add_exif, 9},
    {"profile of 1.3 MB", DEEP_OK, {0}, add_large_profile, 20},
    {"fill bytes before a marker", DEEP_OK, {0}, add_fill_bytes, DQT},
    {"garbage behind the end", DEEP_OK, {0}, add_garbage_behind, 90},
    {"without JFIF header", DEEP_OK, {0}, drop_segment, APP0},
    {"standard Huffman table left out, as in motion JPEG", DEEP_OK, {0}, drop_segment, DHT},
    /* cut off */
    {"cut behind SOI", DEEP_ERROR_TRUNCATED, {0}, cut_soi, 0},
    {"cut in APP0", DEEP_ERROR_TRUNCATED, {0}, cut_half, APP0},
    {"cut in DQT", DEEP_ERROR_TRUNCATED, {0}, cut_half, DQT},
    {"cut in SOF", DEEP_ERROR_TRUNCATED, {0}, cut_half, SOF0},
    {"cut in DHT", DEEP_ERROR_TRUNCATED, {0}, cut_half, DHT},
    {"cut in SOS", DEEP_ERROR_TRUNCATED, {0}, cut_half, SOS},
    {"cut behind SOS", DEEP_ERROR_TRUNCATED, {0}, cut_behind, SOS},
    {"cut in the scan", DEEP_ERROR_TRUNCATED, {.components = 3}, cut_scan, 0},
    {"cut in a progressive scan", DEEP_ERROR_TRUNCATED, {.progressive = 1}, cut_scan, 0},
    {"without EOI", DEEP_ERROR_TRUNCATED, {0}, cut_end, 2},
    {"half of EOI", DEEP_ERROR_TRUNCATED, {0}, cut_end, 1},
    {"segment longer than the file", DEEP_ERROR_TRUNCATED, {0}, set_segment_length, APP0 << 16 | 0xffff},
    /* sides */
    {"width 0", DEEP_ERROR_FORMAT, {0}, set_width, 0},
    {"height 0", DEEP_ERROR_FORMAT, {0}, set_height, 0},
    {"65535 x 65535", DEEP_ERROR_LIMIT, {0}, set_both_sides, 65535},
    {"65500 x 65500", DEEP_ERROR_LIMIT, {0}, set_both_sides, 65500},
    {"progressive 65500 x 65500 in 158 bytes", DEEP_ERROR_LIMIT, {.progressive = 1}, make_progressive_bomb, 65500},
    {"fewer rows than claimed", DEEP_ERROR_FORMAT, {0}, set_height, 400},
    /* scans */
    {"101 scans", DEEP_ERROR_LIMIT, {.components = 3, .scans = 101}, NULL, 0},
    {"400 scans", DEEP_ERROR_LIMIT, {.components = 3, .scans = 400}, NULL, 0},
    {"no scan", DEEP_ERROR_FORMAT, {0}, drop_scan, 0},
    {"scan of no component", DEEP_ERROR_FORMAT, {0}, set_sos_count, 0},
    {"scan of five components", DEEP_ERROR_FORMAT, {0}, set_sos_count, 5},
    {"scan of an unknown component", DEEP_ERROR_FORMAT, {0}, set_sos_component, 77},
    {"scan with Huffman table 9", DEEP_ERROR_FORMAT, {0}, set_sos_tables, 0x99},
    {"end inside the scan", DEEP_ERROR_FORMAT, {.components = 3}, end_in_scan, 0},
    {"scan of zeros", DEEP_ERROR_FORMAT, {.width = 100, .height = 100}, fill_scan, 0x7f},
    {"end at once", DEEP_ERROR_FORMAT, {0}, end_at_once, 0},
    /* tables */
    {"Huffman table with too many codes", DEEP_ERROR_FORMAT, {0}, set_dht_first_count, 255},
    {"Huffman table with impossible codes", DEEP_ERROR_FORMAT, {0}, set_dht_first_count, 3},
    {"Huffman table 7", DEEP_ERROR_FORMAT, {0}, set_dht_index, 7},
    {"Huffman segment too short", DEEP_ERROR_FORMAT, {0}, set_segment_length, DHT << 16 | 9},
    {"quantisation table 5", DEEP_ERROR_FORMAT, {0}, set_dqt_index, 5},
    {"quantisation table left out", DEEP_ERROR_FORMAT, {0}, drop_segment, DQT},
    {"component with quantisation table 3", DEEP_ERROR_FORMAT, {0}, set_table_of_component, 3},
    {"segment of length 1", DEEP_ERROR_FORMAT, {0}, set_segment_length, DQT << 16 | 1},
    /* kinds that libdeep does not read */
    {"two components", DEEP_ERROR_UNSUPPORTED, {.components = 2}, NULL, 0},
    {"CMYK", DEEP_ERROR_UNSUPPORTED, {.components = 4}, NULL, 0},
    {"YCCK", DEEP_ERROR_UNSUPPORTED, {.components = 4, .ycck = 1}, NULL, 0},
    {"arithmetic", DEEP_ERROR_UNSUPPORTED, {.arithmetic = 1}, NULL, 0},
    {"arithmetic progressive", DEEP_ERROR_UNSUPPORTED, {.arithmetic = 1, .progressive = 1}, NULL, 0},
    {"12 bits", DEEP_ERROR_UNSUPPORTED, {0}, set_precision, 12},
    {"lossless", DEEP_ERROR_UNSUPPORTED, {0}, set_sof_marker, 0xc3},
    {"hierarchical", DEEP_ERROR_UNSUPPORTED, {0}, set_sof_marker, 0xc5},
    /* frame header */
    {"9 bits", DEEP_ERROR_FORMAT, {0}, set_precision, 9},
    {"no component", DEEP_ERROR_FORMAT, {0}, set_components, 0},
    {"three components claimed, one described", DEEP_ERROR_FORMAT, {0}, set_components, 3},
    {"sampling 0", DEEP_ERROR_FORMAT, {0}, set_sampling, 0x00},
    {"sampling 5", DEEP_ERROR_FORMAT, {.components = 3}, set_sampling, 0x55},
    {"two frame headers", DEEP_ERROR_FORMAT, {0}, repeat_segment, SOF0},
    {"two SOI", DEEP_ERROR_FORMAT, {0}, add_second_soi, 0},
    {"not JPEG behind SOI", DEEP_ERROR_FORMAT, {0}, add_behind_soi, 0x41},
    /* restart markers */
    {"wrong restart marker", DEEP_ERROR_FORMAT, {.restart = 1}, set_restart, 0xd5},
    {"restart marker left out", DEEP_ERROR_FORMAT, {.restart = 1}, drop_restart, 0},
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
    const struct jpeg_case *row = &cases[_i];
    bytes file = jpeg_build(&row->plan);
    if (row->break_it != NULL) row->break_it(&file, row->argument);
    deep_image *image;
    const deep_status status = decode(&image, &file, DEEP_TRUNCATION_STRICT);
    ck_assert_msg(status == row->expected, "%s: %s (%s), expected %s", row->name, deep_status_name(status),
                  deep_last_error(), deep_status_name(row->expected));
    ck_assert_msg(allocator.largest <= 1 << 20, "%s: a request of %zu bytes", row->name, allocator.largest);
    if (status == DEEP_OK) ck_assert_int_eq(deep_image_channels(image), row->plan.components == 3 ? 3 : 1);
    deep_image_free(image);
    bytes_free(&file);
}
END_TEST

/* ---- content ---- */

START_TEST(pixels_are_near_what_was_written) /* 40 + 3 x + 5 y */
{
    bytes file = jpeg_build(&(jpeg_plan){0});
    deep_image *image;
    assert_ok(decode(&image, &file, DEEP_TRUNCATION_STRICT));
    for (int y = 0; y < 17; ++y)
        for (int x = 0; x < 24; ++x)
            ck_assert_int_le(abs(deep_image_data(image)[24 * y + x] - (40 + 3 * x + 5 * y)), 12);
    deep_image_free(image);
    bytes_free(&file);
}
END_TEST

START_TEST(progressive_gives_the_same_pixels)
{
    bytes plain = jpeg_build(&(jpeg_plan){.components = 3}),
          progressive = jpeg_build(&(jpeg_plan){.components = 3, .progressive = 1});
    deep_image *a, *b;
    assert_ok(decode(&a, &plain, DEEP_TRUNCATION_STRICT));
    assert_ok(decode(&b, &progressive, DEEP_TRUNCATION_STRICT));
    ck_assert_mem_eq(deep_image_data(a), deep_image_data(b), 24 * 17 * 3);
    deep_image_free(a);
    deep_image_free(b);
    bytes_free(&plain);
    bytes_free(&progressive);
}
END_TEST

START_TEST(exif_orientation_is_applied)
{
    bytes plain = jpeg_build(&(jpeg_plan){0});
    deep_image *upright;
    assert_ok(decode(&upright, &plain, DEEP_TRUNCATION_STRICT));
    for (int orientation = 1; orientation <= 8; ++orientation)
        for (int big_endian = 0; big_endian <= 1; ++big_endian) {
            bytes file = jpeg_build(&(jpeg_plan){0});
            jpeg_add_exif(&file, orientation, big_endian, 3);
            deep_image *image, *stored;
            const deep_image_options ignore = {DEEP_IMAGE_OPTIONS_INIT, .ignore_orientation = 1};
            assert_ok(decode(&image, &file, DEEP_TRUNCATION_STRICT));
            assert_ok(deep_image_decode(&stored, context, file.data, file.size, &ignore));
            ck_assert_int_eq(deep_image_width(image), orientation < 5 ? 24 : 17);
            ck_assert_mem_eq(deep_image_data(stored), deep_image_data(upright), 24 * 17);
            /* where the stored top left pixel must come to, as (right, bottom) */
            static const int corner[9] = {0, 0, 1, 3, 2, 0, 1, 3, 2};
            const int x = corner[orientation] & 1 ? deep_image_width(image) - 1 : 0;
            const int y = corner[orientation] & 2 ? deep_image_height(image) - 1 : 0;
            ck_assert_uint_eq(deep_image_data(image)[y * deep_image_width(image) + x], deep_image_data(upright)[0]);
            deep_image_free(image);
            deep_image_free(stored);
            bytes_free(&file);
        }
    deep_image_free(upright);
    bytes_free(&plain);
}
END_TEST

START_TEST(channels_are_converted_on_request)
{
    bytes grey = jpeg_build(&(jpeg_plan){0}), colour = jpeg_build(&(jpeg_plan){.components = 3});
    deep_image *image, *stored;
    deep_image_options options = {DEEP_IMAGE_OPTIONS_INIT, .channels = 3};
    assert_ok(deep_image_decode(&image, context, grey.data, grey.size, &options));
    assert_ok(deep_image_decode(&stored, context, grey.data, grey.size, NULL));
    for (int i = 0; i < 3 * 24 * 17; ++i)
        ck_assert_uint_eq(deep_image_data(image)[i], deep_image_data(stored)[i / 3]);
    deep_image_free(image);
    deep_image_free(stored);
    options.channels = 1;
    assert_ok(deep_image_decode(&image, context, colour.data, colour.size, &options));
    assert_ok(deep_image_decode(&stored, context, colour.data, colour.size, NULL));
    for (int i = 0; i < 24 * 17; ++i) {
        const uint8_t *rgb = deep_image_data(stored) + 3 * i;
        const double luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
        ck_assert_double_le(luma - deep_image_data(image)[i], 0.51);
        ck_assert_double_ge(luma - deep_image_data(image)[i], -0.51);
    }
    deep_image_free(image);
    deep_image_free(stored);
    bytes_free(&grey);
    bytes_free(&colour);
}
END_TEST

START_TEST(lenient_keeps_the_rows_there_are)
{
    bytes file = jpeg_build(&(jpeg_plan){.width = 100, .height = 200});
    deep_image *whole, *part;
    assert_ok(decode(&whole, &file, DEEP_TRUNCATION_LENIENT));
    ck_assert_str_eq(warning, "");
    const size_t scan = jpeg_find(&file, SOS, 0), size = file.size;
    file.size = (scan + size) / 2;
    assert_ok(decode(&part, &file, DEEP_TRUNCATION_LENIENT));
    ck_assert_ptr_nonnull(strstr(warning, "image in memory"));
    ck_assert_mem_eq(deep_image_data(part), deep_image_data(whole), 100 * 8);
    for (int i = 0; i < 100 * 8; ++i)
        ck_assert_uint_eq(deep_image_data(part)[192 * 100 + i], 0);
    deep_image_free(part);
    file.size = size - 2; /* without EOI nothing of the picture is missing */
    assert_ok(decode(&part, &file, DEEP_TRUNCATION_LENIENT));
    ck_assert_mem_eq(deep_image_data(part), deep_image_data(whole), 100 * 200);
    deep_image_free(part);
    deep_image_free(whole);
    bytes_free(&file);
}
END_TEST

START_TEST(lenient_shows_a_progressive_file_coarsely)
{
    bytes file = jpeg_build(&(jpeg_plan){.width = 100, .height = 100, .progressive = 1});
    deep_image *image;
    file.size = (jpeg_find(&file, SOS, 0) + file.size) / 2;
    assert_ok(decode(&image, &file, DEEP_TRUNCATION_LENIENT));
    int coloured = 0;
    for (int i = 0; i < 100 * 100; ++i)
        coloured += deep_image_data(image)[i] != 0;
    ck_assert_int_gt(coloured, 9000);
    deep_image_free(image);
    bytes_free(&file);
}
END_TEST

START_TEST(lenient_still_refuses_damage)
{
    bytes file = jpeg_build(&(jpeg_plan){.restart = 1});
    set_restart(&file, 0xd5);
    deep_image *image;
    assert_status(decode(&image, &file, DEEP_TRUNCATION_LENIENT), DEEP_ERROR_FORMAT);
    bytes_free(&file);
}
END_TEST

START_TEST(coefficients_stay_within_the_decoders_memory) /* 26 GB under raised pixel limits */
{
    deep_context *generous;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .max_pixels = INT64_C(1) << 40};
    assert_ok(deep__context_create(&generous, &options));
    bytes file = jpeg_build(&(jpeg_plan){.progressive = 1});
    make_progressive_bomb(&file, 65500);
    deep_image *image;
    assert_status(deep_image_decode(&image, generous, file.data, file.size, NULL), DEEP_ERROR_LIMIT);
    bytes_free(&file);
    deep_context_free(generous);
}
END_TEST

/* ---- sweeps ---- */

static const jpeg_plan sweep_plans[] = {
    {.width = 9, .height = 9},
    {.components = 3, .luma_h = 2, .luma_v = 2, .width = 17, .height = 5},
    {.components = 3, .progressive = 1, .width = 8, .height = 8},
    {.restart = 1, .width = 33, .height = 9},
    {.components = 3, .optimize = 1, .width = 12, .height = 12},
};

enum { SWEEPS = sizeof sweep_plans / sizeof sweep_plans[0] };

START_TEST(no_prefix_is_a_file)
{
    bytes file = jpeg_build(&sweep_plans[_i]);
    jpeg_add_exif(&file, 6, 0, 0);
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

START_TEST(flipped_bits_do_not_crash) /* JPEG has no checksum: many of them decode */
{
    bytes file = jpeg_build(&sweep_plans[_i]);
    jpeg_add_exif(&file, 6, 0, 0);
    for (size_t bit = 0; bit < 8 * file.size; ++bit) {
        deep_image *image;
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const deep_status status = decode(&image, &file, DEEP_TRUNCATION_STRICT);
        ck_assert_msg(status == DEEP_OK || (status >= DEEP_ERROR_FORMAT && status <= DEEP_ERROR_LIMIT), "bit %zu: %s",
                      bit, deep_status_name(status));
        deep_image_free(image);
        decode(&image, &file, DEEP_TRUNCATION_LENIENT);
        deep_image_free(image);
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    bytes_free(&file);
}
END_TEST

START_TEST(each_failing_allocation_is_an_error)
{
    bytes file = jpeg_build(&(jpeg_plan){.components = 3});
    jpeg_add_exif(&file, 6, 1, 0);
    const long live = allocator.living;
    const deep_image_options options = {DEEP_IMAGE_OPTIONS_INIT, .channels = 1};
    deep_image *image = NULL;
    int64_t refused = 0;
    for (int32_t on = 0; on <= 1; ++on) {
        allocator.forever = on != 0;
        deep_status status = DEEP_ERROR_OUT_OF_MEMORY;
        for (long k = 1; status != DEEP_OK; ++k, ++refused) {
            ck_assert_int_lt(k, 1000);
            allocator.fail_at = allocator.requests + k;
            status = deep_image_decode(&image, context, file.data, file.size, &options);
            ck_assert(status == DEEP_OK || (status == DEEP_ERROR_OUT_OF_MEMORY && allocator.living == live));
        }
        deep_image_free(image);
    }
    ck_assert_int_gt(refused, 6);
    allocator.fail_at = 0;
    bytes_free(&file);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("image_jpeg");
    TCase *tests = tcase_create("image_jpeg");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, each_file_has_its_status, 0, CASES);
    tcase_add_test(tests, pixels_are_near_what_was_written);
    tcase_add_test(tests, progressive_gives_the_same_pixels);
    tcase_add_test(tests, exif_orientation_is_applied);
    tcase_add_test(tests, channels_are_converted_on_request);
    tcase_add_test(tests, lenient_keeps_the_rows_there_are);
    tcase_add_test(tests, lenient_shows_a_progressive_file_coarsely);
    tcase_add_test(tests, lenient_still_refuses_damage);
    tcase_add_test(tests, coefficients_stay_within_the_decoders_memory);
    tcase_add_loop_test(tests, no_prefix_is_a_file, 0, SWEEPS);
    tcase_add_loop_test(tests, flipped_bits_do_not_crash, 0, SWEEPS);
    tcase_add_test(tests, each_failing_allocation_is_an_error);
    suite_add_tcase(suite, tests);
    return suite;
}
