/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_TILES_BODY_H
#define DEEP_BACKEND_CUDA_KERNELS_TILES_BODY_H

/* How a thread finds its place in a tile of columns.h, and how a block adds up what its threads have. */
#include "backend_cuda/kernels/columns.h"

typedef struct tile_place {
    bool inside;
    uint32_t channel; /* first of the thread's lanes */
    uint32_t row;     /* first of the thread's rows */
    uint32_t step;    /* to the next */
    uint32_t end;     /* of the chunk's rows */
} tile_place;

KERNEL_FUNCTION tile_place tile_find(const column_tiles *tiles, kernel_position at, int lanes)
{
    tile_place p;
    p.channel = (at.slice * tiles->width + at.thread % tiles->width) * (uint32_t)lanes;
    p.inside = p.channel < tiles->columns;
    p.step = at.threads / tiles->width;
    p.row = at.block * tiles->span + at.thread / tiles->width;
    p.end = (at.block + 1) * tiles->span;
    if (p.end > tiles->rows) p.end = tiles->rows;
    return p;
}

KERNEL_FUNCTION size_t tile_at(const column_tiles *tiles, uint32_t row, uint32_t channel)
{
    return (size_t)row * tiles->columns + channel;
}

/* One quantity of every thread and lane. */
typedef struct lane_room {
    float v[KERNEL_THREADS][MAX_LANES];
} lane_room;

/* By the threads of the tile's first row: the sum over those below, in their order, into partial [chunk, quantity]. */
KERNEL_FUNCTION void lane_sum(const lane_room *room, const column_tiles *tiles, kernel_position at, int lanes,
                              float *partial, uint32_t quantity, uint32_t quantities)
{
    const tile_place p = tile_find(tiles, at, lanes);
    float sum[MAX_LANES];
    if (at.thread >= tiles->width || !p.inside) return;
    KERNEL_UNROLL
    for (int i = 0; i < lanes; ++i)
        sum[i] = 0;
    for (uint32_t t = at.thread; t < at.threads; t += tiles->width)
        KERNEL_UNROLL
    for (int i = 0; i < lanes; ++i)
        sum[i] += room->v[t][i];
    lanes_store(partial + ((size_t)at.block * quantities + quantity) * tiles->columns + p.channel, sum, lanes);
}

#endif
