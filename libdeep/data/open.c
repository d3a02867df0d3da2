/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"
#include "data/check.h"
#include "data/class_file.h"
#include "data/folder.h"
#include "data/groups.h"
#include "data/split_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPLIT_FILE_MAX_BYTES = 1 << 30 };

static deep_status check_options(const deep_dataset_options *options)
{
    DEEP_REQUIRE(options->on_bad_image >= DEEP_BAD_IMAGE_SKIP && options->on_bad_image <= DEEP_BAD_IMAGE_KEEP,
                 "on_bad_image %" PRId32 " is not one of DEEP_BAD_IMAGE", options->on_bad_image);
    DEEP_REQUIRE(options->threads >= 0 && options->threads <= 1024, "threads is %" PRId32 ", not 0 to 1024",
                 options->threads);
    DEEP_REQUIRE((options->manifest == NULL) == (options->manifest_column == NULL),
                 "manifest and manifest_column go together");
    DEEP_REQUIRE(options->group_by == NULL || options->manifest == NULL, "group_by and manifest exclude each other");
    return DEEP_OK;
}

static deep_status open_folder(deep_dataset **out, deep_context *context, const char *path, const deep_classes *table)
{
    deep_samples samples = deep__samples(&context->allocator);
    deep_classes *classes = NULL;
    deep_status status = deep__folder_scan(&samples, &classes, context, path, table);
    if (status == DEEP_OK) status = deep__dataset_new(out, context, classes);
    deep_classes_free(classes);
    if (status != DEEP_OK) {
        deep__samples_free(&samples);
        return status;
    }
    (*out)->samples = samples;
    return DEEP_OK;
}

/* True when the image of `row` exists below `root`. */
static deep_status root_has(const deep_context *context, const char *root, const deep_split_row *row, bool *has)
{
    deep_samples probe = deep__samples(&context->allocator);
    const deep_status status = deep__samples_add(&probe, root, row->name, row->length, 0);
    *has = status == DEEP_OK && access(probe.items[0].path, F_OK) == 0;
    deep__samples_free(&probe);
    return status;
}

/* ../images or the split file's folder, whichever has the first image. The caller frees `*root`. */
static deep_status find_root(char **root, const deep_context *context, const char *path, const deep_split_row *first)
{
    static const char *const places[] = {"../images", "."};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; ++i) {
        bool has = false;
        DEEP_TRY(deep__path_beside(root, &context->allocator, path, places[i]));
        const deep_status status = root_has(context, *root, first, &has);
        if (status == DEEP_OK && has) return DEEP_OK;
        deep__free(&context->allocator, *root);
        *root = NULL;
        DEEP_TRY(status);
    }
    return deep__fail(DEEP_ERROR_NOT_FOUND,
                      "%s: line %" PRId64 ": '%.*s' is neither in ../images nor beside the file; give the folder "
                      "of the images",
                      path, first->line, (int)first->length, first->name);
}

static deep_status add_rows(deep_dataset *dataset, const deep_split_rows *rows, const char *path, const char *images)
{
    char *found = NULL;
    if (images == NULL) DEEP_TRY(find_root(&found, dataset->context, path, &rows->items[0]));
    deep_status status = DEEP_OK;
    for (size_t i = 0; i < rows->count && status == DEEP_OK; ++i) {
        const deep_split_row *row = &rows->items[i];
        status =
            deep__samples_add(&dataset->samples, images == NULL ? found : images, row->name, row->length, row->label);
    }
    deep__free(&dataset->context->allocator, found);
    deep__samples_sort(&dataset->samples);
    return status;
}

static deep_status open_text(deep_dataset **out, deep_context *context, const char *path, const char *text, size_t size,
                             const deep_dataset_options *options, const deep_classes *table)
{
    deep_split_rows rows = {.allocator = &context->allocator};
    deep_status status = deep__split_file_parse(&rows, text, size, path, table->count);
    if (status == DEEP_OK && rows.count == 0) status = deep__fail(DEEP_ERROR_DATASET, "%s: lists no image", path);
    if (status == DEEP_OK) status = deep__dataset_new(out, context, table);
    if (status == DEEP_OK) status = add_rows(*out, &rows, path, options->images);
    deep__split_rows_free(&rows);
    return status;
}

static deep_status open_split_file(deep_dataset **out, deep_context *context, const char *path,
                                   const deep_dataset_options *options, const deep_classes *table)
{
    char *beside = NULL;
    deep_classes *classes = NULL;
    void *text = NULL;
    size_t size = 0;
    deep_status status = deep__file_read(&text, &size, &context->allocator, path, SPLIT_FILE_MAX_BYTES);
    if (status == DEEP_OK && table == NULL) {
        status = deep__path_beside(&beside, &context->allocator, path, "classes.txt");
        if (status == DEEP_OK) status = deep__class_file_read(&classes, context, beside);
    }
    if (status == DEEP_OK) status = open_text(out, context, path, text, size, options, table == NULL ? classes : table);
    deep_classes_free(classes);
    deep__free(&context->allocator, beside);
    deep__free(&context->allocator, text);
    return status;
}

static deep_status apply_groups(deep_dataset *dataset, const deep_dataset_options *options)
{
    if (options->group_by != NULL) return deep__group_by_pattern(&dataset->samples, options->group_by);
    if (options->manifest == NULL) return DEEP_OK;
    return deep__group_by_manifest(&dataset->samples, dataset->context, options->manifest, options->manifest_column);
}

/* What folders, split files and lists have in common: groups, counts, a look at every image. */
static deep_status finish(deep_dataset **out, deep_dataset *dataset, deep_status status,
                          const deep_dataset_options *options)
{
    if (status == DEEP_OK) status = apply_groups(dataset, options);
    if (status == DEEP_OK) deep__dataset_count(dataset);
    if (status == DEEP_OK && options->on_bad_image != DEEP_BAD_IMAGE_KEEP)
        status = deep__dataset_check(dataset, options->on_bad_image, options->threads);
    if (status != DEEP_OK) {
        deep_dataset_free(dataset);
        return status;
    }
    *out = dataset;
    return DEEP_OK;
}

deep_status deep_dataset_open(deep_dataset **out, deep_context *context, const char *path,
                              const deep_dataset_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(path != NULL && path[0] != '\0', "path of a data set is empty");
    deep_dataset_options options = {0};
    DEEP_TRY(deep__options_read(&options, sizeof options, sizeof options, given, "deep_dataset_options"));
    DEEP_TRY(check_options(&options));
    struct stat info;
    if (stat(path, &info) != 0)
        return deep__fail_errno(errno == ENOENT || errno == ENOTDIR ? DEEP_ERROR_NOT_FOUND : DEEP_ERROR_IO, errno,
                                "%s: cannot open data set", path);

    deep_classes *table = NULL;
    deep_dataset *dataset = NULL;
    if (options.classes != NULL) DEEP_TRY(deep__class_file_read(&table, context, options.classes));
    const deep_status status = S_ISDIR(info.st_mode) ? open_folder(&dataset, context, path, table)
                                                     : open_split_file(&dataset, context, path, &options, table);
    deep_classes_free(table);
    return finish(out, dataset, status, &options);
}

/* What is beside the path or the image at `index` of a list. */
static deep_status check_row(const deep_dataset *dataset, const int32_t *labels, const char *const *groups,
                             int64_t index)
{
    DEEP_REQUIRE(labels[index] >= 0 && labels[index] < dataset->classes->count,
                 "label %" PRId32 " of image %" PRId64 " is not 0 to %" PRId32, labels[index], index,
                 dataset->classes->count - 1);
    DEEP_REQUIRE(groups == NULL || groups[index] != NULL, "group %" PRId64 " is NULL", index);
    return DEEP_OK;
}

static deep_status add_groups(deep_dataset *dataset, const char *const *groups)
{
    for (size_t i = 0; i < dataset->samples.count && groups != NULL; ++i)
        DEEP_TRY(
            deep__pool_text(&dataset->samples.pool, &dataset->samples.items[i].group, groups[i], strlen(groups[i])));
    return DEEP_OK;
}

static deep_status add_paths(deep_dataset *dataset, const char *const *paths, const int32_t *labels,
                             const char *const *groups, int64_t count)
{
    for (int64_t i = 0; i < count; ++i) {
        DEEP_REQUIRE(paths[i] != NULL && paths[i][0] != '\0', "path %" PRId64 " is empty", i);
        DEEP_TRY(check_row(dataset, labels, groups, i));
        DEEP_TRY(deep__samples_add(&dataset->samples, "", paths[i], strlen(paths[i]), labels[i]));
    }
    return add_groups(dataset, groups);
}

static deep_status add_images(deep_dataset *dataset, deep_image *const *images, const int32_t *labels,
                              const char *const *groups, int64_t count)
{
    for (int64_t i = 0; i < count; ++i) {
        DEEP_REQUIRE(images[i] != NULL, "image %" PRId64 " is NULL", i);
        DEEP_TRY(check_row(dataset, labels, groups, i));
        DEEP_TRY(deep__samples_add_image(&dataset->samples, images[i], labels[i]));
    }
    return add_groups(dataset, groups);
}

deep_status deep_dataset_create(deep_dataset **out, deep_context *context, const char *const *paths,
                                const int32_t *labels, const char *const *groups, int64_t count,
                                const deep_classes *classes, const deep_dataset_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(paths != NULL && labels != NULL && classes != NULL, "paths, labels or classes is NULL");
    DEEP_REQUIRE(count >= 0, "%" PRId64 " images", count);
    deep_dataset_options options = {0};
    DEEP_TRY(deep__options_read(&options, sizeof options, sizeof options, given, "deep_dataset_options"));
    DEEP_TRY(check_options(&options));
    DEEP_REQUIRE(options.images == NULL && options.classes == NULL,
                 "a list in memory takes neither images nor classes");
    DEEP_REQUIRE(groups == NULL || (options.group_by == NULL && options.manifest == NULL),
                 "groups exclude group_by and manifest");
    if (count == 0) return deep__fail(DEEP_ERROR_DATASET, "the list has no image");
    deep_dataset *dataset;
    DEEP_TRY(deep__dataset_new(&dataset, context, classes));
    return finish(out, dataset, add_paths(dataset, paths, labels, groups, count), &options);
}

void deep_dataset_options_init(deep_dataset_options *options, size_t size)
{
    deep__options_init(options, size);
}

deep_status deep_dataset_create_images(deep_dataset **out, deep_context *context, deep_image *const *images,
                                       const int32_t *labels, const char *const *groups, int64_t count,
                                       const deep_classes *classes)
{
    static const deep_dataset_options no_look = {.on_bad_image = DEEP_BAD_IMAGE_KEEP}; /* they are decoded */
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(images != NULL && labels != NULL && classes != NULL, "images, labels or classes is NULL");
    DEEP_REQUIRE(count >= 0, "%" PRId64 " images", count);
    if (count == 0) return deep__fail(DEEP_ERROR_DATASET, "the list has no image");
    deep_dataset *dataset;
    DEEP_TRY(deep__dataset_new(&dataset, context, classes));
    return finish(out, dataset, add_images(dataset, images, labels, groups, count), &no_look);
}
