/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "loader.h"

#include "base/checked.h"
#include "base/rng.h"
#include "data/cache.h"
#include "data/sort.h"
#include "data/workers.h"
#include "image/augment.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 4, MAX_LOADER_WORKERS = 64 };

/* A batch being filled, waiting, or lent to the consumer. Batch `step` lives in slot `step` % SLOTS. */
typedef struct slot {
    void *input;     /* floats, batch x size x size x 3, or deep_pictures for as many */
    size_t end;      /* of the pictures' pixels, guarded by the mutex */
    int32_t *labels; /* batch */
    int32_t images;  /* of this batch */
    int32_t missing; /* images that no worker has finished yet */
    int64_t failed;  /* lowest position in the epoch that could not be loaded, -1 = none */
    deep_status status;
    char text[1024]; /* of the failure */
} slot;

struct deep_loader {
    const deep_dataset *dataset;
    deep_loader_options options; /* without the subset */
    deep_sort_key *order;        /* samples of the epoch, in order */
    int64_t count;               /* of them */
    int64_t steps;
    size_t image_values; /* size x size x 3 */
    size_t slot_bytes;   /* of a slot's input */
    slot slots[SLOTS];
    pthread_t threads[MAX_LOADER_WORKERS];
    int32_t started;

    pthread_mutex_t
        mutex; /* guards the cache and what follows; the order too, which changes only while no worker is busy */
    pthread_cond_t work; /* positions may have become available, or `quit` */
    pthread_cond_t done; /* a batch is complete, or a worker is idle */
    deep_cache cache;
    uint32_t epoch;
    int64_t next_position; /* that a worker will take */
    int64_t step;          /* that the consumer will get */
    bool lent;             /* the consumer holds batch step - 1 */
    int32_t busy;          /* workers */
    bool quit;
};

static slot *slot_of(deep_loader *loader, int64_t step)
{
    return &loader->slots[step % SLOTS];
}

/* What becomes of an image before it is turned; `*owned` is what the caller must free afterwards, NULL = it is the data set's. */
static deep_status make_source(deep_loader *loader, size_t sample, const deep_image **source, deep_image **owned)
{
    const deep_preprocess *preprocess = &loader->options.preprocess;
    deep_image *decoded, *made;
    DEEP_TRY(deep__dataset_image(source, &decoded, loader->dataset, sample));
    const deep_status status = loader->options.pictures ? deep__picture_make(&made, *source, preprocess)
                                                        : deep__preprocess_square(&made, *source, preprocess);
    const bool as_it_is = status == DEEP_OK && made == NULL;
    *owned = as_it_is ? decoded : made;
    if (!as_it_is) {
        *source = made;
        deep_image_free(decoded);
    }
    return status == DEEP_OK ? DEEP_OK : deep__fail_within(status, loader->dataset->samples.items[sample].path);
}

/* The same, from the cache where it is there. */
static deep_status get_source(deep_loader *loader, size_t sample, const deep_image **source, deep_image **owned)
{
    *owned = NULL;
    pthread_mutex_lock(&loader->mutex);
    *source = deep__cache_get(&loader->cache, sample);
    pthread_mutex_unlock(&loader->mutex);
    if (*source != NULL) return DEEP_OK;
    DEEP_TRY(make_source(loader, sample, source, owned));
    if (*owned == NULL) return DEEP_OK;
    pthread_mutex_lock(&loader->mutex);
    const bool kept = deep__cache_put(&loader->cache, sample, *owned);
    pthread_mutex_unlock(&loader->mutex);
    if (kept) *owned = NULL;
    return DEEP_OK;
}

static void put_picture(deep_loader *loader, slot *target, int32_t row, const deep_image *picture, int32_t turns,
                        int32_t mirror)
{
    pthread_mutex_lock(&loader->mutex);
    const size_t offset = target->end;
    target->end += deep__picture_bytes(picture);
    pthread_mutex_unlock(&loader->mutex);
    deep__picture_put(target->input, row, offset, picture, &loader->options.preprocess, turns, mirror);
}

static void put_values(const deep_loader *loader, slot *target, int32_t row, const deep_image *square, int32_t turns,
                       int32_t mirror)
{
    float *values = target->input;
    deep__preprocess_normalise(values + (size_t)row * loader->image_values, square, &loader->options.preprocess, turns,
                               mirror);
}

static deep_status load_image(deep_loader *loader, int64_t position, uint32_t epoch)
{
    const size_t sample = (size_t)loader->order[position].index;
    const int32_t batch = loader->options.batch, row = (int32_t)(position % batch);
    slot *target = slot_of(loader, position / batch);
    const deep_image *source;
    deep_image *owned;
    int32_t turns = 0, mirror = 0;
    DEEP_TRY(get_source(loader, sample, &source, &owned));
    if (loader->options.augment != 0)
        deep__augment_draw(loader->options.seed, sample, epoch, loader->options.augment, &turns, &mirror);
    if (loader->options.pictures)
        put_picture(loader, target, row, source, turns, mirror);
    else
        put_values(loader, target, row, source, turns, mirror);
    target->labels[row] = loader->dataset->samples.items[sample].label;
    deep_image_free(owned);
    return DEEP_OK;
}

/* True when a position is left whose slot is free: at most SLOTS batches exist, the lent one included. */
static bool can_take(const deep_loader *loader)
{
    const int64_t oldest = loader->step - (loader->lent ? 1 : 0);
    return loader->next_position < loader->count && loader->next_position / loader->options.batch < oldest + SLOTS;
}

/* Called with the mutex held. */
static void finish_image(deep_loader *loader, int64_t position, deep_status status)
{
    slot *target = slot_of(loader, position / loader->options.batch);
    if (status != DEEP_OK && (target->failed < 0 || position < target->failed)) {
        target->failed = position;
        target->status = status;
        snprintf(target->text, sizeof target->text, "%s", deep_last_error());
    }
    --target->missing;
    --loader->busy;
    if (target->missing == 0 || loader->busy == 0) pthread_cond_broadcast(&loader->done);
}

/* Called with the mutex held, for the first position of a batch too. */
static void prepare_slot(deep_loader *loader, int64_t position)
{
    const int32_t batch = loader->options.batch;
    if (position % batch != 0) return;
    slot *target = slot_of(loader, position / batch);
    target->images = (int32_t)(loader->count - position < batch ? loader->count - position : batch);
    target->missing = target->images;
    target->failed = -1;
    target->status = DEEP_OK;
    if (loader->options.pictures) target->end = deep__pictures_begin(target->input, target->images);
}

static void *run_worker(void *user)
{
    deep_loader *loader = user;
    pthread_mutex_lock(&loader->mutex);
    while (!loader->quit) {
        if (!can_take(loader)) {
            pthread_cond_wait(&loader->work, &loader->mutex);
            continue;
        }
        const int64_t position = loader->next_position++;
        const uint32_t epoch = loader->epoch;
        prepare_slot(loader, position);
        ++loader->busy;
        pthread_mutex_unlock(&loader->mutex);
        const deep_status status = load_image(loader, position, epoch);
        pthread_mutex_lock(&loader->mutex);
        finish_image(loader, position, status);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

static deep_status start_workers(deep_loader *loader)
{
    int32_t wanted = loader->options.workers > 0 ? loader->options.workers : loader->dataset->context->threads;
    if (wanted > MAX_LOADER_WORKERS) wanted = MAX_LOADER_WORKERS;
    while (loader->started < wanted) {
        const int error = deep__thread_start(&loader->threads[loader->started], run_worker, loader);
        if (error != 0 && loader->started == 0)
            return deep__fail_errno(DEEP_ERROR_OUT_OF_MEMORY, error, "cannot start a loader thread");
        if (error != 0) break; /* fewer workers make the same batches */
        ++loader->started;
    }
    return DEEP_OK;
}

static deep_status allocate_slots(deep_loader *loader)
{
    const size_t side = (size_t)loader->options.preprocess.size, batch = (size_t)loader->options.batch;
    const deep_allocator *allocator = &loader->dataset->context->allocator;
    const deep_preprocess *preprocess = &loader->options.preprocess;
    size_t values;
    if (!deep__mul_size(side * 3, side, &loader->image_values) ||
        !deep__mul_size(loader->image_values, batch, &values) ||
        !deep__mul_size(values, sizeof(float), &loader->slot_bytes) ||
        !deep__pictures_room(&values, preprocess, loader->options.batch))
        return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "a batch of %zu images of %zu pixels does not fit in memory", batch,
                          side);
    if (loader->options.pictures) loader->slot_bytes = values;
    for (int i = 0; i < SLOTS; ++i) {
        slot *target = &loader->slots[i];
        DEEP_TRY(deep__alloc(&target->input, &loader->options.staging, loader->slot_bytes, 1, "batches of images"));
        if (loader->options.pictures) deep__pictures_init(target->input, preprocess, loader->options.batch);
        DEEP_TRY(deep__alloc(&loader->slots[i].labels, allocator, batch, sizeof(int32_t), "labels"));
    }
    return DEEP_OK;
}

static deep_status take_subset(deep_loader *loader, const deep_loader_options *options)
{
    const int64_t size = deep_dataset_size(loader->dataset);
    loader->count = options->subset == NULL ? size : options->subset_count;
    DEEP_REQUIRE(loader->count >= 0, "a subset of %" PRId64 " images", loader->count);
    loader->steps = loader->count / options->batch + (loader->count % options->batch != 0);
    DEEP_TRY(deep__alloc_zero(&loader->order, &loader->dataset->context->allocator, (size_t)loader->count,
                              sizeof *loader->order, "order of images"));
    for (int64_t i = 0; i < loader->count; ++i) {
        const int64_t sample = options->subset == NULL ? i : options->subset[i];
        DEEP_REQUIRE(sample >= 0 && sample < size, "image %" PRId64 " of the subset is not one of the %" PRId64, sample,
                     size);
        loader->order[i].index = sample;
    }
    return DEEP_OK;
}

static deep_status build(deep_loader *loader, const deep_loader_options *options)
{
    const deep_allocator *allocator = &loader->dataset->context->allocator;
    DEEP_TRY(take_subset(loader, options));
    DEEP_TRY(allocate_slots(loader));
    DEEP_TRY(deep__cache_create(&loader->cache, allocator, loader->dataset->samples.count, options->cache_bytes));
    loader->next_position = loader->count; /* nothing to do before the first begin */
    return start_workers(loader);
}

deep_status deep__loader_create(deep_loader **out, const deep_dataset *dataset, const deep_loader_options *options)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(dataset->context));
    DEEP_REQUIRE(options->batch >= 1, "a batch of %" PRId32 " images", options->batch);
    DEEP_REQUIRE(options->preprocess.size >= 1, "images of %" PRId32 " pixels", options->preprocess.size);
    deep_loader *loader;
    DEEP_TRY(deep__alloc_zero(&loader, &dataset->context->allocator, 1, sizeof *loader, "loader"));
    loader->dataset = dataset;
    loader->options = *options;
    loader->options.subset = NULL;
    if (options->staging.alloc == NULL) loader->options.staging = dataset->context->allocator;
    loader->cache.allocator = &dataset->context->allocator;
    pthread_mutex_init(&loader->mutex, NULL); /* none of the three allocates or fails on Linux */
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->done, NULL);
    const deep_status status = build(loader, options);
    if (status != DEEP_OK) {
        deep__loader_free(loader);
        return status;
    }
    *out = loader;
    return DEEP_OK;
}

static void stop_workers(deep_loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    loader->quit = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int32_t i = 0; i < loader->started; ++i)
        pthread_join(loader->threads[i], NULL);
    pthread_cond_destroy(&loader->done);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->mutex);
}

void deep__loader_free(deep_loader *loader)
{
    if (loader == NULL) return;
    const deep_allocator *allocator = &loader->dataset->context->allocator;
    if (loader->dataset->context->pid == getpid()) stop_workers(loader); /* a forked child has no workers to join */
    deep__cache_free(&loader->cache);
    for (int i = 0; i < SLOTS; ++i) {
        deep__free(&loader->options.staging, loader->slots[i].input);
        deep__free(allocator, loader->slots[i].labels);
    }
    deep__free(allocator, loader->order);
    deep__free(allocator, loader);
}

int64_t deep__loader_steps(const deep_loader *loader)
{
    return loader->steps;
}

static void shuffle(deep_loader *loader, uint32_t epoch)
{
    for (int64_t i = 0; i < loader->count; ++i) {
        deep_sort_key *entry = &loader->order[i];
        entry->key = deep__rng_key(deep__rng(loader->options.seed, DEEP_RNG_SHUFFLE, (uint64_t)entry->index, epoch));
    }
    deep__sort(loader->order, (size_t)loader->count, sizeof *loader->order, deep__compare_keys);
}

deep_status deep__loader_begin(deep_loader *loader, uint32_t epoch, int64_t first_step)
{
    DEEP_TRY(deep__context_check(loader->dataset->context));
    DEEP_REQUIRE(first_step >= 0 && first_step <= loader->steps, "step %" PRId64 " is not one of the %" PRId64,
                 first_step, loader->steps);
    pthread_mutex_lock(&loader->mutex);
    loader->next_position = loader->count; /* nothing new until the workers are idle */
    while (loader->busy > 0)
        pthread_cond_wait(&loader->done, &loader->mutex);
    if (loader->options.shuffle) shuffle(loader, epoch);
    for (int i = 0; i < SLOTS; ++i)
        loader->slots[i].images = 0; /* belongs to no batch */
    loader->epoch = epoch;
    loader->step = first_step;
    loader->lent = false;
    loader->next_position = first_step < loader->steps ? first_step * loader->options.batch : loader->count;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    return DEEP_OK;
}

/* Waits for the batch of the present step. Called with the mutex held. */
static const slot *wait_for_batch(deep_loader *loader)
{
    const int64_t first = loader->step * loader->options.batch;
    const slot *ready = slot_of(loader, loader->step);
    while (loader->next_position <= first || ready->missing > 0)
        pthread_cond_wait(&loader->done, &loader->mutex);
    return ready;
}

static deep_batch batch_of(const deep_loader *loader, const slot *ready)
{
    if (loader->options.pictures) return deep__batch_of_pictures(ready->input, ready->end, loader->slot_bytes);
    return deep__batch_of_floats(ready->input, (size_t)ready->images * loader->image_values * sizeof(float));
}

deep_status deep__loader_next(deep_loader *loader, deep_batch *batch, const int32_t **labels, int32_t *n)
{
    DEEP_TRY(deep__context_check(loader->dataset->context));
    *batch = (deep_batch){0};
    *labels = NULL;
    *n = 0;
    pthread_mutex_lock(&loader->mutex);
    if (loader->lent) {
        loader->lent = false;
        pthread_cond_broadcast(&loader->work);
    }
    const slot *ready = loader->step < loader->steps ? wait_for_batch(loader) : NULL;
    const deep_status status = ready == NULL ? DEEP_OK : ready->status;
    if (ready != NULL && status == DEEP_OK) {
        *batch = batch_of(loader, ready);
        *labels = ready->labels;
        *n = ready->images;
        loader->lent = true;
        ++loader->step;
    }
    pthread_mutex_unlock(&loader->mutex);
    return status == DEEP_OK ? DEEP_OK : deep__fail(status, "%s", ready->text);
}

deep_batch deep__loader_peek(deep_loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    const slot *next = slot_of(loader, loader->step);
    const bool begun = loader->step < loader->steps && loader->next_position > loader->step * loader->options.batch;
    const bool ready = begun && next->images > 0 && next->missing == 0 && next->status == DEEP_OK;
    const deep_batch batch = ready ? batch_of(loader, next) : (deep_batch){0};
    pthread_mutex_unlock(&loader->mutex);
    return batch;
}
