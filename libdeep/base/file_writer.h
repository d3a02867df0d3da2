/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_FILE_WRITER_H
#define DEEP_BASE_FILE_WRITER_H

/* Files that replace another one in one step, or not at all. Every error text names the path. */
#include "memory.h"

/* A file being written beside its place. Zero-initialise. */
typedef struct deep_file_writer {
    const deep_allocator *allocator;
    char *path;      /* where it will stand */
    char *temporary; /* where it stands until then */
    int fd;          /* -1 when closed */
    char *stage;     /* bytes that wait for a whole write past the cache; NULL = written at once */
    void *stage_memory;
    size_t staged; /* bytes of it */
} deep_file_writer;

/* Creates a temporary file in the same folder; `expected_size` bytes are reserved, so that a full disk shows now (0 =
 * unknown). */
deep_status deep__file_writer_open(deep_file_writer *writer, const deep_allocator *allocator, const char *path,
                                   size_t expected_size);

/*
 * Before the first write: takes the bytes past the system's file cache, where the file system can do so. For large files that
 * nobody is likely to read soon: filling the cache takes longer than the disk, and pushes out what is needed.
 */
deep_status deep__file_writer_skip_cache(deep_file_writer *writer);

deep_status deep__file_writer_write(deep_file_writer *writer, const void *data, size_t size);

/* Syncs, renames over `path`, syncs the folder; with `previous` the file there before is kept under that name. */
deep_status deep__file_writer_commit(deep_file_writer *writer, const char *previous);

/* Removes the temporary file if it is still there; always call it. */
void deep__file_writer_close(deep_file_writer *writer);

/* Open, write, commit, close. */
deep_status deep__file_write(const deep_allocator *allocator, const char *path, const void *data, size_t size);

#endif
