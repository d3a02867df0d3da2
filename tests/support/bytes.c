/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_require(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "needed: %s\n", what);
    abort();
}

static void grow(bytes *to, size_t more)
{
    if (to->size + more <= to->capacity) return;
    to->capacity = 2 * (to->size + more) + 64;
    to->data = realloc(to->data, to->capacity);
    bytes_require(to->data != NULL, "memory");
}

void bytes_append(bytes *to, const void *data, size_t size)
{
    grow(to, size);
    if (size > 0) memcpy(to->data + to->size, data, size);
    to->size += size;
}

void bytes_byte(bytes *to, int value)
{
    const uint8_t byte = (uint8_t)value;
    bytes_append(to, &byte, 1);
}

void bytes_u16(bytes *to, uint32_t value)
{
    bytes_byte(to, (int)(value >> 8 & 255));
    bytes_byte(to, (int)(value & 255));
}

void bytes_u32(bytes *to, uint32_t value)
{
    bytes_u16(to, value >> 16);
    bytes_u16(to, value & 65535);
}

void bytes_insert(bytes *to, size_t position, const void *data, size_t size)
{
    bytes_require(position <= to->size, "a place inside the file");
    grow(to, size);
    memmove(to->data + position + size, to->data + position, to->size - position);
    memcpy(to->data + position, data, size);
    to->size += size;
}

void bytes_remove(bytes *from, size_t position, size_t size)
{
    bytes_require(position + size <= from->size, "a range inside the file");
    memmove(from->data + position, from->data + position + size, from->size - position - size);
    from->size -= size;
}

void bytes_free(bytes *b)
{
    free(b->data);
    *b = (bytes){0};
}
