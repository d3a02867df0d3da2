/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_dtypes.h"
#include "layout.h"
#include "model.h"
#include "params.h"

#include <string.h>

int32_t deep_model_param_count(const deep_model *model)
{
    return model == NULL ? 0 : model->params.count;
}

static deep_status check_index(const deep_model *model, int32_t index)
{
    DEEP_REQUIRE(index >= 0 && index < model->params.count, "parameter %" PRId32 " of %" PRId32, index,
                 model->params.count);
    return DEEP_OK;
}

deep_status deep_model_param_info(const deep_model *model, int32_t index, deep_param *out)
{
    DEEP_REQUIRE(model != NULL, "model is NULL");
    DEEP_TRY(check_index(model, index));
    const deep_param_spec *spec = &model->params.specs[index];
    deep_param param = {
        .name = spec->name,
        .role = spec->role,
        .dtype = spec->dtype,
        .rank = spec->rank,
        .trainable = deep__role_is_trained(spec->role) && !model->frozen[index],
    };
    memcpy(param.shape, spec->shape, (size_t)spec->rank * sizeof *spec->shape);
    return deep__result_write(out, sizeof param, &param, sizeof param, "deep_param");
}

int32_t deep_model_param_index(const deep_model *model, const char *name)
{
    if (model == NULL || name == NULL) return -1;
    for (int32_t i = 0; i < model->params.count; ++i)
        if (strcmp(model->params.specs[i].name, name) == 0) return i;
    return -1;
}

static deep_status check_values(const deep_model *model, int32_t index, const float *values, int64_t count)
{
    DEEP_TRY(check_index(model, index));
    const deep_param_spec *spec = &model->params.specs[index];
    DEEP_REQUIRE(values != NULL, "%s: values is NULL", spec->name);
    DEEP_REQUIRE(count == spec->elements, "%s: %" PRId64 " values given, it has %" PRId64, spec->name, count,
                 spec->elements);
    return DEEP_OK;
}

deep_status deep_model_param_read(const deep_model *model, int32_t index, float *values, int64_t count)
{
    DEEP_TRY(deep__model_share(model));
    const deep_status status = check_values(model, index, values, count);
    if (status == DEEP_OK) deep__model_copy_plain(model, index, values);
    deep__model_unshare(model);
    return status;
}

static deep_status write_values(deep_model *model, int32_t index, const float *values, int64_t count)
{
    DEEP_TRY(check_values(model, index, values, count));
    DEEP_TRY(deep__model_check_float(model, "cannot be written to"));
    const deep_param_spec *spec = &model->params.specs[index];
    const int64_t bad = deep__param_bad_element(values, spec);
    DEEP_REQUIRE(bad < 0, "%s: value %" PRId64 " is %g", spec->name, bad, (double)values[bad]);
    memcpy(deep__model_values(model, index), values, (size_t)count * sizeof *values);
    deep__mirror_host_wrote(&model->mirror);
    return DEEP_OK;
}

deep_status deep_model_param_write(deep_model *model, int32_t index, const float *values, int64_t count)
{
    DEEP_TRY(deep__model_own(model));
    const deep_status status = write_values(model, index, values, count);
    deep__model_disown(model);
    return status;
}

static bool matches(const deep_param_spec *spec, const char *prefix)
{
    if (strcmp(prefix, "backbone") == 0) return !spec->head;
    return strncmp(spec->name, prefix, strlen(prefix)) == 0;
}

static deep_status set_frozen(deep_model *model, const char *prefix, bool frozen)
{
    bool any = false;
    for (int32_t i = 0; i < model->params.count; ++i) {
        if (!matches(&model->params.specs[i], prefix)) continue;
        model->frozen[i] = frozen;
        any = true;
    }
    DEEP_REQUIRE(any, "no parameter's name begins with \"%s\"", prefix);
    return DEEP_OK;
}

deep_status deep_model_set_trainable(deep_model *model, const char *prefix, int32_t trainable)
{
    DEEP_REQUIRE(prefix != NULL, "prefix is NULL");
    DEEP_REQUIRE(trainable == 0 || trainable == 1, "trainable is %" PRId32 ", not 0 or 1", trainable);
    DEEP_TRY(deep__model_own(model));
    const deep_status status = set_frozen(model, prefix, trainable == 0);
    deep__model_disown(model);
    return status;
}
