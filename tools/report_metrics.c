/* SPDX-License-Identifier: Apache-2.0 */
#include "report_parts.h"
#include "svg.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- names ---- */

const char *report_class_name(const report_input *input, int32_t index)
{
    const char *name = NULL;
    if (input->model != NULL) name = deep_model_class_name(input->model, index);
    if (name == NULL && input->dataset != NULL) name = deep_classes_name(deep_dataset_classes(input->dataset), index);
    return name == NULL ? "?" : name;
}

const char *report_class_name_of(void *input, int index)
{
    return report_class_name(input, index);
}

int32_t report_class_count(const report_input *input)
{
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (input->metrics == NULL || deep_metrics_get_summary(input->metrics, &summary) != DEEP_OK) return 0;
    return summary.classes;
}

/* ---- training curves ---- */

enum { COLUMNS = 5 }; /* loss, valid_loss, accuracy, valid_accuracy, learning_rate */

/* `values` is [COLUMNS][count]; 1 when there are validation figures. */
static int read_history(const deep_history *history, double *values, int count)
{
    int has_valid = 0;
    for (int i = 0; i < count; ++i) {
        deep_epoch epoch = {.struct_size = sizeof epoch};
        if (deep_history_get(history, i, &epoch) != DEEP_OK) continue;
        const double row[COLUMNS] = {epoch.loss, epoch.has_valid ? epoch.valid_loss : NAN, epoch.accuracy,
                                     epoch.has_valid ? epoch.valid_accuracy : NAN, epoch.learning_rate};
        for (int c = 0; c < COLUMNS; ++c)
            values[(int64_t)c * count + i] = row[c];
        if (epoch.has_valid) has_valid = 1;
    }
    return has_valid;
}

static void add_curve(markup *to, svg_lines chart)
{
    markup_format(to, "<div><h3>%s</h3>", chart.title);
    svg_line_chart(to, &chart);
    markup_add(to, "</div>\n");
}

static void add_charts(markup *to, const double *values, int count, int series_count, int best)
{
    const svg_series loss[2] = {{"training", "train", values}, {"validation", "valid", values + count}};
    const svg_series accuracy[2] = {{"training", "train", values + 2 * (int64_t)count},
                                    {"validation", "valid", values + 3 * (int64_t)count}};
    const svg_series rate[1] = {{"rate", "rate", values + 4 * (int64_t)count}};
    const char *mark = series_count > 1 ? "kept" : NULL;
    const int marked = series_count > 1 ? best : 0;
    add_curve(to, (svg_lines){.title = "Loss",
                              .series = loss,
                              .series_count = series_count,
                              .count = count,
                              .marked = marked,
                              .mark = mark});
    add_curve(to, (svg_lines){.title = "Accuracy",
                              .series = accuracy,
                              .series_count = series_count,
                              .count = count,
                              .marked = marked,
                              .mark = mark,
                              .percent = 1});
    add_curve(to,
              (svg_lines){.title = "Learning rate", .series = rate, .series_count = 1, .count = count, .log_scale = 1});
}

void report_add_curves(markup *to, const report_input *input)
{
    const int32_t count = input->history == NULL ? 0 : deep_history_count(input->history);
    if (count < 1) return;
    double *values = calloc((size_t)count * COLUMNS, sizeof *values);
    if (values == NULL) {
        to->failed = true;
        return;
    }
    const int has_valid = read_history(input->history, values, count);
    markup_format(to, "<section><h2>Training</h2><p>%d epoch%s", count, count == 1 ? "" : "s");
    if (has_valid) markup_format(to, "; the model has the weights of epoch %d", deep_history_best(input->history));
    markup_add(to, ".</p>\n<div class=\"charts\">\n");
    add_charts(to, values, count, has_valid ? 2 : 1, deep_history_best(input->history));
    markup_add(to, "</div></section>\n");
    free(values);
}

/* ---- confusion matrix ---- */

enum { WHOLE_MATRIX = 60, PART_OF_MATRIX = 40 }; /* classes: up to 60 are shown whole, else the 40 with most errors */

typedef struct ranked {
    int index;
    int64_t errors; /* images of the class called otherwise, and others called so */
} ranked;

static int more_errors(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->errors != b->errors) return a->errors < b->errors ? 1 : -1;
    return a->index < b->index ? -1 : 1;
}

static int lower_index(const void *left, const void *right)
{
    const int a = *(const int *)left, b = *(const int *)right;
    return a < b ? -1 : a > b;
}

static void rank_classes(ranked *rows, const int64_t *counts, int classes)
{
    for (int i = 0; i < classes; ++i) {
        rows[i] = (ranked){i, 0};
        for (int j = 0; j < classes; ++j)
            if (j != i) rows[i].errors += counts[(int64_t)i * classes + j] + counts[(int64_t)j * classes + i];
    }
    qsort(rows, (size_t)classes, sizeof *rows, more_errors);
}

static void add_matrix(markup *to, const report_input *input, int *shown, ranked *rows, int classes)
{
    const int64_t *counts = deep_metrics_confusion(input->metrics);
    const int count = classes > WHOLE_MATRIX ? PART_OF_MATRIX : classes;
    if (classes > WHOLE_MATRIX) rank_classes(rows, counts, classes);
    for (int i = 0; i < count; ++i)
        shown[i] = classes > WHOLE_MATRIX ? rows[i].index : i;
    qsort(shown, (size_t)count, sizeof *shown, lower_index);
    markup_add(
        to,
        "<section class=\"long\"><h2>Confusion matrix</h2>\n<p>Rows are the true classes with their number of images, "
        "columns the model\xe2\x80\x99s answers; colour is the share of the row. <span class=\"key "
        "right\"></span>right "
        "&nbsp;<span class=\"key wrong\"></span>wrong.");
    if (classes > WHOLE_MATRIX) markup_format(to, " Of %d classes, the %d with most errors are shown.", classes, count);
    markup_add(to, "</p>\n<div class=\"scroll\">");
    report_input *user = (report_input *)(uintptr_t)input; /* only read by report_class_name_of() */
    svg_confusion_matrix(to, &(svg_matrix){counts, classes, shown, count, report_class_name_of, user});
    markup_add(to, "</div></section>\n");
}

void report_add_confusion(markup *to, const report_input *input)
{
    const int32_t classes = report_class_count(input);
    if (classes < 1) return;
    int *shown = malloc((size_t)classes * sizeof *shown);
    ranked *rows = malloc((size_t)classes * sizeof *rows);
    if (shown != NULL && rows != NULL)
        add_matrix(to, input, shown, rows, classes);
    else
        to->failed = true;
    free(shown);
    free(rows);
}

/* ---- classes ---- */

typedef struct class_row {
    int index;
    deep_class_metrics figures;
} class_row;

/* The weakest first; classes without images last. */
static int weaker(const void *left, const void *right)
{
    const class_row *a = left, *b = right;
    const int a_empty = a->figures.support == 0, b_empty = b->figures.support == 0;
    if (a_empty != b_empty) return a_empty - b_empty;
    if (a->figures.f1 < b->figures.f1 || a->figures.f1 > b->figures.f1) return a->figures.f1 < b->figures.f1 ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static void add_bar_cell(markup *to, double value)
{
    markup_format(to, "<td class=\"b\"><div class=\"cell\"><span>%.3f</span>", value);
    svg_bar(to, value, "right");
    markup_add(to, "</div></td>");
}

static void add_class_row(markup *to, const report_input *input, const class_row *row)
{
    markup_add(to, "<tr><td>");
    markup_escape(to, report_class_name(input, row->index));
    markup_format(to, "</td><td class=\"n\">%" PRId64 "</td>", row->figures.support);
    if (row->figures.support > 0) {
        add_bar_cell(to, row->figures.precision);
        add_bar_cell(to, row->figures.recall);
        add_bar_cell(to, row->figures.f1);
    } else {
        markup_add(to, "<td class=\"muted\" colspan=\"3\">no images</td>");
    }
    markup_add(to, "</tr>\n");
}

void report_add_classes(markup *to, const report_input *input)
{
    const int32_t classes = report_class_count(input);
    if (classes < 1) return;
    class_row *rows = calloc((size_t)classes, sizeof *rows);
    if (rows == NULL) {
        to->failed = true;
        return;
    }
    for (int i = 0; i < classes; ++i) {
        rows[i] = (class_row){.index = i, .figures = {.struct_size = sizeof rows[i].figures}};
        deep_metrics_get_class(input->metrics, i, &rows[i].figures);
    }
    qsort(rows, (size_t)classes, sizeof *rows, weaker);
    markup_add(to, "<section class=\"long\"><h2>Classes</h2><p>The weakest first.</p>\n<div "
                   "class=\"scroll\"><table><tr><th>class</th>"
                   "<th class=\"n\">images</th><th>precision</th><th>recall</th><th>F1</th></tr>\n");
    for (int i = 0; i < classes; ++i)
        add_class_row(to, input, &rows[i]);
    markup_add(to, "</table></div></section>\n");
    free(rows);
}

/* ---- reliability ---- */

void report_add_reliability(markup *to, const report_input *input)
{
    enum { BINS = 15 }; /* as deep_metrics_summary.ece */
    int64_t images[BINS] = {0};
    double confidence[BINS] = {0}, accuracy[BINS] = {0};
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (input->metrics == NULL || deep_metrics_get_summary(input->metrics, &summary) != DEEP_OK || summary.count < 1)
        return;
    for (int64_t i = 0; i < summary.count; ++i) {
        const double p = (double)deep_metrics_confidence(input->metrics, i);
        const int bin = p >= 1 ? BINS - 1 : p > 0 ? (int)(p * BINS) : 0;
        ++images[bin];
        confidence[bin] += p;
        accuracy[bin] += deep_metrics_predicted(input->metrics, i) == deep_metrics_label(input->metrics, i);
    }
    for (int b = 0; b < BINS; ++b)
        if (images[b] > 0) confidence[b] /= (double)images[b], accuracy[b] /= (double)images[b];
    markup_format(
        to,
        "<section><h2>How far to trust the confidence</h2><p>Share of right answers by the probability that the model "
        "gave its answer; on the dashed line both agree. Pale bars stand for few images. Expected calibration error "
        "%.3f.</p>\n<div class=\"narrow\">",
        summary.ece);
    svg_reliability(to, images, confidence, accuracy, BINS);
    markup_add(to, "</div></section>\n");
}
