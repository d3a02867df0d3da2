/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizer steps. Operands: w, dw, hyper, norm, slots. */
#include "backend_cpu/cpu.h"

enum { GRAIN = 1 << 14 };

typedef void (*update_kernel)(const cpu_update *u, int64_t begin, int64_t end);

typedef struct update_call {
    cpu_update update;
    update_kernel kernel;
    int64_t count;
} update_call;

static void update_part(const void *context, int64_t part)
{
    const update_call *c = context;
    c->kernel(&c->update, part * GRAIN, cpu_part_end(part, GRAIN, c->count));
}

static deep_status run_update(const cpu_run *run, update_kernel kernel)
{
    const deep_call *call = run->call;
    const float *hyper = call->src[2], *norm = call->src[3];
    const float multiplier = (float)call->attr->update.rate, clip = (float)call->attr->update.clip;
    update_call c = {.kernel = kernel, .count = deep__value_elements(call->in[0])};
    c.update = (cpu_update){
        .w = call->src[0],
        .g = call->src[1],
        .rate = hyper[DEEP_HYPER_RATE] * multiplier,
        .adam_rate = hyper[DEEP_HYPER_ADAM_RATE] * multiplier,
        .scale = clip > 0 && norm[0] > clip ? clip / norm[0] : 1,
        .beta1 = (float)call->attr->update.beta1,
        .beta2 = (float)call->attr->update.beta2,
        .keep1 = (float)(1 - call->attr->update.beta1),
        .keep2 = (float)(1 - call->attr->update.beta2),
        .epsilon = (float)call->attr->update.epsilon,
        .decay = (float)call->attr->update.decay,
        .nesterov = call->attr->update.nesterov,
        .amsgrad = call->attr->update.amsgrad,
    };
    for (int32_t i = 4; i < call->node->input_count; ++i)
        c.update.slot[i - 4] = call->src[i];
    deep__cpu_parallel(run->threads, cpu_parts(c.count, GRAIN), update_part, &c);
    return DEEP_OK;
}

deep_status deep__cpu_update_sgd(const cpu_run *run)
{
    return run_update(run, run->kernels->sgd);
}

deep_status deep__cpu_update_rmsprop(const cpu_run *run)
{
    return run_update(run, run->kernels->rmsprop);
}

deep_status deep__cpu_update_adam(const cpu_run *run)
{
    return run_update(run, run->kernels->adam);
}
