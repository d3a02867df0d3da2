/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include "backend/registry.h"
#include "data/workers.h"
#include "model/quantization.h"

#include <stdatomic.h>
#include <string.h>

bool deep__model_can_pack(const deep_model *model)
{
    return model->context->backend != NULL && model->context->backend->pack != NULL;
}

/* The lock and the layout are not part of what const promises. */
static deep_model *mutable(const deep_model *model)
{
    return (deep_model *)model;
}

bool deep__model_hold_plain(const deep_model *model)
{
    pthread_mutex_lock(&mutable(model)->lock);
    if (!model->packed) return true;
    pthread_mutex_unlock(&mutable(model)->lock);
    return false;
}

void deep__model_release_plain(const deep_model *model)
{
    pthread_mutex_unlock(&mutable(model)->lock);
}

/* Whether sessions pack it, and unpacking makes it plain again: kernels of other types are packed for good. */
static bool is_packable(const deep_param_spec *spec)
{
    return spec->dtype == DEEP_DTYPE_F32 && spec->rank == 4 && spec->shape[0] == 1 && spec->shape[1] == 1 &&
           !spec->depthwise;
}

static void convert(const deep_model *model, int32_t index, void *to, const void *from, bool back)
{
    const deep_param_spec *spec = &model->params.specs[index];
    const int64_t channels = spec->shape[spec->rank - 2], columns = spec->shape[spec->rank - 1];
    const deep_packing packing = {
        .dtype = spec->dtype,
        .inner = spec->elements / columns,
        .columns = columns,
        .zero = spec->dtype == DEEP_DTYPE_I8 ? deep__model_values(model, index + 1) + channels : NULL,
        .channels = channels,
    };
    model->context->backend->pack(model->context->isa, &packing, to, from, back);
}

void deep__model_put_kernel(deep_model *model, int32_t index, const void *plain)
{
    const deep_param_spec *spec = &model->params.specs[index];
    if (deep__model_can_pack(model))
        convert(model, index, deep__model_values(model, index), plain, false);
    else
        memcpy(deep__model_values(model, index), plain, (size_t)spec->elements * deep__dtype_size(spec->dtype));
}

void deep__model_get_kernel(const deep_model *model, int32_t index, void *plain)
{
    const deep_param_spec *spec = &model->params.specs[index];
    if (deep__model_can_pack(model))
        convert(model, index, plain, deep__model_values(model, index), true);
    else
        memcpy(plain, deep__model_values(model, index), (size_t)spec->elements * deep__dtype_size(spec->dtype));
}

/* The kernel's values stand at the end of `values` and become floats from its beginning on. */
static void widen(const deep_model *model, int32_t index, float *values)
{
    const deep_param_spec *spec = &model->params.specs[index];
    const int64_t channels = spec->shape[spec->rank - 2], columns = spec->shape[spec->rank - 1];
    const char *end = (const char *)(values + spec->elements);
    if (spec->dtype != DEEP_DTYPE_I8) {
        const char *from = end - spec->elements * 2;
        for (int64_t i = 0; i < spec->elements; ++i) {
            uint16_t half;
            memcpy(&half, from + 2 * i, sizeof half);
            deep__kernel_from_halves(&values[i], &half, 1, spec->dtype);
        }
        return;
    }
    const int8_t *from = (const int8_t *)end - spec->elements;
    const float *inverse = deep__model_values(model, index + 1), *scale = inverse + 2 * channels;
    for (int64_t i = 0; i < spec->elements; ++i)
        values[i] = (float)from[i] * scale[i % columns] * inverse[i / columns % channels];
}

enum { MAX_CONVERTERS = 4 }; /* threads: copying is bound by memory, and each has a kernel's room */

typedef struct conversion {
    deep_model *model;
    bool back;
    float *room;     /* for each thread, where a kernel is kept meanwhile */
    int64_t largest; /* floats of that */
    atomic_int next; /* parameter */
} conversion;

/* One thread's share of the kernels, in place. Nothing here can fail: there is no half-converted model. */
static deep_status convert_some(void *user, size_t thread)
{
    conversion *c = user;
    float *from = c->room + (int64_t)thread * c->largest;
    for (int i = atomic_fetch_add(&c->next, 1); i < c->model->params.count; i = atomic_fetch_add(&c->next, 1)) {
        const deep_param_spec *spec = &c->model->params.specs[i];
        float *values = deep__model_values(c->model, i);
        if (!is_packable(spec)) continue;
        memcpy(from, values, (size_t)spec->elements * sizeof *from);
        convert(c->model, i, values, from, c->back);
    }
    return DEEP_OK;
}

/* Converts every kernel in place, under the model's lock. */
static deep_status convert_all(deep_model *model, bool back)
{
    conversion c = {.model = model, .back = back};
    for (int32_t i = 0; i < model->params.count; ++i) {
        const deep_param_spec *spec = &model->params.specs[i];
        if (is_packable(spec) && spec->elements > c.largest) c.largest = spec->elements;
    }
    if (c.largest == 0) return DEEP_OK;
    const deep_allocator *allocator = &model->context->allocator;
    const size_t threads = model->context->threads < MAX_CONVERTERS ? (size_t)model->context->threads : MAX_CONVERTERS;
    DEEP_TRY(deep__alloc(&c.room, allocator, (size_t)c.largest * threads, sizeof *c.room, "kernels to be packed"));
    const deep_status status = deep__for_each_index(model->context, 0, threads, convert_some, &c);
    deep__free(allocator, c.room);
    if (status == DEEP_OK) model->packed = !back;
    return status;
}

deep_status deep__model_pack(const deep_model *model)
{
    deep_status status = DEEP_OK;
    if (!deep__model_can_pack(model)) return DEEP_OK;
    pthread_mutex_lock(&mutable(model)->lock);
    if (!model->packed) status = convert_all(mutable(model), false);
    pthread_mutex_unlock(&mutable(model)->lock);
    return status;
}

deep_status deep__model_unpack(deep_model *model)
{
    return model->packed ? convert_all(model, true) : DEEP_OK;
}

void deep__model_copy_plain(const deep_model *model, int32_t index, float *values)
{
    const deep_param_spec *spec = &model->params.specs[index];
    const float *from = deep__model_values(model, index);
    if (spec->dtype != DEEP_DTYPE_F32) {
        const size_t bytes = (size_t)spec->elements * deep__dtype_size(spec->dtype);
        deep__model_get_kernel(model, index, (char *)(values + spec->elements) - bytes);
        widen(model, index, values);
        return;
    }
    pthread_mutex_lock(&mutable(model)->lock); /* a session may be about to pack */
    if (model->packed && is_packable(spec))
        convert(model, index, values, from, true);
    else
        memcpy(values, from, (size_t)spec->elements * sizeof *values);
    pthread_mutex_unlock(&mutable(model)->lock);
}
