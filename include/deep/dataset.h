/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATASET_H
#define DEEP_DATASET_H

#include <deep/image.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An ordered table of class names, with AphiaIDs where known. Immutable; shared by threads. */
typedef struct deep_classes deep_classes;

/** A list of labelled image files. Immutable once open; one thread at a time. */
typedef struct deep_dataset deep_dataset;

/**
 * Makes a class table.
 *
 * @param[out] out       The caller frees it with deep_classes_free(). NULL on error.
 * @param      names     `count` UTF-8 names, none empty, all different; copied.
 * @param      aphia_ids `count` WoRMS AphiaIDs, 0 = unknown; copied; NULL = none known.
 * @param      count     1 to 65536.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY. Any thread. Since 0.1.
 */
DEEP_API deep_status deep_classes_create(deep_classes **out, deep_context *context, const char *const *names,
                                         const int64_t *aphia_ids, int32_t count);

/** Frees a table made by deep_classes_create(); NULL is fine. Since 0.1. */
DEEP_API void deep_classes_free(deep_classes *classes);

/** @return Number of classes; 0 for NULL. Any thread. Since 0.1. */
DEEP_API int32_t deep_classes_count(const deep_classes *classes);

/** @return UTF-8 name of class `index`, borrowed from the table; NULL outside it. Any thread. Since 0.1. */
DEEP_API const char *deep_classes_name(const deep_classes *classes, int32_t index);

/** @return WoRMS AphiaID of class `index`; 0 when unknown. Any thread. Since 0.1. */
DEEP_API int64_t deep_classes_aphia_id(const deep_classes *classes, int32_t index);

/**
 * The line of info.txt about class `index`.
 *
 * @return UTF-8 text, borrowed from the table; NULL when there is none. Any thread. Since 0.1.
 */
DEEP_API const char *deep_classes_info(const deep_classes *classes, int32_t index);

/** What to do with an image that cannot be decoded. */
enum {
    DEEP_BAD_IMAGE_SKIP = 0,   /**< Report, leave out; DEEP_ERROR_DATASET above 1 % or when a class empties. */
    DEEP_BAD_IMAGE_REFUSE = 1, /**< DEEP_ERROR_DATASET at the first. */
    DEEP_BAD_IMAGE_KEEP = 2    /**< Do not look at the files when opening. */
};

/** Options of deep_dataset_open(). Zero means the default in every field. */
typedef struct deep_dataset_options {
    size_t struct_size;          /**< sizeof(deep_dataset_options) */
    const char *images;          /**< Root of the paths in a split file; default: see deep_dataset_open(). */
    const char *classes;         /**< A class table to use instead of folder names or the file beside it. */
    const char *group_by;        /**< POSIX extended regular expression over the relative path:
                                    its first group, or the whole match, names the image's group. */
    const char *manifest;        /**< TSV with a header line and a `path` column ... */
    const char *manifest_column; /**< ... whose column of this name is the image's group. */
    int32_t on_bad_image;        /**< DEEP_BAD_IMAGE_* */
    int32_t threads;             /**< That check images; 0 = the context's. */
} deep_dataset_options;

#define DEEP_DATASET_OPTIONS_INIT .struct_size = sizeof(deep_dataset_options)

/** Fills options with the defaults. Since 0.1. */
DEEP_API void deep_dataset_options_init(deep_dataset_options *options, size_t size);

/**
 * Opens labelled images.
 *
 * `path` is one of
 * - a folder with one folder per class, nested ones allowed (the class is the path of the innermost folder): a folder without
 *   images is a class without images;
 * - a split file: a relative path, then a space, TAB or other white space, then a label from 0, on each line, as the
 *   reference service writes them; blank lines and lines that begin with '#' are skipped. classes.txt (and
 *   perhaps aphia_ids.txt) stand beside it, the images in options.images, or else ../images or the file's folder,
 *   whichever has the first image.
 *
 * Classes of a folder are in the order of their bytes, images in the order of their labels, then of their names' bytes.
 *
 * Every file is decoded once to see whether it can be (DEEP_BAD_IMAGE_KEEP turns that off).
 *
 * @param[out] out The caller frees it with deep_dataset_free(). NULL on error.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_NOT_FOUND, DEEP_ERROR_IO, DEEP_ERROR_FORMAT (a line of a
 *         split file; the text gives file, line and reason), DEEP_ERROR_DATASET (no image, too many bad ones),
 *         DEEP_ERROR_LIMIT (a list of more than 1 GiB), DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_FORKED.
 * Any thread. Since 0.1.
 */
DEEP_API deep_status deep_dataset_open(deep_dataset **out, deep_context *context, const char *path,
                                       const deep_dataset_options *options);

/**
 * Makes a dataset from a list in memory, in its order.
 *
 * @param paths   `count` image files; copied.
 * @param labels  `count` class indices, each from 0 to the number of classes - 1; copied.
 * @param groups  `count` group names, or NULL; copied.
 * @param classes Copied.
 * @param options `images` and `classes` must be NULL; NULL = defaults.
 * @return as deep_dataset_open(). Since 0.1.
 */
DEEP_API deep_status deep_dataset_create(deep_dataset **out, deep_context *context, const char *const *paths,
                                         const int32_t *labels, const char *const *groups, int64_t count,
                                         const deep_classes *classes, const deep_dataset_options *options);

/**
 * Makes a dataset from decoded images in memory, in their order. Its images are named "0", "1", ..., and it cannot be
 * saved as a split file.
 *
 * @param images  `count` images, borrowed: they must outlive the dataset and everything split from it, unchanged.
 * @param labels  `count` class indices, each from 0 to the number of classes - 1; copied.
 * @param groups  `count` group names, or NULL; copied.
 * @param classes Copied.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_DATASET (no image), DEEP_ERROR_OUT_OF_MEMORY. Since 0.1.
 */
DEEP_API deep_status deep_dataset_create_images(deep_dataset **out, deep_context *context, deep_image *const *images,
                                                const int32_t *labels, const char *const *groups, int64_t count,
                                                const deep_classes *classes);

/** Frees a dataset; NULL is fine. Since 0.1. */
DEEP_API void deep_dataset_free(deep_dataset *dataset);

/** @return Usable images; 0 for NULL. Since 0.1. */
DEEP_API int64_t deep_dataset_size(const deep_dataset *dataset);

/** @return The class table, borrowed from the dataset; NULL for NULL. Since 0.1. */
DEEP_API const deep_classes *deep_dataset_classes(const deep_dataset *dataset);

/** @return Usable images of class `index`; 0 outside the table. Since 0.1. */
DEEP_API int64_t deep_dataset_class_size(const deep_dataset *dataset, int32_t index);

/**
 * @return Path of image `index` as it can be opened, borrowed from the dataset; NULL outside it and for an image in
 *         memory. Since 0.1.
 */
DEEP_API const char *deep_dataset_path(const deep_dataset *dataset, int64_t index);

/** @return Path of image `index` relative to the root, as a split file has it; NULL outside it. Since 0.1. */
DEEP_API const char *deep_dataset_name(const deep_dataset *dataset, int64_t index);

/** @return Class of image `index`; -1 outside the dataset. Since 0.1. */
DEEP_API int32_t deep_dataset_label(const deep_dataset *dataset, int64_t index);

/** @return Group of image `index`, borrowed; its name when no grouping was asked for; NULL outside it. Since 0.1. */
DEEP_API const char *deep_dataset_group(const deep_dataset *dataset, int64_t index);

/** @return Number of images that were left out because they cannot be decoded. Since 0.1. */
DEEP_API int64_t deep_dataset_bad_count(const deep_dataset *dataset);

/** @return Path of left-out image `index`, borrowed; NULL outside. Since 0.1. */
DEEP_API const char *deep_dataset_bad_path(const deep_dataset *dataset, int64_t index);

/** @return Why image `index` was left out, borrowed; NULL outside. Since 0.1. */
DEEP_API const char *deep_dataset_bad_reason(const deep_dataset *dataset, int64_t index);

/** Options of deep_dataset_split(). */
typedef struct deep_split_options {
    size_t struct_size; /**< sizeof(deep_split_options) */
    uint64_t seed;      /**< Another seed gives another split; the same one gives the same on every machine. */
} deep_split_options;

#define DEEP_SPLIT_OPTIONS_INIT .struct_size = sizeof(deep_split_options)

/** Fills options with the defaults. Since 0.1. */
DEEP_API void deep_split_options_init(deep_split_options *options, size_t size);

/**
 * Splits a dataset in two, each class as near to `fraction` as its groups allow; images of one group stay on one
 * side.
 *
 * A class keeps at least one image in `train`.
 *
 * @param[out] train    The caller frees both; NULL on error.
 * @param[out] valid
 * @param      all      Borrowed for the call.
 * @param      fraction Part that goes to `valid`, above 0 and below 1.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_DATASET (a side would be empty),
 *         DEEP_ERROR_OUT_OF_MEMORY. Since 0.1.
 */
DEEP_API deep_status deep_dataset_split(deep_dataset **train, deep_dataset **valid, const deep_dataset *all,
                                        double fraction, const deep_split_options *options);

/**
 * Writes the dataset as a split file (path, TAB, label), with classes.txt and aphia_ids.txt beside it.
 *
 * @param path The split file; its folder must exist. Each file is replaced in one step.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_IO, DEEP_ERROR_OUT_OF_MEMORY. Since 0.1.
 */
DEEP_API deep_status deep_dataset_save(const deep_dataset *dataset, const char *path);

#ifdef __cplusplus
}
#endif

#endif
