/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool are_alike(const bench_step *a, const bench_step *b)
{
    return a->step.dtype == b->step.dtype && strcmp(a->step.op, b->step.op) == 0 &&
           strcmp(a->step.shape, b->step.shape) == 0;
}

static int longest_first(const void *a, const void *b)
{
    const bench_kind *x = a, *y = b;
    return (x->milliseconds < y->milliseconds) - (x->milliseconds > y->milliseconds);
}

static bench_kind *find_kind(bench_kind *kinds, int32_t *count, const bench_step *step)
{
    for (int32_t k = 0; k < *count; ++k)
        if (are_alike(kinds[k].first, step)) return &kinds[k];
    kinds[*count] = (bench_kind){.first = step};
    return &kinds[(*count)++];
}

int32_t bench_kinds(bench_kind *kinds, const bench_result *result, int32_t dtype)
{
    int32_t count = 0;
    for (int32_t s = 0; s < result->step_count; ++s) {
        const bench_step *step = &result->steps[s];
        if (step->dtype != dtype) continue;
        bench_kind *kind = find_kind(kinds, &count, step);
        ++kind->count;
        kind->milliseconds += step->step.milliseconds;
        kind->operations += 2.0 * (double)step->step.multiply_adds;
        kind->bytes += (double)step->step.bytes;
        kind->share += step->share;
    }
    qsort(kinds, (size_t)count, sizeof *kinds, longest_first);
    return count;
}

void bench_name_kind(char *text, size_t size, const bench_kind *kind)
{
    const deep_session_step *step = &kind->first->step;
    const char *name = step->layer[0] != '\0' ? step->layer : step->op;
    if (kind->count == 1)
        snprintf(text, size, "%s", name);
    else
        snprintf(text, size, "%s and %" PRId32 " alike", name, kind->count - 1);
}
