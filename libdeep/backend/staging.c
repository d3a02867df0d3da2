/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/staging.h"

#include "backend/backend.h"
#include "base/checked.h"

#include <unistd.h>

/* In front of each block, in a line of its own. */
typedef struct block_head {
    bool is_locked;
} block_head;

static const deep_accelerators *accelerators_of(const deep_context *context)
{
    return context->accelerator == NULL ? NULL : context->backend->accelerators;
}

static void *alloc_locked(const deep_context *context, size_t bytes)
{
    void *memory = NULL;
    if (accelerators_of(context)->alloc_locked(context->accelerator, &memory, bytes) == DEEP_OK) return memory;
    deep__log(&context->logger, DEEP_LOG_INFO, "batches stand in pageable memory: %s", deep_last_error());
    return NULL;
}

static void *staging_alloc(void *user, size_t size, size_t alignment)
{
    const deep_context *context = user;
    size_t bytes;
    if (!deep__add_size(size, DEEP_ALIGNMENT, &bytes)) return NULL;
    block_head *head = alloc_locked(context, bytes);
    const bool is_locked = head != NULL;
    if (!is_locked) head = context->allocator.alloc(context->allocator.user, bytes, alignment);
    if (head == NULL) return NULL;
    head->is_locked = is_locked;
    return (char *)head + DEEP_ALIGNMENT;
}

static void staging_free(void *user, void *memory)
{
    const deep_context *context = user;
    void *block = (char *)memory - DEEP_ALIGNMENT;
    const block_head *head = block;
    if (!head->is_locked)
        context->allocator.free(context->allocator.user, block);
    else if (context->pid == getpid())
        accelerators_of(context)->free_locked(context->accelerator, block);
}

deep_allocator deep__staging(deep_context *context)
{
    const deep_accelerators *accelerators = accelerators_of(context);
    if (accelerators == NULL || accelerators->alloc_locked == NULL) return context->allocator;
    return (deep_allocator){staging_alloc, staging_free, context};
}
