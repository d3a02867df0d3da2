/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_RESIZE_H
#define DEEP_IMAGE_RESIZE_H

#include "image/image.h"

/* DEEP_ERROR_INVALID_ARGUMENT unless `filter` is one of DEEP_FILTER_*. */
deep_status deep__check_filter(int32_t filter);

/* DEEP_ERROR_INVALID_ARGUMENT below 1, DEEP_ERROR_LIMIT above the context's max_side. */
deep_status deep__check_side(const deep_context *context, const char *name, int32_t side);

/* Resizes `src` into a rectangle of `dst`, which has the same channels, with its top left corner at (x, y). */
deep_status deep__resize_into(deep_image *dst, int32_t x, int32_t y, int32_t width, int32_t height,
                              const deep_image *src, int32_t filter);

/* The same by DEEP_FILTER_BILINEAR; `dst` is the rectangle's first byte. */
deep_status deep__resize_bilinear(uint8_t *dst, int64_t stride, int32_t width, int32_t height, const deep_image *src);

#endif
