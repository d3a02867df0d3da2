/* SPDX-License-Identifier: Apache-2.0 */
#include "classes.h"

#include "base/text.h"
#include "data/sort.h"

#include <string.h>

deep_status deep__classes_new(deep_classes **out, const deep_allocator *allocator, int32_t count)
{
    deep_classes *classes;
    *out = NULL;
    DEEP_TRY(deep__alloc_zero(&classes, allocator, 1, sizeof *classes, "class table"));
    classes->allocator = *allocator;
    classes->pool = deep__pool(&classes->allocator);
    classes->count = count;
    const deep_status status =
        deep__alloc_zero(&classes->items, allocator, (size_t)count, sizeof(deep_class), "classes");
    if (status != DEEP_OK) {
        deep_classes_free(classes);
        return status;
    }
    *out = classes;
    return DEEP_OK;
}

deep_status deep__classes_set(deep_classes *classes, int32_t index, const char *folder, const char *name, size_t length,
                              int64_t aphia_id)
{
    deep_class *item = &classes->items[index];
    DEEP_TRY(deep__pool_text(&classes->pool, &item->name, name, length));
    item->folder = item->name;
    item->aphia_id = aphia_id;
    if (folder == NULL) return DEEP_OK;
    return deep__pool_text(&classes->pool, &item->folder, folder, strlen(folder));
}

deep_status deep__classes_set_info(deep_classes *classes, int32_t index, const char *info, size_t length)
{
    return length == 0 ? DEEP_OK : deep__pool_text(&classes->pool, &classes->items[index].info, info, length);
}

typedef struct named_class {
    const char *name;
    int32_t index;
} named_class;

static int compare_names(const void *a, const void *b)
{
    const named_class *first = a, *second = b;
    const int order = strcmp(first->name, second->name);
    return order != 0 ? order : (first->index > second->index) - (first->index < second->index);
}

deep_status deep__classes_find_twins(const deep_classes *classes, bool folders, int32_t *first, int32_t *second)
{
    named_class *sorted;
    const size_t count = (size_t)classes->count;
    *first = *second = -1;
    DEEP_TRY(deep__alloc(&sorted, &classes->allocator, count, sizeof *sorted, "class names"));
    for (int32_t i = 0; i < classes->count; ++i)
        sorted[i] = (named_class){folders ? classes->items[i].folder : classes->items[i].name, i};
    deep__sort(sorted, count, sizeof *sorted, compare_names);
    for (size_t i = 1; i < count && *first < 0; ++i) {
        if (strcmp(sorted[i - 1].name, sorted[i].name) != 0) continue;
        *first = sorted[i - 1].index;
        *second = sorted[i].index;
    }
    deep__free(&classes->allocator, sorted);
    return DEEP_OK;
}

static deep_status fill(deep_classes *classes, const char *const *names, const int64_t *aphia_ids)
{
    for (int32_t i = 0; i < classes->count; ++i) {
        const size_t length = names[i] == NULL ? 0 : strlen(names[i]);
        DEEP_REQUIRE(length > 0, "the name of class %" PRId32 " is empty", i);
        DEEP_REQUIRE(deep__text_is_utf8(names[i], length), "the name of class %" PRId32 " is not UTF-8", i);
        DEEP_TRY(deep__classes_set(classes, i, NULL, names[i], length, aphia_ids == NULL ? 0 : aphia_ids[i]));
    }
    int32_t first, second;
    DEEP_TRY(deep__classes_find_twins(classes, false, &first, &second));
    DEEP_REQUIRE(first < 0, "classes %" PRId32 " and %" PRId32 " have the same name '%s'", first, second,
                 classes->items[first].name);
    return DEEP_OK;
}

deep_status deep_classes_create(deep_classes **out, deep_context *context, const char *const *names,
                                const int64_t *aphia_ids, int32_t count)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(names != NULL, "names is NULL");
    DEEP_REQUIRE(count >= 1 && count <= DEEP_MAX_CLASSES, "%" PRId32 " classes, not 1 to %d", count, DEEP_MAX_CLASSES);
    deep_classes *classes;
    DEEP_TRY(deep__classes_new(&classes, &context->allocator, count));
    const deep_status status = fill(classes, names, aphia_ids);
    if (status != DEEP_OK) {
        deep_classes_free(classes);
        return status;
    }
    *out = classes;
    return DEEP_OK;
}

deep_status deep__classes_copy(deep_classes **out, const deep_allocator *allocator, const deep_classes *classes)
{
    deep_classes *copy;
    *out = NULL;
    DEEP_TRY(deep__classes_new(&copy, allocator, classes->count));
    deep_status status = DEEP_OK;
    for (int32_t i = 0; i < classes->count && status == DEEP_OK; ++i) {
        const deep_class *item = &classes->items[i];
        const char *folder = item->folder == item->name ? NULL : item->folder;
        status = deep__classes_set(copy, i, folder, item->name, strlen(item->name), item->aphia_id);
        if (status == DEEP_OK && item->info != NULL)
            status = deep__classes_set_info(copy, i, item->info, strlen(item->info));
    }
    if (status != DEEP_OK) {
        deep_classes_free(copy);
        return status;
    }
    *out = copy;
    return DEEP_OK;
}

void deep_classes_free(deep_classes *classes)
{
    if (classes == NULL) return;
    const deep_allocator allocator = classes->allocator;
    deep__pool_free(&classes->pool);
    deep__free(&allocator, classes->items);
    deep__free(&allocator, classes);
}

deep_status deep__classes_check_equal(const deep_classes *model, const deep_classes *dataset)
{
    for (int32_t i = 0; i < model->count && i < dataset->count; ++i)
        if (strcmp(model->items[i].name, dataset->items[i].name) != 0)
            return deep__fail(DEEP_ERROR_DATASET, "class %" PRId32 " is '%s' in the model and '%s' in the data set", i,
                              model->items[i].name, dataset->items[i].name);
    if (model->count == dataset->count) return DEEP_OK;
    return deep__fail(DEEP_ERROR_DATASET, "the model has %" PRId32 " classes, the data set %" PRId32, model->count,
                      dataset->count);
}

int32_t deep__classes_find_folder(const deep_classes *classes, const char *folder)
{
    for (int32_t i = 0; i < classes->count; ++i)
        if (strcmp(classes->items[i].folder, folder) == 0) return i;
    return -1;
}

int32_t deep_classes_count(const deep_classes *classes)
{
    return classes == NULL ? 0 : classes->count;
}

const char *deep_classes_name(const deep_classes *classes, int32_t index)
{
    return classes == NULL || index < 0 || index >= classes->count ? NULL : classes->items[index].name;
}

int64_t deep_classes_aphia_id(const deep_classes *classes, int32_t index)
{
    return classes == NULL || index < 0 || index >= classes->count ? 0 : classes->items[index].aphia_id;
}

const char *deep_classes_info(const deep_classes *classes, int32_t index)
{
    return classes == NULL || index < 0 || index >= classes->count ? NULL : classes->items[index].info;
}
