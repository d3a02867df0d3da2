/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_COLOUR_H
#define DEEP_IMAGE_COLOUR_H

#include "image/image.h"

/* A copy of `src` with `channels` 1 or 3: grey is repeated, RGB becomes luma of BT.601 as OpenCV and libjpeg have it.
 */
deep_status deep__image_convert(deep_image **out, const deep_image *src, int32_t channels);

#endif
