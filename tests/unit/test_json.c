/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/json.h"
#include "test.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static deep_allocator allocator;

static deep_status parse(const char *text)
{
    deep_json *value;
    const deep_status status = deep__json_parse(&value, text, strlen(text), 1 << 20);
    deep__json_free(value);
    return status;
}

static char *round_trip(const char *source)
{
    deep_json *value;
    deep_text text = deep__text(&allocator);
    assert_ok(deep__json_parse(&value, source, strlen(source), 1 << 20));
    assert_ok(deep__json_dump(&text, value));
    deep__json_free(value);
    return text.data;
}

static void assert_round_trip(const char *source, const char *expected)
{
    char *got = round_trip(source);
    ck_assert_str_eq(got, expected);
    deep__free(&allocator, got);
}

START_TEST(keys_are_sorted_and_spaces_dropped)
{
    assert_round_trip("{ \"b\" : [1, 2.5, true, null], \"a\" : \"x\\u00e9\" }",
                      "{\"a\":\"x\xc3\xa9\",\"b\":[1,2.5,true,null]}");
    assert_round_trip("9223372036854775807", "9223372036854775807");
    assert_round_trip("\"\\ud83d\\udc1f \\t\\/\"", "\"\xf0\x9f\x90\x9f \\t/\""); /* a fish, from a surrogate pair */
    assert_round_trip("[-0.5e-1, 2E+2, -7]", "[-0.050000000000000003,200.0,-7]");
}
END_TEST

START_TEST(a_real_comes_back_the_same)
{
    static const double values[] = {0.1, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, -127.5, 1e-7, 1.0};
    for (unsigned i = 0; i < sizeof values / sizeof values[0]; ++i) {
        deep_json *real = deep__json_new_real(values[i]), *again;
        deep_text text = deep__text(&allocator);
        double back = 0;
        assert_ok(deep__json_dump(&text, real));
        assert_ok(deep__json_parse(&again, text.data, text.length, 100));
        ck_assert_int_eq(deep__json_kind(again), DEEP_JSON_REAL);
        ck_assert(deep__json_number(again, &back) && back == values[i]);
        deep__json_free(real);
        deep__json_free(again);
        deep__text_free(&text);
    }
    ck_assert_ptr_null(deep__json_new_real(0.0 / strtod("0", NULL)));
}
END_TEST

START_TEST(malformed_text_is_refused)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "{\"a\":1,\"a\":2}",
                                      "[1,]",
                                      "nan",
                                      "NaN",
                                      "Infinity",
                                      "1e999",
                                      "\"\xff\"",
                                      "\"\\u0000\"",
                                      "{} x",
                                      "99999999999999999999",
                                      "{\"a\"}",
                                      "'a'",
                                      "\"\\ud800\"",
                                      "\"\\ude00\\ud83d\"",
                                      "\"\\u12g4\"",
                                      "\"\\x\"",
                                      "\"\n\"",
                                      "\"a",
                                      "\"\\",
                                      "01",
                                      "-",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "+1",
                                      "[1 2]",
                                      "{1:2}",
                                      "{\"a\":1,}",
                                      "tru",
                                      "[",
                                      "{\"a\":"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; ++i)
        ck_assert_msg(parse(bad[i]) == DEEP_ERROR_FORMAT, "accepted: %s", bad[i]);
}
END_TEST

START_TEST(depth_and_size_have_limits)
{
    char text[2 * 70 + 1];
    for (size_t depth = 63; depth <= 66; ++depth) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        assert_status(parse(text), depth <= DEEP_JSON_MAX_DEPTH ? DEEP_OK : DEEP_ERROR_LIMIT);
    }
    deep_json *value;
    assert_status(deep__json_parse(&value, "[1,2]", 5, 4), DEEP_ERROR_LIMIT);
    ck_assert_ptr_null(value);
    assert_ok(
        parse("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"")); /* brackets in a
                                                                                                         string */
}
END_TEST

START_TEST(readers_take_anything)
{
    int64_t integer = 7;
    double number = 7;
    bool flag = true;
    deep_json *value;
    assert_ok(deep__json_parse(&value, "[\"x\"]", 5, 100));
    ck_assert(!deep__json_integer(value, &integer) && !deep__json_number(NULL, &number) &&
              !deep__json_bool(value, &flag));
    ck_assert_ptr_null(deep__json_get(value, "x"));
    ck_assert_ptr_null(deep__json_at(value, 1));
    ck_assert_ptr_null(deep__json_string(NULL));
    ck_assert_uint_eq(deep__json_count(NULL), 0);
    ck_assert_ptr_null(deep__json_next(value, NULL));
    deep__json_free(value);
    deep__json_free(NULL);
}
END_TEST

START_TEST(a_comma_locale_changes_nothing)
{
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL) {
        fprintf(stderr, "not checked: the locale de_DE.UTF-8 is not installed\n");
        return;
    }
    assert_round_trip("[0.5,1e300]", "[0.5,1.0000000000000001e300]");
    setlocale(LC_ALL, "C");
    assert_round_trip("[0.5,1e300]", "[0.5,1.0000000000000001e300]");
}
END_TEST

START_TEST(hashes_match_published_values)
{
    char hex[DEEP_SHA256_HEX_SIZE];
    deep__sha256_hex(hex, "abc", 3); /* FIPS 180-2, appendix B.1 */
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    deep__xxh3_hex(hex, "", 0); /* the specification's value for no input and seed 0 */
    ck_assert_str_eq(hex, "2d06800538d394c2");
}
END_TEST

Suite *test_suite(void)
{
    allocator = deep__allocator_default();
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json");
    tcase_add_test(tests, keys_are_sorted_and_spaces_dropped);
    tcase_add_test(tests, a_real_comes_back_the_same);
    tcase_add_test(tests, malformed_text_is_refused);
    tcase_add_test(tests, depth_and_size_have_limits);
    tcase_add_test(tests, readers_take_anything);
    tcase_add_test(tests, a_comma_locale_changes_nothing);
    tcase_add_test(tests, hashes_match_published_values);
    suite_add_tcase(suite, tests);
    return suite;
}
