/* SPDX-License-Identifier: Apache-2.0 */
/* Bilinear resize in the fixed point of OpenCV's INTER_LINEAR, so that a network sees the same levels as after cv2.resize(). */
#include "resize.h"

#include "taps.h"

typedef struct bilinear {
    deep_pair *columns; /* [width] */
    deep_pair *rows;    /* [height] */
    int32_t *row[2];    /* [width x channels] source rows resized along x: an even one, and an odd one */
    int32_t held[2];    /* which rows these are, -1 = none */
} bilinear;

static deep_status pairs_create(bilinear *b, const deep_allocator *allocator, const deep_axis *columns,
                                const deep_axis *rows)
{
    DEEP_TRY(deep__alloc(&b->columns, allocator, (size_t)columns->dst, sizeof *b->columns, "resize positions"));
    DEEP_TRY(deep__alloc(&b->rows, allocator, (size_t)rows->dst, sizeof *b->rows, "resize positions"));
    for (int32_t i = 0; i < columns->dst; ++i)
        b->columns[i] = deep__fixed_column_pair(columns, i);
    for (int32_t i = 0; i < rows->dst; ++i)
        b->rows[i] = deep__fixed_row_pair(rows, i);
    return DEEP_OK;
}

static void resize_row(int32_t *dst, const uint8_t *src, const deep_pair *columns, int32_t width, int32_t channels)
{
    for (int32_t x = 0; x < width; ++x) {
        const deep_pair *at = &columns[x];
        const uint8_t *near = src + at->near * channels, *far = src + at->far * channels;
        for (int32_t c = 0; c < channels; ++c)
            *dst++ = deep__fixed_along_row(at, near[c], far[c]);
    }
}

static const int32_t *row_at(bilinear *b, const deep_image *src, int32_t row, int32_t width)
{
    const int32_t slot = row % 2;
    if (b->held[slot] != row) {
        const uint8_t *from = deep__image_row(src, row);
        if (src->channels == 1)
            resize_row(b->row[slot], from, b->columns, width, 1);
        else
            resize_row(b->row[slot], from, b->columns, width, 3);
        b->held[slot] = row;
    }
    return b->row[slot];
}

static void resize(uint8_t *dst, int64_t stride, int32_t width, int32_t height, const deep_image *src, bilinear *b)
{
    for (int32_t y = 0; y < height; ++y, dst += stride) {
        const deep_pair *at = &b->rows[y];
        const int32_t *near = row_at(b, src, at->near, width), *far = row_at(b, src, at->far, width);
        for (int32_t i = 0; i < width * src->channels; ++i)
            dst[i] = deep__fixed_level(at, near[i], far[i]);
    }
}

static void halve(uint8_t *dst, int64_t stride, int32_t width, int32_t height, const deep_image *src)
{
    const int32_t channels = src->channels;
    for (int32_t y = 0; y < height; ++y, dst += stride) {
        const uint8_t *upper = deep__image_row(src, 2 * y), *lower = deep__image_row(src, 2 * y + 1);
        for (int32_t x = 0; x < width; ++x)
            for (int32_t c = 0; c < channels; ++c) {
                const int32_t left = 2 * x * channels + c, right = left + channels;
                dst[x * channels + c] = deep__mean_level(upper[left], upper[right], lower[left], lower[right]);
            }
    }
}

deep_status deep__resize_bilinear(uint8_t *dst, int64_t stride, int32_t width, int32_t height, const deep_image *src)
{
    deep_axis columns, rows;
    deep__axes(&columns, &rows, DEEP_FILTER_BILINEAR, src, width, height);
    if (columns.kind == DEEP_RESAMPLE_HALVED) {
        halve(dst, stride, width, height, src);
        return DEEP_OK;
    }
    const deep_allocator *allocator = &src->context->allocator;
    const size_t values = (size_t)width * (size_t)src->channels;
    bilinear b = {.held = {-1, -1}};
    deep_status status = pairs_create(&b, allocator, &columns, &rows);
    for (int32_t i = 0; i < 2 && status == DEEP_OK; ++i)
        status = deep__alloc(&b.row[i], allocator, values, sizeof *b.row[i], "resize rows");
    if (status == DEEP_OK) resize(dst, stride, width, height, src, &b);
    deep__free(allocator, b.row[1]);
    deep__free(allocator, b.row[0]);
    deep__free(allocator, b.rows);
    deep__free(allocator, b.columns);
    return status;
}
