/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_KERNELS_WRITE_H
#define DEEP_BACKEND_CPU_KERNELS_WRITE_H

/* What the product kernels share: the sizes of panels and tiles, and the way from sums in registers to the result. */
#include "backend_cpu/kernels_list.h"
#include "backend_cpu/vec.h"

enum {
    PANEL_VECTORS = 2,
    PANEL = PANEL_VECTORS * VEC_FLOATS,
    TALL = 12,       /* rows of a tile, at most */
    TILE_VECTORS = 4 /* columns of a tile, at most */
};

typedef vec tile_sums[TALL][TILE_VECTORS];

/* Compilers give up on unrolling by themselves here, and then keep the sums in memory. */
#define UNROLL_ROWS    _Pragma("GCC unroll 12")
#define UNROLL_VECTORS _Pragma("GCC unroll 4")

/*
 * `count` columns of `rows` rows of sums: of a vector that reaches beyond the last output channel. Rare and large: inlined
 * into every tile it makes gcc 12 copy the sums around in the inner loops.
 */
__attribute__((noinline)) static void write_some(const cpu_product *p, int64_t row, int64_t column, const float *sums,
                                                 int64_t rows, int64_t count)
{
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < count; ++i) {
            const int64_t at = (row + r) * p->columns + column + i;
            float sum = sums[r * VEC_FLOATS + i];
            if (p->unit != 0) sum *= p->unit[column + i];
            if (p->scale != 0) sum *= p->scale[column + i];
            if (p->shift != 0) sum += p->shift[column + i];
            if (p->residual != 0) sum += p->residual[at];
            p->c[at] = p->relu && !(sum > 0) ? 0 : sum;
        }
}

VEC_INLINE vec vec_fill(float value)
{
    return value - (vec){0};
}

/* Column v of a tile's sums, all of it output channels. */
VEC_INLINE void write_vectors(const cpu_product *p, int64_t row, int64_t column, tile_sums sums, const int R,
                              const int v)
{
    vec factor = p->unit != 0 ? vec_load(p->unit + column) : vec_fill(1);
    if (p->scale != 0) factor *= vec_load(p->scale + column);
    const vec shift = p->shift != 0 ? vec_load(p->shift + column) : vec_fill(0);
    UNROLL_ROWS
    for (int r = 0; r < R; ++r) {
        const int64_t at = (row + r) * p->columns + column;
        vec sum = vec_multiply_add(sums[r][v], factor, shift);
        if (p->residual != 0) sum += vec_load(p->residual + at);
        vec_store(p->c + at, p->relu ? vec_relu(sum) : sum);
    }
}

/* R rows by V vectors, of which `width` columns, from `first` on, are output channels. */
VEC_INLINE void write_tile(const cpu_product *p, int64_t row, int64_t first, tile_sums sums, const int R, const int V,
                           const int64_t width)
{
    UNROLL_VECTORS
    for (int v = 0; v < V; ++v) {
        const int64_t left = width - v * VEC_FLOATS;
        if (left >= VEC_FLOATS) {
            write_vectors(p, row, first + v * VEC_FLOATS, sums, R, v);
            continue;
        }
        float some[TALL * VEC_FLOATS];
        UNROLL_ROWS
        for (int r = 0; r < R; ++r)
            vec_store(some + r * VEC_FLOATS, sums[r][v]);
        write_some(p, row, first + v * VEC_FLOATS, some, R, left);
    }
}

#endif
