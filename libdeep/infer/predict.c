/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/session.h"

#include <string.h>

enum { MAX_BATCH = 1024, MAX_WORKERS = 64 };

void deep_predict_options_init(deep_predict_options *options, size_t size)
{
    deep__options_init(options, size);
}

deep_status deep__predict_options_read(deep_predict_options *options, const deep_predict_options *given,
                                       int32_t default_batch)
{
    *options = (deep_predict_options){0};
    DEEP_TRY(deep__options_read(options, sizeof *options, sizeof *options, given, "deep_predict_options"));
    DEEP_REQUIRE(options->batch >= 0 && options->batch <= MAX_BATCH, "batch is %" PRId32 ", not 0 to %d",
                 options->batch, MAX_BATCH);
    DEEP_REQUIRE(options->workers >= 0 && options->workers <= MAX_WORKERS, "workers is %" PRId32 ", not 0 to %d",
                 options->workers, MAX_WORKERS);
    if (options->batch == 0) options->batch = default_batch;
    return DEEP_OK;
}

/* Inserts each class into the k best so far; a tie goes to the lower index. */
static void choose_top(deep_prediction *top, int32_t k, const float *probabilities, int32_t classes)
{
    for (int32_t i = 0; i < k; ++i)
        top[i] = (deep_prediction){-1, 0};
    for (int32_t c = 0; c < classes; ++c) {
        int32_t at = k;
        while (at > 0 && (top[at - 1].class_index < 0 || probabilities[c] > top[at - 1].probability))
            --at;
        if (at == k) continue;
        memmove(top + at + 1, top + at, (size_t)(k - 1 - at) * sizeof *top);
        top[at] = (deep_prediction){c, probabilities[c]};
    }
}

/* What is asked for, batch after batch. */
typedef struct prediction_job {
    deep_session *session;
    deep_image *const *images;
    int64_t n;
    deep_prediction *top; /* n x k */
    int32_t k;
} prediction_job;

static int32_t batch_size(const prediction_job *job, int64_t first)
{
    const int32_t batch = job->session->batch;
    return job->n - first < batch ? (int32_t)(job->n - first) : batch;
}

static deep_status stage(const prediction_job *job, int64_t first, int32_t which, deep_batch *batch)
{
    return deep__session_stage(job->session, which, job->images + first, batch_size(job, first), batch);
}

static void choose_tops(const prediction_job *job, int64_t first)
{
    const int32_t classes = job->session->model->arch.classes, count = batch_size(job, first), k = job->k;
    for (int32_t i = 0; i < count; ++i)
        choose_top(job->top + (first + i) * k, k, job->session->predictions + i * classes, classes);
}

static deep_status predict_in_turn(const prediction_job *job)
{
    deep_session *session = job->session;
    for (int64_t first = 0; first < job->n; first += session->batch) {
        deep_batch batch;
        DEEP_TRY(stage(job, first, 0, &batch));
        DEEP_TRY(deep__session_run_batch(session, batch, batch_size(job, first), session->predictions));
        choose_tops(job, first);
    }
    return DEEP_OK;
}

/* While the device computes a batch, the next one is made and goes up. */
static deep_status predict_ahead(const prediction_job *job)
{
    deep_session *session = job->session;
    deep_batch batch;
    int32_t which = 0;
    DEEP_TRY(deep__session_add_staged(session, 1));
    DEEP_TRY(stage(job, 0, which, &batch));
    for (int64_t first = 0; first < job->n; first += session->batch) {
        DEEP_TRY(deep__session_begin(session, batch));
        if (first + session->batch < job->n) {
            which = 1 - which;
            DEEP_TRY(stage(job, first + session->batch, which, &batch));
            deep__workspace_expect(session->workspace, batch);
            DEEP_TRY(deep__workspace_send(session->workspace));
        }
        DEEP_TRY(deep__session_finish(session, batch_size(job, first), session->predictions));
        choose_tops(job, first);
    }
    return DEEP_OK;
}

static deep_status run_job(const prediction_job *job)
{
    const bool in_turn = deep__computes_in_host_memory(job->session->model->context) || job->n <= job->session->batch;
    if (in_turn) return predict_in_turn(job);
    const deep_status status = predict_ahead(job);
    deep__workspace_expect_nothing(job->session->workspace);
    return status;
}

deep_status deep_model_predict(const deep_model *model, deep_image *const *images, int64_t n,
                               const deep_predict_options *given, deep_prediction *top, int32_t k)
{
    deep_predict_options options;
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_TRY(deep__context_check(model->context));
    DEEP_TRY(deep__predict_options_read(&options, given, 1));
    DEEP_REQUIRE(n >= 0, "n is %" PRId64, n);
    DEEP_REQUIRE(n == 0 || (images != NULL && top != NULL), "images or top is NULL");
    DEEP_REQUIRE(k >= 1, "k is %" PRId32 ", not 1 or more", k);
    for (int64_t i = 0; i < n; ++i)
        DEEP_REQUIRE(images[i] != NULL, "image %" PRId64 " is NULL", i);
    if (n == 0) return DEEP_OK;
    deep_session *session;
    DEEP_TRY(deep__session_acquire(&session, model, options.batch));
    const prediction_job job = {session, images, n, top, k};
    const deep_status status = run_job(&job);
    deep__session_release(session);
    return status;
}
