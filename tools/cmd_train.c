/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "metrics_out.h"
#include "output.h"
#include "progress.h"
#include "report.h"
#include "signals.h"
#include "train_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a training holds; everything but the settings is freed at its end. */
typedef struct training {
    train_settings *settings;
    deep_context *context;
    train_data data;
    deep_model *model;
    train_run run;
    progress shown;
    bool log_failed;
    deep_history *history;
    deep_metrics *metrics; /* of the validation images, NULL without them */
} training;

static int32_t on_progress(void *user, const deep_progress *now)
{
    training *t = user;
    progress_show(&t->shown, now);
    if (now->phase == DEEP_PHASE_PREPARE) t->run.epoch_began = now_seconds();
    if (now->phase == DEEP_PHASE_EPOCH && !train_run_log_epoch(&t->run, now)) t->log_failed = true;
    return t->log_failed || signals_asked_to_stop();
}

static deep_status load_initial(training *t)
{
    const deep_classes *classes = deep_dataset_classes(t->data.train);
    deep_status status = deep_model_load(&t->model, t->context, t->settings->init);
    if (status != DEEP_OK) return status;
    bool same = deep_model_class_count(t->model) == deep_classes_count(classes);
    for (int32_t i = 0; same && i < deep_classes_count(classes); ++i)
        same = strcmp(deep_model_class_name(t->model, i), deep_classes_name(classes, i)) == 0;
    return same ? DEEP_OK : deep_model_set_classes(t->model, classes, (uint64_t)t->settings->seed);
}

static int make_model(training *t)
{
    const deep_model_options options = train_model_options(t->settings, deep_dataset_classes(t->data.train));
    deep_status status =
        t->settings->init != NULL ? load_initial(t) : deep_model_create(&t->model, t->context, &options);
    if (status == DEEP_OK && t->settings->freeze_backbone) status = deep_model_set_trainable(t->model, "backbone", 0);
    return status == DEEP_OK ? EXIT_OK : fail_with(status);
}

static int fail_fit(const training *t, deep_status status)
{
    if (t->log_failed) {
        say_error("%s: cannot write log.jsonl", t->run.folder);
        return EXIT_INPUT_OUTPUT;
    }
    if (status == DEEP_ERROR_CANCELLED) {
        say_note("stopped; the checkpoint is in %s: the same command with --resume goes on", t->run.folder);
        return EXIT_INTERRUPTED;
    }
    const int code = fail_with(status);
    if (status == DEEP_ERROR_DIVERGED)
        say_note("a smaller --lr, or --clip 1, often helps; the checkpoint in %s is of the step before", t->run.folder);
    return code;
}

static int fit(training *t)
{
    const deep_fit_options options = train_fit_options(t->settings, t->run.checkpoint);
    signals_catch();
    const deep_status status =
        deep_model_fit(t->model, t->data.train, t->data.valid, &options, on_progress, t, &t->history);
    signals_release();
    return status == DEEP_OK ? EXIT_OK : fail_fit(t, status);
}

static deep_status evaluate(training *t)
{
    const deep_predict_options options = {DEEP_PREDICT_OPTIONS_INIT, .workers = (int32_t)t->settings->workers};
    if (t->data.valid == NULL) return DEEP_OK;
    return deep_model_evaluate(t->model, t->data.valid, &options, &t->metrics);
}

static void history_to_json(json_out *json, const deep_history *history)
{
    emit_open(json, "history", '[');
    for (int32_t i = 0; i < deep_history_count(history); ++i) {
        deep_epoch epoch = {.struct_size = sizeof epoch};
        if (deep_history_get(history, i, &epoch) != DEEP_OK) continue;
        emit_open(json, NULL, '{');
        emit_int(json, "epoch", epoch.epoch);
        emit_real(json, "loss", epoch.loss);
        emit_real(json, "accuracy", epoch.accuracy);
        if (epoch.has_valid) {
            emit_real(json, "valid_loss", epoch.valid_loss);
            emit_real(json, "valid_accuracy", epoch.valid_accuracy);
        }
        emit_real(json, "learning_rate", epoch.learning_rate);
        emit_close(json, '}');
    }
    emit_close(json, ']');
}

static deep_status set_metadata(training *t, const char *key, json_out *json)
{
    const deep_status status =
        json->failed ? DEEP_ERROR_OUT_OF_MEMORY : deep_model_set_metadata(t->model, key, json->data);
    emit_free(json);
    return status;
}

/* How the model came about: without times, hosts, paths and speeds, so that the same training gives the same file. */
static deep_status describe(training *t)
{
    json_out json = {0};
    emit_open(&json, NULL, '{');
    train_settings_to_json(t->settings, &json);
    emit_int(&json, "train_images", deep_dataset_size(t->data.train));
    emit_int(&json, "valid_images", deep_dataset_size(t->data.valid));
    emit_int(&json, "best_epoch", deep_history_best(t->history));
    history_to_json(&json, t->history);
    emit_close(&json, '}');
    const deep_status status = set_metadata(t, "training", &json);
    if (status != DEEP_OK || t->metrics == NULL) return status;
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (deep_metrics_get_summary(t->metrics, &summary) != DEEP_OK) return DEEP_ERROR_STATE;
    emit_open(&json, NULL, '{');
    summary_to_json(&json, &summary);
    emit_close(&json, '}');
    return set_metadata(t, "validation", &json);
}

static int write_report(const training *t)
{
    const report_input input = {.path = t->run.report,
                                .title = "Training",
                                .model = t->model,
                                .history = t->history,
                                .metrics = t->metrics,
                                .dataset = t->data.valid,
                                .context = t->context};
    return report_write(&input) == 0 ? EXIT_OK : EXIT_INPUT_OUTPUT;
}

static void print_json(const training *t)
{
    json_out json = {0};
    emit_open(&json, NULL, '{');
    emit_text(&json, "model", t->settings->output);
    emit_text(&json, "run", t->run.folder);
    emit_int(&json, "epochs", deep_history_count(t->history));
    emit_int(&json, "best_epoch", deep_history_best(t->history));
    emit_int(&json, "train_images", deep_dataset_size(t->data.train));
    emit_int(&json, "valid_images", deep_dataset_size(t->data.valid));
    emit_open(&json, "validation", '{');
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (t->metrics != NULL && deep_metrics_get_summary(t->metrics, &summary) == DEEP_OK)
        summary_to_json(&json, &summary);
    emit_close(&json, '}');
    emit_close(&json, '}');
    emit_line(&json, stdout);
    emit_free(&json);
}

static void print_text(const training *t)
{
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (t->metrics != NULL && deep_metrics_get_summary(t->metrics, &summary) == DEEP_OK)
        printf("validation: accuracy %.4f, top-5 %.4f, macro F1 %.4f, log loss %.4f (%" PRId64 " images, epoch %d)\n",
               summary.accuracy, summary.top5_accuracy, summary.macro_f1, summary.log_loss, summary.count,
               deep_history_best(t->history));
    printf("model:  %s\nreport: %s\n", t->settings->output, t->run.report);
}

static int finish(training *t)
{
    deep_status status = evaluate(t);
    if (status == DEEP_OK) status = describe(t);
    if (status == DEEP_OK) status = deep_model_save(t->model, t->settings->output);
    if (status != DEEP_OK) return fail_with(status);
    return write_report(t);
}

/* More images than there are would be trained on in one step an epoch. */
static int set_batch(training *t)
{
    const int64_t images = deep_dataset_size(t->data.train);
    if (t->settings->batch != BATCH_AUTO) return EXIT_OK;
    t->settings->batch = 0;
    deep_fit_options options = train_fit_options(t->settings, NULL);
    options.resume = 0; /* which would want a checkpoint's path */
    const deep_status status = choose_batch(&t->settings->batch, BATCH_AUTO, t->model, &options);
    if (status != DEEP_OK) return fail_with(status);
    if (t->settings->batch > images) t->settings->batch = images;
    say_note("--batch auto is %" PRId64 "; --resume wants it as a number", t->settings->batch);
    return EXIT_OK;
}

static int prepare(training *t, const char *data)
{
    int code = train_run_check(t->settings->output);
    if (code == EXIT_OK) code = train_data_open(&t->data, t->context, data, t->settings);
    if (code == EXIT_OK) code = make_model(t);
    if (code == EXIT_OK) code = set_batch(t);
    const int32_t batch = t->settings->batch > 0 ? (int32_t)t->settings->batch : 16;
    if (code == EXIT_OK) code = train_run_check_space(t->settings->output, t->model, batch);
    if (code == EXIT_OK) code = train_run_open(&t->run, t->settings->output, &t->data, t->settings->resume != 0);
    return code;
}

static int train(training *t, const char *data)
{
    progress_start(&t->shown, t->settings->progress);
    progress_note(&t->shown, "looking at the images ...");
    int code = prepare(t, data);
    if (code == EXIT_OK) code = fit(t);
    progress_note(&t->shown, "writing the model and the report ...");
    if (code == EXIT_OK) code = finish(t);
    progress_stop(&t->shown);
    if (code != EXIT_OK) return code;
    if (t->settings->json)
        print_json(t);
    else
        print_text(t);
    return EXIT_OK;
}

int cmd_train(int argc, char **argv)
{
    train_settings settings;
    const char *data = NULL;
    const int code = train_settings_parse(&settings, argc, argv, &data);
    if (code != OPTIONS_GO_ON) return code;
    training t = {.settings = &settings};
    const deep_status status = open_context(&t.context, &settings.compute);
    if (status != DEEP_OK) return fail_with(status);
    const int result = train(&t, data);
    deep_metrics_free(t.metrics);
    deep_history_free(t.history);
    train_run_close(&t.run);
    deep_model_free(t.model);
    train_data_close(&t.data);
    deep_context_free(t.context);
    return result;
}
