/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_SORT_H
#define DEEP_DATA_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Below, at or above 0 as the element at `a` comes before, with or after the one at `b`. */
typedef int (*deep_compare_fn)(const void *a, const void *b);

/* Sorts in place. Unlike qsort() it never allocates; not stable, so a comparison must break its own ties. */
void deep__sort(void *base, size_t count, size_t size, deep_compare_fn compare);

/* An element to be ordered by a random key; equal keys are ordered by index. */
typedef struct deep_sort_key {
    uint64_t key;
    int64_t index;
} deep_sort_key;

int deep__compare_keys(const void *a, const void *b);

#endif
