/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/ranges.h"

#include <math.h>

enum { BINS = DEEP_RANGE_BINS, LEVELS = DEEP_U8_MAX + 1, ENTROPY_STEP = 32 };

#define SMALLEST_WIDTH 1e-20f /* below it a channel counts as constant, and scales stay finite */

deep_status deep__ranges_create(deep_ranges *ranges, const deep_allocator *allocator, int64_t channels)
{
    const size_t count = (size_t)channels;
    *ranges = (deep_ranges){.channels = channels};
    DEEP_TRY(deep__alloc_zero(&ranges->low, allocator, count, sizeof *ranges->low, "ranges"));
    return deep__alloc_zero(&ranges->high, allocator, count, sizeof *ranges->high, "ranges");
}

void deep__ranges_free(deep_ranges *ranges, const deep_allocator *allocator)
{
    deep__free(allocator, ranges->low);
    deep__free(allocator, ranges->high);
    deep__free(allocator, ranges->bins);
    *ranges = (deep_ranges){0};
}

void deep__ranges_widen(deep_ranges *ranges, const float *values, int64_t rows)
{
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t c = 0; c < ranges->channels; ++c) {
            const float value = values[row * ranges->channels + c];
            ranges->low[c] = value < ranges->low[c] ? value : ranges->low[c];
            ranges->high[c] = value > ranges->high[c] ? value : ranges->high[c];
        }
}

/* ---- histograms ---- */

deep_status deep__ranges_add_bins(deep_ranges *ranges, const deep_allocator *allocator)
{
    return deep__alloc_zero(&ranges->bins, allocator, (size_t)ranges->channels, BINS * sizeof *ranges->bins,
                            "histograms");
}

static float width_of(const deep_ranges *ranges, int64_t channel)
{
    return ranges->high[channel] - ranges->low[channel];
}

static bool varies(const deep_ranges *ranges, int64_t channel)
{
    return width_of(ranges, channel) > SMALLEST_WIDTH;
}

void deep__ranges_count(deep_ranges *ranges, const float *values, int64_t rows)
{
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t c = 0; c < ranges->channels; ++c) {
            if (!varies(ranges, c)) continue;
            const float place = (values[row * ranges->channels + c] - ranges->low[c]) / width_of(ranges, c);
            const int32_t bin = (int32_t)(place * BINS);
            ++ranges->bins[c * BINS + (bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin)];
        }
}

static double total_of(const uint32_t *bins)
{
    double total = 0;
    for (int32_t i = 0; i < BINS; ++i)
        total += (double)bins[i];
    return total;
}

/* Keeps bins first .. end - 1; zero stays inside. */
static void keep_bins(deep_ranges *ranges, int64_t channel, int32_t first, int32_t end)
{
    const float low = ranges->low[channel], width = width_of(ranges, channel);
    ranges->low[channel] = fminf(low + width * (float)first / BINS, 0);
    ranges->high[channel] = fmaxf(low + width * (float)end / BINS, 0);
}

void deep__ranges_cut_percentile(deep_ranges *ranges, double part)
{
    for (int64_t c = 0; c < ranges->channels; ++c) {
        const uint32_t *bins = ranges->bins + c * BINS;
        const double tail = total_of(bins) * (1 - part) / 2;
        int32_t first = 0, end = BINS;
        if (!varies(ranges, c)) continue;
        for (double below = bins[0]; below <= tail && first < BINS - 1; below += bins[first])
            ++first;
        for (double above = bins[BINS - 1]; above <= tail && end > first + 1; above += bins[end - 1])
            --end;
        keep_bins(ranges, c, first, end);
    }
}

/* Divergence of what is left when bins first .. end - 1 are kept, with the rest at their edges, at LEVELS levels. */
static double divergence(const uint32_t *bins, int32_t first, int32_t end)
{
    const int32_t kept = end - first;
    double below = 0, above = 0, sum = 0;
    for (int32_t i = 0; i < first; ++i)
        below += (double)bins[i];
    for (int32_t i = end; i < BINS; ++i)
        above += (double)bins[i];
    for (int32_t level = 0; level < LEVELS; ++level) {
        const int32_t from = first + level * kept / LEVELS, to = first + (level + 1) * kept / LEVELS;
        double mass = 0, filled = 0;
        for (int32_t i = from; i < to; ++i) {
            mass += (double)bins[i];
            filled += bins[i] != 0;
        }
        if (filled == 0) continue;
        const double share = mass / filled; /* each bin of the level, as the level shows it */
        for (int32_t i = from; i < to; ++i) {
            const double clipped = (double)bins[i] + (i == first ? below : 0) + (i == end - 1 ? above : 0);
            if (bins[i] != 0) sum += clipped * log(clipped / share);
        }
    }
    return sum;
}

void deep__ranges_cut_entropy(deep_ranges *ranges)
{
    for (int64_t c = 0; c < ranges->channels; ++c) {
        if (!varies(ranges, c)) continue;
        const uint32_t *bins = ranges->bins + c * BINS;
        int32_t first = 0, end = BINS;
        double best = divergence(bins, first, end);
        for (int32_t low = 0; low <= BINS - LEVELS; low += ENTROPY_STEP)
            for (int32_t high = low + LEVELS; high <= BINS; high += ENTROPY_STEP) {
                const double found = divergence(bins, low, high);
                if (found < best || (found == best && high - low > end - first)) {
                    best = found;
                    first = low;
                    end = high;
                }
            }
        keep_bins(ranges, c, first, end);
    }
}

/* ---- levels ---- */

static float mean_width(const deep_ranges *ranges)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t c = 0; c < ranges->channels; ++c) {
        if (!varies(ranges, c)) continue;
        sum += (double)width_of(ranges, c);
        ++count;
    }
    return count > 0 ? (float)(sum / (double)count) : 1;
}

void deep__ranges_to_levels(const deep_ranges *ranges, const deep_quantization *q)
{
    const float usual = mean_width(ranges);
    for (int64_t c = 0; c < ranges->channels; ++c) {
        const float width = varies(ranges, c) ? width_of(ranges, c) : usual;
        q->inverse[c] = DEEP_U8_MAX / width;
        q->zero[c] = rintf(0 - ranges->low[c] * q->inverse[c]);
    }
}
