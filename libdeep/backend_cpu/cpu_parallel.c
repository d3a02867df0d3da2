/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that knows OpenMP, whose threads are shared with oneDNN. */
#include "backend_cpu/cpu.h"

#include <omp.h>

void deep__cpu_parallel(int32_t threads, int64_t count, cpu_task task, const void *context)
{
    if (threads <= 1 || count <= 1) {
        for (int64_t i = 0; i < count; ++i)
            task(context, i);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; ++i)
        task(context, i);
}

int32_t deep__cpu_team(int32_t threads)
{
    const int32_t before = omp_get_max_threads();
    omp_set_num_threads(threads);
    return before;
}
