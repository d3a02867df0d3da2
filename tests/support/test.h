/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TEST_H
#define DEEP_TEST_H

#include <check.h>
#include <deep/status.h>

/* Each test program defines its suite; test_main.c runs it. */
Suite *test_suite(void);

/* A suite of one case with these tests. */
#define TEST_SUITE(name, ...)                                                                                          \
    Suite *test_suite(void)                                                                                            \
    {                                                                                                                  \
        Suite *suite = suite_create(name);                                                                             \
        TCase *tests = tcase_create(name);                                                                             \
        const TTest *const list[] = {__VA_ARGS__};                                                                     \
        tcase_set_timeout(tests, 120);                                                                                 \
        for (unsigned i = 0; i < sizeof list / sizeof list[0]; ++i)                                                    \
            tcase_add_test(tests, list[i]);                                                                            \
        suite_add_tcase(suite, tests);                                                                                 \
        return suite;                                                                                                  \
    }

#define assert_status(call, expected)                                                                                  \
    do {                                                                                                               \
        const deep_status got_ = (call);                                                                               \
        ck_assert_msg(got_ == (expected), "%s gave %s (%s), expected %s", #call, deep_status_name(got_),               \
                      deep_last_error(), deep_status_name(expected));                                                  \
    } while (0)

#define assert_ok(call) assert_status(call, DEEP_OK)

/* The folder of DEEP_TEST_DATA joined with `name`, or NULL with a message on stderr when it is unset. Static buffer. */
const char *test_data(const char *name);

#endif
