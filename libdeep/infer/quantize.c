/* SPDX-License-Identifier: Apache-2.0 */
#include "data/classes.h"
#include "infer/quantizer.h"
#include "model/kernel_dtypes.h"
#include "model/layout.h"
#include "model/metadata.h"

#include <deep/quantize.h>
#include <string.h>

enum { DEFAULT_IMAGES = 256 };

#define DEFAULT_PERCENTILE 99.99
/* Twice the largest error that was seen on trained models (docs/quantization.md). */
#define DEFAULT_MAX_ERROR 0.05

static const char *const methods[] = {[DEEP_CALIBRATE_MINMAX] = "minmax",
                                      [DEEP_CALIBRATE_PERCENTILE] = "percentile",
                                      [DEEP_CALIBRATE_ENTROPY] = "entropy"};

/* ---- options ---- */

void deep_quantize_options_init(deep_quantize_options *options, size_t size)
{
    deep__options_init(options, size);
}

static deep_status check_options(const deep_quantize_options *options)
{
    DEEP_REQUIRE(options->dtype == DEEP_DTYPE_BF16 || options->dtype == DEEP_DTYPE_F16 ||
                     options->dtype == DEEP_DTYPE_I8,
                 "dtype is %" PRId32 ", not DEEP_DTYPE_BF16, DEEP_DTYPE_F16 or DEEP_DTYPE_I8", options->dtype);
    DEEP_REQUIRE(options->method >= DEEP_CALIBRATE_MINMAX && options->method <= DEEP_CALIBRATE_ENTROPY,
                 "method %" PRId32 " is not one of DEEP_CALIBRATE", options->method);
    DEEP_REQUIRE(options->percentile >= 50 && options->percentile <= 100, "percentile is %g, not 50 to 100",
                 options->percentile);
    DEEP_REQUIRE(options->images >= 0, "images is %" PRId64, options->images);
    DEEP_REQUIRE(options->max_error > 0, "max_error is %g, not above 0", options->max_error);
    DEEP_REQUIRE(options->dtype != DEEP_DTYPE_I8 || options->calibration != NULL,
                 "calibration is NULL: DEEP_DTYPE_I8 needs images");
    return DEEP_OK;
}

static deep_status read_options(deep_quantize_options *options, const deep_quantize_options *given)
{
    *options = (deep_quantize_options){0};
    DEEP_TRY(deep__options_read(options, sizeof *options, sizeof *options, given, "deep_quantize_options"));
    if (options->dtype == 0) options->dtype = DEEP_DTYPE_BF16;
    if (options->percentile == 0) options->percentile = DEFAULT_PERCENTILE;
    if (options->max_error == 0) options->max_error = DEFAULT_MAX_ERROR;
    if (options->images == 0) options->images = DEFAULT_IMAGES;
    return check_options(options);
}

/* ---- what becomes of the kernels ---- */

/* One for each kernel of the model that is not depthwise, in network order. */
typedef struct plan {
    const deep_allocator *allocator;
    uint8_t *dtypes;
    int32_t count;
    const deep_quantizer *quantizer; /* NULL: nothing was measured */
} plan;

static bool is_kernel(const deep_param_spec *spec)
{
    return spec->role == DEEP_ROLE_KERNEL && !spec->depthwise;
}

static deep_status make_plan(plan *p, const deep_model *model, int32_t dtype)
{
    DEEP_TRY(deep__alloc(&p->dtypes, p->allocator, (size_t)model->params.count, sizeof *p->dtypes, "kernel types"));
    for (int32_t i = 0; i < model->params.count; ++i)
        if (is_kernel(&model->params.specs[i])) p->dtypes[p->count++] = (uint8_t)dtype;
    for (int32_t i = 0; i < p->count && p->quantizer != NULL; ++i)
        p->dtypes[i] = (uint8_t)p->quantizer->choices[i].dtype;
    return DEEP_OK;
}

/* ---- the new model ---- */

static deep_status put_i8(deep_model *out, int32_t index, const float *values, const deep_kernel_choice *choice,
                          void *stored)
{
    const deep_kernel_shape shape = deep__kernel_shape(&out->params.specs[index]);
    float *vector = deep__model_values(out, index + 1);
    memcpy(vector, choice->quantization, (size_t)deep__quantization_values(shape) * sizeof *vector);
    const deep_quantization quantization = deep__quantization_of(vector, shape);
    deep__kernel_to_i8(stored, &quantization, values, shape);
    deep__model_put_kernel(out, index, stored);
    return DEEP_OK;
}

/* Parameter `index` of the new model from the model's; `kernel` counts the kernels before it. */
static deep_status fill_parameter(deep_model *out, const deep_model *model, const plan *p, int32_t index,
                                  int32_t kernel)
{
    const deep_param_spec *spec = &out->params.specs[index];
    const int32_t from = deep_model_param_index(model, spec->name);
    const deep_model *rounded = p->quantizer != NULL ? p->quantizer->rounded : model;
    if (!is_kernel(spec)) {
        deep__model_copy_plain(rounded, from, deep__model_values(out, index));
        return DEEP_OK;
    }
    float *values;
    void *stored = NULL;
    DEEP_TRY(deep__alloc(&values, p->allocator, (size_t)spec->elements, sizeof *values, "a kernel"));
    deep_status status = deep__alloc(&stored, p->allocator, (size_t)spec->elements, sizeof(uint16_t), "a kernel");
    if (status == DEEP_OK) {
        deep__model_copy_plain(model, from, values);
        if (spec->dtype == DEEP_DTYPE_I8) {
            status = put_i8(out, index, values, &p->quantizer->choices[kernel], stored);
        } else {
            deep__kernel_to_halves(stored, values, spec->elements, spec->dtype);
            deep__model_put_kernel(out, index, stored);
        }
    }
    deep__free(p->allocator, stored);
    deep__free(p->allocator, values);
    return status;
}

static deep_status fill(deep_model *out, const deep_model *model, const plan *p)
{
    int32_t kernel = 0;
    for (int32_t i = 0; i < out->params.count; ++i) {
        if (out->params.specs[i].role == DEEP_ROLE_QUANTIZATION) continue; /* with its kernel */
        DEEP_TRY(fill_parameter(out, model, p, i, kernel));
        kernel += is_kernel(&out->params.specs[i]);
    }
    deep__model_clear_padding(out);
    return DEEP_OK;
}

/* ---- the document ---- */

static deep_status add_kernel(deep_json *kernels, const char *name, int32_t dtype, const deep_kernel_choice *choice)
{
    deep_json *entry = deep__json_new_object();
    if (entry == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    deep_status status = deep__json_set(entry, "dtype", deep__json_new_string(deep__metadata_dtype(dtype)));
    if (status == DEEP_OK && choice != NULL)
        status = deep__json_set(entry, "error", deep__json_new_real(choice->error));
    if (status == DEEP_OK) return deep__json_set(kernels, name, entry);
    deep__json_free(entry);
    return status;
}

static deep_status add_kernels(deep_json *object, const deep_model *out, const plan *p)
{
    deep_json *kernels = deep__json_new_object();
    if (kernels == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    deep_status status = DEEP_OK;
    int32_t kernel = 0;
    for (int32_t i = 0; i < out->params.count && status == DEEP_OK; ++i) {
        const deep_param_spec *spec = &out->params.specs[i];
        if (!is_kernel(spec)) continue;
        const deep_kernel_choice *choice = p->quantizer != NULL ? &p->quantizer->choices[kernel] : NULL;
        status = add_kernel(kernels, spec->name, spec->dtype, choice);
        ++kernel;
    }
    if (status == DEEP_OK) return deep__json_set(object, "kernels", kernels);
    deep__json_free(kernels);
    return status;
}

static deep_status describe(deep_json *object, const deep_model *out, const plan *p,
                            const deep_quantize_options *options)
{
    DEEP_TRY(deep__json_set(object, "dtype", deep__json_new_string(deep__metadata_dtype(options->dtype))));
    DEEP_TRY(add_kernels(object, out, p));
    if (p->quantizer == NULL) return DEEP_OK;
    const deep_calibration *calibration = &p->quantizer->calibration;
    DEEP_TRY(deep__json_set(object, "method", deep__json_new_string(methods[options->method])));
    if (options->method == DEEP_CALIBRATE_PERCENTILE)
        DEEP_TRY(deep__json_set(object, "percentile", deep__json_new_real(options->percentile)));
    DEEP_TRY(deep__json_set(object, "images", deep__json_new_integer(calibration->images)));
    return deep__json_set(object, "max_error", deep__json_new_real(options->max_error));
}

static deep_status document(deep_model *out, const plan *p, const deep_quantize_options *options)
{
    deep_json *object = deep__json_new_object();
    if (object == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    const deep_status status = describe(object, out, p, options);
    if (status == DEEP_OK) return deep__model_set_document(out, "quantization", object);
    deep__json_free(object);
    return status;
}

/* ---- together ---- */

static deep_status build(deep_model *out, const deep_model *model, const plan *p, const deep_quantize_options *options)
{
    out->arch = model->arch;
    out->preprocess = model->preprocess;
    out->has_mean = model->has_mean;
    DEEP_TRY(deep__model_set_kernel_dtypes(out, p->dtypes, p->count));
    DEEP_TRY(deep__classes_copy(&out->classes, p->allocator, model->classes));
    DEEP_TRY(deep__json_copy(&out->document, model->document));
    DEEP_TRY(deep__model_allocate(out));
    DEEP_TRY(fill(out, model, p));
    return document(out, p, options);
}

static deep_status make_model(deep_model **out, const deep_model *model, const deep_quantizer *quantizer,
                              const deep_quantize_options *options)
{
    plan p = {.allocator = &model->context->allocator, .quantizer = quantizer};
    deep_model *made = NULL;
    deep_status status = make_plan(&p, model, options->dtype);
    if (status == DEEP_OK) status = deep__model_new(&made, model->context);
    if (status == DEEP_OK) status = build(made, model, &p, options);
    deep__free(p.allocator, p.dtypes);
    if (status == DEEP_OK)
        *out = made;
    else
        deep_model_free(made);
    return status;
}

static void report(const deep_quantizer *quantizer, const deep_quantize_options *options)
{
    if (options->report == NULL) return;
    for (int32_t i = 0; i < quantizer->calibration.count; ++i) {
        const deep_kernel_choice *choice = &quantizer->choices[i];
        const int32_t param = quantizer->calibration.sites[i].param;
        options->report(options->user, quantizer->exact->params.specs[param].name, choice->dtype, choice->error);
    }
}

static deep_status calibrate(deep_model **out, const deep_model *model, const deep_quantize_options *options)
{
    deep_quantizer quantizer;
    const deep_quantizer_options settings = {.method = options->method,
                                             .context = deep__context_in_host_memory(model->context),
                                             .percentile = options->percentile,
                                             .max_error = options->max_error,
                                             .dataset = options->calibration,
                                             .images = options->images,
                                             .progress = options->progress,
                                             .user = options->user};
    deep_status status = deep__quantizer_create(&quantizer, model, &settings);
    if (status == DEEP_OK) status = deep__quantizer_run(&quantizer);
    if (status == DEEP_OK) status = make_model(out, model, &quantizer, options);
    if (status == DEEP_OK) report(&quantizer, options);
    deep__quantizer_free(&quantizer);
    return status;
}

deep_status deep_model_quantize(deep_model **out, const deep_model *model, const deep_quantize_options *given)
{
    DEEP_REQUIRE_OUT(out);
    deep_quantize_options options;
    DEEP_TRY(read_options(&options, given));
    DEEP_TRY(deep__model_share(model));
    deep_status status = deep__model_check_float(model, "cannot be quantized again");
    if (status == DEEP_OK && options.dtype == DEEP_DTYPE_I8 && deep__context_in_host_memory(model->context) == NULL)
        status = deep__fail(DEEP_ERROR_UNSUPPORTED, "device \"%s\" makes no models of 8 bits; \"cpu\" and \"ref\" do",
                            deep_context_device(model->context));
    if (status == DEEP_OK)
        status =
            options.dtype == DEEP_DTYPE_I8 ? calibrate(out, model, &options) : make_model(out, model, NULL, &options);
    deep__model_unshare(model);
    return status;
}
