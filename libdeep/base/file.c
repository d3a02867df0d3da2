/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_CLOEXEC, O_DIRECTORY */
#include "file.h"

#include "checked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static deep_status fail_open(int error, const char *path)
{
    const bool missing = error == ENOENT || error == ENOTDIR;
    return deep__fail_errno(missing ? DEEP_ERROR_NOT_FOUND : DEEP_ERROR_IO, error, "%s: cannot open", path);
}

static deep_status check_regular(int fd, const char *path, size_t limit, size_t *size)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return deep__fail_errno(DEEP_ERROR_IO, errno, "%s: cannot examine", path);
    if (!S_ISREG(info.st_mode)) return deep__fail(DEEP_ERROR_IO, "%s: is not a regular file", path);
    *size = (size_t)info.st_size;
    if (*size > limit) return deep__fail(DEEP_ERROR_LIMIT, "%s: has %zu bytes, the limit is %zu", path, *size, limit);
    return DEEP_OK;
}

deep_status deep__file_open(int *fd, size_t *size, const char *path, size_t limit)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
    if (*fd < 0) return fail_open(errno, path);
    const deep_status status = check_regular(*fd, path, limit, size);
    if (status != DEEP_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

deep_status deep__file_read_at(int fd, void *data, size_t size, size_t offset, const char *path)
{
    char *bytes = data;
    for (size_t done = 0; done < size;) {
        const ssize_t got = pread(fd, bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return deep__fail_errno(DEEP_ERROR_IO, errno, "%s: cannot read", path);
        if (got == 0) return deep__fail(DEEP_ERROR_IO, "%s: shrank while it was read", path);
        done += (size_t)got;
    }
    return DEEP_OK;
}

deep_status deep__file_read(void **data, size_t *size, const deep_allocator *allocator, const char *path, size_t limit)
{
    *data = NULL;
    *size = 0;
    int fd;
    size_t bytes = 0;
    DEEP_TRY(deep__file_open(&fd, &bytes, path, limit));
    char *content = NULL;
    deep_status status = deep__alloc(&content, allocator, bytes + 1, 1, path);
    if (status == DEEP_OK) status = deep__file_read_at(fd, content, bytes, 0, path);
    close(fd);
    if (status != DEEP_OK) {
        deep__free(allocator, content);
        return status;
    }
    content[bytes] = '\0';
    *data = content;
    *size = bytes;
    return DEEP_OK;
}

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

deep_status deep__file_writer_write(deep_file_writer *writer, const void *data, size_t size)
{
    const char *bytes = data;
    for (size_t done = 0; done < size;) {
        const ssize_t put = write(writer->fd, bytes + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return deep__fail_errno(DEEP_ERROR_IO, errno, "%s: cannot write", writer->path);
        done += (size_t)put;
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
