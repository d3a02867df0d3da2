/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "train/options.h"
#include "train/schedule.h"

static deep_fit_options with(int32_t schedule)
{
    const deep_fit_options given = {DEEP_FIT_OPTIONS_INIT, .schedule = schedule, .learning_rate = 1};
    deep_fit_options options;
    assert_ok(deep__fit_options_read(&options, &given));
    return options;
}

START_TEST(
    step_drops_at_whole_epochs) /* 15 epochs, .7 and .9: epochs 10 and 13, counted from 0, as the reference service */
{
    const deep_fit_options o = with(DEEP_SCHEDULE_STEP);
    ck_assert_double_eq(deep__schedule_rate(&o, 9, 99, 100, 0), 1);
    ck_assert_double_eq_tol(deep__schedule_rate(&o, 10, 0, 100, 0), 0.1, 1e-15);
    ck_assert_double_eq_tol(deep__schedule_rate(&o, 12, 0, 100, 0), 0.1, 1e-15);
    ck_assert_double_eq_tol(deep__schedule_rate(&o, 13, 0, 100, 0), 0.01, 1e-15);
}
END_TEST

START_TEST(exponential_is_the_papers)
{
    const deep_fit_options o = with(DEEP_SCHEDULE_EXPONENTIAL);
    ck_assert_double_eq(deep__schedule_rate(&o, 1, 50, 100, 0), 1);
    ck_assert_double_eq_tol(deep__schedule_rate(&o, 2, 0, 100, 0), 0.94, 1e-15);
    ck_assert_double_eq_tol(deep__schedule_rate(&o, 14, 0, 100, 0), 0.94 * 0.94 * 0.94 * 0.94 * 0.94 * 0.94 * 0.94,
                            1e-12);
}
END_TEST

START_TEST(cosine_warms_up_and_ends_near_zero)
{
    deep_fit_options o = with(DEEP_SCHEDULE_COSINE);
    o.warmup_epochs = 2;
    double before = 0;
    for (int32_t step = 0; step < 200; ++step) {
        const double rate = deep__schedule_rate(&o, step / 100, step % 100, 100, 0);
        ck_assert_double_gt(rate, before);
        before = rate;
    }
    ck_assert_double_le(before, 1);
    ck_assert_double_eq_tol(deep__schedule_rate(&o, 2, 0, 100, 0), 1, 1e-12);
    ck_assert_double_eq_tol(deep__schedule_rate(&o, 8, 50, 100, 0), 0.5, 1e-12);
    ck_assert_double_lt(deep__schedule_rate(&o, 14, 99, 100, 0), 1e-4);
}
END_TEST

START_TEST(constant_and_plateau)
{
    const deep_fit_options constant = with(DEEP_SCHEDULE_CONSTANT), plateau = with(DEEP_SCHEDULE_PLATEAU);
    ck_assert_double_eq(deep__schedule_rate(&constant, 14, 0, 100, 3), 1);
    ck_assert_double_eq(deep__schedule_rate(&plateau, 14, 0, 100, 0), 1);
    ck_assert_double_eq_tol(deep__schedule_rate(&plateau, 14, 0, 100, 2), 0.01, 1e-15);
}
END_TEST

TEST_SUITE("schedule", step_drops_at_whole_epochs, exponential_is_the_papers, cosine_warms_up_and_ends_near_zero,
           constant_and_plateau)
