/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_REPORT_H
#define DEEP_TOOLS_REPORT_H

#include <deep/deep.h>

/* What report.html is made from; everything is borrowed for the call, and NULL leaves its section out unless said. */
typedef struct report_input {
    const char *path;  /* of the HTML file; required */
    const char *title; /* required */
    const deep_model *model;
    const deep_history *history;
    const deep_metrics *metrics;
    const deep_dataset *dataset; /* that `metrics` were computed on, same order: thumbnails and names */
    deep_context *context;       /* required; for the images' decoding */
} report_input;

/* Writes the file in one step (temporary file, then rename). 0, or -1 with the reason on stderr. */
int report_write(const report_input *input);

#endif
