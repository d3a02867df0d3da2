/* SPDX-License-Identifier: Apache-2.0 */
#include "train/statistics.h"

#include "backend/staging.h"
#include "base/rng.h"
#include "graph/passes.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_IMAGES = 1024 };

typedef struct keyed_image {
    uint64_t key;
    int64_t index;
} keyed_image;

static int by_key(const void *a, const void *b)
{
    const keyed_image *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* The images, whole batches of them when there are enough for one. */
static deep_status choose_images(deep_statistics *s, int64_t size, int64_t *count)
{
    const deep_allocator *allocator = &s->trainer->model->context->allocator;
    const int64_t batch = s->trainer->options.batch;
    keyed_image *keyed;
    *count = size < MAX_IMAGES ? size : MAX_IMAGES;
    if (*count > batch) *count -= *count % batch;
    DEEP_TRY(deep__alloc(&s->images, allocator, (size_t)*count, sizeof *s->images, "image order"));
    DEEP_TRY(deep__alloc(&keyed, allocator, (size_t)size, sizeof *keyed, "image order"));
    for (int64_t i = 0; i < size; ++i)
        keyed[i] =
            (keyed_image){deep__rng_key(deep__rng(s->trainer->options.seed, DEEP_RNG_STATISTICS, (uint64_t)i, 0)), i};
    qsort(keyed, (size_t)size, sizeof *keyed, by_key);
    for (int64_t i = 0; i < *count; ++i)
        s->images[i] = keyed[i].index;
    deep__free(allocator, keyed);
    return DEEP_OK;
}

static deep_status compile(deep_statistics *s, int32_t batch)
{
    deep_program *program = &s->program;
    deep_graph *graph = &program->graph;
    DEEP_TRY(deep__program_build(program, s->trainer->model, batch, DEEP_MODE_STATISTICS));
    for (int32_t i = 0; i < program->net.norm_count; ++i)
        graph->values[program->net.norms[i].mean].keep = graph->values[program->net.norms[i].variance].keep = true;
    DEEP_TRY(deep__pass_fuse_relu(graph));
    DEEP_TRY(deep__pass_fuse_training(graph));
    DEEP_TRY(deep__program_compile(program, s->trainer->workspace.queue, s->trainer->model->context->threads, false));
    return deep__workspace_reserve(&s->trainer->workspace, program, batch);
}

static int64_t site_channels(const deep_statistics *s, int32_t site)
{
    return s->trainer->model->params.specs[s->program.net.norms[site].mean_param].elements;
}

static deep_status allocate(deep_statistics *s)
{
    const deep_allocator *allocator = &s->trainer->model->context->allocator;
    for (int32_t i = 0; i < s->program.net.norm_count; ++i)
        s->channels += site_channels(s, i);
    const size_t channels = (size_t)s->channels;
    DEEP_TRY(deep__alloc(&s->mean, allocator, channels, sizeof *s->mean, "statistics"));
    DEEP_TRY(deep__alloc(&s->square, allocator, channels, sizeof *s->square, "statistics"));
    DEEP_TRY(deep__alloc(&s->site, allocator, channels, 2 * sizeof *s->site, "statistics"));
    return deep__alloc(&s->running, allocator, channels, 2 * sizeof *s->running, "statistics");
}

static deep_status create(deep_statistics *s, const deep_dataset *train)
{
    const deep_model *model = s->trainer->model;
    const deep_fit_options *o = &s->trainer->options;
    int64_t count;
    DEEP_TRY(choose_images(s, deep_dataset_size(train), &count));
    const int32_t batch = count < o->batch ? (int32_t)count : o->batch;
    DEEP_TRY(compile(s, batch));
    DEEP_TRY(allocate(s));
    const deep_loader_options loading = {.batch = batch,
                                         .workers = o->workers,
                                         .cache_bytes = o->cache_bytes / 2,
                                         .pictures = s->trainer->takes_pictures,
                                         .subset = s->images,
                                         .subset_count = count,
                                         .staging = deep__staging(model->context),
                                         .preprocess = model->preprocess};
    return deep__loader_create(&s->loader, train, &loading);
}

deep_status deep__statistics_create(deep_statistics *statistics, deep_trainer *trainer, const deep_dataset *train)
{
    *statistics = (deep_statistics){.trainer = trainer, .step = -1};
    const deep_status status = create(statistics, train);
    if (status != DEEP_OK) deep__statistics_free(statistics);
    return status;
}

void deep__statistics_free(deep_statistics *statistics)
{
    if (statistics->trainer == NULL) return;
    const deep_allocator *allocator = &statistics->trainer->model->context->allocator;
    deep__loader_free(statistics->loader);
    deep__program_free(&statistics->program);
    deep__free(allocator, statistics->running);
    deep__free(allocator, statistics->site);
    deep__free(allocator, statistics->square);
    deep__free(allocator, statistics->mean);
    deep__free(allocator, statistics->images);
    *statistics = (deep_statistics){0};
}

/* A vector of the batch's into `to`. */
static deep_status read_site(const deep_statistics *s, deep_value value, float *to, int64_t channels)
{
    return deep__program_read(&s->program, &s->trainer->workspace, value, to, (size_t)channels * sizeof *to);
}

static deep_status add_batch(deep_statistics *s, double weight)
{
    double *sum = s->mean, *square = s->square;
    for (int32_t i = 0; i < s->program.net.norm_count; ++i) {
        const deep_norm_site *site = &s->program.net.norms[i];
        const int64_t channels = site_channels(s, i);
        float *mean = s->site, *variance = mean + channels;
        DEEP_TRY(read_site(s, site->mean, mean, channels));
        DEEP_TRY(read_site(s, site->variance, variance, channels));
        for (int64_t c = 0; c < channels; ++c) {
            const double m = (double)mean[c];
            *sum++ += weight * m;
            *square++ += weight * ((double)variance[c] + m * m);
        }
    }
    return DEEP_OK;
}

static deep_status pool(deep_statistics *s)
{
    const double weight = 1.0 / (double)deep__loader_steps(s->loader); /* batches are of one size */
    memset(s->mean, 0, (size_t)s->channels * sizeof *s->mean);
    memset(s->square, 0, (size_t)s->channels * sizeof *s->square);
    DEEP_TRY(deep__loader_begin(s->loader, 0, 0));
    for (;;) {
        deep_batch batch;
        const int32_t *labels;
        int32_t n;
        DEEP_TRY(deep__context_check_cancel(s->trainer->model->context));
        DEEP_TRY(deep__loader_next(s->loader, &batch, &labels, &n));
        if (n == 0) return DEEP_OK;
        deep__workspace_expect(&s->trainer->workspace, deep__loader_peek(s->loader));
        void *base[DEEP_SEGMENT_COUNT] = {NULL};
        const size_t room = (size_t)n * deep__input_values(s->trainer->model) * sizeof(float);
        DEEP_TRY(deep__model_for_device(s->trainer->model, &base[DEEP_SEGMENT_PARAM]));
        DEEP_TRY(deep__workspace_bind_images(&s->trainer->workspace, base, batch, room));
        DEEP_TRY(deep__program_run(&s->program, &s->trainer->workspace, base, 0, s->program.graph.node_count));
        DEEP_TRY(deep__workspace_send(&s->trainer->workspace));
        DEEP_TRY(add_batch(s, weight));
    }
}

/* Mean and variance of a site in the model's weights. */
static float *model_mean(const deep_statistics *s, int32_t site)
{
    return deep__model_values(s->trainer->model, s->program.net.norms[site].mean_param);
}

static float *model_variance(const deep_statistics *s, int32_t site)
{
    return deep__model_values(s->trainer->model, s->program.net.norms[site].variance_param);
}

static void keep_running(deep_statistics *s)
{
    float *to = s->running;
    for (int32_t i = 0; i < s->program.net.norm_count; ++i) {
        const size_t channels = (size_t)site_channels(s, i);
        memcpy(to, model_mean(s, i), channels * sizeof *to);
        memcpy(to + channels, model_variance(s, i), channels * sizeof *to);
        to += 2 * channels;
    }
}

static void write_exact(const deep_statistics *s)
{
    const double *means = s->mean, *squares = s->square;
    for (int32_t i = 0; i < s->program.net.norm_count; ++i) {
        float *mean = model_mean(s, i), *variance = model_variance(s, i);
        for (int64_t channels = site_channels(s, i), c = 0; c < channels; ++c) {
            const double m = *means++, v = *squares++ - m * m;
            mean[c] = (float)m;
            variance[c] = v > 0 ? (float)v : 0;
        }
    }
}

deep_status deep__statistics_apply(deep_statistics *s)
{
    if (s->step != s->trainer->step) {
        s->step = -1;
        DEEP_TRY(pool(s));
        s->step = s->trainer->step;
    }
    DEEP_TRY(deep__trainer_for_host(s->trainer));
    keep_running(s);
    write_exact(s);
    deep__trainer_host_wrote(s->trainer);
    s->swapped = true;
    return DEEP_OK;
}

void deep__statistics_restore(deep_statistics *s)
{
    if (!s->swapped) return;
    const float *from = s->running;
    for (int32_t i = 0; i < s->program.net.norm_count; ++i) {
        const size_t channels = (size_t)site_channels(s, i);
        memcpy(model_mean(s, i), from, channels * sizeof *from);
        memcpy(model_variance(s, i), from + channels, channels * sizeof *from);
        from += 2 * channels;
    }
    deep__trainer_host_wrote(s->trainer);
    s->swapped = false;
}
