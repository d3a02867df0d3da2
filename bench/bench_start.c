/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens between the start of a process and its first result: bench_start MODEL [THREADS]. Prints, in
 * milliseconds, how long each step took, and the most memory of the process so far, in MB. The last line is a JSON
 * object: when the first result was there, in seconds of the clock that all processes share, and the memory then.
 */
#define _POSIX_C_SOURCE 200809L
#include <deep/deep.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double milliseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static void check(deep_status status)
{
    if (status == DEEP_OK) return;
    fprintf(stderr, "%s: %s\n", deep_status_name(status), deep_last_error());
    exit(1);
}

static long megabytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

/* Prints how long it is since `*begin`, and begins anew. */
static void tell(const char *step, double *begin)
{
    const double now = milliseconds(CLOCK_MONOTONIC);
    printf("%-8s %7.2f ms, %ld MB\n", step, now - *begin, megabytes());
    *begin = milliseconds(CLOCK_MONOTONIC);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL [THREADS]\n", argv[0]);
        return 2;
    }
    double begin = milliseconds(CLOCK_MONOTONIC);
    const double processor = milliseconds(CLOCK_PROCESS_CPUTIME_ID); /* the loader's work */
    const double start = begin;
    deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = argc > 2 ? atoi(argv[2]) : 0};
    deep_context *context;
    deep_model *model;
    deep_session *session;
    check(deep_context_create(&context, &options));
    check(deep_model_load(&model, context, argv[1]));
    tell("load", &begin);

    deep_model_summary summary = {.struct_size = sizeof summary};
    check(deep_model_info(model, &summary));
    const size_t count = (size_t)summary.input_size * (size_t)summary.input_size * 3;
    float *input = malloc(count * sizeof *input);
    float *result = malloc((size_t)summary.classes * sizeof *result);
    if (input == NULL || result == NULL) return 1;
    for (size_t i = 0; i < count; ++i)
        input[i] = (float)(i * 2654435761u % 2001) / 1000.0f - 1.0f;
    begin = milliseconds(CLOCK_MONOTONIC);
    check(deep_session_create(&session, model, NULL));
    tell("compile", &begin);
    check(deep_session_run(session, input, 1, NULL, result));
    tell("first", &begin);
    const double total = milliseconds(CLOCK_MONOTONIC) - start, first = start + total;
    const long memory = megabytes();
    begin = milliseconds(CLOCK_MONOTONIC);
    check(deep_session_run(session, input, 1, NULL, result));
    tell("second", &begin);
    printf("before   %7.2f ms\nin all   %7.2f ms\n", processor, processor + total);
    printf("{\"first\": %.6f, \"rss\": %ld}\n", 1e-3 * first, memory);

    deep_session_free(session);
    deep_model_free(model);
    deep_context_free(context);
    free(result);
    free(input);
    return 0;
}
