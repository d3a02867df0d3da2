/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TENSOR_H
#define DEEP_TENSOR_H

#include <deep/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An n-dimensional array in host memory, row-major and dense. Images are NHWC. One thread at a time. */
typedef struct deep_tensor deep_tensor;

/** Element types. */
enum {
    DEEP_DTYPE_F32 = 1,
    DEEP_DTYPE_BF16 = 2,
    DEEP_DTYPE_F64 = 3,
    DEEP_DTYPE_U8 = 4,
    DEEP_DTYPE_I32 = 5,
    DEEP_DTYPE_I64 = 6,
    DEEP_DTYPE_I8 = 7,
    DEEP_DTYPE_F16 = 8
};

/** Largest rank of a tensor. */
#define DEEP_MAX_RANK 8

/**
 * Makes a zero-filled tensor.
 *
 * @param[out] out   The caller frees it with deep_tensor_free(). NULL on error.
 * @param      dtype DEEP_DTYPE_*.
 * @param      shape `rank` extents of at least 1, outermost first; borrowed for the call.
 * @param      rank  0 (a scalar) to DEEP_MAX_RANK.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_LIMIT (the size overflows), DEEP_ERROR_OUT_OF_MEMORY.
 *         Since 0.1.
 */
DEEP_API deep_status deep_tensor_create(deep_tensor **out, deep_context *context, int32_t dtype, const int64_t *shape,
                                        int32_t rank);

/**
 * Makes a tensor over the caller's memory, without a copy.
 *
 * @param[out] out  The caller frees it; the memory stays the caller's and must outlive it. NULL on error.
 * @param      data Row-major elements, aligned to the element size.
 * @param      size Bytes at `data`; must equal the shape's.
 * @return as deep_tensor_create(). Since 0.1.
 */
DEEP_API deep_status deep_tensor_wrap(deep_tensor **out, deep_context *context, int32_t dtype, const int64_t *shape,
                                      int32_t rank, void *data, size_t size);

/** Frees a tensor; NULL is fine. Since 0.1. */
DEEP_API void deep_tensor_free(deep_tensor *tensor);

/** @return First element, or NULL for NULL. Lives as long as the tensor. Since 0.1. */
DEEP_API void *deep_tensor_data(const deep_tensor *tensor);

/** @return Bytes of all elements; 0 for NULL. Since 0.1. */
DEEP_API size_t deep_tensor_size(const deep_tensor *tensor);

/** @return DEEP_DTYPE_*; 0 for NULL. Since 0.1. */
DEEP_API int32_t deep_tensor_dtype(const deep_tensor *tensor);

/** @return Number of axes; -1 for NULL. Since 0.1. */
DEEP_API int32_t deep_tensor_rank(const deep_tensor *tensor);

/** @return Extent of `axis` (0 = outermost); 0 outside the rank. Since 0.1. */
DEEP_API int64_t deep_tensor_extent(const deep_tensor *tensor, int32_t axis);

#ifdef __cplusplus
}
#endif

#endif
