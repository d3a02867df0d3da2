/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_SVG_H
#define DEEP_TOOLS_SVG_H

/* Charts as inline SVG. Colours and fonts are CSS classes of report_style.h, so light, dark and print each get their own. */
#include "markup.h"

#include <stdint.h>

/* One line of a chart; values that are not finite leave a gap. */
typedef struct svg_series {
    const char *name;
    const char *class_name; /* "train", "valid" or "rate" */
    const double *values;   /* [count], at x = 1, 2, ... */
} svg_series;

typedef struct svg_lines {
    const char *title;
    const svg_series *series;
    int series_count;
    int count;        /* of values */
    int marked;       /* x that is marked, from 1; 0 = none */
    const char *mark; /* its label */
    int log_scale;    /* 1 = y is logarithmic; values must be above 0 */
    int percent;      /* 1 = y is a share from 0 to 1, written in percent */
} svg_lines;

void svg_line_chart(markup *to, const svg_lines *chart);

/* A confusion matrix of `count` classes, chosen by `shown` from `classes` x `classes` counts. */
typedef struct svg_matrix {
    const int64_t *counts; /* [classes][classes], rows true */
    int classes;
    const int *shown; /* [count] class indices */
    int count;
    const char *(*name)(void *user, int class_index);
    void *user;
} svg_matrix;

void svg_confusion_matrix(markup *to, const svg_matrix *matrix);

/* Confidence against accuracy in `bins` equal parts of 0 to 1. */
void svg_reliability(markup *to, const int64_t *images, const double *confidence, const double *accuracy, int bins);

/* A bar from 0 to 1 for a table's cell. */
void svg_bar(markup *to, double value, const char *class_name);

#endif
