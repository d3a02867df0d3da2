/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_SNIFF_H
#define DEEP_IMAGE_SNIFF_H

#include "base/error.h"

#include <stdbool.h>

enum deep_image_format { DEEP_FORMAT_PNG = 1, DEEP_FORMAT_JPEG = 2 };

/*
 * Tells formats apart by their first bytes.
 * DEEP_ERROR_TRUNCATED for less than a signature, DEEP_ERROR_UNSUPPORTED for another known format, else
 * DEEP_ERROR_FORMAT.
 */
deep_status deep__sniff(enum deep_image_format *format, const uint8_t *data, size_t size);

#endif
