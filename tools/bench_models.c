/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_models.h"

#include "output.h"

int bench_model_dtypes(bench_list *dtypes, deep_model_summary *summary, deep_context *context,
                       const bench_request *request)
{
    deep_model *model;
    deep_status status = deep_model_load(&model, context, request->model);
    if (status == DEEP_OK) status = deep_model_info(model, summary);
    deep_model_free(model);
    if (status != DEEP_OK) return fail_with(status);
    if (dtypes->count == 0) *dtypes = (bench_list){{DEEP_DTYPE_F32}, 1};
    return EXIT_OK;
}

int bench_model_open(deep_model **model, bench_result *result, deep_context *context, int32_t dtype,
                     const bench_request *request)
{
    (void)result;
    (void)dtype;
    const deep_status status = deep_model_load(model, context, request->model);
    return status == DEEP_OK ? EXIT_OK : fail_with(status);
}
