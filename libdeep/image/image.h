/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_IMAGE_H
#define DEEP_IMAGE_IMAGE_H

#include "core/context.h"

#include <deep/image.h>

struct deep_image {
    deep_context *context;
    uint8_t *data;  /* height rows of width x channels bytes; only read when borrowed */
    int64_t stride; /* bytes from one row to the next */
    int32_t width;  /* pixels, at least 1 */
    int32_t height;
    int32_t channels; /* 1 or 3 */
    bool borrowed;    /* data belongs to the caller */
};

/* DEEP_ERROR_LIMIT when an image of this size is beyond the context's limits; sides are at least 1. */
deep_status deep__image_check_size(const deep_context *context, int64_t width, int64_t height);

/* A black image with packed rows; checks the limits first. */
deep_status deep__image_create(deep_image **out, deep_context *context, int32_t width, int32_t height,
                               int32_t channels);

/* Hands `image` over when `status` is DEEP_OK and frees it otherwise; returns `status`. */
deep_status deep__image_deliver(deep_image **out, deep_image *image, deep_status status);

/* DEEP_ERROR_INVALID_ARGUMENT for NULL, else what deep__context_check() says of its context. */
deep_status deep__image_check(const deep_image *image);

static inline const uint8_t *deep__image_row(const deep_image *image, int32_t y)
{
    return image->data + y * image->stride;
}

static inline uint8_t *deep__image_row_to_write(deep_image *image, int32_t y)
{
    return image->data + y * image->stride;
}

#endif
