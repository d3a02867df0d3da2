/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_PRODUCT_H
#define DEEP_BACKEND_CUDA_PRODUCT_H

/* Matrix products of one shape: d = relu(a b + added + bias), all row after row. cuBLASLt, or loops in tests/cuda/. */
#include "backend_cuda/accelerator.h"

typedef struct deep_product deep_product;

typedef struct deep_product_shape {
    int32_t factors;       /* DEEP_DTYPE_* of a and b; sums are float32 in any case */
    int32_t result;        /* of d, of what is added and of the bias: that of the factors, or F32 */
    int64_t rows, columns; /* of d */
    int64_t inner;
    bool a_transposed; /* a is [inner, rows], not [rows, inner] */
    bool b_transposed; /* b is [columns, inner], not [inner, columns] */
    bool added;        /* a matrix [rows, columns] */
    bool bias;         /* [columns] */
    bool relu;
} deep_product_shape;

typedef struct deep_product_operands {
    const void *a, *b, *added, *bias;
    void *d;
    void *workspace;
} deep_product_operands;

deep_status deep__product_create(deep_product **out, deep_accelerator *accelerator, const deep_product_shape *shape);
void deep__product_free(deep_product *product);

/* Bytes. */
size_t deep__product_workspace(const deep_product *product);

deep_status deep__product_run(const deep_product *product, const deep_product_operands *operands);

#endif
