/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_CPU_SEPARABLE_TRAIN_H
#define DEEP_BACKEND_CPU_CPU_SEPARABLE_TRAIN_H

/*
 * What the two directions of a separable convolution in training share: [norm, ReLU,] depthwise, 1x1. Neither the
 * normalised input nor the depthwise result stands in memory: both are made in bands of image rows that stay in the
 * second-level caches, forward, and again backward.
 */
#include "backend_cpu/cpu.h"

typedef struct cpu_unit {
    const cpu_run *run;
    const deep_value_info *shape; /* of x and of the depthwise result, [N, H, W, C] */
    const void *x;                /* floats or bfloat16, as shape->dtype says */
    const float *w, *pointwise;
    const float *norm[4]; /* gamma, beta, mean, variance of the norm on x; NULL = none */
    bool relu;            /* behind the norm */
    int64_t channels;     /* C */
    int64_t outputs;      /* channels of y */
    int64_t row;          /* values of an image row of x: W C */
    int64_t rows;         /* image rows: N H */
    int64_t band;         /* image rows of a band */
    float *scale, *shift; /* scratch [C]: the norm as a factor and an addition */
    float *taken;         /* scratch [band + 2, W, C]: normalised rows */
    float *between;       /* scratch [band, W, C]: depthwise results */
} cpu_unit;

/* Describes the call of either direction; floats of scratch that it needs. */
int64_t deep__cpu_unit_describe(cpu_unit *unit, const deep_call *call);

/* Takes its scratch, makes scale and shift; returns what stands behind in scratch. */
float *deep__cpu_unit_open(cpu_unit *unit, const cpu_run *run);

/* Depthwise results of image rows first .. first + count - 1, at most a band, into unit->between. */
void deep__cpu_unit_band(const cpu_unit *unit, int64_t first, int64_t count);

#endif
