/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "data/class_file.h"
#include "data/groups.h"
#include "data/split_file.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSES = 100 };

/* Invariants of rows that were accepted; parsing the rows as they would be written gives them again. */
static void check_rows(const deep_split_rows *rows, const deep_allocator *allocator)
{
    for (size_t i = 0; i < rows->count; ++i) {
        const deep_split_row *row = &rows->items[i];
        if (row->label < 0 || row->label >= CLASSES || row->length == 0 || row->name[0] == '/') abort();
        if (memchr(row->name, '\n', row->length) != NULL || memchr(row->name, '\0', row->length) != NULL) abort();
        const bool has_mark = row->length >= 3 && memcmp(row->name, "\357\273\277", 3) == 0;
        if (row->name[0] == '#' || has_mark) continue; /* cannot stand in the first line */
        char line[8192];
        if (row->length + 16 > sizeof line) abort();
        memcpy(line, row->name, row->length);
        memcpy(line + row->length, "\t7\n", 3);
        deep_split_rows again = {.allocator = allocator};
        if (deep__split_file_parse(&again, line, row->length + 3, "again", CLASSES) == DEEP_OK && again.count == 1 &&
            again.items[0].length == row->length) {
            deep__split_rows_free(&again);
            continue;
        }
        abort();
    }
}

static void parse_split_file(const deep_allocator *allocator, const char *text, size_t size)
{
    deep_split_rows rows = {.allocator = allocator};
    if (deep__split_file_parse(&rows, text, size, "split", CLASSES) == DEEP_OK) check_rows(&rows, allocator);
    deep__split_rows_free(&rows);
}

static void parse_class_table(const deep_allocator *allocator, const char *text, size_t size)
{
    deep_classes *classes;
    if (deep__class_file_parse(&classes, allocator, text, size, "classes") != DEEP_OK) return;
    for (int32_t i = 0; i < deep_classes_count(classes); ++i)
        if (deep_classes_name(classes, i)[0] == '\0') abort();
    deep_classes_free(classes);
}

static void parse_manifest(const deep_allocator *allocator, const char *text, size_t size)
{
    deep_samples samples = {.pool = deep__pool(allocator)};
    if (deep__samples_add(&samples, "root", "a.png", 5, 0) == DEEP_OK &&
        deep__group_by_table(&samples, text, size, "manifest", "time") == DEEP_OK && samples.items[0].group == NULL)
        abort();
    deep__samples_free(&samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const deep_allocator allocator = deep__allocator_default();
    char *text = malloc(size ? size : 1); /* at its exact size, for the address sanitizer */
    if (text == NULL) return 0;
    if (size > 0) memcpy(text, data, size);
    parse_split_file(&allocator, text, size);
    parse_class_table(&allocator, text, size);
    parse_manifest(&allocator, text, size);
    free(text);
    return 0;
}
