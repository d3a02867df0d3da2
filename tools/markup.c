/* SPDX-License-Identifier: Apache-2.0 */
#include "markup.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `more` bytes and a NUL. */
static bool reserve(markup *to, size_t more)
{
    if (to->failed) return false;
    if (to->capacity - to->length > more) return true;
    const size_t capacity = 2 * (to->length + more) + 256;
    char *data = realloc(to->data, capacity);
    if (data == NULL) {
        to->failed = true;
        return false;
    }
    to->data = data;
    to->capacity = capacity;
    return true;
}

static void add_bytes(markup *to, const char *bytes, size_t count)
{
    if (!reserve(to, count)) return;
    memcpy(to->data + to->length, bytes, count);
    to->length += count;
    to->data[to->length] = '\0';
}

void markup_add(markup *to, const char *text)
{
    add_bytes(to, text, strlen(text));
}

void markup_format(markup *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0 && reserve(to, (size_t)length)) {
        vsnprintf(to->data + to->length, (size_t)length + 1, format, again);
        to->length += (size_t)length;
    }
    va_end(again);
}

static void escape_bytes(markup *to, const char *text, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        switch (text[i]) {
        case '<':
            markup_add(to, "&lt;");
            break;
        case '>':
            markup_add(to, "&gt;");
            break;
        case '&':
            markup_add(to, "&amp;");
            break;
        case '"':
            markup_add(to, "&quot;");
            break;
        case '\'':
            markup_add(to, "&#39;");
            break;
        default:
            add_bytes(to, (unsigned char)text[i] < 0x20 ? " " : text + i, 1);
        }
    }
}

void markup_escape(markup *to, const char *text)
{
    if (text != NULL) escape_bytes(to, text, strlen(text));
}

/* First byte at or behind `at` that begins a UTF-8 character. */
static size_t character_start(const char *text, size_t at)
{
    while (((unsigned char)text[at] & 0xc0) == 0x80)
        ++at;
    return at;
}

void markup_escape_short(markup *to, const char *text, int most)
{
    if (text == NULL) return;
    const size_t length = strlen(text), limit = (size_t)most;
    if (length <= limit) {
        escape_bytes(to, text, length);
        return;
    }
    const size_t head = character_start(text, limit * 2 / 3);
    size_t tail = character_start(text, length - (limit - limit * 2 / 3) + 1);
    if (tail < head) tail = head;
    escape_bytes(to, text, head);
    markup_add(to, "\xe2\x80\xa6");
    escape_bytes(to, text + tail, length - tail);
}

void markup_base64(markup *to, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *from = data;
    if (!reserve(to, size / 3 * 4 + 4)) return;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t bits =
            (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) | (left > 2 ? from[i + 2] : 0u);
        const char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], left > 1 ? digits[bits >> 6 & 63] : '=',
                              left > 2 ? digits[bits & 63] : '='};
        add_bytes(to, four, 4);
    }
}

void markup_free(markup *text)
{
    free(text->data);
    *text = (markup){0};
}
