/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* madvise */
#include "memory.h"

#include "checked.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Weights and intermediate results in large pages: each is entered once instead of 512 times, and the processor's table of
 * addresses reaches 512 times as far. A system that has none, or a request that is turned down, gives ordinary pages. What
 * is not whole pages stays in ordinary ones, so that no more memory is taken.
 */
enum { LARGE_PAGE = 2 << 20, LARGE_REQUEST = 2 * LARGE_PAGE };

static void *system_alloc(void *user, size_t size, size_t alignment)
{
    (void)user;
    void *memory = NULL;
    const bool large = size >= LARGE_REQUEST && alignment <= LARGE_PAGE;
    if (posix_memalign(&memory, large ? LARGE_PAGE : alignment, size) != 0) return NULL;
#ifdef MADV_HUGEPAGE
    if (large) (void)madvise(memory, size & ~(size_t)(LARGE_PAGE - 1), MADV_HUGEPAGE);
#endif
    return memory;
}

static void system_free(void *user, void *memory)
{
    (void)user;
    free(memory);
}

deep_allocator deep__allocator_default(void)
{
    return (deep_allocator){system_alloc, system_free, NULL};
}

deep_status deep__alloc(void *out, const deep_allocator *allocator, size_t count, size_t size, const char *what)
{
    void *memory = NULL;
    memcpy(out, &memory, sizeof memory);
    size_t bytes;
    if (!deep__mul_size(count, size, &bytes))
        return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "%zu x %zu bytes for %s do not fit in memory", count, size, what);
    memory = allocator->alloc(allocator->user, bytes ? bytes : 1, DEEP_ALIGNMENT);
    if (memory == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
    memcpy(out, &memory, sizeof memory);
    return DEEP_OK;
}

deep_status deep__alloc_zero(void *out, const deep_allocator *allocator, size_t count, size_t size, const char *what)
{
    DEEP_TRY(deep__alloc(out, allocator, count, size, what));
    void *memory;
    memcpy(&memory, out, sizeof memory);
    memset(memory, 0, count * size);
    return DEEP_OK;
}

deep_status deep__grow(void *array, const deep_allocator *allocator, size_t used, size_t *capacity, size_t wanted,
                       size_t size, const char *what)
{
    if (wanted <= *capacity) return DEEP_OK;
    size_t larger = *capacity < 8 ? 8 : *capacity;
    while (larger < wanted)
        if (!deep__mul_size(larger, 2, &larger)) larger = wanted;
    void *fresh, *old;
    DEEP_TRY(deep__alloc(&fresh, allocator, larger, size, what));
    memcpy(&old, array, sizeof old);
    if (used > 0) memcpy(fresh, old, used * size);
    deep__free(allocator, old);
    memcpy(array, &fresh, sizeof fresh);
    *capacity = larger;
    return DEEP_OK;
}

deep_status deep__copy_text(char **out, const deep_allocator *allocator, const char *text, size_t length)
{
    size_t bytes;
    *out = NULL;
    if (!deep__add_size(length, 1, &bytes)) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "text of %zu bytes", length);
    DEEP_TRY(deep__alloc(out, allocator, bytes, 1, "text"));
    if (length > 0) memcpy(*out, text, length);
    (*out)[length] = '\0';
    return DEEP_OK;
}

void deep__free(const deep_allocator *allocator, void *memory)
{
    if (memory != NULL) allocator->free(allocator->user, memory);
}

void deep__options_init(void *options, size_t size)
{
    if (options == NULL || size < sizeof size) return;
    memset(options, 0, size);
    memcpy(options, &size, sizeof size);
}

static bool is_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (bytes[i] != 0) return false;
    return true;
}

deep_status deep__options_read(void *known, size_t size, size_t first, const void *options, const char *name)
{
    if (options == NULL) return DEEP_OK;
    size_t given;
    memcpy(&given, options, sizeof given);
    DEEP_REQUIRE(given >= first, "%s.struct_size is %zu, expected at least %zu: use the _init function", name, given,
                 first);
    if (given > size && !is_zero((const unsigned char *)options + size, given - size))
        return deep__fail(DEEP_ERROR_UNSUPPORTED,
                          "%s has fields that this library does not know (%zu bytes, known %zu)", name, given, size);
    memcpy(known, options, given < size ? given : size);
    return DEEP_OK;
}

deep_status deep__result_write(void *result_out, size_t first, void *result, size_t size, const char *name)
{
    DEEP_REQUIRE(result_out != NULL, "%s is NULL", name);
    size_t given;
    memcpy(&given, result_out, sizeof given);
    DEEP_REQUIRE(given >= first, "%s.struct_size is %zu, expected at least %zu", name, given, first);
    memcpy(result, &given, sizeof given);
    memcpy(result_out, result, given < size ? given : size);
    return DEEP_OK;
}
