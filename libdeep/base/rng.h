/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_RNG_H
#define DEEP_BASE_RNG_H

/*
 * Counter-based random numbers. A number depends on (seed, purpose, a, b) alone, never on what was drawn before or by
 * which thread.
 */
#include "base/philox.h"

deep_rng_block deep__rng(uint64_t seed, enum deep_rng_purpose purpose, uint64_t a, uint32_t b);

/* Uniform in [0, 1) with 24 bits, exact in float. */
static inline float deep__rng_uniform(uint32_t word)
{
    return deep__philox_uniform(word);
}

/* Uniform in 0 .. n-1 for n up to 2^32; the bias is below n / 2^32. */
static inline uint32_t deep__rng_below(uint32_t word, uint32_t n)
{
    return (uint32_t)(((uint64_t)word * n) >> 32);
}

/* Words 0 and 1 as one sort key. */
static inline uint64_t deep__rng_key(deep_rng_block block)
{
    return (uint64_t)block.word[0] << 32 | block.word[1];
}

#endif
