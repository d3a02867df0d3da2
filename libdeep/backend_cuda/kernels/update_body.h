/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/update.h"

#include <math.h>

enum { HYPER_RATE, HYPER_ADAM_RATE }; /* as in graph.h, which CUDA C++ does not read */

/* What is the same for all values of a tensor. */
typedef struct update_step {
    const update_tensor *t;
    float rate, adam_rate;
    float scale; /* of the gradient, from clipping */
    int64_t first, end;
} update_step;

KERNEL_FUNCTION update_step step_find(const update_arguments *a, kernel_position at)
{
    update_step s;
    int32_t low = 0, high = a->tensors;
    while (high - low > 1) {
        const int32_t middle = (low + high) / 2;
        if (a->first_block[middle] <= at.block)
            low = middle;
        else
            high = middle;
    }
    s.t = &a->tensor[low];
    s.first = (int64_t)(at.block - a->first_block[low]) * UPDATE_SPAN;
    s.end = s.first + UPDATE_SPAN < s.t->count ? s.first + UPDATE_SPAN : s.t->count;
    s.rate = a->hyper[HYPER_RATE] * s.t->rate;
    s.adam_rate = a->hyper[HYPER_ADAM_RATE] * s.t->rate;
    s.scale = a->clip > 0 && a->norm[0] > a->clip ? a->clip / a->norm[0] : 1;
    return s;
}

KERNEL_FUNCTION void sgd_value(const update_arguments *a, const update_step *s, float g, float *w, float *slot)
{
    const float step = g * s->scale * s->rate;
    const float velocity = a->momentum * slot[0] - step;
    slot[0] = velocity;
    *w += a->nesterov ? a->momentum * velocity - step : velocity;
}

KERNEL_FUNCTION void rmsprop_value(const update_arguments *a, const update_step *s, float g, float *w, float *slot)
{
    const float scaled = g * s->scale;
    const float square = a->rho * slot[0] + a->keep2 * scaled * scaled;
    slot[0] = square;
    slot[1] = a->momentum * slot[1] + s->rate * scaled / sqrtf(square + a->epsilon);
    *w -= slot[1];
}

KERNEL_FUNCTION void adam_value(const update_arguments *a, const update_step *s, float g, float *w, float *slot)
{
    const float scaled = g * s->scale, decayed = *w - s->t->decay * s->rate * *w;
    slot[0] += (scaled - slot[0]) * a->keep1;
    slot[1] += (scaled * scaled - slot[1]) * a->keep2;
    float v = slot[1];
    if (a->amsgrad) v = slot[2] = slot[2] > v ? slot[2] : v;
    *w = decayed - s->adam_rate * slot[0] / (sqrtf(v) + a->epsilon);
}

/* Four values to a thread, with `slots` slots each. */
#define UPDATE_KERNEL(name, slots)                                                                                     \
    KERNEL_FUNCTION void name##_block(const update_arguments *a, kernel_position at)                                   \
    {                                                                                                                  \
        const update_step s = step_find(a, at);                                                                        \
        const int64_t step = (int64_t)at.threads * FLOAT_LANES;                                                        \
        for (int64_t i = s.first + (int64_t)at.thread * FLOAT_LANES; i < s.end; i += step) {                           \
            float w[FLOAT_LANES] = {0}, g[FLOAT_LANES] = {0}, slot[3][FLOAT_LANES] = {{0}};                            \
            const int count = s.end - i < FLOAT_LANES ? (int)(s.end - i) : FLOAT_LANES;                                \
            lanes_load(w, s.t->w + i, count);                                                                          \
            lanes_load(g, s.t->g + i, count);                                                                          \
            for (int k = 0; k < (slots); ++k)                                                                          \
                if (s.t->slot[k] != NULL) lanes_load(slot[k], s.t->slot[k] + i, count);                                \
            KERNEL_UNROLL                                                                                              \
            for (int l = 0; l < FLOAT_LANES; ++l) {                                                                    \
                float of_one[3] = {slot[0][l], slot[1][l], slot[2][l]};                                                \
                name##_value(a, &s, g[l], &w[l], of_one);                                                              \
                slot[0][l] = of_one[0], slot[1][l] = of_one[1], slot[2][l] = of_one[2];                                \
            }                                                                                                          \
            lanes_store(s.t->w + i, w, count);                                                                         \
            for (int k = 0; k < (slots); ++k)                                                                          \
                if (s.t->slot[k] != NULL) lanes_store(s.t->slot[k] + i, slot[k], count);                               \
        }                                                                                                              \
    }                                                                                                                  \
    KERNEL(deep__kernel_update_##name, update_arguments, name##_block)

UPDATE_KERNEL(sgd, 1)
UPDATE_KERNEL(rmsprop, 2)
UPDATE_KERNEL(adam, 3)
