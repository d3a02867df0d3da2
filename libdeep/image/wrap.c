/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include "base/checked.h"

#include <string.h>

typedef void (*convert_row)(uint8_t *dst, const uint8_t *src, int32_t width);

static void convert_gray16(uint8_t *dst, const uint8_t *src, int32_t width)
{
    for (int32_t x = 0; x < width; ++x) {
        uint16_t value; /* rows need not be aligned */
        memcpy(&value, src + 2 * (size_t)x, sizeof value);
        dst[x] = (uint8_t)((value * 255u + 32895u) >> 16); /* round(value / 257), exact for every value */
    }
}

static void convert_bgr(uint8_t *dst, const uint8_t *src, int32_t width)
{
    for (int32_t x = 0; x < width; ++x, dst += 3, src += 3)
        dst[0] = src[2], dst[1] = src[1], dst[2] = src[0];
}

static void convert_rgba(uint8_t *dst, const uint8_t *src, int32_t width)
{
    for (int32_t x = 0; x < width; ++x, dst += 3, src += 4)
        dst[0] = src[0], dst[1] = src[1], dst[2] = src[2];
}

static void convert_bgra(uint8_t *dst, const uint8_t *src, int32_t width)
{
    for (int32_t x = 0; x < width; ++x, dst += 3, src += 4)
        dst[0] = src[2], dst[1] = src[1], dst[2] = src[0];
}

typedef struct pixel_format {
    int32_t bytes;       /* of one pixel */
    int32_t channels;    /* of the image made from it */
    convert_row convert; /* NULL = used in place */
} pixel_format;

static const pixel_format formats[] = {
    [DEEP_PIXEL_GRAY8] = {1, 1, NULL},        [DEEP_PIXEL_GRAY16] = {2, 1, convert_gray16},
    [DEEP_PIXEL_RGB] = {3, 3, NULL},          [DEEP_PIXEL_BGR] = {3, 3, convert_bgr},
    [DEEP_PIXEL_RGBA] = {4, 3, convert_rgba}, [DEEP_PIXEL_BGRA] = {4, 3, convert_bgra},
};

static deep_status check_frame(deep_pixels *pixels, const pixel_format *format)
{
    DEEP_REQUIRE(pixels->data != NULL, "data is NULL");
    DEEP_REQUIRE(pixels->width >= 1 && pixels->height >= 1, "a frame of %" PRId32 " x %" PRId32 " pixels",
                 pixels->width, pixels->height);
    DEEP_REQUIRE(pixels->reserved == 0, "reserved is %" PRId32 ", not 0", pixels->reserved);
    const int64_t packed = (int64_t)pixels->width * format->bytes;
    if (pixels->stride == 0) pixels->stride = packed;
    DEEP_REQUIRE(pixels->stride >= packed, "stride is %" PRId64 ", a row has %" PRId64 " bytes", pixels->stride,
                 packed);
    int64_t bytes;
    DEEP_REQUIRE(deep__mul_i64(pixels->stride, pixels->height, &bytes),
                 "stride %" PRId64 " x height %" PRId32 " overflows", pixels->stride, pixels->height);
    return DEEP_OK;
}

static deep_status check_rectangle(deep_pixels *pixels)
{
    if (pixels->roi_width == 0 && pixels->roi_height == 0 && pixels->roi_x == 0 && pixels->roi_y == 0) {
        pixels->roi_width = pixels->width;
        pixels->roi_height = pixels->height;
    }
    const bool inside = pixels->roi_x >= 0 && pixels->roi_y >= 0 && pixels->roi_width >= 1 && pixels->roi_height >= 1 &&
                        (int64_t)pixels->roi_x + pixels->roi_width <= pixels->width &&
                        (int64_t)pixels->roi_y + pixels->roi_height <= pixels->height;
    DEEP_REQUIRE(inside,
                 "rectangle %" PRId32 " x %" PRId32 " at (%" PRId32 ", %" PRId32 ") is not inside %" PRId32
                 " x %" PRId32,
                 pixels->roi_width, pixels->roi_height, pixels->roi_x, pixels->roi_y, pixels->width, pixels->height);
    return DEEP_OK;
}

static deep_status wrap_in_place(deep_image **out, deep_context *context, const deep_pixels *pixels,
                                 const uint8_t *first, int32_t channels)
{
    DEEP_TRY(deep__image_check_size(context, pixels->roi_width, pixels->roi_height));
    deep_image *image;
    DEEP_TRY(deep__alloc_zero(&image, &context->allocator, 1, sizeof *image, "image"));
    image->context = context;
    memcpy(&image->data, &first, sizeof first); /* drops const: a borrowed image is only read */
    image->stride = pixels->stride;
    image->width = pixels->roi_width;
    image->height = pixels->roi_height;
    image->channels = channels;
    image->borrowed = true;
    *out = image;
    return DEEP_OK;
}

deep_status deep_image_wrap(deep_image **out, deep_context *context, const deep_pixels *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(given != NULL, "pixels is NULL");
    deep_pixels pixels = {0};
    DEEP_TRY(deep__options_read(&pixels, sizeof pixels, sizeof pixels, given, "deep_pixels"));
    DEEP_REQUIRE(pixels.format >= DEEP_PIXEL_GRAY8 && pixels.format <= DEEP_PIXEL_BGRA,
                 "format %" PRId32 " is not one of DEEP_PIXEL", pixels.format);
    const pixel_format *format = &formats[pixels.format];
    DEEP_TRY(check_frame(&pixels, format));
    DEEP_TRY(check_rectangle(&pixels));

    const uint8_t *first =
        (const uint8_t *)pixels.data + pixels.roi_y * pixels.stride + (int64_t)pixels.roi_x * format->bytes;
    if (format->convert == NULL) return wrap_in_place(out, context, &pixels, first, format->channels);
    deep_image *image;
    DEEP_TRY(deep__image_create(&image, context, pixels.roi_width, pixels.roi_height, format->channels));
    for (int32_t y = 0; y < image->height; ++y)
        format->convert(deep__image_row_to_write(image, y), first + y * pixels.stride, image->width);
    *out = image;
    return DEEP_OK;
}

void deep_pixels_init(deep_pixels *pixels, size_t size)
{
    deep__options_init(pixels, size);
}
