/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_PNG_MEMORY_H
#define DEEP_IMAGE_PNG_MEMORY_H

/* libpng's memory: the context's allocator within a budget, for the reader and the writer. */
#include "core/context.h"

#include <png.h>
#include <string.h>

typedef struct png_memory {
    const deep_allocator *allocator;
    int64_t left;       /* bytes that may still be asked for */
    deep_status status; /* why a request was refused */
} png_memory;

/* In front of each block, so that its size is known when it is freed; keeps the block's alignment. */
enum { PNG_BLOCK_HEADER = DEEP_ALIGNMENT };

static inline png_voidp png_memory_alloc(png_structp png, png_alloc_size_t size)
{
    png_memory *memory = png_get_mem_ptr(png);
    if (memory->left < PNG_BLOCK_HEADER || size > (uint64_t)(memory->left - PNG_BLOCK_HEADER)) {
        memory->status =
            deep__fail(DEEP_ERROR_LIMIT, "libpng asks for %zu bytes, %" PRId64 " are left", size, memory->left);
        return NULL;
    }
    char *block;
    const size_t bytes = size + PNG_BLOCK_HEADER;
    const deep_status status = deep__alloc(&block, memory->allocator, bytes, 1, "libpng");
    if (status != DEEP_OK) {
        memory->status = status;
        return NULL;
    }
    memcpy(block, &bytes, sizeof bytes);
    memory->left -= (int64_t)bytes;
    return block + PNG_BLOCK_HEADER;
}

static inline void png_memory_free(png_structp png, png_voidp data)
{
    if (data == NULL) return;
    png_memory *memory = png_get_mem_ptr(png);
    char *block = (char *)data - PNG_BLOCK_HEADER;
    size_t bytes;
    memcpy(&bytes, block, sizeof bytes);
    memory->left += (int64_t)bytes;
    deep__free(memory->allocator, block);
}

#endif
