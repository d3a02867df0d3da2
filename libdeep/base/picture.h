/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_PICTURE_H
#define DEEP_BASE_PICTURE_H

/*
 * Pictures from which a device makes network inputs, in one block of memory that is uploaded as it stands: deep_pictures, then
 * deep_picture of each, then their pixels. What C11 and CUDA C++ have in common.
 */
#include "base/resample.h"

/* Grey or RGB pixels without gaps, that are resized into a rectangle of a square, which is turned then. */
typedef struct deep_picture {
    int64_t offset;          /* of the pixels, in bytes from the block's begin */
    deep_axis columns, rows; /* dst is the rectangle's width and height */
    int32_t x, y;            /* of its top left corner */
    int32_t channels;        /* 1 or 3 */
    int32_t origin;          /* pixel (x, y) of the result is pixel origin + x step_x + y step_y of the square */
    int32_t step_x, step_y;  /* (image/turn.h) */
    uint8_t around[4];       /* what is around the rectangle, for each channel */
} deep_picture;

typedef struct deep_pictures {
    int32_t images; /* pictures that follow, of `capacity` */
    int32_t capacity;
    int32_t size;     /* side of the square in pixels */
    int32_t weighted; /* 1 = all axes have weights in floating point, 0 = none */
    int32_t reversed; /* 1 = blue comes first in the result */
    int32_t reserved;
    float values[3][256]; /* of the levels, for each channel in the result's order */
} deep_pictures;

#endif
