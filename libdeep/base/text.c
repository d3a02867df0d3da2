/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include "checked.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool reserve(deep_text *text, size_t more)
{
    size_t wanted;
    if (text->status != DEEP_OK) return false;
    if (!deep__add_size(text->length, more, &wanted) || !deep__add_size(wanted, 1, &wanted)) {
        text->status = deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "text of %zu bytes", more);
        return false;
    }
    const size_t used = text->data == NULL ? 0 : text->length + 1;
    text->status = deep__grow(&text->data, text->allocator, used, &text->capacity, wanted, 1, "text");
    return text->status == DEEP_OK;
}

void deep__text_append(deep_text *text, const char *bytes, size_t length)
{
    if (!reserve(text, length)) return;
    if (length > 0) memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void deep__text_printf(deep_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    if (length >= 0 && reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

void deep__text_free(deep_text *text)
{
    deep__free(text->allocator, text->data);
    *text = deep__text(text->allocator);
}

bool deep__text_line(const char **cursor, const char *end, const char **line, size_t *length)
{
    if (*cursor >= end) return false;
    const char *newline = memchr(*cursor, '\n', (size_t)(end - *cursor));
    const char *stop = newline == NULL ? end : newline;
    *line = *cursor;
    *cursor = newline == NULL ? end : newline + 1;
    if (stop > *line && stop[-1] == '\r') --stop;
    *length = (size_t)(stop - *line);
    return true;
}

/* Bytes of the sequence that begins at `bytes`, 0 when it is malformed (RFC 3629's table). */
static size_t utf8_sequence(const unsigned char *bytes, size_t left)
{
    const unsigned char lead = bytes[0];
    if (lead == 0) return 0;
    if (lead < 0x80) return 1;
    const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || left < size) return 0;
    for (size_t i = 1; i < size; ++i)
        if ((bytes[i] & 0xC0) != 0x80) return 0;
    if (lead == 0xE0 && bytes[1] < 0xA0) return 0;
    if (lead == 0xED && bytes[1] > 0x9F) return 0;
    if (lead == 0xF0 && bytes[1] < 0x90) return 0;
    if (lead == 0xF4 && bytes[1] > 0x8F) return 0;
    return size;
}

bool deep__text_is_utf8(const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        const size_t size = utf8_sequence((const unsigned char *)text + i, length - i);
        if (size == 0) return false;
        i += size;
    }
    return true;
}

bool deep__text_to_i64(const char *text, size_t length, int64_t *value)
{
    const bool negative = length > 0 && text[0] == '-';
    size_t i = negative ? 1 : 0;
    int64_t sum = 0;
    if (i == length) return false;
    for (; i < length; ++i) {
        if (text[i] < '0' || text[i] > '9') return false;
        const int64_t digit = text[i] - '0';
        if (!deep__mul_i64(sum, 10, &sum) || !deep__add_i64(sum, negative ? -digit : digit, &sum)) return false;
    }
    *value = sum;
    return true;
}
