/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_MARKUP_H
#define DEEP_TOOLS_MARKUP_H

#include <stdbool.h>
#include <stddef.h>

/* An HTML text under construction. Zero-initialise. After a failed append it stays failed, so one check at the end is enough. */
typedef struct markup {
    char *data; /* NUL-terminated; NULL while empty */
    size_t length;
    size_t capacity;
    bool failed; /* out of memory */
} markup;

void markup_add(markup *to, const char *text);
void markup_format(markup *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A name or path from outside: `<`, `>`, `&` and quotes become entities, control bytes become spaces. NULL adds nothing. */
void markup_escape(markup *to, const char *text);

/* Escaped, and shortened in the middle to about `most` characters. */
void markup_escape_short(markup *to, const char *text, int most);

void markup_base64(markup *to, const void *data, size_t size);
void markup_free(markup *text);

#endif
