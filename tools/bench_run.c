/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_run.h"

#include "bench_models.h"
#include "common.h"
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { WARM_UPS = 2 };

const char *bench_dtype_name(int32_t dtype)
{
    return dtype == DEEP_DTYPE_F32    ? "fp32"
           : dtype == DEEP_DTYPE_BF16 ? "bf16"
           : dtype == DEEP_DTYPE_F16  ? "fp16"
                                      : "int8";
}

double bench_peak_of(const machine_peak *peak, int32_t dtype)
{
    const double own = dtype == DEEP_DTYPE_BF16 ? peak->bf16 : dtype == DEEP_DTYPE_I8 ? peak->i8 : peak->f32;
    return own > peak->f32 ? own : peak->f32;
}

/* `rate` as part of `peak`, 0 where that is not known. */
static double part_of(double rate, double peak)
{
    return peak > 0 ? rate / peak : 0;
}

bool bench_is_on_gpu(const deep_context *context)
{
    return strncmp(deep_context_device(context), "cuda", 4) == 0;
}

/* Memory is what this program itself runs out of without a text. */
static int fail_measuring(deep_status status)
{
    if (status != DEEP_ERROR_OUT_OF_MEMORY) return fail_with(status);
    say_error("out of memory");
    return EXIT_MEMORY;
}

/* ---- memory ---- */

/* Makes the kernel forget the most memory so far; where it cannot, the number is of the whole process so far. */
static void reset_peak_memory(void)
{
#ifdef __GLIBC__
    malloc_trim(0); /* what the session before has freed */
#endif
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file == NULL) return;
    fputs("5\n", file);
    fclose(file);
}

static int64_t peak_memory(void)
{
    char line[128];
    int64_t kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0) kilobytes = strtoll(line + 6, NULL, 10);
    fclose(file);
    return kilobytes * 1024;
}

/* ---- one session ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of `count` values, which are sorted. */
static double median(double *values, int32_t count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 == 1 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

/* Input between -1 and 1 that is the same each time; NULL when memory is out. */
static float *make_input(const deep_model_summary *summary, int32_t batch)
{
    const size_t count = (size_t)batch * (size_t)summary->input_size * (size_t)summary->input_size * 3;
    float *input = malloc(count * sizeof *input);
    uint32_t state = 1;
    for (size_t i = 0; i < count && input != NULL; ++i) {
        state = state * 1664525u + 1013904223u;
        input[i] = (float)(state >> 8) / (float)(1 << 23) - 1.0f;
    }
    return input;
}

/* Runs the session and keeps each run's milliseconds. */
static deep_status run_repeatedly(deep_session *session, const float *input, int32_t batch, double *times,
                                  int32_t repetitions)
{
    deep_status status = DEEP_OK;
    for (int32_t i = -WARM_UPS; i < repetitions && status == DEEP_OK; ++i) {
        const double begin = now_seconds();
        status = deep_session_run(session, input, batch, NULL, NULL);
        if (i >= 0) times[i] = 1e3 * (now_seconds() - begin);
    }
    return status;
}

static deep_status measure_speed(bench_speed *speed, const deep_model *model, const deep_model_summary *summary,
                                 const machine_peak *peak, int32_t repetitions)
{
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = speed->batch, .threads = speed->threads};
    deep_session *session = NULL;
    double *times = malloc((size_t)repetitions * sizeof *times);
    float *input = make_input(summary, speed->batch);
    deep_status status = times == NULL || input == NULL ? DEEP_ERROR_OUT_OF_MEMORY : DEEP_OK;
    reset_peak_memory();
    if (status == DEEP_OK) status = deep_session_create(&session, model, &options);
    if (status == DEEP_OK) status = run_repeatedly(session, input, speed->batch, times, repetitions);
    if (status == DEEP_OK) {
        speed->peak_bytes = peak_memory();
        speed->median_ms = median(times, repetitions) / speed->batch;
        speed->least_ms = times[0] / speed->batch;
        speed->of_peak =
            part_of(2e-6 * (double)summary->multiply_adds / speed->least_ms, bench_peak_of(peak, speed->dtype));
    }
    deep_session_free(session);
    free(input);
    free(times);
    return status;
}

/* ---- its steps ---- */

/* Times of all repetitions: times[step * repetitions + repetition]. */
static deep_status profile_repeatedly(deep_session *session, const float *input, int32_t batch, double *times,
                                      int32_t repetitions)
{
    const int32_t steps = deep_session_step_count(session);
    deep_status status = DEEP_OK;
    for (int32_t i = -WARM_UPS; i < repetitions && status == DEEP_OK; ++i) {
        status = deep_session_run(session, input, batch, NULL, NULL);
        for (int32_t s = 0; s < steps && i >= 0 && status == DEEP_OK; ++s) {
            deep_session_step step = {.struct_size = sizeof step};
            status = deep_session_step_info(session, s, &step);
            times[s * repetitions + i] = step.milliseconds;
        }
    }
    return status;
}

static deep_status fill_steps(bench_step *steps, deep_session *session, double *times, int32_t repetitions,
                              int32_t dtype, double peak)
{
    const int32_t count = deep_session_step_count(session);
    double all = 0;
    for (int32_t s = 0; s < count; ++s) {
        deep_session_step *step = &steps[s].step;
        *step = (deep_session_step){.struct_size = sizeof *step};
        const deep_status status = deep_session_step_info(session, s, step);
        if (status != DEEP_OK) return status;
        step->milliseconds = median(times + s * repetitions, repetitions);
        all += step->milliseconds;
    }
    for (int32_t s = 0; s < count; ++s) {
        const deep_session_step *step = &steps[s].step;
        steps[s].dtype = dtype;
        steps[s].share = all > 0 ? step->milliseconds / all : 0;
        if (step->milliseconds > 0)
            steps[s].of_peak = part_of(2e-6 * (double)step->multiply_adds / step->milliseconds, peak);
    }
    return DEEP_OK;
}

/* Appends the steps of a session of `batch` images. */
static deep_status append_steps(bench_result *result, deep_session *session, const float *input, int32_t batch,
                                int32_t repetitions, int32_t dtype, double peak)
{
    const int32_t count = deep_session_step_count(session);
    const size_t room = (size_t)(result->step_count + count);
    bench_step *steps = realloc(result->steps, room * sizeof *steps);
    double *times = malloc((size_t)count * (size_t)repetitions * sizeof *times);
    deep_status status = steps == NULL || times == NULL ? DEEP_ERROR_OUT_OF_MEMORY : DEEP_OK;
    if (steps != NULL) result->steps = steps;
    if (status == DEEP_OK) {
        memset(steps + result->step_count, 0, (size_t)count * sizeof *steps);
        status = profile_repeatedly(session, input, batch, times, repetitions);
    }
    if (status == DEEP_OK) status = fill_steps(steps + result->step_count, session, times, repetitions, dtype, peak);
    if (status == DEEP_OK) result->step_count += count;
    free(times);
    return status;
}

static deep_status measure_steps(bench_result *result, const deep_model *model, int32_t dtype, int32_t batch,
                                 int32_t threads, const machine_peak *peak, int32_t repetitions)
{
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = batch, .threads = threads, .profile = 1};
    deep_session *session = NULL;
    float *input = make_input(&result->summary, batch);
    deep_status status = input == NULL ? DEEP_ERROR_OUT_OF_MEMORY : DEEP_OK;
    if (status == DEEP_OK) status = deep_session_create(&session, model, &options);
    if (status == DEEP_OK)
        status = append_steps(result, session, input, batch, repetitions, dtype, bench_peak_of(peak, dtype));
    deep_session_free(session);
    free(input);
    return status;
}

/* ---- everything ---- */

static int measure_peaks(bench_result *result, const bench_request *request)
{
    for (int32_t t = 0; t < request->threads.count; ++t) {
        const int error = peak_measure(&result->peaks[t], request->threads.values[t]);
        if (error == 0) continue;
        say_error("measuring the processor with %" PRId32 " threads: %s", request->threads.values[t], strerror(error));
        return error == ENOMEM ? EXIT_MEMORY : EXIT_DEVICE;
    }
    return EXIT_OK;
}

static deep_status measure_model(bench_result *result, const deep_model *model, int32_t dtype,
                                 const bench_request *request)
{
    deep_status status = DEEP_OK;
    for (int32_t t = 0; t < request->threads.count; ++t)
        for (int32_t b = 0; b < request->batches.count && status == DEEP_OK; ++b) {
            bench_speed *speed = &result->speeds[result->speed_count++];
            *speed = (bench_speed){
                .dtype = dtype, .batch = request->batches.values[b], .threads = request->threads.values[t]};
            if (!request->quiet)
                say_note("measuring %s, batch %" PRId32 ", threads %" PRId32, bench_dtype_name(dtype), speed->batch,
                         speed->threads);
            status = measure_speed(speed, model, &result->summary, &result->peaks[t], request->repetitions);
        }
    const int32_t last = request->threads.count - 1;
    if (status == DEEP_OK)
        status = measure_steps(result, model, dtype, request->batches.values[0], request->threads.values[last],
                               &result->peaks[last], request->repetitions);
    return status;
}

int bench_run(bench_result *result, deep_context *context, const bench_request *request)
{
    bench_list dtypes = request->dtypes;
    *result = (bench_result){.summary = {.struct_size = sizeof result->summary}};
    int code = bench_model_dtypes(&dtypes, &result->summary, context, request);
    result->has_peaks = !bench_is_on_gpu(context);
    if (code == EXIT_OK && result->has_peaks) code = measure_peaks(result, request);
    const size_t speeds = (size_t)(dtypes.count * request->batches.count * request->threads.count);
    result->speeds = calloc(speeds + 1, sizeof *result->speeds);
    for (int32_t d = 0; d < dtypes.count && code == EXIT_OK; ++d) {
        deep_model *model = NULL;
        deep_status status = result->speeds == NULL ? DEEP_ERROR_OUT_OF_MEMORY : DEEP_OK;
        if (status == DEEP_OK) code = bench_model_open(&model, result, context, dtypes.values[d], request);
        if (status == DEEP_OK && code == EXIT_OK) status = measure_model(result, model, dtypes.values[d], request);
        if (status != DEEP_OK) code = fail_measuring(status);
        deep_model_free(model);
    }
    return code;
}

void bench_free(bench_result *result)
{
    free(result->speeds);
    free(result->steps);
    *result = (bench_result){0};
}
