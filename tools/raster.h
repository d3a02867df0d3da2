/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_RASTER_H
#define DEEP_TOOLS_RASTER_H

#include <stdint.h>

/*
 * A canvas of optical densities, as a microscope sees a translucent body: what is drawn adds up like layers of glass.
 * Shapes are drawn in body coordinates and land on the canvas turned, scaled and moved; edges are antialiased.
 */
typedef struct raster {
    float *density; /* [height][width], 0 = clear to 1 = opaque */
    float *pigment; /* [height][width], 0 = colourless to 1 = coloured */
    int width;      /* pixels */
    int height;
    float scale;  /* pixels of one body unit */
    float cosine; /* of the body's rotation */
    float sine;
    float x; /* place of the body's origin, pixels */
    float y;
} raster;

/* How a shape looks from its edge inwards. Negative densities clear what is below. */
typedef struct raster_paint {
    float fill;      /* density of the inside, -1 to 1 */
    float rim;       /* density at the edge */
    float rim_width; /* body units over which it becomes the inside's; 0 = no rim */
    float pigment;   /* 0 to 1 */
} raster_paint;

typedef struct raster_point {
    float x, y; /* body units */
} raster_point;

/* 0, or -1 when memory is short; the origin lies in the middle, one unit is one pixel. */
int raster_create(raster *canvas, int width, int height);
void raster_free(raster *canvas);
void raster_place(raster *canvas, float x, float y, float scale, float angle);

void raster_ellipse(raster *canvas, raster_point centre, float rx, float ry, float angle, raster_paint paint);

/* A stroke from `a` to `b` with round ends of radius `ra` and `rb`. */
void raster_stroke(raster *canvas, raster_point a, raster_point b, float ra, float rb, raster_paint paint);

/* Strokes through `count` points, the radius going from `first` to `last`; joints are not drawn twice. */
void raster_curve(raster *canvas, const raster_point *points, int count, float first, float last, raster_paint paint);

/* The inside of a closed line, crossings by the even-odd rule. */
void raster_polygon(raster *canvas, const raster_point *points, int count, raster_paint paint);

/* Three box passes over the densities, nearly a Gaussian of this standard deviation in pixels. 0, or -1 when memory is short. */
int raster_blur(raster *canvas, float sigma);

#endif
