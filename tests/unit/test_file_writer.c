/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "base/file.h"
#include "base/file_writer.h"
#include "failing_allocator.h"
#include "scratch.h"
#include "test.h"

enum { STAGE = 8 << 20, LARGEST = 2 * STAGE + 5 }; /* STAGE as in file_writer.c */

static deep_allocator allocator;
static scratch folder;
static uint8_t *bytes;

static void setup(void)
{
    allocator = deep__allocator_default();
    scratch_make(&folder);
    bytes = malloc(LARGEST);
    ck_assert_ptr_nonnull(bytes);
    uint32_t seed = 1;
    for (size_t i = 0; i < LARGEST; ++i) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

static void teardown(void)
{
    free(bytes);
    scratch_remove(&folder);
}

static deep_status write_file(const char *path, size_t size, size_t part, bool skip_cache)
{
    deep_file_writer writer;
    deep_status status = deep__file_writer_open(&writer, &allocator, path, size);
    if (status == DEEP_OK && skip_cache) status = deep__file_writer_skip_cache(&writer);
    for (size_t done = 0; done < size && status == DEEP_OK; done += part)
        status = deep__file_writer_write(&writer, bytes + done, size - done < part ? size - done : part);
    if (status == DEEP_OK) status = deep__file_writer_commit(&writer, NULL);
    deep__file_writer_close(&writer);
    return status;
}

static const struct layout {
    size_t size, part;
} layouts[] = {{0, 1},
               {1, 1},
               {4095, 4095},
               {4096, 4096},
               {4097, 100},
               {STAGE - 1, STAGE},
               {STAGE, STAGE},
               {STAGE + 1, 70001},
               {2 * STAGE, STAGE},
               {LARGEST, 3 << 20}};

START_TEST(every_byte_arrives_whichever_way_it_takes)
{
    const struct layout *layout = &layouts[_i / 2];
    const char *path = scratch_path(&folder, "file");
    void *read;
    size_t size;
    assert_ok(write_file(path, layout->size, layout->part, _i % 2 != 0));
    assert_ok(deep__file_read(&read, &size, &allocator, path, LARGEST));
    ck_assert_uint_eq(size, layout->size);
    ck_assert_int_eq(memcmp(read, bytes, size), 0);
    deep__free(&allocator, read);
}
END_TEST

START_TEST(a_file_that_was_given_up_leaves_nothing)
{
    deep_file_writer writer;
    const char *path = scratch_path(&folder, "file");
    assert_ok(deep__file_writer_open(&writer, &allocator, path, LARGEST));
    assert_ok(deep__file_writer_skip_cache(&writer));
    assert_ok(deep__file_writer_write(&writer, bytes, LARGEST));
    deep__file_writer_close(&writer);
    ck_assert_int_eq(rmdir(folder.root), 0); /* is empty */
}
END_TEST

START_TEST(memory_runs_out_at_any_allocation)
{
    const char *path = scratch_path(&folder, "file");
    deep_status status = DEEP_ERROR_OUT_OF_MEMORY;
    for (long n = 1; status != DEEP_OK; ++n) {
        failing_allocator failing = {.fail_at = n};
        allocator = (deep_allocator){failing_alloc, failing_free, &failing};
        ck_assert_int_lt(n, 20);
        status = write_file(path, 5000, 5000, true);
        ck_assert_int_eq(failing.living, 0);
        if (status != DEEP_OK) assert_status(status, DEEP_ERROR_OUT_OF_MEMORY);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("file_writer");
    TCase *tests = tcase_create("file_writer");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, every_byte_arrives_whichever_way_it_takes, 0,
                        2 * (int)(sizeof layouts / sizeof layouts[0]));
    tcase_add_test(tests, a_file_that_was_given_up_leaves_nothing);
    tcase_add_test(tests, memory_runs_out_at_any_allocation);
    suite_add_tcase(suite, tests);
    return suite;
}
