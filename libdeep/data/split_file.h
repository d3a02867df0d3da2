/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_SPLIT_FILE_H
#define DEEP_DATA_SPLIT_FILE_H

/* train.txt, val.txt, test.txt: an image and its label on each line, in the three dialects of the reference service. */
#include "data/samples.h"

typedef struct deep_split_row {
    const char *name; /* in the text that was parsed, not terminated */
    size_t length;
    int64_t line; /* from 1 */
    int32_t label;
} deep_split_row;

typedef struct deep_split_rows {
    const deep_allocator *allocator;
    deep_split_row *items;
    size_t count;
    size_t capacity;
} deep_split_rows;

/*
 * Parses a split file whose labels are below `class_count`. The separator is the last TAB, or without one the white
 * space before the label. Refused with file, line and reason: a label that is no integer or out of range, a path that
 * is empty, absolute, too long or has "..", text that is not UTF-8, the same path twice.
 */
deep_status deep__split_file_parse(deep_split_rows *rows, const char *text, size_t size, const char *file,
                                   int32_t class_count);

void deep__split_rows_free(deep_split_rows *rows);

#endif
