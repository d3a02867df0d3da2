/* SPDX-License-Identifier: Apache-2.0 */
/* The training loop: epochs of steps, each epoch judged on the validation set with exact batch-norm statistics. */
#define _POSIX_C_SOURCE 200809L
#include "backend/staging.h"
#include "data/classes.h"
#include "data/dataset.h"
#include "infer/evaluate.h"
#include "train/checkpoint.h"
#include "train/options.h"
#include "train/schedule.h"
#include "train/statistics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct fit {
    deep_model *model;
    const deep_dataset *train, *valid; /* valid may be NULL */
    deep_progress_fn callback;
    void *user;
    deep_trainer trainer;
    deep_fit_state state;
    deep_statistics statistics;
    deep_session *session; /* for validation */
    deep_loader *loader, *valid_loader;
    double begin;         /* of this call, in seconds */
    int64_t images_done;  /* in this call's training steps */
    double train_seconds; /* of them */
    double epoch_begin, epoch_train_begin;
    double rate_average; /* images per second, moving */
    double saved;        /* when the last checkpoint was written, or this call began */
    bool whole;          /* weights and state belong together, and no checkpoint failed */
} fit;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- reports ---- */

static deep_progress progress_of(const fit *f, int32_t phase, int64_t step, int64_t steps)
{
    const deep_fit_state *s = &f->state;
    deep_progress p = {.struct_size = sizeof p,
                       .phase = phase,
                       .epoch = s->epoch + 1,
                       .epochs = f->trainer.options.epochs,
                       .step = step,
                       .steps = steps,
                       .learning_rate = f->trainer.learning_rate,
                       .images_per_second = f->rate_average};
    if (s->images > 0) {
        p.loss = s->loss_sum / (double)s->images;
        p.accuracy = (double)s->correct / (double)s->images;
    }
    if (f->rate_average > 0) {
        const int64_t size = deep_dataset_size(f->train);
        const double rest = (double)(size * (p.epochs - s->epoch) - s->images);
        const double share =
            f->train_seconds > 0 ? (now() - f->begin) / f->train_seconds : 1; /* evaluation comes on top */
        p.seconds_left = rest / f->rate_average * (share > 1 && s->epoch > 0 ? share : 1);
    }
    return p;
}

static deep_status tell(const fit *f, const deep_progress *progress)
{
    DEEP_TRY(deep__context_check_cancel(f->model->context));
    if (f->callback != NULL && f->callback(f->user, progress) != 0)
        return deep__fail(DEEP_ERROR_CANCELLED, "cancelled");
    return DEEP_OK;
}

static int32_t evaluate_step(void *user, int64_t step, int64_t steps)
{
    const fit *f = user;
    const deep_progress p = progress_of(f, DEEP_PHASE_EVALUATE, step, steps);
    return tell(f, &p) == DEEP_OK ? 0 : 1;
}

/* ---- checkpoints ---- */

static deep_status save_checkpoint(fit *f)
{
    const char *path = f->trainer.options.checkpoint;
    if (path == NULL) return DEEP_OK;
    f->whole = false;
    DEEP_TRY(deep__checkpoint_save(&f->trainer, &f->state, path));
    f->whole = true;
    f->saved = now();
    return DEEP_OK;
}

/* Short epochs would spend more time on writing than on training. */
static deep_status save_epoch(fit *f)
{
    const deep_fit_options *o = &f->trainer.options;
    const bool last = f->state.stopped || f->state.epoch == o->epochs;
    const bool due = o->checkpoint_steps > 0 || now() - f->saved >= o->checkpoint_seconds;
    return last || due ? save_checkpoint(f) : DEEP_OK;
}

/* Whatever ended the training, what was trained can be gone on from. Returns `why`, whose text stays. */
static deep_status save_after(fit *f, deep_status why)
{
    char text[DEEP_ERROR_TEXT_SIZE];
    snprintf(text, sizeof text, "%s", deep_last_error());
    if (save_checkpoint(f) != DEEP_OK)
        deep__log(&f->model->context->logger, DEEP_LOG_WARNING, "no checkpoint: %s", deep_last_error());
    return deep__fail(why, "%s", text);
}

/* ---- preparation ---- */

static deep_status check_data(const fit *f)
{
    DEEP_TRY(deep__classes_check_equal(f->model->classes, deep_dataset_classes(f->train)));
    if (f->valid != NULL) DEEP_TRY(deep__classes_check_equal(f->model->classes, deep_dataset_classes(f->valid)));
    int32_t present = 0;
    for (int32_t c = 0; c < f->model->arch.classes; ++c)
        present += deep_dataset_class_size(f->train, c) > 0;
    if (present < 2)
        return deep__fail(DEEP_ERROR_DATASET,
                          "the training set has images of %" PRId32 " class%s; 2 are needed to learn anything", present,
                          present == 1 ? "" : "es");
    if (f->valid != NULL && deep_dataset_size(f->valid) == 0)
        return deep__fail(DEEP_ERROR_DATASET, "the validation set is empty");
    return DEEP_OK;
}

static deep_status set_preprocessing(fit *f)
{
    deep_model *model = f->model;
    if (model->has_mean || f->trainer.options.keep_preprocessing) return DEEP_OK;
    const deep_progress p = progress_of(f, DEEP_PHASE_PREPARE, 0, deep_dataset_size(f->train));
    DEEP_TRY(tell(f, &p));
    DEEP_TRY(
        deep__dataset_statistics(f->train, f->trainer.options.workers, model->preprocess.mean, model->preprocess.std));
    for (int i = 0; i < 3; ++i) /* black images alone */
        if (!(model->preprocess.std[i] > 0)) model->preprocess.std[i] = 1;
    model->has_mean = true;
    return DEEP_OK;
}

/* N / (K n_c), or its square root; 0 for a class without images, whose weight is never used. */
static void set_class_weights(fit *f)
{
    const int32_t mode = f->trainer.options.class_weights, classes = f->model->arch.classes;
    if (mode == DEEP_CLASS_WEIGHTS_NONE) return;
    for (int32_t c = 0; c < classes; ++c) {
        const double count = (double)deep_dataset_class_size(f->train, c);
        const double balanced = count > 0 ? (double)deep_dataset_size(f->train) / (classes * count) : 0;
        f->trainer.class_weights[c] = (float)(mode == DEEP_CLASS_WEIGHTS_SQRT ? sqrt(balanced) : balanced);
    }
}

static deep_status make_loaders(fit *f)
{
    const deep_fit_options *o = &f->trainer.options;
    deep_loader_options loading = {.batch = o->batch,
                                   .workers = o->workers,
                                   .cache_bytes = o->cache_bytes,
                                   .seed = o->seed,
                                   .augment = o->augment,
                                   .pictures = f->trainer.takes_pictures,
                                   .shuffle = true,
                                   .staging = deep__staging(f->model->context),
                                   .preprocess = f->model->preprocess};
    DEEP_TRY(deep__loader_create(&f->loader, f->train, &loading));
    if (f->valid == NULL) return DEEP_OK;
    loading.augment = 0;
    loading.shuffle = false;
    loading.cache_bytes = o->cache_bytes / 2;
    DEEP_TRY(deep__loader_create(&f->valid_loader, f->valid, &loading));
    const deep_session_shape shape = {
        .batch = o->batch, .threads = f->model->context->threads, .pictures = f->trainer.takes_pictures};
    return deep__session_create(&f->session, f->model, shape, &f->trainer.workspace);
}

static deep_status prepare(fit *f)
{
    const deep_allocator *allocator = &f->model->context->allocator;
    const deep_fit_options *o = &f->trainer.options;
    deep_step_program *program;
    DEEP_TRY(check_data(f));
    DEEP_TRY(set_preprocessing(f));
    set_class_weights(f);
    f->trainer.takes_pictures = deep__choose_pictures(f->model->context);
    DEEP_TRY(deep__step_program(&program, &f->trainer, o->batch)); /* a lack of memory shows now */
    if (!o->keep_running_statistics) DEEP_TRY(deep__statistics_create(&f->statistics, &f->trainer, f->train));
    DEEP_TRY(make_loaders(f));
    if (f->valid != NULL && !o->keep_last)
        DEEP_TRY(
            deep__alloc(&f->state.best, allocator, (size_t)f->model->params.elements, sizeof(float), "best weights"));
    if (!o->resume) return DEEP_OK;
    const deep_status status = deep__checkpoint_load(&f->trainer, &f->state, o->checkpoint);
    return status == DEEP_ERROR_NOT_FOUND ? DEEP_OK : status; /* nothing to resume is a start */
}

/* ---- an epoch ---- */

static deep_status train_step(fit *f, deep_batch batch, const int32_t *labels, int32_t n, int64_t steps)
{
    deep_fit_state *s = &f->state;
    deep_step result = {.struct_size = sizeof result};
    const double begin = now();
    f->whole = false;
    f->trainer.learning_rate = deep__schedule_rate(&f->trainer.options, s->epoch, s->step, steps, s->drops);
    DEEP_TRY(deep__trainer_step(&f->trainer, batch, labels, n, &result));
    const double seconds = now() - begin, rate = seconds > 0 ? n / seconds : 0;
    f->train_seconds += seconds;
    f->images_done += n;
    f->rate_average = f->rate_average == 0 ? rate : 0.95 * f->rate_average + 0.05 * rate;
    s->loss_sum += result.loss * n;
    s->correct += result.correct;
    s->images += n;
    s->step++;
    f->whole = true;
    return DEEP_OK;
}

/* Where the workers are ahead, the next batch goes up to the device during this step. */
static void expect_next(fit *f)
{
    deep__workspace_expect(&f->trainer.workspace, deep__loader_peek(f->loader));
}

static deep_status train_epoch(fit *f)
{
    deep_fit_state *s = &f->state;
    const int64_t steps = deep__loader_steps(f->loader), every = f->trainer.options.checkpoint_steps;
    DEEP_TRY(deep__loader_begin(f->loader, (uint32_t)s->epoch, s->step));
    while (s->step < steps) {
        deep_batch batch;
        const int32_t *labels;
        int32_t n;
        DEEP_TRY(deep__context_check_cancel(f->model->context));
        DEEP_TRY(deep__loader_next(f->loader, &batch, &labels, &n));
        expect_next(f);
        DEEP_TRY(train_step(f, batch, labels, n, steps));
        if (every > 0 && s->step % every == 0 && s->step < steps) DEEP_TRY(save_checkpoint(f));
        const deep_progress p = progress_of(f, DEEP_PHASE_TRAIN, s->step, steps);
        DEEP_TRY(tell(f, &p));
    }
    return DEEP_OK;
}

static deep_status validate(fit *f, deep_metrics_summary *summary)
{
    const deep_evaluate_hook hook = {evaluate_step, f};
    deep_metrics *metrics;
    DEEP_TRY(deep__evaluate_with(f->session, f->valid_loader, deep_dataset_size(f->valid), &hook, &metrics));
    const deep_status status = deep_metrics_get_summary(metrics, summary);
    deep_metrics_free(metrics);
    return status;
}

/* Better loss or not: what plateau and early stop wait for. */
static void judge(fit *f, double loss)
{
    deep_fit_state *s = &f->state;
    const deep_fit_options *o = &f->trainer.options;
    if (loss < s->best_loss) {
        s->best_loss = loss;
        s->epochs_without = s->plateau_wait = 0;
        return;
    }
    s->epochs_without++;
    if (++s->plateau_wait >= o->plateau_patience && o->schedule == DEEP_SCHEDULE_PLATEAU) {
        s->drops++;
        s->plateau_wait = 0;
    }
    s->stopped = o->early_stop > 0 && s->epochs_without >= o->early_stop;
}

static deep_status keep_best(fit *f, double accuracy)
{
    deep_fit_state *s = &f->state;
    if (s->best == NULL || accuracy <= s->best_accuracy) return DEEP_OK;
    DEEP_TRY(deep__trainer_for_host(&f->trainer));
    s->best_accuracy = accuracy;
    s->history->best = s->epoch + 1;
    memcpy(s->best, f->model->values, (size_t)f->model->params.elements * sizeof *s->best);
    return DEEP_OK;
}

/* Evaluates with exact statistics in the model, keeps the weights if they are the best so far, puts the running ones back. */
static deep_status judge_epoch(fit *f, deep_epoch *row)
{
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (f->valid != NULL) {
        if (f->statistics.trainer != NULL) DEEP_TRY(deep__statistics_apply(&f->statistics));
        deep_status status = validate(f, &summary);
        if (status == DEEP_OK) status = keep_best(f, summary.accuracy);
        deep__statistics_restore(&f->statistics);
        DEEP_TRY(status);
        row->has_valid = 1;
        row->valid_loss = summary.log_loss;
        row->valid_accuracy = summary.accuracy;
    }
    judge(f, f->valid != NULL ? row->valid_loss : row->loss);
    return DEEP_OK;
}

static deep_status finish_epoch(fit *f)
{
    deep_fit_state *s = &f->state;
    const deep_progress train = progress_of(f, DEEP_PHASE_EPOCH, s->step, s->step);
    deep_epoch row = {.epoch = s->epoch + 1,
                      .loss = train.loss,
                      .accuracy = train.accuracy,
                      .learning_rate = f->trainer.learning_rate,
                      .train_seconds = f->train_seconds - f->epoch_train_begin};
    DEEP_TRY(judge_epoch(f, &row));
    row.seconds = now() - f->epoch_begin;
    DEEP_TRY(deep__history_add(s->history, &row));
    deep_progress p = progress_of(f, DEEP_PHASE_EPOCH, s->step, s->step);
    p.has_valid = row.has_valid;
    p.valid_loss = row.valid_loss;
    p.valid_accuracy = row.valid_accuracy;
    s->epoch++;
    s->step = s->correct = s->images = 0;
    s->loss_sum = 0;
    DEEP_TRY(save_epoch(f));
    return tell(f, &p);
}

static deep_status run_epochs(fit *f)
{
    while (f->state.epoch < f->trainer.options.epochs && !f->state.stopped) {
        f->epoch_begin = now();
        f->epoch_train_begin = f->train_seconds;
        DEEP_TRY(train_epoch(f));
        DEEP_TRY(finish_epoch(f));
    }
    return DEEP_OK;
}

/* What the caller keeps: the best epoch's weights, or the last ones with exact statistics. */
static deep_status finish(fit *f)
{
    deep_fit_state *s = &f->state;
    if (s->best != NULL && s->history->best > 0) {
        DEEP_TRY(deep__trainer_for_host(&f->trainer));
        memcpy(f->model->values, s->best, (size_t)f->model->params.elements * sizeof *s->best);
        deep__trainer_host_wrote(&f->trainer);
        return DEEP_OK;
    }
    s->history->best = s->history->count;
    return f->statistics.trainer != NULL ? deep__statistics_apply(&f->statistics) : DEEP_OK;
}

static deep_status run(fit *f)
{
    DEEP_TRY(prepare(f));
    f->whole = true;
    const deep_status status = run_epochs(f);
    if (status == DEEP_OK) return finish(f);
    deep__statistics_restore(&f->statistics);
    if (status == DEEP_ERROR_CANCELLED) {
        DEEP_TRY(save_checkpoint(f));
        return deep__fail(DEEP_ERROR_CANCELLED, "cancelled in epoch %" PRId32 " after step %" PRId64,
                          f->state.epoch + 1, f->state.step);
    }
    const bool undone = status == DEEP_ERROR_DIVERGED; /* that step left the weights alone */
    return f->whole || undone ? save_after(f, status) : status;
}

static void release(fit *f)
{
    deep_session_free(f->session);
    deep__workspace_expect_nothing(&f->trainer.workspace);
    deep__loader_free(f->valid_loader);
    deep__loader_free(f->loader);
    deep__statistics_restore(&f->statistics);
    deep__statistics_free(&f->statistics);
    deep__free(&f->model->context->allocator, f->state.best);
    deep__trainer_release(&f->trainer);
}

deep_status deep_model_fit(deep_model *model, const deep_dataset *train, const deep_dataset *valid,
                           const deep_fit_options *given, deep_progress_fn progress, void *user, deep_history **history)
{
    deep_fit_options options;
    if (history != NULL) *history = NULL;
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_REQUIRE(train != NULL, "the training set is NULL");
    DEEP_TRY(deep__context_check(model->context));
    DEEP_TRY(deep__fit_options_read(&options, given));
    DEEP_TRY(deep__model_own(model));
    fit f = {.model = model,
             .train = train,
             .valid = valid,
             .callback = progress,
             .user = user,
             .state = {.best_accuracy = -1, .best_loss = INFINITY}};
    f.begin = f.saved = now();
    deep_status status = deep__trainer_init(&f.trainer, model, &options);
    if (status == DEEP_OK) status = deep__history_create(&f.state.history, &model->context->allocator);
    if (status == DEEP_OK) status = run(&f);
    if (status == DEEP_OK) f.statistics.swapped = false; /* the exact statistics stay */
    const deep_status brought = deep__trainer_for_host(&f.trainer);
    if (status == DEEP_OK) status = brought;
    release(&f);
    deep__model_disown(model);
    const bool wanted = history != NULL && (status == DEEP_OK || status == DEEP_ERROR_CANCELLED);
    if (wanted)
        *history = f.state.history;
    else
        deep_history_free(f.state.history);
    return status;
}
