/* SPDX-License-Identifier: Apache-2.0 */
#include "colour.h"

#include <string.h>

/* Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601-7, 2.5.1) in 1/16384; the three add up to 16384, so grey stays what it
 * is. */
enum { LUMA_R = 4899, LUMA_G = 9617, LUMA_B = 1868, LUMA_HALF = 8192, LUMA_SHIFT = 14 };

static void row_to_grey(uint8_t *dst, const uint8_t *src, int32_t width)
{
    for (int32_t x = 0; x < width; ++x, src += 3)
        dst[x] = (uint8_t)((src[0] * LUMA_R + src[1] * LUMA_G + src[2] * LUMA_B + LUMA_HALF) >> LUMA_SHIFT);
}

static void row_to_rgb(uint8_t *dst, const uint8_t *src, int32_t width)
{
    for (int32_t x = 0; x < width; ++x, dst += 3)
        dst[0] = dst[1] = dst[2] = src[x];
}

static void row_copy(uint8_t *dst, const uint8_t *src, int32_t bytes)
{
    memcpy(dst, src, (size_t)bytes);
}

deep_status deep__image_convert(deep_image **out, const deep_image *src, int32_t channels)
{
    deep_image *dst;
    DEEP_TRY(deep__image_create(&dst, src->context, src->width, src->height, channels));
    for (int32_t y = 0; y < src->height; ++y) {
        uint8_t *to = deep__image_row_to_write(dst, y);
        const uint8_t *from = deep__image_row(src, y);
        if (channels == src->channels)
            row_copy(to, from, src->width * channels);
        else if (channels == 1)
            row_to_grey(to, from, src->width);
        else
            row_to_rgb(to, from, src->width);
    }
    *out = dst;
    return DEEP_OK;
}
