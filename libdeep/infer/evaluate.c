/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/evaluate.h"

#include "backend/staging.h"
#include "data/classes.h"

#include <string.h>

enum { DEFAULT_BATCH = 16 };

/* Where the workers are ahead, the next batch goes up to the device during this one's run; a last one of floats that is not full does not. */
static void expect_next(deep_session *session, deep_loader *loader)
{
    const deep_batch next = deep__loader_peek(loader);
    if (next.is_pictures || next.bytes == deep__session_run_bytes(session))
        deep__workspace_expect(session->workspace, next);
}

static deep_status collect(deep_session *session, deep_loader *loader, float *probabilities, int32_t *labels,
                           const deep_evaluate_hook *hook)
{
    const int32_t classes = session->model->arch.classes;
    const int64_t steps = deep__loader_steps(loader);
    int64_t row = 0;
    DEEP_TRY(deep__loader_begin(loader, 0, 0));
    for (int64_t step = 1;; ++step) {
        deep_batch batch;
        const int32_t *batch_labels;
        int32_t n;
        DEEP_TRY(deep__context_check_cancel(session->model->context));
        DEEP_TRY(deep__loader_next(loader, &batch, &batch_labels, &n));
        if (n == 0) return DEEP_OK;
        expect_next(session, loader);
        DEEP_TRY(deep__session_run_batch(session, batch, n, probabilities + row * classes));
        memcpy(labels + row, batch_labels, (size_t)n * sizeof *labels);
        row += n;
        if (hook != NULL && hook->step(hook->user, step, steps) != 0)
            return deep__fail(DEEP_ERROR_CANCELLED, "cancelled");
    }
}

deep_status deep__evaluate_with(deep_session *session, deep_loader *loader, int64_t count,
                                const deep_evaluate_hook *hook, deep_metrics **out)
{
    deep_context *context = session->model->context;
    const int32_t classes = session->model->arch.classes;
    float *probabilities = NULL;
    int32_t *labels = NULL;
    deep_status status = deep__alloc(&probabilities, &context->allocator, (size_t)count * (size_t)classes,
                                     sizeof(float), "probabilities");
    if (status == DEEP_OK) status = deep__alloc(&labels, &context->allocator, (size_t)count, sizeof *labels, "labels");
    if (status == DEEP_OK) status = collect(session, loader, probabilities, labels, hook);
    deep__workspace_expect_nothing(session->workspace);
    if (status == DEEP_OK) status = deep_metrics_compute(out, context, probabilities, labels, count, classes);
    deep__free(&context->allocator, labels);
    deep__free(&context->allocator, probabilities);
    return status;
}

deep_status deep_model_evaluate(const deep_model *model, const deep_dataset *dataset, const deep_predict_options *given,
                                deep_metrics **out)
{
    deep_predict_options options;
    DEEP_REQUIRE_OUT(out);
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_REQUIRE(dataset != NULL, "dataset is NULL");
    DEEP_TRY(deep__context_check(model->context));
    DEEP_TRY(deep__predict_options_read(&options, given, DEFAULT_BATCH));
    DEEP_TRY(deep__classes_check_equal(model->classes, deep_dataset_classes(dataset)));
    deep_session *session = NULL;
    deep_loader *loader = NULL;
    deep_loader_options loading = {.batch = options.batch,
                                   .workers = options.workers,
                                   .staging = deep__staging(model->context),
                                   .preprocess = model->preprocess};
    deep_status status = deep__session_acquire(&session, model, options.batch);
    loading.pictures = status == DEEP_OK && session->takes_pictures;
    if (status == DEEP_OK) status = deep__loader_create(&loader, dataset, &loading);
    if (status == DEEP_OK) status = deep__evaluate_with(session, loader, deep_dataset_size(dataset), NULL, out);
    deep__loader_free(loader);
    if (session != NULL) deep__session_release(session);
    return status;
}
