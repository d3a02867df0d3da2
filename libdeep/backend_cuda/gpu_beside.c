/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads beside what is computed, in a stream of their own that meets the queue's by events, and the memory that they like best. */
#include "backend_cuda/gpu.h"

#include <stdio.h>

/* The first upload waits for all that is queued, for nobody has noted what was when the two met last. */
static cudaError_t open_beside(deep_accelerator *gpu)
{
    cudaError_t error = cudaStreamCreateWithFlags(&gpu->beside, cudaStreamNonBlocking);
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&gpu->uploaded, cudaEventDisableTiming);
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&gpu->met, cudaEventDisableTiming);
    if (error == cudaSuccess) error = cudaEventRecord(gpu->met, gpu->stream);
    if (error != cudaSuccess) deep__gpu_close_beside(gpu);
    return error;
}

void deep__gpu_close_beside(deep_accelerator *gpu)
{
    if (gpu->beside != NULL) cudaStreamSynchronize(gpu->beside);
    if (gpu->met != NULL) cudaEventDestroy(gpu->met);
    if (gpu->uploaded != NULL) cudaEventDestroy(gpu->uploaded);
    if (gpu->beside != NULL) cudaStreamDestroy(gpu->beside);
    gpu->beside = NULL;
    gpu->met = gpu->uploaded = NULL;
}

deep_status deep__gpu_upload_beside(deep_accelerator *gpu, void *to, const void *from, size_t bytes)
{
    int32_t before;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    cudaError_t error = gpu->beside == NULL ? open_beside(gpu) : cudaSuccess;
    if (error == cudaSuccess) error = cudaStreamWaitEvent(gpu->beside, gpu->met, 0);
    if (error == cudaSuccess) error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, gpu->beside);
    deep__accelerator_leave(gpu, before);
    return deep__gpu_check(&gpu->host, error, "uploading beside");
}

deep_status deep__gpu_meet(deep_accelerator *gpu)
{
    int32_t before;
    cudaError_t error = cudaSuccess;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    if (gpu->beside != NULL) {
        error = cudaEventRecord(gpu->uploaded, gpu->beside);
        if (error == cudaSuccess) error = cudaStreamWaitEvent(gpu->stream, gpu->uploaded, 0);
        if (error == cudaSuccess) error = cudaEventRecord(gpu->met, gpu->stream);
    }
    deep__accelerator_leave(gpu, before);
    return deep__gpu_check(&gpu->host, error, "waiting for uploads beside");
}

/* ---- page-locked memory ---- */

deep_status deep__gpu_alloc_locked(deep_accelerator *gpu, void **out, size_t bytes)
{
    int32_t before;
    *out = NULL;
    DEEP_TRY(deep__accelerator_enter(gpu, &before));
    const cudaError_t error = cudaHostAlloc(out, bytes == 0 ? 1 : bytes, cudaHostAllocPortable);
    if (error != cudaSuccess) cudaGetLastError(); /* it would be told again by the next kernel */
    deep__accelerator_leave(gpu, before);
    if (error == cudaSuccess) return DEEP_OK;
    char text[128];
    *out = NULL;
    snprintf(text, sizeof text, "CUDA: %zu bytes of page-locked memory: %s", bytes, cudaGetErrorString(error));
    return gpu->host.fail(gpu->host.user, DEEP_ERROR_OUT_OF_MEMORY, text);
}

void deep__gpu_free_locked(deep_accelerator *gpu, void *memory)
{
    int32_t before;
    if (memory == NULL) return;
    deep__cuda_accelerators.sync_device(gpu);
    if (deep__accelerator_enter(gpu, &before) != DEEP_OK) return;
    cudaFreeHost(memory);
    deep__accelerator_leave(gpu, before);
}
