/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_BF16_H
#define DEEP_BASE_BF16_H

/* bfloat16: the upper half of a float. */
#include <stdint.h>
#include <string.h>

static inline float deep__bf16_widen(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To the nearest, ties to even; not-a-number stays one. */
static inline uint16_t deep__bf16_round(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
