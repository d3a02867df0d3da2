/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizers, with Keras 3's formulas. */
#include "backend_cpu/kernels_list.h"

#include <math.h>

void KERNEL(sgd)(const cpu_update *u, int64_t begin, int64_t end)
{
    float *restrict w = u->w, *restrict velocity = u->slot[0];
    const float *restrict g = u->g;
    const float rate = u->scale * u->rate, momentum = u->beta1;
    if (u->nesterov)
        for (int64_t i = begin; i < end; ++i) {
            const float step = g[i] * rate;
            velocity[i] = momentum * velocity[i] - step;
            w[i] += momentum * velocity[i] - step;
        }
    else
        for (int64_t i = begin; i < end; ++i) {
            velocity[i] = momentum * velocity[i] - g[i] * rate;
            w[i] += velocity[i];
        }
}

void KERNEL(rmsprop)(const cpu_update *u, int64_t begin, int64_t end)
{
    float *restrict w = u->w, *restrict square = u->slot[0], *restrict velocity = u->slot[1];
    const float *restrict gradient = u->g;
    const float rho = u->beta2, keep = u->keep2, momentum = u->beta1, scale = u->scale;
    const float rate = u->rate, epsilon = u->epsilon;
    for (int64_t i = begin; i < end; ++i) {
        const float g = gradient[i] * scale;
        square[i] = rho * square[i] + keep * g * g;
        velocity[i] = momentum * velocity[i] + rate * g / sqrtf(square[i] + epsilon);
        w[i] -= velocity[i];
    }
}

void KERNEL(adam)(const cpu_update *u, int64_t begin, int64_t end)
{
    float *restrict w = u->w, *restrict m = u->slot[0], *restrict v = u->slot[1], *restrict largest = u->slot[2];
    const float *restrict gradient = u->g;
    const float keep1 = u->keep1, keep2 = u->keep2, scale = u->scale, rate = u->adam_rate;
    const float epsilon = u->epsilon, decay = u->decay * u->rate;
    if (u->amsgrad)
        for (int64_t i = begin; i < end; ++i) {
            const float g = gradient[i] * scale;
            m[i] += (g - m[i]) * keep1;
            v[i] += (g * g - v[i]) * keep2;
            largest[i] = largest[i] > v[i] ? largest[i] : v[i];
            w[i] = w[i] - decay * w[i] - rate * m[i] / (sqrtf(largest[i]) + epsilon);
        }
    else
        for (int64_t i = begin; i < end; ++i) {
            const float g = gradient[i] * scale;
            m[i] += (g - m[i]) * keep1;
            v[i] += (g * g - v[i]) * keep2;
            w[i] = w[i] - decay * w[i] - rate * m[i] / (sqrtf(v[i]) + epsilon);
        }
}
