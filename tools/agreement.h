/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_AGREEMENT_H
#define DEEP_TOOLS_AGREEMENT_H

/* How much a model's answers differ from another's, on labelled images. */
#include "json_out.h"

#include <deep/deep.h>

/* An image counts as sure when the first model's best class leads its second by this probability. */
#define SURE_MARGIN 0.1

typedef struct agreement {
    int64_t images;
    int64_t same; /* both have the same best class */
    int64_t sure;
    int64_t sure_same;
    int64_t correct[2];        /* of either model */
    double sum_of_differences; /* |p - q| of the first model's best class */
    double largest_difference;
} agreement;

/* Both have the classes of `dataset`. An exit status, with a message unless EXIT_OK. */
int agreement_measure(agreement *result, deep_context *context, const deep_model *first, const deep_model *second,
                      const deep_dataset *dataset);

/* Adds one image: `classes` probabilities of either model, the most probable first, and its label. */
void agreement_add(agreement *result, const deep_prediction *first, const deep_prediction *second, int32_t classes,
                   int32_t label);

/* "float32" and `name` are the models. */
void agreement_to_text(const agreement *result, const char *name);
void agreement_to_json(json_out *json, const agreement *result);

#endif
