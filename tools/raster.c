/* SPDX-License-Identifier: Apache-2.0 */
#include "raster.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int raster_create(raster *canvas, int width, int height)
{
    const size_t pixels = (size_t)width * (size_t)height;
    *canvas = (raster){.width = width, .height = height};
    canvas->density = calloc(pixels, sizeof(float));
    canvas->pigment = calloc(pixels, sizeof(float));
    raster_place(canvas, (float)width / 2, (float)height / 2, 1, 0);
    if (canvas->density != NULL && canvas->pigment != NULL) return 0;
    raster_free(canvas);
    return -1;
}

void raster_free(raster *canvas)
{
    free(canvas->density);
    free(canvas->pigment);
    *canvas = (raster){0};
}

void raster_place(raster *canvas, float x, float y, float scale, float angle)
{
    canvas->x = x;
    canvas->y = y;
    canvas->scale = scale;
    canvas->cosine = cosf(angle);
    canvas->sine = sinf(angle);
}

/* Signed distance from the edge in body units, negative inside. */
typedef float (*distance_function)(const void *shape, raster_point at);

static float smaller(float a, float b)
{
    return a < b ? a : b;
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float clamp(float value, float low, float high)
{
    return smaller(larger(value, low), high);
}

static raster_point to_canvas(const raster *canvas, raster_point p)
{
    return (raster_point){canvas->x + canvas->scale * (p.x * canvas->cosine - p.y * canvas->sine),
                          canvas->y + canvas->scale * (p.x * canvas->sine + p.y * canvas->cosine)};
}

static raster_point to_body(const raster *canvas, float x, float y)
{
    const float dx = (x - canvas->x) / canvas->scale, dy = (y - canvas->y) / canvas->scale;
    return (raster_point){dx * canvas->cosine + dy * canvas->sine, dy * canvas->cosine - dx * canvas->sine};
}

/* Lays `paint` over one pixel whose centre is `distance` from the edge. */
static void paint_pixel(raster *canvas, int x, int y, float distance, const raster_paint *paint)
{
    const float coverage = clamp(0.5f - distance * canvas->scale, 0, 1);
    if (coverage <= 0) return;
    const float depth = larger(-distance, 0);
    float value = paint->fill;
    if (paint->rim_width > 0) {
        const float part = depth / paint->rim_width;
        value += (paint->rim - paint->fill) * expf(-part * part);
    }
    const size_t at = (size_t)y * (size_t)canvas->width + (size_t)x;
    float *density = &canvas->density[at];
    if (value < 0) {
        *density *= 1 + value * coverage;
        return;
    }
    *density = 1 - (1 - *density) * (1 - value * coverage);
    canvas->pigment[at] += (paint->pigment - canvas->pigment[at]) * coverage * smaller(1, value * 2);
}

/* Visits the pixels within `radius` body units of `centre`. */
static void paint_around(raster *canvas, raster_point centre, float radius, distance_function distance,
                         const void *shape, const raster_paint *paint)
{
    const raster_point middle = to_canvas(canvas, centre);
    const float reach = radius * canvas->scale + 1;
    const int left = (int)clamp(floorf(middle.x - reach), 0, (float)canvas->width);
    const int right = (int)clamp(ceilf(middle.x + reach), 0, (float)canvas->width);
    const int top = (int)clamp(floorf(middle.y - reach), 0, (float)canvas->height);
    const int bottom = (int)clamp(ceilf(middle.y + reach), 0, (float)canvas->height);
    for (int y = top; y < bottom; ++y)
        for (int x = left; x < right; ++x)
            paint_pixel(canvas, x, y, distance(shape, to_body(canvas, (float)x + 0.5f, (float)y + 0.5f)), paint);
}

typedef struct ellipse {
    raster_point centre;
    float rx, ry, cosine, sine;
} ellipse;

/* First-order distance: exact at the edge, which is what antialiasing needs. */
static float ellipse_distance(const void *shape, raster_point at)
{
    const ellipse *e = shape;
    const float dx = at.x - e->centre.x, dy = at.y - e->centre.y;
    const float x = (dx * e->cosine + dy * e->sine) / e->rx, y = (dy * e->cosine - dx * e->sine) / e->ry;
    const float radius = sqrtf(x * x + y * y);
    if (radius < 1e-6f) return -smaller(e->rx, e->ry);
    const float gx = x / e->rx, gy = y / e->ry;
    return (radius - 1) * radius / sqrtf(gx * gx + gy * gy);
}

void raster_ellipse(raster *canvas, raster_point centre, float rx, float ry, float angle, raster_paint paint)
{
    const ellipse shape = {centre, rx, ry, cosf(angle), sinf(angle)};
    paint_around(canvas, centre, larger(rx, ry), ellipse_distance, &shape, &paint);
}

typedef struct stroke {
    raster_point a, b;
    float ra, rb;
} stroke;

static float stroke_distance(const void *shape, raster_point at)
{
    const stroke *s = shape;
    const float dx = s->b.x - s->a.x, dy = s->b.y - s->a.y, length = dx * dx + dy * dy;
    const float along = length > 0 ? clamp(((at.x - s->a.x) * dx + (at.y - s->a.y) * dy) / length, 0, 1) : 0;
    return hypotf(at.x - s->a.x - along * dx, at.y - s->a.y - along * dy) - (s->ra + along * (s->rb - s->ra));
}

void raster_stroke(raster *canvas, raster_point a, raster_point b, float ra, float rb, raster_paint paint)
{
    const stroke shape = {a, b, ra, rb};
    const raster_point centre = {(a.x + b.x) / 2, (a.y + b.y) / 2};
    paint_around(canvas, centre, hypotf(b.x - a.x, b.y - a.y) / 2 + larger(ra, rb), stroke_distance, &shape, &paint);
}

typedef struct curve {
    const raster_point *points;
    int count;
    float first, last;
} curve;

static float curve_distance(const void *shape, raster_point at)
{
    const curve *c = shape;
    float nearest = FLT_MAX;
    for (int i = 0; i + 1 < c->count; ++i) {
        const float step = (c->last - c->first) / (float)(c->count - 1);
        const stroke part = {c->points[i], c->points[i + 1], c->first + step * (float)i,
                             c->first + step * (float)(i + 1)};
        nearest = smaller(nearest, stroke_distance(&part, at));
    }
    return nearest;
}

static float polygon_distance(const void *shape, raster_point at)
{
    const curve *c = shape;
    float nearest = FLT_MAX;
    int inside = 0;
    for (int i = 0, j = c->count - 1; i < c->count; j = i++) {
        const raster_point a = c->points[i], b = c->points[j];
        const stroke edge = {a, b, 0, 0};
        nearest = smaller(nearest, stroke_distance(&edge, at));
        if ((a.y > at.y) != (b.y > at.y) && at.x < (b.x - a.x) * (at.y - a.y) / (b.y - a.y) + a.x) inside = !inside;
    }
    return inside ? -nearest : nearest;
}

static void paint_points(raster *canvas, const curve *shape, float extra, distance_function distance,
                         const raster_paint *paint)
{
    raster_point low = shape->points[0], high = shape->points[0];
    for (int i = 1; i < shape->count; ++i) {
        low = (raster_point){smaller(low.x, shape->points[i].x), smaller(low.y, shape->points[i].y)};
        high = (raster_point){larger(high.x, shape->points[i].x), larger(high.y, shape->points[i].y)};
    }
    const raster_point centre = {(low.x + high.x) / 2, (low.y + high.y) / 2};
    paint_around(canvas, centre, hypotf(high.x - low.x, high.y - low.y) / 2 + extra, distance, shape, paint);
}

void raster_curve(raster *canvas, const raster_point *points, int count, float first, float last, raster_paint paint)
{
    const curve shape = {points, count, first, last};
    paint_points(canvas, &shape, larger(first, last), curve_distance, &paint);
}

void raster_polygon(raster *canvas, const raster_point *points, int count, raster_paint paint)
{
    const curve shape = {points, count, 0, 0};
    paint_points(canvas, &shape, 0, polygon_distance, &paint);
}

/* Mean over 2 radius + 1 values of a line whose ends are repeated. */
static void box_line(float *dst, const float *src, int count, int step, int radius)
{
    double sum = 0;
    for (int i = -radius; i <= radius; ++i)
        sum += src[(i < 0 ? 0 : i >= count ? count - 1 : i) * step];
    for (int i = 0; i < count; ++i) {
        dst[i * step] = (float)(sum / (2 * radius + 1));
        const int enters = i + radius + 1, leaves = i - radius;
        sum += src[(enters >= count ? count - 1 : enters) * step] - src[(leaves < 0 ? 0 : leaves) * step];
    }
}

int raster_blur(raster *canvas, float sigma)
{
    const int radius = (int)lrintf(sqrtf(sigma * sigma + 0.25f) - 0.5f); /* three boxes of variance r (r + 1) / 3 */
    if (radius < 1) return 0;
    const size_t pixels = (size_t)canvas->width * (size_t)canvas->height;
    float *other = malloc(pixels * sizeof *other);
    if (other == NULL) return -1;
    for (int pass = 0; pass < 3; ++pass) {
        for (int y = 0; y < canvas->height; ++y)
            box_line(other + (size_t)y * (size_t)canvas->width, canvas->density + (size_t)y * (size_t)canvas->width,
                     canvas->width, 1, radius);
        for (int x = 0; x < canvas->width; ++x)
            box_line(canvas->density + x, other + x, canvas->height, canvas->width, radius);
    }
    free(other);
    return 0;
}
