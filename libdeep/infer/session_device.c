/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions between arrays of the device's memory. A device takes a batch in one pass, so there is one input and one result. */
#include "infer/session.h"

static const deep_accelerators *accelerators_of(const deep_session *session)
{
    return session->model->context->backend->accelerators;
}

static deep_status check_session(const deep_session *session)
{
    DEEP_REQUIRE(session != NULL, "session is NULL");
    DEEP_TRY(deep__context_check(session->model->context));
    return deep__require_device_memory(session->model->context);
}

static deep_status check_memory(const deep_session *session, const char *name, const void *memory)
{
    DEEP_REQUIRE(accelerators_of(session)->owns(session->workspace->queue, memory),
                 "%s is not in the memory of device \"%s\"", name, deep_model_device(session->model));
    return DEEP_OK;
}

static deep_status queue_result(const deep_session *session, deep_value value, int32_t n, float *to)
{
    const size_t bytes = (size_t)n * (size_t)session->model->arch.classes * sizeof *to;
    if (to == NULL) return DEEP_OK;
    return accelerators_of(session)->copy(session->workspace->queue, to,
                                          deep__program_value(&session->program, session->workspace, value), bytes);
}

static deep_status queue_run(deep_session *session, const float *input, int32_t n)
{
    void *base[DEEP_SEGMENT_COUNT] = {NULL};
    const size_t image = deep__input_values(session->model) * sizeof *input;
    DEEP_TRY(deep__workspace_bind_device(session->workspace, base, DEEP_INPUT_IMAGES, input, (size_t)n * image,
                                         deep__session_run_bytes(session)));
    session->passes = 0;
    return deep__session_pass(session, base);
}

deep_status deep_session_run_device(deep_session *session, const float *input, int32_t n, float *logits,
                                    float *probabilities)
{
    DEEP_TRY(check_session(session));
    DEEP_REQUIRE(input != NULL, "input is NULL");
    DEEP_REQUIRE(n >= 1 && n <= session->batch, "n is %" PRId32 ", not 1 to the session's batch %" PRId32, n,
                 session->batch);
    DEEP_TRY(check_memory(session, "input", input));
    if (logits != NULL) DEEP_TRY(check_memory(session, "logits", logits));
    if (probabilities != NULL) DEEP_TRY(check_memory(session, "probabilities", probabilities));
    DEEP_TRY(queue_run(session, input, n));
    DEEP_TRY(queue_result(session, session->program.net.logits, n, logits));
    DEEP_TRY(queue_result(session, session->probabilities, n, probabilities));
    session->images = n;
    return DEEP_OK;
}

deep_status deep_session_wait(deep_session *session, void *stream)
{
    DEEP_TRY(check_session(session));
    if (stream == NULL) return deep__program_wait(&session->program);
    return accelerators_of(session)->hold(session->workspace->queue, stream);
}

void *deep_session_stream(const deep_session *session)
{
    if (session == NULL || session->workspace->queue == NULL) return NULL;
    return accelerators_of(session)->stream(session->workspace->queue);
}
