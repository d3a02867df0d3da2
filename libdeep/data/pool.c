/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include "base/checked.h"

#include <string.h>

enum { CHUNK_SIZE = 64 * 1024 };

struct pool_chunk {
    struct pool_chunk *older;
    char bytes[];
};

deep_status deep__pool_reserve(deep_pool *pool, char **out, size_t size)
{
    if (size > pool->left) {
        struct pool_chunk *chunk;
        const size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        size_t total;
        if (!deep__add_size(room, sizeof *chunk, &total))
            return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "text of %zu bytes does not fit in memory", size);
        DEEP_TRY(deep__alloc(&chunk, pool->allocator, total, 1, "text"));
        chunk->older = pool->chunks;
        pool->chunks = chunk;
        pool->next = chunk->bytes;
        pool->left = room;
    }
    *out = pool->next;
    pool->next += size;
    pool->left -= size;
    return DEEP_OK;
}

deep_status deep__pool_text(deep_pool *pool, const char **out, const char *text, size_t length)
{
    char *copy = NULL;
    DEEP_TRY(deep__pool_reserve(pool, &copy, length + 1));
    if (length > 0) memcpy(copy, text, length);
    copy[length] = '\0';
    *out = copy;
    return DEEP_OK;
}

void deep__pool_free(deep_pool *pool)
{
    while (pool->chunks != NULL) {
        struct pool_chunk *older = pool->chunks->older;
        deep__free(pool->allocator, pool->chunks);
        pool->chunks = older;
    }
    *pool = deep__pool(pool->allocator);
}
