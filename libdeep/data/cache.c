/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

deep_status deep__cache_create(deep_cache *cache, const deep_allocator *allocator, size_t count, int64_t bytes)
{
    *cache = (deep_cache){.allocator = allocator, .left = bytes};
    if (bytes <= 0) return DEEP_OK;
    DEEP_TRY(deep__alloc_zero(&cache->squares, allocator, count, sizeof *cache->squares, "image cache"));
    cache->count = count;
    return DEEP_OK;
}

const deep_image *deep__cache_get(const deep_cache *cache, size_t index)
{
    return index < cache->count ? cache->squares[index] : NULL;
}

bool deep__cache_put(deep_cache *cache, size_t index, deep_image *square)
{
    if (index >= cache->count || cache->squares[index] != NULL) return false;
    const int64_t bytes = square->stride * square->height + (int64_t)sizeof *square;
    if (bytes > cache->left) return false;
    cache->left -= bytes;
    cache->squares[index] = square;
    return true;
}

void deep__cache_free(deep_cache *cache)
{
    for (size_t i = 0; i < cache->count; ++i)
        deep_image_free(cache->squares[i]);
    deep__free(cache->allocator, cache->squares);
    *cache = (deep_cache){.allocator = cache->allocator};
}
