/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_CPU_H
#define DEEP_BACKEND_CPU_CPU_H

/*
 * The CPU backend: matrix products and dense convolutions by oneDNN, the rest by own kernels.
 * Own reductions cut their work into parts that do not depend on the number of threads, so neither do their results.
 */
#include "backend/backend.h"
#include "backend_cpu/kernels.h"
#include "backend_cpu/onednn.h"

typedef struct cpu_widened cpu_widened; /* cpu_widen.h */

/* A compiled node. */
typedef struct cpu_node {
    deep_call call;
    const struct cpu_op *op;
    const cpu_kernels *kernels;
    deep_onednn_conv *conv; /* dense convolutions in float alone */
    cpu_widened *widened;   /* bfloat16 operands that the op sees as floats; NULL = none */
    int32_t threads;
    int32_t joined; /* nodes just before it that run with it, band by band */
    bool packed;    /* 1x1 kernels are */
    bool bf16_dot;  /* the products of bf16 kernels are made by the instruction for it */
} cpu_node;

/* What a running node sees. */
typedef struct cpu_run {
    const deep_call *call;
    const cpu_kernels *kernels;
    const deep_host *host;
    const cpu_node *node;
    int32_t threads;
} cpu_run;

typedef struct cpu_op {
    deep_status (*run)(const cpu_run *run);
    deep_status (*prepare)(cpu_node *node, const deep_host *host); /* NULL = nothing to make */
    size_t (*scratch)(const cpu_node *node);                       /* bytes; NULL = none */
    bool bf16; /* reads and writes bfloat16 itself when input and output 0 are alike */
} cpu_op;

extern const cpu_op deep__cpu_ops[DEEP_OP_COUNT];

/* Runs task(context, i) for i = 0 .. count - 1 on `threads` threads of this thread's OpenMP team. */
typedef void (*cpu_task)(const void *context, int64_t i);
void deep__cpu_parallel(int32_t threads, int64_t count, cpu_task task, const void *context);

/* Sets the calling thread's OpenMP team size, for oneDNN; returns the one before. */
int32_t deep__cpu_team(int32_t threads);

/* `count` items in parts of `grain`: how many parts, and the bounds of one. */
static inline int64_t cpu_parts(int64_t count, int64_t grain)
{
    return (count + grain - 1) / grain;
}

static inline int64_t cpu_part_end(int64_t part, int64_t grain, int64_t count)
{
    const int64_t end = (part + 1) * grain;
    return end < count ? end : count;
}

/* Rows of `columns` floats that make a part of about 128 KiB: half an L2, whatever the thread count. */
static inline int64_t cpu_row_grain(int64_t columns)
{
    const int64_t rows = (INT64_C(1) << 15) / (columns < 1 ? 1 : columns);
    return rows < 1 ? 1 : rows;
}

/* Rows cut into bands of `band`, and each band into parts of `grain`: the last of either may be smaller, or empty. */
typedef struct cpu_cut {
    int64_t rows, band, grain;
} cpu_cut;

static inline int64_t cpu_cut_parts(const cpu_cut *cut)
{
    return cpu_parts(cut->rows, cut->band) * cpu_parts(cut->band, cut->grain);
}

static inline int64_t cpu_cut_begin(const cpu_cut *cut, int64_t part)
{
    const int64_t in_band = cpu_parts(cut->band, cut->grain);
    const int64_t begin = part / in_band * cut->band + part % in_band * cut->grain;
    return begin < cut->rows ? begin : cut->rows;
}

static inline int64_t cpu_cut_end(const cpu_cut *cut, int64_t part)
{
    const int64_t in_band = cpu_parts(cut->band, cut->grain), band_end = (part / in_band + 1) * cut->band;
    const int64_t end = cpu_cut_begin(cut, part) + cut->grain, most = band_end < cut->rows ? band_end : cut->rows;
    return end < most ? end : most;
}

/* ---- batch norm's per-channel sums, for whoever makes the parts ---- */

/* From each part's mean and sum of squared distances from it, each [parts, columns]. */
void deep__cpu_join_moments(int32_t threads, float *mean, float *variance, const cpu_cut *cut, const float *part_mean,
                            const float *part_squares, int64_t columns);

/* Per part: sums of dy and of dy (x - mean), `stride` floats from one part to the next. */
typedef struct cpu_norm_sums {
    const float *sum, *dot;
    int64_t parts, stride, columns;
    int64_t rows; /* values of a channel */
    double epsilon;
} cpu_norm_sums;

/* dgamma, dbeta, and what dx subtracts: a, the mean of dy, and b, the part along x. */
void deep__cpu_join_norm_sums(int32_t threads, const cpu_norm_sums *sums, const float *variance, float *dgamma,
                              float *dbeta, float *a, float *b);

/* gamma, beta, mean and variance as one factor and one addition. */
void deep__cpu_norm_affine(float *scale, float *shift, const float *const norm[4], double epsilon, int64_t columns);

#define CPU_OP(name) deep_status deep__cpu_##name(const cpu_run *run)
CPU_OP(conv2d);
CPU_OP(separable_train);
CPU_OP(separable_grad);
CPU_OP(conv2d_grad_input);
CPU_OP(conv2d_grad_weights);
CPU_OP(depthwise);
CPU_OP(depthwise_grad_input);
CPU_OP(depthwise_grad_weights);
CPU_OP(batch_norm_train);
CPU_OP(batch_norm_grad);
CPU_OP(batch_norm_infer);
CPU_OP(batch_norm_infer_grad);
CPU_OP(relu);
CPU_OP(relu_grad);
CPU_OP(max_pool);
CPU_OP(max_pool_grad);
CPU_OP(global_average_pool);
CPU_OP(global_average_pool_grad);
CPU_OP(dense);
CPU_OP(dense_grad_input);
CPU_OP(dense_grad_weights);
CPU_OP(add);
CPU_OP(l2_penalty);
CPU_OP(l2_grad);
CPU_OP(gradient_norm);
CPU_OP(update_sgd);
CPU_OP(update_rmsprop);
CPU_OP(update_adam);
CPU_OP(reduce_sum);

enum { CPU_DEPTHWISE_ROWS = 30 }; /* that a kernel is given at once, at most */

/*
 * A common depthwise convolution of the call's first two operands: output row `row` (over all images) and those below it
 * in the same image, `most` of them at most; `x` is filled too.
 */
void deep__cpu_depthwise_view(const cpu_run *run, cpu_depthwise *rows, const float *x[CPU_DEPTHWISE_ROWS + 2],
                              int64_t row, int64_t most);

/* True for the convolution that the row kernels compute: 3x3, stride 1, padding 1. */
bool deep__cpu_depthwise_common(const deep_call *call);

/* ---- products with packed kernels (cpu_product.c) ---- */

/* In which form the rows that meet a packed kernel are. */
typedef enum cpu_operand {
    CPU_FLOAT,          /* F32 kernels, and BF16 ones that are widened */
    CPU_BF16,           /* pairs */
    CPU_QUANTIZED,      /* u8 in fours */
    CPU_QUANTIZED_WIDE, /* as floats, less the zero point: I8 kernels that are widened */
} cpu_operand;

/* The operand `kernel` of a node's call: a kernel, its I8 quantization operand, and the operands behind them. */
typedef struct cpu_kernel {
    const deep_value_info *info;
    int32_t operand;
    int32_t quantization; /* operand; 0 = none */
    int32_t epilogue;     /* first operand of it */
} cpu_kernel;

cpu_kernel deep__cpu_kernel_of(const deep_call *call);
cpu_operand deep__cpu_operand_of(const cpu_node *node, const cpu_kernel *kernel);

/* Taps x input channels of a kernel; bytes of a row of `inner` values in an operand's form. */
int64_t deep__cpu_inner(const cpu_kernel *kernel);
int64_t deep__cpu_row_bytes(cpu_operand operand, int64_t inner);

/* The call's convolution or dense layer but for `a`; `b` as it is packed. */
cpu_product deep__cpu_product_of(const deep_call *call, const cpu_kernel *kernel);

/* `rows` rows of the product; `widened` is deep__cpu_widened_bytes() of memory. */
void deep__cpu_multiply(const cpu_run *run, const cpu_product *product, const cpu_kernel *kernel, int64_t rows,
                        float *widened);
size_t deep__cpu_widened_bytes(const cpu_node *node, const cpu_kernel *kernel);

/* The same by the calling thread alone, with a thread's share of that memory. */
void deep__cpu_multiply_alone(const cpu_run *run, const cpu_product *product, const cpu_kernel *kernel, int64_t rows,
                              float *widened);

/* ---- convolutions in bands (cpu_bands.c) ---- */

/* True when the node's kernel is packed, in whatever type. */
bool deep__cpu_is_packed(const cpu_node *node);

CPU_OP(bands);
size_t deep__cpu_bands_scratch(const cpu_node *node);

/* ---- dense convolutions whose windows need not be gathered (cpu_windows.c) ---- */

bool deep__cpu_windows_fit(const cpu_node *node);
CPU_OP(windows);
size_t deep__cpu_windows_scratch(const cpu_node *node);
deep_status deep__cpu_separable_prepare(cpu_node *node, const deep_host *host);
deep_status deep__cpu_unit_prepare(cpu_node *node, const deep_host *host);
size_t deep__cpu_separable_train_scratch(const cpu_node *node);
size_t deep__cpu_separable_grad_scratch(const cpu_node *node);

/* ---- joined nodes (cpu_chain.c) ---- */

/* Runs the nodes joined with run->node, then this one. */
CPU_OP(chain);
deep_status deep__cpu_chain_prepare(const cpu_node *node, const deep_host *host);
size_t deep__cpu_chain_scratch(const cpu_node *node);

/* True for a 1x1 convolution without padding, in any of its three directions. */
bool deep__cpu_is_pointwise(const deep_call *call);

deep_status deep__cpu_max_pool_prepare(cpu_node *node, const deep_host *host);
deep_status deep__cpu_conv_prepare(cpu_node *node, const deep_host *host);
size_t deep__cpu_conv_scratch(const cpu_node *node);
size_t deep__cpu_dense_scratch(const cpu_node *node);
size_t deep__cpu_depthwise_weights_scratch(const cpu_node *node);
size_t deep__cpu_norm_scratch(const cpu_node *node);
size_t deep__cpu_rows_scratch(const cpu_node *node);
size_t deep__cpu_parts_scratch(const cpu_node *node);

#endif
