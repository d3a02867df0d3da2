/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/host.h"
#include "base/rng.h"

#include <math.h>

static int64_t elements(const deep_call *call)
{
    return deep__value_elements(call->in[0]);
}

void HOST_NAME(batch_norm_fold)(const deep_call *call)
{
    const real *gamma = call->src[0], *beta = call->src[1], *mean = call->src[2], *variance = call->src[3];
    real *scale = call->dst[0], *shift = call->dst[1];
    for (int64_t c = 0; c < deep__columns(call->in[0]); ++c) {
        const double factor = (double)gamma[c] / sqrt((double)variance[c] + call->attr->norm.epsilon);
        scale[c] = (real)factor;
        shift[c] = (real)((double)beta[c] - (double)mean[c] * factor);
    }
}

void HOST_NAME(statistics_update)(const deep_call *call)
{
    const real momentum = (real)call->attr->norm.momentum;
    for (int which = 0; which < 2; ++which) {
        real *running = call->src[which];
        const real *batch = call->src[which + 2];
        for (int64_t c = 0; c < deep__columns(call->in[0]); ++c)
            running[c] = running[c] * momentum + batch[c] * (1 - momentum);
    }
}

void HOST_NAME(dropout)(const deep_call *call)
{
    const real *x = call->src[0];
    const int64_t *counter = call->src[1]; /* {seed, step} */
    real *y = call->dst[0];
    const double rate = call->attr->dropout.rate;
    const uint64_t layer = (uint64_t)call->attr->dropout.layer << 48;
    for (int64_t i = 0; i < elements(call); ++i) {
        const deep_rng_block block =
            deep__rng((uint64_t)counter[0], DEEP_RNG_DROPOUT, layer | (uint64_t)(i / 4), (uint32_t)counter[1]);
        const bool kept = (double)deep__rng_uniform(block.word[i % 4]) >= rate;
        y[i] = kept ? (real)((double)x[i] / (1 - rate)) : 0;
    }
}

void HOST_NAME(cast)(const deep_call *call)
{
    const bool from_double = call->in[0]->dtype == DEEP_DTYPE_F64, to_double = call->out[0]->dtype == DEEP_DTYPE_F64;
    for (int64_t i = 0; i < elements(call); ++i) {
        const double value = from_double ? ((const double *)call->src[0])[i] : (double)((const float *)call->src[0])[i];
        if (to_double)
            ((double *)call->dst[0])[i] = value;
        else
            ((float *)call->dst[0])[i] = (float)value;
    }
}

void HOST_NAME(reorder)(const deep_call *call)
{
    const deep_value_info *from = call->in[0], *to = call->out[0];
    const real *x = call->src[0];
    real *y = call->dst[0];
    for (int64_t i = 0; i < elements(call); ++i) {
        int64_t rest = i, position[DEEP_GRAPH_RANK] = {0}, at = 0;
        for (int32_t axis = to->rank - 1; axis >= 0; --axis) {
            position[call->attr->reorder.axis[axis]] = rest % to->shape[axis];
            rest /= to->shape[axis];
        }
        for (int32_t axis = 0; axis < from->rank; ++axis)
            at = at * from->shape[axis] + position[axis];
        y[i] = x[at];
    }
}

void HOST_NAME(fill)(const deep_call *call)
{
    real *y = call->dst[0];
    for (int64_t i = 0; i < deep__value_elements(call->out[0]); ++i)
        y[i] = (real)call->attr->fill.value;
}

void HOST_NAME(broadcast_rows)(const deep_call *call)
{
    const real *x = call->src[0];
    real *y = call->dst[0];
    const int64_t columns = deep__columns(call->out[0]);
    for (int64_t i = 0; i < deep__value_elements(call->out[0]); ++i)
        y[i] = x[i % columns];
}

void HOST_NAME(scale)(const deep_call *call)
{
    real *x = call->src[0];
    const real factor = ((const real *)call->src[1])[call->attr->scale.element];
    for (int64_t i = 0; i < deep__value_elements(call->in[0]); ++i)
        x[i] *= factor;
}

void HOST_NAME(finite_check)(const deep_call *call)
{
    const real *x = call->src[0];
    bool finite = true;
    for (int64_t i = 0; i < elements(call); ++i)
        finite = finite && isfinite(x[i]);
    *(real *)call->dst[0] = finite ? 1 : 0;
}
