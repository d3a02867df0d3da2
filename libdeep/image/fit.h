/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_FIT_H
#define DEEP_IMAGE_FIT_H

#include "image/image.h"

typedef struct deep_rectangle {
    int32_t x, y, width, height;
} deep_rectangle;

/* Where DEEP_FIT_PAD puts an image in a square, and the colour around it, for each of the image's channels. */
deep_rectangle deep__fit_rectangle(const deep_image *image, int32_t side, uint8_t colour[3]);

#endif
