/* SPDX-License-Identifier: Apache-2.0 */
#include "svg_roofline.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 960,
    HEIGHT = 600,
    LEFT = 70,
    RIGHT = 110,
    TOP = 64,
    BOTTOM = 84,
    MAX_LABELS = 16,
    LABELS_ALONE = 8, /* of one group */
    LABELS_EACH = 4   /* of several */
};
static const double letter_width = 5.7; /* of the labels' 11 px, on average */

/* For each group; told apart with every kind of colour vision. */
static const char *const colours[SVG_ROOF_GROUPS] = {"#0072b2", "#d55e00", "#009e73"};

typedef struct box {
    double x, y, width, height;
} box;

typedef struct view {
    const svg_roofline *chart;
    double x_low, x_high, y_low, y_high; /* logarithms */
    box taken[MAX_LABELS];               /* by labels */
    int taken_count;
} view;

static double at_x(const view *v, double intensity)
{
    return LEFT + (log10(intensity) - v->x_low) / (v->x_high - v->x_low) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const view *v, double rate)
{
    return TOP + (v->y_high - log10(rate)) / (v->y_high - v->y_low) * (HEIGHT - TOP - BOTTOM);
}

static double radius(const svg_dot *dot)
{
    return 3 + 20 * sqrt(dot->share);
}

static double highest_peak(const svg_roofline *chart)
{
    double peak = 0;
    for (int g = 0; g < chart->group_count; ++g)
        peak = fmax(peak, chart->groups[g].peak);
    return peak;
}

/* Room for all dots and for the corners of the roof. */
static view find_view(const svg_roofline *chart)
{
    const double peak = highest_peak(chart);
    double x_low = peak / chart->peak->cache, x_high = peak / chart->peak->memory, y_low = peak;
    for (int i = 0; i < chart->dot_count; ++i) {
        x_low = fmin(x_low, chart->dots[i].intensity);
        x_high = fmax(x_high, chart->dots[i].intensity);
        y_low = fmin(y_low, chart->dots[i].rate);
    }
    return (view){.chart = chart,
                  .x_low = log10(x_low / 2),
                  .x_high = log10(x_high * 2),
                  .y_low = log10(y_low / 2),
                  .y_high = log10(peak * 2.4)};
}

/* ---- axes ---- */

static void add_grid(markup *to, const view *v)
{
    static const double steps[] = {1, 2, 5};
    for (int power = -3; power <= 6; ++power)
        for (int s = 0; s < 3; ++s) {
            const double value = steps[s] * pow(10, power), logarithm = log10(value);
            if (logarithm > v->x_low && logarithm < v->x_high) {
                const double x = at_x(v, value);
                markup_format(to, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x, TOP,
                              HEIGHT - BOTTOM);
                markup_format(to, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", x,
                              HEIGHT - BOTTOM + 17, value);
            }
            if (logarithm > v->y_low && logarithm < v->y_high) {
                const double y = at_y(v, value);
                markup_format(to, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                              WIDTH - RIGHT, y, y);
                markup_format(to, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 8,
                              y + 4, value);
            }
        }
    markup_format(to, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations for each byte of",
                  (LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38);
    markup_add(to, " operands and results</text>\n");
    markup_format(to,
                  "<text class=\"axis\" transform=\"translate(18 %d) rotate(-90)\" text-anchor=\"middle\">billion "
                  "operations a second</text>\n",
                  (TOP + HEIGHT - BOTTOM) / 2);
}

/* ---- the roof ---- */

/* What a source of so many GB/s lets through, up to the highest peak, with its name along the line. */
static void add_slope(markup *to, const view *v, double gigabytes, const char *name, const char *class_name)
{
    const double peak = highest_peak(v->chart), corner = peak / gigabytes;
    const double begin = fmax(pow(10, v->x_low), pow(10, v->y_low) / gigabytes);
    const double x1 = at_x(v, begin), y1 = at_y(v, begin * gigabytes), x2 = at_x(v, corner), y2 = at_y(v, peak);
    const double angle = atan2(y2 - y1, x2 - x1) * 57.29577951308232;
    markup_format(to, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class_name, x1, y1, x2,
                  y2);
    markup_format(to,
                  "<text class=\"slope\" transform=\"translate(%.1f %.1f) rotate(%.1f)\" "
                  "text-anchor=\"middle\">%s, %.0f GB/s</text>\n",
                  0.5 * (x1 + x2) + 5 * sin(angle / 57.3), 0.5 * (y1 + y2) - 5 * cos(angle / 57.3), angle, name,
                  gigabytes);
}

static void add_ceilings(markup *to, const view *v)
{
    double previous = -100;
    for (int g = 0; g < v->chart->group_count; ++g) {
        const svg_group *group = &v->chart->groups[g];
        const double y = at_y(v, group->peak), x = at_x(v, group->peak / v->chart->peak->cache);
        const double label = fabs(y - previous) < 13 ? previous + 13 : y;
        markup_format(to,
                      "<line class=\"roof\" stroke=\"%s\" x1=\"%.1f\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" "
                      "stroke-dasharray=\"%d %d\"/>",
                      colours[g], x, WIDTH - RIGHT, y, y, 9, 3 * g);
        markup_format(to, "<text class=\"label\" fill=\"%s\" x=\"%d\" y=\"%.1f\">%s: %.0f</text>\n", colours[g],
                      WIDTH - RIGHT + 7, label + 4, group->name, group->peak);
        previous = label;
    }
}

/* ---- dots ---- */

static void add_dots(markup *to, const view *v)
{
    for (int i = 0; i < v->chart->dot_count; ++i) {
        const svg_dot *dot = &v->chart->dots[i];
        const svg_group *group = &v->chart->groups[dot->group];
        markup_format(to, "<circle fill=\"%s\" stroke=\"%s\" fill-opacity=\"0.35\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">",
                      colours[dot->group], colours[dot->group], at_x(v, dot->intensity), at_y(v, dot->rate),
                      radius(dot));
        markup_format(to, "<title>%s: ", group->name);
        markup_escape(to, dot->name);
        markup_add(to, ", ");
        markup_escape(to, dot->shape);
        markup_format(to, "; %.1f %% of the time, %.0f billion operations a second, %.0f %% of the peak</title>",
                      100 * dot->share, dot->rate, 100 * dot->rate / group->peak);
        markup_add(to, "</circle>\n");
    }
}

/* ---- labels, where they meet nothing ---- */

static bool overlap(const box *a, const box *b)
{
    return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height && b->y < a->y + a->height;
}

static bool is_free(const view *v, const box *place)
{
    if (place->x < LEFT || place->x + place->width > WIDTH - RIGHT) return false;
    if (place->y < TOP || place->y + place->height > HEIGHT - BOTTOM) return false;
    for (int i = 0; i < v->taken_count; ++i)
        if (overlap(place, &v->taken[i])) return false;
    for (int g = 0; g < v->chart->group_count; ++g)
        if (overlap(place, &(box){LEFT, at_y(v, v->chart->groups[g].peak) - 1, WIDTH, 2})) return false;
    for (int i = 0; i < v->chart->dot_count; ++i) {
        const svg_dot *dot = &v->chart->dots[i];
        const double r = radius(dot), x = at_x(v, dot->intensity), y = at_y(v, dot->rate);
        if (overlap(place, &(box){x - r, y - r, 2 * r, 2 * r})) return false;
    }
    return true;
}

/* Tries ever wider circles around the dot. */
static bool find_place(box *place, const view *v, const svg_dot *dot)
{
    const double x = at_x(v, dot->intensity), y = at_y(v, dot->rate), r = radius(dot);
    place->width = (double)strlen(dot->name) * letter_width;
    place->height = 13;
    for (double far = r + 4; far < r + 150; far += 9)
        for (int turn = 0; turn < 12; ++turn) {
            const double angle = 0.5236 * (turn % 2 == 0 ? turn / 2 : -(turn + 1) / 2); /* from the right, both ways */
            const double middle = x + far * cos(angle);
            place->x = fabs(cos(angle)) < 0.3 ? middle - place->width / 2
                       : cos(angle) > 0       ? middle
                                              : middle - place->width;
            place->y = y + far * sin(angle) - place->height / 2;
            if (is_free(v, place)) return true;
        }
    return false;
}

static void add_label(markup *to, view *v, const svg_dot *dot)
{
    box place;
    if (v->taken_count == MAX_LABELS || !find_place(&place, v, dot)) return;
    v->taken[v->taken_count++] = place;
    const double x = at_x(v, dot->intensity), y = at_y(v, dot->rate), r = radius(dot);
    const double end_x = fmin(fmax(x, place.x), place.x + place.width), end_y = place.y + place.height / 2;
    const double far = hypot(end_x - x, end_y - y);
    if (far > r)
        markup_format(to, "<line class=\"leader\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
                      x + (end_x - x) * r / far, y + (end_y - y) * r / far, end_x, end_y);
    markup_format(to, "<text class=\"name\" fill=\"%s\" x=\"%.1f\" y=\"%.1f\">", colours[dot->group], place.x,
                  place.y + 10);
    markup_escape(to, dot->name);
    markup_add(to, "</text>\n");
}

/* What is worth a name: what takes time, and what is far from the peak. */
static double loss(const view *v, const svg_dot *dot)
{
    return sqrt(dot->share) * (1 - dot->rate / v->chart->groups[dot->group].peak);
}

static void add_labels(markup *to, view *v)
{
    const svg_roofline *chart = v->chart;
    for (int g = 0; g < chart->group_count; ++g) {
        double below = INFINITY; /* the loss of the last one named */
        for (int named = 0; named < (chart->group_count == 1 ? LABELS_ALONE : LABELS_EACH); ++named) {
            const svg_dot *next = NULL;
            for (int i = 0; i < chart->dot_count; ++i) {
                const svg_dot *dot = &chart->dots[i];
                if (dot->group != g || loss(v, dot) >= below) continue;
                if (next == NULL || loss(v, dot) > loss(v, next)) next = dot;
            }
            if (next == NULL) break;
            below = loss(v, next);
            add_label(to, v, next);
        }
    }
}

/* ---- the file ---- */

static void add_legend(markup *to, const svg_roofline *chart)
{
    double x = LEFT;
    for (int g = 0; g < chart->group_count; ++g) {
        char text[96];
        snprintf(text, sizeof text, "%s (%.1f %% of its time is in pools, sums and other steps, not shown)",
                 chart->groups[g].name, 100 * chart->groups[g].not_shown);
        if (chart->group_count > 1)
            snprintf(text, sizeof text, "%s (%.1f %% not shown)", chart->groups[g].name,
                     100 * chart->groups[g].not_shown);
        markup_format(to, "<circle fill=\"%s\" fill-opacity=\"0.5\" cx=\"%.1f\" cy=\"%d\" r=\"6\"/>", colours[g], x + 6,
                      HEIGHT - 24);
        markup_format(to, "<text class=\"axis\" x=\"%.1f\" y=\"%d\">%s</text>\n", x + 17, HEIGHT - 20, text);
        x += 34 + (double)strlen(text) * 6.2;
    }
    markup_format(
        to, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"end\">area of a dot: share of the time</text>\n",
        WIDTH - 20, HEIGHT - 20);
}

void svg_add_roofline(markup *to, const svg_roofline *chart)
{
    view v = find_view(chart);
    markup_format(to,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
                  "role=\"img\">\n",
                  WIDTH, HEIGHT, WIDTH, HEIGHT);
    markup_add(to,
               "<style>text{font-family:system-ui,'Noto Sans','DejaVu Sans',sans-serif;font-size:12px;fill-opacity:1}"
               ".grid{stroke:#e3e7ec}.tick,.axis{fill:#5c6875}.slope{fill:#5c6875;font-size:11px}"
               ".memory,.cache{stroke:#5c6875;stroke-width:1.5}.cache{stroke-dasharray:5 4}"
               ".roof{stroke-width:2}.label{font-weight:600}.name{font-size:11px}"
               ".leader{stroke:#9aa5b1;stroke-width:.8}</style>\n");
    markup_format(to, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH, HEIGHT);
    markup_format(to, "<text x=\"%d\" y=\"28\" style=\"font-size:17px;font-weight:600\" fill=\"#16202b\">", LEFT);
    markup_escape(to, chart->title);
    markup_format(to, "</text>\n<text class=\"axis\" x=\"%d\" y=\"48\">Speed of the layers under the measured limits",
                  LEFT);
    markup_add(to, " of this machine</text>\n");
    add_grid(to, &v);
    add_slope(to, &v, chart->peak->memory, "memory", "memory");
    add_slope(to, &v, chart->peak->cache, "second-level caches", "cache");
    add_ceilings(to, &v);
    add_dots(to, &v);
    add_labels(to, &v);
    add_legend(to, chart);
    markup_add(to, "</svg>\n");
}
