/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_VEC_H
#define DEEP_BACKEND_CPU_VEC_H

/* One vector register of floats, as wide as this compilation's instruction set has. */
#include <stdint.h>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

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

/* The same, or zeros without looking. */
VEC_INLINE vec vec_load_if(const float *from, bool live)
{
#if defined(__AVX512F__)
    return (vec)_mm512_maskz_loadu_ps(live ? 0xffff : 0, from);
#else
    return live ? vec_load(from) : (vec){0};
#endif
}

VEC_INLINE void vec_store(float *to, vec value)
{
    *(vec_memory *)to = value;
}

/*
 * a b + c, rounded once where the processor can. Left to itself a compiler rounds one product of a b + c d or the other,
 * differently in each place that the same line is inlined into.
 */
VEC_INLINE vec vec_multiply_add(vec a, vec b, vec c)
{
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* value where it is above 0, else 0 (also for not-a-number); compilers make two instructions of the comparison. */
VEC_INLINE vec vec_relu(vec value)
{
    const vec zero = {0};
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)value, (__m512)zero);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)value, (__m256)zero);
#elif defined(__SSE2__)
    return (vec)_mm_max_ps((__m128)value, (__m128)zero);
#else
    return (vec)((vec_mask)value & (value > zero));
#endif
}

/* Of best and value, best also when one of them is not a number. */
VEC_INLINE vec vec_larger(vec best, vec value)
{
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)value, (__m512)best);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)value, (__m256)best);
#elif defined(__SSE2__)
    return (vec)_mm_max_ps((__m128)value, (__m128)best);
#else
    const vec_mask larger = value > best;
    return (vec)((larger & (vec_mask)value) | (~larger & (vec_mask)best));
#endif
}

/* In a register: compilers like to load a value anew for each multiplication that it is used in. */
VEC_INLINE vec vec_keep(vec value)
{
#if defined(__AVX512F__)
    __asm__("" : "+v"(value));
#elif defined(__SSE2__)
    __asm__("" : "+x"(value));
#endif
    return value;
}

/* value where gate is above 0, else 0 */
VEC_INLINE vec vec_gate(vec value, vec gate)
{
    const vec zero = {0};
    return (vec)((vec_mask)value & (gate > zero));
}

typedef uint8_t vec_bytes __attribute__((vector_size(VEC_FLOATS)));
typedef uint8_t vec_bytes_memory __attribute__((vector_size(VEC_FLOATS), aligned(1), may_alias));

/* The whole number nearest to value, clamped to 0 .. 255. */
static inline uint8_t quantum(float value)
{
    const float low = value > 0 ? value : 0;
    return (uint8_t)(int32_t)((low < 255 ? low : 255) + .5f);
}

/* The whole number nearest to value - 1/2, clamped to 0 .. 255: whoever makes the value adds the half. */
VEC_INLINE void vec_store_quantized(uint8_t *to, vec value)
{
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtusepi32_epi8(_mm512_cvttps_epi32((__m512)vec_relu(value))));
#else
    const vec low = vec_relu(value), most = (vec){0} + 255;
    const vec_mask above = low > most;
    const vec clamped = (vec)((above & (vec_mask)most) | (~above & (vec_mask)low));
    *(vec_bytes_memory *)to = __builtin_convertvector(__builtin_convertvector(clamped, vec_mask), vec_bytes);
#endif
}

#endif
