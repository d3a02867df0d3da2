/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_FUZZ_IMAGE_H
#define DEEP_FUZZ_IMAGE_H

#include "core/context.h"
#include "fuzz.h"

#include <deep/image.h>

/* Decodes `data`, resizes what came out, and reads every byte of it, so that a sanitizer sees what is uninitialised. */
static inline void fuzz_image(const uint8_t *data, size_t size, int32_t truncation)
{
    const deep_context_options limits = {DEEP_CONTEXT_OPTIONS_INIT, .max_pixels = 1 << 17,
                                         .max_decoder_bytes = 32 << 20};
    const deep_image_options options = {DEEP_IMAGE_OPTIONS_INIT, .truncation = truncation};
    static volatile uint64_t sink;
    deep_context *context = NULL;
    deep_image *image = NULL, *square = NULL;
    uint64_t sum = 0;
    if (deep__context_create(&context, &limits) != DEEP_OK) return;
    if (deep_image_decode(&image, context, data, size, &options) == DEEP_OK) {
        const int64_t bytes = deep_image_stride(image) * deep_image_height(image);
        for (int64_t i = 0; i < bytes; ++i)
            sum += deep_image_data(image)[i];
        if (deep_image_fit(&square, image, 9, DEEP_FILTER_AREA, DEEP_FIT_PAD) == DEEP_OK)
            sum += deep_image_data(square)[40];
    }
    sink = sum;
    (void)sink;
    deep_image_free(square);
    deep_image_free(image);
    deep_context_free(context);
}

#endif
