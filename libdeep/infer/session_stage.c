/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that a session makes of images: the network's inputs, or pictures where the device makes these. */
#include "backend/staging.h"
#include "infer/session.h"

static deep_status too_large(const deep_session *session)
{
    return deep__fail(DEEP_ERROR_OUT_OF_MEMORY,
                      "a batch of %" PRId32 " images of %" PRId32 " pixels does not fit in memory", session->batch,
                      session->model->preprocess.size);
}

/* Whole runs: the last one may be full in part. */
static size_t floats_bytes(const deep_session *session)
{
    const int32_t together = session->images_a_run, runs = (session->batch + together - 1) / together;
    return (size_t)runs * deep__session_run_bytes(session);
}

static deep_status room(const deep_session *session, size_t *bytes)
{
    *bytes = floats_bytes(session);
    if (!session->takes_pictures) return DEEP_OK;
    return deep__pictures_room(bytes, &session->model->preprocess, session->batch) ? DEEP_OK : too_large(session);
}

deep_status deep__session_add_staged(deep_session *session, int32_t which)
{
    const deep_allocator staging = deep__staging(session->model->context);
    size_t bytes;
    if (session->staged[which] != NULL) return DEEP_OK;
    DEEP_TRY(room(session, &bytes));
    DEEP_TRY(deep__alloc_zero(&session->staged[which], &staging, bytes, 1, "a session's images"));
    if (session->takes_pictures)
        deep__pictures_init(session->staged[which], &session->model->preprocess, session->batch);
    return DEEP_OK;
}

deep_status deep__session_fill(const deep_session *session, const deep_image *image, float *input)
{
    deep_image *square;
    DEEP_TRY(deep__preprocess_square(&square, image, &session->model->preprocess));
    deep__preprocess_normalise(input, square, &session->model->preprocess, 0, 0);
    deep_image_free(square);
    return DEEP_OK;
}

static deep_status stage_floats(const deep_session *session, float *to, deep_image *const *images, int32_t n)
{
    const size_t values = deep__input_values(session->model);
    for (int32_t i = 0; i < n; ++i)
        DEEP_TRY(deep__session_fill(session, images[i], to + (size_t)i * values));
    return DEEP_OK;
}

/* `*end` is where the last pixels end. */
static deep_status stage_pictures(const deep_session *session, deep_pictures *block, deep_image *const *images,
                                  int32_t n, size_t *end)
{
    const deep_preprocess *preprocess = &session->model->preprocess;
    *end = deep__pictures_begin(block, n);
    for (int32_t i = 0; i < n; ++i) {
        deep_image *made;
        DEEP_TRY(deep__picture_make(&made, images[i], preprocess));
        const deep_image *picture = made == NULL ? images[i] : made;
        deep__picture_put(block, i, *end, picture, preprocess, 0, 0);
        *end += deep__picture_bytes(picture);
        deep_image_free(made);
    }
    return DEEP_OK;
}

deep_status deep__session_stage(deep_session *session, int32_t which, deep_image *const *images, int32_t n,
                                deep_batch *batch)
{
    void *to = session->staged[which];
    size_t end, bytes;
    DEEP_TRY(room(session, &bytes));
    if (!session->takes_pictures) {
        *batch = deep__batch_of_floats(to, deep__session_run_bytes(session));
        return stage_floats(session, to, images, n);
    }
    DEEP_TRY(stage_pictures(session, to, images, n, &end));
    *batch = deep__batch_of_pictures(to, end, bytes);
    return DEEP_OK;
}
