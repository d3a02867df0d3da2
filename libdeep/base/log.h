/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_LOG_H
#define DEEP_BASE_LOG_H

#include "error.h"

#include <deep/context.h>

typedef struct deep_logger {
    deep_log_fn write; /* NULL = no log */
    void *user;
    int32_t level; /* most verbose one delivered */
} deep_logger;

void deep__log(const deep_logger *logger, int32_t level, const char *format, ...) DEEP_PRINTF(3, 4);

#endif
