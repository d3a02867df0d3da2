/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_image.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static uint32_t read_32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Gives each chunk the CRC that it needs; else nearly every input would end at the first one. */
static void repair(uint8_t *data, size_t size)
{
    size_t position = 8;
    while (position + 12 <= size) {
        const size_t length = read_32(data + position);
        if (length > size - position - 12) return;
        const uint32_t crc = (uint32_t)crc32(0, data + position + 4, (uInt)length + 4);
        for (int i = 0; i < 4; ++i)
            data[position + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        position += length + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_image(data, size, DEEP_TRUNCATION_STRICT);
    uint8_t *copy = malloc(size ? size : 1);
    if (copy == NULL) return 0;
    if (size > 0) memcpy(copy, data, size);
    repair(copy, size);
    fuzz_image(copy, size, DEEP_TRUNCATION_STRICT);
    fuzz_image(copy, size, DEEP_TRUNCATION_LENIENT);
    free(copy);
    return 0;
}
