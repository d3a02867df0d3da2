/* SPDX-License-Identifier: Apache-2.0 */
#include "rng.h"

deep_rng_block deep__rng(uint64_t seed, enum deep_rng_purpose purpose, uint64_t a, uint32_t b)
{
    return deep__philox(seed, purpose, a, b);
}
