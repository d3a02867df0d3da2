/* SPDX-License-Identifier: Apache-2.0 */
#include "taps.h"

#include <deep/image.h>

/* An upper bound of the positions that one result needs. */
static int32_t most_taps(const deep_axis *axis)
{
    const double stretch = axis->scale > 1 ? axis->scale : 1;
    const double reach = axis->kind == DEEP_RESAMPLE_CUBIC ? 4 * stretch : 2 * stretch;
    return axis->kind == DEEP_RESAMPLE_LINEAR ? 2
                                              : deep__clip_double(ceil(reach) + 2, 2, axis->src < 2 ? 2 : axis->src);
}

static deep_axis axis_of(int32_t filter, int32_t src, int32_t dst)
{
    static const int32_t kinds[] = {[DEEP_FILTER_BILINEAR] = DEEP_RESAMPLE_FIXED,
                                    [DEEP_FILTER_AREA] = DEEP_RESAMPLE_AREA,
                                    [DEEP_FILTER_TRIANGLE] = DEEP_RESAMPLE_TRIANGLE,
                                    [DEEP_FILTER_BICUBIC] = DEEP_RESAMPLE_CUBIC};
    deep_axis axis = {.scale = (double)src / dst, .src = src, .dst = dst, .kind = kinds[filter]};
    if (axis.kind == DEEP_RESAMPLE_FIXED) axis.scale = 1.0 / ((double)dst / src); /* as OpenCV rounds it */
    if (axis.kind == DEEP_RESAMPLE_AREA && axis.scale <= 1) axis.kind = DEEP_RESAMPLE_LINEAR;
    return axis;
}

/* OpenCV takes the mean of 2 x 2 pixels when both sides are halved exactly. */
static bool is_halved(const deep_axis *columns, const deep_axis *rows)
{
    return columns->kind == DEEP_RESAMPLE_FIXED && columns->src == 2 * columns->dst && rows->src == 2 * rows->dst;
}

void deep__axes(deep_axis *columns, deep_axis *rows, int32_t filter, const deep_image *src, int32_t width,
                int32_t height)
{
    *columns = axis_of(filter, src->width, width);
    *rows = axis_of(filter, src->height, height);
    if (is_halved(columns, rows)) columns->kind = rows->kind = DEEP_RESAMPLE_HALVED;
}

static void fill(deep_taps *taps, const deep_axis *axis, int32_t i)
{
    const deep_span span = deep__span(axis, i);
    float *weights = taps->weights + (int64_t)i * taps->most;
    taps->first[i] = span.first;
    taps->length[i] = span.length;
    for (int32_t k = 0; k < span.length; ++k)
        weights[k] = deep__span_weight(axis, i, &span, k);
}

deep_status deep__taps_build(deep_taps *taps, const deep_allocator *allocator, const deep_axis *axis)
{
    taps->count = axis->dst;
    taps->most = most_taps(axis);
    const size_t count = (size_t)axis->dst;
    DEEP_TRY(deep__alloc(&taps->first, allocator, count, sizeof *taps->first, "resize positions"));
    DEEP_TRY(deep__alloc(&taps->length, allocator, count, sizeof *taps->length, "resize lengths"));
    DEEP_TRY(deep__alloc_zero(&taps->weights, allocator, count * (size_t)taps->most, sizeof *taps->weights,
                              "resize weights"));
    for (int32_t i = 0; i < axis->dst; ++i)
        fill(taps, axis, i);
    return DEEP_OK;
}

void deep__taps_free(deep_taps *taps, const deep_allocator *allocator)
{
    deep__free(allocator, taps->first);
    deep__free(allocator, taps->length);
    deep__free(allocator, taps->weights);
    *taps = (deep_taps){0};
}
