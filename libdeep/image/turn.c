/* SPDX-License-Identifier: Apache-2.0 */
#include "turn.h"

#include "image.h"

deep_turn_walk deep__turn_walk(int32_t width, int32_t height, int64_t pixel, int64_t stride, int32_t quarter_turns,
                               int32_t mirror)
{
    const int64_t right = (width - 1) * pixel, bottom = (height - 1) * stride;
    const deep_turn_walk walks[4] = {
        {0, pixel, stride},
        {right, stride, -pixel}, /* the top right corner comes to the top left */
        {right + bottom, -pixel, -stride},
        {bottom, -stride, pixel},
    };
    deep_turn_walk walk = walks[quarter_turns];
    if (mirror) {
        const int64_t turned_width = quarter_turns % 2 == 0 ? width : height;
        walk.origin += (turned_width - 1) * walk.step_x;
        walk.step_x = -walk.step_x;
    }
    return walk;
}

static void turn_row(uint8_t *dst, const uint8_t *src, int64_t step, int32_t width, int32_t channels)
{
    for (int32_t x = 0; x < width; ++x, src += step, dst += channels)
        for (int32_t c = 0; c < channels; ++c)
            dst[c] = src[c];
}

deep_status deep_image_turn(deep_image **out, const deep_image *src, int32_t quarter_turns, int32_t mirror)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__image_check(src));
    DEEP_REQUIRE(quarter_turns >= 0 && quarter_turns <= 3, "quarter_turns is %" PRId32 ", not 0 to 3", quarter_turns);
    DEEP_REQUIRE(mirror == 0 || mirror == 1, "mirror is %" PRId32 ", not 0 or 1", mirror);

    const bool swap = quarter_turns % 2 != 0;
    deep_image *dst;
    DEEP_TRY(deep__image_create(&dst, src->context, swap ? src->height : src->width, swap ? src->width : src->height,
                                src->channels));
    const deep_turn_walk walk =
        deep__turn_walk(src->width, src->height, src->channels, src->stride, quarter_turns, mirror);
    for (int32_t y = 0; y < dst->height; ++y)
        turn_row(deep__image_row_to_write(dst, y), src->data + walk.origin + y * walk.step_y, walk.step_x, dst->width,
                 dst->channels);
    *out = dst;
    return DEEP_OK;
}
