/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_FILE_H
#define DEEP_BASE_FILE_H

/* Reading whole files. Every error text names the path. */
#include "memory.h"

/* Reads a regular file of at most `limit` bytes; the caller frees `*data`, which has a NUL behind its `*size` bytes. */
deep_status deep__file_read(void **data, size_t *size, const deep_allocator *allocator, const char *path, size_t limit);

/* Opens a regular file of at most `limit` bytes for deep__file_read_at(); the caller closes `*fd`. */
deep_status deep__file_open(int *fd, size_t *size, const char *path, size_t limit);

/* Reads exactly `size` bytes from `offset` on. */
deep_status deep__file_read_at(int fd, void *data, size_t size, size_t offset, const char *path);

#endif
