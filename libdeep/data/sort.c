/* SPDX-License-Identifier: Apache-2.0 */
#include "sort.h"

#include <string.h>

static void swap(char *a, char *b, size_t size)
{
    char held[64];
    while (size > 0) {
        const size_t part = size < sizeof held ? size : sizeof held;
        memcpy(held, a, part);
        memcpy(a, b, part);
        memcpy(b, held, part);
        a += part;
        b += part;
        size -= part;
    }
}

/* Moves the element at `root` down until the heap of `count` elements is in order again. */
static void sift_down(char *base, size_t root, size_t count, size_t size, deep_compare_fn compare)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(base + child * size, base + (child + 1) * size) < 0) ++child;
        if (compare(base + root * size, base + child * size) >= 0) break;
        swap(base + root * size, base + child * size, size);
    }
}

void deep__sort(void *base, size_t count, size_t size, deep_compare_fn compare)
{
    char *elements = base;
    for (size_t root = count / 2; root-- > 0;)
        sift_down(elements, root, count, size, compare);
    for (size_t last = count; last-- > 1;) {
        swap(elements, elements + last * size, size);
        sift_down(elements, 0, last, size, compare);
    }
}

int deep__compare_keys(const void *a, const void *b)
{
    const deep_sort_key *first = a, *second = b;
    if (first->key != second->key) return first->key < second->key ? -1 : 1;
    return (first->index > second->index) - (first->index < second->index);
}
