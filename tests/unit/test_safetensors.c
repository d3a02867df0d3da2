/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "failing_allocator.h"
#include "model/safetensors.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NO_LIMIT = 1 << 30, ROOM = 1 << 16 };

static deep_allocator allocator;

/* A file in memory: the header's size (of the text unless `length` is not -1), the text, `data_size` bytes. */
static size_t assemble(uint8_t *bytes, const char *header, int64_t length, size_t data_size)
{
    const size_t size = strlen(header);
    uint64_t stated = length == -1 ? size : (uint64_t)length;
    for (int i = 0; i < 8; ++i, stated >>= 8)
        bytes[i] = (uint8_t)stated;
    memcpy(bytes + 8, header, size);
    memset(bytes + 8 + size, 0x3f, data_size);
    return 8 + size + data_size;
}

static deep_status open_bytes(const uint8_t *bytes, size_t size)
{
    deep_safetensors file;
    uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees each byte read too much */
    memcpy(exact, bytes, size);
    const deep_status status = deep__safetensors_open_memory(&file, &allocator, exact, size, NO_LIMIT);
    deep__safetensors_close(&file);
    free(exact);
    return status;
}

/* ---- malformed files ---- */

typedef struct bad_file {
    const char *what;
    const char *header;
    int64_t length; /* stated; -1 = the header's */
    size_t data_size;
    deep_status expected;
} bad_file;

#define F32_1       "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"
#define NESTED_16   "[[[[[[[[[[[[[[[["
#define UNNESTED_16 "]]]]]]]]]]]]]]]]"

static const bad_file bad_files[] = {
    {"length 0", "{}", 0, 0, DEEP_ERROR_FORMAT},
    {"length 7 cuts the header", "{\"a\":" F32_1 "}", 7, 4, DEEP_ERROR_FORMAT},
    {"length beyond the file", "{}", 1000, 0, DEEP_ERROR_TRUNCATED},
    {"length above 100 MB", "{}", 100000001, 0, DEEP_ERROR_LIMIT},
    {"length 2^63", "{}", INT64_MIN, 0, DEEP_ERROR_LIMIT},
    {"not an object", "[1]", -1, 0, DEEP_ERROR_FORMAT},
    {"space before the object", " {}", -1, 0, DEEP_ERROR_FORMAT},
    {"not UTF-8", "{\"\xff\":" F32_1 "}", -1, 4, DEEP_ERROR_FORMAT},
    {"too deep", "{\"a\":" NESTED_16 NESTED_16 NESTED_16 NESTED_16 UNNESTED_16 UNNESTED_16 UNNESTED_16 UNNESTED_16 "}",
     -1, 0, DEEP_ERROR_LIMIT},
    {"extent NaN", "{\"a\":{\"dtype\":\"F32\",\"shape\":[NaN],\"data_offsets\":[0,4]}}", -1, 4, DEEP_ERROR_FORMAT},
    {"extent is a real", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", -1, 4,
     DEEP_ERROR_FORMAT},
    {"extent negative", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", -1, 4, DEEP_ERROR_FORMAT},
    {"tensor twice", "{\"a\":" F32_1 ",\"a\":" F32_1 "}", -1, 4, DEEP_ERROR_FORMAT},
    {"field twice", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4,
     DEEP_ERROR_FORMAT},
    {"unknown field", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", -1, 4,
     DEEP_ERROR_FORMAT},
    {"offsets reversed", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", -1, 4, DEEP_ERROR_FORMAT},
    {"offsets overlap", "{\"a\":" F32_1 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", -1, 6,
     DEEP_ERROR_FORMAT},
    {"two tensors share bytes", "{\"a\":" F32_1 ",\"b\":" F32_1 "}", -1, 4, DEEP_ERROR_FORMAT},
    {"hole", "{\"a\":" F32_1 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}", -1, 12,
     DEEP_ERROR_FORMAT},
    {"does not begin at 0", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", -1, 8,
     DEEP_ERROR_FORMAT},
    {"does not end at the end", "{\"a\":" F32_1 "}", -1, 5, DEEP_ERROR_FORMAT},
    {"offsets beyond the file", "{\"a\":" F32_1 "}", -1, 3, DEEP_ERROR_TRUNCATED},
    {"offsets are not two", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", -1, 4,
     DEEP_ERROR_FORMAT},
    {"shape product wraps to 4",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[4194305,4194305,211106198978564],\"data_offsets\":[0,4]}}", -1, 4,
     DEEP_ERROR_FORMAT},
    {"bytes wrap to 4", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", -1, 4,
     DEEP_ERROR_FORMAT},
    {"extent above 2^63", "{\"a\":{\"dtype\":\"U8\",\"shape\":[18446744073709551620],\"data_offsets\":[0,4]}}", -1, 4,
     DEEP_ERROR_FORMAT},
    {"dtype unknown", "{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4, DEEP_ERROR_UNSUPPORTED},
    {"dtype in lower case", "{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4,
     DEEP_ERROR_UNSUPPORTED},
    {"dtype is a number", "{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4, DEEP_ERROR_FORMAT},
    {"dtype and size disagree", "{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4,
     DEEP_ERROR_FORMAT},
    {"scalar of 8 bytes", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,8]}}", -1, 8, DEEP_ERROR_FORMAT},
    {"empty axis", "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", -1, 0, DEEP_ERROR_UNSUPPORTED},
    {"rank 9", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", -1, 4,
     DEEP_ERROR_LIMIT},
    {"shape is no array", "{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", -1, 4, DEEP_ERROR_FORMAT},
    {"metadata value is no string", "{\"__metadata__\":{\"a\":1}}", -1, 0, DEEP_ERROR_FORMAT},
    {"metadata is no object", "{\"__metadata__\":\"a\"}", -1, 0, DEEP_ERROR_FORMAT},
    {"name with NUL", "{\"a\\u0000b\":" F32_1 "}", -1, 4, DEEP_ERROR_FORMAT},
    {"entry is no object", "{\"a\":7}", -1, 0, DEEP_ERROR_FORMAT},
    {"bytes behind the header's object", "{} {}", -1, 0, DEEP_ERROR_FORMAT},
    {"bytes without a tensor", "{}", -1, 1, DEEP_ERROR_FORMAT},
};

START_TEST(a_malformed_file_gets_its_code)
{
    static uint8_t bytes[ROOM];
    const bad_file *bad = &bad_files[_i];
    const size_t size = assemble(bytes, bad->header, bad->length, bad->data_size);
    const deep_status status = open_bytes(bytes, size);
    ck_assert_msg(status == bad->expected, "%s: %s (%s), expected %s", bad->what, deep_status_name(status),
                  deep_last_error(), deep_status_name(bad->expected));
    ck_assert_msg(strncmp(deep_last_error(), "memory: ", 8) == 0, "%s: %s", bad->what, deep_last_error());
}
END_TEST

#define BEHIND_EACH_OTHER                                                                                              \
    "{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]},"                                                  \
    "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}"

START_TEST(unusual_files_are_accepted)
{
    static const char *const headers[] = {
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",                      /* a scalar */
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}      ", /* rank 8, padding */
        "{\"a\":{\"data_offsets\":[0,4],\"shape\":[2,2],\"dtype\":\"U8\"},\"__metadata__\":{}}",
        BEHIND_EACH_OTHER,
    };
    static uint8_t bytes[ROOM];
    for (unsigned i = 0; i < sizeof headers / sizeof headers[0]; ++i)
        assert_ok(open_bytes(bytes, assemble(bytes, headers[i], -1, 4)));
    assert_ok(open_bytes(bytes, assemble(bytes, "{}", -1, 0)));
}
END_TEST

START_TEST(a_huge_name_is_only_a_name)
{
    static uint8_t bytes[1 << 20];
    static char header[(1 << 20) - 64];
    size_t length = 0;
    header[length++] = '{';
    header[length++] = '"';
    memset(header + length, 'n', 1000000);
    length += 1000000;
    strcpy(header + length, "\":" F32_1 "}");
    assert_ok(open_bytes(bytes, assemble(bytes, header, -1, 4)));
    assert_status(open_bytes(bytes, assemble(bytes, header, -1, 3)), DEEP_ERROR_TRUNCATED);
}
END_TEST

/* ---- a written file ---- */

static const float floats[6] = {1, 2, 3, 4, 5, 6};
static const int64_t counts[1] = {INT64_C(1) << 40};
static const deep_safetensor two_tensors[2] = {
    {.name = "weights", .dtype = DEEP_DTYPE_F32, .rank = 2, .shape = {2, 3}, .data = floats, .size = sizeof floats},
    {.name = "step", .dtype = DEEP_DTYPE_I64, .rank = 0, .data = counts, .size = sizeof counts},
};
static const deep_safetensors_pair one_pair[1] = {{"deep", "{\"x\":\"\xc3\xa9\"}"}};
static const deep_safetensors_content content = {two_tensors, 2, one_pair, 1};

static void check_content(const deep_safetensors *file)
{
    float values[6];
    deep_json *sums;
    assert_ok(deep__safetensors_checksums(&sums, two_tensors, 2));
    const deep_safetensor *weights = deep__safetensors_find(file, "weights");
    ck_assert_ptr_nonnull(weights);
    ck_assert_int_eq(weights->rank, 2);
    ck_assert_int_eq(weights->shape[1], 3);
    assert_ok(deep__safetensors_read(file, weights, values, sums));
    ck_assert_mem_eq(values, floats, sizeof floats);
    ck_assert_ptr_null(deep__safetensors_find(file, "nothing"));
    ck_assert_str_eq(deep__safetensors_metadata(file, "deep"), one_pair[0].value);
    ck_assert_ptr_null(deep__safetensors_metadata(file, "other"));
    deep__json_free(sums);
}

START_TEST(what_is_written_is_read)
{
    const char *path = "test_safetensors.tmp";
    void *data;
    size_t size;
    deep_safetensors file;
    assert_ok(deep__safetensors_write_memory(&content, &allocator, &data, &size));
    assert_ok(deep__safetensors_open_memory(&file, &allocator, data, size, NO_LIMIT));
    check_content(&file);
    deep__safetensors_close(&file);
    assert_ok(deep__safetensors_write_file(&content, &allocator, path, NULL));
    assert_ok(deep__safetensors_open_file(&file, &allocator, path, NO_LIMIT));
    ck_assert_uint_eq(file.size, size);
    check_content(&file);
    deep__safetensors_close(&file);
    assert_status(deep__safetensors_open_file(&file, &allocator, path, size - 1), DEEP_ERROR_LIMIT);
    unlink(path);
    deep__free(&allocator, data);
}
END_TEST

START_TEST(a_wrong_checksum_is_told)
{
    void *data;
    size_t size;
    float values[6];
    deep_safetensors file;
    deep_json *sums;
    assert_ok(deep__safetensors_checksums(&sums, two_tensors, 1));
    assert_ok(deep__safetensors_write_memory(&content, &allocator, &data, &size));
    ((uint8_t *)data)[size - sizeof counts - 1] ^= 1; /* last byte of weights */
    assert_ok(deep__safetensors_open_memory(&file, &allocator, data, size, NO_LIMIT));
    const deep_safetensor *weights = deep__safetensors_find(&file, "weights"),
                          *step = deep__safetensors_find(&file, "step");
    assert_status(deep__safetensors_read(&file, weights, values, sums), DEEP_ERROR_CHECKSUM);
    assert_status(deep__safetensors_read(&file, step, values, sums), DEEP_ERROR_FORMAT); /* has none */
    assert_ok(deep__safetensors_read(&file, weights, values, NULL));
    deep__safetensors_close(&file);
    deep__json_free(sums);
    deep__free(&allocator, data);
}
END_TEST

START_TEST(every_prefix_is_truncated)
{
    void *data;
    size_t size;
    assert_ok(deep__safetensors_write_memory(&content, &allocator, &data, &size));
    for (size_t length = 0; length < size; ++length)
        assert_status(open_bytes(data, length), DEEP_ERROR_TRUNCATED);
    deep__free(&allocator, data);
}
END_TEST

START_TEST(no_flipped_bit_is_a_fault) /* the parser may accept it, but neither crash nor read outside */
{
    void *data;
    size_t size;
    assert_ok(deep__safetensors_write_memory(&content, &allocator, &data, &size));
    uint8_t *bytes = data;
    for (size_t bit = 0; bit < 8 * size; ++bit) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const deep_status status = open_bytes(bytes, size);
        ck_assert_int_ne(status, DEEP_ERROR_INVALID_ARGUMENT);
        ck_assert_int_ne(status, DEEP_ERROR_OUT_OF_MEMORY);
        if (bit < 64 && status == DEEP_OK) ck_abort_msg("bit %zu of the header's size", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    deep__free(&allocator, data);
}
END_TEST

START_TEST(the_file_before_is_kept_when_asked)
{
    deep_safetensors file;
    const deep_safetensors_content less = {two_tensors, 1, one_pair, 1};
    assert_ok(deep__safetensors_write_file(&less, &allocator, "test_generation.tmp", "test_generation.tmp.prev"));
    assert_ok(deep__safetensors_write_file(&content, &allocator, "test_generation.tmp", "test_generation.tmp.prev"));
    assert_ok(deep__safetensors_open_file(&file, &allocator, "test_generation.tmp", NO_LIMIT));
    ck_assert_int_eq(file.count, 2);
    deep__safetensors_close(&file);
    assert_ok(deep__safetensors_open_file(&file, &allocator, "test_generation.tmp.prev", NO_LIMIT));
    ck_assert_int_eq(file.count, 1);
    deep__safetensors_close(&file);
    unlink("test_generation.tmp");
    unlink("test_generation.tmp.prev");
}
END_TEST

START_TEST(the_writer_refuses_nonsense)
{
    void *data;
    size_t size;
    const deep_safetensor twice[2] = {two_tensors[0], two_tensors[0]};
    deep_safetensor wrong = two_tensors[0];
    wrong.size = 4;
    assert_status(
        deep__safetensors_write_memory(&(deep_safetensors_content){twice, 2, NULL, 0}, &allocator, &data, &size),
        DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(
        deep__safetensors_write_memory(&(deep_safetensors_content){&wrong, 1, NULL, 0}, &allocator, &data, &size),
        DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(data);
}
END_TEST

START_TEST(files_that_cannot_be_opened)
{
    deep_safetensors file;
    assert_status(deep__safetensors_open_file(&file, &allocator, "no/such.file", NO_LIMIT), DEEP_ERROR_NOT_FOUND);
    assert_status(deep__safetensors_open_file(&file, &allocator, ".", NO_LIMIT), DEEP_ERROR_IO);
    ck_assert_int_eq(mkfifo("test_fifo.tmp", 0600), 0);
    assert_status(deep__safetensors_open_file(&file, &allocator, "test_fifo.tmp", NO_LIMIT), DEEP_ERROR_IO);
    unlink("test_fifo.tmp");
    deep__safetensors_close(&file);
}
END_TEST

Suite *test_suite(void)
{
    allocator = deep__allocator_default();
    Suite *suite = suite_create("safetensors");
    TCase *tests = tcase_create("safetensors");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_malformed_file_gets_its_code, 0, (int)(sizeof bad_files / sizeof bad_files[0]));
    tcase_add_test(tests, unusual_files_are_accepted);
    tcase_add_test(tests, a_huge_name_is_only_a_name);
    tcase_add_test(tests, what_is_written_is_read);
    tcase_add_test(tests, a_wrong_checksum_is_told);
    tcase_add_test(tests, every_prefix_is_truncated);
    tcase_add_test(tests, no_flipped_bit_is_a_fault);
    tcase_add_test(tests, the_file_before_is_kept_when_asked);
    tcase_add_test(tests, the_writer_refuses_nonsense);
    tcase_add_test(tests, files_that_cannot_be_opened);
    suite_add_tcase(suite, tests);
    return suite;
}
