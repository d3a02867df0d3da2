/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/program.h"

#include "graph/memory_plan.h"

deep_status deep__workspace_reserve(deep_workspace *workspace, size_t arena_bytes, size_t scratch_bytes)
{
    if (workspace->arena == NULL || arena_bytes > workspace->arena_bytes) {
        deep__free(workspace->allocator, workspace->arena);
        workspace->arena_bytes = 0;
        DEEP_TRY(deep__alloc(&workspace->arena, workspace->allocator, arena_bytes, 1, "intermediate results"));
        workspace->arena_bytes = arena_bytes;
    }
    if (workspace->scratch == NULL || scratch_bytes > workspace->scratch_bytes) {
        deep__free(workspace->allocator, workspace->scratch);
        workspace->scratch_bytes = 0;
        DEEP_TRY(deep__alloc(&workspace->scratch, workspace->allocator, scratch_bytes, 1, "scratch memory"));
        workspace->scratch_bytes = scratch_bytes;
    }
    return DEEP_OK;
}

void deep__workspace_free(deep_workspace *workspace)
{
    if (workspace->allocator == NULL) return;
    deep__free(workspace->allocator, workspace->arena);
    deep__free(workspace->allocator, workspace->scratch);
    *workspace = (deep_workspace){0};
}

deep_status deep__program_build(deep_program *program, const deep_model *model, int32_t batch, enum deep_mode mode)
{
    *program = (deep_program){.context = model->context};
    deep__graph_init(&program->graph, &model->context->allocator, DEEP_DTYPE_F32);
    return deep__network_build(&program->net, &program->graph, &model->arch, batch, mode, model->frozen);
}

deep_status deep__program_compile(deep_program *program, int32_t threads, bool packed)
{
    deep_context *context = program->context;
    const deep_host host = deep__host(context);
    const deep_plan_options options = {sizeof options, threads, context->isa, packed, context->accelerator};
    DEEP_TRY(deep__note_computation());
    DEEP_TRY(deep__memory_plan(&program->graph));
    return context->backend->plan_create(&program->plan, &program->scratch_bytes, &program->graph, &options, &host);
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
    base[DEEP_SEGMENT_SCRATCH] = workspace->scratch;
    return program->context->backend->plan_run(program->plan, base, first, end);
}

void *deep__program_value(const deep_program *program, const deep_workspace *workspace, deep_value value)
{
    return (char *)workspace->arena + deep__graph_value(&program->graph, value)->offset;
}
