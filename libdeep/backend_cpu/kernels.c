/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cpu/kernels_list.h"
#include "backend_cpu/vec.h"

#define TABLE_PASTE(isa)  deep__kernels_##isa
#define TABLE_EXPAND(isa) TABLE_PASTE(isa)

const cpu_kernels TABLE_EXPAND(DEEP_KERNEL_ISA) = {
    .depthwise_rows = KERNEL(depthwise_rows),
    .depthwise_rows_quantized = KERNEL(depthwise_rows_quantized),
    .depthwise_weights_row = KERNEL(depthwise_weights_row),
    .panel = 2 * VEC_FLOATS,
    .product = KERNEL(product),
    .pack = KERNEL(pack),
    .unpack = KERNEL(unpack),
#if defined(__AVX512VNNI__)
    .dot_i8 = KERNEL(dot_i8),
    .dot_bf16 = KERNEL(dot_bf16),
#endif
    .pack_bf16 = KERNEL(pack_bf16),
    .unpack_bf16 = KERNEL(unpack_bf16),
    .pack_i8 = KERNEL(pack_i8),
    .unpack_i8 = KERNEL(unpack_i8),
    .widen_bf16 = KERNEL(widen_bf16),
    .widen_i8 = KERNEL(widen_i8),
    .round_bf16 = KERNEL(round_bf16),
    .quantize = KERNEL(quantize),
    .quantize_wide = KERNEL(quantize_wide),
    .scale_shift = KERNEL(scale_shift),
    .moments = KERNEL(moments),
    .norm_sums = KERNEL(norm_sums),
    .norm_gradient = KERNEL(norm_gradient),
    .relu = KERNEL(relu),
    .relu_gradient = KERNEL(relu_gradient),
    .add = KERNEL(add),
    .add_row = KERNEL(add_row),
    .sum_rows = KERNEL(sum_rows),
    .sum_squares = KERNEL(sum_squares),
    .axpy = KERNEL(axpy),
    .multiply_add = KERNEL(multiply_add),
    .pool_row = KERNEL(pool_row),
    .pool_max = KERNEL(pool_max),
    .pool_gradient = KERNEL(pool_gradient),
    .load_bf16 = KERNEL(load_bf16),
    .pool_max_bf16 = KERNEL(pool_max_bf16),
    .pool_gradient_bf16 = KERNEL(pool_gradient_bf16),
    .sgd = KERNEL(sgd),
    .rmsprop = KERNEL(rmsprop),
    .adam = KERNEL(adam),
};
