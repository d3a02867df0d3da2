/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/session.h"

#include "graph/passes.h"

#include <string.h>

enum { MAX_BATCH = 1024, MAX_THREADS = 1024 };

void deep_session_options_init(deep_session_options *options, size_t size)
{
    deep__options_init(options, size);
}

static deep_status fuse(deep_graph *graph)
{
    DEEP_TRY(deep__pass_fuse_relu(graph));
    DEEP_TRY(deep__pass_fold_batch_norm(graph));
    return deep__pass_fuse_epilogue(graph);
}

deep_status deep__session_program(deep_program *program, deep_value *probabilities, const deep_model *model,
                                  deep_session_shape shape)
{
    deep_graph *graph = &program->graph;
    DEEP_TRY(deep__program_build(program, model, shape.batch, DEEP_MODE_INFER));
    *probabilities = deep__layer_output(
        &program->net, DEEP_GRAPH_ADD(graph, DEEP_OP_SOFTMAX, NULL, program->net.logits), "predictions_softmax");
    DEEP_TRY(graph->status);
    graph->values[program->net.logits].keep = true;
    graph->values[*probabilities].keep = true;
    for (int32_t i = 0; i < program->net.layer_count && shape.layers; ++i)
        graph->values[program->net.layers[i].value].keep = true;
    if (!shape.layers) DEEP_TRY(fuse(graph));
    return deep__program_compile(program, shape.threads);
}

/* Values of one preprocessed image. */
static size_t input_values(const deep_model *model)
{
    return (size_t)model->arch.input_size * (size_t)model->arch.input_size * 3;
}

static deep_status set_up(deep_session *session, deep_session_shape shape)
{
    const deep_allocator *allocator = &session->model->context->allocator;
    DEEP_TRY(deep__session_program(&session->program, &session->probabilities, session->model, shape));
    session->own_workspace.allocator = allocator;
    DEEP_TRY(deep__workspace_reserve(session->workspace, session->program.graph.arena_bytes,
                                     session->program.scratch_bytes));
    return deep__alloc_zero(&session->input, allocator, (size_t)session->batch * input_values(session->model),
                            sizeof(float), "a session's input");
}

deep_status deep__session_create(deep_session **out, const deep_model *model, deep_session_shape shape,
                                 deep_workspace *workspace)
{
    deep_session *session;
    DEEP_TRY(deep__alloc_zero(&session, &model->context->allocator, 1, sizeof *session, "session"));
    session->model = model;
    session->batch = shape.batch;
    session->keeps_layers = shape.layers;
    session->workspace = workspace != NULL ? workspace : &session->own_workspace;
    deep_status status = workspace != NULL ? DEEP_OK : deep__model_share(model);
    session->holds_model = status == DEEP_OK && workspace == NULL;
    if (status == DEEP_OK) status = set_up(session, shape);
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
    DEEP_REQUIRE(options.layers == 0 || options.layers == 1, "layers is %" PRId32 ", not 0 or 1", options.layers);
    const deep_session_shape shape = {
        .batch = options.batch == 0 ? 1 : options.batch,
        .threads = options.threads == 0 ? model->context->threads : options.threads,
        .layers = options.layers == 1,
    };
    return deep__session_create(out, model, shape, NULL);
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
    session->images = n;
    const size_t bytes = (size_t)n * (size_t)session->model->arch.classes * sizeof(float);
    if (logits != NULL)
        memcpy(logits, deep__program_value(&session->program, session->workspace, session->program.net.logits), bytes);
    if (probabilities != NULL) memcpy(probabilities, deep__session_probabilities(session), bytes);
    return DEEP_OK;
}

/* ---- layers ---- */

int32_t deep_session_layer_count(const deep_session *session)
{
    return session == NULL || !session->keeps_layers ? 0 : session->program.net.layer_count;
}

/* The layer and its value [batch, ...]. */
static deep_status find_layer(const deep_layer_output **layer, const deep_value_info **info,
                              const deep_session *session, int32_t index)
{
    DEEP_REQUIRE(session != NULL, "session is NULL");
    const int32_t count = deep_session_layer_count(session);
    DEEP_REQUIRE(index >= 0 && index < count, "layer %" PRId32 " of %" PRId32, index, count);
    *layer = &session->program.net.layers[index];
    *info = deep__graph_value(&session->program.graph, (*layer)->value);
    return DEEP_OK;
}

deep_status deep_session_layer_info(const deep_session *session, int32_t index, deep_layer *out)
{
    const deep_layer_output *layer = NULL;
    const deep_value_info *info = NULL;
    DEEP_TRY(find_layer(&layer, &info, session, index));
    deep_layer result = {.name = layer->name, .rank = info->rank - 1};
    for (int32_t axis = 1; axis < info->rank; ++axis)
        result.shape[axis - 1] = info->shape[axis];
    return deep__result_write(out, sizeof result, &result, sizeof result, "deep_layer");
}

deep_status deep_session_layer_read(const deep_session *session, int32_t index, int32_t n, float *values, int64_t count)
{
    const deep_layer_output *layer = NULL;
    const deep_value_info *info = NULL;
    DEEP_TRY(find_layer(&layer, &info, session, index));
    if (session->images == 0) return deep__fail(DEEP_ERROR_STATE, "the session has not run yet");
    DEEP_REQUIRE(n >= 1 && n <= session->images, "n is %" PRId32 ", not 1 to the last run's %" PRId32, n,
                 session->images);
    DEEP_REQUIRE(values != NULL, "values is NULL");
    const int64_t wanted = deep__value_elements(info) / session->batch * n;
    DEEP_REQUIRE(count == wanted, "%" PRId64 " values, layer \"%s\" has %" PRId64, count, layer->name, wanted);
    memcpy(values, deep__program_value(&session->program, session->workspace, layer->value),
           (size_t)count * sizeof *values);
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
