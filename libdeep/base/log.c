/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void deep__log(const deep_logger *logger, int32_t level, const char *format, ...)
{
    if (logger->write == NULL || level > logger->level) return;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    logger->write(logger->user, level, line);
}
