/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_PICTURES_H
#define DEEP_IMAGE_PICTURES_H

/*
 * What goes up to a device that resizes, turns and normalises by itself: pixels as they were decoded, unless they are more bytes than the
 * network's square has. Then the host resizes, with the same result.
 */
#include "base/picture.h"
#include "image/preprocess.h"

/* What a network's inputs are, or are made of, in the host's memory. */
typedef struct deep_batch {
    const void *images; /* float [n, size, size, 3], or deep_pictures; NULL = none */
    size_t bytes;       /* that go up */
    size_t room;        /* that the largest batch of this kind has */
    bool is_pictures;
} deep_batch;

static inline deep_batch deep__batch_of_floats(const float *images, size_t bytes)
{
    return (deep_batch){images, bytes, bytes, false};
}

/* Bytes of a block for so many pictures; false when that is too many. */
bool deep__pictures_room(size_t *bytes, const deep_preprocess *preprocess, int32_t capacity);

/* Makes a block of such memory, without pictures yet. */
void deep__pictures_init(deep_pictures *block, const deep_preprocess *preprocess, int32_t capacity);

/* There will be `images`, in the place of those that there were; returns where pixels begin in the block. */
size_t deep__pictures_begin(deep_pictures *block, int32_t images);

/* What goes up in the place of `src`, for the caller to free; NULL = `src` itself does. */
deep_status deep__picture_make(deep_image **out, const deep_image *src, const deep_preprocess *preprocess);

/* Bytes of its pixels: no more than those of a square of three channels. */
size_t deep__picture_bytes(const deep_image *picture);

/*
 * Writes the `index`-th picture, with its pixels at `offset`: from where they begin, one behind the other. Threads may do so side
 * by side, for pictures and offsets of their own.
 */
void deep__picture_put(deep_pictures *block, int32_t index, size_t offset, const deep_image *picture,
                       const deep_preprocess *preprocess, int32_t quarter_turns, int32_t mirror);

static inline deep_batch deep__batch_of_pictures(const deep_pictures *block, size_t end, size_t room)
{
    return (deep_batch){block, end, room, true};
}

#endif
