/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "data/workers.h"

#include <deep/image.h>
#include <string.h>

enum { BAD_IMAGES_MAX_PERCENT = 1 };

typedef struct check {
    const deep_dataset *dataset;
    char **reasons; /* one for each sample; NULL = it can be decoded */
} check;

bool deep__is_bad_image(deep_status status)
{
    switch (status) {
    case DEEP_ERROR_IO:
    case DEEP_ERROR_FORMAT:
    case DEEP_ERROR_TRUNCATED:
    case DEEP_ERROR_UNSUPPORTED:
    case DEEP_ERROR_LIMIT:
    case DEEP_ERROR_NOT_FOUND:
        return true;
    default:
        return false;
    }
}

/* The error text without the path that it begins with. */
static const char *reason_of(const char *path)
{
    const char *text = deep_last_error();
    const size_t length = strlen(path);
    return strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0 ? text + length + 2 : text;
}

static deep_status check_image(void *user, size_t index)
{
    const check *c = user;
    const char *path = c->dataset->samples.items[index].path;
    deep_image *image;
    const deep_status status = deep_image_load(&image, c->dataset->context, path, NULL);
    deep_image_free(image);
    if (!deep__is_bad_image(status)) return status;
    const char *reason = reason_of(path);
    return deep__copy_text(&c->reasons[index], &c->dataset->context->allocator, reason, strlen(reason));
}

/* Counts the bad images, and for each class; `*first` is the first one's index. */
static size_t count_bad(const check *c, int64_t *of_class, size_t *first)
{
    size_t bad = 0;
    for (size_t i = 0; i < c->dataset->samples.count; ++i) {
        if (c->reasons[i] == NULL) continue;
        const deep_sample *sample = &c->dataset->samples.items[i];
        deep__log(&c->dataset->context->logger, DEEP_LOG_WARNING, "%s: left out: %s", sample->path, c->reasons[i]);
        ++of_class[sample->label];
        if (bad++ == 0) *first = i;
    }
    return bad;
}

static deep_status judge(const check *c, int32_t policy, const int64_t *of_class, size_t bad, size_t first)
{
    const deep_dataset *dataset = c->dataset;
    const size_t count = dataset->samples.count;
    if (bad == 0) return DEEP_OK;
    const char *path = dataset->samples.items[first].path, *reason = c->reasons[first];
    if (policy == DEEP_BAD_IMAGE_REFUSE)
        return deep__fail(DEEP_ERROR_DATASET, "%zu of %zu images cannot be decoded, the first: %s: %s", bad, count,
                          path, reason);
    for (int32_t i = 0; i < dataset->classes->count; ++i)
        if (of_class[i] > 0 && of_class[i] == dataset->class_sizes[i])
            return deep__fail(DEEP_ERROR_DATASET,
                              "none of the %" PRId64 " images of class '%s' can be decoded (%zu of %zu in all), "
                              "the first: %s: %s",
                              of_class[i], dataset->classes->items[i].name, bad, count, path, reason);
    if (bad * 100 > count * BAD_IMAGES_MAX_PERCENT)
        return deep__fail(DEEP_ERROR_DATASET, "%zu of %zu images cannot be decoded, more than %d %%; the first: %s: %s",
                          bad, count, BAD_IMAGES_MAX_PERCENT, path, reason);
    return DEEP_OK;
}

deep_status deep__dataset_check(deep_dataset *dataset, int32_t policy, int32_t threads)
{
    const deep_allocator *allocator = &dataset->context->allocator;
    const size_t count = dataset->samples.count;
    check c = {.dataset = dataset};
    int64_t *of_class = NULL;
    size_t bad = 0, first = 0;
    DEEP_TRY(deep__alloc_zero(&c.reasons, allocator, count, sizeof *c.reasons, "list of bad images"));
    deep_status status =
        deep__alloc_zero(&of_class, allocator, (size_t)dataset->classes->count, sizeof *of_class, "classes");
    if (status == DEEP_OK) status = deep__for_each_index(dataset->context, threads, count, check_image, &c);
    if (status == DEEP_OK) bad = count_bad(&c, of_class, &first);
    if (status == DEEP_OK) status = judge(&c, policy, of_class, bad, first);
    if (status == DEEP_OK && bad > 0) status = deep__dataset_drop(dataset, c.reasons, bad);
    for (size_t i = 0; i < count; ++i)
        deep__free(allocator, c.reasons[i]);
    deep__free(allocator, c.reasons);
    deep__free(allocator, of_class);
    return status;
}
