/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "core/context.h"

#include <deep/metrics.h>
#include <math.h>
#include <string.h>

enum { CALIBRATION_BINS = 15, TOP = 5 };

#define SMALLEST_PROBABILITY 1e-15 /* keeps the log loss finite, as scikit-learn did */
#define LARGEST_PROBABILITY  1.001 /* a softmax in single precision may exceed 1 by a little */

struct deep_metrics {
    deep_context *context;
    int64_t count;
    int32_t classes;
    int32_t *labels;    /* count */
    int32_t *predicted; /* count */
    float *confidence;  /* count */
    int64_t *confusion; /* classes x classes, rows true */
    deep_metrics_summary summary;
};

static deep_status check_row(const float *row, int32_t classes, int64_t index)
{
    for (int32_t c = 0; c < classes; ++c)
        DEEP_REQUIRE(row[c] >= 0 && row[c] <= LARGEST_PROBABILITY,
                     "row %" PRId64 ": the probability of class %" PRId32 " is not between 0 and 1", index, c);
    return DEEP_OK;
}

/* The first of the largest. */
static int32_t argmax(const float *row, int32_t classes)
{
    int32_t best = 0;
    for (int32_t c = 1; c < classes; ++c)
        if (row[c] > row[best]) best = c;
    return best;
}

/* Classes that come before `label` when sorted by probability, ties by index. */
static int32_t rank_of(const float *row, int32_t classes, int32_t label)
{
    int32_t before = 0;
    for (int32_t c = 0; c < classes; ++c)
        before += row[c] > row[label] || (row[c] == row[label] && c < label);
    return before;
}

static double loss_of(float probability)
{
    const double p = probability < 1 ? (double)probability : 1;
    return -log(p > SMALLEST_PROBABILITY ? p : SMALLEST_PROBABILITY);
}

/* Mean gap between confidence and accuracy over bins of equal width, weighted by images; bin b is [b/15, (b+1)/15). */
static double calibration_error(const deep_metrics *m)
{
    double confidence[CALIBRATION_BINS] = {0}, sum = 0;
    int64_t correct[CALIBRATION_BINS] = {0};
    for (int64_t i = 0; i < m->count; ++i) {
        int bin = (int)((double)m->confidence[i] * CALIBRATION_BINS);
        if (bin >= CALIBRATION_BINS) bin = CALIBRATION_BINS - 1;
        confidence[bin] += (double)m->confidence[i];
        correct[bin] += m->predicted[i] == m->labels[i];
    }
    for (int b = 0; b < CALIBRATION_BINS; ++b)
        sum += fabs((double)correct[b] - confidence[b]);
    return sum / (double)m->count;
}

static double ratio(int64_t part, int64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static void class_metrics(const deep_metrics *m, int32_t index, deep_class_metrics *result)
{
    const int64_t hits = m->confusion[(int64_t)index * m->classes + index];
    result->support = result->predicted = 0;
    for (int32_t other = 0; other < m->classes; ++other) {
        result->support += m->confusion[(int64_t)index * m->classes + other];
        result->predicted += m->confusion[(int64_t)other * m->classes + index];
    }
    result->precision = ratio(hits, result->predicted);
    result->recall = ratio(hits, result->support);
    result->f1 = ratio(2 * hits, result->support + result->predicted);
}

static void average_classes(const deep_metrics *m, deep_metrics_summary *summary)
{
    int32_t present = 0;
    for (int32_t c = 0; c < m->classes; ++c) {
        deep_class_metrics of_class = {0};
        class_metrics(m, c, &of_class);
        if (of_class.support == 0) continue;
        ++present;
        summary->macro_precision += of_class.precision;
        summary->macro_recall += of_class.recall;
        summary->macro_f1 += of_class.f1;
        summary->weighted_f1 += of_class.f1 * (double)of_class.support;
    }
    summary->macro_precision /= present; /* at least one, because count is */
    summary->macro_recall /= present;
    summary->macro_f1 /= present;
    summary->weighted_f1 /= (double)m->count;
}

static deep_status add_rows(deep_metrics *m, const float *probabilities, const int32_t *labels)
{
    deep_metrics_summary *summary = &m->summary;
    int64_t correct = 0, in_top = 0;
    double loss = 0;
    for (int64_t i = 0; i < m->count; ++i) {
        const float *row = probabilities + i * m->classes;
        DEEP_REQUIRE(labels[i] >= 0 && labels[i] < m->classes,
                     "row %" PRId64 ": label %" PRId32 " is not 0 to %" PRId32, i, labels[i], m->classes - 1);
        DEEP_TRY(check_row(row, m->classes, i));
        m->labels[i] = labels[i];
        m->predicted[i] = argmax(row, m->classes);
        m->confidence[i] = row[m->predicted[i]];
        ++m->confusion[(int64_t)labels[i] * m->classes + m->predicted[i]];
        correct += m->predicted[i] == labels[i];
        in_top += rank_of(row, m->classes, labels[i]) < TOP;
        loss += loss_of(row[labels[i]]);
    }
    summary->count = m->count;
    summary->classes = m->classes;
    summary->accuracy = ratio(correct, m->count);
    summary->top5_accuracy = ratio(in_top, m->count);
    summary->log_loss = loss / (double)m->count;
    summary->ece = calibration_error(m);
    average_classes(m, summary);
    return DEEP_OK;
}

static deep_status allocate(deep_metrics *m)
{
    const deep_allocator *allocator = &m->context->allocator;
    const size_t count = (size_t)m->count, classes = (size_t)m->classes;
    DEEP_TRY(deep__alloc(&m->labels, allocator, count, sizeof *m->labels, "metrics"));
    DEEP_TRY(deep__alloc(&m->predicted, allocator, count, sizeof *m->predicted, "metrics"));
    DEEP_TRY(deep__alloc(&m->confidence, allocator, count, sizeof *m->confidence, "metrics"));
    return deep__alloc_zero(&m->confusion, allocator, classes * classes, sizeof *m->confusion, "confusion matrix");
}

deep_status deep_metrics_compute(deep_metrics **out, deep_context *context, const float *probabilities,
                                 const int32_t *labels, int64_t count, int32_t classes)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(probabilities != NULL && labels != NULL, "probabilities or labels is NULL");
    DEEP_REQUIRE(count >= 1, "%" PRId64 " rows, at least 1 is needed", count);
    DEEP_REQUIRE(classes >= 1 && classes <= 65536, "%" PRId32 " classes, not 1 to 65536", classes);
    deep_metrics *metrics;
    DEEP_TRY(deep__alloc_zero(&metrics, &context->allocator, 1, sizeof *metrics, "metrics"));
    metrics->context = context;
    metrics->count = count;
    metrics->classes = classes;
    deep_status status = allocate(metrics);
    if (status == DEEP_OK) status = add_rows(metrics, probabilities, labels);
    if (status != DEEP_OK) {
        deep_metrics_free(metrics);
        return status;
    }
    *out = metrics;
    return DEEP_OK;
}

void deep_metrics_free(deep_metrics *metrics)
{
    if (metrics == NULL) return;
    const deep_allocator *allocator = &metrics->context->allocator;
    deep__free(allocator, metrics->labels);
    deep__free(allocator, metrics->predicted);
    deep__free(allocator, metrics->confidence);
    deep__free(allocator, metrics->confusion);
    deep__free(allocator, metrics);
}

deep_status deep_metrics_get_summary(const deep_metrics *metrics, deep_metrics_summary *summary)
{
    DEEP_REQUIRE(metrics != NULL, "metrics is NULL");
    deep_metrics_summary result = metrics->summary;
    return deep__result_write(summary, sizeof result, &result, sizeof result, "deep_metrics_summary");
}

deep_status deep_metrics_get_class(const deep_metrics *metrics, int32_t index, deep_class_metrics *out)
{
    DEEP_REQUIRE(metrics != NULL, "metrics is NULL");
    DEEP_REQUIRE(index >= 0 && index < metrics->classes, "class %" PRId32 " is not 0 to %" PRId32, index,
                 metrics->classes - 1);
    deep_class_metrics result = {0};
    class_metrics(metrics, index, &result);
    return deep__result_write(out, sizeof result, &result, sizeof result, "deep_class_metrics");
}

const int64_t *deep_metrics_confusion(const deep_metrics *metrics)
{
    return metrics == NULL ? NULL : metrics->confusion;
}

static bool has_row(const deep_metrics *metrics, int64_t index)
{
    return metrics != NULL && index >= 0 && index < metrics->count;
}

int32_t deep_metrics_predicted(const deep_metrics *metrics, int64_t index)
{
    return has_row(metrics, index) ? metrics->predicted[index] : -1;
}

int32_t deep_metrics_label(const deep_metrics *metrics, int64_t index)
{
    return has_row(metrics, index) ? metrics->labels[index] : -1;
}

float deep_metrics_confidence(const deep_metrics *metrics, int64_t index)
{
    return has_row(metrics, index) ? metrics->confidence[index] : 0;
}
