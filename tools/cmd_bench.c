/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_out.h"
#include "bench_run.h"
#include "commands.h"
#include "common.h"
#include "output.h"
#include "replace_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH = 1024 };

typedef struct bench_settings {
    const char *batches;
    const char *threads;
    const char *dtypes;
    const char *calibrate;
    const char *svg;
    const char *device;
    int64_t repetitions;
    int64_t fused;
    int32_t json;
    int32_t quiet;
} bench_settings;

static const option_row rows[] = {
    {"batch", 0, OPTION_TEXT, "N[,N...]", "images computed at once (1,8)", offsetof(bench_settings, batches), 0, 0,
     NULL},
    {"threads", 0, OPTION_TEXT, "N[,N...]", "threads that compute (1, 2, 4, ... and all processors)",
     offsetof(bench_settings, threads), 0, 0, NULL},
    {"dtype", 0, OPTION_TEXT, "TYPE[,...]",
     "kernels' types: fp32, bf16, int8, on GPUs fp16 (all that the model can have but that)",
     offsetof(bench_settings, dtypes), 0, 0, NULL},
    {"calibrate", 0, OPTION_TEXT, "DATA", "images that int8's scales come from (random ones)",
     offsetof(bench_settings, calibrate), 0, 0, NULL},
    {"repetitions", 0, OPTION_INT, "N", "runs of each kind that are timed (10)", offsetof(bench_settings, repetitions),
     1, 10000, NULL},
    {"device", 0, OPTION_TEXT, "NAME", "auto, cuda, cpu or ref (auto)", offsetof(bench_settings, device), 0, 0, NULL},
    {"fused", 0, OPTION_INT, "N", "separable convolutions as one kernel on GPUs: 1 where expected to pay, 2 all (0)",
     offsetof(bench_settings, fused), 0, 2, NULL},
    {"svg", 0, OPTION_TEXT, "FILE", "draw the layers' speed under the machine's limits", offsetof(bench_settings, svg),
     0, 0, NULL},
    {"json", 0, OPTION_FLAG, NULL, "print one JSON object", offsetof(bench_settings, json), 0, 0, NULL},
    {"quiet", 'q', OPTION_FLAG, NULL, "do not say what is being measured", offsetof(bench_settings, quiet), 0, 0, NULL},
    {0},
};
static const command_help help = {
    "bench MODEL [OPTION]...", "Measures how fast a model classifies on this machine, and which layers take the time.",
    "Beside each speed stands which part it is of the best that the processor's multiply-add instructions\n"
    "can do, measured in the same run. Run it on a machine that has nothing else to do.\n",
    1, 1};

/* ---- lists ---- */

static bool add_value(bench_list *list, const char *name, int64_t value)
{
    if (list->count == BENCH_MAX_LIST) {
        say_error("--%s: more than %d values", name, BENCH_MAX_LIST);
        return false;
    }
    list->values[list->count++] = (int32_t)value;
    return true;
}

/* Whole numbers from 1 to `most`, with commas between. */
static bool read_numbers(bench_list *list, const char *name, const char *text, int64_t most)
{
    for (const char *at = text;; ++at) {
        char *end;
        errno = 0;
        const long long value = strtoll(at, &end, 10);
        if (end == at || (*end != '\0' && *end != ',') || errno != 0 || value < 1 || value > most) {
            say_error("--%s: '%s' is not a list of integers from 1 to %" PRId64, name, text, most);
            return false;
        }
        if (!add_value(list, name, value)) return false;
        if (*end == '\0') return true;
        at = end;
    }
}

static bool read_dtypes(bench_list *list, const char *text)
{
    static const int32_t dtypes[] = {DEEP_DTYPE_F32, DEEP_DTYPE_BF16, DEEP_DTYPE_F16, DEEP_DTYPE_I8};
    for (const char *at = text;; ++at) {
        const size_t length = strcspn(at, ",");
        int32_t found = 0;
        for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; ++i) {
            const char *name = bench_dtype_name(dtypes[i]);
            if (strlen(name) == length && strncmp(name, at, length) == 0) found = dtypes[i];
        }
        if (found == 0) {
            say_error("--dtype: '%.*s' is not one of fp32|bf16|fp16|int8", (int)length, at);
            return false;
        }
        if (!add_value(list, "dtype", found)) return false;
        at += length;
        if (*at == '\0') return true;
    }
}

static int by_value(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Powers of two below the processors there are, and all of them. */
static void default_threads(bench_list *list, int32_t all)
{
    for (int32_t threads = 1; threads < all; threads *= 2)
        list->values[list->count++] = threads;
    list->values[list->count++] = all;
}

/* ---- the command ---- */

static void describe_device(char *text, size_t size, const deep_context *context)
{
    deep_device device = {.struct_size = sizeof device};
    for (int32_t i = 0; i < deep_device_count(); ++i)
        if (deep_device_info(i, &device) == DEEP_OK && strcmp(device.name, deep_context_device(context)) == 0) {
            snprintf(text, size, "%s: %s", device.name, device.description);
            return;
        }
    snprintf(text, size, "%s", deep_context_device(context));
}

static int draw(const bench_result *result, const bench_request *request, const char *path)
{
    markup document = {0};
    bench_draw(&document, result, request);
    if (document.failed) errno = ENOMEM;
    const int failed = document.failed ? -1 : replace_file(path, document.data, document.length);
    if (failed != 0) say_error("%s: cannot write the picture: %s", path, strerror(errno));
    markup_free(&document);
    return failed == 0 ? EXIT_OK : EXIT_INPUT_OUTPUT;
}

static int measure_and_tell(deep_context *context, const bench_request *request, const bench_settings *settings)
{
    char device[128];
    bench_result result;
    int code = bench_run(&result, context, request);
    describe_device(device, sizeof device, context);
    if (code == EXIT_OK && settings->svg != NULL) code = draw(&result, request, settings->svg);
    if (code == EXIT_OK && !(settings->json != 0 ? bench_print_json(&result, request, device)
                                                 : bench_print_text(&result, request, device)))
        code = EXIT_INPUT_OUTPUT;
    bench_free(&result);
    return code;
}

int cmd_bench(int argc, char **argv)
{
    bench_settings settings = {.batches = "1,8", .repetitions = 10};
    int first;
    const int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    bench_request request = {.model = argv[first],
                             .calibrate = settings.calibrate,
                             .repetitions = (int32_t)settings.repetitions,
                             .quiet = settings.quiet != 0};
    if (!read_numbers(&request.batches, "batch", settings.batches, MAX_BATCH) ||
        (settings.threads != NULL && !read_numbers(&request.threads, "threads", settings.threads, PEAK_MAX_THREADS)) ||
        (settings.dtypes != NULL && !read_dtypes(&request.dtypes, settings.dtypes)))
        return EXIT_USAGE;
    deep_context *context;
    const compute_settings compute = {.device = settings.device, .fused = settings.fused};
    const deep_status status = open_context(&context, &compute);
    if (status != DEEP_OK) return fail_with(status);
    if (settings.svg != NULL && bench_is_on_gpu(context)) {
        say_error(
            "--svg: the peaks that a roofline needs are measured on processors alone; bench/gpu.py draws a GPU's");
        deep_context_free(context);
        return EXIT_USAGE;
    }
    if (request.threads.count == 0 && bench_is_on_gpu(context))
        request.threads = (bench_list){{deep_context_threads(context)}, 1};
    if (request.threads.count == 0) default_threads(&request.threads, deep_context_threads(context));
    qsort(request.threads.values, (size_t)request.threads.count, sizeof request.threads.values[0], by_value);
    const int result = measure_and_tell(context, &request, &settings);
    deep_context_free(context);
    return result;
}
