/* SPDX-License-Identifier: Apache-2.0 */
#include "rng.h"

deep_rng_block deep__rng(uint64_t seed, enum deep_rng_purpose purpose, uint64_t a, uint32_t b)
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
    return (deep_rng_block){{c0, c1, c2, c3}};
}
