/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_POOL_H
#define DEEP_DATA_POOL_H

#include "base/memory.h"

/* Many short texts that are freed together. */
typedef struct deep_pool {
    const deep_allocator *allocator;
    struct pool_chunk *chunks; /* newest first */
    char *next;                /* free bytes of the newest chunk */
    size_t left;
} deep_pool;

static inline deep_pool deep__pool(const deep_allocator *allocator)
{
    return (deep_pool){.allocator = allocator};
}

/* `size` bytes that live as long as the pool, without alignment. */
deep_status deep__pool_reserve(deep_pool *pool, char **out, size_t size);

/* A copy of `length` bytes with a NUL behind them. */
deep_status deep__pool_text(deep_pool *pool, const char **out, const char *text, size_t length);

void deep__pool_free(deep_pool *pool);

#endif
