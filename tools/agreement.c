/* SPDX-License-Identifier: Apache-2.0 */
#include "agreement.h"

#include "output.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { BATCH = 16 };

static double probability_of(const deep_prediction *row, int32_t classes, int32_t index)
{
    for (int32_t i = 0; i < classes; ++i)
        if (row[i].class_index == index) return (double)row[i].probability;
    return 0;
}

void agreement_add(agreement *result, const deep_prediction *first, const deep_prediction *second, int32_t classes,
                   int32_t label)
{
    const int32_t best = first[0].class_index;
    const bool same = second[0].class_index == best;
    const double margin = (double)first[0].probability - (classes > 1 ? (double)first[1].probability : 0);
    const double difference = fabs((double)first[0].probability - probability_of(second, classes, best));
    ++result->images;
    result->same += same;
    result->sure += margin >= SURE_MARGIN;
    result->sure_same += margin >= SURE_MARGIN && same;
    result->correct[0] += best == label;
    result->correct[1] += second[0].class_index == label;
    result->sum_of_differences += difference;
    if (difference > result->largest_difference) result->largest_difference = difference;
}

/* A few images of a data set, and what both models say about them. */
typedef struct images {
    deep_image *decoded[BATCH];
    deep_prediction *top[2]; /* BATCH x classes */
    int32_t count;
} images;

static deep_status load_some(images *some, deep_context *context, const deep_dataset *dataset, int64_t from)
{
    const int64_t left = deep_dataset_size(dataset) - from;
    const int32_t wanted = left < BATCH ? (int32_t)left : BATCH;
    for (some->count = 0; some->count < wanted; ++some->count) {
        const deep_status status =
            deep_image_load(&some->decoded[some->count], context, deep_dataset_path(dataset, from + some->count), NULL);
        if (status != DEEP_OK) return status;
    }
    return DEEP_OK;
}

static void free_some(images *some)
{
    for (int32_t i = 0; i < some->count; ++i)
        deep_image_free(some->decoded[i]);
    some->count = 0;
}

static deep_status compare_some(agreement *result, images *some, const deep_model *const models[2],
                                const deep_dataset *dataset, int64_t from)
{
    const int32_t classes = deep_model_class_count(models[0]);
    const deep_predict_options options = {DEEP_PREDICT_OPTIONS_INIT, .batch = BATCH};
    for (int i = 0; i < 2; ++i) {
        const deep_status status =
            deep_model_predict(models[i], some->decoded, some->count, &options, some->top[i], classes);
        if (status != DEEP_OK) return status;
    }
    for (int32_t i = 0; i < some->count; ++i)
        agreement_add(result, some->top[0] + (size_t)i * (size_t)classes, some->top[1] + (size_t)i * (size_t)classes,
                      classes, deep_dataset_label(dataset, from + i));
    return DEEP_OK;
}

int agreement_measure(agreement *result, deep_context *context, const deep_model *first, const deep_model *second,
                      const deep_dataset *dataset)
{
    const deep_model *const models[2] = {first, second};
    const size_t values = BATCH * (size_t)deep_model_class_count(first);
    images some = {.top = {calloc(values, sizeof(deep_prediction)), calloc(values, sizeof(deep_prediction))}};
    *result = (agreement){0};
    int code = some.top[0] != NULL && some.top[1] != NULL ? EXIT_OK : EXIT_MEMORY;
    if (code != EXIT_OK) say_error("out of memory");
    for (int64_t from = 0; from < deep_dataset_size(dataset) && code == EXIT_OK; from += BATCH) {
        deep_status status = load_some(&some, context, dataset, from);
        if (status == DEEP_OK) status = compare_some(result, &some, models, dataset, from);
        if (status != DEEP_OK) code = fail_with(status);
        free_some(&some);
    }
    free(some.top[0]);
    free(some.top[1]);
    return code;
}

/* ---- shown ---- */

static double part(int64_t some, int64_t all)
{
    return all > 0 ? (double)some / (double)all : 1;
}

void agreement_to_text(const agreement *result, const char *name)
{
    const double mean = result->images > 0 ? result->sum_of_differences / (double)result->images : 0;
    printf("%-50s %10s %10s\n", "", "float32", name);
    printf("%-50s %10.4f %10.4f\n", "accuracy", part(result->correct[0], result->images),
           part(result->correct[1], result->images));
    printf("%-50s %10s %10.4f\n", "same best class", "", part(result->same, result->images));
    printf("%-50s %10" PRId64 " %10.4f\n", "same best class where float32 leads by 0.1", result->sure,
           part(result->sure_same, result->sure));
    printf("%-50s %10s %10.4f\n", "difference of the best class's probability, mean", "", mean);
    printf("%-50s %10s %10.4f\n", "difference of the best class's probability, most", "", result->largest_difference);
    printf("%-50s %10" PRId64 "\n", "images", result->images);
}

void agreement_to_json(json_out *json, const agreement *result)
{
    const double mean = result->images > 0 ? result->sum_of_differences / (double)result->images : 0;
    emit_open(json, "check", '{');
    emit_int(json, "images", result->images);
    emit_real(json, "accuracy_float32", part(result->correct[0], result->images));
    emit_real(json, "accuracy", part(result->correct[1], result->images));
    emit_real(json, "same_class", part(result->same, result->images));
    emit_int(json, "sure_images", result->sure);
    emit_real(json, "same_class_sure", part(result->sure_same, result->sure));
    emit_real(json, "mean_difference", mean);
    emit_real(json, "largest_difference", result->largest_difference);
    emit_close(json, '}');
}
