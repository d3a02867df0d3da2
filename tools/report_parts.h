/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_REPORT_PARTS_H
#define DEEP_TOOLS_REPORT_PARTS_H

/* Sections of the report. Each adds nothing when what it shows is not in the input. */
#include "markup.h"
#include "report.h"

void report_add_curves(markup *to, const report_input *input);
void report_add_confusion(markup *to, const report_input *input);
void report_add_classes(markup *to, const report_input *input);
void report_add_reliability(markup *to, const report_input *input);

/* The most frequent confusions with pictures of the images. */
void report_add_worst(markup *to, const report_input *input);

/* Name of a class, its number when nothing names it. */
const char *report_class_name(const report_input *input, int32_t index);

/* The name fits `svg_matrix.name`. */
const char *report_class_name_of(void *input, int index);

/* Classes of the metrics; 0 without metrics. */
int32_t report_class_count(const report_input *input);

#endif
