/* SPDX-License-Identifier: Apache-2.0 */
#include "preprocess.h"

#include "colour.h"
#include "turn.h"

#include <deep/model.h>

deep_status deep__preprocess_square(deep_image **out, const deep_image *src, const deep_preprocess *preprocess)
{
    deep_image *grey = NULL, *square = NULL;
    *out = NULL;
    deep_status status = DEEP_OK;
    if (preprocess->channels == 1 && src->channels == 3) status = deep__image_convert(&grey, src, 1);
    if (status == DEEP_OK)
        status =
            deep_image_fit(&square, grey != NULL ? grey : src, preprocess->size, preprocess->filter, preprocess->fit);
    deep_image_free(grey);
    if (status != DEEP_OK || square->channels == 3) return deep__image_deliver(out, square, status);
    status = deep__image_convert(out, square, 3);
    deep_image_free(square);
    return status;
}

bool deep__preprocess_values(float values[3][256], const deep_preprocess *preprocess)
{
    enum { TF_SCALE_TIMES_2 = 255 }; /* keras.applications' "tf" mode divides by 127.5 */
    const bool reversed = preprocess->mode == DEEP_PREPROCESS_CAFFE;
    for (int i = 0; i < 3; ++i) {
        const int c = reversed ? 2 - i : i;
        double divisor = 1;
        if (preprocess->mode == DEEP_PREPROCESS_TF) divisor = TF_SCALE_TIMES_2 / 2.0;
        if (preprocess->mode == DEEP_PREPROCESS_TORCH) divisor = preprocess->std[c];
        for (int level = 0; level < 256; ++level)
            values[i][level] = (float)((level - preprocess->mean[c]) / divisor);
    }
    return reversed;
}

void deep__preprocess_normalise(float *out, const deep_image *square, const deep_preprocess *preprocess,
                                int32_t quarter_turns, int32_t mirror)
{
    float values[3][256];
    const bool reversed = deep__preprocess_values(values, preprocess);
    const int first = reversed ? 2 : 0, last = reversed ? 0 : 2;
    const int32_t size = square->width;
    const deep_turn_walk walk = deep__turn_walk(size, size, 3, square->stride, quarter_turns, mirror);
    for (int32_t y = 0; y < size; ++y) {
        const uint8_t *from = square->data + walk.origin + y * walk.step_y;
        for (int32_t x = 0; x < size; ++x, from += walk.step_x, out += 3) {
            out[0] = values[0][from[first]];
            out[1] = values[1][from[1]];
            out[2] = values[2][from[last]];
        }
    }
}
