/* SPDX-License-Identifier: Apache-2.0 */
/* Between bfloat16 in memory and the floats that are computed with. */
#include "backend_cpu/kernels_list.h"
#include "base/bf16.h"

void KERNEL(load_bf16)(float *restrict to, const uint16_t *restrict from, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        to[i] = deep__bf16_widen(from[i]);
}

void KERNEL(pool_max_bf16)(uint16_t *restrict y, uint8_t *restrict index, const uint16_t *restrict x, uint8_t tap,
                           bool first, int64_t count)
{
    if (first) {
        for (int64_t i = 0; i < count; ++i) {
            y[i] = x[i];
            index[i] = tap;
        }
        return;
    }
    for (int64_t i = 0; i < count; ++i) {
        const bool larger = deep__bf16_widen(x[i]) > deep__bf16_widen(y[i]);
        y[i] = larger ? x[i] : y[i];
        index[i] = larger ? tap : index[i];
    }
}

void KERNEL(pool_gradient_bf16)(float *restrict dx, const uint16_t *restrict dy, const uint8_t *restrict index,
                                uint8_t tap, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        dx[i] += index[i] == tap ? deep__bf16_widen(dy[i]) : 0;
}
