/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_dtypes.h"

#include "core/tensor.h"

#include <string.h>

deep_status deep__model_set_kernel_dtypes(deep_model *model, const uint8_t *dtypes, int32_t count)
{
    bool any = false;
    for (int32_t i = 0; i < count; ++i)
        any = any || dtypes[i] != DEEP_DTYPE_F32;
    if (!any) return DEEP_OK;
    DEEP_TRY(
        deep__alloc(&model->kernel_dtypes, &model->context->allocator, (size_t)count, sizeof *dtypes, "kernel types"));
    memcpy(model->kernel_dtypes, dtypes, (size_t)count * sizeof *dtypes);
    model->arch.kernel_dtypes = model->kernel_dtypes;
    model->arch.kernel_count = count;
    return DEEP_OK;
}

bool deep__model_is_quantized(const deep_model *model)
{
    return model->kernel_dtypes != NULL;
}

int32_t deep__model_dtype(const deep_model *model)
{
    int32_t lowest = DEEP_DTYPE_F32;
    for (int32_t i = 0; i < model->arch.kernel_count; ++i)
        if (deep__dtype_size(model->kernel_dtypes[i]) < deep__dtype_size(lowest)) lowest = model->kernel_dtypes[i];
    return lowest;
}

deep_status deep__model_check_float(const deep_model *model, const char *what)
{
    if (!deep__model_is_quantized(model)) return DEEP_OK;
    return deep__fail(DEEP_ERROR_UNSUPPORTED, "a model with kernels in %s %s: use the float32 one",
                      deep__dtype_name(deep__model_dtype(model)), what);
}
