/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TRAIN_LOSS_SCALE_H
#define DEEP_TRAIN_LOSS_SCALE_H

/*
 * In fp16 slopes below 2^-25 are lost and those from 65520 on are infinite. So the loss's slope is multiplied by a power of
 * two, which the gradients of the parameters, in float32, are divided by again: exactly. The factor adapts itself: what
 * overflows is computed again with half of it, and after many steps without that the double is tried.
 */
#include "base/error.h"

#include <stdbool.h>

typedef struct deep_loss_scale {
    double factor;
    int32_t good_steps; /* since it last changed */
} deep_loss_scale;

/* Where a training begins; 1, which never changes, for all types but F16. */
deep_loss_scale deep__loss_scale(int32_t dtype);

/* After a gradient that is not finite: false when there is nothing left to halve. */
bool deep__loss_scale_lower(deep_loss_scale *scale);

/* After an update. */
void deep__loss_scale_keep(deep_loss_scale *scale);

/* DEEP_ERROR_FORMAT when a checkpoint's are none that a training can have. */
deep_status deep__loss_scale_restore(deep_loss_scale *scale, double factor, int64_t good_steps);

#endif
