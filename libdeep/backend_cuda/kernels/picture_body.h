/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/picture.h"

/* The levels of a block's pixels, in the result's order, so that neighbouring threads can write neighbouring values. */
typedef struct picture_room {
    uint8_t levels[3 * KERNEL_THREADS];
} picture_room;

/* A picture's pixels. */
typedef struct picture_pixels {
    const deep_picture *picture;
    const uint8_t *first;
} picture_pixels;

KERNEL_FUNCTION picture_pixels pixels_of(const picture_arguments *a, uint32_t index)
{
    picture_pixels p;
    p.picture = (const deep_picture *)(a->block + 1) + index;
    p.first = (const uint8_t *)a->block + p.picture->offset;
    return p;
}

KERNEL_FUNCTION const uint8_t *picture_pixel(const picture_pixels *p, int32_t x, int32_t y)
{
    return p->first + ((int64_t)y * p->picture->columns.src + x) * p->picture->channels;
}

/* Whether there is one more channel: loops have three, so that what they index stays in registers. */
KERNEL_FUNCTION bool has_channel(const picture_pixels *p, int c)
{
    return c < p->picture->channels;
}

/* ---- the level at (x, y) of the rectangle, for each channel ---- */

KERNEL_FUNCTION void resample_fixed(uint8_t level[3], const picture_pixels *p, int32_t x, int32_t y)
{
    const deep_pair column = deep__fixed_column_pair(&p->picture->columns, x);
    const deep_pair row = deep__fixed_row_pair(&p->picture->rows, y);
    const uint8_t *upper_left = picture_pixel(p, column.near, row.near),
                  *upper_right = picture_pixel(p, column.far, row.near);
    const uint8_t *lower_left = picture_pixel(p, column.near, row.far),
                  *lower_right = picture_pixel(p, column.far, row.far);
    KERNEL_UNROLL
    for (int c = 0; c < 3; ++c) {
        if (!has_channel(p, c)) break;
        const int32_t near = deep__fixed_along_row(&column, upper_left[c], upper_right[c]);
        const int32_t far = deep__fixed_along_row(&column, lower_left[c], lower_right[c]);
        level[c] = deep__fixed_level(&row, near, far);
    }
}

KERNEL_FUNCTION void resample_halved(uint8_t level[3], const picture_pixels *p, int32_t x, int32_t y)
{
    const uint8_t *upper = picture_pixel(p, 2 * x, 2 * y), *lower = picture_pixel(p, 2 * x, 2 * y + 1);
    const int32_t right = p->picture->channels;
    KERNEL_UNROLL
    for (int c = 0; c < 3; ++c)
        if (has_channel(p, c)) level[c] = deep__mean_level(upper[c], upper[right + c], lower[c], lower[right + c]);
}

/* The first weights of a span, which every row wants again. */
enum { PICTURE_KEPT = 16 };

typedef struct picture_column {
    deep_span span;
    float kept[PICTURE_KEPT];
} picture_column;

KERNEL_FUNCTION picture_column weigh_column(const deep_axis *axis, int32_t x)
{
    picture_column column;
    column.span = deep__span(axis, x);
    for (int32_t k = 0; k < column.span.length && k < PICTURE_KEPT; ++k)
        column.kept[k] = deep__span_weight(axis, x, &column.span, k);
    return column;
}

KERNEL_FUNCTION void resample_row(float sum[3], const picture_pixels *p, const picture_column *column, int32_t x,
                                  int32_t row)
{
    const int32_t channels = p->picture->channels;
    const uint8_t *from = picture_pixel(p, column->span.first, row);
    for (int32_t k = 0; k < column->span.length; ++k, from += channels) {
        const float weight =
            k < PICTURE_KEPT ? column->kept[k] : deep__span_weight(&p->picture->columns, x, &column->span, k);
        KERNEL_UNROLL
        for (int c = 0; c < 3; ++c)
            if (has_channel(p, c)) sum[c] += weight * from[c];
    }
}

KERNEL_FUNCTION void resample_weighted(uint8_t level[3], const picture_pixels *p, int32_t x, int32_t y)
{
    const picture_column column = weigh_column(&p->picture->columns, x);
    const deep_axis *rows = &p->picture->rows;
    const deep_span span = deep__span(rows, y);
    float sum[3] = {0, 0, 0};
    for (int32_t k = 0; k < span.length; ++k) {
        const float weight = deep__span_weight(rows, y, &span, k);
        float along[3] = {0, 0, 0};
        resample_row(along, p, &column, x, span.first + k);
        KERNEL_UNROLL
        for (int c = 0; c < 3; ++c)
            sum[c] += weight * along[c];
    }
    KERNEL_UNROLL
    for (int c = 0; c < 3; ++c)
        level[c] = deep__nearest_level(sum[c]);
}

/* ---- the square ---- */

KERNEL_FUNCTION void square_level(uint8_t level[3], const picture_pixels *p, int32_t square_x, int32_t square_y,
                                  bool weighted)
{
    const deep_picture *picture = p->picture;
    const int32_t x = square_x - picture->x, y = square_y - picture->y;
    const bool inside = x >= 0 && x < picture->columns.dst && y >= 0 && y < picture->rows.dst;
    const bool halved = picture->columns.kind == DEEP_RESAMPLE_HALVED;
    KERNEL_UNROLL
    for (int c = 0; c < 3; ++c)
        level[c] = picture->around[c];
    if (inside && weighted) resample_weighted(level, p, x, y);
    if (inside && !weighted && halved) resample_halved(level, p, x, y);
    if (inside && !weighted && !halved) resample_fixed(level, p, x, y);
    if (picture->channels == 1) level[1] = level[2] = level[0];
}

KERNEL_FUNCTION void find_levels(const picture_arguments *a, kernel_position at, picture_room *room, bool weighted)
{
    const int32_t size = a->size, index = (int32_t)(at.block * at.threads + at.thread);
    if (index >= size * size) return;
    const picture_pixels p = pixels_of(a, at.slice);
    const int32_t from = p.picture->origin + index % size * p.picture->step_x + index / size * p.picture->step_y;
    const int reversed = a->block->reversed;
    uint8_t level[3];
    square_level(level, &p, from % size, from / size, weighted);
    KERNEL_UNROLL
    for (int c = 0; c < 3; ++c)
        room->levels[3 * at.thread + (uint32_t)(reversed ? 2 - c : c)] = level[c];
}

KERNEL_FUNCTION void find_fixed(const picture_arguments *a, kernel_position at, picture_room *room)
{
    find_levels(a, at, room, false);
}

KERNEL_FUNCTION void find_weighted(const picture_arguments *a, kernel_position at, picture_room *room)
{
    find_levels(a, at, room, true);
}

KERNEL_FUNCTION void write_values(const picture_arguments *a, kernel_position at, picture_room *room)
{
    const size_t image = (size_t)a->size * (size_t)a->size * 3, first = (size_t)at.block * at.threads * 3;
    KERNEL_UNROLL
    for (uint32_t k = 0; k < 3; ++k) {
        const uint32_t i = k * at.threads + at.thread; /* first is a multiple of 3 */
        if (first + i < image) a->out[at.slice * image + first + i] = a->block->values[i % 3][room->levels[i]];
    }
}

KERNEL_IN_TWO(deep__kernel_picture_fixed, picture_arguments, picture_room, find_fixed, write_values)
KERNEL_IN_TWO(deep__kernel_picture_weighted, picture_arguments, picture_room, find_weighted, write_values)
