/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include "base/checked.h"

deep_status deep__image_check_size(const deep_context *context, int64_t width, int64_t height)
{
    const deep_limits *limits = &context->limits;
    if (width > limits->max_side || height > limits->max_side)
        return deep__fail(DEEP_ERROR_LIMIT, "%" PRId64 " x %" PRId64 " pixels, the limit for a side is %" PRId64, width,
                          height, limits->max_side);
    int64_t pixels;
    if (!deep__mul_i64(width, height, &pixels) || pixels > limits->max_pixels)
        return deep__fail(DEEP_ERROR_LIMIT, "%" PRId64 " x %" PRId64 " pixels, the limit for an image is %" PRId64,
                          width, height, limits->max_pixels);
    return DEEP_OK;
}

deep_status deep__image_create(deep_image **out, deep_context *context, int32_t width, int32_t height, int32_t channels)
{
    *out = NULL;
    DEEP_TRY(deep__image_check_size(context, width, height));
    size_t bytes;
    const int64_t row = (int64_t)width * channels; /* rows are indexed with int32_t */
    if (row > INT32_MAX || !deep__mul_size((size_t)row, (size_t)height, &bytes) || bytes > PTRDIFF_MAX)
        return deep__fail(DEEP_ERROR_LIMIT, "the size of %" PRId32 " x %" PRId32 " pixels overflows", width, height);
    deep_image *image;
    DEEP_TRY(deep__alloc_zero(&image, &context->allocator, 1, sizeof *image, "image"));
    *image = (deep_image){.context = context, .stride = row, .width = width, .height = height, .channels = channels};
    return deep__image_deliver(out, image, deep__alloc_zero(&image->data, &context->allocator, bytes, 1, "pixels"));
}

deep_status deep__image_deliver(deep_image **out, deep_image *image, deep_status status)
{
    if (status == DEEP_OK)
        *out = image;
    else
        deep_image_free(image);
    return status;
}

deep_status deep__image_check(const deep_image *image)
{
    DEEP_REQUIRE(image != NULL, "image is NULL");
    return deep__context_check(image->context);
}

void deep_image_free(deep_image *image)
{
    if (image == NULL) return;
    const deep_allocator *allocator = &image->context->allocator;
    if (!image->borrowed) deep__free(allocator, image->data);
    deep__free(allocator, image);
}

int32_t deep_image_width(const deep_image *image)
{
    return image == NULL ? 0 : image->width;
}

int32_t deep_image_height(const deep_image *image)
{
    return image == NULL ? 0 : image->height;
}

int32_t deep_image_channels(const deep_image *image)
{
    return image == NULL ? 0 : image->channels;
}

int64_t deep_image_stride(const deep_image *image)
{
    return image == NULL ? 0 : image->stride;
}

const uint8_t *deep_image_data(const deep_image *image)
{
    return image == NULL ? NULL : image->data;
}
