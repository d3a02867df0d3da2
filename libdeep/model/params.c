/* SPDX-License-Identifier: Apache-2.0 */
#include "params.h"

#include "base/rng.h"

#include <deep/model.h>
#include <math.h>
#include <string.h>

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

/* Whether all of a block are finite, without a branch for each: a model has tens of millions of values. */
enum { BLOCK = 1024 };

static bool block_is_finite(const float *values)
{
    uint32_t bad = 0;
    for (int i = 0; i < BLOCK; ++i) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bad |= (bits & 0x7f800000) == 0x7f800000; /* the exponent of infinities and NaN */
    }
    return bad == 0;
}

int64_t deep__param_bad_element(const float *values, const deep_param_spec *spec)
{
    const bool variance = spec->role == DEEP_ROLE_VARIANCE;
    int64_t i = 0;
    while (!variance && i + BLOCK <= spec->elements && block_is_finite(values + i))
        i += BLOCK;
    for (; i < spec->elements; ++i)
        if (!isfinite(values[i]) || (variance && values[i] < 0.0f)) return i;
    return -1;
}

bool deep__role_is_trained(int32_t role)
{
    return role != DEEP_ROLE_MEAN && role != DEEP_ROLE_VARIANCE && role != DEEP_ROLE_QUANTIZATION;
}
