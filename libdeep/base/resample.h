/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_RESAMPLE_H
#define DEEP_BASE_RESAMPLE_H

/*
 * Which source positions, with which weights, make each position of a resized axis: for the library and for kernels on a GPU alike, so
 * that both make the same levels. In what C11 and CUDA C++ have in common. Compilers may not make one operation of a product and
 * a sum: C11's rules forbid it, nvcc is told so.
 */
#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define RESAMPLE_FUNCTION static __host__ __device__ __forceinline__
#else
#define RESAMPLE_FUNCTION static inline
#endif

enum deep_resampling {
    DEEP_RESAMPLE_FIXED,    /* two neighbours, in the fixed point below */
    DEEP_RESAMPLE_HALVED,   /* the mean of 2 x 2 pixels: both axes, or neither */
    DEEP_RESAMPLE_LINEAR,   /* what follows has weights in floating point: two neighbours */
    DEEP_RESAMPLE_AREA,     /* what the position covers, by how much */
    DEEP_RESAMPLE_TRIANGLE, /* a triangle that widens with the shrink factor */
    DEEP_RESAMPLE_CUBIC     /* a cubic that does */
};

typedef struct deep_axis {
    double scale;     /* source positions for each one of the result */
    int32_t src, dst; /* positions, at least 1 */
    int32_t kind;     /* enum deep_resampling */
} deep_axis;

/* ---- in fixed point ---- */

/*
 * As OpenCV's INTER_LINEAR for 8-bit pixels: weights have 11 bits, a row that was resized along x is kept to 1/128 of a level; two such
 * rows are weighed into quarters of a level, each rounded down, and their sum is rounded to the nearest level.
 */
enum {
    DEEP_WEIGHT_ONE = 1 << 11,
    DEEP_ROW_SHIFT = 4,      /* of level x weight: what a kept row drops */
    DEEP_QUARTER_SHIFT = 16, /* of kept row x weight: leaves quarters of a level */
};

/* Two source positions and their weights, which make one position of the result. */
typedef struct deep_pair {
    int32_t near, far;
    int32_t near_weight, far_weight;
} deep_pair;

RESAMPLE_FUNCTION int32_t deep__clip_position(int32_t position, int32_t count)
{
    return position < 0 ? 0 : position >= count ? count - 1 : position;
}

RESAMPLE_FUNCTION deep_pair deep__fixed_row_pair(const deep_axis *axis, int32_t i)
{
    const double centre = (i + 0.5) * axis->scale;
    const float position = (float)(centre - 0.5), left = floorf(position), part = position - left;
    deep_pair pair;
    pair.near = deep__clip_position((int32_t)left, axis->src);
    pair.far = deep__clip_position((int32_t)left + 1, axis->src);
    pair.near_weight = (int32_t)lrintf((1 - part) * DEEP_WEIGHT_ONE);
    pair.far_weight = (int32_t)lrintf(part * DEEP_WEIGHT_ONE);
    return pair;
}

/* Beyond the outermost centres a column is one pixel whole. Rows keep both weights there, which rounds differently. */
RESAMPLE_FUNCTION deep_pair deep__fixed_column_pair(const deep_axis *axis, int32_t i)
{
    deep_pair pair = deep__fixed_row_pair(axis, i);
    if (pair.near == pair.far) {
        pair.near_weight = DEEP_WEIGHT_ONE;
        pair.far_weight = 0;
    }
    return pair;
}

/* A kept row's value, of two levels. */
RESAMPLE_FUNCTION int32_t deep__fixed_along_row(const deep_pair *column, uint8_t near, uint8_t far)
{
    return (column->near_weight * near + column->far_weight * far) >> DEEP_ROW_SHIFT;
}

/* A level, of two kept rows' values. */
RESAMPLE_FUNCTION uint8_t deep__fixed_level(const deep_pair *row, int32_t near, int32_t far)
{
    const int32_t quarters =
        ((row->near_weight * near) >> DEEP_QUARTER_SHIFT) + ((row->far_weight * far) >> DEEP_QUARTER_SHIFT);
    return (uint8_t)((quarters + 2) >> 2);
}

/* Of the pixels above each other, left and right. */
RESAMPLE_FUNCTION uint8_t deep__mean_level(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (uint8_t)((a + b + c + d + 2) >> 2);
}

/* ---- in floating point ---- */

/* The source positions of one of the result. */
typedef struct deep_span {
    int32_t first, length; /* length is at least 1 */
    double part;           /* LINEAR: weight of the second; TRIANGLE, CUBIC: the kernel's sum over all */
} deep_span;

RESAMPLE_FUNCTION int32_t deep__clip_double(double value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : (int32_t)value;
}

/* The kernel at `x`, in pixels of the smaller of the two images. */
RESAMPLE_FUNCTION double deep__resample_kernel(int32_t kind, double x)
{
    const double a = -0.5; /* Keys 1981, equation 15 */
    x = fabs(x);
    if (kind == DEEP_RESAMPLE_TRIANGLE) return x < 1 ? 1 - x : 0;
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* Widened by the shrink factor so that it does not alias. */
RESAMPLE_FUNCTION double deep__kernel_at(const deep_axis *axis, int32_t i, int32_t position)
{
    const double stretch = axis->scale > 1 ? axis->scale : 1, centre = (i + 0.5) * axis->scale;
    return deep__resample_kernel(axis->kind, (position + 0.5 - centre) / stretch);
}

/* Position `i` of the result lies at (i + 1/2) * scale of the source, pixel centres being at halves. */
RESAMPLE_FUNCTION deep_span deep__linear_span(const deep_axis *axis, int32_t i)
{
    const double position = (i + 0.5) * axis->scale - 0.5;
    deep_span span;
    span.first = deep__clip_double(floor(position), 0, axis->src - 1);
    span.part = position <= span.first || span.first == axis->src - 1 ? 0 : position - span.first;
    span.length = span.part > 0 ? 2 : 1;
    return span;
}

RESAMPLE_FUNCTION deep_span deep__area_span(const deep_axis *axis, int32_t i)
{
    const double begin = i * axis->scale, end = (i + 1) * axis->scale;
    deep_span span;
    span.first = deep__clip_double(floor(begin), 0, axis->src - 1);
    int32_t last = deep__clip_double(ceil(end) - 1, span.first, axis->src - 1);
    if (last > span.first && end - last < 1e-6) --last; /* rounding of i * scale, not a covered pixel */
    span.length = last - span.first + 1;
    span.part = 0;
    return span;
}

RESAMPLE_FUNCTION deep_span deep__kernel_span(const deep_axis *axis, int32_t i)
{
    const double half = axis->kind == DEEP_RESAMPLE_CUBIC ? 2 : 1;
    const double stretch = axis->scale > 1 ? axis->scale : 1, centre = (i + 0.5) * axis->scale;
    deep_span span;
    span.first = deep__clip_double(floor(centre - half * stretch + 0.5), 0, axis->src - 1);
    span.length = deep__clip_double(floor(centre + half * stretch + 0.5), span.first + 1, axis->src) - span.first;
    span.part = 0;
    for (int32_t k = 0; k < span.length; ++k)
        span.part += deep__kernel_at(axis, i, span.first + k);
    return span;
}

RESAMPLE_FUNCTION deep_span deep__span(const deep_axis *axis, int32_t i)
{
    if (axis->kind == DEEP_RESAMPLE_LINEAR) return deep__linear_span(axis, i);
    return axis->kind == DEEP_RESAMPLE_AREA ? deep__area_span(axis, i) : deep__kernel_span(axis, i);
}

/* Each source pixel weighs as much as the part of it that [i, i + 1) * scale covers. */
RESAMPLE_FUNCTION double deep__area_weight(const deep_axis *axis, int32_t i, int32_t position)
{
    const double begin = i * axis->scale, end = (i + 1) * axis->scale;
    return (fmin(end, position + 1.0) - fmax(begin, (double)position)) / axis->scale;
}

/* Of the k-th position of the span of `i`; all of them add up to 1. */
RESAMPLE_FUNCTION float deep__span_weight(const deep_axis *axis, int32_t i, const deep_span *span, int32_t k)
{
    const int32_t position = span->first + k;
    if (axis->kind == DEEP_RESAMPLE_LINEAR) return (float)(k == 0 ? 1 - span->part : span->part);
    if (axis->kind == DEEP_RESAMPLE_AREA) return (float)deep__area_weight(axis, i, position);
    return (float)(deep__kernel_at(axis, i, position) / span->part);
}

/* The nearest level. */
RESAMPLE_FUNCTION uint8_t deep__nearest_level(float value)
{
    const float level = value < 0 ? 0 : value > 255 ? 255 : value;
    return (uint8_t)(level + 0.5f);
}

#endif
