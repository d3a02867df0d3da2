/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_PNG_CHUNKS_H
#define DEEP_IMAGE_PNG_CHUNKS_H

#include "core/context.h"

/* What a walk over a PNG file's chunk headers finds, before libpng sees the file. */
typedef struct deep_png_chunks {
    int64_t width; /* pixels, 1 to 2^31 - 1 */
    int64_t height;
    bool complete;       /* every chunk is inside the file, up to IEND */
    const uint8_t *exif; /* TIFF structure of the eXIf chunk, or NULL */
    size_t exif_size;
} deep_png_chunks;

/*
 * DEEP_ERROR_FORMAT for chunk lengths above 2^31 - 1, a wrong IHDR or empty sides, DEEP_ERROR_TRUNCATED when the file
 * ends inside IHDR. A file that ends later only leaves `complete` false. Checksums are libpng's business.
 */
deep_status deep__png_scan(deep_png_chunks *chunks, const uint8_t *data, size_t size);

#endif
