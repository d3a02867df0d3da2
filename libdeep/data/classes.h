/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_CLASSES_H
#define DEEP_DATA_CLASSES_H

#include "core/context.h"
#include "data/pool.h"

#include <deep/dataset.h>

enum { DEEP_MAX_CLASSES = 65536 };

typedef struct deep_class {
    const char *name;   /* in the pool; likewise below */
    const char *folder; /* of its images in a folder data set; most often the name itself */
    const char *info;   /* free text about the class; NULL = none */
    int64_t aphia_id;   /* 0 = unknown */
} deep_class;

struct deep_classes {
    deep_allocator allocator;
    deep_pool pool;
    deep_class *items;
    int32_t count;
};

/* A table of `count` classes to be filled by deep__classes_set(). */
deep_status deep__classes_new(deep_classes **out, const deep_allocator *allocator, int32_t count);

/* Copies the texts; `folder` of NULL = the name. */
deep_status deep__classes_set(deep_classes *classes, int32_t index, const char *folder, const char *name, size_t length,
                              int64_t aphia_id);

/* Copies a text about a class; a length of 0 leaves it without. */
deep_status deep__classes_set_info(deep_classes *classes, int32_t index, const char *info, size_t length);

/* Two classes with the same name (or folder), or -1 and -1. */
deep_status deep__classes_find_twins(const deep_classes *classes, bool folders, int32_t *first, int32_t *second);

/* An independent copy. */
deep_status deep__classes_copy(deep_classes **out, const deep_allocator *allocator, const deep_classes *classes);

/* DEEP_ERROR_DATASET, naming the first difference, unless both have the same names in the same order. */
deep_status deep__classes_check_equal(const deep_classes *model, const deep_classes *dataset);

/* Class whose folder is `folder`, -1 when there is none. */
int32_t deep__classes_find_folder(const deep_classes *classes, const char *folder);

#endif
