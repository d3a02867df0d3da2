/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/text.h"
#include "data/class_file.h"
#include "data/dataset.h"

#include <string.h>

/* A name that a split file cannot hold, so that it would read back as another one or not at all. */
static bool fits_in_a_line(const char *name)
{
    return name[0] != '#' && name[0] != '/' && strpbrk(name, "\n\r") == NULL && deep__text_is_utf8(name, strlen(name));
}

deep_status deep_dataset_save(const deep_dataset *dataset, const char *path)
{
    DEEP_REQUIRE(dataset != NULL, "data set is NULL");
    DEEP_REQUIRE(path != NULL && path[0] != '\0', "path of a split file is empty");
    DEEP_TRY(deep__context_check(dataset->context));
    deep_text rows = deep__text(&dataset->context->allocator);
    deep_status status = DEEP_OK;
    for (size_t i = 0; i < dataset->samples.count && status == DEEP_OK; ++i) {
        const deep_sample *sample = &dataset->samples.items[i];
        if (!fits_in_a_line(sample->name))
            status =
                deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "the name '%s' cannot stand in a split file", sample->name);
        deep__text_printf(&rows, "%s\t%" PRId32 "\n", sample->name, sample->label);
    }
    if (status == DEEP_OK) status = rows.status;
    if (status == DEEP_OK) status = deep__class_file_write(dataset->classes, dataset->context, path);
    if (status == DEEP_OK) status = deep__file_write(&dataset->context->allocator, path, rows.data, rows.length);
    deep__text_free(&rows);
    return status;
}
