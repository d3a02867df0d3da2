/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/ranges.h"
#include "test.h"

#include <deep/model.h>
#include <math.h>
#include <stdlib.h>

enum { ROWS = 20000, CHANNELS = 3 };

static deep_allocator allocator;
static deep_ranges ranges;
static float values[ROWS * CHANNELS];

/* -1 to 1, the middle more often. */
static float triangular(int row)
{
    const uint32_t a = (uint32_t)row * 2654435761u, b = (uint32_t)row * 2246822519u + 374761393u;
    return (float)(a >> 8) / (float)(1 << 24) - (float)(b >> 8) / (float)(1 << 24);
}

/* Channel 0: -1 to 1 with one outlier; channel 1: 0 to 10; channel 2: always 0. */
static void setup(void)
{
    allocator = deep__allocator_default();
    for (int row = 0; row < ROWS; ++row) {
        values[row * CHANNELS] = triangular(row);
        values[row * CHANNELS + 1] = (float)(row % 101) / 10;
        values[row * CHANNELS + 2] = 0;
    }
    values[7 * CHANNELS] = 1.8f;
    assert_ok(deep__ranges_create(&ranges, &allocator, CHANNELS));
    deep__ranges_widen(&ranges, values, ROWS / 2);
    deep__ranges_widen(&ranges, values + ROWS / 2 * CHANNELS, ROWS / 2);
}

static void teardown(void)
{
    deep__ranges_free(&ranges, &allocator);
}

static void count(void)
{
    assert_ok(deep__ranges_add_bins(&ranges, &allocator));
    deep__ranges_count(&ranges, values, ROWS);
}

START_TEST(a_range_has_every_value_and_zero)
{
    ck_assert_float_eq_tol(ranges.low[0], -1, 0.05f);
    ck_assert_float_eq(ranges.high[0], 1.8f);
    ck_assert_float_eq(ranges.low[1], 0);
    ck_assert_float_eq(ranges.high[1], 10);
    ck_assert_float_eq(ranges.low[2], 0);
    ck_assert_float_eq(ranges.high[2], 0);
}
END_TEST

START_TEST(a_percentile_leaves_an_outlier_out)
{
    count();
    deep__ranges_cut_percentile(&ranges, 0.9998); /* two values at each end */
    ck_assert_float_lt(ranges.high[0], 1);
    ck_assert_float_gt(ranges.high[0], 0.95f);
    ck_assert_float_lt(ranges.low[0], -0.95f);
    ck_assert_float_eq(ranges.low[1], 0); /* stays inside, whatever is cut */
}
END_TEST

START_TEST(the_whole_of_the_values_is_the_whole_range)
{
    const float low = ranges.low[0];
    count();
    deep__ranges_cut_percentile(&ranges, 1);
    ck_assert_float_eq(ranges.low[0], low);
    ck_assert_float_eq_tol(ranges.high[0], 1.8f, 1e-6f);
}
END_TEST

START_TEST(entropy_cuts_an_outlier_and_keeps_half)
{
    count();
    deep__ranges_cut_entropy(&ranges);
    ck_assert_float_lt(ranges.high[0], 1.75f);
    ck_assert_float_gt(ranges.high[0], 0.5f);
    ck_assert_float_ge(ranges.high[0] - ranges.low[0], 1.4f - 1e-5f);
    ck_assert_float_ge(ranges.high[1] - ranges.low[1], 5 - 1e-5f);
    ck_assert_float_eq(ranges.high[2], 0);
}
END_TEST

START_TEST(levels_show_zero_exactly_and_the_range_to_half_a_step)
{
    const deep_kernel_shape shape = {1, CHANNELS, 1};
    float vector[2 * CHANNELS + 1];
    const deep_quantization q = deep__quantization_of(vector, shape);
    deep__ranges_to_levels(&ranges, &q);
    q.scale[0] = 1;
    ck_assert_int_eq(deep__quantization_bad_element(vector, shape), -1);
    float samples[2 * CHANNELS] = {1.8f, 10, 3, 0, 0, 0}, exact[2 * CHANNELS] = {1.8f, 10, 3, 0, 0, 0};
    deep__activation_round(samples, 2, &q, CHANNELS);
    for (int i = 0; i < 2; ++i)
        ck_assert_float_eq_tol(samples[i], exact[i], 0.501f / q.inverse[i]);
    for (int i = 0; i < CHANNELS; ++i)
        ck_assert_float_eq(samples[CHANNELS + i], 0);
    /* the channel that was always 0 has the mean width of the others, 6.4 */
    ck_assert_float_eq_tol(q.inverse[2], 255 / 6.4f, 0.1f);
}
END_TEST

START_TEST(a_kernel_is_rounded_to_half_a_step_of_its_output)
{
    enum { TAPS = 2, INPUTS = 3, OUTPUTS = 4 };
    const deep_kernel_shape shape = {TAPS, INPUTS, OUTPUTS};
    float vector[2 * INPUTS + OUTPUTS] = {10, 100, 1, 0, 128, 255}, kernel[TAPS * INPUTS * OUTPUTS],
                              back[TAPS * INPUTS * OUTPUTS];
    int8_t stored[TAPS * INPUTS * OUTPUTS];
    const deep_quantization q = deep__quantization_of(vector, shape);
    for (int i = 0; i < TAPS * INPUTS * OUTPUTS; ++i)
        kernel[i] = i % OUTPUTS == 3 ? 0 : sinf((float)i) * q.inverse[i / OUTPUTS % INPUTS];
    deep__kernel_to_i8(stored, &q, kernel, shape);
    deep__kernel_from_i8(back, stored, &q, shape);
    ck_assert_int_eq(deep__quantization_bad_element(vector, shape), -1);
    for (int n = 0; n < OUTPUTS; ++n) {
        int largest = 0;
        for (int row = 0; row < TAPS * INPUTS; ++row) {
            const int i = row * OUTPUTS + n;
            const float step = q.scale[n] * q.inverse[row % INPUTS];
            ck_assert_float_eq_tol(back[i], kernel[i], 0.501f * step);
            if (abs(stored[i]) > largest) largest = abs(stored[i]);
        }
        ck_assert_int_eq(largest, n == 3 ? 0 : 127);
    }
    ck_assert_float_eq(q.scale[3], 1); /* of a column of zeros */
}
END_TEST

START_TEST(bf16_is_the_nearest_with_ties_to_even)
{
    static const float exact[] = {1, -2.5f, 1.00390625f, 1.01171875f, 3.4e38f, 1e-40f};
    static const float rounded[] = {1, -2.5f, 1, 1.015625f, INFINITY, 9.18355e-41f};
    uint16_t stored[6];
    float back[6];
    deep__kernel_to_halves(stored, exact, 6, DEEP_DTYPE_BF16);
    deep__kernel_from_halves(back, stored, 6, DEEP_DTYPE_BF16);
    for (int i = 0; i < 5; ++i)
        ck_assert_float_eq(back[i], rounded[i]);
    ck_assert_float_eq_tol(back[5], rounded[5], 1e-44f);
}
END_TEST

static const struct {
    int index;
    float value;
} bad_vectors[] = {{0, 0}, {0, -1}, {1, INFINITY}, {2, 0.5f}, {2, -1}, {3, 256}, {3, NAN}, {4, 0}, {4, NAN}};

START_TEST(a_vector_that_none_can_have_is_noticed)
{
    const deep_kernel_shape shape = {1, 2, 1};
    float vector[5] = {1, 2, 0, 255, 0.1f};
    ck_assert_int_eq(deep__quantization_bad_element(vector, shape), -1);
    vector[bad_vectors[_i].index] = bad_vectors[_i].value;
    ck_assert_int_eq(deep__quantization_bad_element(vector, shape), bad_vectors[_i].index);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("ranges");
    TCase *tests = tcase_create("ranges");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_range_has_every_value_and_zero);
    tcase_add_test(tests, a_percentile_leaves_an_outlier_out);
    tcase_add_test(tests, the_whole_of_the_values_is_the_whole_range);
    tcase_add_test(tests, entropy_cuts_an_outlier_and_keeps_half);
    tcase_add_test(tests, levels_show_zero_exactly_and_the_range_to_half_a_step);
    tcase_add_test(tests, a_kernel_is_rounded_to_half_a_step_of_its_output);
    tcase_add_test(tests, bf16_is_the_nearest_with_ties_to_even);
    tcase_add_loop_test(tests, a_vector_that_none_can_have_is_noticed, 0,
                        (int)(sizeof bad_vectors / sizeof bad_vectors[0]));
    suite_add_tcase(suite, tests);
    return suite;
}
