/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char error_text[DEEP_ERROR_TEXT_SIZE];

static void keep_one_line(char *text)
{
    for (; *text; ++text)
        if ((unsigned char)*text < 0x20) *text = ' ';
}

deep_status deep__fail(deep_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error_text, sizeof error_text, format, arguments);
    va_end(arguments);
    keep_one_line(error_text);
    return status;
}

deep_status deep__fail_errno(deep_status status, int error, const char *format, ...)
{
    char reason[128] = "unknown error";
    char text[DEEP_ERROR_TEXT_SIZE - sizeof reason - 4];
    if (strerror_r(error, reason, sizeof reason) != 0) snprintf(reason, sizeof reason, "error %d", error);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return deep__fail(status, "%s: %s", text, reason);
}

deep_status deep__fail_within(deep_status status, const char *prefix)
{
    if (status == DEEP_OK) return status;
    char text[DEEP_ERROR_TEXT_SIZE];
    memcpy(text, error_text, sizeof text);
    return deep__fail(status, "%s: %s", prefix, text);
}

const char *deep_last_error(void)
{
    return error_text;
}

const char *deep_status_name(deep_status status)
{
    static const char *const names[] = {
        [DEEP_OK] = "DEEP_OK",
        [DEEP_ERROR_INVALID_ARGUMENT] = "DEEP_ERROR_INVALID_ARGUMENT",
        [DEEP_ERROR_OUT_OF_MEMORY] = "DEEP_ERROR_OUT_OF_MEMORY",
        [DEEP_ERROR_IO] = "DEEP_ERROR_IO",
        [DEEP_ERROR_FORMAT] = "DEEP_ERROR_FORMAT",
        [DEEP_ERROR_TRUNCATED] = "DEEP_ERROR_TRUNCATED",
        [DEEP_ERROR_UNSUPPORTED] = "DEEP_ERROR_UNSUPPORTED",
        [DEEP_ERROR_LIMIT] = "DEEP_ERROR_LIMIT",
        [DEEP_ERROR_CHECKSUM] = "DEEP_ERROR_CHECKSUM",
        [DEEP_ERROR_VERSION] = "DEEP_ERROR_VERSION",
        [DEEP_ERROR_DATASET] = "DEEP_ERROR_DATASET",
        [DEEP_ERROR_DIVERGED] = "DEEP_ERROR_DIVERGED",
        [DEEP_ERROR_CANCELLED] = "DEEP_ERROR_CANCELLED",
        [DEEP_ERROR_STATE] = "DEEP_ERROR_STATE",
        [DEEP_ERROR_FORKED] = "DEEP_ERROR_FORKED",
        [DEEP_ERROR_BACKEND] = "DEEP_ERROR_BACKEND",
        [DEEP_ERROR_DEVICE] = "DEEP_ERROR_DEVICE",
        [DEEP_ERROR_NOT_FOUND] = "DEEP_ERROR_NOT_FOUND",
    };
    const int32_t known = (int32_t)(sizeof names / sizeof names[0]);
    return status >= 0 && status < known ? names[status] : "DEEP_ERROR_UNKNOWN";
}
