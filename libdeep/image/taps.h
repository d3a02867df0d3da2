/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_TAPS_H
#define DEEP_IMAGE_TAPS_H

/* Which source positions, with which weights, make each position of a resized axis. */
#include "base/memory.h"

typedef struct deep_taps {
    int32_t *first;  /* [count] first source position */
    int32_t *length; /* [count] positions used, 1 to `most` */
    float *weights;  /* [count][most], each row adds up to 1 */
    int32_t count;   /* positions of the result */
    int32_t most;
} deep_taps;

/* `filter` is one of DEEP_FILTER_*; sides are at least 1. Zero-initialise; free also after an error. */
deep_status deep__taps_build(deep_taps *taps, const deep_allocator *allocator, int32_t filter, int32_t src,
                             int32_t dst);

void deep__taps_free(deep_taps *taps, const deep_allocator *allocator);

#endif
