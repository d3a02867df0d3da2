/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_FILE_H
#define DEEP_BASE_FILE_H

/* Whole files in and out. Every error text names the path. */
#include "memory.h"

/* Reads a regular file of at most `limit` bytes; the caller frees `*data`, which has a NUL behind its `*size` bytes. */
deep_status deep__file_read(void **data, size_t *size, const deep_allocator *allocator, const char *path, size_t limit);

/* Opens a regular file of at most `limit` bytes for deep__file_read_at(); the caller closes `*fd`. */
deep_status deep__file_open(int *fd, size_t *size, const char *path, size_t limit);

/* Reads exactly `size` bytes from `offset` on. */
deep_status deep__file_read_at(int fd, void *data, size_t size, size_t offset, const char *path);

/* A file being written beside its place. Zero-initialise. */
typedef struct deep_file_writer {
    const deep_allocator *allocator;
    char *path;      /* where it will stand */
    char *temporary; /* where it stands until then */
    int fd;          /* -1 when closed */
} deep_file_writer;

/* Creates a temporary file in the same folder; `expected_size` bytes are reserved, so that a full disk shows now (0 =
 * unknown). */
deep_status deep__file_writer_open(deep_file_writer *writer, const deep_allocator *allocator, const char *path,
                                   size_t expected_size);

deep_status deep__file_writer_write(deep_file_writer *writer, const void *data, size_t size);

/* Syncs, renames over `path`, syncs the folder; with `previous` the file there before is kept under that name. */
deep_status deep__file_writer_commit(deep_file_writer *writer, const char *previous);

/* Removes the temporary file if it is still there; always call it. */
void deep__file_writer_close(deep_file_writer *writer);

/* Open, write, commit, close. */
deep_status deep__file_write(const deep_allocator *allocator, const char *path, const void *data, size_t size);

#endif
