/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_GPU_H
#define DEEP_BACKEND_CUDA_GPU_H

/* A GPU that is open, with the functions of NVIDIA's libraries: for the files that call them. */
#include "backend_cuda/accelerator.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn_graph.h>
#include <pthread.h>

/* cuBLASLt's functions that are used, under their names without the prefix. */
typedef struct cublaslt_functions {
#define CUBLASLT(name) __typeof__(&cublasLt##name) name;
#include "backend_cuda/gpu_functions.def"
} cublaslt_functions;

typedef struct cudnn_functions {
#define CUDNN(name) __typeof__(&cudnn##name) name;
#include "backend_cuda/gpu_functions.def"
} cudnn_functions;

struct deep_accelerator {
    deep_host host;
    pthread_mutex_t lock; /* whoever queues work; cuDNN's handle is one thread's at a time */
    int32_t index;
    bool is_hosts_stream;          /* and not to be destroyed */
    deep_accelerator *first;       /* that this one branched from, whose cuBLASLt handle it uses; NULL = none */
    pthread_mutex_t branches_lock; /* of a first one, taken before any `lock`, with what follows */
    deep_accelerator *branches;
    deep_accelerator *next; /* in the list of branches */
    cudaStream_t stream;
    cudaStream_t beside; /* of uploads beside what is computed (gpu_beside.c); NULL = none yet, nor the events */
    cudaEvent_t uploaded, met;
    cublaslt_functions lt;
    cublasLtHandle_t lt_handle;
    cudnn_functions dnn;
    cudnnHandle_t dnn_handle;
};

/* DEEP_ERROR_BACKEND with a line such as "cuDNN: <what>: <error>"; DEEP_OK when there was none. */
deep_status deep__gpu_check(const deep_host *host, cudaError_t error, const char *what);
deep_status deep__gpu_check_lt(const deep_accelerator *gpu, cublasStatus_t status, const char *what);
deep_status deep__gpu_check_dnn(const deep_accelerator *gpu, cudnnStatus_t status, const char *what);

/* What the contract says of uploads beside and of page-locked memory. */
deep_status deep__gpu_upload_beside(deep_accelerator *gpu, void *to, const void *from, size_t bytes);
deep_status deep__gpu_meet(deep_accelerator *gpu);
deep_status deep__gpu_alloc_locked(deep_accelerator *gpu, void **out, size_t bytes);
void deep__gpu_free_locked(deep_accelerator *gpu, void *memory);

/* Waits for uploads beside, and gives back what they needed. The caller has entered. */
void deep__gpu_close_beside(deep_accelerator *gpu);

/* Finds the functions of both libraries; false with one line in `reason`. */
bool deep__gpu_find_functions(cublaslt_functions *lt, cudnn_functions *dnn, char *reason, size_t size);

#endif
