/* SPDX-License-Identifier: Apache-2.0 */
#include "synth.h"

#include <math.h>
#include <stdlib.h>

static uint64_t next(synth_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

synth_random synth_random_for(uint64_t seed, uint64_t family, uint64_t image)
{
    synth_random random = {seed};
    random.state = next(&random) ^ family;
    random.state = next(&random) ^ image;
    return random;
}

float synth_uniform(synth_random *random, float low, float high)
{
    return low + (high - low) * (float)(next(random) >> 40) * 0x1p-24f;
}

int synth_between(synth_random *random, int low, int high)
{
    return low + (int)(next(random) % (uint64_t)(high - low + 1));
}

/* Sum of four uniform numbers: near enough to a normal one of standard deviation 1. */
static float noise(synth_random *random)
{
    const uint64_t bits = next(random);
    const int sum = (int)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
    return (float)(sum - 2 * 0xffff) * (1.7320508f / 65535);
}

/* How an instrument shows densities: a bright field with shadows, or light scattered on black. */
typedef struct instrument {
    int channels;
    int dark;            /* 1 = black background */
    float background[3]; /* 0 to 255 */
    float colour[3];     /* light field: absorption of the pigment per channel; dark field: its hue */
    float contrast;
    float slope_x; /* uneven light, per pixel */
    float slope_y;
    float noise; /* standard deviation, levels */
    float blur;  /* pixels */
} instrument;

static instrument draw_instrument(synth_random *random)
{
    instrument result = {.channels = synth_between(random, 0, 2) > 0 ? 3 : 1, .dark = synth_between(random, 0, 2) == 0};
    const float level = result.dark ? synth_uniform(random, 2, 16) : synth_uniform(random, 165, 232);
    const float warmth = result.channels == 3 ? synth_uniform(random, -0.035f, 0.045f) : 0;
    result.background[0] = level * (1 + warmth);
    result.background[1] = level;
    result.background[2] = level * (1 - warmth);
    const float green = synth_uniform(random, 0, 1); /* pigments from golden brown to green */
    result.colour[0] = result.dark ? 1.1f - 0.5f * green : 0.55f + 0.5f * green;
    result.colour[1] = result.dark ? 0.85f + 0.25f * green : 0.8f - 0.15f * green;
    result.colour[2] = result.dark ? 0.45f : 1.55f - 0.2f * green;
    result.contrast = synth_uniform(random, 0.75f, 1.15f);
    result.slope_x = synth_uniform(random, -0.06f, 0.06f);
    result.slope_y = synth_uniform(random, -0.06f, 0.06f);
    result.noise = synth_uniform(random, 1.2f, 5.5f);
    result.blur = synth_uniform(random, 0, 1.7f);
    return result;
}

/* Level of one channel, without noise. */
static float expose(const instrument *with, int channel, float density, float pigment, float light)
{
    const float colour = 1 + (with->colour[channel] - 1) * (with->channels == 3 ? pigment : 0);
    if (with->dark) return with->background[channel] + 235 * with->contrast * light * colour * powf(density, 0.85f);
    return with->background[channel] * light * expf(-2.1f * with->contrast * density * colour);
}

static void develop(synth_image *image, const raster *canvas, const instrument *with, synth_random *random)
{
    uint8_t *to = image->data;
    for (int y = 0; y < image->height; ++y)
        for (int x = 0; x < image->width; ++x) {
            const size_t at = (size_t)y * (size_t)image->width + (size_t)x;
            const float density = canvas->density[at] > 0 ? canvas->density[at] : 0; /* blurring leaves -1e-9 */
            const float u = (float)x / (float)image->width - 0.5f, v = (float)y / (float)image->height - 0.5f;
            const float light = 1 + with->slope_x * u + with->slope_y * v, grain = noise(random) * with->noise;
            for (int c = 0; c < image->channels; ++c) {
                const float chroma = image->channels == 3 ? 0.35f * with->noise * noise(random) : 0;
                const float level = expose(with, c, density, canvas->pigment[at], light) + grain + chroma;
                *to++ = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level + 0.5f);
            }
        }
}

/* Size of the frame around a body that is turned by `angle`, and the scale at which its longer side is `size` pixels. */
static float frame(const synth_family *family, float angle, int size, int *width, int *height)
{
    const float cosine = fabsf(cosf(angle)), sine = fabsf(sinf(angle));
    const float half_width = family->half_width * cosine + family->half_height * sine;
    const float half_height = family->half_width * sine + family->half_height * cosine;
    const float margin = 0.06f * (float)size;
    const float scale = ((float)size - 2 * margin) / (2 * (half_width > half_height ? half_width : half_height));
    *width = (int)(2 * (half_width * scale + margin) + 0.5f);
    *height = (int)(2 * (half_height * scale + margin) + 0.5f);
    return scale;
}

int synth_draw(synth_image *image, const synth_family *family, synth_random *random, int size_min, int size_max)
{
    const float angle = synth_uniform(random, 0, 6.2831853f);
    const instrument with = draw_instrument(random);
    raster canvas;
    *image = (synth_image){.channels = with.channels};
    const float scale = frame(family, angle, synth_between(random, size_min, size_max), &image->width, &image->height);
    if (raster_create(&canvas, image->width, image->height) != 0) return -1;
    image->data = malloc((size_t)image->width * (size_t)image->height * (size_t)image->channels);
    const float x = (float)image->width / 2 + synth_uniform(random, -0.03f, 0.03f) * (float)image->width;
    const float y = (float)image->height / 2 + synth_uniform(random, -0.03f, 0.03f) * (float)image->height;
    raster_place(&canvas, x, y, scale * synth_uniform(random, 0.9f, 1.03f), angle);
    family->draw(&canvas, random);
    int result = image->data == NULL ? -1 : raster_blur(&canvas, with.blur);
    if (result == 0) develop(image, &canvas, &with, random);
    raster_free(&canvas);
    if (result != 0) {
        free(image->data);
        image->data = NULL;
    }
    return result;
}
