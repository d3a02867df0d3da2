/* SPDX-License-Identifier: Apache-2.0 */
#include "svg.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* ---- line chart: 420 x 250 units, plot area inside ---- */

enum { CHART_WIDTH = 420, CHART_HEIGHT = 250, LEFT = 52, RIGHT = 74, TOP = 18, BOTTOM = 34, MAX_TICKS = 12 };

typedef struct scale {
    double low, high; /* of the axis, logarithms when log_scale */
    int log_scale;
    int count; /* of x positions */
} scale;

static double chart_x(const scale *axes, double x)
{
    const double span = axes->count > 1 ? axes->count - 1 : 1;
    const double part = axes->count > 1 ? (x - 1) / span : 0.5;
    return LEFT + part * (CHART_WIDTH - LEFT - RIGHT);
}

static double chart_y(const scale *axes, double value)
{
    if (axes->log_scale) value = log10(value);
    return TOP + (axes->high - value) / (axes->high - axes->low) * (CHART_HEIGHT - TOP - BOTTOM);
}

static int usable(const svg_lines *chart, double value)
{
    return isfinite(value) && (!chart->log_scale || value > 0);
}

/* Distance of ticks: 1, 2 or 5 times a power of ten, about five over the span. */
static double tick_step(double span)
{
    const double power = pow(10, floor(log10(span / 4)));
    const double digits = span / 4 / power;
    return power * (digits < 1.5 ? 1 : digits < 3.5 ? 2 : digits < 7.5 ? 5 : 10);
}

static scale find_scale(const svg_lines *chart)
{
    scale axes = {.low = INFINITY, .high = -INFINITY, .log_scale = chart->log_scale, .count = chart->count};
    for (int s = 0; s < chart->series_count; ++s)
        for (int i = 0; i < chart->count; ++i) {
            double value = chart->series[s].values[i];
            if (!usable(chart, value)) continue;
            if (chart->log_scale) value = log10(value);
            axes.low = fmin(axes.low, value);
            axes.high = fmax(axes.high, value);
        }
    if (!(axes.low <= axes.high)) axes.low = 0, axes.high = 1;
    if (chart->log_scale) {
        axes.low = floor(axes.low + 1e-9);
        axes.high = ceil(axes.high - 1e-9);
        if (axes.high <= axes.low) axes.high = axes.low + 1;
        return axes;
    }
    if (chart->percent) axes.high = fmin(1, axes.high * 1.05 + 0.02);
    axes.low = chart->percent || axes.low < axes.high * 0.6 ? 0 : axes.low;
    if (axes.high <= axes.low) axes.high = axes.low + 1;
    const double step = tick_step(axes.high - axes.low);
    axes.low = floor(axes.low / step) * step;
    axes.high = ceil(axes.high / step - 1e-9) * step;
    return axes;
}

static void write_value(char text[32], const svg_lines *chart, double value)
{
    if (chart->percent)
        snprintf(text, 32, "%.*f %%", fabs(value * 100 - round(value * 100)) < 1e-6 ? 0 : 1, value * 100);
    else if (chart->log_scale)
        snprintf(text, 32, "%.2g", value);
    else
        snprintf(text, 32, "%.*f", fabs(value) >= 10 ? 1 : fabs(value) >= 1 ? 2 : 3, value);
}

static void write_tick(char text[32], const svg_lines *chart, double value)
{
    if (chart->percent)
        snprintf(text, 32, "%g %%", round(value * 1000) / 10);
    else
        snprintf(text, 32, "%g", fabs(value) < 1e-12 ? 0 : value);
}

static void add_y_ticks(markup *to, const svg_lines *chart, const scale *axes)
{
    const double step =
        axes->log_scale ? fmax(1, ceil((axes->high - axes->low) / 5)) : tick_step(axes->high - axes->low);
    for (int i = 0; i < MAX_TICKS && axes->low + i * step <= axes->high + step * 1e-6; ++i) {
        const double at = axes->low + i * step, value = axes->log_scale ? pow(10, at) : at;
        const double y = chart_y(axes, value);
        char text[32];
        write_tick(text, chart, value);
        markup_format(to, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                      CHART_WIDTH - RIGHT, y, y);
        markup_format(to, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 7, y + 3.5,
                      text);
    }
}

static void add_x_ticks(markup *to, const scale *axes)
{
    int step = (int)fmax(1, tick_step(axes->count > 1 ? axes->count - 1 : 1));
    for (int x = step > 1 ? step : 1; x <= axes->count; x += step)
        markup_format(to, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>", chart_x(axes, x),
                      CHART_HEIGHT - BOTTOM + 16, x);
    markup_format(to, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">epoch</text>",
                  (LEFT + CHART_WIDTH - RIGHT) / 2, CHART_HEIGHT - 3);
}

static void add_mark(markup *to, const svg_lines *chart, const scale *axes)
{
    if (chart->marked < 1 || chart->marked > chart->count) return;
    const double x = chart_x(axes, chart->marked);
    markup_format(to, "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x, TOP - 4,
                  CHART_HEIGHT - BOTTOM);
    markup_format(to, "<text class=\"note\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x, TOP - 8);
    markup_escape(to, chart->mark);
    markup_add(to, "</text>");
}

static void add_path(markup *to, const svg_lines *chart, const scale *axes, const svg_series *series)
{
    int pen_down = 0;
    markup_format(to, "<path class=\"line %s\" d=\"", series->class_name);
    for (int i = 0; i < chart->count; ++i) {
        const int drawn = usable(chart, series->values[i]);
        if (drawn)
            markup_format(to, "%c%.1f %.1f", pen_down ? 'L' : 'M', chart_x(axes, i + 1),
                          chart_y(axes, series->values[i]));
        pen_down = drawn;
    }
    markup_add(to, "\"/>");
    for (int i = 0; i < chart->count; ++i) {
        if (!usable(chart, series->values[i])) continue;
        char text[32];
        write_value(text, chart, series->values[i]);
        markup_format(to, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>", series->class_name,
                      chart_x(axes, i + 1), chart_y(axes, series->values[i]), chart->count <= 40 ? "2.6" : "1.2");
        markup_format(to, "%s, epoch %d: %s</title></circle>", series->name, i + 1, text);
    }
}

/* Name and last value at the right end of each line, moved apart when the lines end close together. */
static void add_end_labels(markup *to, const svg_lines *chart, const scale *axes)
{
    double previous = -100;
    for (int rank = 0; rank < chart->series_count; ++rank) {
        double best = INFINITY;
        int chosen = -1;
        for (int s = 0; s < chart->series_count; ++s) { /* the next from the top */
            const double value = chart->series[s].values[chart->count - 1];
            if (!usable(chart, value)) continue;
            const double y = chart_y(axes, value) + s * 1e-6;
            if (y > previous && y < best) best = y, chosen = s;
        }
        if (chosen < 0) return;
        double place = rank > 0 && best - previous < 24 ? previous + 24 : best;
        place = fmin(place, CHART_HEIGHT - BOTTOM - 12 - 24 * (chart->series_count - 1 - rank)); /* above the axis */
        char text[32];
        write_value(text, chart, chart->series[chosen].values[chart->count - 1]);
        markup_format(to, "<text class=\"label %s\" x=\"%d\" y=\"%.1f\">%s</text>", chart->series[chosen].class_name,
                      CHART_WIDTH - RIGHT + 7, place - 1, chart->series[chosen].name);
        markup_format(to, "<text class=\"value\" x=\"%d\" y=\"%.1f\">%s</text>", CHART_WIDTH - RIGHT + 7, place + 11,
                      text);
        previous = rank > 0 && place > best ? place : best;
    }
}

void svg_line_chart(markup *to, const svg_lines *chart)
{
    const scale axes = find_scale(chart);
    markup_format(to, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">", CHART_WIDTH,
                  CHART_HEIGHT, chart->title);
    add_y_ticks(to, chart, &axes);
    add_x_ticks(to, &axes);
    add_mark(to, chart, &axes);
    for (int s = 0; s < chart->series_count; ++s)
        add_path(to, chart, &axes, &chart->series[s]);
    if (chart->count > 0) add_end_labels(to, chart, &axes);
    markup_add(to, "</svg>\n");
}

/* ---- confusion matrix ---- */

typedef struct matrix_layout {
    double cell; /* side of a cell */
    double font; /* of labels */
    double left; /* room for row labels */
    double top;  /* room for column labels */
} matrix_layout;

enum { LABEL_CHARACTERS = 28 };

static int label_length(const svg_matrix *matrix)
{
    int longest = 4;
    for (int i = 0; i < matrix->count; ++i) {
        const char *name = matrix->name(matrix->user, matrix->shown[i]);
        int characters = 0;
        for (const char *at = name; *at != '\0'; ++at)
            characters += ((unsigned char)*at & 0xc0) != 0x80;
        if (characters > longest) longest = characters;
    }
    return longest < LABEL_CHARACTERS ? longest : LABEL_CHARACTERS;
}

static matrix_layout lay_out(const svg_matrix *matrix)
{
    matrix_layout layout = {.cell = fmin(52, fmax(15, 820.0 / matrix->count))};
    layout.font = fmin(13, fmax(9.5, layout.cell * 0.46));
    const double text = label_length(matrix) * layout.font * 0.56;
    layout.left = text + 52; /* the number of images stands beside the name */
    layout.top = text + 14;
    return layout;
}

static int64_t row_sum(const svg_matrix *matrix, int row)
{
    int64_t sum = 0;
    for (int column = 0; column < matrix->classes; ++column)
        sum += matrix->counts[(int64_t)row * matrix->classes + column];
    return sum;
}

static void add_labels(markup *to, const svg_matrix *matrix, const matrix_layout *layout)
{
    for (int i = 0; i < matrix->count; ++i) {
        const char *name = matrix->name(matrix->user, matrix->shown[i]);
        const double middle = (i + 0.5) * layout->cell;
        markup_format(to, "<text class=\"name\" font-size=\"%.1f\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
                      layout->font, layout->left - 42, layout->top + middle + layout->font * 0.35);
        markup_escape_short(to, name, LABEL_CHARACTERS);
        markup_format(
            to,
            "</text><text class=\"count\" font-size=\"%.1f\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%" PRId64
            "</text>",
            layout->font * 0.92, layout->left - 7, layout->top + middle + layout->font * 0.35,
            row_sum(matrix, matrix->shown[i]));
        markup_format(to, "<text class=\"name\" font-size=\"%.1f\" transform=\"translate(%.1f %.1f) rotate(-90)\">",
                      layout->font, layout->left + middle + layout->font * 0.35, layout->top - 7);
        markup_escape_short(to, name, LABEL_CHARACTERS);
        markup_add(to, "</text>\n");
    }
}

static void add_cell(markup *to, const svg_matrix *matrix, const matrix_layout *layout, int row, int column)
{
    const int truth = matrix->shown[row], answer = matrix->shown[column];
    const int64_t count = matrix->counts[(int64_t)truth * matrix->classes + answer], all = row_sum(matrix, truth);
    if (count == 0) return;
    const double share = (double)count / (double)all, x = layout->left + column * layout->cell,
                 y = layout->top + row * layout->cell;
    const double strength = 0.1 + 0.9 * pow(share, 0.6); /* lifts the rare confusions, which are what one looks for */
    markup_format(to, "<g><title>");
    markup_escape(to, matrix->name(matrix->user, truth));
    markup_add(to, " \xe2\x86\x92 ");
    markup_escape(to, matrix->name(matrix->user, answer));
    markup_format(to, ": %" PRId64 " of %" PRId64 " (%.1f %%)</title>", count, all, 100 * share);
    markup_format(to, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill-opacity=\"%.2f\"/>",
                  truth == answer ? "right" : "wrong", x + 0.5, y + 0.5, layout->cell - 1, layout->cell - 1, strength);
    const double font = fmin(13, layout->cell * (count > 999 ? 0.32 : count > 99 ? 0.4 : 0.48));
    if (font >= 6)
        markup_format(
            to, "<text class=\"%s\" font-size=\"%.1f\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%" PRId64 "</text>",
            strength > 0.62 ? "on" : "off", font, x + layout->cell / 2, y + layout->cell / 2 + font * 0.35, count);
    markup_add(to, "</g>\n");
}

void svg_confusion_matrix(markup *to, const svg_matrix *matrix)
{
    const matrix_layout layout = lay_out(matrix);
    const double side = matrix->count * layout.cell, width = layout.left + side + 2, height = layout.top + side + 2;
    markup_format(to,
                  "<svg class=\"matrix\" viewBox=\"0 0 %.0f %.0f\" style=\"max-width:%.0fpx\" role=\"img\" "
                  "aria-label=\"confusion matrix\">\n",
                  width, height, width);
    markup_format(to, "<rect class=\"plate\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", layout.left,
                  layout.top, side, side);
    for (int i = 0; i <= matrix->count; ++i) {
        const double at = i * layout.cell;
        markup_format(to, "<path class=\"grid\" d=\"M%.1f %.1fh%.1fM%.1f %.1fv%.1f\"/>", layout.left, layout.top + at,
                      side, layout.left + at, layout.top, side);
    }
    add_labels(to, matrix, &layout);
    for (int row = 0; row < matrix->count; ++row)
        for (int column = 0; column < matrix->count; ++column)
            add_cell(to, matrix, &layout, row, column);
    markup_add(to, "</svg>\n");
}

/* ---- reliability ---- */

void svg_reliability(markup *to, const int64_t *images, const double *confidence, const double *accuracy, int bins)
{
    enum { SIDE = 190, X = 44, Y = 14 };
    int64_t most = 1;
    for (int i = 0; i < bins; ++i)
        if (images[i] > most) most = images[i];
    markup_format(to, "<svg class=\"chart\" viewBox=\"0 0 420 250\" role=\"img\" aria-label=\"reliability diagram\">");
    for (int i = 0; i <= 4; ++i) {
        const double at = SIDE * i / 4.0;
        markup_format(to, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", X, X + 2 * SIDE - 20,
                      Y + at, Y + at);
        markup_format(to, "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d %%</text>", X - 7,
                      Y + SIDE - at + 3.5, 25 * i);
        markup_format(to, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d %%</text>",
                      X + at * (2.0 * SIDE - 20) / SIDE, Y + SIDE + 16, 25 * i);
    }
    const double wide = (2.0 * SIDE - 20) / bins;
    for (int i = 0; i < bins; ++i) {
        if (images[i] == 0) continue;
        const double height = accuracy[i] * SIDE, part = sqrt((double)images[i] / (double)most);
        markup_format(
            to,
            "<rect class=\"right\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill-opacity=\"%.2f\"><title>"
            "%" PRId64 " images, confidence %.1f %%, correct %.1f %%</title></rect>",
            X + i * wide + 1, Y + SIDE - height, wide - 2, fmax(height, 1), 0.25 + 0.75 * part, images[i],
            100 * confidence[i], 100 * accuracy[i]);
    }
    markup_format(to, "<line class=\"mark\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>", X, Y + SIDE, X + 2 * SIDE - 20,
                  Y);
    markup_format(to, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">confidence</text></svg>\n",
                  X + SIDE - 10, 247);
}

void svg_bar(markup *to, double value, const char *class_name)
{
    markup_format(
        to,
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        "<rect class=\"rail\" width=\"100\" height=\"10\"/><rect class=\"%s\" width=\"%.1f\" height=\"10\"/></svg>",
        class_name, 100 * fmin(1, fmax(0, value)));
}
