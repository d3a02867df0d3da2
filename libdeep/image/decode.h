/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_DECODE_H
#define DEEP_IMAGE_DECODE_H

#include "image/image.h"

/* What a decoder is given, and what it leaves. */
typedef struct deep_decode_job {
    deep_context *context;
    const char *name;    /* for the log */
    const uint8_t *data; /* whole file */
    size_t size;
    bool lenient;        /* DEEP_TRUNCATION_LENIENT */
    deep_image *image;   /* as stored, 1 or 3 channels; the caller frees it, also after an error */
    int32_t orientation; /* EXIF's, 1 to 8; 1 = upright */
} deep_decode_job;

/* One file each knows its library. Sizes are checked against the context's limits before anything is allocated. */
deep_status deep__png_decode(deep_decode_job *job);
deep_status deep__jpeg_decode(deep_decode_job *job);

/* Warns that a truncated file was accepted in lenient mode. */
void deep__decode_warn_truncated(const deep_decode_job *job);

#endif
