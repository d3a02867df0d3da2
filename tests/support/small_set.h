/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TEST_SMALL_SET_H
#define DEEP_TEST_SMALL_SET_H

/* A folder of small labelled images that a network can learn to tell apart: stripes across, stripes down, a disc. */
#include "test.h"

#include <deep/deep.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SMALL_SET_SIDE = 24, SMALL_SET_CLASSES = 3 };

static inline uint8_t small_set_pixel(int label, int image, int x, int y)
{
    const int shift = image * 7 % 5, dx = x - 12 + shift, dy = y - 12;
    const int ink = label == 0 ? (y + shift) / 3 % 2 : label == 1 ? (x + shift) / 3 % 2 : dx * dx + dy * dy < 60;
    return (uint8_t)(ink ? 200 - image * 3 % 40 : 20 + image * 5 % 30);
}

static inline void small_set_write(deep_context *context, const char *folder, int per_class)
{
    static const char *const names[SMALL_SET_CLASSES] = {"across", "down", "round"};
    for (int label = 0; label < SMALL_SET_CLASSES; ++label) {
        char path[8192];
        snprintf(path, sizeof path, "%.4000s/%s", folder, names[label]);
        mkdir(path, 0777);
        for (int i = 0; i < per_class; ++i) {
            uint8_t pixels[SMALL_SET_SIDE * SMALL_SET_SIDE];
            for (int p = 0; p < SMALL_SET_SIDE * SMALL_SET_SIDE; ++p)
                pixels[p] = small_set_pixel(label, i, p % SMALL_SET_SIDE, p / SMALL_SET_SIDE);
            deep_pixels wrapped = {DEEP_PIXELS_INIT};
            wrapped.data = pixels;
            wrapped.width = wrapped.height = SMALL_SET_SIDE;
            wrapped.format = DEEP_PIXEL_GRAY8;
            deep_image *image;
            assert_ok(deep_image_wrap(&image, context, &wrapped));
            snprintf(path, sizeof path, "%.4000s/%s/%03d.png", folder, names[label], i);
            assert_ok(deep_image_save_png(image, path));
            deep_image_free(image);
        }
    }
}

#endif
