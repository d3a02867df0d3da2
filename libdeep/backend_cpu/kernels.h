/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_KERNELS_H
#define DEEP_BACKEND_CPU_KERNELS_H

/*
 * The inner loops, compiled once per instruction set from the same source (kernels_*.c). Each works on a part of a
 * tensor that its caller chose: a row of pixels, a chunk of rows. A "row" is `columns` consecutive floats; pixels are
 * NHWC.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What every optimizer kernel gets; see backend_cpu/cpu_update.c. */
typedef struct cpu_update {
    float *w;
    const float *g;
    float *slot[3];
    float rate;      /* learning rate x the group's multiplier */
    float adam_rate; /* the same with Adam's bias correction */
    float scale;     /* of the gradient, from clipping */
    float beta1, beta2, epsilon, decay;
    float keep1, keep2; /* 1 - beta, rounded once: 1 - .999f is .000999987 */
    bool nesterov, amsgrad;
} cpu_update;

/*
 * c = a b, then x unit, x scale, + shift (also without scale), + residual, ReLU: each where there is one.
 * `b` is packed: panels of cpu_kernels.panel output channels (the last one may be narrower), each inner x width, one
 * behind the other; as many floats as the plain kernel, but a reader looks up to a vector further. The dot kernels have
 * groups instead of floats: 4 u8 in `a` and 4 i8 in `b`, or 2 bf16 in both (kernels_narrow.c).
 */
typedef struct cpu_product {
    const void *a; /* rows x inner, or rows x groups */
    const void *b;
    float *c;                          /* rows x columns */
    const float *unit, *scale, *shift; /* columns; NULL = none */
    const float *residual;             /* rows x columns; NULL = none */
    int64_t inner, columns;
    int64_t groups;       /* of a row, for the dot kernels */
    int64_t pitch;        /* groups from one row of a to the next, for the dot kernels */
    int64_t pieces;       /* in which a row of a stands there */
    int64_t piece_pitch;  /* groups from one piece to the next */
    int64_t first_column; /* where b begins, for `product` */
    bool alone;           /* nothing worth asking for stands behind the panels */
    bool relu;
} cpu_product;

/* Rows of a 3x3 depthwise convolution of stride 1, with a pixel of padding. */
typedef struct cpu_depthwise {
    const float *const *x;       /* rows + 2 input rows, the one above the first output row first; NULL = padding */
    const float *w;              /* 9 x channels */
    const float *mask;           /* like y, whose values are 0 where it is <= 0; NULL = none */
    const float *inverse, *zero; /* of quantized results: channels */
    int64_t rows, width, channels;
    bool relu; /* x counts as max(x, 0) */
} cpu_depthwise;

typedef struct cpu_kernels {
    int64_t panel; /* output channels in a panel of a packed kernel */

    /* Rows first .. end - 1 of c, in panels first_panel .. end_panel - 1. An element's sum has the same order however
       the work is cut. */
    void (*product)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel);

    /* Between the plain [inner, columns] and the packed layout of a kernel. */
    void (*pack)(float *packed, const float *kernel, int64_t inner, int64_t columns);
    void (*unpack)(float *kernel, const float *packed, int64_t inner, int64_t columns);

    /* The same in groups; NULL where there is no instruction for it. */
    void (*dot_i8)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel);
    void (*dot_bf16)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel);

    void (*pack_bf16)(uint16_t *packed, const uint16_t *kernel, int64_t inner, int64_t columns);
    void (*unpack_bf16)(uint16_t *kernel, const uint16_t *packed, int64_t inner, int64_t columns);
    void (*pack_i8)(int8_t *packed, const int8_t *kernel, int64_t inner, int64_t columns, const float *zero,
                    int64_t channels);
    void (*unpack_i8)(int8_t *kernel, const int8_t *packed, int64_t inner, int64_t columns);

    /* The packed panel that begins at `column`, as floats for `product`. */
    void (*widen_bf16)(float *to, const uint16_t *packed, int64_t inner, int64_t columns, int64_t column);
    void (*widen_i8)(float *to, const int8_t *packed, int64_t inner, int64_t columns, int64_t column);

    /* Operands for them. Quantized: x inverse + zero, to the nearest of 0 .. 255; wide: less zero again, as a float. */
    void (*round_bf16)(uint16_t *to, const float *from, int64_t count);
    void (*quantize)(uint8_t *to, const float *from, const float *inverse, const float *zero, int64_t pixels,
                     int64_t channels);
    void (*quantize_wide)(float *to, const float *from, const float *inverse, const float *zero, int64_t pixels,
                          int64_t channels);

    /* 3x3, stride 1; the second with quantized results. */
    void (*depthwise_rows)(float *y, const cpu_depthwise *d);
    void (*depthwise_rows_quantized)(uint8_t *y, const cpu_depthwise *d);

    /* 3x3, stride 1: adds to dw (9 x channels) what input row x gives with the output rows below, at and above it (NULL
     * = none). */
    void (*depthwise_weights_row)(float *dw, const float *x, const float *const dy[3], int64_t width, int64_t channels,
                                  bool relu);

    /* y = max(x, 0) if relu */
    void (*scale_shift)(float *y, const float *x, const float *scale, const float *shift, const float *residual,
                        int64_t rows, int64_t columns, bool relu);

    /* Mean of each column of a chunk, and sum of squared distances from it. */
    void (*moments)(float *mean, float *squares, const float *x, int64_t rows, int64_t columns);

    /* Adds to sum and dot: a chunk's sums of dy and of dy (x - mean), over the elements where x scale + shift > 0 if relu. */
    void (*norm_sums)(float *sum, float *dot, const float *dy, const float *x, const float *mean, const float *scale,
                      const float *shift, int64_t rows, int64_t columns, bool relu);

    /* dx = scale (dy - a - (x - mean) b), dy counting as 0 where x scale + shift <= 0 if relu.
       dx may be dy. */
    void (*norm_gradient)(float *dx, const float *dy, const float *x, const float *mean, const float *scale,
                          const float *shift, const float *a, const float *b, int64_t rows, int64_t columns, bool relu);

    void (*relu)(float *y, const float *x, int64_t count);
    void (*relu_gradient)(float *dx, const float *dy, const float *y, int64_t count);
    void (*add)(float *y, const float *a, const float *b, int64_t count);
    void (*add_row)(float *y, const float *row, int64_t rows, int64_t columns);  /* y += row, each row */
    void (*sum_rows)(float *sum, const float *x, int64_t rows, int64_t columns); /* sum += each row */
    double (*sum_squares)(const float *x, int64_t count);
    void (*axpy)(float *y, const float *x, float a, int64_t count);                             /* y += a x */
    void (*multiply_add)(float *y, const float *a, const float *b, int64_t count, bool relu_a); /* y += a b */

    /* One output row of a 3x3 maximum of stride 2: the largest of three rows of `width` pixels in columns
       2 w - left .. 2 w - left + 2 (those that exist), + residual where there is one. */
    void (*pool_row)(float *y, const float *const x[3], const float *residual, int64_t columns, int64_t channels,
                     int64_t width, int64_t left);

    /* y, index = larger of y and x, keeping y when equal; first = true overwrites. */
    void (*pool_max)(float *y, uint8_t *index, const float *x, uint8_t tap, bool first, int64_t count);

    /* dx += dy where index == tap */
    void (*pool_gradient)(float *dx, const float *dy, const uint8_t *index, uint8_t tap, int64_t count);

    /* The same of values stored as bfloat16. */
    void (*pool_max_bf16)(uint16_t *y, uint8_t *index, const uint16_t *x, uint8_t tap, bool first, int64_t count);
    void (*pool_gradient_bf16)(float *dx, const uint16_t *dy, const uint8_t *index, uint8_t tap, int64_t count);

    void (*load_bf16)(float *to, const uint16_t *from, int64_t count);

    void (*sgd)(const cpu_update *u, int64_t begin, int64_t end);
    void (*rmsprop)(const cpu_update *u, int64_t begin, int64_t end);
    void (*adam)(const cpu_update *u, int64_t begin, int64_t end);
} cpu_kernels;

extern const cpu_kernels deep__kernels_baseline;
#ifdef DEEP_X86
extern const cpu_kernels deep__kernels_avx2;
extern const cpu_kernels deep__kernels_avx512;
extern const cpu_kernels deep__kernels_avx512_vnni;
#endif

/* For the kernel sources: the name of this compilation's variant. */
#ifdef DEEP_KERNEL_ISA
#define KERNEL_PASTE(name, isa)  deep__kernel_##name##_##isa
#define KERNEL_EXPAND(name, isa) KERNEL_PASTE(name, isa)
#define KERNEL(name)             KERNEL_EXPAND(name, DEEP_KERNEL_ISA)
#endif

#endif
