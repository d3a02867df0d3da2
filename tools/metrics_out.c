/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics_out.h"

#include <inttypes.h>
#include <stdio.h>

void summary_to_json(json_out *json, const deep_metrics_summary *summary)
{
    emit_int(json, "images", summary->count);
    emit_real(json, "accuracy", summary->accuracy);
    emit_real(json, "top5_accuracy", summary->top5_accuracy);
    emit_real(json, "macro_precision", summary->macro_precision);
    emit_real(json, "macro_recall", summary->macro_recall);
    emit_real(json, "macro_f1", summary->macro_f1);
    emit_real(json, "weighted_f1", summary->weighted_f1);
    emit_real(json, "log_loss", summary->log_loss);
    emit_real(json, "ece", summary->ece);
}

static void class_to_json(json_out *json, const deep_metrics *metrics, const deep_classes *classes, int32_t index)
{
    deep_class_metrics figures = {.struct_size = sizeof figures};
    if (deep_metrics_get_class(metrics, index, &figures) != DEEP_OK)
        return; /* `index` is one of the metrics' classes */
    emit_open(json, NULL, '{');
    emit_text(json, "label", deep_classes_name(classes, index));
    emit_int(json, "index", index);
    emit_real(json, "precision", figures.precision);
    emit_real(json, "recall", figures.recall);
    emit_real(json, "f1", figures.f1);
    emit_int(json, "support", figures.support);
    emit_int(json, "predicted", figures.predicted);
    emit_close(json, '}');
}

void metrics_to_json(json_out *json, const deep_metrics *metrics, const deep_classes *classes)
{
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (deep_metrics_get_summary(metrics, &summary) != DEEP_OK) return; /* metrics is not NULL */
    summary_to_json(json, &summary);
    emit_open(json, "classes", '[');
    for (int32_t i = 0; i < summary.classes; ++i)
        class_to_json(json, metrics, classes, i);
    emit_close(json, ']');
    const int64_t *confusion = deep_metrics_confusion(metrics);
    emit_open(json, "confusion_matrix", '[');
    for (int32_t row = 0; row < summary.classes; ++row) {
        emit_open(json, NULL, '[');
        for (int32_t column = 0; column < summary.classes; ++column)
            emit_int(json, NULL, confusion[(int64_t)row * summary.classes + column]);
        emit_close(json, ']');
    }
    emit_close(json, ']');
}

void metrics_to_text(const deep_metrics *metrics, const deep_classes *classes)
{
    deep_metrics_summary summary = {.struct_size = sizeof summary};
    if (deep_metrics_get_summary(metrics, &summary) != DEEP_OK) return; /* metrics is not NULL */
    printf("images         %" PRId64 "\n", summary.count);
    printf("accuracy       %.4f\n", summary.accuracy);
    printf("top-5 accuracy %.4f\n", summary.top5_accuracy);
    printf("macro F1       %.4f\n", summary.macro_f1);
    printf("weighted F1    %.4f\n", summary.weighted_f1);
    printf("log loss       %.4f\n", summary.log_loss);
    printf("calibration error %.4f\n\n", summary.ece);
    printf("%9s %9s %9s %9s  class\n", "precision", "recall", "F1", "images");
    for (int32_t i = 0; i < summary.classes; ++i) {
        deep_class_metrics figures = {.struct_size = sizeof figures};
        if (deep_metrics_get_class(metrics, i, &figures) != DEEP_OK) continue;
        printf("%9.3f %9.3f %9.3f %9" PRId64 "  %s\n", figures.precision, figures.recall, figures.f1, figures.support,
               deep_classes_name(classes, i));
    }
}
