/* SPDX-License-Identifier: Apache-2.0 */
#include "params.h"

#include "base/rng.h"

#include <deep/model.h>
#include <math.h>

/* Keras's rule: a kernel's last two axes are in and out, those before them the window; a depthwise kernel is (h, w, C,
 * 1). */
static double glorot_limit(const deep_param_spec *spec)
{
    double window = 1.0;
    for (int32_t axis = 0; axis < spec->rank - 2; ++axis)
        window *= (double)spec->shape[axis];
    const double fan_in = window * (double)spec->shape[spec->rank - 2];
    const double fan_out = window * (double)spec->shape[spec->rank - 1];
    return sqrt(6.0 / (fan_in + fan_out));
}

static void fill_uniform(float *values, int64_t count, double limit, uint64_t seed, int32_t index)
{
    deep_rng_block block = {{0}};
    for (int64_t i = 0; i < count; ++i) {
        if (i % 4 == 0) block = deep__rng(seed, DEEP_RNG_WEIGHTS, (uint64_t)i / 4, (uint32_t)index);
        const double centred = 2.0 * (double)deep__rng_uniform(block.word[i % 4]) - 1.0;
        values[i] = (float)(limit * centred);
    }
}

void deep__param_initialise(float *values, const deep_param_spec *spec, uint64_t seed, int32_t index)
{
    if (spec->role == DEEP_ROLE_KERNEL) {
        fill_uniform(values, spec->elements, glorot_limit(spec), seed, index);
        return;
    }
    const float value = spec->role == DEEP_ROLE_GAMMA || spec->role == DEEP_ROLE_VARIANCE ? 1.0f : 0.0f;
    for (int64_t i = 0; i < spec->elements; ++i)
        values[i] = value;
}

int64_t deep__param_bad_element(const float *values, const deep_param_spec *spec)
{
    for (int64_t i = 0; i < spec->elements; ++i)
        if (!isfinite(values[i]) || (spec->role == DEEP_ROLE_VARIANCE && values[i] < 0.0f)) return i;
    return -1;
}

bool deep__role_is_trained(int32_t role)
{
    return role != DEEP_ROLE_MEAN && role != DEEP_ROLE_VARIANCE;
}
