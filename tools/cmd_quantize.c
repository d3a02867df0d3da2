/* SPDX-License-Identifier: Apache-2.0 */
#include "agreement.h"
#include "commands.h"
#include "model_data.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct quantize_settings {
    int32_t dtype;
    int32_t method;
    double percentile;
    double max_error;
    int64_t images;
    const char *calibrate;
    const char *check;
    int32_t part;
    const char *output;
    int32_t json;
    data_settings data;
    compute_settings compute;
} quantize_settings;

static const option_choice dtype_choices[] = {
    {"bf16", DEEP_DTYPE_BF16}, {"fp16", DEEP_DTYPE_F16}, {"int8", DEEP_DTYPE_I8}, {0}};
static const option_choice method_choices[] = {{"minmax", DEEP_CALIBRATE_MINMAX},
                                               {"percentile", DEEP_CALIBRATE_PERCENTILE},
                                               {"entropy", DEEP_CALIBRATE_ENTROPY},
                                               {0}};

static const option_row rows[] = {
    {"output", 'o', OPTION_TEXT, "MODEL", "the file to write", offsetof(quantize_settings, output), 0, 0, NULL},
    {"dtype", 0, OPTION_CHOICE, NULL, "how kernels are stored; fp16 is for GPUs (bf16)",
     offsetof(quantize_settings, dtype), 0, 0, dtype_choices},
    {"calibrate", 0, OPTION_TEXT, "DATA", "images like those to be classified (int8 needs them)",
     offsetof(quantize_settings, calibrate), 0, 0, NULL},
    {"calibration-images", 0, OPTION_INT, "N", "of them, at most (256)", offsetof(quantize_settings, images), 1, 1e9,
     NULL},
    {"method", 0, OPTION_CHOICE, NULL, "how the ranges of activations are chosen (minmax)",
     offsetof(quantize_settings, method), 0, 0, method_choices},
    {"percentile", 0, OPTION_REAL, "P", "part of the values that percentile keeps (99.99)",
     offsetof(quantize_settings, percentile), 50, 100, NULL},
    {"max-error", 0, OPTION_REAL, "E", "a kernel whose outputs differ more stays bf16 (0.05)",
     offsetof(quantize_settings, max_error), 0, 10, NULL},
    {"check", 0, OPTION_TEXT, "DATA", "compare with the original on labelled images",
     offsetof(quantize_settings, check), 0, 0, NULL},
    {"part", 0, OPTION_CHOICE, NULL, "which part of a divided --check (test.txt, else val.txt, else all)",
     offsetof(quantize_settings, part), 0, 0, part_choices},
    DATA_ROWS(quantize_settings),
    COMPUTE_ROWS(quantize_settings),
    {"json", 0, OPTION_FLAG, NULL, "print one JSON object", offsetof(quantize_settings, json), 0, 0, NULL},
    {0},
};
static const command_help help = {
    "quantize MODEL -o MODEL [OPTION]...", "Stores a model's kernels in 16 or 8 bits.",
    "bf16 halves the file and the memory of the weights; int8 takes about a quarter, is the fastest, and needs\n"
    "calibration images. Labels of calibration images are not looked at. The result predicts and cannot be trained.\n",
    1, 1};

/* What is told about each kernel, as it comes. */
typedef struct kernel_table {
    json_out json;
    int32_t stored_as_i8;
    int32_t count;
    double largest_error; /* of those in int8 */
    bool as_json;
} kernel_table;

static void add_kernel(void *user, const char *name, int32_t dtype, double error)
{
    kernel_table *table = user;
    ++table->count;
    if (dtype == DEEP_DTYPE_I8) {
        ++table->stored_as_i8;
        if (error > table->largest_error) table->largest_error = error;
    }
    if (!table->as_json) {
        printf("%-50s %10s %10.4f\n", name, dtype_name(dtype), error);
        return;
    }
    emit_open(&table->json, NULL, '{');
    emit_text(&table->json, "name", name);
    emit_text(&table->json, "dtype", dtype_name(dtype));
    emit_real(&table->json, "error", error);
    emit_close(&table->json, '}');
}

static int open_calibration(deep_dataset **dataset, deep_context *context, const quantize_settings *settings)
{
    data_place place;
    if (settings->calibrate == NULL) return EXIT_OK;
    if (!locate_data(settings->calibrate, &place)) return EXIT_USAGE;
    const deep_status status = open_data(dataset, context, place.train, place.images, &settings->data);
    return status == DEEP_OK ? EXIT_OK : fail_with(status);
}

static int quantize(deep_model **out, deep_context *context, const deep_model *model, kernel_table *table,
                    const quantize_settings *settings)
{
    deep_dataset *calibration = NULL;
    int code = open_calibration(&calibration, context, settings);
    if (code != EXIT_OK) return code;
    const deep_quantize_options options = {
        DEEP_QUANTIZE_OPTIONS_INIT,         .dtype = settings->dtype,   .method = settings->method,
        .percentile = settings->percentile, .calibration = calibration, .images = settings->images,
        .max_error = settings->max_error,   .report = add_kernel,       .user = table};
    if (!table->as_json && settings->dtype == DEEP_DTYPE_I8) printf("%-50s %10s %10s\n", "kernel", "stored", "error");
    deep_status status = deep_model_quantize(out, model, &options);
    if (status == DEEP_OK) status = deep_model_save(*out, settings->output);
    if (status != DEEP_OK) code = fail_with(status);
    deep_dataset_free(calibration);
    return code;
}

static int check(kernel_table *table, deep_context *context, const deep_model *model, const deep_model *quantized,
                 const quantize_settings *settings)
{
    agreement found;
    deep_dataset *dataset;
    if (settings->check == NULL) return EXIT_OK;
    int code = open_for_model(&dataset, context, model, settings->check, settings->part, &settings->data);
    if (code == EXIT_OK) code = agreement_measure(&found, context, model, quantized, dataset);
    deep_dataset_free(dataset);
    if (code == EXIT_OK && table->as_json) agreement_to_json(&table->json, &found);
    if (code == EXIT_OK && !table->as_json) agreement_to_text(&found, dtype_name(settings->dtype));
    return code;
}

static int quantize_and_check(deep_context *context, const deep_model *model, kernel_table *table,
                              const quantize_settings *settings)
{
    deep_model *quantized = NULL;
    emit_open(&table->json, NULL, '{');
    emit_text(&table->json, "model", settings->output);
    emit_text(&table->json, "dtype", dtype_name(settings->dtype));
    emit_open(&table->json, "kernels", '[');
    int code = quantize(&quantized, context, model, table, settings);
    emit_close(&table->json, ']');
    if (code == EXIT_OK && !table->as_json && table->count > 0)
        printf("%d of %d kernels in int8, largest error %.4f\n\n", (int)table->stored_as_i8, (int)table->count,
               table->largest_error);
    if (code == EXIT_OK) code = check(table, context, model, quantized, settings);
    emit_close(&table->json, '}');
    if (code == EXIT_OK && table->as_json && !emit_line(&table->json, stdout)) code = EXIT_INPUT_OUTPUT;
    deep_model_free(quantized);
    return code;
}

static int run(deep_context *context, const char *path, const quantize_settings *settings)
{
    deep_model *model;
    kernel_table table = {.as_json = settings->json != 0};
    const deep_status status = deep_model_load(&model, context, path);
    if (status != DEEP_OK) return fail_with(status);
    const int code = quantize_and_check(context, model, &table, settings);
    emit_free(&table.json);
    deep_model_free(model);
    return code;
}

int cmd_quantize(int argc, char **argv)
{
    quantize_settings settings = {.dtype = DEEP_DTYPE_BF16};
    int first;
    const int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    if (settings.output == NULL) {
        say_error("-o MODEL is missing");
        return EXIT_USAGE;
    }
    if (settings.dtype == DEEP_DTYPE_I8 && settings.calibrate == NULL) {
        say_error("--dtype int8 needs --calibrate DATA");
        return EXIT_USAGE;
    }
    deep_context *context;
    const deep_status status = open_context(&context, &settings.compute);
    if (status != DEEP_OK) return fail_with(status);
    const int result = run(context, argv[first], &settings);
    deep_context_free(context);
    return result;
}
