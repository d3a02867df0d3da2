/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_INFER_RANGES_H
#define DEEP_INFER_RANGES_H

/*
 * The values that each channel of a tensor takes over many images, and the part of them that 8 bits shall stand for.
 * First all values widen the ranges; then, where the tails are to be cut, all are counted in bins of equal width.
 */
#include "model/quantization.h"

enum { DEEP_RANGE_BINS = 512 };

typedef struct deep_ranges {
    int64_t channels;
    float *low;     /* [channels], at most 0: zero is always one of the levels */
    float *high;    /* [channels], at least 0 */
    uint32_t *bins; /* [channels, DEEP_RANGE_BINS] between low and high; NULL until asked for */
} deep_ranges;

deep_status deep__ranges_create(deep_ranges *ranges, const deep_allocator *allocator, int64_t channels);
void deep__ranges_free(deep_ranges *ranges, const deep_allocator *allocator);

/* Takes `rows` x channels values into the ranges. */
void deep__ranges_widen(deep_ranges *ranges, const float *values, int64_t rows);

/* Makes the bins, and counts values that the ranges know. */
deep_status deep__ranges_add_bins(deep_ranges *ranges, const deep_allocator *allocator);
void deep__ranges_count(deep_ranges *ranges, const float *values, int64_t rows);

/* Narrows each channel to the middle `part` (0.5 to 1) of its values. Needs bins. */
void deep__ranges_cut_percentile(deep_ranges *ranges, double part);

/*
 * Narrows each channel, to no less than half of its width, so that its distribution over 256 levels differs least from that
 * of all its values (Kullback-Leibler divergence). Needs bins.
 */
void deep__ranges_cut_entropy(deep_ranges *ranges);

/* Inverse scales and zero points. A channel that was always 0 gets the mean width of the others. */
void deep__ranges_to_levels(const deep_ranges *ranges, const deep_quantization *quantization);

#endif
