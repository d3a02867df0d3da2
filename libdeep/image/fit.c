/* SPDX-License-Identifier: Apache-2.0 */
#include "fit.h"

#include "resize.h"

static void add_pixel(uint64_t sum[3], const uint8_t *pixel, int32_t channels)
{
    for (int32_t c = 0; c < channels; ++c)
        sum[c] += pixel[c];
}

/* Mean of the outermost pixels, rounded: the background of nearly every plankton image. */
static void border_colour(uint8_t colour[3], const deep_image *image)
{
    uint64_t sum[3] = {0}, count = 0;
    for (int32_t y = 0; y < image->height; ++y) {
        const bool whole_row = y == 0 || y == image->height - 1;
        const int32_t step = whole_row || image->width == 1 ? 1 : image->width - 1;
        for (int32_t x = 0; x < image->width; x += step, ++count)
            add_pixel(sum, deep__image_row(image, y) + (int64_t)x * image->channels, image->channels);
    }
    for (int32_t c = 0; c < image->channels; ++c)
        colour[c] = (uint8_t)((sum[c] + count / 2) / count);
}

static void fill(deep_image *image, const uint8_t colour[3])
{
    const int64_t pixels = (int64_t)image->width * image->height; /* rows are packed */
    uint8_t *to = image->data;
    for (int64_t i = 0; i < pixels; ++i)
        for (int32_t c = 0; c < image->channels; ++c)
            *to++ = colour[c];
}

/* `length` in proportion as `longest` becomes `side`, rounded, at least 1. */
static int32_t scaled(int32_t length, int32_t longest, int32_t side)
{
    const int64_t result = (2 * (int64_t)length * side + longest) / (2 * (int64_t)longest);
    return result < 1 ? 1 : (int32_t)result;
}

deep_rectangle deep__fit_rectangle(const deep_image *image, int32_t side, uint8_t colour[3])
{
    const int32_t longest = image->width > image->height ? image->width : image->height;
    const int32_t width = scaled(image->width, longest, side), height = scaled(image->height, longest, side);
    border_colour(colour, image);
    return (deep_rectangle){(side - width) / 2, (side - height) / 2, width, height};
}

static deep_status fit_padded(deep_image *dst, const deep_image *src, int32_t filter)
{
    uint8_t colour[3] = {0};
    const deep_rectangle inner = deep__fit_rectangle(src, dst->width, colour);
    fill(dst, colour);
    return deep__resize_into(dst, inner.x, inner.y, inner.width, inner.height, src, filter);
}

deep_status deep_image_fit(deep_image **out, const deep_image *src, int32_t side, int32_t filter, int32_t fit)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__image_check(src));
    DEEP_TRY(deep__check_side(src->context, "side", side));
    DEEP_TRY(deep__check_filter(filter));
    DEEP_REQUIRE(fit == DEEP_FIT_SQUASH || fit == DEEP_FIT_PAD, "fit %" PRId32 " is not one of DEEP_FIT", fit);
    deep_image *dst;
    DEEP_TRY(deep__image_create(&dst, src->context, side, side, src->channels));
    const deep_status status =
        fit == DEEP_FIT_PAD ? fit_padded(dst, src, filter) : deep__resize_into(dst, 0, 0, side, side, src, filter);
    return deep__image_deliver(out, dst, status);
}
