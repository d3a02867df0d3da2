/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_SEPARABLE_ROOM_H
#define DEEP_BACKEND_CUDA_KERNELS_SEPARABLE_ROOM_H

/* Of separable convolutions in one kernel: how large tiles are, and where things stand in shared memory. */
#include "backend_cuda/kernels/fragments.h"
#include "backend_cuda/kernels/separable.h"

enum {
    LANES = 4,                        /* channels of a thread */
    GROUPS = SEPARABLE_DEPTH / LANES, /* threads that have a pixel's channels side by side */
    RUN = 4,                          /* neighbouring pixels of a thread: it reads six in each line */
    RUNS = KERNEL_THREADS / GROUPS,   /* of the block at once */
    TAPS = 9,                         /* three lines of three */
    PIECE = COPY_BYTES / 2,           /* halves of a copy: HALF_LANES, which divide the channels */
    PIECES = SEPARABLE_DEPTH / PIECE, /* of a pixel, or an output channel */
    PITCH = SEPARABLE_DEPTH + PIECE, /* of pixels of x, 20 words: neighbouring runs begin in either half of the banks */
    SIDE = 64,                       /* of a warp's results: pixels, and output channels */
    SIDES = 6,                       /* of a tile: its pixels and output channels together */
    DOWN = SIDE / FRAGMENT_ROWS,     /* fragments of a warp */
    ACROSS = SIDE / FRAGMENT_COLUMNS,
    BESIDE = HALF_LANES / 2,            /* fragments that give a thread HALF_LANES neighbouring results */
    RESULTS = BESIDE * FRAGMENT_COLUMNS /* output channels of those */
};

#define NOWHERE UINT32_MAX

/*
 * In front of x, [2][neighbours][PITCH] halves, and of the places of the pixels and their neighbours, [neighbours] words. `halves` are
 * the depthwise results of the tile's pixels, then the pointwise kernel of its output channels.
 */
typedef struct separable_room {
    uint16_t halves[2][SIDES * SIDE * SEPARABLE_DEPTH];
    float depthwise[2][TAPS][SEPARABLE_DEPTH];
} separable_room;

typedef struct separable_lanes {
    float sum[DOWN][ACROSS][KERNEL_LANES][4];
} separable_lanes;

/* ---- sizes, for whoever queues and for the kernel ---- */

KERNEL_ANYWHERE uint32_t tile_pixels(int tile)
{
    return tile == SEPARABLE_TALL ? 4 * SIDE : 2 * SIDE;
}

KERNEL_ANYWHERE uint32_t tile_columns(int tile)
{
    return SIDES * SIDE - tile_pixels(tile);
}

/* Pixels of all images, with the column and the line of zeros behind each. */
KERNEL_ANYWHERE uint32_t all_pixels(const separable_arguments *a)
{
    return (uint32_t)a->images * (uint32_t)(a->height + 1) * (uint32_t)(a->width + 1);
}

/* From a pixel to its neighbour above, and one to the left of that. */
KERNEL_ANYWHERE uint32_t reach(const separable_arguments *a)
{
    return (uint32_t)a->width + 2;
}

KERNEL_ANYWHERE uint32_t neighbours(const separable_arguments *a, int tile)
{
    return tile_pixels(tile) + 2 * reach(a);
}

KERNEL_ANYWHERE uint32_t tiles_across(const separable_arguments *a, int tile)
{
    return (a->columns + tile_columns(tile) - 1) / tile_columns(tile);
}

KERNEL_ANYWHERE size_t separable_bytes(const separable_arguments *a, int tile)
{
    return sizeof(separable_room) + neighbours(a, tile) * (2 * PITCH * sizeof(uint16_t) + sizeof(uint32_t));
}

/* ---- where things are ---- */

KERNEL_FUNCTION uint32_t separable_rounds(const separable_arguments *a)
{
    return (a->channels + SEPARABLE_DEPTH - 1) / SEPARABLE_DEPTH;
}

KERNEL_FUNCTION uint32_t first_pixel(const separable_arguments *a, kernel_position at, int tile)
{
    return at.block / tiles_across(a, tile) * tile_pixels(tile);
}

KERNEL_FUNCTION uint32_t first_column(const separable_arguments *a, kernel_position at, int tile)
{
    return at.block % tiles_across(a, tile) * tile_columns(tile);
}

KERNEL_FUNCTION uint16_t *x_of(const separable_arguments *a, void *shared, uint32_t round, int tile)
{
    return (uint16_t *)((separable_room *)shared + 1) + round % 2 * neighbours(a, tile) * PITCH;
}

KERNEL_FUNCTION uint32_t *places_of(const separable_arguments *a, void *shared, int tile)
{
    return (uint32_t *)(void *)x_of(a, shared, 0, tile) + neighbours(a, tile) * PITCH;
}

/*
 * Piece of a depthwise result. Two pixels share the 32 banks; fragments read one piece of eight neighbours, threads write all of two
 * that are four apart: neither meets in a bank. Eight pixels further it is the same place in the next 8 x SEPARABLE_DEPTH halves.
 */
KERNEL_FUNCTION uint16_t *result_at(void *shared, uint32_t round, uint32_t pixel, uint32_t piece)
{
    const uint32_t line = pixel / 2, mixed = (pixel % 2 * PIECES + piece) ^ (line % 4 | line % 4 / 2 * 4);
    return ((separable_room *)shared)->halves[round % 2] + (line * 2 * PIECES + mixed) * PIECE;
}

/*
 * Of the pointwise kernel. Fragments read one piece of eight output channels: two neighbours, the same eight further, and so on. In
 * the same eight they follow each other; 32 further it is the same place again.
 */
KERNEL_FUNCTION uint16_t *pointwise_at(void *shared, uint32_t round, uint32_t column, uint32_t piece, int tile)
{
    return ((separable_room *)shared)->halves[round % 2] +
           ((tile_pixels(tile) + column) * PIECES + (piece ^ column / 8 % PIECES)) * PIECE;
}

#endif
