/* SPDX-License-Identifier: Apache-2.0 */
#include "dataset.h"

#include <string.h>

deep_status deep__dataset_new(deep_dataset **out, deep_context *context, const deep_classes *classes)
{
    deep_dataset *dataset;
    *out = NULL;
    DEEP_TRY(deep__alloc_zero(&dataset, &context->allocator, 1, sizeof *dataset, "data set"));
    dataset->context = context;
    dataset->samples = deep__samples(&context->allocator);
    dataset->bad_pool = deep__pool(&context->allocator);
    deep_status status = deep__classes_copy(&dataset->classes, &context->allocator, classes);
    if (status == DEEP_OK)
        status = deep__alloc_zero(&dataset->class_sizes, &context->allocator, (size_t)classes->count,
                                  sizeof *dataset->class_sizes, "classes");
    if (status != DEEP_OK) {
        deep_dataset_free(dataset);
        return status;
    }
    *out = dataset;
    return DEEP_OK;
}

deep_status deep__dataset_image(const deep_image **image, deep_image **decoded, const deep_dataset *dataset,
                                size_t index)
{
    const deep_sample *sample = &dataset->samples.items[index];
    *decoded = NULL;
    if (sample->image == NULL) DEEP_TRY(deep_image_load(decoded, dataset->context, sample->path, NULL));
    *image = sample->image == NULL ? *decoded : sample->image;
    return DEEP_OK;
}

void deep__dataset_count(deep_dataset *dataset)
{
    memset(dataset->class_sizes, 0, (size_t)dataset->classes->count * sizeof *dataset->class_sizes);
    for (size_t i = 0; i < dataset->samples.count; ++i)
        ++dataset->class_sizes[dataset->samples.items[i].label];
}

deep_status deep__dataset_drop(deep_dataset *dataset, char *const *reasons, size_t dropped)
{
    deep_samples *samples = &dataset->samples;
    size_t kept = 0;
    DEEP_TRY(deep__alloc_zero(&dataset->bad, &dataset->context->allocator, dropped, sizeof *dataset->bad,
                              "list of bad images"));
    for (size_t i = 0; i < samples->count; ++i) {
        if (reasons[i] == NULL) {
            samples->items[kept++] = samples->items[i];
            continue;
        }
        deep_bad_image *bad = &dataset->bad[dataset->bad_count];
        bad->path = samples->items[i].path;
        DEEP_TRY(deep__pool_text(&dataset->bad_pool, &bad->reason, reasons[i], strlen(reasons[i])));
        ++dataset->bad_count;
    }
    samples->count = kept;
    deep__dataset_count(dataset);
    return DEEP_OK;
}

void deep_dataset_free(deep_dataset *dataset)
{
    if (dataset == NULL) return;
    const deep_allocator *allocator = &dataset->context->allocator;
    deep__samples_free(&dataset->samples);
    deep__pool_free(&dataset->bad_pool);
    deep_classes_free(dataset->classes);
    deep__free(allocator, dataset->bad);
    deep__free(allocator, dataset->class_sizes);
    deep__free(allocator, dataset);
}

static const deep_sample *sample_at(const deep_dataset *dataset, int64_t index)
{
    if (dataset == NULL || index < 0 || (uint64_t)index >= dataset->samples.count) return NULL;
    return &dataset->samples.items[index];
}

static const deep_bad_image *bad_at(const deep_dataset *dataset, int64_t index)
{
    if (dataset == NULL || index < 0 || (uint64_t)index >= dataset->bad_count) return NULL;
    return &dataset->bad[index];
}

int64_t deep_dataset_size(const deep_dataset *dataset)
{
    return dataset == NULL ? 0 : (int64_t)dataset->samples.count;
}

const deep_classes *deep_dataset_classes(const deep_dataset *dataset)
{
    return dataset == NULL ? NULL : dataset->classes;
}

int64_t deep_dataset_class_size(const deep_dataset *dataset, int32_t index)
{
    return dataset == NULL || index < 0 || index >= dataset->classes->count ? 0 : dataset->class_sizes[index];
}

const char *deep_dataset_path(const deep_dataset *dataset, int64_t index)
{
    const deep_sample *sample = sample_at(dataset, index);
    return sample == NULL || sample->image != NULL ? NULL : sample->path;
}

const char *deep_dataset_name(const deep_dataset *dataset, int64_t index)
{
    const deep_sample *sample = sample_at(dataset, index);
    return sample == NULL ? NULL : sample->name;
}

int32_t deep_dataset_label(const deep_dataset *dataset, int64_t index)
{
    const deep_sample *sample = sample_at(dataset, index);
    return sample == NULL ? -1 : sample->label;
}

const char *deep_dataset_group(const deep_dataset *dataset, int64_t index)
{
    const deep_sample *sample = sample_at(dataset, index);
    if (sample == NULL) return NULL;
    return sample->group == NULL ? sample->name : sample->group;
}

int64_t deep_dataset_bad_count(const deep_dataset *dataset)
{
    return dataset == NULL ? 0 : (int64_t)dataset->bad_count;
}

const char *deep_dataset_bad_path(const deep_dataset *dataset, int64_t index)
{
    const deep_bad_image *bad = bad_at(dataset, index);
    return bad == NULL ? NULL : bad->path;
}

const char *deep_dataset_bad_reason(const deep_dataset *dataset, int64_t index)
{
    const deep_bad_image *bad = bad_at(dataset, index);
    return bad == NULL ? NULL : bad->reason;
}
