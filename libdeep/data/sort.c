/* SPDX-License-Identifier: Apache-2.0 */
#include "sort.h"

#include <assert.h>
#include <string.h>

/* Moves the element at `root` down until the heap of `count` elements is in order again. */
static void sift_down(char *base, size_t root, size_t count, size_t size, deep_compare_fn compare)
{
    char moving[DEEP_SORT_ELEMENT_MAX];
    memcpy(moving, base + root * size, size);
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(base + child * size, base + (child + 1) * size) < 0) ++child;
        if (compare(moving, base + child * size) >= 0) break;
        memcpy(base + root * size, base + child * size, size);
    }
    memcpy(base + root * size, moving, size);
}

void deep__sort(void *base, size_t count, size_t size, deep_compare_fn compare)
{
    assert(size <= DEEP_SORT_ELEMENT_MAX);
    char *elements = base, largest[DEEP_SORT_ELEMENT_MAX];
    for (size_t root = count / 2; root-- > 0;)
        sift_down(elements, root, count, size, compare);
    for (size_t last = count; last-- > 1;) {
        memcpy(largest, elements, size);
        memcpy(elements, elements + last * size, size);
        memcpy(elements + last * size, largest, size);
        sift_down(elements, 0, last, size, compare);
    }
}

int deep__compare_keys(const void *a, const void *b)
{
    const deep_sort_key *first = a, *second = b;
    if (first->key != second->key) return first->key < second->key ? -1 : 1;
    return (first->index > second->index) - (first->index < second->index);
}
