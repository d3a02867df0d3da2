/* SPDX-License-Identifier: Apache-2.0 */
#include "pictures.h"

#include "base/checked.h"
#include "colour.h"
#include "fit.h"
#include "resize.h"
#include "taps.h"
#include "turn.h"

#include <deep/model.h>
#include <string.h>

static size_t square_bytes(const deep_preprocess *preprocess)
{
    return (size_t)preprocess->size * (size_t)preprocess->size * 3;
}

bool deep__pictures_room(size_t *bytes, const deep_preprocess *preprocess, int32_t capacity)
{
    const size_t side = (size_t)preprocess->size;
    size_t each, all;
    return deep__mul_size(side * 3, side, &each) && deep__add_size(each, sizeof(deep_picture), &each) &&
           deep__mul_size(each, (size_t)capacity, &all) && deep__add_size(all, sizeof(deep_pictures), bytes);
}

void deep__pictures_init(deep_pictures *block, const deep_preprocess *preprocess, int32_t capacity)
{
    *block = (deep_pictures){.capacity = capacity, .size = preprocess->size};
    block->weighted = preprocess->filter != DEEP_FILTER_BILINEAR;
    block->reversed = deep__preprocess_values(block->values, preprocess);
}

static deep_picture *picture_at(deep_pictures *block, int32_t index)
{
    return (deep_picture *)(block + 1) + index;
}

size_t deep__pictures_begin(deep_pictures *block, int32_t images)
{
    block->images = images;
    return sizeof *block + (size_t)block->capacity * sizeof(deep_picture);
}

size_t deep__picture_bytes(const deep_image *picture)
{
    return (size_t)picture->width * (size_t)picture->height * (size_t)picture->channels;
}

deep_status deep__picture_make(deep_image **out, const deep_image *src, const deep_preprocess *preprocess)
{
    *out = NULL;
    DEEP_TRY(deep__image_check(src));
    DEEP_TRY(deep__check_side(src->context, "side", preprocess->size));
    if (preprocess->channels == 1 && src->channels == 3) DEEP_TRY(deep__image_convert(out, src, 1));
    const deep_image *picture = *out == NULL ? src : *out;
    if (deep__picture_bytes(picture) <= square_bytes(preprocess)) return DEEP_OK;
    deep_image *square;
    const deep_status status = deep_image_fit(&square, picture, preprocess->size, preprocess->filter, preprocess->fit);
    deep_image_free(*out);
    *out = square;
    return status;
}

static void copy_pixels(uint8_t *to, const deep_image *picture)
{
    const size_t row = (size_t)picture->width * (size_t)picture->channels;
    for (int32_t y = 0; y < picture->height; ++y, to += row)
        memcpy(to, deep__image_row(picture, y), row);
}

static void place(deep_picture *to, const deep_image *picture, const deep_preprocess *preprocess)
{
    deep_rectangle whole = {.width = preprocess->size, .height = preprocess->size};
    if (preprocess->fit == DEEP_FIT_PAD) whole = deep__fit_rectangle(picture, preprocess->size, to->around);
    to->x = whole.x;
    to->y = whole.y;
    deep__axes(&to->columns, &to->rows, preprocess->filter, picture, whole.width, whole.height);
}

void deep__picture_put(deep_pictures *block, int32_t index, size_t offset, const deep_image *picture,
                       const deep_preprocess *preprocess, int32_t quarter_turns, int32_t mirror)
{
    const int32_t size = preprocess->size;
    const deep_turn_walk walk = deep__turn_walk(size, size, 1, size, quarter_turns, mirror);
    deep_picture *to = picture_at(block, index);
    *to = (deep_picture){.offset = (int64_t)offset,
                         .channels = picture->channels,
                         .origin = (int32_t)walk.origin,
                         .step_x = (int32_t)walk.step_x,
                         .step_y = (int32_t)walk.step_y};
    place(to, picture, preprocess);
    copy_pixels((uint8_t *)block + offset, picture);
}
