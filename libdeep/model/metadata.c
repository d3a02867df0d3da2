/* SPDX-License-Identifier: Apache-2.0 */
#include "metadata.h"

#include "core/tensor.h"
#include "data/classes.h"
#include "kernel_dtypes.h"

#include <math.h>
#include <string.h>

enum { MAX_CLASSES = 65536, MAX_KERNELS = 4096 };

/* ---- words of the document, in the order of the enumerations ---- */

static const char *const heads[] = {[DEEP_HEAD_IMAGENET] = "imagenet", [DEEP_HEAD_SERVICE] = "service", NULL};
static const char *const modes[] = {
    [DEEP_PREPROCESS_TF] = "tf", [DEEP_PREPROCESS_TORCH] = "torch", [DEEP_PREPROCESS_CAFFE] = "caffe", NULL};
static const char *const filters[] = {[DEEP_FILTER_BILINEAR] = "bilinear",
                                      [DEEP_FILTER_AREA] = "area",
                                      [DEEP_FILTER_TRIANGLE] = "triangle",
                                      [DEEP_FILTER_BICUBIC] = "bicubic",
                                      NULL};
static const char *const paddings[] = {[DEEP_PADDING_SAME] = "same", [DEEP_PADDING_SYMMETRIC] = "symmetric", NULL};
static const char *const fits[] = {[DEEP_FIT_SQUASH] = "squash", [DEEP_FIT_PAD] = "pad", NULL};

static const char *const known_members[] = {"architecture", "classes",       "format",       "library",  "metrics",
                                            "parent",       "preprocessing", "quantization", "required", "tensors",
                                            "temperature",  "thresholds",    "training",     "user",     NULL};

static int32_t find_word(const char *const *words, const char *word)
{
    for (int32_t i = 0; words[i] != NULL; ++i)
        if (strcmp(words[i], word) == 0) return i;
    return -1;
}

/* ---- reading ---- */

static deep_status read_word(int32_t *value, const deep_json *object, const char *key, const char *const *words)
{
    const char *word = deep__json_string(deep__json_get(object, key));
    if (word == NULL) return deep__fail(DEEP_ERROR_FORMAT, "metadata: %s is not a string", key);
    *value = find_word(words, word);
    if (*value < 0) return deep__fail(DEEP_ERROR_UNSUPPORTED, "metadata: %s is \"%s\", unknown here", key, word);
    return DEEP_OK;
}

static deep_status read_integer(int32_t *value, const deep_json *object, const char *key, int32_t least, int32_t most)
{
    int64_t number;
    if (!deep__json_integer(deep__json_get(object, key), &number))
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: %s is not a whole number", key);
    if (number < least || number > most)
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: %s is %" PRId64 ", not %" PRId32 " to %" PRId32, key, number,
                          least, most);
    *value = (int32_t)number;
    return DEEP_OK;
}

static deep_status read_number(double *value, const deep_json *object, const char *key)
{
    if (!deep__json_number(deep__json_get(object, key), value))
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: %s is not a number", key);
    return DEEP_OK;
}

static deep_status check_version(const deep_json *document)
{
    int32_t major = 0, minor = 0;
    const deep_json *format = deep__json_get(document, "format");
    DEEP_TRY(read_integer(&major, format, "major", 1, INT32_MAX));
    DEEP_TRY(read_integer(&minor, format, "minor", 0, INT32_MAX));
    if (major > DEEP_MODEL_FORMAT_MAJOR)
        return deep__fail(DEEP_ERROR_VERSION, "written in format %" PRId32 ".%" PRId32 ", this library reads up to %d",
                          major, minor, DEEP_MODEL_FORMAT_MAJOR);
    return DEEP_OK;
}

static deep_status check_required(const deep_json *document)
{
    const deep_json *required = deep__json_get(document, "required");
    if (required == NULL) return DEEP_OK;
    if (deep__json_kind(required) != DEEP_JSON_ARRAY)
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: required is not an array");
    for (size_t i = 0; i < deep__json_count(required); ++i) {
        const char *member = deep__json_string(deep__json_at(required, i));
        if (member == NULL) return deep__fail(DEEP_ERROR_FORMAT, "metadata: required[%zu] is not a string", i);
        if (find_word(known_members, member) < 0)
            return deep__fail(DEEP_ERROR_UNSUPPORTED, "metadata: needs \"%s\", unknown here", member);
    }
    return DEEP_OK;
}

static const int32_t kernel_dtypes[] = {DEEP_DTYPE_F32, DEEP_DTYPE_BF16, DEEP_DTYPE_F16, DEEP_DTYPE_I8};
enum { KERNEL_DTYPES = sizeof kernel_dtypes / sizeof kernel_dtypes[0] };

const char *deep__metadata_dtype(int32_t dtype)
{
    return deep__dtype_name(dtype);
}

static deep_status read_kernel_dtype(uint8_t *dtype, const deep_json *list, size_t index)
{
    const char *word = deep__json_string(deep__json_at(list, index));
    if (word == NULL) return deep__fail(DEEP_ERROR_FORMAT, "metadata: kernel_dtypes[%zu] is not a string", index);
    for (int i = 0; i < KERNEL_DTYPES; ++i) {
        *dtype = (uint8_t)kernel_dtypes[i];
        if (strcmp(word, deep__metadata_dtype(*dtype)) == 0) return DEEP_OK;
    }
    return deep__fail(DEEP_ERROR_UNSUPPORTED, "metadata: kernel_dtypes[%zu] is \"%s\", unknown here", index, word);
}

/* Missing = all f32. Whether there are as many as kernels shows when the network is built. */
static deep_status read_kernel_dtypes(deep_model *model, const deep_json *object)
{
    uint8_t dtypes[MAX_KERNELS];
    const deep_json *list = deep__json_get(object, "kernel_dtypes");
    const size_t count = deep__json_count(list);
    if (list == NULL) return DEEP_OK;
    if (deep__json_kind(list) != DEEP_JSON_ARRAY || count < 1 || count > MAX_KERNELS)
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: kernel_dtypes is not a list of 1 to %d", MAX_KERNELS);
    for (size_t i = 0; i < count; ++i)
        DEEP_TRY(read_kernel_dtype(&dtypes[i], list, i));
    return deep__model_set_kernel_dtypes(model, dtypes, (int32_t)count);
}

static deep_status read_architecture(deep_model *model, const deep_json *document)
{
    const deep_json *object = deep__json_get(document, "architecture");
    const char *name = deep__json_string(deep__json_get(object, "name"));
    if (name == NULL) return deep__fail(DEEP_ERROR_FORMAT, "metadata: architecture.name is not a string");
    if (deep__arch_find(&model->arch, name) != DEEP_OK)
        return deep__fail(DEEP_ERROR_UNSUPPORTED, "metadata: architecture \"%s\" is unknown here", name);
    DEEP_TRY(read_word(&model->arch.head, object, "head", heads));
    DEEP_TRY(read_integer(&model->arch.input_size, object, "input_size", 1, INT32_MAX));
    DEEP_TRY(read_integer(&model->preprocess.channels, object, "input_channels", 1, 3));
    DEEP_TRY(read_integer(&model->arch.middle_blocks, object, "middle_blocks", 1, INT32_MAX));
    DEEP_TRY(read_number(&model->arch.width, object, "width"));
    DEEP_TRY(read_number(&model->arch.dropout, object, "dropout"));
    DEEP_TRY(read_number(&model->arch.epsilon, object, "batch_norm_epsilon"));
    DEEP_TRY(read_word(&model->arch.padding, object, "padding", paddings));
    if (model->preprocess.channels == 2)
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: input_channels is 2, not 1 or 3");
    model->preprocess.size = model->arch.input_size;
    return read_kernel_dtypes(model, object);
}

static deep_status read_triple(double values[3], const deep_json *object, const char *key, double above)
{
    const deep_json *array = deep__json_get(object, key);
    if (deep__json_kind(array) != DEEP_JSON_ARRAY || deep__json_count(array) != 3)
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: %s is not three numbers", key);
    for (size_t i = 0; i < 3; ++i)
        if (!deep__json_number(deep__json_at(array, i), &values[i]) || !(values[i] > above))
            return deep__fail(DEEP_ERROR_FORMAT, "metadata: %s[%zu] is not a number above %g", key, i, above);
    return DEEP_OK;
}

static deep_status read_preprocessing(deep_model *model, const deep_json *document)
{
    const deep_json *object = deep__json_get(document, "preprocessing");
    DEEP_TRY(read_word(&model->preprocess.mode, object, "mode", modes));
    DEEP_TRY(read_word(&model->preprocess.filter, object, "filter", filters));
    DEEP_TRY(read_word(&model->preprocess.fit, object, "fit", fits));
    DEEP_TRY(read_triple(model->preprocess.mean, object, "mean", -INFINITY));
    DEEP_TRY(read_triple(model->preprocess.std, object, "std", 0.0));
    if (!deep__json_bool(deep__json_get(object, "has_mean"), &model->has_mean))
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: has_mean is not true or false");
    return DEEP_OK;
}

static deep_status read_class(const char **name, int64_t *aphia_id, const deep_json *entry, size_t index)
{
    *name = deep__json_string(deep__json_get(entry, "name"));
    if (*name == NULL) return deep__fail(DEEP_ERROR_FORMAT, "metadata: classes[%zu].name is not a string", index);
    *aphia_id = 0;
    const deep_json *id = deep__json_get(entry, "aphia_id");
    if (id != NULL && !deep__json_integer(id, aphia_id))
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: classes[%zu].aphia_id is not a whole number", index);
    return DEEP_OK;
}

static deep_status make_classes(deep_model *model, const deep_json *list, const char **names, int64_t *aphia_ids)
{
    const size_t count = deep__json_count(list);
    for (size_t i = 0; i < count; ++i)
        DEEP_TRY(read_class(&names[i], &aphia_ids[i], deep__json_at(list, i), i));
    deep_status status = deep_classes_create(&model->classes, model->context, names, aphia_ids, (int32_t)count);
    for (size_t i = 0; i < count && status == DEEP_OK; ++i) {
        const char *info = deep__json_string(deep__json_get(deep__json_at(list, i), "info"));
        if (info != NULL) status = deep__classes_set_info(model->classes, (int32_t)i, info, strlen(info));
    }
    /* An empty or repeated name is the file's fault here, not the caller's. */
    return deep__fail_within(status == DEEP_ERROR_INVALID_ARGUMENT ? DEEP_ERROR_FORMAT : status, "metadata: classes");
}

static deep_status read_classes(deep_model *model, const deep_json *document)
{
    const deep_allocator *allocator = &model->context->allocator;
    const deep_json *list = deep__json_get(document, "classes");
    const size_t count = deep__json_count(list);
    if (deep__json_kind(list) != DEEP_JSON_ARRAY || count < 1 || count > MAX_CLASSES)
        return deep__fail(DEEP_ERROR_FORMAT, "metadata: classes is not a list of 1 to %d", MAX_CLASSES);
    const char **names = NULL;
    int64_t *aphia_ids = NULL;
    deep_status status = deep__alloc(&names, allocator, count, sizeof *names, "class names");
    if (status == DEEP_OK) status = deep__alloc(&aphia_ids, allocator, count, sizeof *aphia_ids, "AphiaIDs");
    if (status == DEEP_OK) status = make_classes(model, list, names, aphia_ids);
    deep__free(allocator, aphia_ids);
    deep__free(allocator, (void *)names);
    model->arch.classes = (int32_t)count;
    return status;
}

deep_status deep__metadata_read(deep_model *model, const deep_json *document)
{
    if (deep__json_kind(document) != DEEP_JSON_OBJECT) return deep__fail(DEEP_ERROR_FORMAT, "metadata: not an object");
    DEEP_TRY(check_version(document));
    DEEP_TRY(check_required(document));
    DEEP_TRY(read_architecture(model, document));
    DEEP_TRY(read_preprocessing(model, document));
    return read_classes(model, document);
}

/* ---- writing ---- */

static deep_json *new_triple(const double values[3])
{
    deep_json *array = deep__json_new_array();
    for (int i = 0; i < 3 && array != NULL; ++i)
        if (deep__json_append(array, deep__json_new_real(values[i])) != DEEP_OK) {
            deep__json_free(array);
            return NULL;
        }
    return array;
}

/* The object under `key`, made when it is missing or something else; NULL when out of memory. */
static deep_json *member_object(deep_json *document, const char *key)
{
    deep_json *object = deep__json_get(document, key);
    if (deep__json_kind(object) == DEEP_JSON_OBJECT) return object;
    return deep__json_set(document, key, deep__json_new_object()) == DEEP_OK ? deep__json_get(document, key) : NULL;
}

static deep_status write_kernel_dtypes(deep_json *object, const deep_model *model)
{
    if (!deep__model_is_quantized(model)) {
        deep__json_remove(object, "kernel_dtypes"); /* of the model that this one was made from */
        return DEEP_OK;
    }
    deep_json *list = deep__json_new_array();
    deep_status status = list == NULL ? deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata") : DEEP_OK;
    for (int32_t i = 0; i < model->arch.kernel_count && status == DEEP_OK; ++i)
        status = deep__json_append(list, deep__json_new_string(deep__metadata_dtype(model->kernel_dtypes[i])));
    if (status == DEEP_OK) return deep__json_set(object, "kernel_dtypes", list);
    deep__json_free(list);
    return status;
}

static deep_status write_architecture(deep_json *document, const deep_model *model)
{
    deep_json *object = member_object(document, "architecture");
    if (object == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    DEEP_TRY(deep__json_set(object, "name", deep__json_new_string(model->arch.name)));
    DEEP_TRY(deep__json_set(object, "head", deep__json_new_string(heads[model->arch.head])));
    DEEP_TRY(deep__json_set(object, "input_size", deep__json_new_integer(model->arch.input_size)));
    DEEP_TRY(deep__json_set(object, "input_channels", deep__json_new_integer(model->preprocess.channels)));
    DEEP_TRY(deep__json_set(object, "middle_blocks", deep__json_new_integer(model->arch.middle_blocks)));
    DEEP_TRY(deep__json_set(object, "width", deep__json_new_real(model->arch.width)));
    DEEP_TRY(deep__json_set(object, "dropout", deep__json_new_real(model->arch.dropout)));
    DEEP_TRY(deep__json_set(object, "batch_norm_epsilon", deep__json_new_real(model->arch.epsilon)));
    DEEP_TRY(deep__json_set(object, "padding", deep__json_new_string(paddings[model->arch.padding])));
    return write_kernel_dtypes(object, model);
}

static deep_status write_preprocessing(deep_json *document, const deep_model *model)
{
    const deep_preprocess *preprocess = &model->preprocess;
    deep_json *object = member_object(document, "preprocessing");
    if (object == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    DEEP_TRY(deep__json_set(object, "mode", deep__json_new_string(modes[preprocess->mode])));
    DEEP_TRY(deep__json_set(object, "filter", deep__json_new_string(filters[preprocess->filter])));
    DEEP_TRY(deep__json_set(object, "fit", deep__json_new_string(fits[preprocess->fit])));
    DEEP_TRY(deep__json_set(object, "mean", new_triple(preprocess->mean)));
    DEEP_TRY(deep__json_set(object, "std", new_triple(preprocess->std)));
    return deep__json_set(object, "has_mean", deep__json_new_bool(model->has_mean));
}

static deep_status append_class(deep_json *list, const deep_classes *classes, int32_t index)
{
    deep_json *entry = deep__json_new_object();
    if (entry == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    deep_status status = deep__json_set(entry, "name", deep__json_new_string(deep_classes_name(classes, index)));
    if (status == DEEP_OK)
        status = deep__json_set(entry, "aphia_id", deep__json_new_integer(deep_classes_aphia_id(classes, index)));
    if (status == DEEP_OK && deep_classes_info(classes, index) != NULL)
        status = deep__json_set(entry, "info", deep__json_new_string(deep_classes_info(classes, index)));
    if (status == DEEP_OK) return deep__json_append(list, entry);
    deep__json_free(entry);
    return status;
}

deep_status deep__metadata_set_classes(deep_json *document, const deep_model *model)
{
    deep_json *list = deep__json_new_array();
    if (list == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    deep_status status = DEEP_OK;
    for (int32_t i = 0; i < model->arch.classes && status == DEEP_OK; ++i)
        status = append_class(list, model->classes, i);
    if (status == DEEP_OK) return deep__json_set(document, "classes", list);
    deep__json_free(list);
    return status;
}

static deep_status write_version(deep_json *document)
{
    deep_json *format = member_object(document, "format");
    if (format == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    DEEP_TRY(deep__json_set(format, "major", deep__json_new_integer(DEEP_MODEL_FORMAT_MAJOR)));
    DEEP_TRY(deep__json_set(format, "minor", deep__json_new_integer(DEEP_MODEL_FORMAT_MINOR)));
    return deep__json_set(document, "library", deep__json_new_string("libdeep " DEEP_VERSION));
}

/* The members that follow from the model's fields and may have changed since the last time. */
static deep_status refresh(deep_json *document, const deep_model *model)
{
    DEEP_TRY(write_version(document));
    DEEP_TRY(write_architecture(document, model));
    return write_preprocessing(document, model);
}

deep_status deep__metadata_create(deep_json **out, const deep_model *model)
{
    deep_json *document = deep__json_new_object();
    if (document == NULL) return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: metadata");
    deep_status status = refresh(document, model);
    if (status == DEEP_OK) status = deep__metadata_set_classes(document, model);
    if (status != DEEP_OK) deep__json_free(document);
    *out = status == DEEP_OK ? document : NULL;
    return status;
}

static deep_status set_checksums(deep_json *document, const deep_json *checksums)
{
    deep_json *copy;
    if (checksums == NULL) return DEEP_OK;
    DEEP_TRY(deep__json_copy(&copy, checksums));
    return deep__json_set(document, "tensors", copy);
}

deep_status deep__metadata_write(deep_text *text, const deep_model *model, const deep_json *checksums)
{
    deep_json *document;
    DEEP_TRY(deep__json_copy(&document, model->document));
    deep__json_remove(document, "tensors"); /* of the file that was loaded */
    deep_status status = refresh(document, model);
    if (status == DEEP_OK) status = set_checksums(document, checksums);
    if (status == DEEP_OK) status = deep__json_dump(text, document);
    deep__json_free(document);
    return status;
}
