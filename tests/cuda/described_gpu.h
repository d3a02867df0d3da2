/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TEST_DESCRIBED_GPU_H
#define DEEP_TEST_DESCRIBED_GPU_H

/*
 * A GPU that cuDNN knows from a description alone: since 9.8 it chooses engines and makes plans without a device. The plugin's
 * own code runs, on cuDNN's functions; where it names a handle, cuDNN is given the description.
 */
#include "backend_cuda/gpu.h"

typedef struct described_kind {
    const char *name;
    int capability; /* 900 = 9.0 */
    int multiprocessors;
    int threads;       /* of a multiprocessor */
    int blocks;        /* likewise */
    int shared_memory; /* of a block, bytes */
    int cache;         /* second level, bytes */
    int64_t memory;    /* bytes */
} described_kind;

/* What the plan that was made last is like. */
typedef struct described_plan {
    bool has_tensor_cores, is_deterministic, is_compiled_at_run_time;
} described_plan;

/* Whether cuDNN is there and new enough; else says on stderr why not. */
bool described_gpu_is_possible(void);

/* One at a time. NULL when cuDNN refuses the description. */
deep_accelerator *described_gpu_open(const described_kind *kind);
void described_gpu_close(deep_accelerator *gpu);

const described_plan *described_gpu_plan(void);
const char *described_gpu_error(void);

#endif
