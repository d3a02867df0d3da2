/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_EXIF_H
#define DEEP_IMAGE_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* Arguments of deep_image_turn(). */
typedef struct deep_orientation {
    int32_t quarter_turns; /* counter-clockwise */
    int32_t mirror;        /* after turning */
} deep_orientation;

/* Orientation (1 to 8) in the first directory of a TIFF structure, as EXIF 2.3 section 4.6.4 has it; 1 when there is
 * none. */
int32_t deep__exif_orientation(const uint8_t *tiff, size_t size);

/* What makes an image with this orientation upright. */
deep_orientation deep__exif_turn(int32_t orientation);

#endif
