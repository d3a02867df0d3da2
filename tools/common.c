/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

const option_choice bad_image_choices[] = {
    {"skip", DEEP_BAD_IMAGE_SKIP}, {"refuse", DEEP_BAD_IMAGE_REFUSE}, {"keep", DEEP_BAD_IMAGE_KEEP}, {0}};

const option_choice batch_choices[] = {{"auto", BATCH_AUTO}, {0}};

deep_status choose_batch(int64_t *batch, int64_t wanted, const deep_model *model, const deep_fit_options *training)
{
    int32_t largest;
    *batch = wanted;
    if (wanted != BATCH_AUTO) return DEEP_OK;
    const deep_status status = deep_model_largest_batch(model, training, &largest);
    if (status == DEEP_OK) *batch = largest;
    return status;
}

deep_status open_context(deep_context **context, const compute_settings *settings)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .log = log_to_stderr, .device = settings->device,
                                          .threads = (int32_t)settings->threads,
                                          .fused_separable = (int32_t)settings->fused};
    return deep_context_create(context, &options);
}

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* `out` = folder/name when that is a file, else "". */
static bool find_file(char *out, size_t size, const char *folder, const char *name)
{
    const int length = snprintf(out, size, "%s/%s", folder, name);
    if (length > 0 && (size_t)length < size && is_file(out)) return true;
    out[0] = '\0';
    return false;
}

static bool find_parts(data_place *place, const char *folder)
{
    if (!find_file(place->train, sizeof place->train, folder, "train.txt")) return false;
    if (!find_file(place->valid, sizeof place->valid, folder, "val.txt"))
        find_file(place->valid, sizeof place->valid, folder, "valid.txt");
    find_file(place->test, sizeof place->test, folder, "test.txt");
    return true;
}

bool locate_data(const char *data, data_place *place)
{
    char folder[4096];
    *place = (data_place){0};
    if (strlen(data) + 32 > sizeof folder) {
        say_error("%s: the path is too long", data);
        return false;
    }
    snprintf(folder, sizeof folder, "%s/dataset_files", data);
    if (find_parts(place, folder) || find_parts(place, data)) {
        snprintf(place->images, sizeof place->images, "%s/images", data);
        if (!is_folder(place->images)) place->images[0] = '\0';
        return true;
    }
    snprintf(place->train, sizeof place->train, "%s", data);
    return true;
}

deep_status open_data(deep_dataset **dataset, deep_context *context, const char *path, const char *images,
                      const data_settings *settings)
{
    deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT};
    options.images = settings->images != NULL ? settings->images : images != NULL && images[0] != '\0' ? images : NULL;
    options.classes = settings->classes;
    options.group_by = settings->group_by;
    options.manifest = settings->manifest;
    options.manifest_column = settings->manifest_column;
    options.on_bad_image = settings->on_bad_image;
    return deep_dataset_open(dataset, context, path, &options);
}

bool same_classes(const deep_classes *a, const deep_classes *b)
{
    bool same = deep_classes_count(a) == deep_classes_count(b);
    for (int32_t i = 0; same && i < deep_classes_count(a); ++i)
        same = strcmp(deep_classes_name(a, i), deep_classes_name(b, i)) == 0;
    return same;
}

/* The number in `to` of each class of `from`, -1 where it has none. */
static void map_classes(const deep_classes *from, const deep_classes *to, int32_t *map)
{
    for (int32_t i = 0; i < deep_classes_count(from); ++i) {
        map[i] = -1;
        for (int32_t k = 0; k < deep_classes_count(to) && map[i] < 0; ++k)
            if (strcmp(deep_classes_name(from, i), deep_classes_name(to, k)) == 0) map[i] = k;
    }
}

deep_status model_classes(deep_classes **classes, deep_context *context, const deep_model *model)
{
    const int32_t count = deep_model_class_count(model);
    const char **names = calloc((size_t)count + 1, sizeof *names);
    int64_t *ids = calloc((size_t)count + 1, sizeof *ids);
    deep_status status = names == NULL || ids == NULL ? DEEP_ERROR_OUT_OF_MEMORY : DEEP_OK;
    for (int32_t i = 0; i < count && status == DEEP_OK; ++i) {
        names[i] = deep_model_class_name(model, i);
        ids[i] = deep_model_class_aphia_id(model, i);
    }
    if (status == DEEP_OK) status = deep_classes_create(classes, context, names, ids, count);
    free(names);
    free(ids);
    return status;
}

/* The images of `dataset` with the labels of `map`; an image of a class that is not in it is refused. */
static deep_status relabel(deep_dataset **matched, deep_context *context, const deep_dataset *dataset,
                           const int32_t *map, const deep_classes *classes)
{
    const int64_t count = deep_dataset_size(dataset);
    const char **paths = calloc((size_t)count + 1, sizeof *paths);
    int32_t *labels = calloc((size_t)count + 1, sizeof *labels);
    deep_status status = paths == NULL || labels == NULL ? DEEP_ERROR_OUT_OF_MEMORY : DEEP_OK;
    if (status != DEEP_OK) say_error("out of memory");
    for (int64_t i = 0; i < count && status == DEEP_OK; ++i) {
        const int32_t label = deep_dataset_label(dataset, i);
        paths[i] = deep_dataset_path(dataset, i);
        labels[i] = map[label];
        if (labels[i] >= 0) continue;
        say_error("class '%s' of the data set is not one of the known classes",
                  deep_classes_name(deep_dataset_classes(dataset), label));
        status = DEEP_ERROR_DATASET;
    }
    const deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT,
                                          .on_bad_image = DEEP_BAD_IMAGE_KEEP}; /* looked at before */
    if (status == DEEP_OK) {
        status = deep_dataset_create(matched, context, paths, labels, NULL, count, classes, &options);
        if (status != DEEP_OK) fail_with(status);
    }
    free(paths);
    free(labels);
    return status;
}

deep_status match_classes(deep_dataset **matched, deep_context *context, const deep_dataset *dataset,
                          const deep_classes *classes)
{
    const deep_classes *own = deep_dataset_classes(dataset);
    int32_t *map = calloc((size_t)deep_classes_count(own) + 1, sizeof *map);
    *matched = NULL;
    if (map == NULL) {
        say_error("out of memory");
        return DEEP_ERROR_OUT_OF_MEMORY;
    }
    map_classes(own, classes, map);
    const deep_status status = relabel(matched, context, dataset, map, classes);
    free(map);
    return status;
}

const char *dtype_name(int32_t dtype)
{
    return dtype == DEEP_DTYPE_I8     ? "int8"
           : dtype == DEEP_DTYPE_BF16 ? "bf16"
           : dtype == DEEP_DTYPE_F16  ? "fp16"
                                      : "float32";
}

double now_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}
