/* SPDX-License-Identifier: Apache-2.0 */
#include "resize.h"

#include "taps.h"

enum { MAX_RING_ROWS = 256 }; /* beyond, rows are computed again rather than kept: a tall image needs no tall ring */

/* Rows that were resized along x, kept while the rows of the result need them: source row r lies in slot r % capacity.
 */
typedef struct row_ring {
    float *values;    /* [capacity][width x channels] */
    int32_t *row;     /* [capacity] source row in the slot, -1 = none */
    int32_t capacity; /* at least 1; best as many rows as one result row needs */
    int32_t width;    /* floats of a row */
} row_ring;

static deep_status ring_create(row_ring *ring, const deep_allocator *allocator, int32_t capacity, int32_t width)
{
    ring->capacity = capacity = capacity < MAX_RING_ROWS ? capacity : MAX_RING_ROWS;
    ring->width = width;
    DEEP_TRY(deep__alloc(&ring->row, allocator, (size_t)capacity, sizeof *ring->row, "resize rows"));
    for (int32_t i = 0; i < capacity; ++i)
        ring->row[i] = -1;
    return deep__alloc(&ring->values, allocator, (size_t)capacity * (size_t)width, sizeof *ring->values, "resize rows");
}

static void ring_free(row_ring *ring, const deep_allocator *allocator)
{
    deep__free(allocator, ring->row);
    deep__free(allocator, ring->values);
}

static void resize_row_grey(float *dst, const uint8_t *src, const deep_taps *taps)
{
    for (int32_t x = 0; x < taps->count; ++x) {
        const float *weights = taps->weights + (int64_t)x * taps->most;
        const uint8_t *from = src + taps->first[x];
        float sum = 0;
        for (int32_t k = 0; k < taps->length[x]; ++k)
            sum += weights[k] * from[k];
        dst[x] = sum;
    }
}

static void resize_row_rgb(float *dst, const uint8_t *src, const deep_taps *taps)
{
    for (int32_t x = 0; x < taps->count; ++x) {
        const float *weights = taps->weights + (int64_t)x * taps->most;
        const uint8_t *from = src + 3 * (int64_t)taps->first[x];
        float red = 0, green = 0, blue = 0;
        for (int32_t k = 0; k < taps->length[x]; ++k, from += 3) {
            red += weights[k] * from[0];
            green += weights[k] * from[1];
            blue += weights[k] * from[2];
        }
        dst[3 * x] = red;
        dst[3 * x + 1] = green;
        dst[3 * x + 2] = blue;
    }
}

static const float *ring_row(row_ring *ring, const deep_image *src, const deep_taps *columns, int32_t row)
{
    const int32_t slot = row % ring->capacity;
    float *values = ring->values + (int64_t)slot * ring->width;
    if (ring->row[slot] != row) {
        const uint8_t *from = deep__image_row(src, row);
        if (src->channels == 1)
            resize_row_grey(values, from, columns);
        else
            resize_row_rgb(values, from, columns);
        ring->row[slot] = row;
    }
    return values;
}

static void add_row(float *sum, const float *row, float weight, int32_t width)
{
    for (int32_t i = 0; i < width; ++i)
        sum[i] += weight * row[i];
}

/* Rounds to the nearest level and clears the sums for the next row. */
static void store_row(uint8_t *dst, float *sum, int32_t width)
{
    for (int32_t i = 0; i < width; ++i) {
        dst[i] = deep__nearest_level(sum[i]);
        sum[i] = 0;
    }
}

static void resize_rows(uint8_t *dst, int64_t stride, const deep_image *src, const deep_taps *columns,
                        const deep_taps *rows, row_ring *ring, float *sum)
{
    for (int32_t y = 0; y < rows->count; ++y) {
        const float *weights = rows->weights + (int64_t)y * rows->most;
        for (int32_t k = 0; k < rows->length[y]; ++k)
            add_row(sum, ring_row(ring, src, columns, rows->first[y] + k), weights[k], ring->width);
        store_row(dst + y * stride, sum, ring->width);
    }
}

deep_status deep__resize_into(deep_image *dst, int32_t x, int32_t y, int32_t width, int32_t height,
                              const deep_image *src, int32_t filter)
{
    uint8_t *first = deep__image_row_to_write(dst, y) + (int64_t)x * dst->channels;
    if (filter == DEEP_FILTER_BILINEAR) return deep__resize_bilinear(first, dst->stride, width, height, src);
    const deep_allocator *allocator = &src->context->allocator;
    deep_axis along_x, along_y;
    deep_taps columns = {0}, rows = {0};
    row_ring ring = {0};
    float *sum = NULL;
    const int32_t values = width * src->channels;
    deep__axes(&along_x, &along_y, filter, src, width, height);
    deep_status status = deep__taps_build(&columns, allocator, &along_x);
    if (status == DEEP_OK) status = deep__taps_build(&rows, allocator, &along_y);
    if (status == DEEP_OK) status = ring_create(&ring, allocator, rows.most, values);
    if (status == DEEP_OK) status = deep__alloc_zero(&sum, allocator, (size_t)values, sizeof *sum, "resize row");
    if (status == DEEP_OK) resize_rows(first, dst->stride, src, &columns, &rows, &ring, sum);
    deep__free(allocator, sum);
    ring_free(&ring, allocator);
    deep__taps_free(&rows, allocator);
    deep__taps_free(&columns, allocator);
    return status;
}

deep_status deep__check_filter(int32_t filter)
{
    DEEP_REQUIRE(filter >= DEEP_FILTER_BILINEAR && filter <= DEEP_FILTER_BICUBIC,
                 "filter %" PRId32 " is not one of DEEP_FILTER", filter);
    return DEEP_OK;
}

deep_status deep__check_side(const deep_context *context, const char *name, int32_t side)
{
    DEEP_REQUIRE(side >= 1, "%s is %" PRId32 ", not at least 1", name, side);
    if (side > context->limits.max_side)
        return deep__fail(DEEP_ERROR_LIMIT, "%s is %" PRId32 ", the limit for a side is %" PRId64, name, side,
                          context->limits.max_side);
    return DEEP_OK;
}

deep_status deep_image_resize(deep_image **out, const deep_image *src, int32_t width, int32_t height, int32_t filter)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__image_check(src));
    DEEP_TRY(deep__check_side(src->context, "width", width));
    DEEP_TRY(deep__check_side(src->context, "height", height));
    DEEP_TRY(deep__check_filter(filter));
    deep_image *dst;
    DEEP_TRY(deep__image_create(&dst, src->context, width, height, src->channels));
    return deep__image_deliver(out, dst, deep__resize_into(dst, 0, 0, width, height, src, filter));
}
