/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_KERNELS_LIST_H
#define DEEP_BACKEND_CPU_KERNELS_LIST_H

/* Prototypes of one compilation's kernels, for kernels.c that tables them. */
#include "backend_cpu/kernels.h"

void KERNEL(depthwise_rows)(float *y, const cpu_depthwise *d);
void KERNEL(depthwise_rows_quantized)(uint8_t *y, const cpu_depthwise *d);
void KERNEL(depthwise_weights_row)(float *dw, const float *x, const float *const dy[3], int64_t width, int64_t channels,
                                   bool relu);
void KERNEL(product)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel);
void KERNEL(pack)(float *packed, const float *kernel, int64_t inner, int64_t columns);
void KERNEL(unpack)(float *kernel, const float *packed, int64_t inner, int64_t columns);
void KERNEL(dot_i8)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel);
void KERNEL(dot_bf16)(const cpu_product *p, int64_t first, int64_t end, int64_t first_panel, int64_t end_panel);
void KERNEL(pack_bf16)(uint16_t *packed, const uint16_t *kernel, int64_t inner, int64_t columns);
void KERNEL(unpack_bf16)(uint16_t *kernel, const uint16_t *packed, int64_t inner, int64_t columns);
void KERNEL(pack_i8)(int8_t *packed, const int8_t *kernel, int64_t inner, int64_t columns, const float *zero,
                     int64_t channels);
void KERNEL(unpack_i8)(int8_t *kernel, const int8_t *packed, int64_t inner, int64_t columns);
void KERNEL(widen_bf16)(float *to, const uint16_t *packed, int64_t inner, int64_t columns, int64_t column);
void KERNEL(widen_i8)(float *to, const int8_t *packed, int64_t inner, int64_t columns, int64_t column);
void KERNEL(round_bf16)(uint16_t *to, const float *from, int64_t count);
void KERNEL(quantize)(uint8_t *to, const float *from, const float *inverse, const float *zero, int64_t pixels,
                      int64_t channels);
void KERNEL(quantize_wide)(float *to, const float *from, const float *inverse, const float *zero, int64_t pixels,
                           int64_t channels);
void KERNEL(scale_shift)(float *y, const float *x, const float *scale, const float *shift, const float *residual,
                         int64_t rows, int64_t columns, bool relu);
void KERNEL(moments)(float *mean, float *squares, const float *x, int64_t rows, int64_t columns);
void KERNEL(norm_sums)(float *sum, float *dot, const float *dy, const float *x, const float *mean, const float *scale,
                       const float *shift, int64_t rows, int64_t columns, bool relu);
void KERNEL(norm_gradient)(float *dx, const float *dy, const float *x, const float *mean, const float *scale,
                           const float *shift, const float *a, const float *b, int64_t rows, int64_t columns,
                           bool relu);
void KERNEL(relu)(float *y, const float *x, int64_t count);
void KERNEL(relu_gradient)(float *dx, const float *dy, const float *y, int64_t count);
void KERNEL(add)(float *y, const float *a, const float *b, int64_t count);
void KERNEL(add_row)(float *y, const float *row, int64_t rows, int64_t columns);
void KERNEL(sum_rows)(float *sum, const float *x, int64_t rows, int64_t columns);
double KERNEL(sum_squares)(const float *x, int64_t count);
void KERNEL(axpy)(float *y, const float *x, float a, int64_t count);
void KERNEL(multiply_add)(float *y, const float *a, const float *b, int64_t count, bool relu_a);
void KERNEL(pool_row)(float *y, const float *const x[3], const float *residual, int64_t columns, int64_t channels,
                      int64_t width, int64_t left);
void KERNEL(pool_max)(float *y, uint8_t *index, const float *x, uint8_t tap, bool first, int64_t count);
void KERNEL(pool_gradient)(float *dx, const float *dy, const uint8_t *index, uint8_t tap, int64_t count);
void KERNEL(load_bf16)(float *to, const uint16_t *from, int64_t count);
void KERNEL(pool_max_bf16)(uint16_t *y, uint8_t *index, const uint16_t *x, uint8_t tap, bool first, int64_t count);
void KERNEL(pool_gradient_bf16)(float *dx, const uint16_t *dy, const uint8_t *index, uint8_t tap, int64_t count);
void KERNEL(sgd)(const cpu_update *u, int64_t begin, int64_t end);
void KERNEL(rmsprop)(const cpu_update *u, int64_t begin, int64_t end);
void KERNEL(adam)(const cpu_update *u, int64_t begin, int64_t end);

#endif
