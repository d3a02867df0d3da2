/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that wait for the next prediction, so that a model is compiled once per batch size and concurrent caller. An idle session does
 * not hold the model; whoever wants it alone frees the idle ones first.
 */
#include "infer/session.h"

/* `infer_cache` is the list's head, guarded by the model's lock; everything else of a model is constant while it is shared. */
static deep_model *writable(const deep_model *model)
{
    union {
        const deep_model *in;
        deep_model *out;
    } cast = {model};
    return cast.out;
}

static void free_idle(deep_model *model)
{
    pthread_mutex_lock(&model->lock);
    deep_session *idle = model->infer_cache;
    model->infer_cache = NULL;
    pthread_mutex_unlock(&model->lock);
    while (idle != NULL) {
        deep_session *next = idle->next;
        deep_session_free(idle);
        idle = next;
    }
}

static deep_session *take_idle(deep_model *model, int32_t batch)
{
    pthread_mutex_lock(&model->lock);
    deep_session *previous = NULL, *session = model->infer_cache;
    while (session != NULL && session->batch != batch) {
        previous = session;
        session = session->next;
    }
    if (session != NULL && previous != NULL) previous->next = session->next;
    if (session != NULL && previous == NULL) model->infer_cache = session->next;
    model->infer_cache_free = free_idle;
    pthread_mutex_unlock(&model->lock);
    return session;
}

deep_status deep__session_acquire(deep_session **out, const deep_model *model, int32_t batch)
{
    DEEP_TRY(deep__model_share(model));
    deep_session *session = take_idle(writable(model), batch);
    if (session == NULL) {
        const deep_session_shape shape = {
            .batch = batch, .threads = model->context->threads, .pictures = deep__choose_pictures(model->context)};
        const deep_status status = deep__session_create(&session, model, shape, NULL);
        deep__model_unshare(model); /* the session holds it */
        DEEP_TRY(status);
    } else {
        session->holds_model = true;
    }
    *out = session;
    return DEEP_OK;
}

void deep__session_release(deep_session *session)
{
    deep_model *model = writable(session->model);
    session->holds_model = false;
    pthread_mutex_lock(&model->lock); /* both at once: whoever owns the model next must find the session */
    --model->shared;
    session->next = model->infer_cache;
    model->infer_cache = session;
    pthread_mutex_unlock(&model->lock);
}
