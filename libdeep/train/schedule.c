/* SPDX-License-Identifier: Apache-2.0 */
#include "train/schedule.h"

#include <math.h>

/* The milestones are whole epochs, rounded down as the reference service does: 15 epochs drop at 10 and 13. */
static double step_rate(const deep_fit_options *o, int32_t epoch)
{
    double rate = o->learning_rate;
    for (int i = 0; i < 2; ++i)
        if (epoch >= (int32_t)(o->step_milestones[i] * o->epochs)) rate *= o->step_decay;
    return rate;
}

static double cosine_rate(const deep_fit_options *o, double epochs_done)
{
    const double pi = 3.14159265358979323846;
    const double rest = o->epochs - o->warmup_epochs;
    if (rest <= 0 || epochs_done >= o->epochs) return o->learning_rate;
    return o->learning_rate * 0.5 * (1 + cos(pi * (epochs_done - o->warmup_epochs) / rest));
}

double deep__schedule_rate(const deep_fit_options *o, int32_t epoch, int64_t step, int64_t steps, int32_t drops)
{
    const double done = epoch + (steps > 0 ? (double)step / (double)steps : 0);
    if (done < o->warmup_epochs) /* the first update is not of rate 0 */
        return o->learning_rate * (done + 1.0 / (double)(steps > 0 ? steps : 1)) /
               (o->warmup_epochs + 1.0 / (double)(steps > 0 ? steps : 1));
    switch (o->schedule) {
    case DEEP_SCHEDULE_STEP:
        return step_rate(o, epoch);
    case DEEP_SCHEDULE_EXPONENTIAL:
        return o->learning_rate * pow(o->decay_rate, floor(epoch / o->decay_epochs));
    case DEEP_SCHEDULE_COSINE:
        return cosine_rate(o, done);
    case DEEP_SCHEDULE_PLATEAU:
        return o->learning_rate * pow(o->plateau_factor, drops);
    default:
        return o->learning_rate;
    }
}
