/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include "backend/registry.h"

#include <string.h>

bool deep__model_can_pack(const deep_model *model)
{
    return model->context->backend->pack != NULL;
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

static bool is_packable(const deep_param_spec *spec)
{
    return spec->rank == 4 && spec->shape[0] == 1 && spec->shape[1] == 1 && !spec->depthwise;
}

static void convert(const deep_model *model, const deep_param_spec *spec, float *to, const float *from, bool back)
{
    model->context->backend->pack(model->context->isa, to, from, spec->shape[2], spec->shape[3], back);
}

/* Converts every kernel in place, under the model's lock. */
static deep_status convert_all(deep_model *model, bool back)
{
    int64_t largest = 0;
    for (int32_t i = 0; i < model->params.count; ++i) {
        const deep_param_spec *spec = &model->params.specs[i];
        if (is_packable(spec) && spec->elements > largest) largest = spec->elements;
    }
    float *from;
    const deep_allocator *allocator = &model->context->allocator;
    DEEP_TRY(deep__alloc(&from, allocator, (size_t)largest, sizeof *from, "a kernel to be packed"));
    for (int32_t i = 0; i < model->params.count; ++i) {
        const deep_param_spec *spec = &model->params.specs[i];
        float *values = deep__model_values(model, i);
        if (!is_packable(spec)) continue;
        memcpy(from, values, (size_t)spec->elements * sizeof *from);
        convert(model, spec, values, from, back);
    }
    deep__free(allocator, from);
    model->packed = !back;
    return DEEP_OK;
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
    pthread_mutex_lock(&mutable(model)->lock); /* a session may be about to pack */
    if (model->packed && is_packable(spec))
        convert(model, spec, values, from, true);
    else
        memcpy(values, from, (size_t)spec->elements * sizeof *values);
    pthread_mutex_unlock(&mutable(model)->lock);
}
