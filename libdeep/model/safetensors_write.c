/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "base/file_writer.h"
#include "safetensors.h"

#include <string.h>

enum { LENGTH_SIZE = 8, HEADER_ALIGNMENT = 8 }; /* spaces pad the header, so that the data begin aligned */

static deep_status out_of_memory(void)
{
    return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: model header");
}

/* [first, second], or a shape when `count` is a rank. */
static deep_json *new_integers(const int64_t *values, int32_t count)
{
    deep_json *array = deep__json_new_array();
    for (int32_t i = 0; i < count && array != NULL; ++i)
        if (deep__json_append(array, deep__json_new_integer(values[i])) != DEEP_OK) {
            deep__json_free(array);
            return NULL;
        }
    return array;
}

static deep_status add_tensor(deep_json *header, const deep_safetensor *tensor, size_t *end)
{
    size_t bytes;
    const size_t begin = *end;
    DEEP_REQUIRE(deep__safetensors_bytes(tensor, &bytes) && bytes == tensor->size,
                 "tensor %s: %zu bytes do not fit its shape", tensor->name, tensor->size);
    DEEP_REQUIRE(deep__json_get(header, tensor->name) == NULL, "tensor %s is there twice", tensor->name);
    if (!deep__add_size(begin, bytes, end) || *end > INT64_MAX)
        return deep__fail(DEEP_ERROR_LIMIT, "tensor %s: the file's size overflows", tensor->name);
    deep_json *entry = deep__json_new_object();
    if (entry == NULL) return out_of_memory();
    const int64_t offsets[2] = {(int64_t)begin, (int64_t)*end};
    deep_status status = deep__json_set(entry, "dtype", deep__json_new_string(deep__safetensors_dtype(tensor->dtype)));
    if (status == DEEP_OK) status = deep__json_set(entry, "shape", new_integers(tensor->shape, tensor->rank));
    if (status == DEEP_OK) status = deep__json_set(entry, "data_offsets", new_integers(offsets, 2));
    if (status == DEEP_OK) return deep__json_set(header, tensor->name, entry);
    deep__json_free(entry);
    return status;
}

static deep_status add_pairs(deep_json *header, const deep_safetensors_content *content)
{
    deep_json *pairs = deep__json_new_object();
    if (pairs == NULL) return out_of_memory();
    deep_status status = DEEP_OK;
    for (int32_t i = 0; i < content->pair_count && status == DEEP_OK; ++i)
        status = deep__json_set(pairs, content->pairs[i].key, deep__json_new_string(content->pairs[i].value));
    if (status == DEEP_OK) return deep__json_set(header, "__metadata__", pairs);
    deep__json_free(pairs);
    return status;
}

static deep_status fill_header(deep_json *header, const deep_safetensors_content *content, size_t *data_size)
{
    *data_size = 0;
    DEEP_TRY(add_pairs(header, content));
    for (int32_t i = 0; i < content->tensor_count; ++i)
        DEEP_TRY(add_tensor(header, &content->tensors[i], data_size));
    return DEEP_OK;
}

/* The header's size in front of the header, whose text is then padded. */
static deep_status render_header(deep_text *text, const deep_json *header)
{
    deep__text_append(text, "01234567", LENGTH_SIZE);
    DEEP_TRY(deep__json_dump(text, header));
    while (text->length % HEADER_ALIGNMENT != 0 && text->status == DEEP_OK)
        deep__text_append(text, " ", 1);
    if (text->status != DEEP_OK) return text->status;
    uint64_t size = text->length - LENGTH_SIZE;
    for (int i = 0; i < LENGTH_SIZE; ++i, size >>= 8)
        text->data[i] = (char)(size & 0xff);
    return DEEP_OK;
}

static deep_status make_header(deep_text *text, const deep_safetensors_content *content, size_t *data_size)
{
    deep_json *header = deep__json_new_object();
    if (header == NULL) return out_of_memory();
    deep_status status = fill_header(header, content, data_size);
    if (status == DEEP_OK) status = render_header(text, header);
    deep__json_free(header);
    return status;
}

deep_status deep__safetensors_write_file(const deep_safetensors_content *content, const deep_allocator *allocator,
                                         const char *path, const char *previous)
{
    size_t data_size;
    deep_text header = deep__text(allocator);
    deep_file_writer writer = {.fd = -1};
    deep_status status = make_header(&header, content, &data_size);
    if (status == DEEP_OK) status = deep__file_writer_open(&writer, allocator, path, header.length + data_size);
    if (status == DEEP_OK && previous != NULL) status = deep__file_writer_skip_cache(&writer);
    if (status == DEEP_OK) status = deep__file_writer_write(&writer, header.data, header.length);
    for (int32_t i = 0; i < content->tensor_count && status == DEEP_OK; ++i)
        status = deep__file_writer_write(&writer, content->tensors[i].data, content->tensors[i].size);
    if (status == DEEP_OK) status = deep__file_writer_commit(&writer, previous);
    deep__file_writer_close(&writer);
    deep__text_free(&header);
    return status;
}

static deep_status copy_content(const deep_safetensors_content *content, const deep_text *header, size_t data_size,
                                const deep_allocator *allocator, void **data, size_t *size)
{
    char *bytes;
    if (!deep__add_size(header->length, data_size, size))
        return deep__fail(DEEP_ERROR_LIMIT, "%zu bytes of tensors", data_size);
    DEEP_TRY(deep__alloc(&bytes, allocator, *size, 1, "model file"));
    memcpy(bytes, header->data, header->length);
    char *next = bytes + header->length;
    for (int32_t i = 0; i < content->tensor_count; ++i) {
        memcpy(next, content->tensors[i].data, content->tensors[i].size);
        next += content->tensors[i].size;
    }
    *data = bytes;
    return DEEP_OK;
}

deep_status deep__safetensors_write_memory(const deep_safetensors_content *content, const deep_allocator *allocator,
                                           void **data, size_t *size)
{
    size_t data_size;
    *data = NULL;
    deep_text header = deep__text(allocator);
    deep_status status = make_header(&header, content, &data_size);
    if (status == DEEP_OK) status = copy_content(content, &header, data_size, allocator, data, size);
    deep__text_free(&header);
    return status;
}
