/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_PHILOX_H
#define DEEP_BASE_PHILOX_H

/*
 * The generator behind rng.h: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), for
 * the library and for kernels on a GPU alike. In what C11 and CUDA C++ have in common.
 */
#include <stdint.h>

#ifdef __CUDACC__
#define PHILOX_FUNCTION static __host__ __device__ __forceinline__
#else
#define PHILOX_FUNCTION static inline
#endif

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
PHILOX_FUNCTION deep_rng_block deep__philox(uint64_t seed, enum deep_rng_purpose purpose, uint64_t a, uint32_t b)
{
    enum { ROUNDS = 10 };
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = b, c1 = (uint32_t)a, c2 = (uint32_t)purpose, c3 = (uint32_t)(a >> 32);
    for (int round = 0; round < ROUNDS; ++round) { /* multipliers and Weyl constants: the paper's table 2 */
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
        c3 = (uint32_t)p0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    const deep_rng_block block = {{c0, c1, c2, c3}};
    return block;
}

/* Uniform in [0, 1) with 24 bits, exact in float. */
PHILOX_FUNCTION float deep__philox_uniform(uint32_t word)
{
    return (float)(word >> 8) * (1.0f / 16777216);
}

#endif
