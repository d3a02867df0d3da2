/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/reduce.h"

#include <math.h>

typedef struct reduce_room {
    double sum[KERNEL_THREADS];
} reduce_room;

/* By thread 0: 256 additions, beside thousands of reads of each thread. */
KERNEL_FUNCTION double room_sum(const reduce_room *room, kernel_position at)
{
    double sum = 0;
    for (uint32_t i = 0; i < at.threads; ++i)
        sum += room->sum[i];
    return sum;
}

KERNEL_FUNCTION void reduce_gather(const reduce_arguments *a, kernel_position at, reduce_room *room, bool squares)
{
    const int64_t end = ((int64_t)at.block + 1) * a->span < a->count ? ((int64_t)at.block + 1) * a->span : a->count;
    double sum = 0;
    for (int64_t i = (int64_t)at.block * a->span + (int64_t)at.thread * FLOAT_LANES; i < end;
         i += (int64_t)at.threads * FLOAT_LANES) {
        float x[FLOAT_LANES] = {0};
        lanes_load(x, a->x + i, end - i < FLOAT_LANES ? (int)(end - i) : FLOAT_LANES);
        KERNEL_UNROLL
        for (int l = 0; l < FLOAT_LANES; ++l)
            sum += squares ? (double)x[l] * (double)x[l] : isfinite(x[l]) ? 0 : 1;
    }
    room->sum[at.thread] = sum;
}

KERNEL_FUNCTION void square_gather(const reduce_arguments *a, kernel_position at, reduce_room *room)
{
    reduce_gather(a, at, room, true);
}

KERNEL_FUNCTION void bad_gather(const reduce_arguments *a, kernel_position at, reduce_room *room)
{
    reduce_gather(a, at, room, false);
}

KERNEL_FUNCTION void reduce_write(const reduce_arguments *a, kernel_position at, const reduce_room *room)
{
    if (at.thread == 0) a->partial[at.block] = room_sum(room, at);
}

KERNEL_FUNCTION void end_gather(const reduce_end_arguments *a, kernel_position at, reduce_room *room)
{
    double sum = 0;
    for (uint32_t i = at.thread; i < a->count; i += at.threads)
        sum += a->partial[i];
    room->sum[at.thread] = sum;
}

KERNEL_FUNCTION void end_write(const reduce_end_arguments *a, kernel_position at, const reduce_room *room)
{
    if (at.thread != 0) return;
    const double sum = room_sum(room, at);
    if (a->result == REDUCE_ADD) {
        a->out[0] += (float)(a->factor * sum);
    } else if (a->result == REDUCE_FINITE) {
        a->out[0] = sum == 0 ? 1 : 0;
    } else {
        a->out[0] = (float)sqrt(sum);
        a->out[1] = isfinite(sum) ? 1 : 0;
    }
}

KERNEL_IN_TWO(deep__kernel_square_sum, reduce_arguments, reduce_room, square_gather, reduce_write)
KERNEL_IN_TWO(deep__kernel_bad_count, reduce_arguments, reduce_room, bad_gather, reduce_write)
KERNEL_IN_TWO(deep__kernel_reduce_end, reduce_end_arguments, reduce_room, end_gather, end_write)
