/* SPDX-License-Identifier: Apache-2.0 */
#include "synth.h"

#include <math.h>

/* Bodies lie along x around the origin and stay within their family's half width and height. */

enum { MAX_POINTS = 96 };
static const float PI = 3.14159265f;

static const raster_paint SPINE = {.fill = 0.55f, .pigment = 0.1f};
static const raster_paint THIN = {.fill = 0.35f, .pigment = 0};
static const raster_paint CHLOROPLAST = {.fill = 0.55f, .rim = 0.35f, .rim_width = 0.05f, .pigment = 1};
static const raster_paint VACUOLE = {.fill = -0.45f};

static raster_point at(float x, float y)
{
    return (raster_point){x, y};
}

static raster_point polar(float radius, float angle)
{
    return (raster_point){radius * cosf(angle), radius * sinf(angle)};
}

static raster_paint cell(float fill, float rim, float rim_width, float pigment)
{
    return (raster_paint){.fill = fill, .rim = rim, .rim_width = rim_width, .pigment = pigment};
}

/* Small bodies inside an ellipse. */
static void scatter(raster *canvas, synth_random *random, raster_point centre, float rx, float ry, int count,
                    float size, raster_paint paint)
{
    for (int i = 0; i < count; ++i) {
        const float angle = synth_uniform(random, 0, 2 * PI), radius = sqrtf(synth_uniform(random, 0, 1));
        const float grain = size * synth_uniform(random, 0.6f, 1.3f);
        raster_ellipse(canvas, at(centre.x + rx * radius * cosf(angle), centre.y + ry * radius * sinf(angle)), grain,
                       grain * synth_uniform(random, 0.6f, 1), angle, paint);
    }
}

static void draw_centric_diatom(raster *canvas, synth_random *random)
{
    const int ribs = synth_between(random, 18, 34), rings = synth_between(random, 2, 4);
    const float heart = synth_uniform(random, 0.12f, 0.3f), phase = synth_uniform(random, 0, PI);
    raster_ellipse(canvas, at(0, 0), 0.95f, 0.95f, 0, cell(0.12f, 0.8f, 0.07f, 0.25f));
    for (int i = 0; i < ribs; ++i) {
        const float angle = phase + 2 * PI * (float)i / (float)ribs;
        raster_stroke(canvas, polar(heart, angle), polar(0.9f, angle), 0.008f, 0.022f, (raster_paint){.fill = 0.4f});
    }
    for (int i = 1; i <= rings; ++i) {
        const float radius = heart + (0.92f - heart) * (float)i / (float)(rings + 1);
        raster_ellipse(canvas, at(0, 0), radius, radius, 0, cell(0, 0.3f, 0.03f, 0.2f));
    }
    raster_ellipse(canvas, at(0, 0), heart, heart, 0, cell(0.3f, 0.5f, 0.04f, 0.5f));
    scatter(canvas, random, at(0, 0), 0.7f, 0.7f, synth_between(random, 5, 14), 0.06f, CHLOROPLAST);
}

static void draw_seta(raster *canvas, synth_random *random, raster_point root, float angle, float length)
{
    raster_point points[8];
    const float bend = synth_uniform(random, -0.5f, 0.5f);
    points[0] = root;
    for (int i = 1; i < 8; ++i) {
        const float direction = angle + bend * (float)i / 8;
        points[i] = at(points[i - 1].x + length / 7 * cosf(direction), points[i - 1].y + length / 7 * sinf(direction));
    }
    raster_curve(canvas, points, 8, 0.014f, 0.006f, SPINE);
}

static void draw_chain_diatom(raster *canvas, synth_random *random)
{
    const int cells = synth_between(random, 4, 8);
    const float pitch = 1.8f / (float)cells, half = pitch * 0.44f, tall = synth_uniform(random, 0.13f, 0.2f);
    for (int i = 0; i < cells; ++i) {
        const float x = -0.9f + pitch * ((float)i + 0.5f);
        const raster_point box[8] = {at(x - half, -tall * 0.8f),  at(x - half * 0.75f, -tall),
                                     at(x + half * 0.75f, -tall), at(x + half, -tall * 0.8f),
                                     at(x + half, tall * 0.8f),   at(x + half * 0.75f, tall),
                                     at(x - half * 0.75f, tall),  at(x - half, tall * 0.8f)};
        raster_polygon(canvas, box, 8, cell(0.2f, 0.75f, 0.03f, 0.4f));
        scatter(canvas, random, at(x, 0), half * 0.55f, tall * 0.55f, synth_between(random, 2, 4), 0.045f, CHLOROPLAST);
        for (int side = -1; side <= 1; side += 2)
            for (int end = -1; end <= 1; end += 2)
                draw_seta(canvas, random, at(x + (float)end * half * 0.9f, (float)side * tall * 0.9f),
                          (float)side * PI / 2 - (float)(end * side) * synth_uniform(random, 0.1f, 0.5f),
                          synth_uniform(random, 0.2f, 0.34f));
    }
}

/* A tapering horn that bends. */
static void draw_horn(raster *canvas, raster_point root, float angle, float bend, float length, float thickness)
{
    raster_point points[10];
    points[0] = root;
    for (int i = 1; i < 10; ++i) {
        const float direction = angle + bend * (float)i / 9;
        points[i] = at(points[i - 1].x + length / 9 * cosf(direction), points[i - 1].y + length / 9 * sinf(direction));
    }
    raster_curve(canvas, points, 10, thickness, 0.012f, cell(0.55f, 0.7f, 0.03f, 0.6f));
}

static void draw_tripos(raster *canvas, synth_random *random)
{
    const float bend = synth_uniform(random, 1.5f, 2.2f), length = synth_uniform(random, 0.85f, 1.15f);
    const float size = synth_uniform(random, 0.17f, 0.23f), lean = synth_uniform(random, -0.1f, 0.1f);
    draw_horn(canvas, at(-size, 0), PI, lean, synth_uniform(random, 0.62f, 0.74f), 0.08f);
    draw_horn(canvas, at(size * 0.6f, size * 0.7f), 0.75f + lean, bend, length, 0.07f);
    draw_horn(canvas, at(size * 0.6f, -size * 0.7f), -0.75f + lean, -bend, length * 0.93f, 0.07f);
    const raster_point body[6] = {
        at(-size * 1.5f, -size * 0.35f), at(0, -size * 1.25f), at(size * 1.1f, -size * 0.8f),
        at(size * 1.1f, size * 0.8f),    at(0, size * 1.25f),  at(-size * 1.5f, size * 0.35f)};
    raster_polygon(canvas, body, 6, cell(0.45f, 0.85f, 0.04f, 0.75f));
    raster_stroke(canvas, at(-0.01f, -size), at(-0.01f, size), 0.014f, 0.014f, (raster_paint){.fill = -0.5f});
    scatter(canvas, random, at(0, 0), size * 0.7f, size * 0.7f, synth_between(random, 3, 8), 0.03f, CHLOROPLAST);
}

static void draw_limb(raster *canvas, synth_random *random, raster_point root, float angle, float length,
                      float thickness)
{
    raster_point points[7];
    const float curl = synth_uniform(random, -0.9f, 0.9f);
    points[0] = root;
    for (int i = 1; i < 7; ++i) {
        const float direction = angle + curl * (float)(i * i) / 36;
        points[i] = at(points[i - 1].x + length / 6 * cosf(direction), points[i - 1].y + length / 6 * sinf(direction));
    }
    raster_curve(canvas, points, 7, thickness, thickness * 0.35f, SPINE);
}

static void draw_copepod(raster *canvas, synth_random *random)
{
    const float wide = synth_uniform(random, 0.17f, 0.25f), back = synth_uniform(random, 0.95f, 1.35f);
    for (int side = -1; side <= 1; side += 2) {
        const float s = (float)side;
        draw_limb(canvas, random, at(0.55f, s * 0.08f), s * back, synth_uniform(random, 0.5f, 0.65f), 0.024f);
        for (int leg = 0; leg < 4; ++leg)
            draw_limb(canvas, random, at(0.3f - 0.13f * (float)leg, s * wide * 0.8f),
                      s * synth_uniform(random, 1.7f, 2.3f), 0.16f, 0.016f);
        draw_limb(canvas, random, at(-0.78f, s * 0.03f), PI - s * 0.35f, 0.2f, 0.014f);
    }
    for (int i = 0; i < 4; ++i) /* the abdomen */
        raster_ellipse(canvas, at(-0.38f - 0.12f * (float)i, 0), 0.075f, wide * (0.38f - 0.05f * (float)i), 0,
                       cell(0.4f, 0.65f, 0.02f, 0.3f));
    raster_ellipse(canvas, at(0.15f, 0), 0.5f, wide, 0, cell(0.4f, 0.75f, 0.03f, 0.3f));
    for (int i = 0; i < 4; ++i)
        raster_stroke(canvas, at(-0.15f + 0.14f * (float)i, -wide * 0.9f), at(-0.15f + 0.14f * (float)i, wide * 0.9f),
                      0.006f, 0.006f, THIN);
    raster_ellipse(canvas, at(0.12f, synth_uniform(random, -0.04f, 0.04f)), 0.28f, wide * 0.4f, 0,
                   CHLOROPLAST);                                                                          /* the gut */
    raster_ellipse(canvas, at(0.58f, 0), 0.03f, 0.03f, 0, (raster_paint){.fill = 0.9f, .pigment = 0.6f}); /* the eye */
}

static void draw_radiolarian(raster *canvas, synth_random *random)
{
    const int spines = synth_between(random, 9, 16);
    const float core = synth_uniform(random, 0.24f, 0.34f), phase = synth_uniform(random, 0, PI);
    for (int i = 0; i < spines; ++i) {
        const float angle = phase + 2 * PI * (float)i / (float)spines + synth_uniform(random, -0.08f, 0.08f);
        raster_stroke(canvas, polar(core * 0.6f, angle), polar(synth_uniform(random, 0.72f, 0.97f), angle), 0.026f,
                      0.008f, SPINE);
    }
    raster_ellipse(canvas, at(0, 0), core * 1.75f, core * 1.75f, 0, cell(0.04f, 0.25f, 0.06f, 0));
    raster_ellipse(canvas, at(0, 0), core, core, 0, cell(0.45f, 0.8f, 0.05f, 0.45f));
    scatter(canvas, random, at(0, 0), core * 0.8f, core * 0.8f, synth_between(random, 8, 16), core * 0.14f, VACUOLE);
    raster_ellipse(canvas, at(0, 0), core * 0.4f, core * 0.4f, 0, cell(0.6f, 0.4f, 0.04f, 0.9f));
}

static void draw_detritus(raster *canvas, synth_random *random)
{
    const int flakes = synth_between(random, 7, 14);
    for (int i = 0; i < flakes; ++i) {
        raster_point outline[14];
        const raster_point centre = at(synth_uniform(random, -0.5f, 0.5f), synth_uniform(random, -0.35f, 0.35f));
        const float size = synth_uniform(random, 0.12f, 0.4f);
        for (int k = 0; k < 14; ++k) {
            const raster_point edge = polar(size * synth_uniform(random, 0.45f, 1.15f), 2 * PI * (float)k / 14);
            outline[k] = at(centre.x + edge.x, centre.y + edge.y);
        }
        raster_polygon(canvas, outline, 14,
                       cell(synth_uniform(random, 0.1f, 0.5f), synth_uniform(random, 0.1f, 0.5f), 0.08f,
                            synth_uniform(random, 0, 0.9f)));
    }
    scatter(canvas, random, at(0, 0), 0.75f, 0.55f, synth_between(random, 10, 40), 0.025f, SPINE);
    for (int i = synth_between(random, 0, 3); i > 0; --i)
        draw_limb(canvas, random, polar(0.3f, synth_uniform(random, 0, 6)), synth_uniform(random, 0, 6), 0.4f, 0.012f);
}

static void draw_ciliate(raster *canvas, synth_random *random)
{
    const float tall = synth_uniform(random, 0.42f, 0.55f), taper = synth_uniform(random, 0.15f, 0.5f);
    raster_point outline[40];
    for (int i = 0; i < 40; ++i) {
        const float angle = 2 * PI * (float)i / 40, x = 0.68f * cosf(angle);
        outline[i] = at(x - 0.1f, tall * sinf(angle) * (1 + taper * x / 0.68f) * 0.85f);
    }
    for (int i = 0; i < 15; ++i) { /* the crown */
        const float y = tall * 0.85f * ((float)i / 7 - 1);
        draw_limb(canvas, random, at(0.42f, y * 0.9f), y * 0.9f + synth_uniform(random, -0.15f, 0.15f), 0.42f, 0.016f);
    }
    raster_polygon(canvas, outline, 40, cell(0.4f, 0.6f, 0.05f, 0.35f));
    scatter(canvas, random, at(-0.1f, 0), 0.45f, tall * 0.6f, synth_between(random, 6, 14), 0.06f, CHLOROPLAST);
    scatter(canvas, random, at(-0.1f, 0), 0.45f, tall * 0.6f, synth_between(random, 1, 4), 0.08f, VACUOLE);
}

static void draw_filament(raster *canvas, synth_random *random)
{
    const int threads = synth_between(random, 1, 5);
    const float wave = synth_uniform(random, 0.06f, 0.16f), turns = synth_uniform(random, 0.5f, 1.6f);
    const float phase = synth_uniform(random, 0, 6), thick = synth_uniform(random, 0.022f, 0.04f);
    for (int t = 0; t < threads; ++t) {
        raster_point points[30];
        const float shift = ((float)t - (float)(threads - 1) / 2) * thick * 1.6f;
        const float begin = synth_uniform(random, -0.96f, -0.75f), end = synth_uniform(random, 0.75f, 0.96f);
        for (int i = 0; i < 30; ++i) {
            const float x = begin + (end - begin) * (float)i / 29;
            points[i] = at(x, shift * (1 + 0.5f * x * x) + wave * sinf(phase + turns * PI * x));
        }
        raster_curve(canvas, points, 30, thick, thick, cell(0.5f, 0.7f, thick, 0.8f));
        for (int i = 1; i < 29; ++i) /* septa */
            raster_ellipse(canvas, points[i], thick * 0.25f, thick * 0.9f, 0, (raster_paint){.fill = -0.3f});
    }
}

static void draw_pennate_diatom(raster *canvas, synth_random *random)
{
    const float wide = synth_uniform(random, 0.1f, 0.2f), blunt = synth_uniform(random, 0.7f, 1.3f);
    raster_point outline[60];
    for (int i = 0; i < 60; ++i) {
        const float angle = 2 * PI * (float)i / 60, x = cosf(angle);
        outline[i] = at(0.95f * x, (sinf(angle) > 0 ? wide : -wide) * powf(1 - x * x + 1e-6f, blunt));
    }
    raster_polygon(canvas, outline, 60, cell(0.2f, 0.8f, 0.025f, 0.4f));
    for (int side = -1; side <= 1; side += 2)
        raster_ellipse(canvas, at((float)side * 0.38f, 0), 0.27f, wide * 0.55f, 0, CHLOROPLAST);
    for (int i = -14; i <= 14; ++i) {
        const float x = 0.06f * (float)i, half = wide * powf(1 - x * x, blunt) * 0.85f;
        raster_stroke(canvas, at(x, -half), at(x, half), 0.006f, 0.006f, THIN);
    }
    raster_stroke(canvas, at(-0.85f, 0), at(0.85f, 0), 0.008f, 0.008f, SPINE);
}

static void draw_appendicularian(raster *canvas, synth_random *random)
{
    raster_point tail[24];
    const float wave = synth_uniform(random, 0.12f, 0.26f), phase = synth_uniform(random, 0, 6);
    for (int i = 0; i < 24; ++i) {
        const float part = (float)i / 23, x = 0.55f - 1.5f * part;
        tail[i] = at(x, wave * part * sinf(phase + 5 * part));
    }
    raster_curve(canvas, tail, 24, 0.1f, 0.03f, cell(0.12f, 0.3f, 0.02f, 0));
    raster_curve(canvas, tail, 24, 0.03f, 0.01f, (raster_paint){.fill = 0.45f, .pigment = 0.2f});
    raster_ellipse(canvas, at(0.68f, 0.03f), 0.26f, 0.17f, synth_uniform(random, 0.2f, 0.6f),
                   cell(0.4f, 0.65f, 0.03f, 0.2f));
    raster_ellipse(canvas, at(0.62f, 0.05f), 0.1f, 0.08f, 0, CHLOROPLAST);
    raster_ellipse(canvas, at(0.8f, -0.02f), 0.06f, 0.05f, 0, (raster_paint){.fill = 0.6f, .pigment = 0.5f});
}

static void draw_tintinnid(raster *canvas, synth_random *random)
{
    const float mouth = synth_uniform(random, 0.3f, 0.4f), waist = synth_uniform(random, 0.24f, 0.34f);
    const raster_point vase[8] = {at(0.6f, -mouth),   at(0.5f, -waist),  at(-0.35f, -waist * 0.9f),
                                  at(-0.95f, -0.02f), at(-0.95f, 0.02f), at(-0.35f, waist * 0.9f),
                                  at(0.5f, waist),    at(0.6f, mouth)};
    for (int i = 0; i < 11; ++i)
        draw_limb(canvas, random, at(0.4f, mouth * ((float)i / 5 - 1) * 0.7f), ((float)i / 5 - 1) * 0.8f, 0.45f,
                  0.014f);
    raster_polygon(canvas, vase, 8, cell(0.1f, 0.85f, 0.035f, 0.1f));
    for (int i = 0; i < 9; ++i)
        raster_stroke(canvas, at(0.45f - 0.1f * (float)i, -waist * 0.8f), at(0.45f - 0.1f * (float)i, waist * 0.8f),
                      0.005f, 0.005f, (raster_paint){.fill = 0.18f});
    raster_ellipse(canvas, at(0.1f, 0), 0.36f, waist * 0.65f, 0, cell(0.4f, 0.5f, 0.05f, 0.5f));
    scatter(canvas, random, at(0.1f, 0), 0.25f, waist * 0.4f, synth_between(random, 3, 8), 0.05f, CHLOROPLAST);
}

static const synth_family families[SYNTH_FAMILIES] = {
    {"centric_diatom", 1, 1, draw_centric_diatom},
    {"chain_diatom", 1, 0.52f, draw_chain_diatom},
    {"copepod", 1, 0.72f, draw_copepod},
    {"detritus", 0.95f, 0.8f, draw_detritus},
    {"radiolarian", 1, 1, draw_radiolarian},
    {"tripos", 1, 0.9f, draw_tripos},
    {"ciliate", 0.95f, 0.75f, draw_ciliate},
    {"filament", 1, 0.32f, draw_filament},
    {"pennate_diatom", 1, 0.3f, draw_pennate_diatom},
    {"appendicularian", 1, 0.4f, draw_appendicularian},
    {"tintinnid", 1, 0.55f, draw_tintinnid},
};

const synth_family *synth_family_at(int index)
{
    return &families[index];
}
