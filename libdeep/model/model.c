/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "data/classes.h"
#include "data/workers.h"
#include "graph/graph.h"
#include "kernel_dtypes.h"
#include "layout.h"
#include "metadata.h"
#include "params.h"

#include <math.h>
#include <string.h>

enum { DEFAULT_CLASSES = 1000, DEFAULT_SIZE = 299 }; /* keras.applications.Xception */
static const double middle_grey = 127.5;

/* ---- who holds a model ---- */

deep_status deep__model_share(const deep_model *model)
{
    deep_model *mutable = (deep_model *)model; /* the counters are not part of what const promises */
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_TRY(deep__context_check(model->context));
    pthread_mutex_lock(&mutable->lock);
    const bool exclusive = mutable->exclusive;
    if (!exclusive) ++mutable->shared;
    pthread_mutex_unlock(&mutable->lock);
    return exclusive ? deep__fail(DEEP_ERROR_STATE, "the model is being trained or written") : DEEP_OK;
}

void deep__model_unshare(const deep_model *model)
{
    deep_model *mutable = (deep_model *)model;
    pthread_mutex_lock(&mutable->lock);
    --mutable->shared;
    pthread_mutex_unlock(&mutable->lock);
}

deep_status deep__model_own(deep_model *model)
{
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_TRY(deep__context_check(model->context));
    pthread_mutex_lock(&model->lock);
    const int32_t shared = model->shared;
    const bool exclusive = model->exclusive;
    if (shared == 0) model->exclusive = true;
    pthread_mutex_unlock(&model->lock);
    if (exclusive) return deep__fail(DEEP_ERROR_STATE, "the model is being trained or written");
    if (shared > 0) return deep__fail(DEEP_ERROR_STATE, "the model is in use by %" PRId32 " sessions or calls", shared);
    /* Nobody adds an idle session now; those that are there want the weights packed and as they were. */
    if (model->infer_cache_free != NULL) model->infer_cache_free(model);
    const deep_status status = deep__model_unpack(model);
    if (status != DEEP_OK) deep__model_disown(model);
    return status;
}

void deep__model_disown(deep_model *model)
{
    pthread_mutex_lock(&model->lock);
    deep__free(&model->context->allocator, model->metadata); /* what was changed shows in the next text */
    model->metadata = NULL;
    model->exclusive = false;
    pthread_mutex_unlock(&model->lock);
}

/* ---- construction ---- */

deep_status deep__model_new(deep_model **out, deep_context *context)
{
    deep_model *model;
    DEEP_TRY(deep__alloc_zero(&model, &context->allocator, 1, sizeof *model, "model"));
    if (pthread_mutex_init(&model->lock, NULL) != 0) {
        deep__free(&context->allocator, model);
        return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: mutex");
    }
    model->context = context;
    *out = model;
    return DEEP_OK;
}

void deep__model_clear_padding(deep_model *model)
{
    for (int32_t i = 0; i < model->params.count; ++i) {
        const deep_param_spec *spec = &model->params.specs[i];
        const int64_t end = spec->offset + deep__kernel_floats(spec->dtype, spec->rank, spec->shape);
        const int64_t next = i + 1 < model->params.count ? model->params.specs[i + 1].offset : model->params.elements;
        memset(model->values + end, 0, (size_t)(next - end) * sizeof(float));
    }
}

/* Devices that pack kernels know F32, BF16 and I8. */
static deep_status check_kernels(const deep_model *model)
{
    for (int32_t i = 0; i < model->arch.kernel_count && deep__model_can_pack(model); ++i)
        if (model->arch.kernel_dtypes[i] == DEEP_DTYPE_F16)
            return deep__fail(DEEP_ERROR_UNSUPPORTED, "device \"%s\" has no fp16 kernels; \"cuda\" and \"ref\" do",
                              deep_context_device(model->context));
    return DEEP_OK;
}

deep_status deep__model_allocate(deep_model *model)
{
    DEEP_TRY(deep__model_choose_device(model));
    DEEP_TRY(check_kernels(model));
    const deep_allocator *allocator = &model->context->allocator;
    DEEP_TRY(deep__arch_params(&model->params, &model->arch, allocator));
    const size_t elements = (size_t)model->params.elements;
    DEEP_TRY(deep__alloc(&model->values, allocator, elements, sizeof(float), "weights"));
    model->mirror = deep__mirror(model->context, model->values, elements * sizeof(float));
    return deep__alloc_zero(&model->frozen, allocator, (size_t)model->params.count, 1, "frozen flags");
}

deep_status deep__model_for_device(const deep_model *model, void **address)
{
    union {
        const deep_model *in;
        deep_model *out;
    } cast = {model};                    /* the lock and the mirror are not part of what const promises */
    pthread_mutex_lock(&cast.out->lock); /* two sessions may be the first to want the weights there */
    const deep_status status = deep__mirror_for_device(&cast.out->mirror, address);
    pthread_mutex_unlock(&cast.out->lock);
    return status;
}

void deep_model_options_init(deep_model_options *options, size_t size)
{
    deep__options_init(options, size);
}

static deep_status check_options(const deep_model_options *options)
{
    DEEP_REQUIRE(options->class_count >= 0, "class_count is %" PRId32, options->class_count);
    DEEP_REQUIRE(options->input_channels == 0 || options->input_channels == 1 || options->input_channels == 3,
                 "input_channels is %" PRId32 ", not 1 or 3", options->input_channels);
    DEEP_REQUIRE(options->head == DEEP_HEAD_IMAGENET || options->head == DEEP_HEAD_SERVICE,
                 "head %" PRId32 " is not one of DEEP_HEAD", options->head);
    DEEP_REQUIRE(options->preprocess >= DEEP_PREPROCESS_TF && options->preprocess <= DEEP_PREPROCESS_CAFFE,
                 "preprocess %" PRId32 " is not one of DEEP_PREPROCESS", options->preprocess);
    DEEP_REQUIRE(options->filter >= DEEP_FILTER_BILINEAR && options->filter <= DEEP_FILTER_BICUBIC,
                 "filter %" PRId32 " is not one of DEEP_FILTER", options->filter);
    DEEP_REQUIRE(options->fit == DEEP_FIT_SQUASH || options->fit == DEEP_FIT_PAD,
                 "fit %" PRId32 " is not one of DEEP_FIT", options->fit);
    for (int i = 0; i < 3 && options->has_mean; ++i) {
        const bool needed = options->preprocess == DEEP_PREPROCESS_TORCH;
        DEEP_REQUIRE(isfinite(options->mean[i]), "mean[%d] is not finite", i);
        DEEP_REQUIRE(isfinite(options->std[i]) && (options->std[i] > 0.0 || (!needed && options->std[i] == 0.0)),
                     "std[%d] is %g, not above 0", i, options->std[i]);
    }
    return DEEP_OK;
}

static deep_status fill_arch(deep_model *model, const deep_model_options *options)
{
    deep_arch *arch = &model->arch;
    DEEP_TRY(deep__arch_find(arch, options->architecture));
    arch->input_size = options->input_size == 0 ? DEFAULT_SIZE : options->input_size;
    arch->head = options->head;
    arch->dropout = options->dropout;
    arch->classes = options->class_count == 0 ? DEFAULT_CLASSES : options->class_count;
    if (options->classes != NULL) arch->classes = deep_classes_count(options->classes);
    if (options->width != 0.0) arch->width = options->width;
    if (options->middle_blocks != 0) arch->middle_blocks = options->middle_blocks;
    if (options->batch_norm_epsilon != 0.0) arch->epsilon = options->batch_norm_epsilon;
    arch->padding = options->padding;
    return DEEP_OK;
}

static void fill_preprocess(deep_model *model, const deep_model_options *options)
{
    deep_preprocess *preprocess = &model->preprocess;
    preprocess->mode = options->preprocess;
    preprocess->filter = options->filter;
    preprocess->fit = options->fit;
    preprocess->size = model->arch.input_size;
    preprocess->channels = options->input_channels == 0 ? 3 : options->input_channels;
    model->has_mean = options->has_mean != 0;
    for (int i = 0; i < 3; ++i) {
        preprocess->mean[i] = model->has_mean ? options->mean[i] : middle_grey;
        preprocess->std[i] = model->has_mean && options->std[i] > 0.0 ? options->std[i] : middle_grey;
    }
}

/* Classes named "0", "1", ... */
static deep_status number_classes(deep_classes **out, const deep_allocator *allocator, int32_t count)
{
    deep_classes *classes;
    DEEP_REQUIRE(count <= DEEP_MAX_CLASSES, "class_count is %" PRId32 ", the limit is %d", count, DEEP_MAX_CLASSES);
    DEEP_TRY(deep__classes_new(&classes, allocator, count));
    deep_status status = DEEP_OK;
    for (int32_t i = 0; i < count && status == DEEP_OK; ++i) {
        deep_text name = deep__text(allocator);
        deep__text_printf(&name, "%" PRId32, i);
        status = name.status;
        if (status == DEEP_OK) status = deep__classes_set(classes, i, NULL, name.data, name.length, 0);
        deep__text_free(&name);
    }
    if (status != DEEP_OK)
        deep_classes_free(classes);
    else
        *out = classes;
    return status;
}

typedef struct initialisation {
    deep_model *model;
    uint64_t seed;
} initialisation;

static deep_status initialise_param(void *user, size_t index)
{
    const initialisation *job = user;
    const int32_t i = (int32_t)index;
    deep__param_initialise(deep__model_values(job->model, i), &job->model->params.specs[i], job->seed, i);
    return DEEP_OK;
}

static deep_status initialise(deep_model *model, uint64_t seed)
{
    initialisation job = {model, seed};
    DEEP_TRY(deep__for_each_index(model->context, 0, (size_t)model->params.count, initialise_param, &job));
    deep__model_clear_padding(model);
    return DEEP_OK;
}

static deep_status build(deep_model *model, const deep_model_options *options)
{
    const deep_allocator *allocator = &model->context->allocator;
    DEEP_TRY(fill_arch(model, options));
    fill_preprocess(model, options);
    if (options->classes != NULL)
        DEEP_TRY(deep__classes_copy(&model->classes, allocator, options->classes));
    else
        DEEP_TRY(number_classes(&model->classes, allocator, model->arch.classes));
    DEEP_TRY(deep__model_allocate(model));
    DEEP_TRY(initialise(model, options->seed));
    return deep__metadata_create(&model->document, model);
}

deep_status deep_model_create(deep_model **out, deep_context *context, const deep_model_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    deep_model_options options = {0};
    DEEP_TRY(deep__options_read(&options, sizeof options, sizeof options, given, "deep_model_options"));
    DEEP_TRY(check_options(&options));
    deep_model *model = NULL;
    DEEP_TRY(deep__model_new(&model, context));
    const deep_status status = build(model, &options);
    if (status == DEEP_OK)
        *out = model;
    else
        deep_model_free(model);
    return status;
}

/* Kernels that are always packed stay so: the copy has the same device. */
static void copy_parameter(deep_model *copy, const deep_model *model, int32_t index)
{
    const deep_param_spec *spec = &model->params.specs[index];
    if (spec->dtype == DEEP_DTYPE_F32) {
        deep__model_copy_plain(model, index, deep__model_values(copy, index));
        return;
    }
    const int64_t floats = deep__kernel_floats(spec->dtype, spec->rank, spec->shape);
    memcpy(deep__model_values(copy, index), deep__model_values(model, index), (size_t)floats * sizeof(float));
}

static deep_status copy_into(deep_model *copy, const deep_model *model)
{
    copy->arch = model->arch;
    DEEP_TRY(deep__model_set_kernel_dtypes(copy, model->kernel_dtypes, model->arch.kernel_count));
    copy->preprocess = model->preprocess;
    copy->has_mean = model->has_mean;
    DEEP_TRY(deep__classes_copy(&copy->classes, &model->context->allocator, model->classes));
    DEEP_TRY(deep__json_copy(&copy->document, model->document));
    DEEP_TRY(deep__model_allocate(copy));
    for (int32_t i = 0; i < model->params.count; ++i)
        copy_parameter(copy, model, i);
    deep__model_clear_padding(copy);
    memcpy(copy->frozen, model->frozen, (size_t)model->params.count);
    return DEEP_OK;
}

deep_status deep__model_clone_into(deep_model **out, const deep_model *model, deep_context *context)
{
    DEEP_TRY(deep__model_share(model));
    deep_model *copy = NULL;
    deep_status status = deep__model_new(&copy, context);
    if (status == DEEP_OK) status = copy_into(copy, model);
    deep__model_unshare(model);
    if (status == DEEP_OK)
        *out = copy;
    else
        deep_model_free(copy);
    return status;
}

deep_status deep_model_clone(deep_model **out, const deep_model *model)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_REQUIRE(model != NULL, "model is NULL");
    return deep__model_clone_into(out, model, model->context);
}

void deep_model_free(deep_model *model)
{
    if (model == NULL) return;
    const deep_allocator *allocator = &model->context->allocator;
    if (model->infer_cache_free != NULL) model->infer_cache_free(model);
    deep_classes_free(model->classes);
    deep__arch_params_free(&model->params, allocator);
    deep__free(allocator, model->kernel_dtypes);
    deep__mirror_free(&model->mirror);
    deep__free(allocator, model->values);
    deep__free(allocator, model->frozen);
    deep__free(allocator, model->metadata);
    deep__json_free(model->document);
    pthread_mutex_destroy(&model->lock);
    deep__free(allocator, model);
}

/* ---- what it is ---- */

deep_status deep_model_info(const deep_model *model, deep_model_summary *out)
{
    DEEP_REQUIRE(model != NULL, "model is NULL");
    const deep_preprocess *preprocess = &model->preprocess;
    deep_model_summary summary = {
        .architecture = model->arch.name,
        .input_size = model->arch.input_size,
        .input_channels = preprocess->channels,
        .classes = model->arch.classes,
        .head = model->arch.head,
        .preprocess = preprocess->mode,
        .filter = preprocess->filter,
        .fit = preprocess->fit,
        .middle_blocks = model->arch.middle_blocks,
        .width = model->arch.width,
        .dropout = model->arch.dropout,
        .multiply_adds = model->params.multiply_adds,
        .batch_norm_epsilon = model->arch.epsilon,
        .padding = model->arch.padding,
        .dtype = deep__model_dtype(model),
    };
    memcpy(summary.mean, preprocess->mean, sizeof summary.mean);
    memcpy(summary.std, preprocess->std, sizeof summary.std);
    for (int32_t i = 0; i < model->params.count; ++i) {
        const deep_param_spec *spec = &model->params.specs[i];
        if (spec->role == DEEP_ROLE_QUANTIZATION) continue; /* part of how the kernel is stored */
        summary.parameters += spec->elements;
        if (deep__role_is_trained(spec->role) && !model->frozen[i]) summary.trainable_parameters += spec->elements;
    }
    return deep__result_write(out, sizeof summary, &summary, sizeof summary, "deep_model_summary");
}

const char *deep_model_metadata(const deep_model *model)
{
    if (model == NULL) return NULL;
    deep_model *mutable = (deep_model *)model;
    pthread_mutex_lock(&mutable->lock);
    if (mutable->metadata == NULL) {
        deep_text text = deep__text(&model->context->allocator);
        if (deep__metadata_write(&text, model, NULL) == DEEP_OK)
            mutable->metadata = text.data;
        else
            deep__text_free(&text);
    }
    const char *metadata = mutable->metadata;
    pthread_mutex_unlock(&mutable->lock);
    return metadata;
}

deep_status deep__model_set_document(deep_model *model, const char *key, deep_json *value)
{
    return deep__json_set(model->document, key, value);
}

static deep_status set_user(deep_model *model, const char *key, deep_json *value)
{
    deep_json *user = deep__json_get(model->document, "user");
    if (deep__json_kind(user) != DEEP_JSON_OBJECT) {
        const deep_status status = deep__json_set(model->document, "user", deep__json_new_object());
        if (status != DEEP_OK) {
            deep__json_free(value);
            return status;
        }
        user = deep__json_get(model->document, "user");
    }
    if (value != NULL) return deep__json_set(user, key, value);
    deep__json_remove(user, key);
    return DEEP_OK;
}

deep_status deep_model_set_metadata(deep_model *model, const char *key, const char *json)
{
    static const size_t limit = 16u << 20; /* a header holds it as text, and has a limit of its own */
    deep_json *value = NULL;
    DEEP_REQUIRE(key != NULL && key[0] != '\0', "key is empty");
    DEEP_REQUIRE(deep__text_is_utf8(key, strlen(key)), "key is not UTF-8");
    DEEP_TRY(deep__model_own(model));
    deep_status status = json == NULL ? DEEP_OK : deep__json_parse(&value, json, strlen(json), limit);
    if (status == DEEP_ERROR_FORMAT || status == DEEP_ERROR_LIMIT)
        status = deep__fail_within(DEEP_ERROR_INVALID_ARGUMENT, key);
    if (status == DEEP_OK) status = set_user(model, key, value);
    deep__model_disown(model);
    return status;
}

int32_t deep_model_class_count(const deep_model *model)
{
    return model == NULL ? 0 : model->arch.classes;
}

const char *deep_model_class_name(const deep_model *model, int32_t index)
{
    return model == NULL ? NULL : deep_classes_name(model->classes, index);
}

const char *deep_model_class_info(const deep_model *model, int32_t index)
{
    return model == NULL ? NULL : deep_classes_info(model->classes, index);
}

int64_t deep_model_class_aphia_id(const deep_model *model, int32_t index)
{
    return model == NULL ? 0 : deep_classes_aphia_id(model->classes, index);
}

/* ---- other classes ---- */

/* Values and flags of the parameters whose shape is the same; random values for the rest, which is the last layer. */
static void take_over(deep_model *fresh, const deep_model *model, uint64_t seed)
{
    for (int32_t i = 0; i < fresh->params.count; ++i) {
        const deep_param_spec *spec = &fresh->params.specs[i], *old = &model->params.specs[i];
        if (memcmp(spec->shape, old->shape, sizeof spec->shape) == 0) {
            memcpy(deep__model_values(fresh, i), deep__model_values(model, i), (size_t)spec->elements * sizeof(float));
            fresh->frozen[i] = model->frozen[i];
        } else {
            deep__param_initialise(deep__model_values(fresh, i), spec, seed, i);
        }
    }
    deep__model_clear_padding(fresh);
}

static deep_status prepare(deep_model *fresh, const deep_model *model, const deep_classes *classes, uint64_t seed)
{
    const deep_allocator *allocator = &model->context->allocator;
    fresh->arch = model->arch;
    fresh->arch.classes = deep_classes_count(classes);
    fresh->preprocess = model->preprocess;
    fresh->has_mean = model->has_mean;
    DEEP_TRY(deep__classes_copy(&fresh->classes, allocator, classes));
    DEEP_TRY(deep__json_copy(&fresh->document, model->document));
    DEEP_TRY(deep__metadata_set_classes(fresh->document, fresh));
    if (fresh->arch.classes == model->arch.classes) return DEEP_OK; /* names alone */
    DEEP_TRY(deep__model_check_float(model, "keeps its number of classes"));
    DEEP_TRY(deep__model_allocate(fresh));
    take_over(fresh, model, seed);
    return DEEP_OK;
}

#define SWAP(type, a, b)                                                                                               \
    do {                                                                                                               \
        type swap_ = (a);                                                                                              \
        (a) = (b);                                                                                                     \
        (b) = swap_;                                                                                                   \
    } while (0)

static void exchange(deep_model *model, deep_model *fresh)
{
    SWAP(deep_classes *, model->classes, fresh->classes);
    SWAP(deep_json *, model->document, fresh->document);
    if (fresh->values == NULL) return;
    model->arch.classes = fresh->arch.classes;
    SWAP(deep_param_list, model->params, fresh->params);
    SWAP(float *, model->values, fresh->values);
    SWAP(deep_mirror, model->mirror, fresh->mirror);
    SWAP(uint8_t *, model->frozen, fresh->frozen);
}

deep_status deep_model_set_classes(deep_model *model, const deep_classes *classes, uint64_t seed)
{
    DEEP_REQUIRE(classes != NULL, "classes is NULL");
    DEEP_TRY(deep__model_own(model));
    deep_model *fresh = NULL;
    deep_status status = deep__model_new(&fresh, model->context);
    if (status == DEEP_OK) status = prepare(fresh, model, classes, seed);
    if (status == DEEP_OK) exchange(model, fresh);
    deep_model_free(fresh);
    deep__model_disown(model);
    return status;
}
