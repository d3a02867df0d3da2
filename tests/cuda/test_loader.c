/* SPDX-License-Identifier: Apache-2.0 */
/* Which file the GPU plugin is looked for in, and what is told when it cannot be used. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "test.h"

#include <deep/context.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char logged[4096];

static void keep_log(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)level;
    snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

/* Asks for `device`; the text of what went wrong. */
static const char *refusal(const char *device, const char *plugin)
{
    deep_context *context;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .device = device, .plugin = plugin};
    assert_status(deep_context_create(&context, &options), DEEP_ERROR_DEVICE);
    ck_assert_ptr_null(context);
    return deep_last_error();
}

/* What this build made, with an absolute path. */
static const char *made(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("DEEP_FAKES"), name);
    return path;
}

START_TEST(an_explicit_file_that_is_missing_is_named)
{
    ck_assert_str_eq(refusal("cuda", "/nowhere/plugin.so"),
                     "device \"cuda\": no GPU plugin: /nowhere/plugin.so is not there");
}
END_TEST

START_TEST(the_environment_names_a_folder)
{
    setenv("DEEP_PLUGIN_PATH", "/nowhere", 1);
    ck_assert_str_eq(refusal("cuda", NULL), "device \"cuda\": no GPU plugin: /nowhere/libdeep-cuda.so is not there");
    ck_assert_str_eq(refusal("cuda", "/elsewhere/plugin.so"),
                     "device \"cuda\": no GPU plugin: /elsewhere/plugin.so is not there");
}
END_TEST

START_TEST(the_working_directory_is_never_searched)
{
    ck_assert_int_eq(chdir(made("refusing")), 0);
    ck_assert_int_eq(access("libdeep-cuda.so", R_OK), 0);
    ck_assert_str_eq(refusal("cuda", "libdeep-cuda.so"),
                     "device \"cuda\": no GPU plugin: libdeep-cuda.so is not an absolute path");
    setenv("DEEP_PLUGIN_PATH", ".", 1);
    ck_assert_str_eq(refusal("cuda", NULL), "device \"cuda\": no GPU plugin: . is not an absolute path");
}
END_TEST

START_TEST(what_is_no_library_is_said)
{
    const char *file = made("broken/libcuda.so.1");
    const char *text = refusal("cuda", file);
    ck_assert_msg(strstr(text, "the GPU plugin cannot be opened: ") != NULL && strstr(text, file) != NULL, "%s", text);
}
END_TEST

START_TEST(a_library_that_is_no_plugin_is_said)
{
    const char *file = made("driver/libcuda.so.1");
    char expected[8192];
    snprintf(expected, sizeof expected, "device \"cuda\": %s is no plugin of this libdeep", file);
    ck_assert_str_eq(refusal("cuda", file), expected);
}
END_TEST

START_TEST(a_plugin_of_another_release_is_said)
{
    setenv("DEEP_PLUGIN_PATH", made("refusing"), 1);
    const char *text = refusal("cuda", NULL);
    ck_assert_msg(strstr(text, "libdeep-cuda.so is no plugin of this libdeep, but of another release") != NULL, "%s",
                  text);
}
END_TEST

START_TEST(auto_falls_back_and_logs_why)
{
    deep_context *context;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .plugin = "/nowhere/plugin.so", .log = keep_log,
                                          .log_level = DEEP_LOG_INFO};
    assert_ok(deep_context_create(&context, &options));
    ck_assert_str_ne(deep_context_device(context), "cuda");
    ck_assert_ptr_nonnull(strstr(logged, "device cuda is not used: no GPU plugin: /nowhere/plugin.so is not there\n"));
    deep_context_free(context);
}
END_TEST

START_TEST(names_that_are_no_device_are_refused)
{
    static const char *const names[] = {"gpu", "cuda0", "cuda:", "cuda:-1", "cuda:1x", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        const char *text = refusal(names[i], "/nowhere/plugin.so");
        ck_assert_msg(strstr(text, "known are auto, cuda, cpu and ref") != NULL, "%s", text);
    }
}
END_TEST

START_TEST(the_list_tells_why_there_is_no_gpu)
{
    setenv("DEEP_PLUGIN_PATH", "/nowhere", 1);
    deep_device device = {.struct_size = sizeof device};
    assert_ok(deep_device_info(0, &device));
    ck_assert_str_eq(device.name, "cuda");
    ck_assert_int_eq(device.available, 0);
    ck_assert_str_eq(device.description, "no GPU plugin: /nowhere/libdeep-cuda.so is not there");
    ck_assert_int_eq(deep_device_count(), 3);
    assert_status(deep_device_info(3, &device), DEEP_ERROR_INVALID_ARGUMENT);
}
END_TEST

TEST_SUITE("loader", an_explicit_file_that_is_missing_is_named, the_environment_names_a_folder,
           the_working_directory_is_never_searched, what_is_no_library_is_said, a_library_that_is_no_plugin_is_said,
           a_plugin_of_another_release_is_said, auto_falls_back_and_logs_why, names_that_are_no_device_are_refused,
           the_list_tells_why_there_is_no_gpu)
