/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels and operands in bf16 and 8 bits: packing, widening to float, and rounding.
 * Packed like float kernels in panels, whose columns are whole vectors here, and in groups of rows: what one instruction
 * adds up in a lane stands together. Missing rows and columns are 0. I8 kernels end with an i32 for each column, what
 * zero points add to its sums, where an instruction for them exists.
 */
#include "backend_cpu/kernels_write.h"
#include "base/bf16.h"

enum {
    BF16_GROUP = 2,
#if defined(__AVX512VNNI__)
    I8_GROUP = 4
#else
    I8_GROUP = 1
#endif
};

static int64_t round_up(int64_t count, int64_t step)
{
    return (count + step - 1) / step * step;
}

/* Columns of the panel that begins at `column`, with the padding. */
static int64_t panel_width(int64_t columns, int64_t column)
{
    const int64_t left = round_up(columns - column, VEC_FLOATS);
    return left < PANEL ? left : PANEL;
}

/* Where element (k, column + i) stands in its panel. */
static int64_t place(int64_t width, int64_t k, int64_t i, int64_t group)
{
    return (k / group * width + i) * group + k % group;
}

VEC_INLINE void pack_groups(void *packed, const void *kernel, int64_t inner, int64_t columns, const int64_t group,
                            const size_t size)
{
    const int64_t rows = round_up(inner, group);
    for (int64_t column = 0; column < columns; column += PANEL) {
        const int64_t width = panel_width(columns, column);
        for (int64_t k = 0; k < rows; ++k)
            for (int64_t i = 0; i < width; ++i) {
                char *to = (char *)packed + (size_t)(column * rows + place(width, k, i, group)) * size;
                if (k < inner && column + i < columns)
                    memcpy(to, (const char *)kernel + (size_t)(k * columns + column + i) * size, size);
                else
                    memset(to, 0, size);
            }
    }
}

VEC_INLINE void unpack_groups(void *kernel, const void *packed, int64_t inner, int64_t columns, const int64_t group,
                              const size_t size)
{
    const int64_t rows = round_up(inner, group);
    for (int64_t k = 0; k < inner; ++k)
        for (int64_t i = 0; i < columns; ++i) {
            const int64_t column = i / PANEL * PANEL,
                          at = column * rows + place(panel_width(columns, column), k, i - column, group);
            memcpy((char *)kernel + (size_t)(k * columns + i) * size, (const char *)packed + (size_t)at * size, size);
        }
}

void KERNEL(pack_bf16)(uint16_t *packed, const uint16_t *kernel, int64_t inner, int64_t columns)
{
    pack_groups(packed, kernel, inner, columns, BF16_GROUP, sizeof *kernel);
}

void KERNEL(unpack_bf16)(uint16_t *kernel, const uint16_t *packed, int64_t inner, int64_t columns)
{
    unpack_groups(kernel, packed, inner, columns, BF16_GROUP, sizeof *kernel);
}

void KERNEL(pack_i8)(int8_t *packed, const int8_t *kernel, int64_t inner, int64_t columns, const float *zero,
                     int64_t channels)
{
    const int64_t all = round_up(columns, VEC_FLOATS);
    pack_groups(packed, kernel, inner, columns, I8_GROUP, sizeof *kernel);
    if (I8_GROUP == 1) return;
    int32_t *less = (int32_t *)(void *)(packed + round_up(inner, I8_GROUP) * all); /* rows come in fours */
    memset(less, 0, (size_t)all * sizeof *less);
    for (int64_t k = 0; k < inner; ++k)
        for (int64_t i = 0; i < columns; ++i)
            less[i] += (int32_t)zero[k % channels] * kernel[k * columns + i];
}

void KERNEL(unpack_i8)(int8_t *kernel, const int8_t *packed, int64_t inner, int64_t columns)
{
    unpack_groups(kernel, packed, inner, columns, I8_GROUP, sizeof *kernel);
}

/* ---- one panel as floats: inner x width ---- */

typedef uint32_t vec_bits __attribute__((vector_size(VEC_FLOATS * 4)));
typedef uint32_t vec_bits_memory __attribute__((vector_size(VEC_FLOATS * 4), aligned(2), may_alias));

/* Whole vectors are stored: what is too much of a row, the next row overwrites, and `to` has room behind the last. */
void KERNEL(widen_bf16)(float *restrict to, const uint16_t *restrict packed, int64_t inner, int64_t columns,
                        int64_t column)
{
    const int64_t padded = panel_width(columns, column), left = columns - column, width = left < PANEL ? left : PANEL;
    const vec_bits upper = (vec_bits){0} + 0xffff0000u;
    packed += column * round_up(inner, BF16_GROUP);
    for (int64_t k = 0; k < inner; k += BF16_GROUP, packed += padded * BF16_GROUP, to += BF16_GROUP * width) {
        for (int64_t i = 0; i < padded; i += VEC_FLOATS)
            vec_store(to + i, (vec)(*(const vec_bits_memory *)(packed + i * BF16_GROUP) << 16));
        for (int64_t i = 0; i < padded && k + 1 < inner; i += VEC_FLOATS)
            vec_store(to + width + i, (vec)(*(const vec_bits_memory *)(packed + i * BF16_GROUP) & upper));
    }
}

void KERNEL(widen_i8)(float *restrict to, const int8_t *restrict packed, int64_t inner, int64_t columns, int64_t column)
{
    const int64_t padded = panel_width(columns, column), left = columns - column, width = left < PANEL ? left : PANEL;
    packed += column * round_up(inner, I8_GROUP);
    for (int64_t k = 0; k < inner; ++k, to += width)
        for (int64_t i = 0; i < width; ++i)
            to[i] = packed[place(padded, k, i, I8_GROUP)];
}

/* ---- operands: pixels of `channels` floats ---- */

void KERNEL(round_bf16)(uint16_t *restrict to, const float *restrict from, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        to[i] = deep__bf16_round(from[i]);
}

void KERNEL(quantize)(uint8_t *to, const float *from, const float *inverse, const float *zero, int64_t pixels,
                      int64_t channels)
{
    for (int64_t p = 0; p < pixels; ++p, to += channels, from += channels) {
        int64_t c = 0;
        for (; c + VEC_FLOATS <= channels; c += VEC_FLOATS)
            vec_store_quantized(to + c, vec_load(from + c) * vec_load(inverse + c) + (vec_load(zero + c) + .5f));
        for (; c < channels; ++c)
            to[c] = quantum(from[c] * inverse[c] + zero[c]);
    }
}

void KERNEL(quantize_wide)(float *restrict to, const float *restrict from, const float *restrict inverse,
                           const float *restrict zero, int64_t pixels, int64_t channels)
{
    for (int64_t p = 0; p < pixels; ++p, to += channels, from += channels)
        for (int64_t c = 0; c < channels; ++c)
            to[c] = (float)quantum(from[c] * inverse[c] + zero[c]) - zero[c];
}
