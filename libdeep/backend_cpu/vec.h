/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_VEC_H
#define DEEP_BACKEND_CPU_VEC_H

/* One vector register of floats, as wide as this compilation's instruction set has. */
#include <stdint.h>

#if defined(__AVX512F__)
#define VEC_FLOATS 16
#elif defined(__AVX2__)
#define VEC_FLOATS 8
#else
#define VEC_FLOATS 4
#endif

typedef float vec __attribute__((vector_size(VEC_FLOATS * 4)));
typedef int32_t vec_mask __attribute__((vector_size(VEC_FLOATS * 4)));
typedef float vec_memory __attribute__((vector_size(VEC_FLOATS * 4), aligned(4), may_alias)); /* unaligned in memory */

#define VEC_INLINE static inline __attribute__((always_inline))

VEC_INLINE vec vec_load(const float *from)
{
    return *(const vec_memory *)from;
}

VEC_INLINE void vec_store(float *to, vec value)
{
    *(vec_memory *)to = value;
}

/* value where it is above 0, else 0 */
VEC_INLINE vec vec_relu(vec value)
{
    const vec zero = {0};
    return (vec)((vec_mask)value & (value > zero));
}

/* value where gate is above 0, else 0 */
VEC_INLINE vec vec_gate(vec value, vec gate)
{
    const vec zero = {0};
    return (vec)((vec_mask)value & (gate > zero));
}

typedef uint8_t vec_bytes __attribute__((vector_size(VEC_FLOATS)));
typedef uint8_t vec_bytes_memory __attribute__((vector_size(VEC_FLOATS), aligned(1), may_alias));

/* Clamped to 0 .. 255 and plus a half: what is left is to drop the fraction. */
VEC_INLINE vec vec_quantum(vec value)
{
    const vec low = vec_relu(value), most = (vec){0} + 255;
    const vec_mask above = low > most;
    return (vec)((above & (vec_mask)most) | (~above & (vec_mask)low)) + .5f;
}

VEC_INLINE void vec_store_quantized(uint8_t *to, vec value)
{
    *(vec_bytes_memory *)to = __builtin_convertvector(__builtin_convertvector(vec_quantum(value), vec_mask), vec_bytes);
}

#endif
