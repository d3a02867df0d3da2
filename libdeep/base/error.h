/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_ERROR_H
#define DEEP_BASE_ERROR_H

#include <deep/status.h>
#include <inttypes.h>
#include <stddef.h>

enum { DEEP_ERROR_TEXT_SIZE = 1024 }; /* the NUL included */

#define DEEP_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Puts one line into the thread's error text and returns `status`. */
deep_status deep__fail(deep_status status, const char *format, ...) DEEP_PRINTF(2, 3);

/* As deep__fail(), followed by ": " and the system's text for `error`, a value of errno. */
deep_status deep__fail_errno(deep_status status, int error, const char *format, ...) DEEP_PRINTF(3, 4);

/* Puts "<prefix>: " before the thread's error text when `status` is an error; returns `status`. */
deep_status deep__fail_within(deep_status status, const char *prefix);

/* Leaves the function when nothing is held. */
#define DEEP_TRY(expression)                                                                                           \
    do {                                                                                                               \
        const deep_status deep_try_ = (expression);                                                                    \
        if (deep_try_ != DEEP_OK) return deep_try_;                                                                    \
    } while (0)

/* Validates an argument at the public boundary. */
#define DEEP_REQUIRE(condition, ...)                                                                                   \
    do {                                                                                                               \
        if (!(condition)) return deep__fail(DEEP_ERROR_INVALID_ARGUMENT, __VA_ARGS__);                                 \
    } while (0)

/* Validates and clears an out parameter of a constructor. */
#define DEEP_REQUIRE_OUT(out)                                                                                          \
    do {                                                                                                               \
        if ((out) == NULL) return deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "%s: %s is NULL", __func__, #out);           \
        *(out) = NULL;                                                                                                 \
    } while (0)

#endif
