/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_DIRECT */
#include "file_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEMPORARY_SUFFIX_SIZE = 32 };

/* Not mkstemp(): its files are 0600, and only open() applies the umask without a race. */
static deep_status create_temporary(deep_file_writer *writer)
{
    const size_t length = strlen(writer->path);
    for (unsigned attempt = 0; attempt < 1000; ++attempt) {
        memcpy(writer->temporary, writer->path, length);
        snprintf(writer->temporary + length, TEMPORARY_SUFFIX_SIZE, ".%ld-%u.tmp", (long)getpid(), attempt);
        writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->fd >= 0) return DEEP_OK;
        if (errno != EEXIST) break;
    }
    const int error = errno;
    deep__free(writer->allocator, writer->temporary);
    writer->temporary = NULL; /* not ours to remove */
    return deep__fail_errno(DEEP_ERROR_IO, error, "%s: cannot create", writer->path);
}

deep_status deep__file_writer_open(deep_file_writer *writer, const deep_allocator *allocator, const char *path,
                                   size_t expected_size)
{
    const size_t length = strlen(path);
    *writer = (deep_file_writer){.allocator = allocator, .fd = -1};
    DEEP_TRY(deep__copy_text(&writer->path, allocator, path, length));
    DEEP_TRY(deep__alloc(&writer->temporary, allocator, length + TEMPORARY_SUFFIX_SIZE, 1, "file name"));
    DEEP_TRY(create_temporary(writer));
    const int full = expected_size > 0 ? posix_fallocate(writer->fd, 0, (off_t)expected_size) : 0;
    if (full == ENOSPC || full == EFBIG || full == EDQUOT)
        return deep__fail_errno(DEEP_ERROR_IO, full, "%s: cannot reserve %zu bytes", path, expected_size);
    return DEEP_OK;
}

/* A write past the cache has whole blocks, in memory as in the file; none is larger than a page on today's disks. */
enum { STAGE_ALIGNMENT = 4096, STAGE_BYTES = 8 << 20 };

static void set_direct(int fd, bool direct)
{
#ifdef O_DIRECT
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) (void)fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT); /* refused: cached */
#else
    (void)fd;
    (void)direct;
#endif
}

deep_status deep__file_writer_skip_cache(deep_file_writer *writer)
{
    char *memory;
    DEEP_TRY(deep__alloc(&memory, writer->allocator, STAGE_BYTES + STAGE_ALIGNMENT, 1, "file to be written"));
    writer->stage_memory = memory;
    writer->stage = memory + (STAGE_ALIGNMENT - (uintptr_t)memory % STAGE_ALIGNMENT) % STAGE_ALIGNMENT;
    set_direct(writer->fd, true);
    return DEEP_OK;
}

static deep_status write_all(deep_file_writer *writer, const char *bytes, size_t size)
{
    bool direct = writer->stage != NULL;
    for (size_t done = 0; done < size;) {
        const ssize_t put = write(writer->fd, bytes + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EINVAL && direct) { /* other blocks, or a file system that cannot */
            set_direct(writer->fd, direct = false);
            continue;
        }
        if (put < 0) return deep__fail_errno(DEEP_ERROR_IO, errno, "%s: cannot write", writer->path);
        done += (size_t)put;
    }
    return DEEP_OK;
}

static deep_status write_stage(deep_file_writer *writer)
{
    const size_t size = writer->staged;
    writer->staged = 0;
    if (size % STAGE_ALIGNMENT != 0) set_direct(writer->fd, false); /* the end of the file */
    return write_all(writer, writer->stage, size);
}

deep_status deep__file_writer_write(deep_file_writer *writer, const void *data, size_t size)
{
    const char *bytes = data;
    if (writer->stage == NULL) return write_all(writer, bytes, size);
    while (size > 0) {
        const size_t room = STAGE_BYTES - writer->staged, part = size < room ? size : room;
        memcpy(writer->stage + writer->staged, bytes, part);
        writer->staged += part;
        bytes += part;
        size -= part;
        if (writer->staged == STAGE_BYTES) DEEP_TRY(write_stage(writer));
    }
    return DEEP_OK;
}

static deep_status sync_folder(const deep_file_writer *writer)
{
    char *folder = NULL;
    const char *slash = strrchr(writer->path, '/');
    const size_t length = slash == NULL ? 1 : slash == writer->path ? 1 : (size_t)(slash - writer->path);
    DEEP_TRY(deep__copy_text(&folder, writer->allocator, slash == NULL ? "." : writer->path, length));
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    deep_status status = DEEP_OK;
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) /* some file systems cannot sync a folder */
        status =
            deep__fail_errno(DEEP_ERROR_IO, errno, "%s: written, but the folder could not be synced", writer->path);
    if (fd >= 0) close(fd);
    deep__free(writer->allocator, folder);
    return status;
}

deep_status deep__file_writer_commit(deep_file_writer *writer, const char *previous)
{
    DEEP_TRY(write_stage(writer));
    const off_t end = lseek(writer->fd, 0, SEEK_CUR);
    if (end < 0 || ftruncate(writer->fd, end) != 0 || fsync(writer->fd) != 0)
        return deep__fail_errno(DEEP_ERROR_IO, errno, "%s: cannot sync", writer->path);
    const int fd = writer->fd;
    writer->fd = -1;
    if (close(fd) != 0) return deep__fail_errno(DEEP_ERROR_IO, errno, "%s: cannot close", writer->path);
    if (previous != NULL) { /* a hard link, so that `path` exists at every instant */
        unlink(previous);
        if (link(writer->path, previous) != 0 && errno != ENOENT)
            return deep__fail_errno(DEEP_ERROR_IO, errno, "%s: cannot keep the file before as %s", writer->path,
                                    previous);
    }
    if (rename(writer->temporary, writer->path) != 0)
        return deep__fail_errno(DEEP_ERROR_IO, errno, "%s: cannot rename into place", writer->path);
    deep__free(writer->allocator, writer->temporary);
    writer->temporary = NULL;
    return sync_folder(writer);
}

void deep__file_writer_close(deep_file_writer *writer)
{
    if (writer->fd >= 0) close(writer->fd);
    if (writer->temporary != NULL && writer->allocator != NULL) unlink(writer->temporary);
    if (writer->allocator != NULL) {
        deep__free(writer->allocator, writer->stage_memory);
        deep__free(writer->allocator, writer->temporary);
        deep__free(writer->allocator, writer->path);
    }
    *writer = (deep_file_writer){.fd = -1};
}

deep_status deep__file_write(const deep_allocator *allocator, const char *path, const void *data, size_t size)
{
    deep_file_writer writer;
    deep_status status = deep__file_writer_open(&writer, allocator, path, size);
    if (status == DEEP_OK) status = deep__file_writer_write(&writer, data, size);
    if (status == DEEP_OK) status = deep__file_writer_commit(&writer, NULL);
    deep__file_writer_close(&writer);
    return status;
}
