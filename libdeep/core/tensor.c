/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor.h"

#include "base/checked.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [DEEP_DTYPE_F32] = {"f32", 4}, [DEEP_DTYPE_BF16] = {"bf16", 2}, [DEEP_DTYPE_F64] = {"f64", 8},
    [DEEP_DTYPE_U8] = {"u8", 1},   [DEEP_DTYPE_I32] = {"i32", 4},   [DEEP_DTYPE_I64] = {"i64", 8},
    [DEEP_DTYPE_I8] = {"i8", 1},   [DEEP_DTYPE_F16] = {"f16", 2},
};

static bool is_dtype(int32_t dtype)
{
    return dtype >= DEEP_DTYPE_F32 && dtype <= DEEP_DTYPE_F16;
}

size_t deep__dtype_size(int32_t dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].size : 0;
}

const char *deep__dtype_name(int32_t dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].name : "?";
}

static deep_status shape_bytes(int32_t dtype, const int64_t *shape, int32_t rank, size_t *bytes)
{
    DEEP_REQUIRE(is_dtype(dtype), "dtype %" PRId32 " is not one of DEEP_DTYPE", dtype);
    DEEP_REQUIRE(rank >= 0 && rank <= DEEP_MAX_RANK, "rank is %" PRId32 ", not 0 to %d", rank, DEEP_MAX_RANK);
    DEEP_REQUIRE(rank == 0 || shape != NULL, "shape is NULL");
    *bytes = dtypes[dtype].size;
    for (int32_t axis = 0; axis < rank; ++axis) {
        DEEP_REQUIRE(shape[axis] >= 1, "extent %" PRId64 " of axis %" PRId32 " is not positive", shape[axis], axis);
        if (!deep__mul_size(*bytes, (size_t)shape[axis], bytes) || *bytes > PTRDIFF_MAX)
            return deep__fail(DEEP_ERROR_LIMIT, "the shape's size overflows at axis %" PRId32, axis);
    }
    return DEEP_OK;
}

static deep_status tensor_new(deep_tensor **out, deep_context *context, int32_t dtype, const int64_t *shape,
                              int32_t rank, size_t bytes)
{
    deep_tensor *tensor;
    DEEP_TRY(deep__alloc_zero(&tensor, &context->allocator, 1, sizeof *tensor, "tensor"));
    tensor->context = context;
    tensor->dtype = dtype;
    tensor->rank = rank;
    tensor->size = bytes;
    if (rank > 0) memcpy(tensor->shape, shape, (size_t)rank * sizeof *shape);
    *out = tensor;
    return DEEP_OK;
}

deep_status deep_tensor_create(deep_tensor **out, deep_context *context, int32_t dtype, const int64_t *shape,
                               int32_t rank)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    size_t bytes;
    DEEP_TRY(shape_bytes(dtype, shape, rank, &bytes));
    deep_tensor *tensor;
    DEEP_TRY(tensor_new(&tensor, context, dtype, shape, rank, bytes));
    const deep_status status = deep__alloc_zero(&tensor->data, &context->allocator, bytes, 1, "tensor elements");
    if (status != DEEP_OK) {
        deep_tensor_free(tensor);
        return status;
    }
    *out = tensor;
    return DEEP_OK;
}

deep_status deep_tensor_wrap(deep_tensor **out, deep_context *context, int32_t dtype, const int64_t *shape,
                             int32_t rank, void *data, size_t size)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    size_t bytes;
    DEEP_TRY(shape_bytes(dtype, shape, rank, &bytes));
    DEEP_REQUIRE(data != NULL, "data is NULL");
    DEEP_REQUIRE(size == bytes, "%zu bytes given, the shape has %zu", size, bytes);
    DEEP_REQUIRE((uintptr_t)data % dtypes[dtype].size == 0, "data is not aligned to %zu bytes", dtypes[dtype].size);
    deep_tensor *tensor;
    DEEP_TRY(tensor_new(&tensor, context, dtype, shape, rank, bytes));
    tensor->data = data;
    tensor->borrowed = true;
    *out = tensor;
    return DEEP_OK;
}

void deep_tensor_free(deep_tensor *tensor)
{
    if (tensor == NULL) return;
    const deep_allocator *allocator = &tensor->context->allocator;
    if (!tensor->borrowed) deep__free(allocator, tensor->data);
    deep__free(allocator, tensor);
}

void *deep_tensor_data(const deep_tensor *tensor)
{
    return tensor == NULL ? NULL : tensor->data;
}

size_t deep_tensor_size(const deep_tensor *tensor)
{
    return tensor == NULL ? 0 : tensor->size;
}

int32_t deep_tensor_dtype(const deep_tensor *tensor)
{
    return tensor == NULL ? 0 : tensor->dtype;
}

int32_t deep_tensor_rank(const deep_tensor *tensor)
{
    return tensor == NULL ? -1 : tensor->rank;
}

int64_t deep_tensor_extent(const deep_tensor *tensor, int32_t axis)
{
    return tensor == NULL || axis < 0 || axis >= tensor->rank ? 0 : tensor->shape[axis];
}
