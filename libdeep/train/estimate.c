/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/passes.h"
#include "infer/session.h"
#include "model/kernel_dtypes.h"
#include "model/layout.h"
#include "train/options.h"
#include "train/step.h"

enum { MAX_BATCH = 1024 };

/* A step's arena by compiling it; nothing of its size is allocated. */
static deep_status estimate_training(deep_memory_estimate *e, const deep_model *model, int32_t batch,
                                     const deep_fit_options *options)
{
    union {
        const deep_model *in;
        deep_model *out;
    } shared = {model}; /* a step is compiled, not run: nothing is written */
    deep_trainer trainer = {.model = shared.out};
    deep_step_program program = {.batch = batch};
    DEEP_TRY(deep__model_check_float(model, "cannot be trained"));
    DEEP_TRY(deep__fit_options_read(&trainer.options, options));
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
    const deep_fit_options options = {DEEP_FIT_OPTIONS_INIT};
    const deep_status status =
        training ? estimate_training(&e, model, batch, &options) : estimate_inference(&e, model, batch);
    deep__model_unshare(model);
    DEEP_TRY(status);
    e.total = e.weights + e.activations + e.optimizer;
    return deep__result_write(estimate, sizeof e, &e, sizeof e, "deep_memory_estimate");
}

/* ---- the largest batch ---- */

enum { HOST_TRAINING = 16, HOST_INFERENCE = 8, LARGEST = 256 /* more are not faster */, PROBE = 16, ROUND = 8 };

#define SHARE_TO_USE 0.9 /* of the memory that is free: blocks are rounded up, and libraries take some */

/* Bytes on the device beside what is there already, with the weights counted as if they were not. */
static deep_status bytes_of(double *bytes, const deep_model *model, int32_t batch, const deep_fit_options *training)
{
    deep_memory_estimate e = {.weights = model->params.elements * (int64_t)sizeof(float)};
    const int64_t image = (int64_t)model->arch.input_size * model->arch.input_size * 3 * (int64_t)sizeof(float);
    DEEP_TRY(training != NULL ? estimate_training(&e, model, batch, training) : estimate_inference(&e, model, batch));
    *bytes = (double)(e.weights + e.activations + e.optimizer) + (training != NULL ? (double)(batch * image) : 0);
    return DEEP_OK;
}

/* What a batch needs grows in proportion, but for a little: two are compiled, then what they tell is tried. */
static deep_status find_batch(int32_t *batch, const deep_model *model, const deep_fit_options *training)
{
    const deep_context *context = model->context;
    const double limit = SHARE_TO_USE * (double)context->backend->accelerators->free_bytes(context->accelerator);
    double small, large, bytes;
    DEEP_TRY(bytes_of(&small, model, PROBE, training));
    DEEP_TRY(bytes_of(&large, model, 2 * PROBE, training));
    const double fits = PROBE + (limit - small) / (large - small) * PROBE;
    *batch = fits < 1 ? 1 : fits > LARGEST ? LARGEST : (int32_t)fits;
    if (*batch > ROUND) *batch -= *batch % ROUND;
    for (;; *batch -= (*batch + ROUND - 1) / ROUND) {
        if (*batch <= 1) break;
        DEEP_TRY(bytes_of(&bytes, model, *batch, training));
        if (bytes <= limit) break;
    }
    if (*batch < 1) *batch = 1;
    return DEEP_OK;
}

deep_status deep_model_largest_batch(const deep_model *model, const deep_fit_options *training, int32_t *batch)
{
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_REQUIRE(batch != NULL, "batch is NULL");
    DEEP_TRY(deep__context_check(model->context));
    *batch = training != NULL ? HOST_TRAINING : HOST_INFERENCE;
    if (deep__computes_in_host_memory(model->context)) return DEEP_OK;
    DEEP_TRY(deep__model_share(model));
    const deep_status status = find_batch(batch, model, training);
    deep__model_unshare(model);
    if (status != DEEP_ERROR_UNSUPPORTED || model->context->beside == NULL) return status;
    *batch = HOST_TRAINING; /* "auto" will train in the host's memory */
    return DEEP_OK;
}
