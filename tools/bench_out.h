/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_BENCH_OUT_H
#define DEEP_TOOLS_BENCH_OUT_H

/* What `deep bench` measured, as tables, as JSON and as a picture. */
#include "bench_run.h"
#include "markup.h"

/* Both return false when stdout cannot be written or memory is out. */
bool bench_print_text(const bench_result *result, const bench_request *request, const char *device);
bool bench_print_json(const bench_result *result, const bench_request *request, const char *device);

/* A whole SVG file: the roofline with a dot for each kind of layer. */
void bench_draw(markup *to, const bench_result *result, const bench_request *request);

/* Steps of the same kind, shape and dtype, together. */
typedef struct bench_kind {
    const bench_step *first;
    int32_t count;
    double milliseconds; /* of one image, as are the next two */
    double operations;
    double bytes;
    double share; /* of the time */
} bench_kind;

/* Sorts the steps of a dtype's model into kinds, the longest first: `kinds` has room for all. Returns how many. */
int32_t bench_kinds(bench_kind *kinds, const bench_result *result, int32_t dtype);

/* "block5_sepconv1 and 23 alike". */
void bench_name_kind(char *text, size_t size, const bench_kind *kind);

#endif
