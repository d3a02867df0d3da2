/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "common.h"
#include "json_out.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct info_settings {
    int32_t json;
    compute_settings compute;
} info_settings;

static const option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, "print one JSON object", offsetof(info_settings, json), 0, 0, NULL},
    {0},
};
static const command_help help = {"info [--json] FILE", "Describes a model file or an image file.", NULL, 1, 1};

static const char *const head_names[] = {"imagenet", "service"};
static const char *const preprocess_names[] = {"tf", "torch", "caffe"};
static const char *const filter_names[] = {"bilinear", "area", "triangle", "bicubic"};
static const char *const fit_names[] = {"squash", "pad"};

#define NAME_OF(names, value)                                                                                          \
    ((value) >= 0 && (size_t)(value) < sizeof(names) / sizeof(names)[0] ? (names)[value] : "unknown")

static void emit_triple(json_out *json, const char *key, const double values[3])
{
    emit_open(json, key, '[');
    for (int i = 0; i < 3; ++i)
        emit_real(json, NULL, values[i]);
    emit_close(json, ']');
}

static void model_to_json(json_out *json, const deep_model *model, const deep_model_summary *info)
{
    emit_open(json, NULL, '{');
    emit_text(json, "kind", "model");
    emit_text(json, "architecture", info->architecture);
    emit_int(json, "input_size", info->input_size);
    emit_int(json, "input_channels", info->input_channels);
    emit_text(json, "head", NAME_OF(head_names, info->head));
    emit_real(json, "width", info->width);
    emit_int(json, "middle_blocks", info->middle_blocks);
    emit_real(json, "dropout", info->dropout);
    emit_text(json, "preprocess", NAME_OF(preprocess_names, info->preprocess));
    emit_text(json, "filter", NAME_OF(filter_names, info->filter));
    emit_text(json, "fit", NAME_OF(fit_names, info->fit));
    emit_triple(json, "mean", info->mean);
    emit_triple(json, "std", info->std);
    emit_text(json, "dtype", dtype_name(info->dtype));
    emit_int(json, "parameters", info->parameters);
    emit_int(json, "trainable_parameters", info->trainable_parameters);
    emit_int(json, "multiply_adds", info->multiply_adds);
    emit_open(json, "classes", '[');
    for (int32_t i = 0; i < info->classes; ++i) {
        emit_open(json, NULL, '{');
        emit_text(json, "name", deep_model_class_name(model, i));
        if (deep_model_class_aphia_id(model, i) > 0) emit_int(json, "aphia_id", deep_model_class_aphia_id(model, i));
        emit_close(json, '}');
    }
    emit_close(json, ']');
    emit_text(json, "metadata", deep_model_metadata(model));
    emit_close(json, '}');
}

static void model_to_text(const deep_model *model, const deep_model_summary *info)
{
    printf("model         %s, head %s, %d x %d pixels, %s\n", info->architecture, NAME_OF(head_names, info->head),
           info->input_size, info->input_size, info->input_channels == 1 ? "grey" : "RGB");
    printf("width         %.4g, %d middle blocks, dropout %.3g\n", info->width, info->middle_blocks, info->dropout);
    printf("preprocessing %s, %s, %s; mean %.3f %.3f %.3f, std %.3f %.3f %.3f\n",
           NAME_OF(preprocess_names, info->preprocess), NAME_OF(filter_names, info->filter),
           NAME_OF(fit_names, info->fit), info->mean[0], info->mean[1], info->mean[2], info->std[0], info->std[1],
           info->std[2]);
    printf("parameters    %" PRId64 " (%" PRId64 " trainable), %.1f million multiply-adds an image\n", info->parameters,
           info->trainable_parameters, (double)info->multiply_adds / 1e6);
    printf("kernels       %s\n", dtype_name(info->dtype));
    printf("classes       %d\n", info->classes);
    for (int32_t i = 0; i < info->classes; ++i)
        printf("  %4d  %s\n", i, deep_model_class_name(model, i));
}

static int show_model(deep_context *context, const char *path, bool json_wanted)
{
    deep_model *model;
    deep_model_summary info = {.struct_size = sizeof info};
    deep_status status = deep_model_load(&model, context, path);
    if (status == DEEP_OK) status = deep_model_info(model, &info);
    if (status == DEEP_OK && json_wanted) {
        json_out json = {0};
        model_to_json(&json, model, &info);
        emit_line(&json, stdout);
        emit_free(&json);
    } else if (status == DEEP_OK) {
        model_to_text(model, &info);
    }
    deep_model_free(model);
    return status == DEEP_OK ? EXIT_OK : fail_with(status);
}

static int show_image(deep_context *context, const char *path, bool json_wanted)
{
    deep_image *image;
    const deep_status status = deep_image_load(&image, context, path, NULL);
    if (status != DEEP_OK) return fail_with(status);
    if (json_wanted) {
        json_out json = {0};
        emit_open(&json, NULL, '{');
        emit_text(&json, "kind", "image");
        emit_int(&json, "width", deep_image_width(image));
        emit_int(&json, "height", deep_image_height(image));
        emit_int(&json, "channels", deep_image_channels(image));
        emit_close(&json, '}');
        emit_line(&json, stdout);
        emit_free(&json);
    } else {
        printf("image %d x %d pixels, %s\n", deep_image_width(image), deep_image_height(image),
               deep_image_channels(image) == 1 ? "grey" : "RGB");
    }
    deep_image_free(image);
    return EXIT_OK;
}

/* By content, not by name: PNG and JPEG begin with these bytes. */
static bool looks_like_image(const char *path)
{
    unsigned char start[4] = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    const size_t got = fread(start, 1, sizeof start, file);
    fclose(file);
    return got == sizeof start && (memcmp(start, "\x89PNG", 4) == 0 || memcmp(start, "\xFF\xD8\xFF", 3) == 0);
}

int cmd_info(int argc, char **argv)
{
    info_settings settings = {0};
    int first;
    const int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    deep_context *context;
    const deep_status status = open_context(&context, &settings.compute);
    if (status != DEEP_OK) return fail_with(status);
    const char *path = argv[first];
    const int result = looks_like_image(path) ? show_image(context, path, settings.json != 0)
                                              : show_model(context, path, settings.json != 0);
    deep_context_free(context);
    return result;
}
