/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TEST_FAILING_ALLOCATOR_H
#define DEEP_TEST_FAILING_ALLOCATOR_H

/* An allocator for contexts that counts what lives and refuses the n-th request, once or from then on. */
#include <deep/context.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct failing_allocator {
    long requests;  /* so far */
    long fail_at;   /* the request to refuse, from 1; 0 = none */
    bool forever;   /* refuse the later ones as well */
    long living;    /* blocks not freed yet */
    size_t largest; /* request so far, refused ones included */
} failing_allocator;

static inline void *failing_alloc(void *user, size_t size, size_t alignment)
{
    failing_allocator *allocator = user; /* shared with a loader's threads */
    const long request = __atomic_add_fetch(&allocator->requests, 1, __ATOMIC_RELAXED);
    if (size > __atomic_load_n(&allocator->largest, __ATOMIC_RELAXED))
        __atomic_store_n(&allocator->largest, size, __ATOMIC_RELAXED);
    const bool due = allocator->fail_at > 0 && request >= allocator->fail_at;
    if (due && (allocator->forever || request == allocator->fail_at)) return NULL;
    void *memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory != NULL) __atomic_add_fetch(&allocator->living, 1, __ATOMIC_RELAXED);
    return memory;
}

static inline void failing_free(void *user, void *memory)
{
    failing_allocator *allocator = user;
    if (memory != NULL) __atomic_sub_fetch(&allocator->living, 1, __ATOMIC_RELAXED);
    free(memory);
}

static inline deep_context_options failing_options(failing_allocator *allocator)
{
    deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT};
    options.alloc = failing_alloc;
    options.free = failing_free;
    options.alloc_user = allocator;
    options.device = "ref";
    return options;
}

#endif
