/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_SAMPLES_H
#define DEEP_DATA_SAMPLES_H

/* A growing list of labelled images: files, or images that somebody else decoded. */
#include "data/pool.h"

#include <deep/image.h>

typedef struct deep_sample {
    const deep_image *image; /* borrowed; NULL = a file */
    const char *path;        /* as it can be opened, or the name of an image in memory; in the pool, likewise below */
    const char *name;        /* the end of `path` that is relative to the root */
    const char *group;       /* NULL = the name */
    int32_t label;
} deep_sample;

typedef struct deep_samples {
    deep_pool pool;
    deep_sample *items;
    size_t count;
    size_t capacity;
} deep_samples;

static inline deep_samples deep__samples(const deep_allocator *allocator)
{
    return (deep_samples){.pool = deep__pool(allocator)};
}

/* Adds root/name, or name alone when `root` is empty. */
deep_status deep__samples_add(deep_samples *samples, const char *root, const char *name, size_t length, int32_t label);

/* Adds an image in memory, named after its place in the list. */
deep_status deep__samples_add_image(deep_samples *samples, const deep_image *image, int32_t label);

/* Adds a copy of a sample of another list. */
deep_status deep__samples_add_copy(deep_samples *samples, const deep_sample *sample);

/* By label, then name by byte value: the order of an opened data set, whatever the system listed first. */
void deep__samples_sort(deep_samples *samples);

void deep__samples_free(deep_samples *samples);

#endif
