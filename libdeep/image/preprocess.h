/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_PREPROCESS_H
#define DEEP_IMAGE_PREPROCESS_H

/* From an image of any size to the values that the network sees. */
#include "image/image.h"

typedef struct deep_preprocess {
    int32_t mode;     /* DEEP_PREPROCESS_* */
    int32_t filter;   /* DEEP_FILTER_* */
    int32_t fit;      /* DEEP_FIT_* */
    int32_t size;     /* side of the square input, pixels */
    int32_t channels; /* 1 = colour becomes grey first */
    double mean[3];   /* per RGB channel, 0..255 */
    double std[3];    /* above 0; used by DEEP_PREPROCESS_TORCH */
} deep_preprocess;

/* A size x size RGB image, grey repeated; the caller frees it. */
deep_status deep__preprocess_square(deep_image **out, const deep_image *src, const deep_preprocess *preprocess);

/*
 * `out` is size x size x 3 values, HWC, of `square` turned and mirrored as deep_image_turn() does and normalised:
 * tf (x - mean) / 127.5, torch (x - mean) / std, caffe x - mean with the channels in the order BGR.
 */
void deep__preprocess_normalise(float *out, const deep_image *square, const deep_preprocess *preprocess,
                                int32_t quarter_turns, int32_t mirror);

/* What each level becomes, for each channel in the result's order; true when that is BGR. */
bool deep__preprocess_values(float values[3][256], const deep_preprocess *preprocess);

#endif
