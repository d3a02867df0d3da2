/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tensor.h"
#include "test.h"

#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static deep_context *context;

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
}

static void teardown(void)
{
    deep_context_free(context);
}

START_TEST(a_tensor_is_zero_filled_and_aligned)
{
    deep_tensor *tensor;
    assert_ok(deep_tensor_create(&tensor, context, DEEP_DTYPE_F32, (int64_t[]){2, 3, 5}, 3));
    ck_assert_uint_eq(deep_tensor_size(tensor), 120);
    ck_assert_int_eq(deep_tensor_extent(tensor, 2), 5);
    ck_assert_int_eq(deep_tensor_extent(tensor, 3), 0);
    ck_assert_uint_eq((uintptr_t)deep_tensor_data(tensor) % DEEP_ALIGNMENT, 0);
    ck_assert_float_eq(((float *)deep_tensor_data(tensor))[29], 0.0f);
    deep_tensor_free(tensor);
}
END_TEST

START_TEST(bad_shapes_are_refused_with_the_number)
{
    deep_tensor *tensor;
    assert_status(deep_tensor_create(&tensor, context, 99, (int64_t[]){1}, 1), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "99"));
    assert_status(deep_tensor_create(&tensor, context, DEEP_DTYPE_U8, (int64_t[]){-4}, 1), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "-4"));
    const int64_t wraps[3] = {4194305, 4194305, INT64_C(211106198978564)};
    assert_status(deep_tensor_create(&tensor, context, DEEP_DTYPE_U8, wraps, 3), DEEP_ERROR_LIMIT);
    ck_assert_ptr_null(tensor);
    deep_tensor_free(NULL);
}
END_TEST

START_TEST(a_wrapped_tensor_borrows_its_memory)
{
    float values[4] = {1, 2, 3, 4};
    deep_tensor *tensor;
    assert_status(deep_tensor_wrap(&tensor, context, DEEP_DTYPE_F32, (int64_t[]){4}, 1, values, 12),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_ok(deep_tensor_wrap(&tensor, context, DEEP_DTYPE_F32, (int64_t[]){4}, 1, values, sizeof values));
    ck_assert_ptr_eq(deep_tensor_data(tensor), values);
    deep_tensor_free(tensor);
}
END_TEST

START_TEST(a_context_does_not_survive_fork)
{
    const pid_t child = fork();
    if (child == 0) {
        deep_tensor *tensor;
        _exit(deep_tensor_create(&tensor, context, DEEP_DTYPE_U8, (int64_t[]){1}, 1) == DEEP_ERROR_FORKED ? 0 : 1);
    }
    int result = 0;
    waitpid(child, &result, 0);
    ck_assert_int_eq(result, 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("tensor");
    TCase *tests = tcase_create("tensor");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_tensor_is_zero_filled_and_aligned);
    tcase_add_test(tests, bad_shapes_are_refused_with_the_number);
    tcase_add_test(tests, a_wrapped_tensor_borrows_its_memory);
    tcase_add_test(tests, a_context_does_not_survive_fork);
    suite_add_tcase(suite, tests);
    return suite;
}
