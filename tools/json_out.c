/* SPDX-License-Identifier: Apache-2.0 */
#include "json_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void append(json_out *json, const char *bytes, size_t length)
{
    if (json->failed) return;
    if (json->length + length + 1 > json->capacity) {
        const size_t capacity = 2 * (json->length + length) + 64;
        char *larger = realloc(json->data, capacity);
        if (larger == NULL) {
            json->failed = true;
            return;
        }
        json->data = larger;
        json->capacity = capacity;
    }
    memcpy(json->data + json->length, bytes, length);
    json->length += length;
    json->data[json->length] = '\0';
}

static void append_text(json_out *json, const char *text)
{
    append(json, text, strlen(text));
}

/* Bytes of a well-formed UTF-8 sequence at `bytes`, 0 for anything else. */
static size_t utf8_length(const unsigned char *bytes)
{
    const unsigned char lead = bytes[0];
    const size_t size = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (size == 1) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    for (size_t i = 1; i < size; ++i)
        if ((bytes[i] & 0xC0) != 0x80) return 0;
    const bool overlong = (lead == 0xE0 && bytes[1] < 0xA0) || (lead == 0xF0 && bytes[1] < 0x90);
    const bool outside = (lead == 0xED && bytes[1] > 0x9F) || (lead == 0xF4 && bytes[1] > 0x8F);
    return overlong || outside ? 0 : size;
}

static void append_character(json_out *json, const char **cursor)
{
    const unsigned char c = (unsigned char)**cursor;
    char escape[8];
    const size_t size = utf8_length((const unsigned char *)*cursor);
    if (size == 0)
        append_text(json, "\\ufffd");
    else if (c == '"' || c == '\\')
        append(json, (char[]){'\\', (char)c}, 2);
    else if (c < 0x20 || c == 0x7F) {
        snprintf(escape, sizeof escape, "\\u%04x", c);
        append_text(json, escape);
    } else
        append(json, *cursor, size);
    *cursor += size == 0 ? 1 : size;
}

static void append_string(json_out *json, const char *text)
{
    append(json, "\"", 1);
    while (*text != '\0')
        append_character(json, &text);
    append(json, "\"", 1);
}

/* The comma and the key before a value. */
static void begin_value(json_out *json, const char *key)
{
    if (json->needs_comma) append_text(json, ", ");
    json->needs_comma = true;
    if (key == NULL) return;
    append_string(json, key);
    append_text(json, ": ");
}

void emit_open(json_out *json, const char *key, char bracket)
{
    begin_value(json, key);
    append(json, &bracket, 1);
    json->needs_comma = false;
}

void emit_close(json_out *json, char bracket)
{
    append(json, &bracket, 1);
    json->needs_comma = true;
}

void emit_text(json_out *json, const char *key, const char *text)
{
    begin_value(json, key);
    if (text == NULL)
        append_text(json, "null");
    else
        append_string(json, text);
}

void emit_int(json_out *json, const char *key, int64_t value)
{
    char digits[32];
    begin_value(json, key);
    snprintf(digits, sizeof digits, "%" PRId64, value);
    append_text(json, digits);
}

void emit_bool(json_out *json, const char *key, bool value)
{
    begin_value(json, key);
    append_text(json, value ? "true" : "false");
}

void emit_real(json_out *json, const char *key, double value)
{
    char digits[40] = "null";
    begin_value(json, key);
    for (int precision = 15; precision <= 17 && isfinite(value); ++precision) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    append_text(json, digits);
}

void emit_float(json_out *json, const char *key, float value)
{
    char digits[40] = "null";
    begin_value(json, key);
    for (int precision = 6; precision <= 9 && isfinite(value); ++precision) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value) break;
    }
    append_text(json, digits);
}

bool emit_line(json_out *json, FILE *stream)
{
    append(json, "\n", 1);
    const bool written =
        !json->failed && fwrite(json->data, 1, json->length, stream) == json->length && fflush(stream) == 0;
    json->length = 0;
    json->needs_comma = false;
    return written;
}

void emit_free(json_out *json)
{
    free(json->data);
    *json = (json_out){0};
}
