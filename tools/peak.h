/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_PEAK_H
#define DEEP_TOOLS_PEAK_H

/* What this machine's cores can do at most, measured: instructions that do nothing else, in registers. */

/* Billions a second, all threads together. 0 = the processor has no such instruction. */
typedef struct machine_peak {
    double f32;    /* floating-point operations, two for each multiply-add */
    double bf16;   /* likewise with bfloat16 operands and float sums */
    double i8;     /* operations, two for each multiply-add, with bytes as operands and 32-bit sums */
    double memory; /* bytes read from memory */
    double cache;  /* bytes read from each core's second-level cache */
} machine_peak;

enum { PEAK_MAX_THREADS = 256 };

/* Takes about half a second. 0, or an errno value. */
int peak_measure(machine_peak *peak, int threads);

#endif
