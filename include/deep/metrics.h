/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_METRICS_H
#define DEEP_METRICS_H

#include <deep/dataset.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What deep_model_evaluate() found. Immutable. */
typedef struct deep_metrics deep_metrics;

/** Figures over the whole dataset; 0 to 1 unless said. */
typedef struct deep_metrics_summary {
    size_t struct_size; /**< sizeof(deep_metrics_summary), set by the caller */
    int64_t count;      /**< Images. */
    int32_t classes;    /**< Classes of the model. */
    int32_t reserved;
    double accuracy;
    double top5_accuracy;
    double macro_precision; /**< Means over the classes that have images; a class never predicted counts as 0. */
    double macro_recall;
    double macro_f1;
    double weighted_f1; /**< Weighted by images per class. */
    double log_loss;    /**< Mean of -ln p(true class), p clipped at 1e-15; in nats. */
    double ece;         /**< Expected calibration error, 15 bins of equal width. */
} deep_metrics_summary;

/** Figures of one class. */
typedef struct deep_class_metrics {
    size_t struct_size; /**< sizeof(deep_class_metrics), set by the caller */
    int64_t support;    /**< Images of the class. */
    int64_t predicted;  /**< Images that were called so. */
    double precision;   /**< 0 when never predicted; likewise below. */
    double recall;
    double f1;
} deep_class_metrics;

/**
 * Computes metrics from probabilities.
 *
 * @param[out] out           The caller frees it with deep_metrics_free(). NULL on error.
 * @param      probabilities `count` rows of `classes` values.
 * @param      labels        `count` true classes, 0 to classes - 1.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (the text names the row), DEEP_ERROR_OUT_OF_MEMORY. Any thread. Since
 *         0.1.
 */
DEEP_API deep_status deep_metrics_compute(deep_metrics **out, deep_context *context, const float *probabilities,
                                          const int32_t *labels, int64_t count, int32_t classes);

/** Frees metrics; NULL is fine. Since 0.1. */
DEEP_API void deep_metrics_free(deep_metrics *metrics);

/** @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT. Any thread. Since 0.1. */
DEEP_API deep_status deep_metrics_get_summary(const deep_metrics *metrics, deep_metrics_summary *summary);

/** @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (no such class). Any thread. Since 0.1. */
DEEP_API deep_status deep_metrics_get_class(const deep_metrics *metrics, int32_t index, deep_class_metrics *result);

/**
 * The confusion matrix.
 *
 * @return classes x classes counts, rows true, columns predicted; borrowed from the metrics; NULL for NULL. Since
 *         0.1.
 */
DEEP_API const int64_t *deep_metrics_confusion(const deep_metrics *metrics);

/** @return Class predicted for image `index` of the dataset; -1 outside. Since 0.1. */
DEEP_API int32_t deep_metrics_predicted(const deep_metrics *metrics, int64_t index);

/** @return True class of image `index` of the dataset; -1 outside. Since 0.1. */
DEEP_API int32_t deep_metrics_label(const deep_metrics *metrics, int64_t index);

/** @return Probability of the predicted class of image `index`; 0 outside. Since 0.1. */
DEEP_API float deep_metrics_confidence(const deep_metrics *metrics, int64_t index);

#ifdef __cplusplus
}
#endif

#endif
