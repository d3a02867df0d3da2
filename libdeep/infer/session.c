/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/session.h"

#include "graph/passes.h"

#include <string.h>

enum { MAX_BATCH = 1024, MAX_THREADS = 1024 };

void deep_session_options_init(deep_session_options *options, size_t size)
{
    deep__options_init(options, size);
}

deep_status deep__session_program(deep_program *program, deep_value *probabilities, const deep_model *model,
                                  int32_t batch, int32_t threads)
{
    deep_graph *graph = &program->graph;
    DEEP_TRY(deep__program_build(program, model, batch, DEEP_MODE_INFER));
    *probabilities = DEEP_GRAPH_ADD(graph, DEEP_OP_SOFTMAX, NULL, program->net.logits);
    DEEP_TRY(graph->status);
    graph->values[program->net.logits].keep = true;
    graph->values[*probabilities].keep = true;
    DEEP_TRY(deep__pass_fuse_relu(graph));
    DEEP_TRY(deep__pass_fold_batch_norm(graph));
    DEEP_TRY(deep__pass_fuse_epilogue(graph));
    return deep__program_compile(program, threads);
}

/* Values of one preprocessed image. */
static size_t input_values(const deep_model *model)
{
    return (size_t)model->arch.input_size * (size_t)model->arch.input_size * 3;
}

static deep_status set_up(deep_session *session, int32_t threads)
{
    const deep_allocator *allocator = &session->model->context->allocator;
    DEEP_TRY(
        deep__session_program(&session->program, &session->probabilities, session->model, session->batch, threads));
    session->own_workspace.allocator = allocator;
    DEEP_TRY(deep__workspace_reserve(session->workspace, session->program.graph.arena_bytes,
                                     session->program.scratch_bytes));
    return deep__alloc_zero(&session->input, allocator, (size_t)session->batch * input_values(session->model),
                            sizeof(float), "a session's input");
}

deep_status deep__session_create(deep_session **out, const deep_model *model, int32_t batch, int32_t threads,
                                 deep_workspace *workspace)
{
    deep_session *session;
    DEEP_TRY(deep__alloc_zero(&session, &model->context->allocator, 1, sizeof *session, "session"));
    session->model = model;
    session->batch = batch;
    session->workspace = workspace != NULL ? workspace : &session->own_workspace;
    deep_status status = workspace != NULL ? DEEP_OK : deep__model_share(model);
    session->holds_model = status == DEEP_OK && workspace == NULL;
    if (status == DEEP_OK) status = set_up(session, threads);
    if (status != DEEP_OK) {
        deep_session_free(session);
        return status;
    }
    *out = session;
    return DEEP_OK;
}

deep_status deep_session_create(deep_session **out, const deep_model *model, const deep_session_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_TRY(deep__context_check(model->context));
    deep_session_options options = {0};
    DEEP_TRY(deep__options_read(&options, sizeof options, sizeof options, given, "deep_session_options"));
    DEEP_REQUIRE(options.batch >= 0 && options.batch <= MAX_BATCH, "batch is %" PRId32 ", not 0 to %d", options.batch,
                 MAX_BATCH);
    DEEP_REQUIRE(options.threads >= 0 && options.threads <= MAX_THREADS, "threads is %" PRId32 ", not 0 to %d",
                 options.threads, MAX_THREADS);
    return deep__session_create(out, model, options.batch == 0 ? 1 : options.batch,
                                options.threads == 0 ? model->context->threads : options.threads, NULL);
}

void deep_session_free(deep_session *session)
{
    if (session == NULL) return;
    const deep_model *model = session->model;
    const deep_allocator *allocator = &model->context->allocator;
    deep__program_free(&session->program);
    deep__workspace_free(&session->own_workspace);
    deep__free(allocator, session->input);
    if (session->holds_model) deep__model_unshare(model);
    deep__free(allocator, session);
}

deep_status deep__session_compute(deep_session *session, const float *input)
{
    void *base[DEEP_SEGMENT_COUNT] = {NULL};
    union {
        const float *in;
        void *out;
    } bound = {input}; /* a plan reads its inputs alone */
    base[DEEP_SEGMENT_PARAM] = session->model->values;
    base[DEEP_SEGMENT_INPUT + DEEP_INPUT_IMAGES] = bound.out;
    return deep__program_run(&session->program, session->workspace, base, 0, session->program.graph.node_count);
}

const float *deep__session_probabilities(const deep_session *session)
{
    return deep__program_value(&session->program, session->workspace, session->probabilities);
}

deep_status deep_session_run(deep_session *session, const float *input, int32_t n, float *logits, float *probabilities)
{
    DEEP_REQUIRE(session != NULL, "session is NULL");
    DEEP_TRY(deep__context_check(session->model->context));
    DEEP_REQUIRE(input != NULL, "input is NULL");
    DEEP_REQUIRE(n >= 1 && n <= session->batch, "n is %" PRId32 ", not 1 to the session's batch %" PRId32, n,
                 session->batch);
    const float *whole = input;
    if (n < session->batch) { /* the rest of the batch holds what was there before */
        memcpy(session->input, input, (size_t)n * input_values(session->model) * sizeof *input);
        whole = session->input;
    }
    DEEP_TRY(deep__session_compute(session, whole));
    const size_t bytes = (size_t)n * (size_t)session->model->arch.classes * sizeof(float);
    if (logits != NULL)
        memcpy(logits, deep__program_value(&session->program, session->workspace, session->program.net.logits), bytes);
    if (probabilities != NULL) memcpy(probabilities, deep__session_probabilities(session), bytes);
    return DEEP_OK;
}

deep_status deep_session_preprocess(const deep_session *session, const deep_image *image, float *input)
{
    DEEP_REQUIRE(session != NULL, "session is NULL");
    DEEP_REQUIRE(image != NULL, "image is NULL");
    DEEP_REQUIRE(input != NULL, "input is NULL");
    DEEP_TRY(deep__context_check(session->model->context));
    deep_image *square;
    DEEP_TRY(deep__preprocess_square(&square, image, &session->model->preprocess));
    deep__preprocess_normalise(input, square, &session->model->preprocess, 0, 0);
    deep_image_free(square);
    return DEEP_OK;
}
