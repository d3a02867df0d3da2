/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/cuda_replay.h"

#include <string.h>

static bool is_same(const cuda_run *run, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end)
{
    return run->first == first && run->end == end && memcmp(run->base, base, sizeof run->base) == 0;
}

cuda_run *deep__cuda_find_run(cuda_replays *replays, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end)
{
    cuda_run *oldest = &replays->runs[0];
    if (replays->off || end - first < CUDA_FEWEST_NODES) return NULL;
    for (int i = 0; i < CUDA_RUNS; ++i) {
        cuda_run *run = &replays->runs[i];
        if (run->last < oldest->last) oldest = run;
        if (!is_same(run, base, first, end)) continue;
        run->last = ++replays->clock;
        ++run->times;
        return run;
    }
    deep__recording_free(oldest->recording);
    *oldest = (cuda_run){.first = first, .end = end, .times = 1, .last = ++replays->clock};
    memcpy(oldest->base, base, sizeof oldest->base);
    return oldest;
}

void deep__cuda_free_runs(cuda_replays *replays)
{
    for (int i = 0; i < CUDA_RUNS; ++i)
        deep__recording_free(replays->runs[i].recording);
    *replays = (cuda_replays){.off = true};
}
