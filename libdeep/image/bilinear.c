/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bilinear resize in the fixed point of OpenCV's INTER_LINEAR for 8-bit pixels, so that a network sees the same levels as
 * after cv2.resize(). Weights have 11 bits. A row that was resized along x is kept to 1/128 of a level; two such rows are
 * weighed into quarters of a level, each rounded down, and their sum is rounded to the nearest level.
 */
#include "resize.h"

#include <math.h>

enum {
    WEIGHT_ONE = 1 << 11,
    ROW_SHIFT = 4,      /* of level x weight: what a kept row drops */
    QUARTER_SHIFT = 16, /* of kept row x weight: leaves quarters of a level */
};

/* Two source positions and their weights, which make one position of the result. */
typedef struct pair {
    int32_t near, far;
    int32_t near_weight, far_weight;
} pair;

typedef struct bilinear {
    pair *columns;   /* [width] */
    pair *rows;      /* [height] */
    int32_t *row[2]; /* [width x channels] source rows resized along x: an even one, and an odd one */
    int32_t held[2]; /* which rows these are, -1 = none */
} bilinear;

static int32_t clamp(int32_t value, int32_t most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

static pair pair_at(int32_t i, int32_t src, int32_t dst)
{
    const double scale = 1.0 / ((double)dst / src);
    const double centre = (i + 0.5) * scale;
    const float position = (float)(centre - 0.5), left = floorf(position), part = position - left;
    return (pair){clamp((int32_t)left, src - 1), clamp((int32_t)left + 1, src - 1),
                  (int32_t)lrintf((1 - part) * WEIGHT_ONE), (int32_t)lrintf(part * WEIGHT_ONE)};
}

static deep_status pairs_create(pair **out, const deep_allocator *allocator, int32_t src, int32_t dst)
{
    DEEP_TRY(deep__alloc(out, allocator, (size_t)dst, sizeof **out, "resize positions"));
    for (int32_t i = 0; i < dst; ++i)
        (*out)[i] = pair_at(i, src, dst);
    return DEEP_OK;
}

/* Beyond the outermost centres a column is one pixel whole. Rows keep both weights there, which rounds differently. */
static void clip_columns(pair *columns, int32_t count)
{
    for (int32_t i = 0; i < count; ++i)
        if (columns[i].near == columns[i].far) columns[i].near_weight = WEIGHT_ONE, columns[i].far_weight = 0;
}

static void resize_row(int32_t *dst, const uint8_t *src, const pair *columns, int32_t width, int32_t channels)
{
    for (int32_t x = 0; x < width; ++x) {
        const pair *at = &columns[x];
        for (int32_t c = 0; c < channels; ++c)
            *dst++ = (at->near_weight * src[at->near * channels + c] + at->far_weight * src[at->far * channels + c]) >>
                     ROW_SHIFT;
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
        const pair *at = &b->rows[y];
        const int32_t *near = row_at(b, src, at->near, width), *far = row_at(b, src, at->far, width);
        for (int32_t i = 0; i < width * src->channels; ++i) {
            const int32_t quarters =
                ((at->near_weight * near[i]) >> QUARTER_SHIFT) + ((at->far_weight * far[i]) >> QUARTER_SHIFT);
            dst[i] = (uint8_t)((quarters + 2) >> 2);
        }
    }
}

/* OpenCV takes the mean of 2 x 2 pixels when both sides are halved exactly. */
static void halve(uint8_t *dst, int64_t stride, int32_t width, int32_t height, const deep_image *src)
{
    const int32_t channels = src->channels;
    for (int32_t y = 0; y < height; ++y, dst += stride) {
        const uint8_t *upper = deep__image_row(src, 2 * y), *lower = deep__image_row(src, 2 * y + 1);
        for (int32_t x = 0; x < width; ++x)
            for (int32_t c = 0; c < channels; ++c) {
                const int32_t left = 2 * x * channels + c, right = left + channels;
                dst[x * channels + c] = (uint8_t)((upper[left] + upper[right] + lower[left] + lower[right] + 2) >> 2);
            }
    }
}

deep_status deep__resize_bilinear(uint8_t *dst, int64_t stride, int32_t width, int32_t height, const deep_image *src)
{
    if (src->width == 2 * width && src->height == 2 * height) {
        halve(dst, stride, width, height, src);
        return DEEP_OK;
    }
    const deep_allocator *allocator = &src->context->allocator;
    const size_t values = (size_t)width * (size_t)src->channels;
    bilinear b = {.held = {-1, -1}};
    deep_status status = pairs_create(&b.columns, allocator, src->width, width);
    if (status == DEEP_OK) status = pairs_create(&b.rows, allocator, src->height, height);
    for (int32_t i = 0; i < 2 && status == DEEP_OK; ++i)
        status = deep__alloc(&b.row[i], allocator, values, sizeof *b.row[i], "resize rows");
    if (status == DEEP_OK) {
        clip_columns(b.columns, width);
        resize(dst, stride, width, height, src, &b);
    }
    deep__free(allocator, b.row[1]);
    deep__free(allocator, b.row[0]);
    deep__free(allocator, b.rows);
    deep__free(allocator, b.columns);
    return status;
}
