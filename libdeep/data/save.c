/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_writer.h"
#include "base/text.h"
#include "data/class_file.h"
#include "data/dataset.h"
#include "data/split_file.h"

#include <string.h>

/* Refuses lists that would not read back: names that are comments, absolute, with ".." or a newline, or there twice. */
static deep_status check_rows(const deep_dataset *dataset, const deep_text *text, const char *path)
{
    deep_split_rows rows = {.allocator = &dataset->context->allocator};
    const char *first = dataset->samples.items[0].name;
    deep_status status = deep__split_file_parse(&rows, text->data, text->length, path, dataset->classes->count);
    const bool same =
        rows.count == dataset->samples.count && deep__skip_byte_order_mark(first, first + strlen(first)) == first;
    deep__split_rows_free(&rows);
    if (status == DEEP_ERROR_FORMAT)
        return deep__fail_within(DEEP_ERROR_INVALID_ARGUMENT, "a name cannot stand in a split file");
    if (status == DEEP_OK && !same)
        return deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "%s: a name that begins with '#' cannot stand in a split file",
                          path);
    return status;
}

deep_status deep_dataset_save(const deep_dataset *dataset, const char *path)
{
    DEEP_REQUIRE(dataset != NULL, "data set is NULL");
    DEEP_REQUIRE(path != NULL && path[0] != '\0', "path of a split file is empty");
    DEEP_REQUIRE(dataset->samples.items[0].image == NULL, "%s: images in memory have no paths to list", path);
    DEEP_TRY(deep__context_check(dataset->context));
    deep_text rows = deep__text(&dataset->context->allocator);
    for (size_t i = 0; i < dataset->samples.count; ++i) {
        const deep_sample *sample = &dataset->samples.items[i];
        deep__text_printf(&rows, "%s\t%" PRId32 "\n", sample->name, sample->label);
    }
    deep_status status = rows.status;
    if (status == DEEP_OK) status = check_rows(dataset, &rows, path);
    if (status == DEEP_OK) status = deep__class_file_write(dataset->classes, dataset->context, path);
    if (status == DEEP_OK) status = deep__file_write(&dataset->context->allocator, path, rows.data, rows.length);
    deep__text_free(&rows);
    return status;
}
