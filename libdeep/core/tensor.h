/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_CORE_TENSOR_H
#define DEEP_CORE_TENSOR_H

#include "core/context.h"

#include <deep/tensor.h>

struct deep_tensor {
    deep_context *context;
    void *data;
    size_t size; /* bytes */
    int64_t shape[DEEP_MAX_RANK];
    int32_t dtype;
    int32_t rank;
    bool borrowed; /* data belongs to the caller */
};

/* Bytes of one element; 0 for an unknown type. */
size_t deep__dtype_size(int32_t dtype);

/* "f32" and so on; "?" for an unknown type. */
const char *deep__dtype_name(int32_t dtype);

#endif
