/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_SYNTH_H
#define DEEP_TOOLS_SYNTH_H

/* Synthetic plankton: families of bodies, and the pictures that an instrument would take of them. */
#include "raster.h"

#include <stdint.h>

/* SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere. */
typedef struct synth_random {
    uint64_t state;
} synth_random;

/* A stream of its own for each image. */
synth_random synth_random_for(uint64_t seed, uint64_t family, uint64_t image);
float synth_uniform(synth_random *random, float low, float high);
int synth_between(synth_random *random, int low, int high); /* both included */

/* A kind of plankton. */
typedef struct synth_family {
    const char *name; /* of its folder */
    float half_width; /* room that a body takes, body units: its longest half is about 1 */
    float half_height;
    void (*draw)(raster *canvas, synth_random *random);
} synth_family;

enum { SYNTH_FAMILIES = 11 };

/* 0 to SYNTH_FAMILIES - 1, the easiest to tell apart first. */
const synth_family *synth_family_at(int index);

/* A picture of 8 bits; `channels` is 1 or 3. Free `data` with free(). */
typedef struct synth_image {
    uint8_t *data;
    int width, height, channels;
} synth_image;

/* The longer side is drawn from size_min to size_max pixels. 0, or -1 when memory is short. */
int synth_draw(synth_image *image, const synth_family *family, synth_random *random, int size_min, int size_max);

#endif
