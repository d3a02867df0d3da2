/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/passes.h"
#include "infer/session.h"
#include "model/kernel_dtypes.h"
#include "model/layout.h"
#include "train/options.h"
#include "train/step.h"

enum { MAX_BATCH = 1024 };

/* A step's arena by compiling it; nothing of its size is allocated. */
static deep_status estimate_training(deep_memory_estimate *e, const deep_model *model, int32_t batch)
{
    const deep_fit_options options = {.struct_size = sizeof options, .batch = batch};
    union {
        const deep_model *in;
        deep_model *out;
    } shared = {model}; /* a step is compiled, not run: nothing is written */
    deep_trainer trainer = {.model = shared.out};
    deep_step_program program = {.batch = batch};
    DEEP_TRY(deep__model_check_float(model, "cannot be trained"));
    DEEP_TRY(deep__fit_options_read(&trainer.options, &options));
    trainer.slot_count = deep__optimizer_slots(&trainer.options);
    const deep_status status = deep__step_build(&program, &trainer);
    e->activations = (int64_t)(program.program.graph.arena_bytes + program.program.scratch_bytes);
    e->optimizer = model->params.elements * (int64_t)sizeof(float) * (1 + trainer.slot_count);
    deep__program_free(&program.program);
    return status;
}

static deep_status estimate_inference(deep_memory_estimate *e, const deep_model *model, int32_t batch)
{
    deep_program program;
    deep_value unused;
    const deep_session_shape shape = {.batch = deep__session_images_a_run(model, batch),
                                      .threads = model->context->threads,
                                      .packed = deep__model_can_pack(model)};
    const deep_status status = deep__session_program(&program, &unused, model, shape);
    const int64_t input = (int64_t)batch * model->arch.input_size * model->arch.input_size * 3 * (int64_t)sizeof(float);
    e->activations = (int64_t)(program.graph.arena_bytes + program.scratch_bytes) + input;
    deep__program_free(&program);
    return status;
}

deep_status deep_model_memory_estimate(const deep_model *model, int32_t batch, int32_t training,
                                       deep_memory_estimate *estimate)
{
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_TRY(deep__context_check(model->context));
    DEEP_REQUIRE(batch >= 1 && batch <= MAX_BATCH, "batch is %" PRId32 ", not 1 to %d", batch, MAX_BATCH);
    deep_memory_estimate e = {.weights = model->params.elements * (int64_t)sizeof(float)};
    DEEP_TRY(deep__model_share(model));
    const deep_status status = training ? estimate_training(&e, model, batch) : estimate_inference(&e, model, batch);
    deep__model_unshare(model);
    DEEP_TRY(status);
    e.total = e.weights + e.activations + e.optimizer;
    return deep__result_write(estimate, sizeof e, &e, sizeof e, "deep_memory_estimate");
}
