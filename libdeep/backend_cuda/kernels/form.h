/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_FORM_H
#define DEEP_BACKEND_CUDA_KERNELS_FORM_H

/*
 * The forms of a kernel: how activations are stored, and how many neighbouring channels a thread has. All compute in float:
 * what is read is widened, what is written is rounded once, to the nearest, ties to even.
 *
 * A thread function gets both as its last arguments, constants of each form; KERNEL_FORMS makes the kernels of it, and one
 * function that queues the wanted one.
 */
#include "backend_cuda/kernels/kernel.h"

enum storage { STORED_F32, STORED_BF16, STORED_F16 };

/* Channels of a thread where their number allows, so that an access has 16 bytes. */
enum { FLOAT_LANES = 4, HALF_LANES = 8, MAX_LANES = 8 };

typedef struct kernel_form {
    int32_t storage; /* enum storage */
    int32_t lanes;   /* 1, or what the kernel has for the storage */
} kernel_form;

/* ---- one value ---- */

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>

KERNEL_FUNCTION float half_widen(uint16_t half, int storage)
{
    return storage == STORED_BF16 ? __uint_as_float((uint32_t)half << 16) : __half2float(__ushort_as_half(half));
}

KERNEL_FUNCTION uint16_t half_round(float value, int storage)
{
    return storage == STORED_BF16 ? __bfloat16_as_ushort(__float2bfloat16_rn(value))
                                  : __half_as_ushort(__float2half_rn(value));
}
#else
#include "base/bf16.h"
#include "base/f16.h"

KERNEL_FUNCTION float half_widen(uint16_t half, int storage)
{
    return storage == STORED_BF16 ? deep__bf16_widen(half) : deep__f16_widen(half);
}

KERNEL_FUNCTION uint16_t half_round(float value, int storage)
{
    return storage == STORED_BF16 ? deep__bf16_round(value) : deep__f16_round(value);
}
#endif

KERNEL_FUNCTION float value_load(const void *from, size_t index, int storage)
{
    if (storage == STORED_F32) return ((const float *)from)[index];
    return half_widen(((const uint16_t *)from)[index], storage);
}

KERNEL_FUNCTION void value_store(void *to, size_t index, float value, int storage)
{
    if (storage == STORED_F32)
        ((float *)to)[index] = value;
    else
        ((uint16_t *)to)[index] = half_round(value, storage);
}

/* Two halves of a word, the first in its lower bits. */
KERNEL_FUNCTION void word_widen(float *v, uint32_t word, int storage)
{
    v[0] = half_widen((uint16_t)word, storage);
    v[1] = half_widen((uint16_t)(word >> 16), storage);
}

/* ---- a few neighbours at once: powers of two are few accesses, whose addresses are multiples of their size ---- */

#ifdef __CUDACC__
KERNEL_FUNCTION void lanes_load(float *v, const float *from, int count)
{
    if (count == 4 || count == 8) {
        KERNEL_UNROLL
        for (int i = 0; i < count; i += 4) {
            const float4 q = *reinterpret_cast<const float4 *>(from + i);
            v[i] = q.x, v[i + 1] = q.y, v[i + 2] = q.z, v[i + 3] = q.w;
        }
    } else if (count == 2) {
        const float2 q = *reinterpret_cast<const float2 *>(from);
        v[0] = q.x, v[1] = q.y;
    } else {
        for (int i = 0; i < count; ++i)
            v[i] = from[i];
    }
}

KERNEL_FUNCTION void lanes_store(float *to, const float *v, int count)
{
    if (count == 4 || count == 8) {
        KERNEL_UNROLL
        for (int i = 0; i < count; i += 4)
            *reinterpret_cast<float4 *>(to + i) = make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]);
    } else if (count == 2) {
        *reinterpret_cast<float2 *>(to) = make_float2(v[0], v[1]);
    } else {
        for (int i = 0; i < count; ++i)
            to[i] = v[i];
    }
}

KERNEL_FUNCTION uint32_t word_round(const float *v, int storage)
{
    if (storage == STORED_BF16) {
        const __nv_bfloat162 two = __floats2bfloat162_rn(v[0], v[1]);
        return (uint32_t)__bfloat16_as_ushort(two.y) << 16 | __bfloat16_as_ushort(two.x);
    }
    const __half2 two = __floats2half2_rn(v[0], v[1]);
    return (uint32_t)__half_as_ushort(two.y) << 16 | __half_as_ushort(two.x);
}

KERNEL_FUNCTION void halves_load(float *v, const uint16_t *from, int count, int storage)
{
    if (count == 8) {
        const uint4 q = *reinterpret_cast<const uint4 *>(from);
        word_widen(v, q.x, storage), word_widen(v + 2, q.y, storage);
        word_widen(v + 4, q.z, storage), word_widen(v + 6, q.w, storage);
    } else if (count == 4) {
        const uint2 q = *reinterpret_cast<const uint2 *>(from);
        word_widen(v, q.x, storage), word_widen(v + 2, q.y, storage);
    } else if (count == 2) {
        word_widen(v, *reinterpret_cast<const uint32_t *>(from), storage);
    } else {
        for (int i = 0; i < count; ++i)
            v[i] = half_widen(from[i], storage);
    }
}

KERNEL_FUNCTION void halves_store(uint16_t *to, const float *v, int count, int storage)
{
    if (count == 8) {
        *reinterpret_cast<uint4 *>(to) = make_uint4(word_round(v, storage), word_round(v + 2, storage),
                                                    word_round(v + 4, storage), word_round(v + 6, storage));
    } else if (count == 4) {
        *reinterpret_cast<uint2 *>(to) = make_uint2(word_round(v, storage), word_round(v + 2, storage));
    } else if (count == 2) {
        *reinterpret_cast<uint32_t *>(to) = word_round(v, storage);
    } else {
        for (int i = 0; i < count; ++i)
            to[i] = half_round(v[i], storage);
    }
}

/* `count` halves as they are: 2, 4 or 8. */
KERNEL_FUNCTION void words_load(uint32_t *words, const uint16_t *from, int count)
{
    if (count == 8) {
        const uint4 q = *reinterpret_cast<const uint4 *>(from);
        words[0] = q.x, words[1] = q.y, words[2] = q.z, words[3] = q.w;
    } else if (count == 4) {
        const uint2 q = *reinterpret_cast<const uint2 *>(from);
        words[0] = q.x, words[1] = q.y;
    } else {
        words[0] = *reinterpret_cast<const uint32_t *>(from);
    }
}

/* The greater of both halves of two words; what is not a number stays. */
KERNEL_FUNCTION uint32_t word_greater(uint32_t a, uint32_t b, int storage)
{
    if (storage == STORED_BF16) {
        const __nv_bfloat162 two =
            __hmax2_nan(*reinterpret_cast<__nv_bfloat162 *>(&a), *reinterpret_cast<__nv_bfloat162 *>(&b));
        return *reinterpret_cast<const uint32_t *>(&two);
    }
    const __half2 two = __hmax2_nan(*reinterpret_cast<__half2 *>(&a), *reinterpret_cast<__half2 *>(&b));
    return *reinterpret_cast<const uint32_t *>(&two);
}
#else
KERNEL_FUNCTION void lanes_load(float *v, const float *from, int count)
{
    for (int i = 0; i < count; ++i)
        v[i] = from[i];
}

KERNEL_FUNCTION void lanes_store(float *to, const float *v, int count)
{
    for (int i = 0; i < count; ++i)
        to[i] = v[i];
}

KERNEL_FUNCTION void halves_load(float *v, const uint16_t *from, int count, int storage)
{
    for (int i = 0; i < count; ++i)
        v[i] = half_widen(from[i], storage);
}

KERNEL_FUNCTION void halves_store(uint16_t *to, const float *v, int count, int storage)
{
    for (int i = 0; i < count; ++i)
        to[i] = half_round(v[i], storage);
}

KERNEL_FUNCTION void words_load(uint32_t *words, const uint16_t *from, int count)
{
    for (int i = 0; i < count / 2; ++i)
        words[i] = (uint32_t)from[2 * i + 1] << 16 | from[2 * i];
}

KERNEL_FUNCTION uint32_t word_greater(uint32_t a, uint32_t b, int storage)
{
    float x[2], y[2];
    word_widen(x, a, storage);
    word_widen(y, b, storage);
    return ((x[0] < y[0] ? b : a) & 0xffff) | ((x[1] < y[1] ? b : a) & 0xffff0000);
}
#endif

KERNEL_FUNCTION void values_load(float *v, const void *from, size_t index, int count, int storage)
{
    if (storage == STORED_F32)
        lanes_load(v, (const float *)from + index, count);
    else
        halves_load(v, (const uint16_t *)from + index, count, storage);
}

KERNEL_FUNCTION void values_store(void *to, size_t index, const float *v, int count, int storage)
{
    if (storage == STORED_F32)
        lanes_store((float *)to + index, v, count);
    else
        halves_store((uint16_t *)to + index, v, count, storage);
}

/* ---- kernels in all forms ---- */

#define KERNEL_FORMS_DECLARE(name, arguments)                                                                          \
    KERNEL_LINKAGE void name(const arguments *a, kernel_form form, kernel_grid grid);

#define KERNEL_FORM_CHOOSE(name, arguments)                                                                            \
    KERNEL_LINKAGE void name(const arguments *a, kernel_form form, kernel_grid grid)                                   \
    {                                                                                                                  \
        const bool one = form.lanes == 1;                                                                              \
        if (form.storage == STORED_F32)                                                                                \
            (one ? name##_f32_1 : name##_f32)(a, grid);                                                                \
        else if (form.storage == STORED_BF16)                                                                          \
            (one ? name##_bf16_1 : name##_bf16)(a, grid);                                                              \
        else                                                                                                           \
            (one ? name##_f16_1 : name##_f16)(a, grid);                                                                \
    }

#define KERNEL_FORM(name, arguments, run, lanes, storage)                                                              \
    KERNEL_FUNCTION void name##_thread(const arguments *a, kernel_position at)                                         \
    {                                                                                                                  \
        run(a, at, lanes, storage);                                                                                    \
    }                                                                                                                  \
    KERNEL_AS(static, name, arguments, name##_thread)

/* For so many channels a thread, and for one. */
#define KERNEL_FORMS(name, arguments, run, float_lanes, half_lanes)                                                    \
    KERNEL_FORM(name##_f32, arguments, run, float_lanes, STORED_F32)                                                   \
    KERNEL_FORM(name##_f32_1, arguments, run, 1, STORED_F32)                                                           \
    KERNEL_FORM(name##_bf16, arguments, run, half_lanes, STORED_BF16)                                                  \
    KERNEL_FORM(name##_bf16_1, arguments, run, 1, STORED_BF16)                                                         \
    KERNEL_FORM(name##_f16, arguments, run, half_lanes, STORED_F16)                                                    \
    KERNEL_FORM(name##_f16_1, arguments, run, 1, STORED_F16)                                                           \
    KERNEL_FORM_CHOOSE(name, arguments)

#define KERNEL_FORM_IN_TWO(name, arguments, room, first, second, lanes, storage)                                       \
    KERNEL_FUNCTION void name##_first(const arguments *a, kernel_position at, room *shared)                            \
    {                                                                                                                  \
        first(a, at, shared, lanes, storage);                                                                          \
    }                                                                                                                  \
    KERNEL_FUNCTION void name##_second(const arguments *a, kernel_position at, const room *shared)                     \
    {                                                                                                                  \
        second(a, at, shared, lanes);                                                                                  \
    }                                                                                                                  \
    KERNEL_IN_TWO_AS(static, name, arguments, room, name##_first, name##_second)

/* The second function writes sums, which are floats. */
#define KERNEL_FORMS_IN_TWO(name, arguments, room, first, second, float_lanes, half_lanes)                             \
    KERNEL_FORM_IN_TWO(name##_f32, arguments, room, first, second, float_lanes, STORED_F32)                            \
    KERNEL_FORM_IN_TWO(name##_f32_1, arguments, room, first, second, 1, STORED_F32)                                    \
    KERNEL_FORM_IN_TWO(name##_bf16, arguments, room, first, second, half_lanes, STORED_BF16)                           \
    KERNEL_FORM_IN_TWO(name##_bf16_1, arguments, room, first, second, 1, STORED_BF16)                                  \
    KERNEL_FORM_IN_TWO(name##_f16, arguments, room, first, second, half_lanes, STORED_F16)                             \
    KERNEL_FORM_IN_TWO(name##_f16_1, arguments, room, first, second, 1, STORED_F16)                                    \
    KERNEL_FORM_CHOOSE(name, arguments)

#endif
