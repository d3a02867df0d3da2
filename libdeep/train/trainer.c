/* SPDX-License-Identifier: Apache-2.0 */
#include "data/workers.h"
#include "model/kernel_dtypes.h"
#include "train/options.h"
#include "train/step.h"

#include <math.h>
#include <string.h>

static deep_status allocate(deep_trainer *trainer)
{
    const deep_allocator *allocator = &trainer->model->context->allocator;
    const size_t elements = (size_t)trainer->model->params.elements, classes = (size_t)trainer->model->arch.classes;
    const size_t slots = elements * (size_t)trainer->slot_count;
    DEEP_TRY(deep__alloc(&trainer->gradients, allocator, elements, sizeof(float), "gradients"));
    DEEP_TRY(deep__alloc(&trainer->slots, allocator, slots, sizeof(float), "optimizer slots"));
    deep__zero_fill(trainer->model->context, trainer->gradients, elements * sizeof(float));
    deep__zero_fill(trainer->model->context, trainer->slots, slots * sizeof(float));
    trainer->gradient_mirror = deep__mirror(trainer->model->context, trainer->gradients, elements * sizeof(float));
    trainer->slot_mirror = deep__mirror(trainer->model->context, trainer->slots, slots * sizeof(float));
    DEEP_TRY(deep__alloc(&trainer->class_weights, allocator, classes, sizeof(float), "class weights"));
    for (size_t c = 0; c < classes; ++c)
        trainer->class_weights[c] = 1;
    return DEEP_OK;
}

/* A step that the device cannot compute goes where `auto` would have gone without it. */
static deep_status choose_device(const deep_trainer *trainer)
{
    char reason[128];
    deep_step_program step = {.batch = trainer->options.batch};
    if (trainer->model->context->beside == NULL) return DEEP_OK;
    deep_status status = deep__step_graph(&step, trainer);
    if (status == DEEP_OK &&
        !deep__context_supports(trainer->model->context, &step.program.graph, reason, sizeof reason))
        status = deep__model_leave_device(trainer->model, reason);
    deep__program_free(&step.program);
    return status;
}

/* Where plans find what lives longer than a step. */
static deep_status bind(deep_trainer *trainer, void *base[DEEP_SEGMENT_COUNT])
{
    const size_t classes = (size_t)trainer->model->arch.classes;
    DEEP_TRY(deep__mirror_for_device(&trainer->model->mirror, &base[DEEP_SEGMENT_PARAM]));
    DEEP_TRY(deep__mirror_for_device(&trainer->gradient_mirror, &base[DEEP_SEGMENT_GRAD]));
    DEEP_TRY(deep__mirror_for_device(&trainer->slot_mirror, &base[DEEP_SEGMENT_SLOT]));
    return deep__workspace_bind(&trainer->workspace, base, DEEP_INPUT_CLASS_WEIGHTS, trainer->class_weights,
                                classes * sizeof *trainer->class_weights);
}

deep_status deep__trainer_init(deep_trainer *trainer, deep_model *model, const deep_fit_options *options)
{
    *trainer = (deep_trainer){.model = model, .options = *options, .learning_rate = options->learning_rate};
    trainer->loss_scale = deep__loss_scale(options->dtype);
    trainer->slot_count = deep__optimizer_slots(options);
    void *base[DEEP_SEGMENT_COUNT];
    DEEP_TRY(deep__model_check_float(model, "cannot be trained"));
    DEEP_TRY(choose_device(trainer));
    DEEP_TRY(deep__model_check_stream(model, options->stream));
    DEEP_TRY(deep__workspace_open(&trainer->workspace, model->context, options->stream));
    DEEP_TRY(allocate(trainer));
    return bind(trainer, base); /* a lack of memory shows now, and what is left is the workspace's */
}

void deep__trainer_release(deep_trainer *trainer)
{
    const deep_allocator *allocator = &trainer->model->context->allocator;
    for (int32_t i = 0; i < DEEP_STEP_PROGRAMS; ++i)
        if (trainer->programs[i].batch != 0) deep__program_free(&trainer->programs[i].program);
    deep__workspace_free(&trainer->workspace);
    deep__mirror_free(&trainer->slot_mirror);
    deep__mirror_free(&trainer->gradient_mirror);
    deep__free(allocator, trainer->class_weights);
    deep__free(allocator, trainer->slots);
    deep__free(allocator, trainer->gradients);
}

deep_status deep_trainer_create(deep_trainer **out, deep_model *model, const deep_fit_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_TRY(deep__context_check(model->context));
    deep_fit_options options;
    deep_trainer *trainer;
    DEEP_TRY(deep__fit_options_read(&options, given));
    DEEP_TRY(deep__alloc_zero(&trainer, &model->context->allocator, 1, sizeof *trainer, "trainer"));
    trainer->model = model;
    deep_status status = deep__model_own(model);
    const bool owns = status == DEEP_OK;
    if (status == DEEP_OK) status = deep__trainer_init(trainer, model, &options);
    trainer->owns_model = owns;
    deep_step_program *program;
    if (status == DEEP_OK)
        status = deep__step_program(&program, trainer, options.batch); /* a lack of memory shows now */
    if (status != DEEP_OK) {
        deep_trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return DEEP_OK;
}

void deep_trainer_free(deep_trainer *trainer)
{
    if (trainer == NULL) return;
    deep_model *model = trainer->model;
    if (deep__trainer_for_host(trainer) != DEEP_OK)
        deep__log(&model->context->logger, DEEP_LOG_ERROR, "the trained weights are lost: %s", deep_last_error());
    deep__trainer_release(trainer);
    if (trainer->owns_model) deep__model_disown(model);
    deep__free(&model->context->allocator, trainer);
}

/* ---- steps ---- */

/* Where values stand is not part of what const promises. */
static deep_trainer *mutable(const deep_trainer *trainer)
{
    union {
        const deep_trainer *in;
        deep_trainer *out;
    } cast = {trainer};
    return cast.out;
}

deep_status deep__trainer_for_host(const deep_trainer *trainer)
{
    DEEP_TRY(deep__mirror_for_host(&trainer->model->mirror));
    return deep__mirror_for_host(&mutable(trainer)->slot_mirror);
}

void deep__trainer_host_wrote(deep_trainer *trainer)
{
    deep__mirror_host_wrote(&trainer->model->mirror);
    deep__mirror_host_wrote(&trainer->slot_mirror);
}

static deep_status check_batch(const deep_trainer *trainer, const void *input, const int32_t *labels, int32_t n)
{
    DEEP_REQUIRE(trainer != NULL, "trainer is NULL");
    DEEP_TRY(deep__context_check(trainer->model->context));
    DEEP_REQUIRE(input != NULL && labels != NULL, "input or labels is NULL");
    DEEP_REQUIRE(n >= 1 && n <= trainer->options.batch, "n is %" PRId32 ", not 1 to the trainer's batch %" PRId32, n,
                 trainer->options.batch);
    for (int32_t i = 0; i < n; ++i)
        DEEP_REQUIRE(labels[i] >= 0 && labels[i] < trainer->model->arch.classes,
                     "label %" PRId32 " of image %" PRId32 " is not 0 to %" PRId32, labels[i], i,
                     trainer->model->arch.classes - 1);
    return DEEP_OK;
}

/* What a plan has found of a step. */
typedef struct found {
    float loss[2]; /* and how many were right */
    float norm[2]; /* of the gradient, and 1 when that is finite */
} found;

static deep_status read_found(const deep_trainer *trainer, const deep_step_program *p, found *f)
{
    DEEP_TRY(deep__program_read(&p->program, &trainer->workspace, p->result, f->loss, sizeof f->loss));
    return deep__program_read(&p->program, &trainer->workspace, p->norm, f->norm, sizeof f->norm);
}

static deep_status give_result(const deep_trainer *trainer, const found *f, deep_step *out)
{
    deep_step result = {.loss = (double)f->loss[0],
                        .correct = (int64_t)f->loss[1],
                        .gradient_norm = (double)f->norm[0],
                        .step = trainer->step,
                        .loss_scale = trainer->loss_scale.factor};
    if (out != NULL) DEEP_TRY(deep__result_write(out, sizeof result, &result, sizeof result, "deep_step"));
    if (!isfinite(f->loss[0]) || f->norm[1] == 0)
        return deep__fail(DEEP_ERROR_DIVERGED, "step %" PRId64 ": the %s is not finite", trainer->step + 1,
                          isfinite(f->loss[0]) ? "gradient" : "loss");
    return DEEP_OK;
}

/* Forward and backward; again with half the factor as long as the gradient, and that alone, overflows. */
static deep_status run_backward(deep_trainer *trainer, const deep_step_program *p, void *base[DEEP_SEGMENT_COUNT],
                                found *f)
{
    bool again;
    do {
        const double factor = trainer->loss_scale.factor;
        const float factors[2] = {(float)factor, (float)(1 / factor)};
        DEEP_TRY(deep__workspace_bind(&trainer->workspace, base, DEEP_INPUT_LOSS_SCALE, factors, sizeof factors));
        DEEP_TRY(deep__program_run(&p->program, &trainer->workspace, base, 0, p->update_begin));
        deep__mirror_device_wrote(&trainer->gradient_mirror);
        DEEP_TRY(deep__workspace_send(&trainer->workspace));
        DEEP_TRY(read_found(trainer, p, f));
        again = isfinite(f->loss[0]) && f->norm[1] == 0 && deep__loss_scale_lower(&trainer->loss_scale);
        if (again)
            deep__log(&trainer->model->context->logger, DEEP_LOG_INFO,
                      "step %" PRId64 ": the gradient overflows in fp16, the loss's factor becomes %g",
                      trainer->step + 1, trainer->loss_scale.factor);
    } while (again);
    return DEEP_OK;
}

static deep_batch batch_of_floats(const deep_trainer *trainer, const float *input, int32_t n)
{
    const size_t values = trainer == NULL || n < 1 ? 0 : (size_t)n * deep__input_values(trainer->model);
    return deep__batch_of_floats(input, values * sizeof *input);
}

static deep_status find_gradients(deep_trainer *trainer, deep_batch batch, const int32_t *labels, int32_t n,
                                  deep_step *result)
{
    DEEP_TRY(check_batch(trainer, batch.images, labels, n));
    deep_step_program *p;
    trainer->current = NULL;
    DEEP_TRY(deep__step_program(&p, trainer, n));
    const int64_t counter[2] = {(int64_t)trainer->options.seed, trainer->step};
    const size_t room = (size_t)n * deep__input_values(trainer->model) * sizeof(float);
    void *base[DEEP_SEGMENT_COUNT] = {NULL};
    DEEP_TRY(bind(trainer, base));
    DEEP_TRY(deep__workspace_bind_images(&trainer->workspace, base, batch, room));
    DEEP_TRY(deep__workspace_bind(&trainer->workspace, base, DEEP_INPUT_LABELS, labels, (size_t)n * sizeof *labels));
    DEEP_TRY(deep__workspace_bind(&trainer->workspace, base, DEEP_INPUT_COUNTER, counter, sizeof counter));
    found f;
    DEEP_TRY(run_backward(trainer, p, base, &f));
    DEEP_TRY(give_result(trainer, &f, result));
    trainer->current = p;
    return DEEP_OK;
}

deep_status deep_trainer_gradients(deep_trainer *trainer, const float *input, const int32_t *labels, int32_t n,
                                   deep_step *result)
{
    return find_gradients(trainer, batch_of_floats(trainer, input, n), labels, n, result);
}

deep_status deep_trainer_apply(deep_trainer *trainer)
{
    DEEP_REQUIRE(trainer != NULL, "trainer is NULL");
    DEEP_TRY(deep__context_check(trainer->model->context));
    deep_step_program *p = trainer->current;
    if (p == NULL) return deep__fail(DEEP_ERROR_STATE, "there are no gradients to apply");
    const deep_fit_options *o = &trainer->options;
    const double t = (double)(trainer->step + 1), rate = trainer->learning_rate;
    float hyper[DEEP_HYPER_COUNT];
    hyper[DEEP_HYPER_RATE] = (float)rate;
    hyper[DEEP_HYPER_ADAM_RATE] = (float)(rate * sqrt(1 - pow(o->beta2, t)) / (1 - pow(o->beta1, t)));
    void *base[DEEP_SEGMENT_COUNT] = {NULL};
    DEEP_TRY(bind(trainer, base));
    DEEP_TRY(deep__workspace_bind(&trainer->workspace, base, DEEP_INPUT_HYPER, hyper, sizeof hyper));
    DEEP_TRY(deep__program_run(&p->program, &trainer->workspace, base, p->update_begin, p->program.graph.node_count));
    deep__mirror_device_wrote(&trainer->model->mirror);
    deep__mirror_device_wrote(&trainer->slot_mirror);
    trainer->current = NULL;
    trainer->step++;
    if (o->dtype == DEEP_DTYPE_F16) deep__loss_scale_keep(&trainer->loss_scale);
    return DEEP_OK;
}

deep_status deep_trainer_step(deep_trainer *trainer, const float *input, const int32_t *labels, int32_t n,
                              deep_step *result)
{
    return deep__trainer_step(trainer, batch_of_floats(trainer, input, n), labels, n, result);
}

deep_status deep__trainer_step(deep_trainer *trainer, deep_batch batch, const int32_t *labels, int32_t n,
                               deep_step *result)
{
    DEEP_TRY(find_gradients(trainer, batch, labels, n, result));
    DEEP_TRY(deep_trainer_apply(trainer));
    if (result != NULL) result->step = trainer->step; /* this update included */
    return DEEP_OK;
}

deep_status deep_trainer_gradient(deep_trainer *trainer, int32_t index, float **values, int64_t *count)
{
    DEEP_REQUIRE(trainer != NULL, "trainer is NULL");
    DEEP_REQUIRE(values != NULL && count != NULL, "values or count is NULL");
    const deep_param_list *params = &trainer->model->params;
    DEEP_REQUIRE(index >= 0 && index < params->count, "parameter %" PRId32 " of %" PRId32, index, params->count);
    const deep_param_spec *spec = &params->specs[index];
    const bool trainable =
        !trainer->model->frozen[index] && spec->role != DEEP_ROLE_MEAN && spec->role != DEEP_ROLE_VARIANCE;
    DEEP_TRY(deep__mirror_for_host(&trainer->gradient_mirror));
    deep__mirror_host_wrote(&trainer->gradient_mirror); /* as the caller may */
    *values = trainable ? trainer->gradients + spec->offset : NULL;
    *count = spec->elements;
    return DEEP_OK;
}

deep_status deep_trainer_set_class_weights(deep_trainer *trainer, const float *weights, int32_t count)
{
    DEEP_REQUIRE(trainer != NULL, "trainer is NULL");
    const int32_t classes = trainer->model->arch.classes;
    const int32_t wanted = weights == NULL ? 0 : classes;
    DEEP_REQUIRE(count == wanted, "%" PRId32 " class weights, not %" PRId32, count, wanted);
    for (int32_t c = 0; c < count; ++c)
        DEEP_REQUIRE(isfinite(weights[c]) && weights[c] >= 0, "the weight of class %" PRId32 " is %g", c,
                     (double)weights[c]);
    for (int32_t c = 0; c < classes; ++c)
        trainer->class_weights[c] = weights == NULL ? 1 : weights[c];
    return DEEP_OK;
}

deep_status deep_trainer_set_learning_rate(deep_trainer *trainer, double rate)
{
    DEEP_REQUIRE(trainer != NULL, "trainer is NULL");
    DEEP_REQUIRE(isfinite(rate) && rate > 0, "the learning rate is not a positive number");
    trainer->learning_rate = rate;
    return DEEP_OK;
}

double deep_trainer_learning_rate(const deep_trainer *trainer)
{
    return trainer == NULL ? 0 : trainer->learning_rate;
}
