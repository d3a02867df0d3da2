/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_CPU_WIDEN_H
#define DEEP_BACKEND_CPU_CPU_WIDEN_H

/* Values stored as bfloat16: read as floats, written rounded to the nearest. */
#include "backend_cpu/cpu.h"

/*
 * For ops that know floats alone: makes the call of a node that touches bfloat16 values see them as floats, which stand in
 * the first bytes of scratch while it runs. Leaves node->widened NULL where there is no such value.
 */
deep_status deep__cpu_widen(cpu_node *node, const deep_host *host);

/* Bytes of scratch in front of the op's own. */
size_t deep__cpu_activation_bytes(const cpu_node *node);

/* Widens the inputs, runs the op, rounds the outputs. */
deep_status deep__cpu_run_widened(const cpu_run *run);

/* `count` values from element `at` of a float or bfloat16 value as floats: in `buffer`, or where they stand. */
static inline const float *cpu_read(const cpu_kernels *kernels, const deep_value_info *info, const void *data,
                                    int64_t at, int64_t count, float *buffer)
{
    if (info->dtype != DEEP_DTYPE_BF16) return (const float *)data + at;
    kernels->load_bf16(buffer, (const uint16_t *)data + at, count);
    return buffer;
}

/* Where to make them: in place, or in `buffer` for cpu_written() to round. */
static inline float *cpu_writable(const deep_value_info *info, void *data, int64_t at, float *buffer)
{
    return info->dtype != DEEP_DTYPE_BF16 ? (float *)data + at : buffer;
}

static inline void cpu_written(const cpu_kernels *kernels, const deep_value_info *info, void *data, int64_t at,
                               int64_t count, const float *buffer)
{
    if (info->dtype == DEEP_DTYPE_BF16) kernels->round_bf16((uint16_t *)data + at, buffer, count);
}

#endif
