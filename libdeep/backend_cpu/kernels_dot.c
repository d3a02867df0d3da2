/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products whose instruction adds up several multiplications in a lane: four of u8 by i8, or two of bf16 by bf16. Rows
 * are padded to whole groups, so that a row and a panel are read as 32-bit groups. The rows of a dense convolution, its
 * windows, are read where the image's lines stand: in pieces, and overlapping.
 * A tile is 12 rows by one panel; a panel of 8-bit values stays in the first-level cache while the rows pass.
 */
#include "backend_cpu/kernels_write.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>

enum { HALF = TALL / 2, FEW = 4, LANES = 16, SETS = 4 };

typedef struct dot_panel {
    const int32_t *values; /* groups x vectors x 16 */
    const int32_t *less;   /* of integer sums */
    int64_t column;
    int64_t width;       /* output channels */
    const int32_t *next; /* what a tile asks for on behalf of the next panel: `step` groups for each of its own */
    int64_t step;
} dot_panel;

/* Written out because gcc 12 keeps moving the sums of its builtins between registers and the stack. */
VEC_INLINE __m512i dot(__m512i sum, __m512i a, __m512i b, const bool integer)
{
    if (integer)
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    else
        __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

VEC_INLINE void write_sums(const cpu_product *p, const dot_panel *b, int64_t row, __m512i lanes[TALL][PANEL_VECTORS],
                           const int R, const int V, const bool integer)
{
    tile_sums sums;
    UNROLL_VECTORS
    for (int v = 0; v < V; ++v) {
        const __m512i less = integer ? _mm512_loadu_si512(b->less + v * LANES) : _mm512_setzero_si512();
        UNROLL_ROWS
        for (int r = 0; r < R; ++r)
            sums[r][v] = integer ? (vec)_mm512_cvtepi32_ps(_mm512_sub_epi32(lanes[r][v], less))
                                 : (vec)_mm512_castsi512_ps(lanes[r][v]);
    }
    write_tile(p, row, b->column, sums, R, V, b->width);
}

/* R rows by V vectors; rows are reached in threes from four pointers, as in kernels_product.c. */
VEC_INLINE void tile(const cpu_product *p, const dot_panel *b, int64_t row, const int R, const int V,
                     const bool integer)
{
    const int64_t pitch = p->pitch, piece = p->groups / p->pieces;
    const int32_t *values = b->values, *next = b->next, *first = (const int32_t *)p->a + row * pitch;
    __m512i sums[TALL][PANEL_VECTORS];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v)
            sums[r][v] = _mm512_setzero_si512();
    for (int64_t i = 0; i < p->pieces; ++i, first += p->piece_pitch) {
        const int32_t *a = first, *a3 = a + 3 * pitch, *a6 = a + 6 * pitch, *a9 = a + 9 * pitch;
        for (const int32_t *end = a + piece; a < end; ++a, ++a3, ++a6, ++a9, values += V * LANES) {
            __m512i w[PANEL_VECTORS];
            if (R == TALL) {
                __builtin_prefetch(next, 0, 2); /* into the second-level cache */
                next += b->step;
            }
            for (int v = 0; v < V; ++v)
                w[v] = _mm512_loadu_si512(values + v * LANES);
            for (int r = 0; r < R; ++r) {
                const int32_t *base = r < 3 ? a : r < 6 ? a3 : r < 9 ? a6 : a9;
                const __m512i x = _mm512_set1_epi32(base[r % 3 * pitch]);
                for (int v = 0; v < V; ++v)
                    sums[r][v] = dot(sums[r][v], x, w[v], integer);
            }
        }
    }
    write_sums(p, b, row, sums, R, V, integer);
}

/* One row has too few sums to hide the latency of adding to them. Whole numbers may be added in any order: in four sets. */
VEC_INLINE void integer_row(const cpu_product *p, const dot_panel *b, int64_t row, const int V)
{
    const int64_t piece = p->groups / p->pieces;
    const int32_t *values = b->values, *a = (const int32_t *)p->a + row * p->pitch;
    __m512i sums[SETS][PANEL_VECTORS], total[TALL][PANEL_VECTORS];
    for (int s = 0; s < SETS; ++s)
        for (int v = 0; v < V; ++v)
            sums[s][v] = _mm512_setzero_si512();
    for (int64_t i = 0; i < p->pieces; ++i, a += p->piece_pitch) {
        int64_t group = 0;
        for (; group + SETS <= piece; group += SETS)
            for (int s = 0; s < SETS; ++s, values += V * LANES)
                for (int v = 0; v < V; ++v)
                    sums[s][v] =
                        dot(sums[s][v], _mm512_set1_epi32(a[group + s]), _mm512_loadu_si512(values + v * LANES), true);
        for (; group < piece; ++group, values += V * LANES)
            for (int v = 0; v < V; ++v)
                sums[0][v] = dot(sums[0][v], _mm512_set1_epi32(a[group]), _mm512_loadu_si512(values + v * LANES), true);
    }
    for (int v = 0; v < V; ++v)
        total[0][v] =
            _mm512_add_epi32(_mm512_add_epi32(sums[0][v], sums[1][v]), _mm512_add_epi32(sums[2][v], sums[3][v]));
    write_sums(p, b, row, total, 1, V, true);
}

/* Rows row .. end - 1 of one panel: tall tiles, then smaller ones. */
VEC_INLINE void panel_rows(const cpu_product *p, dot_panel *b, int64_t row, int64_t end, const int V,
                           const bool integer)
{
    const int64_t tiles = (end - row) / TALL + 1;
    b->next = b->values + V * LANES * p->groups;
    b->step = (V * LANES + tiles - 1) / tiles;
    for (; row + TALL <= end; row += TALL, b->next += b->step * p->groups)
        tile(p, b, row, TALL, V, integer);
    for (; row + HALF <= end; row += HALF)
        tile(p, b, row, HALF, V, integer);
    for (; row + FEW <= end; row += FEW)
        tile(p, b, row, FEW, V, integer);
    for (; row < end; ++row) {
        if (integer)
            integer_row(p, b, row, V);
        else
            tile(p, b, row, 1, V, false);
    }
}

static dot_panel panel_of(const cpu_product *p, int64_t column)
{
    const int64_t left = p->columns - column, padded = (p->columns + LANES - 1) / LANES * LANES;
    const int32_t *b = p->b;
    return (dot_panel){.values = b + column * p->groups,
                       .less = b + padded * p->groups + column,
                       .column = column,
                       .width = left < PANEL ? left : PANEL};
}

VEC_INLINE void multiply(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel,
                         const bool integer)
{
    for (int64_t i = first_panel; i < end_panel; ++i) {
        dot_panel b = panel_of(p, i * PANEL);
        if (b.width > LANES)
            panel_rows(p, &b, first, end, 2, integer);
        else
            panel_rows(p, &b, first, end, 1, integer);
    }
}

void KERNEL(dot_i8)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel)
{
    multiply(p, first, end, first_panel, end_panel, true);
}

void KERNEL(dot_bf16)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel)
{
    multiply(p, first, end, first_panel, end_panel, false);
}
#endif
