/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizers, with Keras 3's formulas. Operands: w, dw, hyper, norm, slots. */
#include "backend_ref/ref.h"

#include <math.h>

void REF_NAME(gradient_norm)(const deep_call *call)
{
    const real *g = call->src[0];
    real *result = call->dst[0]; /* {norm, 1 when finite} */
    double sum = 0;
    for (int64_t i = 0; i < deep__value_elements(call->in[0]); ++i)
        sum += (double)g[i] * (double)g[i];
    result[0] = (real)sqrt(sum);
    result[1] = isfinite(sum) ? 1 : 0;
}

typedef struct update {
    real *w;
    const real *g;
    real *slot[3];
    int64_t count;
    real rate;      /* learning rate x the group's multiplier */
    real adam_rate; /* the same with Adam's bias correction */
    real scale;     /* of the gradient, from clipping */
} update;

static update update_of(const deep_call *call)
{
    const real *hyper = call->src[2], *norm = call->src[3];
    const real clip = (real)call->attr->update.clip, multiplier = (real)call->attr->update.rate;
    update u = {call->src[0],
                call->src[1],
                {NULL},
                deep__value_elements(call->in[0]),
                hyper[DEEP_HYPER_RATE] * multiplier,
                hyper[DEEP_HYPER_ADAM_RATE] * multiplier,
                1};
    for (int32_t i = 4; i < call->node->input_count; ++i)
        u.slot[i - 4] = call->src[i];
    if (clip > 0 && norm[0] > clip) u.scale = clip / norm[0];
    return u;
}

void REF_NAME(update_sgd)(const deep_call *call)
{
    const update u = update_of(call);
    const real momentum = (real)call->attr->update.beta1;
    for (int64_t i = 0; i < u.count; ++i) {
        const real step = u.g[i] * u.scale * u.rate;
        const real velocity = momentum * u.slot[0][i] - step;
        u.slot[0][i] = velocity;
        u.w[i] += call->attr->update.nesterov ? momentum * velocity - step : velocity;
    }
}

void REF_NAME(update_rmsprop)(const deep_call *call)
{
    const update u = update_of(call);
    const real momentum = (real)call->attr->update.beta1, rho = (real)call->attr->update.beta2;
    const real keep = (real)(1 - call->attr->update.beta2), epsilon = (real)call->attr->update.epsilon;
    for (int64_t i = 0; i < u.count; ++i) {
        const real g = u.g[i] * u.scale;
        const real square = rho * u.slot[0][i] + keep * g * g;
        const real step = u.rate * g / (real)sqrt((double)(square + epsilon));
        u.slot[0][i] = square;
        u.slot[1][i] = momentum * u.slot[1][i] + step;
        u.w[i] -= u.slot[1][i];
    }
}

void REF_NAME(update_adam)(const deep_call *call)
{
    const update u = update_of(call);
    const deep_attr *attr = call->attr;
    const real keep1 = (real)(1 - attr->update.beta1), keep2 = (real)(1 - attr->update.beta2);
    const real epsilon = (real)attr->update.epsilon, decay = (real)attr->update.decay * u.rate;
    for (int64_t i = 0; i < u.count; ++i) {
        const real g = u.g[i] * u.scale;
        const real w = u.w[i] - decay * u.w[i];
        const real m = u.slot[0][i] += (g - u.slot[0][i]) * keep1;
        real v = u.slot[1][i] += (g * g - u.slot[1][i]) * keep2;
        if (attr->update.amsgrad) v = u.slot[2][i] = u.slot[2][i] > v ? u.slot[2][i] : v;
        u.w[i] = w - u.adam_rate * m / ((real)sqrt((double)v) + epsilon);
    }
}
