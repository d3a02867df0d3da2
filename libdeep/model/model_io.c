/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tensor.h"
#include "data/workers.h"
#include "kernel_dtypes.h"
#include "layout.h"
#include "metadata.h"
#include "params.h"
#include "quantization.h"
#include "safetensors.h"

#include <stdatomic.h>
#include <string.h>

static const size_t max_document_size = 64u << 20;

/* ---- loading ---- */

static deep_status parse_document(deep_model *model, const deep_safetensors *file)
{
    const char *text = deep__safetensors_metadata(file, DEEP_METADATA_KEY);
    if (text == NULL)
        return deep__fail(DEEP_ERROR_FORMAT, "no \"%s\" in its metadata: libdeep did not write it", DEEP_METADATA_KEY);
    DEEP_TRY(deep__fail_within(deep__json_parse(&model->document, text, strlen(text), max_document_size), "metadata"));
    return deep__metadata_read(model, model->document);
}

static deep_status check_tensor(const deep_safetensor *tensor, const deep_param_spec *spec)
{
    if (tensor == NULL) return deep__fail(DEEP_ERROR_FORMAT, "tensor %s is missing", spec->name);
    if (tensor->dtype != spec->dtype)
        return deep__fail(DEEP_ERROR_FORMAT, "tensor %s is %s, not %s", spec->name,
                          deep__safetensors_dtype(tensor->dtype), deep__safetensors_dtype(spec->dtype));
    if (tensor->rank != spec->rank)
        return deep__fail(DEEP_ERROR_FORMAT, "tensor %s has rank %" PRId32 ", the architecture %" PRId32, spec->name,
                          tensor->rank, spec->rank);
    for (int32_t axis = 0; axis < spec->rank; ++axis)
        if (tensor->shape[axis] != spec->shape[axis])
            return deep__fail(DEEP_ERROR_FORMAT,
                              "tensor %s has extent %" PRId64 " in axis %" PRId32 ", the architecture %" PRId64,
                              spec->name, tensor->shape[axis], axis, spec->shape[axis]);
    return DEEP_OK;
}

/* Before memory for the weights is taken: a small file cannot ask for a large model. */
static deep_status check_tensors(const deep_safetensors *file, const deep_param_list *params)
{
    for (int32_t i = 0; i < params->count; ++i)
        DEEP_TRY(check_tensor(deep__safetensors_find(file, params->specs[i].name), &params->specs[i]));
    if (file->count != params->count)
        return deep__fail(DEEP_ERROR_FORMAT, "%" PRId32 " tensors, the architecture has %" PRId32, file->count,
                          params->count);
    return DEEP_OK;
}

/* The architecture as the file states it, checked against the file's tensors. */
static deep_status check_architecture(const deep_model *model, const deep_safetensors *file)
{
    const deep_allocator *allocator = &model->context->allocator;
    deep_param_list params = {0};
    deep_status status = deep__arch_params(&params, &model->arch, allocator);
    if (status == DEEP_ERROR_INVALID_ARGUMENT) status = deep__fail_within(DEEP_ERROR_FORMAT, "metadata");
    if (status == DEEP_OK) status = check_tensors(file, &params);
    deep__arch_params_free(&params, allocator);
    return status;
}

enum { KERNEL_READERS = 4 }; /* threads that read kernels to be packed: copying is bound by memory */

typedef struct reading {
    deep_model *model;
    const deep_safetensors *file;
    const deep_json *checksums;
    char *room; /* KERNEL_READERS times what the largest stored kernel takes */
    size_t room_bytes;
    atomic_flag taken[KERNEL_READERS];
} reading;

static deep_status read_tensor(const reading *r, const deep_param_spec *spec, void *to)
{
    return deep__safetensors_read(r->file, deep__safetensors_find(r->file, spec->name), to, r->checksums);
}

static deep_status fail_value(const reading *r, const deep_param_spec *spec, int64_t index, double value)
{
    return deep__fail(DEEP_ERROR_FORMAT, "%s: tensor %s: value %" PRId64 " is %g", r->file->name, spec->name, index,
                      value);
}

/* A quantization follows its kernel. */
static int64_t bad_element(const float *values, const deep_param_spec *spec)
{
    if (spec->role == DEEP_ROLE_QUANTIZATION)
        return deep__quantization_bad_element(values, deep__kernel_shape(spec - 1));
    return deep__param_bad_element(values, spec);
}

/* One parameter in float32; called from several threads. */
static deep_status read_floats(void *user, size_t index)
{
    const reading *r = user;
    const deep_param_spec *spec = &r->model->params.specs[index];
    float *values = deep__model_values(r->model, (int32_t)index);
    if (spec->dtype != DEEP_DTYPE_F32) return DEEP_OK;
    DEEP_TRY(read_tensor(r, spec, values));
    const int64_t bad = bad_element(values, spec);
    return bad >= 0 ? fail_value(r, spec, bad, (double)values[bad]) : DEEP_OK;
}

/* One kernel of another type, whose quantization has been read, by way of `stored`. */
static deep_status read_stored(const reading *r, int32_t index, void *stored)
{
    double value;
    const deep_param_spec *spec = &r->model->params.specs[index];
    DEEP_TRY(read_tensor(r, spec, stored));
    const int64_t bad = deep__kernel_bad_element(stored, spec, &value);
    if (bad >= 0) return fail_value(r, spec, bad, value);
    deep__model_put_kernel(r->model, index, stored);
    return DEEP_OK;
}

/* There are as many rooms as threads, so one is free. */
static size_t take_room(reading *r)
{
    size_t room = 0;
    while (atomic_flag_test_and_set(&r->taken[room]))
        room = (room + 1) % KERNEL_READERS;
    return room;
}

static deep_status read_kernel(void *user, size_t index)
{
    reading *r = user;
    if (r->model->params.specs[index].dtype == DEEP_DTYPE_F32) return DEEP_OK;
    const size_t room = take_room(r);
    const deep_status status = read_stored(r, (int32_t)index, r->room + room * r->room_bytes);
    atomic_flag_clear(&r->taken[room]);
    return status;
}

static size_t stored_bytes(const deep_param_spec *spec)
{
    return (size_t)spec->elements * deep__dtype_size(spec->dtype);
}

/* In one block of memory, which goes back to the system at once: kernels freed one by one would stay in the heap. */
static deep_status read_kernels(reading *r)
{
    const deep_context *context = r->model->context;
    const int32_t threads = context->threads < KERNEL_READERS ? context->threads : KERNEL_READERS;
    for (int32_t i = 0; i < r->model->params.count; ++i) {
        const deep_param_spec *spec = &r->model->params.specs[i];
        if (spec->dtype != DEEP_DTYPE_F32 && stored_bytes(spec) > r->room_bytes) r->room_bytes = stored_bytes(spec);
    }
    if (r->room_bytes == 0) return DEEP_OK;
    DEEP_TRY(deep__alloc(&r->room, &context->allocator, KERNEL_READERS, r->room_bytes, "kernels to be packed"));
    const deep_status status = deep__for_each_index(context, threads, (size_t)r->model->params.count, read_kernel, r);
    deep__free(&context->allocator, r->room);
    return status;
}

static deep_status read_values(deep_model *model, const deep_safetensors *file)
{
    reading r = {.model = model, .file = file, .checksums = deep__json_get(model->document, "tensors")};
    for (int i = 0; i < KERNEL_READERS; ++i)
        atomic_flag_clear(&r.taken[i]);
    if (deep__json_kind(r.checksums) != DEEP_JSON_OBJECT)
        return deep__fail(DEEP_ERROR_FORMAT, "%s: metadata: tensors is not an object", file->name);
    DEEP_TRY(deep__for_each_index(model->context, 0, (size_t)model->params.count, read_floats, &r));
    DEEP_TRY(read_kernels(&r));
    deep__model_clear_padding(model);
    return DEEP_OK;
}

static deep_status fill_from_file(deep_model *model, const deep_safetensors *file)
{
    DEEP_TRY(deep__fail_within(parse_document(model, file), file->name));
    DEEP_TRY(deep__fail_within(check_architecture(model, file), file->name));
    DEEP_TRY(deep__model_allocate(model));
    DEEP_TRY(read_values(model, file));
    deep__json_remove(model->document, "tensors"); /* made anew by each save */
    return DEEP_OK;
}

static deep_status load(deep_model **out, deep_context *context, const deep_safetensors *file)
{
    deep_model *model = NULL;
    DEEP_TRY(deep__model_new(&model, context));
    const deep_status status = fill_from_file(model, file);
    if (status == DEEP_OK)
        *out = model;
    else
        deep_model_free(model);
    return status;
}

static size_t size_limit(const deep_context *context)
{
    return (size_t)context->limits.max_model_bytes;
}

deep_status deep_model_load(deep_model **out, deep_context *context, const char *path)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(path != NULL && path[0] != '\0', "path is empty");
    deep_safetensors file;
    DEEP_TRY(deep__safetensors_open_file(&file, &context->allocator, path, size_limit(context)));
    const deep_status status = load(out, context, &file);
    deep__safetensors_close(&file);
    return status;
}

deep_status deep_model_load_memory(deep_model **out, deep_context *context, const void *data, size_t size)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(data != NULL, "data is NULL");
    deep_safetensors file;
    DEEP_TRY(deep__safetensors_open_memory(&file, &context->allocator, data, size, size_limit(context)));
    const deep_status status = load(out, context, &file);
    deep__safetensors_close(&file);
    return status;
}

/* ---- saving ---- */

typedef deep_status (*content_writer)(const deep_safetensors_content *content, void *target);

/* Kernels of other types than float32, as they stand in a file; the caller frees them. NULL when there are none. */
static deep_status unpack_kernels(char **stored, const deep_model *model)
{
    size_t size = 0;
    *stored = NULL;
    if (!deep__model_is_quantized(model)) return DEEP_OK;
    for (int32_t i = 0; i < model->params.count; ++i)
        if (model->params.specs[i].dtype != DEEP_DTYPE_F32) size += stored_bytes(&model->params.specs[i]);
    DEEP_TRY(deep__alloc(stored, &model->context->allocator, size, 1, "kernels to be saved"));
    char *next = *stored;
    for (int32_t i = 0; i < model->params.count; ++i) {
        if (model->params.specs[i].dtype == DEEP_DTYPE_F32) continue;
        deep__model_get_kernel(model, i, next);
        next += stored_bytes(&model->params.specs[i]);
    }
    return DEEP_OK;
}

static void list_tensors(deep_safetensor *tensors, const deep_model *model, const char *stored)
{
    for (int32_t i = 0; i < model->params.count; ++i) {
        const deep_param_spec *spec = &model->params.specs[i];
        const bool is_float = spec->dtype == DEEP_DTYPE_F32;
        tensors[i] = (deep_safetensor){
            .name = spec->name,
            .dtype = spec->dtype,
            .rank = spec->rank,
            .data = is_float ? (const void *)deep__model_values(model, i) : stored,
            .size = stored_bytes(spec),
        };
        if (!is_float) stored += stored_bytes(spec);
        memcpy(tensors[i].shape, spec->shape, (size_t)spec->rank * sizeof *spec->shape);
    }
}

static deep_status render_document(deep_text *text, const deep_model *model, const deep_safetensor *tensors)
{
    deep_json *checksums;
    DEEP_TRY(deep__safetensors_checksums(&checksums, tensors, model->params.count));
    const deep_status status = deep__metadata_write(text, model, checksums);
    deep__json_free(checksums);
    return status;
}

/* Hands the file's content to `write`; the caller holds the model. */
static deep_status save_plain(const deep_model *model, content_writer write, void *target)
{
    const deep_allocator *allocator = &model->context->allocator;
    char *stored;
    deep_safetensor *tensors;
    DEEP_TRY(deep__alloc(&tensors, allocator, (size_t)model->params.count, sizeof *tensors, "tensor table"));
    deep_text document = deep__text(allocator);
    deep_status status = unpack_kernels(&stored, model);
    if (status == DEEP_OK) list_tensors(tensors, model, stored);
    if (status == DEEP_OK) status = render_document(&document, model, tensors);
    const deep_safetensors_pair pair = {DEEP_METADATA_KEY, document.data};
    const deep_safetensors_content content = {tensors, model->params.count, &pair, 1};
    if (status == DEEP_OK) status = write(&content, target);
    deep__text_free(&document);
    deep__free(allocator, stored);
    deep__free(allocator, tensors);
    return status;
}

/* Plain weights stay so until they are written; packed ones, whose sessions may be running, are copied for it. */
static deep_status save_with(const deep_model *model, content_writer write, void *target)
{
    deep_status status;
    if (deep__model_hold_plain(model)) {
        status = save_plain(model, write, target);
        deep__model_release_plain(model);
        return status;
    }
    deep_model *plain;
    DEEP_TRY(deep_model_clone(&plain, model));
    status = save_plain(plain, write, target);
    deep_model_free(plain);
    return status;
}

static deep_status save_shared(const deep_model *model, content_writer write, void *target)
{
    DEEP_TRY(deep__model_share(model));
    const deep_status status = save_with(model, write, target);
    deep__model_unshare(model);
    return status;
}

typedef struct file_target {
    const deep_allocator *allocator;
    const char *path;
} file_target;

static deep_status write_to_file(const deep_safetensors_content *content, void *user)
{
    const file_target *target = user;
    return deep__safetensors_write_file(content, target->allocator, target->path, NULL);
}

deep_status deep_model_save(const deep_model *model, const char *path)
{
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_REQUIRE(path != NULL && path[0] != '\0', "path is empty");
    file_target target = {&model->context->allocator, path};
    return save_shared(model, write_to_file, &target);
}

typedef struct memory_target {
    const deep_allocator *allocator;
    void *data;
    size_t size;
} memory_target;

static deep_status write_to_memory(const deep_safetensors_content *content, void *user)
{
    memory_target *target = user;
    return deep__safetensors_write_memory(content, target->allocator, &target->data, &target->size);
}

deep_status deep_model_save_memory(const deep_model *model, void **data, size_t *size)
{
    DEEP_REQUIRE_OUT(data);
    DEEP_REQUIRE(size != NULL, "size is NULL");
    DEEP_REQUIRE(model != NULL, "model is NULL");
    *size = 0;
    memory_target target = {.allocator = &model->context->allocator};
    const deep_status status = save_shared(model, write_to_memory, &target);
    if (status == DEEP_OK) {
        *data = target.data;
        *size = target.size;
    }
    return status;
}
