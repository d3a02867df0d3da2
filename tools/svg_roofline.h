/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_SVG_ROOFLINE_H
#define DEEP_TOOLS_SVG_ROOFLINE_H

/*
 * A roofline: how fast pieces of work ran, against how many operations they do for each byte they touch, under the
 * limits that the processor and its memory set. Both axes are logarithmic.
 */
#include "markup.h"
#include "peak.h"

enum { SVG_ROOF_GROUPS = 3 };

typedef struct svg_dot {
    int group;
    double intensity; /* operations a byte; above 0 */
    double rate;      /* billion operations a second; above 0 */
    double share;     /* of the group's time: the dot's area */
    const char *name;
    const char *shape;
} svg_dot;

typedef struct svg_group {
    const char *name;
    double peak;      /* billion operations a second */
    double not_shown; /* share of the time in what has no operations to count */
} svg_group;

typedef struct svg_roofline {
    const char *title;
    const machine_peak *peak; /* the slopes */
    svg_group groups[SVG_ROOF_GROUPS];
    int group_count;
    const svg_dot *dots;
    int dot_count;
} svg_roofline;

/* A whole SVG file. */
void svg_add_roofline(markup *to, const svg_roofline *chart);

#endif
