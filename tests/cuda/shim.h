/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TESTS_CUDA_SHIM_H
#define DEEP_TESTS_CUDA_SHIM_H

/*
 * The GPU backend on a host without a GPU: its own plans, ops and kernels, with loops in the place of cuBLASLt and cuDNN.
 * With a NULL accelerator it computes in plain memory, for the table of ops.
 */
#include "backend_cuda/accelerator.h"
#include "backend_cuda/kernels/kernel.h"

const deep_backend *deep__backend_shim(void);

/* Whether an address is of the device's memory. */
bool shim_owns(deep_accelerator *accelerator, const void *memory);

/* What runs in a queue: loops with a copy of their arguments. */
typedef void (*shim_work)(const void *arguments, kernel_grid grid);

/* Queues it, or, while the queue is recorded, keeps it for the replays; runs it at once where there is no accelerator. */
void shim_queue(deep_accelerator *accelerator, shim_work work, const void *arguments, size_t size, kernel_grid grid);

/* Runs what is queued, then the uploads beside. */
void shim_settle(deep_accelerator *accelerator);

typedef struct shim_launch shim_launch;

/* What is queued, in order. */
typedef struct shim_launches {
    shim_launch *first, *last;
    const shim_launch *met; /* the last of those that an upload beside waits for; NULL = none of them */
} shim_launches;

/* Puts the uploads behind what is queued: what comes later finds them done. */
void shim_meet(shim_launches *queued, shim_launches *uploads);

/* Whether what an upload beside does not wait for has an address within these bytes among its arguments. */
bool shim_uses(const shim_launches *queued, const void *memory, size_t bytes);

/* For lists that belong to no queue: at the end. */
void shim_append(shim_launches *list, shim_work work, const void *arguments, size_t size, kernel_grid grid);

/* Runs and empties the list, by a thread that has entered. */
void shim_run(shim_launches *launches);

/* The accelerator's queue and its uploads beside, and what is recorded now, NULL in between. */
shim_launches *shim_beside(deep_accelerator *accelerator);
shim_launches *shim_queued(deep_accelerator *accelerator);
deep_recording **shim_recording(deep_accelerator *accelerator);

#endif
