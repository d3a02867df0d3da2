/* SPDX-License-Identifier: Apache-2.0 */
/* The factor of the loss in fp16: when it halves and doubles, and what a checkpoint may say of it. */
#include "base/f16.h"
#include "core/tensor.h"
#include "test.h"
#include "train/loss_scale.h"

#include <math.h>

START_TEST(other_types_have_no_factor)
{
    deep_loss_scale scale = deep__loss_scale(DEEP_DTYPE_BF16);
    ck_assert_double_eq(scale.factor, 1);
    ck_assert(!deep__loss_scale_lower(&scale));
    ck_assert_double_eq(deep__loss_scale(DEEP_DTYPE_F32).factor, 1);
}
END_TEST

START_TEST(it_halves_down_to_1)
{
    deep_loss_scale scale = deep__loss_scale(DEEP_DTYPE_F16);
    deep__loss_scale_keep(&scale);
    for (double factor = 65536; factor > 1; factor /= 2) {
        ck_assert_double_eq(scale.factor, factor);
        ck_assert(deep__loss_scale_lower(&scale));
        ck_assert_int_eq(scale.good_steps, 0);
    }
    ck_assert_double_eq(scale.factor, 1);
    ck_assert(!deep__loss_scale_lower(&scale));
}
END_TEST

START_TEST(it_doubles_after_2000_good_steps)
{
    deep_loss_scale scale = deep__loss_scale(DEEP_DTYPE_F16);
    for (int i = 0; i < 1999; ++i)
        deep__loss_scale_keep(&scale);
    ck_assert_double_eq(scale.factor, 65536);
    deep__loss_scale_keep(&scale);
    ck_assert_double_eq(scale.factor, 131072);
    for (int i = 0; i < 100 * 2000; ++i)
        deep__loss_scale_keep(&scale);
    ck_assert_double_eq(scale.factor, 1 << 24);
}
END_TEST

START_TEST(a_checkpoint_may_have_what_a_training_can)
{
    deep_loss_scale scale = deep__loss_scale(DEEP_DTYPE_F16);
    static const struct {
        double factor;
        int64_t steps;
    } wrong[] = {{0, 0}, {0.5, 0}, {3, 0}, {1 << 25, 0}, {INFINITY, 0}, {NAN, 0}, {-2, 0}, {2, -1}, {2, 2000}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i)
        assert_status(deep__loss_scale_restore(&scale, wrong[i].factor, wrong[i].steps), DEEP_ERROR_FORMAT);
    ck_assert_double_eq(scale.factor, 65536);
    assert_ok(deep__loss_scale_restore(&scale, 1024, 1999));
    deep__loss_scale_keep(&scale);
    ck_assert_double_eq(scale.factor, 2048);
}
END_TEST

/* ---- half precision itself ---- */

START_TEST(every_half_survives_being_widened)
{
    for (uint32_t half = 0; half <= UINT16_MAX; ++half) {
        const float value = deep__f16_widen((uint16_t)half);
        const uint16_t back = deep__f16_round(value);
        if (isnan(value))
            ck_assert(isnan(deep__f16_widen(back)));
        else
            ck_assert_uint_eq(back, half);
    }
    ck_assert_float_eq(deep__f16_widen(0x3c00), 1);
    ck_assert_float_eq(deep__f16_widen(0x7bff), 65504);
    ck_assert_float_eq(deep__f16_widen(0x8001), -0x1p-24F);
}
END_TEST

/* Between neighbours: to the nearer one, from the middle to the even one; behind the last, from 65520 on, to infinity. */
START_TEST(a_half_is_the_nearest_with_ties_to_even)
{
    for (uint16_t half = 0; half < 0x7c00; ++half) {
        const double low = (double)deep__f16_widen(half),
                     high = half == 0x7bff ? 65536 : (double)deep__f16_widen((uint16_t)(half + 1));
        const float middle = (float)((low + high) / 2);
        const uint16_t even = half % 2 == 0 ? half : (uint16_t)(half + 1), above = (uint16_t)(half + 1);
        ck_assert_uint_eq(deep__f16_round(middle), even);
        ck_assert_uint_eq(deep__f16_round(nextafterf(middle, 0)), half);
        ck_assert_uint_eq(deep__f16_round(nextafterf(middle, INFINITY)), above);
        ck_assert_uint_eq(deep__f16_round(-middle), even | 0x8000);
    }
}
END_TEST

TEST_SUITE("loss_scale", other_types_have_no_factor, it_halves_down_to_1, it_doubles_after_2000_good_steps,
           a_checkpoint_may_have_what_a_training_can, every_half_survives_being_widened,
           a_half_is_the_nearest_with_ties_to_even)
