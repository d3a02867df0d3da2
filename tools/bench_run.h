/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_BENCH_RUN_H
#define DEEP_TOOLS_BENCH_RUN_H

/* Measuring a model's speed: what `deep bench` does before it prints. */
#include "peak.h"

#include <deep/deep.h>
#include <stdbool.h>

enum { BENCH_MAX_LIST = 16, BENCH_MAX_DTYPES = 3 };

/* A whole number from the command line, with others: "1,8". */
typedef struct bench_list {
    int32_t values[BENCH_MAX_LIST];
    int32_t count;
} bench_list;

typedef struct bench_request {
    const char *model;     /* file */
    const char *calibrate; /* images for int8; NULL = random ones */
    bench_list dtypes;     /* DEEP_DTYPE_*; none = those that the model can have */
    bench_list batches;
    bench_list threads; /* ascending */
    int32_t repetitions;
    bool quiet;
} bench_request;

/* How fast one kind of session is. Times are of one image. */
typedef struct bench_speed {
    int32_t dtype, batch, threads;
    double least_ms, median_ms;
    double
        of_peak; /* the multiply-adds' rate in the least time, as part of the best that the machine can do; 0 = not known */
    int64_t peak_bytes; /* most memory of the process since before the session was made; 0 = not known */
} bench_speed;

/* One step of the network, with the first batch and all threads. */
typedef struct bench_step {
    deep_session_step step; /* milliseconds: the median of the repetitions, of one image */
    int32_t dtype;          /* of the model, not of the step's own kernel */
    double share;           /* of the time of all steps */
    double of_peak;         /* 0 = not known */
} bench_step;

typedef struct bench_result {
    deep_model_summary summary;
    bool has_peaks;                     /* which are the processor's: not on a GPU */
    machine_peak peaks[BENCH_MAX_LIST]; /* for each number of threads */
    bench_speed *speeds;
    int32_t speed_count;
    bench_step *steps; /* of each dtype in turn */
    int32_t step_count;
} bench_result;

/* Fills `result`, to be freed with bench_free() also after a failure; says what is wrong and returns the exit status. */
int bench_run(bench_result *result, deep_context *context, const bench_request *request);
void bench_free(bench_result *result);

/* Operations a second that kernels of `dtype` can reach: of its own instruction or of float's, whichever is faster. */
double bench_peak_of(const machine_peak *peak, int32_t dtype);

/* Whether a GPU computes what is measured. */
bool bench_is_on_gpu(const deep_context *context);

/* "fp32", "bf16", "fp16" or "int8". */
const char *bench_dtype_name(int32_t dtype);

#endif
