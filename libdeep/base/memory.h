/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_MEMORY_H
#define DEEP_BASE_MEMORY_H

/* Every allocation of libdeep goes through a deep_allocator, the context's. */
#include "error.h"

#include <deep/context.h>
#include <stdbool.h>

typedef struct deep_allocator {
    deep_alloc_fn alloc;
    deep_free_fn free;
    void *user;
} deep_allocator;

enum { DEEP_ALIGNMENT = 64 }; /* of what deep__alloc() gives: a cache line and an AVX-512 vector */

/* The C library's allocator. */
deep_allocator deep__allocator_default(void);

/* count x size bytes (at least 1), uninitialised; `*out` is NULL on error. `what` names the purpose in the error text. */
deep_status deep__alloc(void *out, const deep_allocator *allocator, size_t count, size_t size, const char *what);

/* deep__alloc(), zero-filled. */
deep_status deep__alloc_zero(void *out, const deep_allocator *allocator, size_t count, size_t size, const char *what);

/* A grown (or first) copy of `*array`, which is freed; `*array` stays as it was on error. Counts are elements. */
deep_status deep__grow(void *array, const deep_allocator *allocator, size_t used, size_t *capacity, size_t wanted,
                       size_t size, const char *what);

/* A copy of the first `length` bytes with a NUL behind them. */
deep_status deep__copy_text(char **out, const deep_allocator *allocator, const char *text, size_t length);

void deep__free(const deep_allocator *allocator, void *memory);

/* ---- options: structs that begin with struct_size ---- */

/* Clears `size` bytes and sets struct_size; `size` of 0 and NULL do nothing. */
void deep__options_init(void *options, size_t size);

/*
 * Copies the caller's options over `known`, which the caller has zeroed.
 * NULL `options` leaves zeros; a struct smaller than `first` (its size in the first release) is an invalid argument;
 * a larger one than `size` with a non-zero tail is unsupported.
 */
deep_status deep__options_read(void *known, size_t size, size_t first, const void *options, const char *name);

/* Copies `result` out to a caller's struct whose struct_size is set: as many bytes as it has room for. */
deep_status deep__result_write(void *result_out, size_t first, void *result, size_t size, const char *name);

#endif
