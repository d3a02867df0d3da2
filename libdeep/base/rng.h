/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_RNG_H
#define DEEP_BASE_RNG_H

/*
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * A number depends on (seed, purpose, a, b) alone, never on what was drawn before or by which thread.
 */
#include <stdint.h>

/* What a number is for; part of the file formats' reproducibility, never renumbered. */
enum deep_rng_purpose {
    DEEP_RNG_SPLIT = 1,      /* a = group */
    DEEP_RNG_SHUFFLE = 2,    /* a = sample, b = epoch */
    DEEP_RNG_AUGMENT = 3,    /* a = sample, b = epoch */
    DEEP_RNG_DROPOUT = 4,    /* a = element / 4, b = step */
    DEEP_RNG_WEIGHTS = 5,    /* a = element / 4, b = parameter */
    DEEP_RNG_STATISTICS = 6, /* a = sample: images that batch norm is recomputed from */
    DEEP_RNG_SYNTH = 7       /* a = image, b = draw */
};

typedef struct deep_rng_block {
    uint32_t word[4];
} deep_rng_block;

/* Counter words: (b, a low, purpose, a high); key: seed. */
deep_rng_block deep__rng(uint64_t seed, enum deep_rng_purpose purpose, uint64_t a, uint32_t b);

/* Uniform in [0, 1) with 24 bits, exact in float. */
static inline float deep__rng_uniform(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
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
