/* SPDX-License-Identifier: Apache-2.0 */
#include "sniff.h"

#include <string.h>

static const struct signature {
    const char *name;
    const char *bytes;
    size_t size;
    int format; /* 0 = known, not decoded */
} signatures[] = {
    {"PNG", "\x89PNG\r\n\x1a\n", 8, DEEP_FORMAT_PNG},
    {"JPEG", "\xff\xd8\xff", 3, DEEP_FORMAT_JPEG},
    {"TIFF", "II*\0", 4, 0},
    {"TIFF", "MM\0*", 4, 0},
    {"GIF", "GIF8", 4, 0},
    {"BMP", "BM", 2, 0},
    {"RIFF (WebP)", "RIFF", 4, 0},
    {"PDF", "%PDF", 4, 0},
    {"ZIP", "PK\3\4", 4, 0},
    {"JPEG 2000", "\0\0\0\x0cjP  ", 8, 0},
    {"HDF5", "\x89HDF\r\n\x1a\n", 8, 0},
};

enum { SIGNATURE_COUNT = sizeof signatures / sizeof signatures[0] };

/* A short file whose bytes begin a signature that libdeep decodes. */
static bool is_cut_signature(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < SIGNATURE_COUNT; ++i)
        if (signatures[i].format != 0 && size < signatures[i].size && memcmp(data, signatures[i].bytes, size) == 0)
            return true;
    return false;
}

deep_status deep__sniff(enum deep_image_format *format, const uint8_t *data, size_t size)
{
    if (size == 0) return deep__fail(DEEP_ERROR_TRUNCATED, "image is empty (0 bytes)");
    if (is_cut_signature(data, size)) return deep__fail(DEEP_ERROR_TRUNCATED, "image has only %zu bytes", size);
    for (size_t i = 0; i < SIGNATURE_COUNT; ++i) {
        const struct signature *known = &signatures[i];
        if (size < known->size || memcmp(data, known->bytes, known->size) != 0) continue;
        if (known->format == 0)
            return deep__fail(DEEP_ERROR_UNSUPPORTED, "is a %s file; PNG and JPEG images are supported", known->name);
        *format = (enum deep_image_format)known->format;
        return DEEP_OK;
    }
    return deep__fail(DEEP_ERROR_FORMAT, "is neither PNG nor JPEG (first byte 0x%02x of %zu)", data[0], size);
}
