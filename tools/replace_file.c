/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t put = write(fd, data + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return -1;
        done += (size_t)put;
    }
    return 0;
}

/* `temporary` is written, synced and renamed to `path`; it is gone after a failure. */
static int write_and_rename(const char *path, const char *temporary, const char *data, size_t size)
{
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return -1;
    int failed = write_all(fd, data, size) != 0 || fsync(fd) != 0;
    int error = errno;
    if (close(fd) != 0 && !failed) failed = 1, error = errno;
    if (!failed && rename(temporary, path) != 0) failed = 1, error = errno;
    if (!failed) return 0;
    unlink(temporary);
    errno = error;
    return -1;
}

int replace_file(const char *path, const char *data, size_t size)
{
    const size_t room = strlen(path) + 32;
    char *temporary = malloc(room);
    if (temporary == NULL) return -1;
    snprintf(temporary, room, "%s.%ld.tmp", path, (long)getpid());
    const int result = write_and_rename(path, temporary, data, size);
    free(temporary);
    return result;
}
