/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine's cores can do at most: bench_peak [THREADS]. Prints one JSON object, as tools/peak.h explains it. */
#include "peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    machine_peak peak;
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    const int error = peak_measure(&peak, threads);
    if (error != 0) {
        fprintf(stderr, "%s: %d threads (1 to %d): %s\n", argv[0], threads, PEAK_MAX_THREADS, strerror(error));
        return 2;
    }
    printf("{\"f32\": %.1f, \"bf16\": %.1f, \"i8\": %.1f, \"memory\": %.1f, \"cache\": %.1f}\n", peak.f32, peak.bf16,
           peak.i8, peak.memory, peak.cache);
    return 0;
}
