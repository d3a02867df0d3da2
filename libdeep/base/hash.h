/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_HASH_H
#define DEEP_BASE_HASH_H

/* Checksums: XXH3 (64 bits) tells damage, SHA-256 is an identity. */
#include <stddef.h>
#include <stdint.h>

enum { DEEP_XXH3_HEX_SIZE = 17, DEEP_SHA256_SIZE = 32, DEEP_SHA256_HEX_SIZE = 65 }; /* hex sizes include the NUL */

uint64_t deep__xxh3(const void *data, size_t size);

/* XXH3 in 16 lower-case hexadecimal digits, most significant first. */
void deep__xxh3_hex(char hex[DEEP_XXH3_HEX_SIZE], const void *data, size_t size);

void deep__sha256(uint8_t digest[DEEP_SHA256_SIZE], const void *data, size_t size);

void deep__sha256_hex(char hex[DEEP_SHA256_HEX_SIZE], const void *data, size_t size);

#endif
