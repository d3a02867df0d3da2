/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_STATUS_H
#define DEEP_STATUS_H

#include <deep/export.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What every fallible function returns. Values are never renumbered; treat an unknown one as an error. */
typedef int32_t deep_status;

enum {
    DEEP_OK = 0,
    DEEP_ERROR_INVALID_ARGUMENT = 1, /**< The caller broke a rule of the function; the text names it. */
    DEEP_ERROR_OUT_OF_MEMORY = 2,    /**< The context's allocator, or a library's, refused. */
    DEEP_ERROR_IO = 3,               /**< The system could not open, read, write, sync or rename. */
    DEEP_ERROR_FORMAT = 4,           /**< A file or buffer is malformed. */
    DEEP_ERROR_TRUNCATED = 5,        /**< A file or buffer ends too early. */
    DEEP_ERROR_UNSUPPORTED = 6,      /**< Well formed, but not something libdeep does (CMYK, a missing op). */
    DEEP_ERROR_LIMIT = 7,            /**< A limit of the context was exceeded, before anything was allocated. */
    DEEP_ERROR_CHECKSUM = 8,         /**< Stored and computed checksum differ. */
    DEEP_ERROR_VERSION = 9,          /**< Written by a newer format version than this library knows. */
    DEEP_ERROR_DATASET = 10,         /**< The dataset as a whole cannot be used (empty, too many bad images). */
    DEEP_ERROR_DIVERGED = 11,        /**< The loss or a gradient is no longer finite. */
    DEEP_ERROR_CANCELLED = 12,       /**< A callback or deep_context_cancel() asked to stop. */
    DEEP_ERROR_STATE = 13,           /**< The call does not fit the object's present state. */
    DEEP_ERROR_FORKED = 14,          /**< The handle is of another process, or the parent had already computed. */
    DEEP_ERROR_BACKEND = 15,         /**< A backend library failed. */
    DEEP_ERROR_DEVICE = 16,          /**< The device asked for is not there. */
    DEEP_ERROR_NOT_FOUND = 17        /**< No such file, tensor, class or image. */
};

/**
 * Name of a status, such as "DEEP_ERROR_FORMAT".
 *
 * @param status Any value; an unknown one gives "DEEP_ERROR_UNKNOWN".
 * @return A static string. Any thread. Since 0.1.
 */
DEEP_API const char *deep_status_name(deep_status status);

/**
 * Text of the last failure in this thread: one line, with the number, name or path that was wrong.
 *
 * Set only when a call fails; a call that succeeds leaves it alone.
 *
 * @return A string that lives until the next failing call of this thread; "" when there was none. Since 0.1.
 */
DEEP_API const char *deep_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
