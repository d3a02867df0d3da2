/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_DATA_LOADER_H
#define DEEP_DATA_LOADER_H

/* Batches of preprocessed images, prepared by worker threads ahead of the one that consumes them. */
#include "data/dataset.h"
#include "image/pictures.h"

typedef struct deep_loader deep_loader;

typedef struct deep_loader_options {
    int32_t batch;         /* images, at least 1 */
    int32_t workers;       /* decoding threads; 0 = the context's threads */
    int64_t cache_bytes;   /* budget for decoded squares; 0 = none */
    uint64_t seed;         /* of the order and the augmentation */
    int32_t augment;       /* DEEP_AUGMENT_FLIP, DEEP_AUGMENT_ROTATE90 added; 0 = none */
    bool pictures;         /* batches are pictures for a device, else floats */
    bool shuffle;          /* false = the subset's or the data set's order */
    const int64_t *subset; /* indices into the data set in the order wanted, copied; NULL = all */
    int64_t subset_count;
    deep_allocator staging; /* for the batches' images; alloc NULL = the data set's context's */
    deep_preprocess preprocess;
} deep_loader_options;

/* `dataset` is borrowed until the loader is freed. */
deep_status deep__loader_create(deep_loader **out, const deep_dataset *dataset, const deep_loader_options *options);

/* Joins the workers. NULL is fine. */
void deep__loader_free(deep_loader *loader);

/* Batches of an epoch; the last one may be smaller. */
int64_t deep__loader_steps(const deep_loader *loader);

/*
 * Begins an epoch at batch `first_step`, at any time. A batch depends on (seed, epoch, step) alone: not on the workers,
 * the cache or what was loaded before.
 */
deep_status deep__loader_begin(deep_loader *loader, uint32_t epoch, int64_t first_step);

/*
 * The next batch, of `*n` images, and `*labels`, both borrowed until the next call on the loader; `*n` = 0 at the end of the epoch. An image that cannot be loaded gives its error, again at each call until the next
 * begin. Allocates nothing for images that are in the cache.
 */
deep_status deep__loader_next(deep_loader *loader, deep_batch *batch, const int32_t **labels, int32_t *n);

/*
 * The batch that the next call of deep__loader_next() will give, if all of it is there by now, else none. It stays until the call after
 * that one.
 */
deep_batch deep__loader_peek(deep_loader *loader);

#endif
