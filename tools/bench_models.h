/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_BENCH_MODELS_H
#define DEEP_TOOLS_BENCH_MODELS_H

/* The models that `deep bench` measures: the one it was given, and what is made from it. */
#include "bench_run.h"

/* Describes the request's model, and lists what it can be measured as when `dtypes` is empty; returns the exit status. */
int bench_model_dtypes(bench_list *dtypes, deep_model_summary *summary, deep_context *context,
                       const bench_request *request);

/* The model with kernels of `dtype`, for the caller to free; returns the exit status. */
int bench_model_open(deep_model **model, const bench_result *result, deep_context *context, int32_t dtype,
                     const bench_request *request);

#endif
