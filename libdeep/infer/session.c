/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/session.h"

#include "backend/staging.h"
#include "graph/passes.h"
#include "model/kernel_dtypes.h"
#include "model/layout.h"

#include <string.h>

enum { MAX_BATCH = 1024, MAX_THREADS = 1024, PIXELS_A_RUN = 300 * 300 };

void deep_session_options_init(deep_session_options *options, size_t size)
{
    deep__options_init(options, size);
}

/* The processor has separable convolutions of packed kernels; a device of any, and is asked for them. */
static bool has_separable(const deep_context *context, bool packed)
{
    return packed || (context->fused_separable != 0 && !deep__computes_in_host_memory(context));
}

static deep_status fuse(deep_graph *graph, bool separable, bool joins)
{
    DEEP_TRY(deep__pass_fold_batch_norm(graph));
    DEEP_TRY(deep__pass_fuse_epilogue(graph)); /* before the next: a ReLU costs less where a value is written, once */
    DEEP_TRY(deep__pass_fuse_relu(graph));
    if (separable) DEEP_TRY(deep__pass_fuse_separable(graph));
    return joins ? deep__pass_join_bands(graph) : DEEP_OK;
}

/* A device keeps what stands between layers in the type of the kernels where these are halves; the processor widens them. */
static deep_status store(deep_graph *graph, const deep_model *model)
{
    const int32_t dtype = deep__model_dtype(model);
    const bool halves = dtype == DEEP_DTYPE_BF16 || dtype == DEEP_DTYPE_F16;
    return halves && !deep__computes_in_host_memory(model->context) ? deep__pass_store_halves(graph, dtype) : DEEP_OK;
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
    if (!shape.layers)
        DEEP_TRY(fuse(graph, has_separable(model->context, shape.packed), model->context->backend->joins));
    DEEP_TRY(store(graph, model));
    return deep__program_compile(program, shape.queue, shape.threads, shape.packed);
}

/*
 * A batch is cut into equal runs of about as many pixels as one image of 299 x 299 has: measured, more together are not
 * faster, and what does not fit the caches is slower. A GPU wants all at once.
 */
int32_t deep__session_images_a_run(const deep_model *model, int32_t batch)
{
    if (!deep__computes_in_host_memory(model->context)) return batch;
    const int64_t pixels = (int64_t)model->arch.input_size * model->arch.input_size;
    const int64_t most = PIXELS_A_RUN / pixels < 1 ? 1 : PIXELS_A_RUN / pixels;
    const int64_t runs = (batch + most - 1) / most;
    return (int32_t)((batch + runs - 1) / runs);
}

static deep_status set_up(deep_session *session, deep_session_shape shape)
{
    const deep_allocator *allocator = &session->model->context->allocator;
    const int32_t together = shape.layers ? shape.batch : deep__session_images_a_run(session->model, shape.batch);
    session->images_a_run = shape.batch = together;
    shape.queue = session->workspace->queue;
    DEEP_TRY(deep__session_program(&session->program, &session->probabilities, session->model, shape));
    DEEP_TRY(deep__workspace_reserve(session->workspace, &session->program, together));
    if (shape.profile)
        DEEP_TRY(deep__alloc_zero(&session->step_times, allocator, (size_t)session->program.graph.node_count,
                                  sizeof *session->step_times, "a session's times"));
    DEEP_TRY(deep__alloc(&session->predictions, allocator, (size_t)session->batch,
                         (size_t)session->model->arch.classes * sizeof(float), "a session's predictions"));
    return deep__session_add_staged(session, 0);
}

deep_status deep__session_create(deep_session **out, const deep_model *model, deep_session_shape shape,
                                 deep_workspace *workspace)
{
    deep_session *session;
    DEEP_TRY(deep__alloc_zero(&session, &model->context->allocator, 1, sizeof *session, "session"));
    session->model = model;
    session->batch = shape.batch;
    session->keeps_layers = shape.layers;
    session->takes_pictures = shape.pictures;
    session->workspace = workspace != NULL ? workspace : &session->own_workspace;
    deep_status status = workspace != NULL ? DEEP_OK : deep__model_share(model);
    session->holds_model = status == DEEP_OK && workspace == NULL;
    if (status == DEEP_OK && workspace == NULL) status = deep__model_pack(model);
    shape.packed = workspace == NULL && deep__model_can_pack(model);
    if (status == DEEP_OK && workspace == NULL)
        status = deep__workspace_open(&session->own_workspace, model->context, shape.stream);
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
    DEEP_REQUIRE(options.profile == 0 || options.profile == 1, "profile is %" PRId32 ", not 0 or 1", options.profile);
    DEEP_TRY(deep__model_check_stream(model, options.stream));
    const deep_session_shape shape = {
        .stream = options.stream,
        .batch = options.batch == 0 ? 1 : options.batch,
        .threads = options.threads == 0 ? model->context->threads : options.threads,
        .layers = options.layers == 1,
        .profile = options.profile == 1,
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
    deep__free(allocator, session->step_times);
    deep__free(allocator, session->predictions);
    const deep_allocator staging = deep__staging(model->context);
    deep__free(&staging, session->staged[1]);
    deep__free(&staging, session->staged[0]);
    if (session->holds_model) deep__model_unshare(model);
    deep__free(allocator, session);
}

size_t deep__session_run_bytes(const deep_session *session)
{
    return (size_t)session->images_a_run * deep__input_values(session->model) * sizeof(float);
}

deep_status deep__session_pass(deep_session *session, void *base[DEEP_SEGMENT_COUNT])
{
    DEEP_TRY(deep__model_for_device(session->model, &base[DEEP_SEGMENT_PARAM]));
    ++session->passes;
    const int32_t count = session->program.graph.node_count;
    DEEP_TRY(session->step_times != NULL ? deep__session_run_steps(session, base)
                                         : deep__program_run(&session->program, session->workspace, base, 0, count));
    return deep__workspace_send(session->workspace);
}

static deep_status compute(deep_session *session, deep_batch batch)
{
    void *base[DEEP_SEGMENT_COUNT] = {NULL};
    DEEP_TRY(deep__workspace_bind_images(session->workspace, base, batch, deep__session_run_bytes(session)));
    return deep__session_pass(session, base);
}

static deep_status copy_result(const deep_session *session, deep_value value, int32_t n, float *to)
{
    const size_t bytes = (size_t)n * (size_t)session->model->arch.classes * sizeof *to;
    return to == NULL ? DEEP_OK : deep__program_read(&session->program, session->workspace, value, to, bytes);
}

/* Run after run; a last one that is not full holds beside its images what was there before. */
static deep_status compute_all(deep_session *session, const float *input, int32_t n, float *logits,
                               float *probabilities)
{
    const int32_t together = session->images_a_run;
    const size_t values = deep__input_values(session->model), classes = (size_t)session->model->arch.classes;
    session->passes = 0;
    for (int32_t done = 0; done < n; done += together) {
        const int32_t count = n - done < together ? n - done : together;
        const float *run = input + (size_t)done * values;
        if (count < together && input != session->staged[0]) {
            memcpy(session->staged[0], run, (size_t)count * values * sizeof *run);
            run = session->staged[0];
        }
        DEEP_TRY(compute(session, deep__batch_of_floats(run, deep__session_run_bytes(session))));
        DEEP_TRY(copy_result(session, session->program.net.logits, count,
                             logits == NULL ? NULL : logits + (size_t)done * classes));
        DEEP_TRY(copy_result(session, session->probabilities, count,
                             probabilities == NULL ? NULL : probabilities + (size_t)done * classes));
    }
    session->images = n;
    return logits == NULL && probabilities == NULL ? deep__program_wait(&session->program) : DEEP_OK;
}

deep_status deep__session_run_batch(deep_session *session, deep_batch batch, int32_t n, float *probabilities)
{
    if (!batch.is_pictures) return compute_all(session, batch.images, n, NULL, probabilities);
    DEEP_TRY(deep__session_begin(session, batch));
    return deep__session_finish(session, n, probabilities);
}

deep_status deep__session_begin(deep_session *session, deep_batch batch)
{
    session->passes = 0;
    return compute(session, batch);
}

deep_status deep__session_finish(deep_session *session, int32_t n, float *probabilities)
{
    session->images = n;
    return copy_result(session, session->probabilities, n, probabilities);
}

deep_status deep_session_run(deep_session *session, const float *input, int32_t n, float *logits, float *probabilities)
{
    DEEP_REQUIRE(session != NULL, "session is NULL");
    DEEP_TRY(deep__context_check(session->model->context));
    DEEP_REQUIRE(input != NULL, "input is NULL");
    DEEP_REQUIRE(n >= 1 && n <= session->batch, "n is %" PRId32 ", not 1 to the session's batch %" PRId32, n,
                 session->batch);
    return compute_all(session, input, n, logits, probabilities);
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
    return deep__program_read(&session->program, session->workspace, layer->value, values,
                              (size_t)count * sizeof *values);
}

deep_status deep_session_preprocess(const deep_session *session, const deep_image *image, float *input)
{
    DEEP_REQUIRE(session != NULL, "session is NULL");
    DEEP_REQUIRE(image != NULL, "image is NULL");
    DEEP_REQUIRE(input != NULL, "input is NULL");
    DEEP_TRY(deep__context_check(session->model->context));
    return deep__session_fill(session, image, input);
}
