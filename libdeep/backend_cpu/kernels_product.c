/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix product of rows of pixels with a packed kernel, and what follows it.
 * A tile keeps its sums in registers: for each input channel it loads one row of one or two panels and multiplies it
 * with a broadcast value of each of its rows. The panels come from the second-level cache, asked for in time.
 * With AVX-512's 32 registers there are two shapes, whichever is measured faster: 12 rows by one panel where the sums
 * are long and the rows many, 6 rows by two panels elsewhere.
 */
#include "backend_cpu/kernels_write.h"

enum {
    LOW = 6, /* rows of a low tile; TALL of a tall one */
    TALL_INNER = 512,
    TALL_ROWS = 4 * TALL,
    AHEAD = 16 /* rows of a panel between asking and using; measured: 8 to 16 are alike, 0 costs a fifth */
};

/* Neighbouring panels that a tile takes at once. */
typedef struct panels {
    const float *values; /* inner x width, for each panel */
    int64_t column;      /* first output channel */
    int64_t width;       /* PANEL, or what is left for the last one */
    const float *next; /* what a tall tile asks for on behalf of the next panel: `step` floats for each input channel */
    int64_t step;
} panels;

/* For tiles that are met once a panel: unrolled code for each of them took minutes to compile. */
__attribute__((noinline)) static void write_few(const cpu_product *p, int64_t row, int64_t first, tile_sums sums, int R,
                                                int V, int64_t width)
{
    write_tile(p, row, first, sums, R, V, width);
}

/*
 * R rows by P panels of V vectors. `width` is b->width, as a constant where it is one, and rows are reached in threes
 * from four pointers: the loop has few registers for addresses.
 */
VEC_INLINE void tile(const cpu_product *p, const panels *b, int64_t row, const int R, const int P, const int V,
                     const int64_t width)
{
    tile_sums sums;
    const int64_t inner = p->inner, second = width * inner;
    const float *values = b->values, *a = (const float *)p->a + row * inner, *a3 = a + 3 * inner, *a6 = a + 6 * inner,
                *a9 = a + 9 * inner, *next = b->next;
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < P * V; ++v)
            sums[r][v] = (vec){0};
    for (const float *end = a + inner; a < end; ++a, ++a3, ++a6, ++a9, values += width) {
        vec w[4];
        if (P == 2 || R == TALL) {
            __builtin_prefetch(next, 0, 2); /* into the second-level cache */
            next += b->step;
        }
        for (int v = 0; v < P * V; ++v)
            __builtin_prefetch(values + AHEAD * width + v / V * second + v % V * VEC_FLOATS);
        for (int v = 0; v < P * V; ++v)
            w[v] = vec_load(values + v / V * second + v % V * VEC_FLOATS);
        for (int r = 0; r < R; ++r) {
            const float *base = r < 3 ? a : r < 6 ? a3 : r < 9 ? a6 : a9;
            for (int v = 0; v < P * V; ++v)
                sums[r][v] += w[v] * base[r % 3 * inner];
        }
    }
    const int64_t columns = P == 1 ? width : P * V * VEC_FLOATS;
    if (R >= LOW && width == PANEL)
        write_tile(p, row, b->column, sums, R, P * V, columns);
    else
        write_few(p, row, b->column, sums, R, P * V, columns);
}

/* Any number of rows up to LOW, with the register tile made for it. */
VEC_INLINE void low_tile(const cpu_product *p, const panels *b, int64_t row, int64_t rows, const int P, const int V,
                         const int64_t width)
{
    switch (rows) {
    case 1:
        tile(p, b, row, 1, P, V, width);
        break;
    case 2:
        tile(p, b, row, 2, P, V, width);
        break;
    case 3:
        tile(p, b, row, 3, P, V, width);
        break;
    case 4:
        tile(p, b, row, 4, P, V, width);
        break;
    case 5:
        tile(p, b, row, 5, P, V, width);
        break;
    default:
        tile(p, b, row, LOW, P, V, width);
        break;
    }
}

static void one_panel(const cpu_product *p, const panels *b, int64_t row, int64_t end)
{
    for (; row < end; row += LOW)
        low_tile(p, b, row, end - row, 1, PANEL_VECTORS, PANEL);
}

/* The last panel, when it is narrower. */
static void narrow_panel(const cpu_product *p, const panels *b, int64_t row, int64_t end)
{
    for (; row < end; row += LOW) {
        if (b->width > VEC_FLOATS)
            low_tile(p, b, row, end - row, 1, 2, b->width);
        else
            low_tile(p, b, row, end - row, 1, 1, b->width);
    }
}

#if VEC_FLOATS == 16
/* The tiles of `rows` rows bring what comes after `count` panels nearer; behind the last stand the next layer's weights. */
static void ask_ahead(const cpu_product *p, panels *b, int64_t count, int64_t rows, int64_t tile_rows)
{
    const int64_t tiles = (rows + tile_rows - 1) / tile_rows;
    b->next = b->values + count * PANEL * p->inner;
    b->step = (count * PANEL + tiles - 1) / tiles;
    if (!p->alone) return;
    b->next = b->values;
    b->step = 0;
}

static void tall_panel(const cpu_product *p, panels *b, int64_t row, int64_t end)
{
    ask_ahead(p, b, 1, end - row, TALL);
    for (; row + TALL <= end; row += TALL, b->next += b->step * p->inner)
        tile(p, b, row, TALL, 1, PANEL_VECTORS, PANEL);
    one_panel(p, b, row, end);
}

static void two_panels(const cpu_product *p, panels *b, int64_t row, int64_t end)
{
    ask_ahead(p, b, 2, end - row, LOW);
    for (; row < end; row += LOW, b->next += b->step * p->inner)
        low_tile(p, b, row, end - row, 2, PANEL_VECTORS, PANEL);
}
#endif

void KERNEL(product)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel)
{
    for (int64_t i = first_panel; i < end_panel; ++i) {
        const int64_t column = i * PANEL, left = p->columns - column;
        const float *values = (const float *)p->b + (column - p->first_column) * p->inner;
        panels b = {values, column, left < PANEL ? left : PANEL, NULL, 0};
        if (left < PANEL) {
            narrow_panel(p, &b, first, end);
            continue;
        }
#if VEC_FLOATS == 16
        if (p->inner >= TALL_INNER && end - first >= TALL_ROWS) {
            tall_panel(p, &b, first, end);
            continue;
        }
        if (i + 1 < end_panel && left >= 2 * PANEL) {
            two_panels(p, &b, first, end);
            ++i;
            continue;
        }
#endif
        one_panel(p, &b, first, end);
    }
}

void KERNEL(pack)(float *packed, const float *kernel, int64_t inner, int64_t columns)
{
    for (int64_t column = 0; column < columns; column += PANEL) {
        const int64_t width = columns - column < PANEL ? columns - column : PANEL;
        for (int64_t k = 0; k < inner; ++k)
            for (int64_t i = 0; i < width; ++i)
                *packed++ = kernel[k * columns + column + i];
    }
}

void KERNEL(unpack)(float *kernel, const float *packed, int64_t inner, int64_t columns)
{
    for (int64_t column = 0; column < columns; column += PANEL) {
        const int64_t width = columns - column < PANEL ? columns - column : PANEL;
        for (int64_t k = 0; k < inner; ++k)
            for (int64_t i = 0; i < width; ++i)
                kernel[k * columns + column + i] = *packed++;
    }
}
