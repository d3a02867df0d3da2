/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_COMMON_H
#define DEEP_TOOLS_COMMON_H

/* Options that several commands share, and what is made from them. */
#include "options.h"

#include <deep/deep.h>
#include <stdbool.h>

typedef struct compute_settings {
    const char *device; /* NULL = auto */
    int64_t threads;    /* 0 = all */
    int64_t fused;      /* deep_context_options.fused_separable */
} compute_settings;

typedef struct data_settings {
    const char *images;
    const char *classes;
    const char *group_by;
    const char *manifest;
    const char *manifest_column;
    int32_t on_bad_image; /* DEEP_BAD_IMAGE_* */
} data_settings;

extern const option_choice bad_image_choices[];

/* Words for --batch beside a number. */
enum { BATCH_AUTO = -1 };
extern const option_choice batch_choices[];

/* The batch to use for `wanted`, which may be BATCH_AUTO; `training` as deep_model_largest_batch() has it. */
deep_status choose_batch(int64_t *batch, int64_t wanted, const deep_model *model, const deep_fit_options *training);

#define COMPUTE_ROWS(settings)                                                                                         \
    {"device", 0, OPTION_TEXT, "NAME", "auto, cuda, cuda:1, cpu or ref (auto)", offsetof(settings, compute.device),    \
     0,        0, NULL},                                                                                               \
    {                                                                                                                  \
        "threads", 0, OPTION_INT, "N", "threads that compute (all processors)", offsetof(settings, compute.threads),   \
            1, 1024, NULL                                                                                              \
    }

#define DATA_ROWS(settings)                                                                                            \
    {"images",                                                                                                         \
     0,                                                                                                                \
     OPTION_TEXT,                                                                                                      \
     "FOLDER",                                                                                                         \
     "root of the paths in split files (../images or beside them)",                                                    \
     offsetof(settings, data.images),                                                                                  \
     0,                                                                                                                \
     0,                                                                                                                \
     NULL},                                                                                                            \
        {"classes",                                                                                                    \
         0,                                                                                                            \
         OPTION_TEXT,                                                                                                  \
         "FILE",                                                                                                       \
         "class table to use instead of folder names",                                                                 \
         offsetof(settings, data.classes),                                                                             \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL},                                                                                                        \
    {                                                                                                                  \
        "on-bad-image", 0, OPTION_CHOICE, NULL, "what to do with an image that cannot be decoded (skip)",              \
            offsetof(settings, data.on_bad_image), 0, 0, bad_image_choices                                             \
    }

#define GROUP_ROWS(settings)                                                                                           \
    {"group-by",                                                                                                       \
     0,                                                                                                                \
     OPTION_TEXT,                                                                                                      \
     "REGEX",                                                                                                          \
     "images whose paths match alike stay together in a split",                                                        \
     offsetof(settings, data.group_by),                                                                                \
     0,                                                                                                                \
     0,                                                                                                                \
     NULL},                                                                                                            \
        {"manifest",                                                                                                   \
         0,                                                                                                            \
         OPTION_TEXT,                                                                                                  \
         "TSV",                                                                                                        \
         "table with a column 'path'; see --manifest-column",                                                          \
         offsetof(settings, data.manifest),                                                                            \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL},                                                                                                        \
    {                                                                                                                  \
        "manifest-column", 0, OPTION_TEXT, "NAME", "images with the same value in it stay together in a split",        \
            offsetof(settings, data.manifest_column), 0, 0, NULL                                                       \
    }

/* A context that logs to stderr. */
deep_status open_context(deep_context **context, const compute_settings *settings);

/* Where the parts of a data set are. Each part is a path for deep_dataset_open(), "" when there is none. */
typedef struct data_place {
    char train[4096]; /* or the whole data set */
    char valid[4096];
    char test[4096];
    char images[4096]; /* root of the images, "" = the library's default */
} data_place;

/* Understands a folder with dataset_files/ or train.txt, val.txt, test.txt inside; anything else is the whole data set. */
bool locate_data(const char *data, data_place *place);

/* Opens a part of a data set. */
deep_status open_data(deep_dataset **dataset, deep_context *context, const char *path, const char *images,
                      const data_settings *settings);

/* The model's class table; the caller frees it. */
deep_status model_classes(deep_classes **classes, deep_context *context, const deep_model *model);

/* True when both have the same names in the same order. */
bool same_classes(const deep_classes *a, const deep_classes *b);

/* `dataset` with the class numbers of `classes`, matched by name; the caller frees it and may free `dataset` before. Says why it fails. */
deep_status match_classes(deep_dataset **matched, deep_context *context, const deep_dataset *dataset,
                          const deep_classes *classes);

/* "float32", "bf16", "fp16" or "int8": how a model's kernels are stored. */
const char *dtype_name(int32_t dtype);

/* Seconds of a clock that never goes back. */
double now_seconds(void);

#endif
