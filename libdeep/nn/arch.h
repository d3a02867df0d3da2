/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_NN_ARCH_H
#define DEEP_NN_ARCH_H

/* Which parameters an architecture has, in network order. */
#include "base/memory.h"

typedef struct deep_arch {
    const char *name;   /* static string, "xception" or "xception-small" */
    int32_t input_size; /* side of the square input in pixels */
    int32_t head;       /* DEEP_HEAD_* */
    int32_t classes;
    int32_t middle_blocks;
    double width;         /* multiplier of every channel count */
    double dropout;       /* before the last dense layer */
    double epsilon;       /* of batch norm */
    int32_t padding;      /* DEEP_PADDING_* */
    int32_t kernel_count; /* of `kernel_dtypes` */
    const uint8_t
        *kernel_dtypes; /* DEEP_DTYPE_F32, BF16, F16 or I8 for each kernel that is not depthwise, in network order;
                                     NULL = all F32. The model's */
} deep_arch;

typedef struct deep_param_spec {
    char name[64];
    int32_t role; /* DEEP_ROLE_* */
    int32_t rank;
    int64_t shape[4]; /* Keras's layout */
    int64_t elements;
    int32_t dtype;  /* that it is stored in */
    int64_t offset; /* in floats, in the model's one buffer; multiples of 16 */
    bool head;      /* not backbone */
    bool depthwise;
} deep_param_spec;

typedef struct deep_param_list {
    deep_param_spec *specs;
    int32_t count;
    int64_t elements;      /* of the buffer, padding included */
    int32_t kernels;       /* that are not depthwise */
    int64_t multiply_adds; /* of one image's forward pass */
} deep_param_list;

/*
 * Fills the name, middle_blocks and width of an architecture; NULL `name` is the default.
 * DEEP_ERROR_INVALID_ARGUMENT for an unknown name.
 */
deep_status deep__arch_find(deep_arch *arch, const char *name);

/* Checks `arch` and lists its parameters; free with deep__arch_params_free(). */
deep_status deep__arch_params(deep_param_list *out, const deep_arch *arch, const deep_allocator *allocator);

void deep__arch_params_free(deep_param_list *list, const deep_allocator *allocator);

#endif
