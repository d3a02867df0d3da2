/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/program.h"

#include "graph/memory_plan.h"

static const deep_accelerators *accelerators_of(const deep_workspace *workspace)
{
    return workspace->context->backend->accelerators;
}

deep_status deep__workspace_grow(const deep_context *context, void **block, size_t *bytes, size_t wanted,
                                 const char *what)
{
    if (*block != NULL && wanted <= *bytes) return DEEP_OK;
    deep__device_free(context, *block);
    *block = NULL;
    *bytes = 0;
    DEEP_TRY(deep__device_alloc(block, context, wanted, what));
    *bytes = wanted;
    return DEEP_OK;
}

/* What a batch needs grows with it, but for a little; rounded down, that is on the safe side. */
static deep_status suggest_batch(const deep_workspace *workspace, size_t wanted, int32_t batch)
{
    const deep_context *context = workspace->context;
    const size_t left = context->backend->accelerators->free_bytes(context->accelerator) + workspace->arena_bytes +
                        workspace->scratch_bytes;
    const double fits = (double)left / (double)wanted * batch;
    return deep__fail(DEEP_ERROR_OUT_OF_MEMORY,
                      "out of GPU memory: a batch of %" PRId32 " wants %zu bytes, %zu are free: %s%" PRId32
                      " would fit",
                      batch, wanted, left, fits < 1 ? "not even one of " : "one of ", fits < 1 ? 1 : (int32_t)fits);
}

deep_status deep__workspace_reserve(deep_workspace *workspace, const deep_program *program, int32_t batch)
{
    const deep_context *context = workspace->context;
    const size_t arena = program->graph.arena_bytes, scratch = program->scratch_bytes;
    deep_status status =
        deep__workspace_grow(context, &workspace->arena, &workspace->arena_bytes, arena, "intermediate results");
    if (status == DEEP_OK && !program->scratch_in_arena)
        status =
            deep__workspace_grow(context, &workspace->scratch, &workspace->scratch_bytes, scratch, "scratch memory");
    if (status != DEEP_ERROR_OUT_OF_MEMORY || deep__computes_in_host_memory(context)) return status;
    return suggest_batch(workspace, arena + scratch, batch);
}

deep_status deep__workspace_open(deep_workspace *workspace, const deep_context *context, void *stream)
{
    *workspace = (deep_workspace){.context = context};
    if (deep__computes_in_host_memory(context)) return DEEP_OK;
    return context->backend->accelerators->branch(&workspace->queue, context->accelerator, stream);
}

void deep__workspace_free(deep_workspace *workspace)
{
    if (workspace->context == NULL) return;
    deep__device_free(workspace->context, workspace->arena);
    deep__device_free(workspace->context, workspace->scratch);
    for (int32_t i = 0; i < DEEP_WORKSPACE_INPUTS; ++i)
        deep__device_free(workspace->context, workspace->inputs[i]);
    deep__device_free(workspace->context, workspace->ahead.buffer);
    if (workspace->queue != NULL) workspace->context->backend->accelerators->close(workspace->queue);
    *workspace = (deep_workspace){0};
}

size_t deep__input_values(const deep_model *model)
{
    return (size_t)model->arch.input_size * (size_t)model->arch.input_size * 3;
}

deep_status deep__program_build(deep_program *program, const deep_model *model, int32_t batch, enum deep_mode mode)
{
    *program = (deep_program){.context = model->context};
    deep__graph_init(&program->graph, &model->context->allocator, DEEP_DTYPE_F32);
    return deep__network_build(&program->net, &program->graph, &model->arch, batch, mode, model->frozen);
}

/* Lets each node's scratch stand in the arena where its backend can have that: at the end nothing is used that is not counted there. */
static deep_status place_scratch(deep_program *program)
{
    const deep_backend *backend = program->context->backend;
    deep_graph *graph = &program->graph;
    const size_t count = (size_t)graph->node_count;
    size_t *bytes;
    if (backend->plan_place == NULL || count == 0) return DEEP_OK;
    DEEP_TRY(deep__alloc(&bytes, graph->allocator, 2 * count, sizeof *bytes, "memory plan"));
    backend->plan_scratch(program->plan, bytes);
    const deep_status status = deep__memory_place_scratch(graph, bytes, bytes + count);
    if (status == DEEP_OK) backend->plan_place(program->plan, bytes + count);
    deep__free(graph->allocator, bytes);
    program->scratch_in_arena = true;
    program->scratch_bytes = 0;
    return status;
}

deep_status deep__program_compile(deep_program *program, deep_accelerator *queue, int32_t threads, bool packed)
{
    deep_context *context = program->context;
    const deep_host host = deep__host(context);
    const deep_plan_options options = {.struct_size = sizeof options,
                                       .threads = threads,
                                       .isa = context->isa,
                                       .packed = packed,
                                       .accelerator = queue != NULL ? queue : context->accelerator,
                                       .plain = context->plain_launches,
                                       .fused = context->fused_separable};
    program->queue = options.accelerator;
    DEEP_TRY(deep__note_computation());
    DEEP_TRY(deep__memory_plan(&program->graph));
    DEEP_TRY(context->backend->plan_create(&program->plan, &program->scratch_bytes, &program->graph, &options, &host));
    return place_scratch(program);
}

void deep__program_free(deep_program *program)
{
    if (program->plan != NULL) program->context->backend->plan_free(program->plan);
    deep__network_free(&program->net);
    deep__graph_free(&program->graph);
    *program = (deep_program){0};
}

deep_status deep__program_run(const deep_program *program, const deep_workspace *workspace,
                              void *base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end)
{
    base[DEEP_SEGMENT_ARENA] = workspace->arena;
    base[DEEP_SEGMENT_SCRATCH] = program->scratch_in_arena ? workspace->arena : workspace->scratch;
    return program->context->backend->plan_run(program->plan, base, first, end);
}

/* Lets `input` have what is uploaded of `batch`: now, or what has been on its way. */
static deep_status bring(deep_workspace *workspace, int32_t input, deep_batch batch)
{
    void **block = &workspace->inputs[input];
    bool arrived = false;
    if (input == DEEP_INPUT_IMAGES || input == DEEP_WORKSPACE_PICTURES)
        DEEP_TRY(deep__workspace_arrive(workspace, input, batch, &arrived));
    if (arrived) return DEEP_OK;
    DEEP_TRY(deep__workspace_grow(workspace->context, block, &workspace->input_bytes[input], batch.room, "an input"));
    return deep__upload(workspace->context, workspace->queue, *block, batch.images, batch.bytes);
}

deep_status deep__workspace_bind(deep_workspace *workspace, void *base[DEEP_SEGMENT_COUNT], int32_t input,
                                 const void *values, size_t bytes)
{
    union {
        const void *in;
        void *out;
    } bound = {values};
    const bool on_host = deep__computes_in_host_memory(workspace->context);
    if (!on_host) DEEP_TRY(bring(workspace, input, deep__batch_of_floats(values, bytes)));
    base[DEEP_SEGMENT_INPUT + input] = on_host ? bound.out : workspace->inputs[input];
    return DEEP_OK;
}

/* An input that the device fills, zeros at first. */
static deep_status bind_room(deep_workspace *workspace, void *base[DEEP_SEGMENT_COUNT], int32_t input, size_t room)
{
    void **block = &workspace->inputs[input];
    const bool is_new = *block == NULL || workspace->input_bytes[input] < room;
    DEEP_TRY(deep__workspace_grow(workspace->context, block, &workspace->input_bytes[input], room, "an input"));
    base[DEEP_SEGMENT_INPUT + input] = *block;
    return is_new ? accelerators_of(workspace)->clear(workspace->queue, *block, room) : DEEP_OK;
}

deep_status deep__workspace_bind_device(deep_workspace *workspace, void *base[DEEP_SEGMENT_COUNT], int32_t input,
                                        const void *values, size_t bytes, size_t room)
{
    deep__workspace_expect_nothing(workspace);
    DEEP_TRY(bind_room(workspace, base, input, room));
    return accelerators_of(workspace)->copy(workspace->queue, workspace->inputs[input], values, bytes);
}

deep_status deep__workspace_bind_images(deep_workspace *workspace, void *base[DEEP_SEGMENT_COUNT], deep_batch batch,
                                        size_t room)
{
    if (!batch.is_pictures) return deep__workspace_bind(workspace, base, DEEP_INPUT_IMAGES, batch.images, batch.bytes);
    DEEP_TRY(bind_room(workspace, base, DEEP_INPUT_IMAGES, room));
    DEEP_TRY(bring(workspace, DEEP_WORKSPACE_PICTURES, batch));
    return accelerators_of(workspace)->preprocess(workspace->queue, workspace->inputs[DEEP_INPUT_IMAGES],
                                                  workspace->inputs[DEEP_WORKSPACE_PICTURES], batch.images);
}

deep_status deep__program_read(const deep_program *program, const deep_workspace *workspace, deep_value value, void *to,
                               size_t bytes)
{
    return deep__download(program->context, program->queue, to, deep__program_value(program, workspace, value), bytes);
}

deep_status deep__program_wait(const deep_program *program)
{
    const deep_context *context = program->context;
    if (deep__computes_in_host_memory(context)) return DEEP_OK;
    return context->backend->accelerators->sync(program->queue);
}

void *deep__program_value(const deep_program *program, const deep_workspace *workspace, deep_value value)
{
    return (char *)workspace->arena + deep__graph_value(&program->graph, value)->offset;
}
