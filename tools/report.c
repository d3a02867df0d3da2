/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "replace_file.h"
#include "report_parts.h"
#include "report_style.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 12345678 as "12 345 678", with thin spaces. */
static void add_number(markup *to, int64_t value)
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRId64, value);
    for (int i = 0; i < length; ++i) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-') markup_add(to, "&#8239;");
        markup_format(to, "%c", digits[i]);
    }
}

static void add_model_facts(markup *to, const deep_model *model)
{
    deep_model_summary summary = {.struct_size = sizeof summary};
    if (model == NULL || deep_model_info(model, &summary) != DEEP_OK) return;
    markup_add(to, "<div class=\"facts\"><span><b>");
    markup_escape(to, summary.architecture);
    markup_format(
        to, "</b></span><span>input <b>%d&#8239;\xc3\x97&#8239;%d</b> %s</span><span><b>%d</b> classes</span><span><b>",
        summary.input_size, summary.input_size, summary.input_channels == 1 ? "grey" : "RGB", summary.classes);
    add_number(to, summary.parameters);
    markup_add(to, "</b> parameters</span><span><b>");
    add_number(to, summary.multiply_adds / 1000000);
    markup_add(to, "</b> million multiply-adds per image</span></div>\n");
}

static void add_tile(markup *to, const char *name, const char *class_name, const char *format, double value)
{
    char text[48];
    snprintf(text, sizeof text, format, value);
    markup_format(to, "<div class=\"tile %s\"><b>%s</b><span>%s</span></div>\n", class_name, text, name);
}

static void add_tiles(markup *to, const deep_metrics *metrics)
{
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (metrics == NULL || deep_metrics_get_summary(metrics, &summary) != DEEP_OK) return;
    markup_add(to, "<div class=\"tiles\">\n");
    add_tile(to, "accuracy", "main", "%.1f&#8239;%%", 100 * summary.accuracy);
    if (summary.classes > 10) add_tile(to, "top-5 accuracy", "", "%.1f&#8239;%%", 100 * summary.top5_accuracy);
    add_tile(to, "macro F1", "", "%.3f", summary.macro_f1);
    add_tile(to, "weighted F1", "", "%.3f", summary.weighted_f1);
    add_tile(to, "log loss", "", "%.3f", summary.log_loss);
    add_tile(to, "calibration error", "", "%.3f", summary.ece);
    add_tile(to, "images", "", "%.0f", (double)summary.count);
    markup_add(to, "</div>\n");
}

static void add_bad_images(markup *to, const deep_dataset *dataset)
{
    enum { MOST = 200 };
    const int64_t count = dataset == NULL ? 0 : deep_dataset_bad_count(dataset);
    if (count == 0) return;
    markup_format(
        to, "<section class=\"long\"><h2>Images left out</h2><p>%" PRId64 " of %" PRId64 " could not be decoded.</p>\n",
        count, count + deep_dataset_size(dataset));
    markup_add(to, "<table><tr><th>file</th><th>reason</th></tr>\n");
    for (int64_t i = 0; i < count && i < MOST; ++i) {
        markup_add(to, "<tr><td>");
        markup_escape(to, deep_dataset_bad_path(dataset, i));
        markup_add(to, "</td><td class=\"muted\">");
        markup_escape(to, deep_dataset_bad_reason(dataset, i));
        markup_add(to, "</td></tr>\n");
    }
    markup_add(to, "</table>\n");
    if (count > MOST) markup_format(to, "<p>and %" PRId64 " more</p>\n", count - MOST);
    markup_add(to, "</section>\n");
}

static void add_document(markup *to, const report_input *input)
{
    markup_add(to, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    markup_escape(to, input->title);
    markup_add(to, "</title>\n<style>\n");
    markup_add(to, report_page_style);
    markup_add(to, report_chart_style);
    markup_add(to, "</style></head><body><main>\n<header><h1>");
    markup_escape(to, input->title);
    markup_add(to, "</h1>\n");
    add_model_facts(to, input->model);
    markup_add(to, "</header>\n");
    add_tiles(to, input->metrics);
    report_add_curves(to, input);
    report_add_confusion(to, input);
    report_add_worst(to, input);
    report_add_classes(to, input);
    report_add_reliability(to, input);
    add_bad_images(to, input->dataset);
    markup_format(to, "<footer>libdeep %d.%d.%d</footer>\n</main></body></html>\n", DEEP_VERSION_MAJOR,
                  DEEP_VERSION_MINOR, DEEP_VERSION_PATCH);
}

int report_write(const report_input *input)
{
    markup document = {0};
    add_document(&document, input);
    if (document.failed) errno = ENOMEM;
    const int result = document.failed ? -1 : replace_file(input->path, document.data, document.length);
    if (result != 0) fprintf(stderr, "deep: error: %s: cannot write the report: %s\n", input->path, strerror(errno));
    markup_free(&document);
    return result;
}
