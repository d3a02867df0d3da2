/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_DATASET_H
#define DEEP_DATA_DATASET_H

#include "core/context.h"
#include "data/classes.h"
#include "data/samples.h"

#include <deep/dataset.h>

typedef struct deep_bad_image {
    const char *path;   /* in the pool of the samples */
    const char *reason; /* one line, in bad_pool */
} deep_bad_image;

struct deep_dataset {
    deep_context *context;
    deep_classes *classes;
    deep_samples samples;
    int64_t *class_sizes; /* one for each class */
    deep_pool bad_pool;
    deep_bad_image *bad;
    size_t bad_count;
};

/* An empty data set over a copy of `classes`; add samples, then deep__dataset_count(). */
deep_status deep__dataset_new(deep_dataset **out, deep_context *context, const deep_classes *classes);

/* Image `index`: decoded now, into `*decoded`, which the caller frees, or the one in memory (`*decoded` is NULL). */
deep_status deep__dataset_image(const deep_image **image, deep_image **decoded, const deep_dataset *dataset,
                                size_t index);

/* Counts the images of each class. */
void deep__dataset_count(deep_dataset *dataset);

/* Removes the `dropped` samples that have a reason (one for each sample, else NULL) and remembers them as bad. */
deep_status deep__dataset_drop(deep_dataset *dataset, char *const *reasons, size_t dropped);

/*
 * Mean and standard deviation of each RGB channel, 0..255, as the reference service defines them: the average over the
 * images, each counting the same, of the image's own mean and standard deviation at its native size. The same for any
 * number of threads (0 = the context's).
 */
deep_status deep__dataset_statistics(const deep_dataset *dataset, int32_t threads, double mean[3], double std[3]);

#endif
