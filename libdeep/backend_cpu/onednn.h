/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CPU_ONEDNN_H
#define DEEP_BACKEND_CPU_ONEDNN_H

/* The only door to oneDNN; onednn.c alone knows 2.x from 3.x. Scratch memory is always the caller's. */
#include "backend/backend.h"

/* "2.6.3" */
void deep__onednn_version(char *text, size_t size);

/* Caps the instruction set of the process once; DEEP_ERROR_STATE when it was capped differently before. */
deep_status deep__onednn_cap_isa(const deep_host *host, int32_t isa);

/*
 * Row-major c[m, n] = a[m, k] b[k, n], each operand transposed on request: a is then stored [k, m], b [n, k].
 * Uses the calling thread's OpenMP team.
 */
typedef struct deep_onednn_product {
    bool transpose_a, transpose_b;
    bool accumulate; /* c += */
    int64_t m, n, k;
} deep_onednn_product;

deep_status deep__onednn_multiply(const deep_host *host, const deep_onednn_product *product, const float *a,
                                  const float *b, float *c);

/* The same without accumulation. */
deep_status deep__onednn_gemm(const deep_host *host, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                              int64_t k, const float *a, const float *b, float *c);

/* A dense 2-D convolution, NHWC and HWIO, in one of its three directions. */
typedef struct deep_onednn_conv deep_onednn_conv;

enum deep_onednn_direction { DEEP_ONEDNN_FORWARD, DEEP_ONEDNN_GRAD_INPUT, DEEP_ONEDNN_GRAD_WEIGHTS };

typedef struct deep_onednn_shape {
    int64_t batch, rows, columns, channels;       /* of the input */
    int64_t kernel_rows, kernel_columns, outputs; /* of the kernel */
    int64_t output_rows, output_columns;
    int32_t stride;
    int32_t pad[4]; /* DEEP_PAD_* */
} deep_onednn_shape;

deep_status deep__onednn_conv_create(deep_onednn_conv **out, const deep_host *host,
                                     enum deep_onednn_direction direction, const deep_onednn_shape *shape);
void deep__onednn_conv_free(deep_onednn_conv *conv);

/* Bytes of scratch that a run needs, 64-byte aligned. */
size_t deep__onednn_conv_scratch(const deep_onednn_conv *conv);

/* Forward: input, weights -> output. Gradient of the input: output, weights -> input. Of the weights: input, output ->
 * weights. */
deep_status deep__onednn_conv_run(deep_onednn_conv *conv, float *input, float *weights, float *output, void *scratch);

#endif
