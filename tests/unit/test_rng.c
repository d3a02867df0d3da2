/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "test.h"

START_TEST(philox_matches_the_published_vectors) /* Random123's kat_vectors: philox4x32 10 */
{
    const deep_rng_block zeros = deep__rng(0, (enum deep_rng_purpose)0, 0, 0);
    ck_assert_uint_eq(zeros.word[0], 0x6627e8d5);
    ck_assert_uint_eq(zeros.word[1], 0xe169c58d);
    ck_assert_uint_eq(zeros.word[2], 0xbc57ac4c);
    ck_assert_uint_eq(zeros.word[3], 0x9b00dbd8);
    const deep_rng_block pi = deep__rng(UINT64_C(0x299f31d0a4093822), (enum deep_rng_purpose)0x13198a2e,
                                        UINT64_C(0x0370734485a308d3), 0x243f6a88);
    ck_assert_uint_eq(pi.word[0], 0xd16cfe09);
    ck_assert_uint_eq(pi.word[1], 0x94fdcceb);
    ck_assert_uint_eq(pi.word[2], 0x5001e420);
    ck_assert_uint_eq(pi.word[3], 0x24126ea1);
}
END_TEST

START_TEST(uniform_stays_below_one)
{
    ck_assert_float_eq(deep__rng_uniform(0), 0.0f);
    ck_assert_float_lt(deep__rng_uniform(0xffffffffu), 1.0f);
    ck_assert_uint_eq(deep__rng_below(0xffffffffu, 7), 6);
}
END_TEST

TEST_SUITE("rng", philox_matches_the_published_vectors, uniform_stays_below_one)
