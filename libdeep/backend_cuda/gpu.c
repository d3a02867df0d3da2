/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/gpu.h"

#include "backend_cuda/libraries.h"

#include <stdio.h>
#include <string.h>

/* ---- errors ---- */

static deep_status fail(const deep_host *host, deep_status status, const char *library, const char *what,
                        const char *error)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %s: %s", library, what, error);
    return host->fail(host->user, status, text);
}

deep_status deep__gpu_check(const deep_host *host, cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return DEEP_OK;
    return fail(host, DEEP_ERROR_BACKEND, "CUDA", what, cudaGetErrorString(error));
}

deep_status deep__gpu_check_lt(const deep_accelerator *gpu, cublasStatus_t status, const char *what)
{
    if (status == CUBLAS_STATUS_SUCCESS) return DEEP_OK;
    return fail(&gpu->host, DEEP_ERROR_BACKEND, "cuBLASLt", what, gpu->lt.GetStatusString(status));
}

deep_status deep__gpu_check_dnn(const deep_accelerator *gpu, cudnnStatus_t status, const char *what)
{
    if (status == CUDNN_STATUS_SUCCESS) return DEEP_OK;
    return fail(&gpu->host, DEEP_ERROR_BACKEND, "cuDNN", what, gpu->dnn.GetErrorString(status));
}

/* ---- libraries ---- */

/* The tables of functions have one pointer for each symbol, in the same order. */
static void fill(void *functions, const deep_symbol *symbols)
{
    for (size_t i = 0; symbols[i].name != NULL; ++i)
        memcpy((char *)functions + i * sizeof symbols[i].address, &symbols[i].address, sizeof symbols[i].address);
}

bool deep__gpu_find_functions(cublaslt_functions *lt, cudnn_functions *dnn, char *reason, size_t size)
{
    deep_symbol lt_symbols[] = {
#define CUBLASLT(name) {"cublasLt" #name, NULL},
#include "backend_cuda/gpu_functions.def"
        {NULL, NULL}};
    deep_symbol dnn_symbols[] = {
#define CUDNN(name) {"cudnn" #name, NULL},
#include "backend_cuda/gpu_functions.def"
        {NULL, NULL}};
    if (!deep__open_cudnn(dnn_symbols, reason, size) || !deep__open_cublaslt(lt_symbols, reason, size)) return false;
    fill(lt, lt_symbols);
    fill(dnn, dnn_symbols);
    return true;
}

/* ---- the list of devices ---- */

enum { DRIVER_NEEDED = CUDART_VERSION / 1000 * 1000 }; /* newer ones of the same major version fit */

static int32_t count(char *text, size_t size)
{
    return deep__count_gpus(DRIVER_NEEDED, text, size);
}

static int32_t describe(int32_t index, char *text, size_t size)
{
    cublaslt_functions lt;
    cudnn_functions dnn;
    struct cudaDeviceProp properties;
    if (!deep__gpu_find_functions(&lt, &dnn, text, size)) return 0;
    const cudaError_t error = cudaGetDeviceProperties(&properties, index);
    if (error != cudaSuccess) {
        snprintf(text, size, "CUDA: properties of GPU %d: %s", (int)index, cudaGetErrorString(error));
        return 0;
    }
    const size_t version = dnn.GetVersion();
    snprintf(text, size, "%s, %.0f GB, compute capability %d.%d, cuDNN %zu.%zu.%zu", properties.name,
             (double)properties.totalGlobalMem / 1e9, properties.major, properties.minor, version / 10000,
             version / 100 % 100, version % 100);
    return 1;
}

/* ---- opening ---- */

deep_status deep__accelerator_enter(deep_accelerator *gpu, int32_t *before)
{
    int current = 0;
    pthread_mutex_lock(&gpu->lock);
    deep_status status = deep__gpu_check(&gpu->host, cudaGetDevice(&current), "the current device");
    if (status == DEEP_OK) status = deep__gpu_check(&gpu->host, cudaSetDevice(gpu->index), "choosing the device");
    *before = current;
    if (status != DEEP_OK) pthread_mutex_unlock(&gpu->lock);
    return status;
}

void deep__accelerator_leave(deep_accelerator *gpu, int32_t before)
{
    cudaSetDevice(before);
    pthread_mutex_unlock(&gpu->lock);
}

static deep_status open_stream(deep_accelerator *gpu)
{
    if (gpu->is_hosts_stream) return DEEP_OK;
    return deep__gpu_check(&gpu->host, cudaStreamCreateWithFlags(&gpu->stream, cudaStreamNonBlocking), "a stream");
}

static deep_status open_libraries(deep_accelerator *gpu)
{
    int32_t before;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    deep_status status = open_stream(gpu);
    if (status == DEEP_OK && gpu->first == NULL)
        status = deep__gpu_check_lt(gpu, gpu->lt.Create(&gpu->lt_handle), "starting");
    if (status == DEEP_OK) status = deep__gpu_check_dnn(gpu, gpu->dnn.Create(&gpu->dnn_handle), "starting");
    if (status == DEEP_OK)
        status = deep__gpu_check_dnn(gpu, gpu->dnn.SetStream(gpu->dnn_handle, gpu->stream), "its stream");
    deep__accelerator_leave(gpu, before);
    return status;
}

static void close_stream(deep_accelerator *gpu)
{
    const bool has_stream = gpu->stream != NULL || gpu->is_hosts_stream;
    int32_t before;
    if (deep__accelerator_enter(gpu, &before) != DEEP_OK) return;
    deep__gpu_close_beside(gpu);
    if (has_stream) cudaStreamSynchronize(gpu->stream);
    if (gpu->dnn_handle != NULL) gpu->dnn.Destroy(gpu->dnn_handle);
    if (gpu->lt_handle != NULL && gpu->first == NULL) gpu->lt.Destroy(gpu->lt_handle);
    if (has_stream && !gpu->is_hosts_stream) cudaStreamDestroy(gpu->stream);
    deep__accelerator_leave(gpu, before);
}

static void free_queue(deep_accelerator *gpu)
{
    const deep_host host = gpu->host;
    pthread_mutex_destroy(&gpu->branches_lock);
    pthread_mutex_destroy(&gpu->lock);
    host.free(host.user, gpu);
}

static void close_queue(deep_accelerator *gpu)
{
    deep_accelerator *first = gpu->first;
    if (first != NULL) {
        pthread_mutex_lock(&first->branches_lock);
        deep_accelerator **at = &first->branches;
        while (*at != gpu)
            at = &(*at)->next;
        *at = gpu->next;
        pthread_mutex_unlock(&first->branches_lock);
    }
    close_stream(gpu);
    free_queue(gpu);
}

/* What `as` says, with locks, a stream and handles of its own. */
static deep_status open_queue(deep_accelerator **out, const deep_accelerator *as)
{
    const deep_host host = as->host;
    *out = NULL;
    deep_accelerator *gpu = host.alloc(host.user, sizeof *gpu);
    if (gpu == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    *gpu = *as;
    pthread_mutex_init(&gpu->lock, NULL); /* of the default kind, which cannot fail */
    pthread_mutex_init(&gpu->branches_lock, NULL);
    const deep_status status = open_libraries(gpu);
    if (status != DEEP_OK) {
        close_stream(gpu);
        free_queue(gpu);
        return status;
    }
    *out = gpu;
    return DEEP_OK;
}

static deep_status open_device(deep_accelerator **out, int32_t index, const deep_host *host)
{
    char reason[256];
    deep_accelerator first = {.host = *host, .index = index};
    *out = NULL;
    if (!deep__gpu_find_functions(&first.lt, &first.dnn, reason, sizeof reason))
        return host->fail(host->user, DEEP_ERROR_DEVICE, reason);
    return open_queue(out, &first);
}

/* cuBLASLt's handle is every thread's; cuDNN's is bound to a stream, so each queue has its own. */
static deep_status branch(deep_accelerator **out, deep_accelerator *of, void *stream)
{
    deep_accelerator *first = of->first == NULL ? of : of->first;
    const deep_accelerator next = {.host = first->host,
                                   .index = first->index,
                                   .is_hosts_stream = stream != NULL,
                                   .first = first,
                                   .stream = stream,
                                   .lt = first->lt,
                                   .lt_handle = first->lt_handle,
                                   .dnn = first->dnn};
    DEEP_TRY(open_queue(out, &next));
    pthread_mutex_lock(&first->branches_lock);
    (*out)->next = first->branches;
    first->branches = *out;
    pthread_mutex_unlock(&first->branches_lock);
    return DEEP_OK;
}

/* ---- memory ---- */

static size_t free_bytes(deep_accelerator *gpu)
{
    int32_t before;
    size_t left = 0, all = 0;
    if (deep__accelerator_enter(gpu, &before) != DEEP_OK) return 0;
    cudaMemGetInfo(&left, &all);
    deep__accelerator_leave(gpu, before);
    return left;
}

static deep_status alloc(deep_accelerator *gpu, void **out, size_t bytes)
{
    int32_t before;
    *out = NULL;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    const cudaError_t error = cudaMalloc(out, bytes == 0 ? 1 : bytes);
    if (error != cudaSuccess) cudaGetLastError(); /* it is told below, and would be told again by the next kernel */
    deep__accelerator_leave(gpu, before);
    if (error == cudaSuccess) return DEEP_OK;
    if (error != cudaErrorMemoryAllocation) return deep__gpu_check(&gpu->host, error, "allocating");
    char text[128];
    snprintf(text, sizeof text, "out of GPU memory: %zu bytes wanted, %zu free", bytes, free_bytes(gpu));
    return gpu->host.fail(gpu->host.user, DEEP_ERROR_OUT_OF_MEMORY, text);
}

static void release(deep_accelerator *gpu, void *memory)
{
    int32_t before;
    if (memory == NULL || deep__accelerator_enter(gpu, &before) != DEEP_OK) return;
    cudaFree(memory); /* waits for what is queued */
    deep__accelerator_leave(gpu, before);
}

typedef enum cudaMemcpyKind copy_kind;

static deep_status copy(deep_accelerator *gpu, void *to, const void *from, size_t bytes, copy_kind kind)
{
    int32_t before;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, gpu->stream);
    if (error == cudaSuccess && kind == cudaMemcpyDeviceToHost) error = cudaStreamSynchronize(gpu->stream);
    deep__accelerator_leave(gpu, before);
    const char *what = kind == cudaMemcpyDeviceToHost     ? "downloading"
                       : kind == cudaMemcpyDeviceToDevice ? "copying"
                                                          : "uploading";
    return deep__gpu_check(&gpu->host, error, what);
}

/* From memory that is not page-locked, the driver has read all when the call returns. */
static deep_status upload(deep_accelerator *gpu, void *to, const void *from, size_t bytes)
{
    return copy(gpu, to, from, bytes, cudaMemcpyHostToDevice);
}

static deep_status download(deep_accelerator *gpu, void *to, const void *from, size_t bytes)
{
    return copy(gpu, to, from, bytes, cudaMemcpyDeviceToHost);
}

static deep_status copy_within(deep_accelerator *gpu, void *to, const void *from, size_t bytes)
{
    return copy(gpu, to, from, bytes, cudaMemcpyDeviceToDevice);
}

static bool owns(deep_accelerator *gpu, const void *memory)
{
    int32_t before;
    struct cudaPointerAttributes found = {0};
    if (deep__accelerator_enter(gpu, &before) != DEEP_OK) return false;
    const cudaError_t error = cudaPointerGetAttributes(&found, memory);
    if (error != cudaSuccess) cudaGetLastError(); /* as in alloc() */
    deep__accelerator_leave(gpu, before);
    if (error != cudaSuccess) return false;
    return found.type == cudaMemoryTypeManaged || (found.type == cudaMemoryTypeDevice && found.device == gpu->index);
}

static deep_status clear(deep_accelerator *gpu, void *memory, size_t bytes)
{
    int32_t before;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    const cudaError_t error = cudaMemsetAsync(memory, 0, bytes, gpu->stream);
    deep__accelerator_leave(gpu, before);
    return deep__gpu_check(&gpu->host, error, "clearing");
}

static deep_status sync(deep_accelerator *gpu)
{
    int32_t before;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    cudaError_t error = cudaStreamSynchronize(gpu->stream);
    if (error == cudaSuccess && gpu->beside != NULL) error = cudaStreamSynchronize(gpu->beside);
    deep__accelerator_leave(gpu, before);
    return deep__gpu_check(&gpu->host, error, "computing");
}

/* One stream after the other, each under its lock: nothing may wait for the device while one of them is being recorded. */
static deep_status sync_device(deep_accelerator *gpu)
{
    deep_accelerator *first = gpu->first == NULL ? gpu : gpu->first;
    deep_status status = sync(first);
    pthread_mutex_lock(&first->branches_lock);
    for (deep_accelerator *next = first->branches; next != NULL && status == DEEP_OK; next = next->next)
        status = sync(next);
    pthread_mutex_unlock(&first->branches_lock);
    return status;
}

/* ---- streams of the host's ---- */

static void *stream_of(deep_accelerator *gpu)
{
    return gpu->stream;
}

/* An event that is destroyed while a stream waits for it goes when it has come. */
static deep_status hold(deep_accelerator *gpu, void *stream)
{
    int32_t before;
    cudaEvent_t queued = NULL;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    cudaError_t error = cudaEventCreateWithFlags(&queued, cudaEventDisableTiming);
    if (error == cudaSuccess) error = cudaEventRecord(queued, gpu->stream);
    if (error == cudaSuccess) error = cudaStreamWaitEvent(stream, queued, 0);
    if (queued != NULL) cudaEventDestroy(queued);
    deep__accelerator_leave(gpu, before);
    return deep__gpu_check(&gpu->host, error, "letting a stream wait");
}

/* ---- for the ops ---- */

const deep_host *deep__accelerator_host(const deep_accelerator *gpu)
{
    return &gpu->host;
}

void *deep__accelerator_stream(const deep_accelerator *gpu)
{
    return gpu->stream;
}

deep_status deep__accelerator_check(const deep_accelerator *gpu, const char *what)
{
    return deep__gpu_check(&gpu->host, cudaGetLastError(), what);
}

const deep_accelerators deep__cuda_accelerators = {
    sizeof(deep_accelerators),
    count,
    describe,
    open_device,
    close_queue,
    alloc,
    release,
    free_bytes,
    upload,
    download,
    clear,
    sync,
    branch,
    sync_device,
    deep__gpu_upload_beside,
    deep__gpu_meet,
    deep__gpu_alloc_locked,
    deep__gpu_free_locked,
    copy_within,
    owns,
    stream_of,
    hold,
    deep__cuda_preprocess,
};
