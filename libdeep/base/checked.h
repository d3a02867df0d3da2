/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_CHECKED_H
#define DEEP_BASE_CHECKED_H

/* Arithmetic on sizes that came from outside: false when the result does not fit. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool deep__mul_size(size_t a, size_t b, size_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}

static inline bool deep__add_size(size_t a, size_t b, size_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}

static inline bool deep__mul_i64(int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}

static inline bool deep__add_i64(int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}

/* `size` rounded up to a multiple of `alignment`, a power of two. */
static inline bool deep__align_size(size_t size, size_t alignment, size_t *result)
{
    size_t sum;
    if (!deep__add_size(size, alignment - 1, &sum)) return false;
    *result = sum & ~(alignment - 1);
    return true;
}

#endif
