/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "file.h"

#include <errno.h>
#include <fcntl.h>
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
