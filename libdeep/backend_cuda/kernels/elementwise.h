/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_ELEMENTWISE_H
#define DEEP_BACKEND_CUDA_KERNELS_ELEMENTWISE_H

/* Element by element, four floats or eight halves to a thread; and what is done to vectors of channels. */
#include "backend_cuda/kernels/form.h"

/* y = f(a, b) or f(a): y may be where a is. */
typedef struct pair_arguments {
    int64_t count;
    const void *a;
    const void *b;
    void *y;
    float factor; /* of a, in scaled_add */
} pair_arguments;

/* x = x factor, a number that stands in the device's memory */
typedef struct scale_arguments {
    int64_t count;
    const float *factor;
    float *x;
} scale_arguments;

/* y = value, or x [columns] row after row; or w x scale [columns] */
typedef struct rows_arguments {
    int64_t count;
    int64_t columns;
    const float *x;     /* NULL = value */
    const float *scale; /* NULL = 1 */
    float value;
    int32_t storage; /* of y, enum storage */
    void *y;
} rows_arguments;

/* From one storage to another. */
typedef struct convert_arguments {
    int64_t count;
    int32_t from_storage, to_storage;
    const void *from;
    void *to;
} convert_arguments;

typedef struct permute_arguments {
    int64_t count;
    int32_t rank;
    int64_t shape[4];  /* of y */
    int64_t stride[4]; /* in x, of y's axes */
    int32_t x_storage, y_storage;
    const void *x;
    void *y;
} permute_arguments;

typedef struct dropout_arguments {
    int64_t count;
    const int64_t *counter; /* {seed, step} */
    double rate;
    uint32_t layer;
    const float *x;
    float *y;
} dropout_arguments;

/* scale = gamma / sqrt(variance + epsilon), shift = beta - mean scale */
typedef struct fold_arguments {
    int64_t count;
    double epsilon;
    const float *gamma, *beta, *mean, *variance;
    float *scale, *shift;
} fold_arguments;

/* running = running momentum + batch (1 - momentum), twice */
typedef struct running_arguments {
    int64_t count;
    float momentum;
    float *running[2];
    const float *batch[2];
} running_arguments;

KERNEL_FORMS_DECLARE(deep__kernel_relu, pair_arguments)
KERNEL_FORMS_DECLARE(deep__kernel_relu_grad, pair_arguments)  /* a = dy where b = y is above 0 */
KERNEL_FORMS_DECLARE(deep__kernel_scaled_add, pair_arguments) /* factor a + b */
KERNEL_DECLARE(deep__kernel_convert, convert_arguments)
KERNEL_DECLARE(deep__kernel_scale, scale_arguments)
KERNEL_DECLARE(deep__kernel_rows, rows_arguments)
KERNEL_DECLARE(deep__kernel_permute, permute_arguments)
KERNEL_DECLARE(deep__kernel_dropout, dropout_arguments)
KERNEL_DECLARE(deep__kernel_fold, fold_arguments)
KERNEL_DECLARE(deep__kernel_running, running_arguments)

#endif
