/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TEST_BYTES_H
#define DEEP_TEST_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* A growing buffer for files built in memory. Zero-initialise; a test that runs out of memory fails. */
typedef struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
} bytes;

void bytes_append(bytes *to, const void *data, size_t size);
void bytes_byte(bytes *to, int value);
void bytes_u16(bytes *to, uint32_t value); /* big endian, likewise below */
void bytes_u32(bytes *to, uint32_t value);

/* Puts `size` bytes in front of what stands at `position`. */
void bytes_insert(bytes *to, size_t position, const void *data, size_t size);
void bytes_remove(bytes *from, size_t position, size_t size);
void bytes_free(bytes *b);

/* Ends the program when a builder is misused: it also runs outside Check. */
void bytes_require(int condition, const char *what);

#endif
