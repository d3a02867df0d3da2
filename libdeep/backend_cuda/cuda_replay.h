/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_CUDA_REPLAY_H
#define DEEP_BACKEND_CUDA_CUDA_REPLAY_H

/*
 * Which runs of a plan are replayed as a whole: those of the same nodes on the same addresses, from the second on. What changes
 * from run to run (images, labels, rates, counters) stands in memory, never in a launch.
 */
#include "backend_cuda/accelerator.h"

enum { CUDA_RUNS = 8, CUDA_FEWEST_NODES = 16 /* fewer are queued one by one */ };

typedef struct cuda_run {
    int32_t first, end;             /* nodes; 0, 0 = the place is free */
    void *base[DEEP_SEGMENT_COUNT]; /* that it ran on */
    int32_t times;                  /* that it was asked for */
    int64_t last;                   /* when, as cuda_replays counts */
    deep_recording *recording;      /* NULL = not yet */
} cuda_run;

typedef struct cuda_replays {
    bool off;
    int64_t clock;
    cuda_run runs[CUDA_RUNS];
} cuda_replays;

/* The run's place, taken from the one that was not asked for the longest; NULL when it is never replayed. The caller has entered. */
cuda_run *deep__cuda_find_run(cuda_replays *replays, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end);

void deep__cuda_free_runs(cuda_replays *replays);

#endif
