/* SPDX-License-Identifier: Apache-2.0 */
#include "train/loss_scale.h"

#include "core/tensor.h"

#include <math.h>

enum { STEPS_TO_DOUBLE = 2000 }; /* as in other libraries */

static const double FIRST = 65536, LARGEST = 16777216; /* 2^16, 2^24 */

deep_loss_scale deep__loss_scale(int32_t dtype)
{
    return (deep_loss_scale){.factor = dtype == DEEP_DTYPE_F16 ? FIRST : 1};
}

bool deep__loss_scale_lower(deep_loss_scale *scale)
{
    if (scale->factor <= 1) return false;
    *scale = (deep_loss_scale){.factor = scale->factor / 2};
    return true;
}

void deep__loss_scale_keep(deep_loss_scale *scale)
{
    if (++scale->good_steps < STEPS_TO_DOUBLE) return;
    *scale = (deep_loss_scale){.factor = scale->factor < LARGEST ? 2 * scale->factor : LARGEST};
}

deep_status deep__loss_scale_restore(deep_loss_scale *scale, double factor, int64_t good_steps)
{
    int exponent;
    const bool power = isfinite(factor) && factor >= 1 && factor <= LARGEST && frexp(factor, &exponent) == 0.5;
    if (!power || good_steps < 0 || good_steps >= STEPS_TO_DOUBLE)
        return deep__fail(DEEP_ERROR_FORMAT, "loss_scale %g after %" PRId64 " steps is none", factor, good_steps);
    *scale = (deep_loss_scale){factor, (int32_t)good_steps};
    return DEEP_OK;
}
