/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "common.h"
#include "json_out.h"
#include "output.h"
#include "twins.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct verify_settings {
    int32_t json;
    data_settings data;
    compute_settings compute;
} verify_settings;

static const option_row rows[] = {
    {"images", 0, OPTION_TEXT, "FOLDER", "root of the paths in split files (../images or beside them)",
     offsetof(verify_settings, data.images), 0, 0, NULL},
    {"classes", 0, OPTION_TEXT, "FILE", "class table to use instead of folder names",
     offsetof(verify_settings, data.classes), 0, 0, NULL},
    {"json", 0, OPTION_FLAG, NULL, "print one JSON object", offsetof(verify_settings, json), 0, 0, NULL},
    {0},
};
static const command_help help = {
    "verify DATA [OPTION]...", "Looks for faults in a data set.",
    "Reports images that cannot be decoded, classes with no image or only one, and files with the same\n"
    "bytes. The exit status is 0 for a clean set and 4 when there are findings.\n",
    1, 1};

/* Where findings go: lines of text as they come, or one JSON object at the end. */
typedef struct verification {
    json_out json;
    bool as_json;
    int64_t findings;
    int64_t images;
} verification;

/* A finding about `subject`, an image or a class; `other` may be NULL. */
static void report(verification *v, const char *kind, const char *what, const char *subject, const char *other_key,
                   const char *other)
{
    ++v->findings;
    if (!v->as_json) {
        printf("%s: %s%s%s\n", subject, kind, other != NULL ? ": " : "", other != NULL ? other : "");
        return;
    }
    emit_open(&v->json, NULL, '{');
    emit_text(&v->json, "kind", kind);
    emit_text(&v->json, what, subject);
    if (other != NULL) emit_text(&v->json, other_key, other);
    emit_close(&v->json, '}');
}

static void check_images(verification *v, deep_context *context, const deep_dataset *dataset)
{
    for (int64_t i = 0; i < deep_dataset_size(dataset); ++i) {
        deep_image *image;
        if (deep_image_load(&image, context, deep_dataset_path(dataset, i), NULL) != DEEP_OK)
            report(v, "cannot be decoded", "image", deep_dataset_path(dataset, i), "reason", deep_last_error());
        deep_image_free(image);
    }
    v->images += deep_dataset_size(dataset);
}

static void check_classes(verification *v, const deep_dataset *dataset)
{
    const deep_classes *classes = deep_dataset_classes(dataset);
    for (int32_t i = 0; i < deep_classes_count(classes); ++i) {
        const int64_t size = deep_dataset_class_size(dataset, i);
        if (size < 2)
            report(v, size == 0 ? "class without images" : "class with one image", "class",
                   deep_classes_name(classes, i), NULL, NULL);
    }
    if (deep_classes_count(classes) < 2)
        report(v, "only one class", "class", deep_classes_name(classes, 0), NULL, NULL);
}

static int check_twins(verification *v, const deep_dataset *dataset)
{
    twin *twins;
    int64_t count;
    const int code = find_twins(dataset, &twins, &count);
    for (int64_t i = 0; i < count; ++i) {
        const bool same = deep_dataset_label(dataset, twins[i].first) == deep_dataset_label(dataset, twins[i].second);
        report(v, same ? "same bytes as another image" : "same bytes as an image of another class", "image",
               deep_dataset_path(dataset, twins[i].second), "same_as", deep_dataset_path(dataset, twins[i].first));
    }
    free(twins);
    return code;
}

/* One part of the data set; `is_whole` or training part: its classes are looked at. */
static int check_part(verification *v, deep_context *context, const char *path, const data_place *place,
                      const verify_settings *settings, bool is_train)
{
    deep_dataset *dataset;
    data_settings data = settings->data;
    data.on_bad_image = DEEP_BAD_IMAGE_KEEP; /* every bad one is to be listed, however many */
    if (path[0] == '\0') return EXIT_OK;
    const deep_status status = open_data(&dataset, context, path, place->images, &data);
    if (status == DEEP_ERROR_FORMAT || status == DEEP_ERROR_DATASET) {
        report(v, "cannot be used", "file", path, "reason", deep_last_error());
        return EXIT_OK;
    }
    if (status != DEEP_OK) return fail_with(status);
    if (is_train) check_classes(v, dataset);
    check_images(v, context, dataset);
    const int code = check_twins(v, dataset);
    deep_dataset_free(dataset);
    return code;
}

static int verify(deep_context *context, const char *data, const verify_settings *settings)
{
    verification v = {.as_json = settings->json != 0};
    data_place place;
    if (!locate_data(data, &place)) return EXIT_USAGE;
    emit_open(&v.json, NULL, '{');
    emit_open(&v.json, "findings", '[');
    int code = check_part(&v, context, place.train, &place, settings, true);
    if (code == EXIT_OK) code = check_part(&v, context, place.valid, &place, settings, false);
    if (code == EXIT_OK) code = check_part(&v, context, place.test, &place, settings, false);
    emit_close(&v.json, ']');
    emit_int(&v.json, "images", v.images);
    emit_bool(&v.json, "clean", v.findings == 0);
    emit_close(&v.json, '}');
    if (code == EXIT_OK && v.as_json && !emit_line(&v.json, stdout)) code = EXIT_INPUT_OUTPUT;
    if (code == EXIT_OK && !v.as_json) printf("%" PRId64 " images, %" PRId64 " findings\n", v.images, v.findings);
    emit_free(&v.json);
    if (code != EXIT_OK) return code;
    return v.findings == 0 ? EXIT_OK : EXIT_DATASET;
}

int cmd_verify(int argc, char **argv)
{
    verify_settings settings = {0};
    int first;
    const int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    deep_context *context;
    const deep_status status = open_context(&context, &settings.compute);
    if (status != DEEP_OK) return fail_with(status);
    const int result = verify(context, argv[first], &settings);
    deep_context_free(context);
    return result;
}
