/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_models.h"

#include "common.h"
#include "output.h"

#include <stdlib.h>

enum { RANDOM_IMAGES = 8 };

int bench_model_dtypes(bench_list *dtypes, deep_model_summary *summary, deep_context *context,
                       const bench_request *request)
{
    deep_model *model;
    deep_status status = deep_model_load(&model, context, request->model);
    if (status == DEEP_OK) status = deep_model_info(model, summary);
    deep_model_free(model);
    if (status != DEEP_OK) return fail_with(status);
    if (dtypes->count == 0 && summary->dtype == DEEP_DTYPE_F32)
        *dtypes = (bench_list){{DEEP_DTYPE_F32, DEEP_DTYPE_BF16, DEEP_DTYPE_I8}, BENCH_MAX_DTYPES};
    if (dtypes->count == 0) *dtypes = (bench_list){{summary->dtype}, 1};
    for (int32_t d = 0; d < dtypes->count; ++d) {
        if (summary->dtype == DEEP_DTYPE_F32 || dtypes->values[d] == summary->dtype) continue;
        say_error("%s: is in %s already; it cannot be measured in %s", request->model, bench_dtype_name(summary->dtype),
                  bench_dtype_name(dtypes->values[d]));
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

/* ---- images that int8's scales come from ---- */

/* Borrowed by the dataset. */
typedef struct random_images {
    uint8_t *pixels;
    deep_image *images[RANDOM_IMAGES];
} random_images;

static void random_images_free(random_images *made)
{
    for (int i = 0; i < RANDOM_IMAGES; ++i)
        deep_image_free(made->images[i]);
    free(made->pixels);
}

static deep_status make_images(random_images *made, deep_context *context, int32_t side)
{
    const size_t bytes = (size_t)side * (size_t)side * 3;
    uint32_t state = 1;
    made->pixels = malloc(bytes * RANDOM_IMAGES);
    if (made->pixels == NULL) return DEEP_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < bytes * RANDOM_IMAGES; ++i) {
        state = state * 1664525u + 1013904223u;
        made->pixels[i] = (uint8_t)(state >> 24);
    }
    deep_status status = DEEP_OK;
    for (size_t i = 0; i < RANDOM_IMAGES && status == DEEP_OK; ++i) {
        const deep_pixels pixels = {.struct_size = sizeof pixels,
                                    .data = made->pixels + i * bytes,
                                    .width = side,
                                    .height = side,
                                    .format = DEEP_PIXEL_RGB};
        status = deep_image_wrap(&made->images[i], context, &pixels);
    }
    return status;
}

static deep_status open_random(deep_dataset **dataset, random_images *made, deep_context *context,
                               const deep_model *model, int32_t side)
{
    static const int32_t labels[RANDOM_IMAGES];
    deep_classes *classes = NULL;
    deep_status status = make_images(made, context, side);
    if (status == DEEP_OK) status = model_classes(&classes, context, model);
    if (status == DEEP_OK)
        status = deep_dataset_create_images(dataset, context, made->images, labels, NULL, RANDOM_IMAGES, classes);
    deep_classes_free(classes);
    return status;
}

static int open_calibration(deep_dataset **dataset, random_images *made, deep_context *context, const deep_model *model,
                            const bench_result *result, const bench_request *request)
{
    deep_status status;
    data_place place;
    if (request->calibrate == NULL) {
        if (!request->quiet) say_note("int8 has its scales from random images: good for its speed, not for answers");
        status = open_random(dataset, made, context, model, result->summary.input_size);
        if (made->pixels == NULL) {
            say_error("out of memory");
            return EXIT_MEMORY;
        }
    } else {
        const data_settings settings = {0};
        if (!locate_data(request->calibrate, &place)) return EXIT_USAGE;
        status = open_data(dataset, context, place.train, place.images, &settings);
    }
    return status == DEEP_OK ? EXIT_OK : fail_with(status);
}

/* ---- models ---- */

static int quantize(deep_model **out, const deep_model *model, int32_t dtype, const bench_result *result,
                    deep_context *context, const bench_request *request)
{
    random_images made = {0};
    deep_dataset *calibration = NULL;
    int code = EXIT_OK;
    if (dtype == DEEP_DTYPE_I8) code = open_calibration(&calibration, &made, context, model, result, request);
    if (code == EXIT_OK) {
        const deep_quantize_options options = {DEEP_QUANTIZE_OPTIONS_INIT, .dtype = dtype, .calibration = calibration};
        const deep_status status = deep_model_quantize(out, model, &options);
        if (status != DEEP_OK) code = fail_with(status);
    }
    deep_dataset_free(calibration);
    random_images_free(&made);
    return code;
}

int bench_model_open(deep_model **model, const bench_result *result, deep_context *context, int32_t dtype,
                     const bench_request *request)
{
    deep_model *loaded;
    const deep_status status = deep_model_load(&loaded, context, request->model);
    if (status != DEEP_OK) return fail_with(status);
    if (dtype == result->summary.dtype) {
        *model = loaded;
        return EXIT_OK;
    }
    const int code = quantize(model, loaded, dtype, result, context, request);
    deep_model_free(loaded);
    return code;
}
