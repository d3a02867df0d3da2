/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_F16_H
#define DEEP_BASE_F16_H

/* IEEE 754's half precision: 5 bits of exponent, 10 of fraction; up to 65504, whole steps of 2^-24 next to 0. */
#include <stdint.h>
#include <string.h>

static inline float deep__f16_widen(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;
    uint32_t bits = sign;
    float value;
    if (rest >= 0x7c00) { /* infinite, or not a number */
        bits |= 0x7f800000 | (rest & 0x3ff) << 13;
    } else if (rest >= 0x400) {
        bits |= (rest << 13) + ((127 - 15) << 23);
    } else { /* steps of 2^-24, exact in float */
        value = (float)rest * (1.0F / (1 << 24));
        return sign != 0 ? -value : value;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To the nearest, ties to even; from 65520 on infinite; not-a-number stays one. */
static inline uint16_t deep__f16_round(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const uint32_t size = bits & 0x7fffffff;
    if (size > 0x7f800000) return sign | 0x7e00;
    if (size >= 0x47800000) return sign | 0x7c00; /* 65536 */
    if (size >= 0x38800000) {                     /* 2^-14: a carry may go on to the exponent, up to that of infinity */
        const uint32_t moved = size - ((127 - 15) << 23);
        return (uint16_t)(sign | (moved + 0xfff + (moved >> 13 & 1)) >> 13);
    }
    if (size < 0x33000000) return sign; /* below 2^-25 */
    /* The fraction with its leading 1, moved so that its last bit stands for 2^-24. */
    const uint32_t fraction = (size & 0x7fffff) | 0x800000, shift = 126 - (size >> 23);
    const uint32_t kept = fraction >> shift, lost = fraction & ((UINT32_C(1) << shift) - 1);
    const uint32_t half = UINT32_C(1) << (shift - 1);
    return (uint16_t)(sign | (kept + (lost > half || (lost == half && (kept & 1) != 0))));
}

#endif
