/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "common.h"
#include "image_list.h"
#include "json_out.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_BATCH = 1024, REASON_SIZE = 1024 };

typedef struct predict_settings {
    int64_t top;
    int64_t batch;
    const char *images;
    int32_t json;
    compute_settings compute;
} predict_settings;

static const option_row rows[] = {
    {"top", 'k', OPTION_INT, "N", "classes to print for each image (5)", offsetof(predict_settings, top), 1, 65536,
     NULL},
    {"batch", 0, OPTION_INT, "N", "images computed at once (8), or auto: what the device has memory for",
     offsetof(predict_settings, batch), 1, MAX_BATCH, batch_choices},
    {"images", 0, OPTION_TEXT, "FOLDER", "root of the paths in a list (the list's folder)",
     offsetof(predict_settings, images), 0, 0, NULL},
    COMPUTE_ROWS(predict_settings),
    {"json", 0, OPTION_FLAG, NULL, "print one JSON object for each image", offsetof(predict_settings, json), 0, 0,
     NULL},
    {0},
};
static const command_help help = {
    "predict MODEL IMAGE|FOLDER|LIST... [OPTION]...", "Classifies images.",
    "LIST is a text file (.txt, .tsv, .csv, .lst) with an image on each line. An image that cannot be\n"
    "read is reported in its place, the others go on, and the exit status is 3.\n",
    2, 1 << 20};

/* Images that are computed together. */
typedef struct batch {
    deep_image **images;          /* those that could be decoded */
    char (*reasons)[REASON_SIZE]; /* one for each path; "" = decoded */
    deep_prediction *top;
    int64_t size; /* room, in images */
    int32_t k;
} batch;

static bool batch_create(batch *b, int64_t size, int32_t k)
{
    *b = (batch){.size = size, .k = k};
    b->images = calloc((size_t)size, sizeof(deep_image *));
    b->reasons = calloc((size_t)size, sizeof *b->reasons);
    b->top = calloc((size_t)size * (size_t)k, sizeof *b->top);
    return b->images != NULL && b->reasons != NULL && b->top != NULL;
}

static void batch_free(batch *b)
{
    free(b->images);
    free(b->reasons);
    free(b->top);
}

/* Decodes `count` paths; returns how many could be. */
static int64_t decode(batch *b, deep_context *context, char *const *paths, int64_t count)
{
    int64_t decoded = 0;
    for (int64_t i = 0; i < count; ++i) {
        b->reasons[i][0] = '\0';
        if (deep_image_load(&b->images[decoded], context, paths[i], NULL) == DEEP_OK)
            ++decoded;
        else
            snprintf(b->reasons[i], REASON_SIZE, "%s", deep_last_error());
    }
    return decoded;
}

static bool print_json_line(const deep_model *model, const char *path, const char *reason, const deep_prediction *top,
                            int32_t k)
{
    json_out json = {0};
    emit_open(&json, NULL, '{');
    emit_text(&json, "image", path);
    if (reason[0] != '\0') {
        emit_text(&json, "error", reason);
    } else {
        emit_open(&json, "predictions", '[');
        for (int32_t i = 0; i < k && top[i].class_index >= 0; ++i) {
            emit_open(&json, NULL, '{');
            emit_text(&json, "label", deep_model_class_name(model, top[i].class_index));
            emit_int(&json, "index", top[i].class_index);
            emit_float(&json, "probability", top[i].probability);
            emit_close(&json, '}');
        }
        emit_close(&json, ']');
    }
    emit_close(&json, '}');
    const bool written = emit_line(&json, stdout);
    emit_free(&json);
    return written;
}

static bool print_text(const deep_model *model, const char *path, const char *reason, const deep_prediction *top,
                       int32_t k)
{
    if (reason[0] != '\0') {
        say_error("%s", reason);
        return true;
    }
    printf("%s\n", path);
    for (int32_t i = 0; i < k && top[i].class_index >= 0; ++i)
        printf("  %6.2f %%  %s\n", 100 * (double)top[i].probability, deep_model_class_name(model, top[i].class_index));
    return fflush(stdout) == 0;
}

/* Prints `count` images in order; false when stdout cannot be written. */
static bool print_batch(const batch *b, const deep_model *model, char *const *paths, int64_t count, bool json,
                        int64_t *bad)
{
    const deep_prediction *top = b->top;
    for (int64_t i = 0; i < count; ++i) {
        const char *reason = b->reasons[i];
        if (!(json ? print_json_line(model, paths[i], reason, top, b->k)
                   : print_text(model, paths[i], reason, top, b->k)))
            return false;
        if (reason[0] == '\0')
            top += b->k;
        else
            ++*bad;
    }
    return true;
}

static int predict_batch(batch *b, deep_context *context, const deep_model *model, char *const *paths, int64_t count,
                         const predict_settings *settings, int64_t *bad)
{
    const deep_predict_options options = {DEEP_PREDICT_OPTIONS_INIT, .batch = (int32_t)settings->batch};
    const int64_t decoded = decode(b, context, paths, count);
    deep_status status = DEEP_OK;
    if (decoded > 0) status = deep_model_predict(model, b->images, decoded, &options, b->top, b->k);
    const int code = status == DEEP_OK ? EXIT_OK : fail_with(status);
    for (int64_t i = 0; i < decoded; ++i)
        deep_image_free(b->images[i]);
    if (code != EXIT_OK) return code;
    return print_batch(b, model, paths, count, settings->json != 0, bad) ? EXIT_OK : EXIT_INPUT_OUTPUT;
}

static int predict_all(deep_context *context, const deep_model *model, const image_list *list,
                       const predict_settings *settings)
{
    const int32_t classes = deep_model_class_count(model);
    const int32_t k = settings->top < classes ? (int32_t)settings->top : classes;
    batch b;
    int code = EXIT_OK;
    int64_t bad = 0;
    if (!batch_create(&b, settings->batch, k)) {
        say_error("out of memory for a batch of %" PRId64 " images", settings->batch);
        code = EXIT_MEMORY;
    }
    for (size_t i = 0; i < list->count && code == EXIT_OK; i += (size_t)settings->batch) {
        const int64_t left = (int64_t)(list->count - i);
        code = predict_batch(&b, context, model, list->paths + i, left < settings->batch ? left : settings->batch,
                             settings, &bad);
    }
    batch_free(&b);
    if (code != EXIT_OK || bad == 0) return code;
    say_error("%" PRId64 " of %zu images could not be read", bad, list->count);
    return EXIT_BAD_FILE;
}

static int predict(deep_context *context, char **arguments, int count, predict_settings *settings)
{
    image_list list = {0};
    deep_model *model = NULL;
    int code = EXIT_OK;
    for (int i = 1; i < count && code == EXIT_OK; ++i)
        code = image_list_add(&list, arguments[i], settings->images);
    if (code == EXIT_OK && list.count == 0) {
        say_error("%s: names no image", arguments[1]);
        code = EXIT_DATASET;
    }
    if (code == EXIT_OK) {
        deep_status status = deep_model_load(&model, context, arguments[0]);
        if (status == DEEP_OK) status = choose_batch(&settings->batch, settings->batch, model, NULL);
        if (status != DEEP_OK) code = fail_with(status);
    }
    /* No room and no work for images that never come. */
    if ((size_t)settings->batch > list.count) settings->batch = (int64_t)list.count;
    if (code == EXIT_OK) code = predict_all(context, model, &list, settings);
    deep_model_free(model);
    image_list_free(&list);
    return code;
}

int cmd_predict(int argc, char **argv)
{
    predict_settings settings = {.top = 5, .batch = 8};
    int first;
    const int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    deep_context *context;
    const deep_status status = open_context(&context, &settings.compute);
    if (status != DEEP_OK) return fail_with(status);
    const int result = predict(context, argv + first, argc - first, &settings);
    deep_context_free(context);
    return result;
}
