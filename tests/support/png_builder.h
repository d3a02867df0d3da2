/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TEST_PNG_BUILDER_H
#define DEEP_TEST_PNG_BUILDER_H

#include "bytes.h"

/* A PNG file, whole or broken in one way. Zero in every field is an 8 x 6 grey image of 8 bits. */
typedef struct png_plan {
    uint32_t width, height; /* 0 = 8 and 6 */
    int depth;              /* 0 = 8 */
    int colour;             /* 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA */
    int interlace;
    uint32_t claim_width; /* IHDR says this instead; ZERO for 0 */
    uint32_t claim_height;
    int compression, filter; /* of IHDR */
    int row_filter;          /* first byte of each row */
    int palette;             /* entries of PLTE; 0 = none, except for colour 3: all that the depth can index */
    int no_palette;          /* 1 = no PLTE all the same */
    int palette_bytes;       /* PLTE's size instead of 3 x entries */
    int transparency;        /* bytes of tRNS */
    const char *extra;       /* type of another chunk before IDAT */
    uint32_t extra_claims;   /* its length field; 0 = the true one */
    const void *extra_data;  /* NULL = zeros */
    size_t extra_size;
    const char *wrong_crc;     /* type of the chunk whose CRC is wrong */
    int wrong_adler;           /* 1 = the zlib stream ends with a wrong checksum */
    int short_data;            /* 1 = the zlib stream holds half the rows */
    size_t surplus;            /* zero bytes behind the last row, compressed */
    int idats;                 /* parts that the zlib stream is cut into; 0 = 1, -1 = no IDAT */
    const char *between_idats; /* type of an empty chunk between them */
    int keep;                  /* bytes of the file; negative = so many less than all; 0 = all */
    const char *cut_in;        /* or: end the file inside this chunk's data */
    const char *trailer;       /* text behind IEND */
} png_plan;

enum { PNG_ZERO = 0x5a5a5a5a }; /* in claim_*: 0 */

bytes png_build(const png_plan *plan);

/* Position of the first chunk of this type (its length field). */
size_t png_find(const bytes *file, const char *type);

/* Sets the CRC of the chunk at `position` to what its content needs. */
void png_repair_crc(bytes *file, size_t position);

#endif
