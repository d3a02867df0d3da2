/* SPDX-License-Identifier: Apache-2.0 */
/* What libdeep-cuda.so exports. */
#include "backend_cuda/cuda.h"

static int32_t describe(int32_t isa, char *text, size_t size)
{
    (void)isa;
    return deep__cuda_accelerators.count(text, size) > 0 && deep__cuda_accelerators.describe(0, text, size);
}

/* Each context opens its device; there is nothing that all share. */
static deep_status open_backend(const deep_host *host, int32_t isa)
{
    (void)host;
    (void)isa;
    return DEEP_OK;
}

__attribute__((visibility("default"))) const deep_backend *deep_backend_entry_v1(uint32_t abi, const deep_host *host);

const deep_backend *deep_backend_entry_v1(uint32_t abi, const deep_host *host)
{
    static const deep_backend backend = {
        .struct_size = sizeof(deep_backend),
        .name = "cuda",
        .describe = describe,
        .open = open_backend,
        .supports = deep__cuda_supports,
        .plan_create = deep__cuda_plan_create,
        .plan_run = deep__cuda_plan_run,
        .plan_free = deep__cuda_plan_free,
        .accelerators = &deep__cuda_accelerators,
        .plan_scratch = deep__cuda_plan_scratch,
        .plan_place = deep__cuda_plan_place,
    };
    return abi == DEEP_BACKEND_ABI && host->struct_size == sizeof *host ? &backend : NULL;
}
