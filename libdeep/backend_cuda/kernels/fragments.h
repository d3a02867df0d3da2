/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_FRAGMENTS_H
#define DEEP_BACKEND_CUDA_KERNELS_FRAGMENTS_H

/*
 * Products of a warp on tensor cores: sum [16, 8] += a [16, 16] b [16, 8], halves summed up in float. Each lane has a part of every
 * matrix, its fragment, as the instruction mma.m16n8k16 wants it. With g = lane / 4 and t = lane % 4:
 *
 *     a[0], a[1]: rows g and g + 8, columns 2 t and 2 t + 1; a[2], a[3]: the same, columns + 8
 *     b[0]:       column g, rows 2 t and 2 t + 1;            b[1]: rows + 8
 *     sum[0], [1]: row g, columns 2 t and 2 t + 1;           sum[2], [3]: row g + 8
 *
 * Loops read the fragments of all lanes, so that whoever fills them wrongly gets wrong sums there, too.
 */
#include "backend_cuda/kernels/form.h"
#include "backend_cuda/kernels/rounds.h"

enum { FRAGMENT_ROWS = 16, FRAGMENT_COLUMNS = 8, FRAGMENT_DEPTH = 16 };

#ifdef __CUDACC__

/* Of all lanes of the warp at once. Where a device has no such instruction, kernels that call it are not queued. */
KERNEL_FUNCTION void fragments_multiply(float sum[KERNEL_LANES][4], const uint32_t a[KERNEL_LANES][4],
                                        const uint32_t b[KERNEL_LANES][2], int storage)
{
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 800
    if (storage == STORED_BF16)
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(sum[0][0]), "+f"(sum[0][1]), "+f"(sum[0][2]), "+f"(sum[0][3])
            : "r"(a[0][0]), "r"(a[0][1]), "r"(a[0][2]), "r"(a[0][3]), "r"(b[0][0]), "r"(b[0][1]));
    else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(sum[0][0]), "+f"(sum[0][1]), "+f"(sum[0][2]), "+f"(sum[0][3])
            : "r"(a[0][0]), "r"(a[0][1]), "r"(a[0][2]), "r"(a[0][3]), "r"(b[0][0]), "r"(b[0][1]));
#endif
}

#else

/* Half `index` of a word. */
static inline float fragment_half(uint32_t word, int index, int storage)
{
    return half_widen((uint16_t)(word >> 16 * index), storage);
}

/* Puts the fragments together to whole matrices, multiplies, and takes the sums apart again. */
static inline void fragments_multiply(float sum[KERNEL_LANES][4], uint32_t a[KERNEL_LANES][4],
                                      uint32_t b[KERNEL_LANES][2], int storage)
{
    float rows[FRAGMENT_ROWS][FRAGMENT_DEPTH], columns[FRAGMENT_COLUMNS][FRAGMENT_DEPTH];
    for (int k = 0; k < FRAGMENT_DEPTH; ++k) {
        const int t = k % 8 / 2, behind = k / 8;
        for (int row = 0; row < FRAGMENT_ROWS; ++row)
            rows[row][k] = fragment_half(a[row % 8 * 4 + t][2 * behind + row / 8], k % 2, storage);
        for (int column = 0; column < FRAGMENT_COLUMNS; ++column)
            columns[column][k] = fragment_half(b[column * 4 + t][behind], k % 2, storage);
    }
    for (int row = 0; row < FRAGMENT_ROWS; ++row)
        for (int column = 0; column < FRAGMENT_COLUMNS; ++column)
            for (int k = 0; k < FRAGMENT_DEPTH; ++k)
                sum[row % 8 * 4 + column / 2][row / 8 * 2 + column % 2] += rows[row][k] * columns[column][k];
}

#endif
#endif
