/* SPDX-License-Identifier: Apache-2.0 */
#include "png_chunks.h"

#include <string.h>

enum { SIGNATURE_SIZE = 8, CHUNK_FRAME = 12 /* length, type, CRC */, IHDR_SIZE = 13 };

static uint32_t read_32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool is_type(const uint8_t *chunk, const char *type)
{
    return memcmp(chunk + 4, type, 4) == 0;
}

static deep_status read_header(deep_png_chunks *chunks, const uint8_t *data, size_t size)
{
    if (size < SIGNATURE_SIZE + CHUNK_FRAME + IHDR_SIZE)
        return deep__fail(DEEP_ERROR_TRUNCATED, "PNG ends after %zu bytes, inside its header", size);
    const uint8_t *chunk = data + SIGNATURE_SIZE;
    if (!is_type(chunk, "IHDR") || read_32(chunk) != IHDR_SIZE)
        return deep__fail(DEEP_ERROR_FORMAT, "PNG does not begin with an IHDR chunk of %d bytes", IHDR_SIZE);
    chunks->width = read_32(chunk + 8);
    chunks->height = read_32(chunk + 12);
    const bool valid =
        chunks->width >= 1 && chunks->width <= INT32_MAX && chunks->height >= 1 && chunks->height <= INT32_MAX;
    if (!valid)
        return deep__fail(DEEP_ERROR_FORMAT, "PNG of %" PRId64 " x %" PRId64 " pixels", chunks->width, chunks->height);
    return DEEP_OK;
}

deep_status deep__png_scan(deep_png_chunks *chunks, const uint8_t *data, size_t size)
{
    *chunks = (deep_png_chunks){0};
    DEEP_TRY(read_header(chunks, data, size));
    size_t position = SIGNATURE_SIZE;
    while (size - position >= CHUNK_FRAME) {
        const uint8_t *chunk = data + position;
        const uint32_t length = read_32(chunk);
        if (length > INT32_MAX)
            return deep__fail(DEEP_ERROR_FORMAT, "PNG chunk at byte %zu declares %" PRIu32 " bytes", position, length);
        if (length > size - position - CHUNK_FRAME) return DEEP_OK;
        if (is_type(chunk, "eXIf") && chunks->exif == NULL) {
            chunks->exif = chunk + 8;
            chunks->exif_size = length;
        }
        position += CHUNK_FRAME + (size_t)length;
        if (is_type(chunk, "IEND")) {
            chunks->complete = true;
            return DEEP_OK;
        }
    }
    return DEEP_OK;
}
