/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_SAFETENSORS_H
#define DEEP_MODEL_SAFETENSORS_H

/*
 * safetensors files: an 8-byte little-endian header size, a JSON header, then the tensors' bytes without a gap.
 * Models and training checkpoints are such files; both put a checksum of each tensor into the metadata.
 */
#include "base/json.h"

#include <deep/tensor.h>

/* One tensor, to write or as read from the header. */
typedef struct deep_safetensor {
    const char *name; /* a reader's is borrowed from the reader */
    int32_t dtype;    /* DEEP_DTYPE_* */
    int32_t rank;
    int64_t shape[DEEP_MAX_RANK];
    const void *data; /* to write; NULL in a reader */
    size_t size;      /* in bytes; must be the shape's */
    size_t offset;    /* in a reader: from the start of the file */
} deep_safetensor;

/* One entry of __metadata__. */
typedef struct deep_safetensors_pair {
    const char *key;
    const char *value;
} deep_safetensors_pair;

/* What a file consists of; tensors are written in this order. */
typedef struct deep_safetensors_content {
    const deep_safetensor *tensors;
    int32_t tensor_count;
    const deep_safetensors_pair *pairs;
    int32_t pair_count;
} deep_safetensors_content;

/*
 * Replaces `path` in one step. With `previous`, as for checkpoints, the file there before is kept under that name; such files are
 * written often and seldom read, and go past the system's cache.
 */
deep_status deep__safetensors_write_file(const deep_safetensors_content *content, const deep_allocator *allocator,
                                         const char *path, const char *previous);

/* The caller frees `*data`. */
deep_status deep__safetensors_write_memory(const deep_safetensors_content *content, const deep_allocator *allocator,
                                           void **data, size_t *size);

/* A validated file. Every error text begins with its path, or "memory". */
typedef struct deep_safetensors {
    const deep_allocator *allocator;
    const char *name;      /* path, borrowed, or "memory" */
    const uint8_t *memory; /* NULL for a file */
    int fd;                /* -1 for memory */
    size_t size;           /* of the whole file */
    deep_json *header;
    deep_safetensor *tensors; /* by offset */
    int32_t count;
} deep_safetensors;

/*
 * Opens and checks everything but the tensors' values; `path` and `data` must outlive the reader.
 * TRUNCATED when bytes are missing, LIMIT above `limit` bytes, UNSUPPORTED for a dtype or an empty tensor that libdeep
 * lacks, FORMAT for the rest. On error nothing is held.
 */
deep_status deep__safetensors_open_file(deep_safetensors *file, const deep_allocator *allocator, const char *path,
                                        size_t limit);
deep_status deep__safetensors_open_memory(deep_safetensors *file, const deep_allocator *allocator, const void *data,
                                          size_t size, size_t limit);

/* Frees what an open reader holds; harmless on a zeroed one whose fd is -1 and after a failed open. */
void deep__safetensors_close(deep_safetensors *file);

/* NULL when there is none. */
const deep_safetensor *deep__safetensors_find(const deep_safetensors *file, const char *name);
const char *deep__safetensors_metadata(const deep_safetensors *file, const char *key);

/* Copies a tensor's bytes out; with `checksums`, as deep__safetensors_checksums() made it, CHECKSUM when they differ.
 */
deep_status deep__safetensors_read(const deep_safetensors *file, const deep_safetensor *tensor, void *out,
                                   const deep_json *checksums);

/* A JSON object: name -> XXH3 in hexadecimal, of each tensor's bytes. The caller frees it. */
deep_status deep__safetensors_checksums(deep_json **out, const deep_safetensor *tensors, int32_t count);

/* The format's name of a dtype, such as "F32". */
const char *deep__safetensors_dtype(int32_t dtype);

/* DEEP_DTYPE_* for the format's name; 0 when libdeep has no such type. */
int32_t deep__safetensors_find_dtype(const char *name);

/* Bytes of a tensor; false when a dtype, rank or extent is out of range or the size overflows. */
bool deep__safetensors_bytes(const deep_safetensor *tensor, size_t *bytes);

#endif
