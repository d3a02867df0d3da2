/* SPDX-License-Identifier: Apache-2.0 */
#include "described_gpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEEDED = 90800, NOTES = 16 };

static cudnn_functions real;
static cudnnBackendDescriptor_t device;
static described_plan last_plan;
static char last_error[256];

/* ---- the host ---- */

static void *take(void *user, size_t bytes)
{
    (void)user;
    return malloc(bytes);
}

static void give(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static deep_status fail(void *user, deep_status status, const char *text)
{
    (void)user;
    snprintf(last_error, sizeof last_error, "%s", text);
    return status;
}

/* ---- cuDNN's functions, with the description in the handle's place ---- */

static cudnnStatus_t describe(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name)
{
    return real.BackendSetAttribute(of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device);
}

static bool has_numerical_note(cudnnBackendDescriptor_t engine, cudnnBackendNumericalNote_t wanted)
{
    cudnnBackendNumericalNote_t notes[NOTES];
    int64_t count = 0;
    real.BackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, NOTES, &count, notes);
    for (int64_t i = 0; i < count && i < NOTES; ++i)
        if (notes[i] == wanted) return true;
    return false;
}

static bool has_behavior_note(cudnnBackendDescriptor_t engine, cudnnBackendBehaviorNote_t wanted)
{
    cudnnBackendBehaviorNote_t notes[NOTES];
    int64_t count = 0;
    real.BackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, NOTES, &count, notes);
    for (int64_t i = 0; i < count && i < NOTES; ++i)
        if (notes[i] == wanted) return true;
    return false;
}

static void remember(cudnnBackendDescriptor_t configuration)
{
    cudnnBackendDescriptor_t engine;
    int64_t count = 0;
    real.BackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);
    real.BackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                             &engine);
    last_plan.has_tensor_cores = has_numerical_note(engine, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
    last_plan.is_deterministic = !has_numerical_note(engine, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
    last_plan.is_compiled_at_run_time = has_behavior_note(engine, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
    real.BackendDestroyDescriptor(engine);
}

/* A graph needs neither handle nor description, its heuristics and plans do. */
static cudnnStatus_t CUDNNWINAPI set_attribute(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                                               cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (name == CUDNN_ATTR_OPERATIONGRAPH_HANDLE) return CUDNN_STATUS_SUCCESS;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_HANDLE) return describe(of, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    if (name == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG) remember(*(const cudnnBackendDescriptor_t *)values);
    const cudnnStatus_t status = real.BackendSetAttribute(of, name, type, count, values);
    if (name == CUDNN_ATTR_ENGINEHEUR_MODE && status == CUDNN_STATUS_SUCCESS)
        return describe(of, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
    return status;
}

/* ---- descriptions ---- */

/* The members that cuDNN reads, in its order. */
static int print_description(char *text, size_t size, const described_kind *kind)
{
    return snprintf(
        text, size,
        "{\"maxGridSize\": [2147483647, 65535, 65535], \"maxBlockSize\": [1024, 1024, 64], \"regsPerBlock\": 65536, "
        "\"multiProcessorCount\": %d, \"warpSize\": 32, \"maxSharedMemoryPerBlock\": 49152, "
        "\"maxSharedMemoryPerBlockOptin\": %d, \"reservedSharedMemoryPerBlock\": %d, \"maxRegistersPerSM\": 65536, "
        "\"maxCtasPerSM\": %d, \"maxThreadsPerBlock\": 1024, \"maxThreadsPerSM\": %d, \"pciDeviceId\": 0, "
        "\"isTccDriver\": 0, \"supportCoopLaunch\": 1, \"totalGlobalMem\": %" PRId64 ", \"smClockRateKHz\": 1700000, "
        "\"memClockRateKHz\": 2000000, \"l2CacheSize\": %d, \"cudaDeviceId\": 0, \"deviceVer\": %d, "
        "\"driverVer\": %d, \"deviceName\": \"%s\"}",
        kind->multiprocessors, kind->shared_memory, kind->capability >= 800 ? 1024 : 0, kind->blocks, kind->threads,
        kind->memory, kind->cache, kind->capability, CUDART_VERSION, kind->name);
}

bool described_gpu_is_possible(void)
{
    char reason[256];
    cublaslt_functions lt;
    if (!deep__gpu_find_functions(&lt, &real, reason, sizeof reason)) {
        fprintf(stderr, "skipped: %s\n", reason);
        return false;
    }
    if (real.GetVersion() >= NEEDED) return true;
    fprintf(stderr, "skipped: cuDNN is version %zu, plans without a GPU need %d\n", real.GetVersion(), NEEDED);
    return false;
}

deep_accelerator *described_gpu_open(const described_kind *kind)
{
    char text[1024];
    const int length = print_description(text, sizeof text, kind);
    if (real.BackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device) != CUDNN_STATUS_SUCCESS) return NULL;
    deep_accelerator *gpu = NULL;
    if (real.BackendSetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, length, text) ==
            CUDNN_STATUS_SUCCESS &&
        real.BackendFinalize(device) == CUDNN_STATUS_SUCCESS)
        gpu = calloc(1, sizeof *gpu);
    if (gpu == NULL) {
        real.BackendDestroyDescriptor(device);
        return NULL;
    }
    gpu->host = (deep_host){.struct_size = sizeof(deep_host), .alloc = take, .free = give, .fail = fail};
    gpu->dnn = real;
    gpu->dnn.BackendSetAttribute = set_attribute;
    return gpu;
}

void described_gpu_close(deep_accelerator *gpu)
{
    real.BackendDestroyDescriptor(device);
    free(gpu);
}

const described_plan *described_gpu_plan(void)
{
    return &last_plan;
}

const char *described_gpu_error(void)
{
    return last_error;
}
