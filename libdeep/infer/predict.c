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

static deep_status predict_batch(deep_session *session, deep_image *const *images, int32_t n, deep_prediction *top,
                                 int32_t k)
{
    const deep_model *model = session->model;
    const size_t values = (size_t)model->arch.input_size * (size_t)model->arch.input_size * 3;
    for (int32_t i = 0; i < n; ++i)
        DEEP_TRY(deep_session_preprocess(session, images[i], session->input + (size_t)i * values));
    DEEP_TRY(deep__session_predict(session, n));
    for (int32_t i = 0; i < n; ++i)
        choose_top(top + (size_t)i * (size_t)k, k, session->predictions + i * model->arch.classes, model->arch.classes);
    return DEEP_OK;
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
    deep_status status = DEEP_OK;
    for (int64_t i = 0; i < n && status == DEEP_OK; i += options.batch) {
        const int32_t count = n - i < options.batch ? (int32_t)(n - i) : options.batch;
        status = predict_batch(session, images + i, count, top + i * k, k);
    }
    deep__session_release(session);
    return status;
}
