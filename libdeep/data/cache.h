/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_CACHE_H
#define DEEP_DATA_CACHE_H

/* Decoded squares, kept until the cache is freed; nothing is evicted, so a square that was got stays valid. Not locked.
 */
#include "image/image.h"

typedef struct deep_cache {
    const deep_allocator *allocator;
    deep_image **squares; /* one for each sample; NULL = not here */
    size_t count;
    int64_t left; /* bytes that may still be taken */
} deep_cache;

deep_status deep__cache_create(deep_cache *cache, const deep_allocator *allocator, size_t count, int64_t bytes);

/* The square of sample `index`, or NULL. */
const deep_image *deep__cache_get(const deep_cache *cache, size_t index);

/* Takes `square` over; false when it is the caller's still: no room, or there is one already. */
bool deep__cache_put(deep_cache *cache, size_t index, deep_image *square);

void deep__cache_free(deep_cache *cache);

#endif
