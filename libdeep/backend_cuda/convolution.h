/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_CONVOLUTION_H
#define DEEP_BACKEND_CUDA_CONVOLUTION_H

/* Dense convolutions of one shape in one direction: cuDNN's graph interface, or loops in tests/cuda/. */
#include "backend_cuda/accelerator.h"

typedef struct deep_convolution deep_convolution;

enum deep_direction { DEEP_FORWARD, DEEP_TO_INPUT, DEEP_TO_WEIGHTS };

typedef struct deep_convolution_shape {
    int32_t dtype; /* DEEP_DTYPE_* of x, w and y; sums are float32 in any case */
    int64_t images;
    int64_t height, width, channels;             /* of x */
    int64_t out_height, out_width, out_channels; /* of y */
    int64_t rows, columns;                       /* of the kernel */
    int64_t stride;
    int64_t pad[4]; /* DEEP_PAD_* */
} deep_convolution_shape;

deep_status deep__convolution_create(deep_convolution **out, deep_accelerator *accelerator,
                                     const deep_convolution_shape *shape, enum deep_direction direction);
void deep__convolution_free(deep_convolution *convolution);

/* Bytes. */
size_t deep__convolution_workspace(const deep_convolution *convolution);

/* x, y (or their slopes): NHWC; w (or its gradient): [out channels, rows, columns, channels]. The direction says which is made. */
typedef struct deep_convolution_operands {
    const void *x, *w, *y;
    void *workspace;
} deep_convolution_operands;

deep_status deep__convolution_run(const deep_convolution *convolution, const deep_convolution_operands *operands);

#endif
