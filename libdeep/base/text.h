/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_TEXT_H
#define DEEP_BASE_TEXT_H

#include "memory.h"

/* A growing, NUL-terminated string. After a failed append it stays failed, so one check at the end is enough. */
typedef struct deep_text {
    const deep_allocator *allocator;
    char *data;    /* NULL while empty */
    size_t length; /* without the NUL */
    size_t capacity;
    deep_status status;
} deep_text;

static inline deep_text deep__text(const deep_allocator *allocator)
{
    return (deep_text){.allocator = allocator};
}

void deep__text_append(deep_text *text, const char *bytes, size_t length);
void deep__text_printf(deep_text *text, const char *format, ...) DEEP_PRINTF(2, 3);
void deep__text_free(deep_text *text);

/* The next line of `*cursor` (without "\n" or "\r\n"), or false at `end`. */
bool deep__text_line(const char **cursor, const char *end, const char **line, size_t *length);

/* True for well-formed UTF-8 (no overlong forms, no surrogates, no NUL). */
bool deep__text_is_utf8(const char *text, size_t length);

/* A decimal integer over the whole of `text`; false for anything else, and on overflow. Independent of the locale. */
bool deep__text_to_i64(const char *text, size_t length, int64_t *value);

#endif
