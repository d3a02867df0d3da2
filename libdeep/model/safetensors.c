/* SPDX-License-Identifier: Apache-2.0 */
#include "safetensors.h"

#include "base/checked.h"
#include "base/file.h"
#include "base/hash.h"
#include "core/tensor.h"
#include "data/sort.h"

#include <string.h>
#include <unistd.h>

enum { LENGTH_SIZE = 8 };                        /* of the header's size at the start */
static const size_t max_header_size = 100000000; /* the format's own limit */

static const char *const dtype_names[] = {
    [DEEP_DTYPE_F32] = "F32", [DEEP_DTYPE_BF16] = "BF16", [DEEP_DTYPE_F64] = "F64", [DEEP_DTYPE_U8] = "U8",
    [DEEP_DTYPE_I32] = "I32", [DEEP_DTYPE_I64] = "I64",   [DEEP_DTYPE_I8] = "I8",   [DEEP_DTYPE_F16] = "F16",
};

const char *deep__safetensors_dtype(int32_t dtype)
{
    return deep__dtype_size(dtype) == 0 ? "?" : dtype_names[dtype];
}

int32_t deep__safetensors_find_dtype(const char *name)
{
    for (int32_t dtype = DEEP_DTYPE_F32; dtype <= DEEP_DTYPE_F16; ++dtype)
        if (strcmp(name, dtype_names[dtype]) == 0) return dtype;
    return 0;
}

bool deep__safetensors_bytes(const deep_safetensor *tensor, size_t *bytes)
{
    *bytes = deep__dtype_size(tensor->dtype);
    if (*bytes == 0 || tensor->rank < 0 || tensor->rank > DEEP_MAX_RANK) return false;
    for (int32_t axis = 0; axis < tensor->rank; ++axis)
        if (tensor->shape[axis] < 1 || !deep__mul_size(*bytes, (size_t)tensor->shape[axis], bytes)) return false;
    return *bytes <= PTRDIFF_MAX;
}

/* ---- the header ---- */

static deep_status parse_shape(deep_safetensor *tensor, const deep_json *shape)
{
    if (deep__json_kind(shape) != DEEP_JSON_ARRAY)
        return deep__fail(DEEP_ERROR_FORMAT, "tensor %s: shape is not an array", tensor->name);
    const size_t rank = deep__json_count(shape);
    if (rank > DEEP_MAX_RANK)
        return deep__fail(DEEP_ERROR_LIMIT, "tensor %s: rank %zu, the limit is %d", tensor->name, rank, DEEP_MAX_RANK);
    tensor->rank = (int32_t)rank;
    for (size_t axis = 0; axis < rank; ++axis) {
        int64_t extent;
        if (!deep__json_integer(deep__json_at(shape, axis), &extent) || extent < 0)
            return deep__fail(DEEP_ERROR_FORMAT, "tensor %s: extent of axis %zu is not a whole number", tensor->name,
                              axis);
        if (extent == 0)
            return deep__fail(DEEP_ERROR_UNSUPPORTED, "tensor %s: extent of axis %zu is 0", tensor->name, axis);
        tensor->shape[axis] = extent;
    }
    return DEEP_OK;
}

/* Offsets count from the end of the header; `begin` and `end` are within the file after this. */
static deep_status parse_offsets(deep_safetensor *tensor, const deep_json *offsets, size_t data_size)
{
    int64_t begin, end;
    if (deep__json_count(offsets) != 2 || !deep__json_integer(deep__json_at(offsets, 0), &begin) ||
        !deep__json_integer(deep__json_at(offsets, 1), &end) || begin < 0 || end < 0)
        return deep__fail(DEEP_ERROR_FORMAT, "tensor %s: data_offsets are not two whole numbers", tensor->name);
    if (begin > end)
        return deep__fail(DEEP_ERROR_FORMAT, "tensor %s: begins at %" PRId64 ", behind its end at %" PRId64,
                          tensor->name, begin, end);
    if ((uint64_t)end > data_size)
        return deep__fail(DEEP_ERROR_TRUNCATED, "tensor %s: ends at byte %" PRId64 " of %zu", tensor->name, end,
                          data_size);
    size_t bytes;
    if (!deep__safetensors_bytes(tensor, &bytes) || bytes != (uint64_t)(end - begin))
        return deep__fail(DEEP_ERROR_FORMAT, "tensor %s: %" PRId64 " bytes do not fit its shape", tensor->name,
                          end - begin);
    tensor->offset = (size_t)begin;
    tensor->size = bytes;
    return DEEP_OK;
}

static deep_status parse_tensor(deep_safetensor *tensor, const char *name, const deep_json *entry, size_t data_size)
{
    *tensor = (deep_safetensor){.name = name};
    const char *dtype = deep__json_string(deep__json_get(entry, "dtype"));
    if (dtype == NULL || deep__json_count(entry) != 3)
        return deep__fail(DEEP_ERROR_FORMAT, "tensor %s: its entry is not dtype, shape and data_offsets", name);
    tensor->dtype = deep__safetensors_find_dtype(dtype);
    if (tensor->dtype == 0) return deep__fail(DEEP_ERROR_UNSUPPORTED, "tensor %s: dtype %s", name, dtype);
    DEEP_TRY(parse_shape(tensor, deep__json_get(entry, "shape")));
    return parse_offsets(tensor, deep__json_get(entry, "data_offsets"), data_size);
}

static deep_status check_pairs(const deep_json *pairs)
{
    if (deep__json_kind(pairs) != DEEP_JSON_OBJECT)
        return deep__fail(DEEP_ERROR_FORMAT, "__metadata__ is not an object");
    for (void *pair = deep__json_next(pairs, NULL); pair != NULL; pair = deep__json_next(pairs, pair))
        if (deep__json_string(deep__json_value(pair)) == NULL)
            return deep__fail(DEEP_ERROR_FORMAT, "__metadata__.%s is not a string", deep__json_key(pair));
    return DEEP_OK;
}

static int by_offset(const void *a, const void *b)
{
    const deep_safetensor *first = a, *second = b;
    return (first->offset > second->offset) - (first->offset < second->offset);
}

/* Every byte of the data belongs to exactly one tensor. Makes offsets count from the start of the file. */
static deep_status check_tiling(deep_safetensors *file, size_t data_start, size_t data_size)
{
    deep__sort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_offset);
    size_t end = 0;
    for (int32_t i = 0; i < file->count; ++i) {
        deep_safetensor *tensor = &file->tensors[i];
        if (tensor->offset != end)
            return deep__fail(DEEP_ERROR_FORMAT, "tensor %s: begins at byte %zu, the one before ends at %zu",
                              tensor->name, tensor->offset, end);
        end += tensor->size;
        tensor->offset += data_start;
    }
    if (end != data_size) return deep__fail(DEEP_ERROR_FORMAT, "%zu bytes behind the last tensor", data_size - end);
    return DEEP_OK;
}

static deep_status parse_tensors(deep_safetensors *file, size_t data_size)
{
    const size_t entries = deep__json_count(file->header);
    if (entries > INT32_MAX) return deep__fail(DEEP_ERROR_LIMIT, "%zu tensors", entries);
    DEEP_TRY(deep__alloc(&file->tensors, file->allocator, entries, sizeof *file->tensors, "tensor table"));
    for (void *entry = deep__json_next(file->header, NULL); entry != NULL;
         entry = deep__json_next(file->header, entry)) {
        const char *name = deep__json_key(entry);
        if (strcmp(name, "__metadata__") == 0) {
            DEEP_TRY(check_pairs(deep__json_value(entry)));
            continue;
        }
        DEEP_TRY(parse_tensor(&file->tensors[file->count], name, deep__json_value(entry), data_size));
        ++file->count;
    }
    return DEEP_OK;
}

static deep_status parse_header(deep_safetensors *file, const char *text, size_t size)
{
    if (size == 0 || text[0] != '{') return deep__fail(DEEP_ERROR_FORMAT, "the header is not a JSON object");
    DEEP_TRY(deep__fail_within(deep__json_parse(&file->header, text, size, max_header_size), "header"));
    const size_t data_start = LENGTH_SIZE + size;
    const size_t data_size = file->size - data_start;
    DEEP_TRY(parse_tensors(file, data_size));
    return check_tiling(file, data_start, data_size);
}

/* ---- reading ---- */

static deep_status read_bytes(const deep_safetensors *file, void *out, size_t size, size_t offset)
{
    if (file->memory == NULL) return deep__file_read_at(file->fd, out, size, offset, file->name);
    memcpy(out, file->memory + offset, size);
    return DEEP_OK;
}

static deep_status read_header_size(const deep_safetensors *file, size_t *size)
{
    uint8_t bytes[LENGTH_SIZE];
    uint64_t value = 0;
    if (file->size < LENGTH_SIZE)
        return deep__fail(DEEP_ERROR_TRUNCATED, "%zu bytes, not even the header's size", file->size);
    DEEP_TRY(read_bytes(file, bytes, sizeof bytes, 0));
    for (int i = LENGTH_SIZE - 1; i >= 0; --i)
        value = value << 8 | bytes[i];
    if (value > max_header_size)
        return deep__fail(DEEP_ERROR_LIMIT, "header of %" PRIu64 " bytes, the limit is %zu", value, max_header_size);
    if (value > file->size - LENGTH_SIZE)
        return deep__fail(DEEP_ERROR_TRUNCATED, "header of %" PRIu64 " bytes in a file of %zu", value, file->size);
    *size = (size_t)value;
    return DEEP_OK;
}

static deep_status load_header(deep_safetensors *file)
{
    size_t size = 0;
    DEEP_TRY(read_header_size(file, &size));
    if (file->memory != NULL) return parse_header(file, (const char *)file->memory + LENGTH_SIZE, size);
    char *text;
    DEEP_TRY(deep__alloc(&text, file->allocator, size, 1, "model header"));
    deep_status status = read_bytes(file, text, size, LENGTH_SIZE);
    if (status == DEEP_OK) status = parse_header(file, text, size);
    deep__free(file->allocator, text);
    return status;
}

static deep_status finish_open(deep_safetensors *file)
{
    const deep_status status = deep__fail_within(load_header(file), file->name);
    if (status != DEEP_OK) deep__safetensors_close(file);
    return status;
}

deep_status deep__safetensors_open_file(deep_safetensors *file, const deep_allocator *allocator, const char *path,
                                        size_t limit)
{
    *file = (deep_safetensors){.allocator = allocator, .name = path, .fd = -1};
    DEEP_TRY(deep__file_open(&file->fd, &file->size, path, limit));
    return finish_open(file);
}

deep_status deep__safetensors_open_memory(deep_safetensors *file, const deep_allocator *allocator, const void *data,
                                          size_t size, size_t limit)
{
    *file = (deep_safetensors){.allocator = allocator, .name = "memory", .memory = data, .fd = -1, .size = size};
    if (size > limit) return deep__fail(DEEP_ERROR_LIMIT, "memory: %zu bytes, the limit is %zu", size, limit);
    return finish_open(file);
}

void deep__safetensors_close(deep_safetensors *file)
{
    if (file->fd >= 0) close(file->fd);
    deep__json_free(file->header);
    if (file->allocator != NULL) deep__free(file->allocator, file->tensors);
    *file = (deep_safetensors){.fd = -1};
}

const deep_safetensor *deep__safetensors_find(const deep_safetensors *file, const char *name)
{
    for (int32_t i = 0; i < file->count; ++i)
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    return NULL;
}

const char *deep__safetensors_metadata(const deep_safetensors *file, const char *key)
{
    return deep__json_string(deep__json_get(deep__json_get(file->header, "__metadata__"), key));
}

static deep_status check_sum(const deep_safetensors *file, const deep_safetensor *tensor, const void *data,
                             const deep_json *checksums)
{
    char hex[DEEP_XXH3_HEX_SIZE];
    const char *stored = deep__json_string(deep__json_get(checksums, tensor->name));
    if (stored == NULL) return deep__fail(DEEP_ERROR_FORMAT, "%s: tensor %s has no checksum", file->name, tensor->name);
    deep__xxh3_hex(hex, data, tensor->size);
    if (strcmp(hex, stored) != 0)
        return deep__fail(DEEP_ERROR_CHECKSUM, "%s: tensor %s has checksum %s, %.32s is stored", file->name,
                          tensor->name, hex, stored);
    return DEEP_OK;
}

deep_status deep__safetensors_read(const deep_safetensors *file, const deep_safetensor *tensor, void *out,
                                   const deep_json *checksums)
{
    DEEP_TRY(read_bytes(file, out, tensor->size, tensor->offset));
    return checksums == NULL ? DEEP_OK : check_sum(file, tensor, out, checksums);
}

deep_status deep__safetensors_checksums(deep_json **out, const deep_safetensor *tensors, int32_t count)
{
    deep_json *sums = deep__json_new_object();
    deep_status status = sums == NULL ? deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: checksums") : DEEP_OK;
    for (int32_t i = 0; i < count && status == DEEP_OK; ++i) {
        char hex[DEEP_XXH3_HEX_SIZE];
        deep__xxh3_hex(hex, tensors[i].data, tensors[i].size);
        status = deep__json_set(sums, tensors[i].name, deep__json_new_string(hex));
    }
    if (status != DEEP_OK) deep__json_free(sums);
    *out = status == DEEP_OK ? sums : NULL;
    return status;
}
