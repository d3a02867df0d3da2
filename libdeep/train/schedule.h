/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TRAIN_SCHEDULE_H
#define DEEP_TRAIN_SCHEDULE_H

#include <deep/trainer.h>

/*
 * Learning rate of a step. `epoch` counts from 0, `step` of `steps` in the epoch from 0; `drops` is how often the plateau schedule has
 * lowered the rate. `options` are complete.
 */
double deep__schedule_rate(const deep_fit_options *options, int32_t epoch, int64_t step, int64_t steps, int32_t drops);

#endif
