/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "metrics_out.h"
#include "model_data.h"
#include "output.h"
#include "report.h"

#include <stdio.h>

typedef struct evaluate_settings {
    int64_t batch;
    int32_t part;
    const char *report;
    int32_t json;
    data_settings data;
    compute_settings compute;
} evaluate_settings;

static const option_row rows[] = {
    {"part", 0, OPTION_CHOICE, NULL, "which part of a divided set (test.txt, else val.txt, else all)",
     offsetof(evaluate_settings, part), 0, 0, part_choices},
    DATA_ROWS(evaluate_settings),
    {"batch", 0, OPTION_INT, "N", "images computed at once (16), or auto: what the device has memory for",
     offsetof(evaluate_settings, batch), 1, 1024, batch_choices},
    {"report", 0, OPTION_TEXT, "FILE", "also write an HTML report", offsetof(evaluate_settings, report), 0, 0, NULL},
    COMPUTE_ROWS(evaluate_settings),
    {"json", 0, OPTION_FLAG, NULL, "print one JSON object", offsetof(evaluate_settings, json), 0, 0, NULL},
    {0},
};
static const command_help help = {
    "evaluate MODEL DATA [OPTION]...", "Classifies labelled images and compares with their labels.",
    "DATA is a folder with a folder for each class, a split file, or a folder with train.txt, val.txt\n"
    "and test.txt. Classes are matched by name; the model must know every class that has an image.\n",
    2, 2};

static int print_metrics(const deep_metrics *metrics, const deep_classes *classes, bool json_wanted)
{
    if (!json_wanted) {
        metrics_to_text(metrics, classes);
        return EXIT_OK;
    }
    json_out json = {0};
    emit_open(&json, NULL, '{');
    metrics_to_json(&json, metrics, classes);
    emit_close(&json, '}');
    const bool written = emit_line(&json, stdout);
    emit_free(&json);
    return written ? EXIT_OK : EXIT_INPUT_OUTPUT;
}

static int evaluate_matched(deep_context *context, const deep_model *model, const deep_dataset *dataset,
                            const evaluate_settings *settings)
{
    deep_predict_options options = {DEEP_PREDICT_OPTIONS_INIT};
    deep_metrics *metrics = NULL;
    int64_t batch;
    deep_status status = choose_batch(&batch, settings->batch, model, NULL);
    options.batch = (int32_t)batch;
    if (status == DEEP_OK) status = deep_model_evaluate(model, dataset, &options, &metrics);
    if (status != DEEP_OK) return fail_with(status);
    int code = print_metrics(metrics, deep_dataset_classes(dataset), settings->json != 0);
    if (code == EXIT_OK && settings->report != NULL) {
        const report_input input = {.path = settings->report,
                                    .title = "Evaluation",
                                    .model = model,
                                    .metrics = metrics,
                                    .dataset = dataset,
                                    .context = context};
        if (report_write(&input) != 0) code = EXIT_INPUT_OUTPUT;
    }
    deep_metrics_free(metrics);
    return code;
}

static int evaluate(deep_context *context, const char *model_path, const char *data, const evaluate_settings *settings)
{
    deep_model *model;
    deep_dataset *dataset = NULL;
    const deep_status status = deep_model_load(&model, context, model_path);
    if (status != DEEP_OK) return fail_with(status);
    int code = open_for_model(&dataset, context, model, data, settings->part, &settings->data);
    if (code == EXIT_OK) code = evaluate_matched(context, model, dataset, settings);
    deep_dataset_free(dataset);
    deep_model_free(model);
    return code;
}

int cmd_evaluate(int argc, char **argv)
{
    evaluate_settings settings = {.batch = 16};
    int first;
    const int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    deep_context *context;
    const deep_status status = open_context(&context, &settings.compute);
    if (status != DEEP_OK) return fail_with(status);
    const int result = evaluate(context, argv[first], argv[first + 1], &settings);
    deep_context_free(context);
    return result;
}
