/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "test.h"

#include <deep/version.h>
#include <stdio.h>
#include <string.h>

START_TEST(the_library_is_the_headers)
{
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", DEEP_VERSION_MAJOR, DEEP_VERSION_MINOR, DEEP_VERSION_PATCH);
    ck_assert_str_eq(deep_version_string(), expected);
    ck_assert_int_eq(deep_abi_version(), DEEP_ABI_VERSION);
}
END_TEST

START_TEST(build_info_is_json)
{
    const char *text = deep_build_info();
    deep_json *info;
    assert_ok(deep__json_parse(&info, text, strlen(text), 1 << 16));
    ck_assert_str_eq(deep__json_string(deep__json_get(info, "version")), deep_version_string());
    const deep_json *backends = deep__json_get(info, "backends");
    ck_assert_uint_ge(deep__json_count(backends), 1);
    ck_assert_str_eq(deep__json_string(deep__json_at(backends, deep__json_count(backends) - 1)), "ref");
    ck_assert_ptr_nonnull(deep__json_string(deep__json_get(deep__json_get(info, "libraries"), "libpng")));
    deep__json_free(info);
}
END_TEST

TEST_SUITE("version", the_library_is_the_headers, build_info_is_json)
