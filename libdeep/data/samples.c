/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include "data/sort.h"

#include <stdio.h>
#include <string.h>

static deep_status add(deep_samples *samples, deep_sample sample)
{
    DEEP_TRY(deep__grow(&samples->items, samples->pool.allocator, samples->count, &samples->capacity,
                        samples->count + 1, sizeof sample, "list of images"));
    samples->items[samples->count++] = sample;
    return DEEP_OK;
}

deep_status deep__samples_add(deep_samples *samples, const char *root, const char *name, size_t length, int32_t label)
{
    size_t before = strlen(root);
    char *path;
    while (before > 1 && root[before - 1] == '/')
        --before;
    const bool slash = before > 0 && root[before - 1] != '/';
    DEEP_TRY(deep__pool_reserve(&samples->pool, &path, before + slash + length + 1));
    memcpy(path, root, before);
    if (slash) path[before] = '/';
    char *end = path + before + slash;
    memcpy(end, name, length);
    end[length] = '\0';
    return add(samples, (deep_sample){.path = path, .name = end, .label = label});
}

deep_status deep__samples_add_image(deep_samples *samples, const deep_image *image, int32_t label)
{
    char name[24];
    const char *copy;
    const int length = snprintf(name, sizeof name, "%zu", samples->count);
    DEEP_TRY(deep__pool_text(&samples->pool, &copy, name, (size_t)length));
    return add(samples, (deep_sample){.image = image, .path = copy, .name = copy, .label = label});
}

deep_status deep__samples_add_copy(deep_samples *samples, const deep_sample *sample)
{
    deep_sample copy = {.image = sample->image, .label = sample->label};
    DEEP_TRY(deep__pool_text(&samples->pool, &copy.path, sample->path, strlen(sample->path)));
    copy.name = copy.path + (sample->name - sample->path);
    if (sample->group != NULL)
        DEEP_TRY(deep__pool_text(&samples->pool, &copy.group, sample->group, strlen(sample->group)));
    return add(samples, copy);
}

static int compare_samples(const void *a, const void *b)
{
    const deep_sample *first = a, *second = b;
    if (first->label != second->label) return first->label < second->label ? -1 : 1;
    return strcmp(first->name, second->name);
}

void deep__samples_sort(deep_samples *samples)
{
    deep__sort(samples->items, samples->count, sizeof *samples->items, compare_samples);
}

void deep__samples_free(deep_samples *samples)
{
    const deep_allocator *allocator = samples->pool.allocator;
    deep__free(allocator, samples->items);
    deep__pool_free(&samples->pool);
    *samples = deep__samples(allocator);
}
