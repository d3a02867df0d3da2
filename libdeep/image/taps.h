/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_TAPS_H
#define DEEP_IMAGE_TAPS_H

/* Which source positions, with which weights, make each position of a resized axis. */
#include "base/memory.h"
#include "base/resample.h"
#include "image/image.h"

typedef struct deep_taps {
    int32_t *first;  /* [count] first source position */
    int32_t *length; /* [count] positions used, 1 to `most` */
    float *weights;  /* [count][most], each row adds up to 1 */
    int32_t count;   /* positions of the result */
    int32_t most;
} deep_taps;

/* How `src` becomes width x height; `filter` is one of DEEP_FILTER_*. */
void deep__axes(deep_axis *columns, deep_axis *rows, int32_t filter, const deep_image *src, int32_t width,
                int32_t height);

/* For an axis with weights in floating point. Zero-initialise; free also after an error. */
deep_status deep__taps_build(deep_taps *taps, const deep_allocator *allocator, const deep_axis *axis);

void deep__taps_free(deep_taps *taps, const deep_allocator *allocator);

#endif
