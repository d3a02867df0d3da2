/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dataset.h"
#include "data/workers.h"

#include <math.h>

typedef struct image_statistics {
    double mean[3]; /* per RGB channel, 0..255; likewise below */
    double std[3];
} image_statistics;

typedef struct survey {
    const deep_dataset *dataset;
    image_statistics *images; /* one for each sample */
} survey;

/* Sums are exact: 65025 times the most pixels of an image stays below 2^64. */
static void measure(image_statistics *result, const deep_image *image)
{
    const int32_t width = deep_image_width(image), height = deep_image_height(image);
    const int32_t channels = deep_image_channels(image);
    uint64_t sum[3] = {0}, squares[3] = {0};
    for (int32_t y = 0; y < height; ++y) {
        const uint8_t *value = deep_image_data(image) + y * deep_image_stride(image);
        for (int32_t x = 0; x < width; ++x)
            for (int32_t c = 0; c < channels; ++c, ++value) {
                sum[c] += *value;
                squares[c] += (uint64_t)*value * *value;
            }
    }
    const double pixels = (double)width * (double)height;
    for (int32_t c = 0; c < 3; ++c) {
        const int32_t from = channels == 3 ? c : 0; /* grey stands for all three */
        const double mean = (double)sum[from] / pixels, variance = (double)squares[from] / pixels - mean * mean;
        result->mean[c] = mean;
        result->std[c] = variance > 0 ? sqrt(variance) : 0;
    }
}

static deep_status measure_sample(void *user, size_t index)
{
    const survey *s = user;
    const deep_image *image;
    deep_image *decoded;
    DEEP_TRY(deep__context_check_cancel(s->dataset->context));
    DEEP_TRY(deep__dataset_image(&image, &decoded, s->dataset, index));
    measure(&s->images[index], image);
    deep_image_free(decoded);
    return DEEP_OK;
}

/* In the order of the samples, so that the last bit does not depend on the threads. */
static void average(const survey *s, double mean[3], double std[3])
{
    const size_t count = s->dataset->samples.count;
    for (int32_t c = 0; c < 3; ++c) {
        double means = 0, stds = 0;
        for (size_t i = 0; i < count; ++i) {
            means += s->images[i].mean[c];
            stds += s->images[i].std[c];
        }
        mean[c] = means / (double)count;
        std[c] = stds / (double)count;
    }
}

deep_status deep__dataset_statistics(const deep_dataset *dataset, int32_t threads, double mean[3], double std[3])
{
    const size_t count = dataset->samples.count;
    survey s = {.dataset = dataset};
    DEEP_TRY(deep__context_check(dataset->context));
    DEEP_TRY(deep__alloc_zero(&s.images, &dataset->context->allocator, count, sizeof *s.images, "image statistics"));
    const deep_status status = deep__for_each_index(dataset->context, threads, count, measure_sample, &s);
    if (status == DEEP_OK) average(&s, mean, std);
    deep__free(&dataset->context->allocator, s.images);
    return status;
}
