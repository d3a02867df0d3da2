/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_JSON_OUT_H
#define DEEP_TOOLS_JSON_OUT_H

/* A JSON text under construction. Not named json_*: those are Jansson's, which the library needs to find. The key is NULL for the outermost value and inside arrays. Zero-initialise. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json_out {
    char *data; /* NUL-terminated; NULL while empty */
    size_t length;
    size_t capacity;
    bool needs_comma;
    bool failed; /* out of memory */
} json_out;

void emit_open(json_out *json, const char *key, char bracket); /* '{' or '[' */
void emit_close(json_out *json, char bracket);                 /* '}' or ']' */
void emit_text(json_out *json, const char *key,
               const char *text); /* NULL = null; bytes that are not UTF-8 become U+FFFD */
void emit_int(json_out *json, const char *key, int64_t value);
void emit_bool(json_out *json, const char *key, bool value);
void emit_real(json_out *json, const char *key,
               double value); /* shortest of 17 digits that reads back; null unless finite */
void emit_float(json_out *json, const char *key, float value); /* likewise with 9 digits */

/* Writes the text as one line and empties it; false when memory or the stream failed. */
bool emit_line(json_out *json, FILE *stream);

void emit_free(json_out *json);

#endif
