/* SPDX-License-Identifier: Apache-2.0 */
#include "taps.h"

#include <deep/image.h>
#include <math.h>

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double cubic(double x) /* Keys 1981, equation 15, with a = -1/2 */
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static int32_t clamp(double value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : (int32_t)value;
}

/* Position `i` of the result lies at (i + 1/2) * scale of the source, pixel centres being at halves. */
static void fill_bilinear(deep_taps *taps, int32_t i, int32_t src, double scale)
{
    const double position = (i + 0.5) * scale - 0.5;
    const int32_t left = clamp(floor(position), 0, src - 1);
    const double right_weight = position <= left || left == src - 1 ? 0 : position - left;
    float *weights = taps->weights + (int64_t)i * taps->most;
    taps->first[i] = left;
    taps->length[i] = right_weight > 0 ? 2 : 1;
    weights[0] = (float)(1 - right_weight);
    if (right_weight > 0) weights[1] = (float)right_weight;
}

/* Each source pixel weighs as much as the part of it that [i, i + 1) * scale covers. */
static void fill_area(deep_taps *taps, int32_t i, int32_t src, double scale)
{
    const double begin = i * scale, end = (i + 1) * scale;
    const int32_t first = clamp(floor(begin), 0, src - 1);
    int32_t last = clamp(ceil(end) - 1, first, src - 1);
    if (last > first && end - last < 1e-6) --last; /* rounding of i * scale, not a covered pixel */
    float *weights = taps->weights + (int64_t)i * taps->most;
    taps->first[i] = first;
    taps->length[i] = last - first + 1;
    for (int32_t k = first; k <= last; ++k)
        weights[k - first] = (float)((fmin(end, k + 1.0) - fmax(begin, k)) / scale);
}

/* A kernel of half width `support`, widened by the shrink factor so that it does not alias. */
static void fill_kernel(deep_taps *taps, int32_t i, int32_t src, double scale, double (*kernel)(double), double support)
{
    const double stretch = scale > 1 ? scale : 1, centre = (i + 0.5) * scale;
    const int32_t first = clamp(floor(centre - support * stretch + 0.5), 0, src - 1);
    const int32_t end = clamp(floor(centre + support * stretch + 0.5), first + 1, src);
    float *weights = taps->weights + (int64_t)i * taps->most;
    double sum = 0;
    for (int32_t k = first; k < end; ++k)
        sum += kernel((k + 0.5 - centre) / stretch);
    for (int32_t k = first; k < end; ++k)
        weights[k - first] = (float)(kernel((k + 0.5 - centre) / stretch) / sum);
    taps->first[i] = first;
    taps->length[i] = end - first;
}

/* An upper bound of the positions that one result needs. */
static int32_t most_taps(int32_t filter, int32_t src, double scale)
{
    const double stretch = scale > 1 ? scale : 1;
    const double reach = filter == DEEP_FILTER_BICUBIC ? 4 * stretch : 2 * stretch;
    return filter == DEEP_FILTER_BILINEAR ? 2 : clamp(ceil(reach) + 2, 2, src < 2 ? 2 : src);
}

deep_status deep__taps_build(deep_taps *taps, const deep_allocator *allocator, int32_t filter, int32_t src, int32_t dst)
{
    const double scale = (double)src / dst;
    if (filter == DEEP_FILTER_AREA && scale <= 1) filter = DEEP_FILTER_BILINEAR;
    taps->count = dst;
    taps->most = most_taps(filter, src, scale);
    const size_t count = (size_t)dst;
    DEEP_TRY(deep__alloc(&taps->first, allocator, count, sizeof *taps->first, "resize positions"));
    DEEP_TRY(deep__alloc(&taps->length, allocator, count, sizeof *taps->length, "resize lengths"));
    DEEP_TRY(deep__alloc_zero(&taps->weights, allocator, count * (size_t)taps->most, sizeof *taps->weights,
                              "resize weights"));
    for (int32_t i = 0; i < dst; ++i) {
        if (filter == DEEP_FILTER_BILINEAR) fill_bilinear(taps, i, src, scale);
        if (filter == DEEP_FILTER_AREA) fill_area(taps, i, src, scale);
        if (filter == DEEP_FILTER_TRIANGLE) fill_kernel(taps, i, src, scale, triangle, 1);
        if (filter == DEEP_FILTER_BICUBIC) fill_kernel(taps, i, src, scale, cubic, 2);
    }
    return DEEP_OK;
}

void deep__taps_free(deep_taps *taps, const deep_allocator *allocator)
{
    deep__free(allocator, taps->first);
    deep__free(allocator, taps->length);
    deep__free(allocator, taps->weights);
    *taps = (deep_taps){0};
}
