/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

#include <sys/types.h> /* sha2.h uses off_t */

#include <sha2.h>
#include <xxhash.h>

static const char digits[] = "0123456789abcdef";

uint64_t deep__xxh3(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

void deep__xxh3_hex(char hex[DEEP_XXH3_HEX_SIZE], const void *data, size_t size)
{
    const uint64_t hash = deep__xxh3(data, size);
    for (unsigned i = 0; i < 16; ++i)
        hex[i] = digits[hash >> (60 - 4 * i) & 15];
    hex[16] = '\0';
}

void deep__sha256(uint8_t digest[DEEP_SHA256_SIZE], const void *data, size_t size)
{
    SHA2_CTX state;
    SHA256Init(&state);
    SHA256Update(&state, data, size);
    SHA256Final(digest, &state);
}

void deep__sha256_hex(char hex[DEEP_SHA256_HEX_SIZE], const void *data, size_t size)
{
    uint8_t digest[DEEP_SHA256_SIZE];
    deep__sha256(digest, data, size);
    for (unsigned i = 0; i < DEEP_SHA256_SIZE; ++i) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * DEEP_SHA256_SIZE] = '\0';
}
