/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine's cores can multiply and add: bench_peak THREADS. Prints GFLOP/s in float, all threads together. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
enum { FLOATS = 16 };
#elif defined(__AVX2__)
enum { FLOATS = 8 };
#else
enum { FLOATS = 4 };
#endif
typedef float vec __attribute__((vector_size(FLOATS * 4)));

/* Independent sums: more than latency times throughput of any processor so far, few enough for the registers. */
enum { SUMS = 12, MAX_THREADS = 256 };
static const long ROUNDS = 100000000 / SUMS;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *multiply_and_add(void *user)
{
    vec sums[SUMS], a, b;
    for (int i = 0; i < FLOATS; ++i) {
        a[i] = 1e-9F * (float)i;
        b[i] = 1e-9F;
    }
    for (int i = 0; i < SUMS; ++i)
        sums[i] = a * (float)i;
    for (long round = 0; round < ROUNDS; ++round) {
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; ++i)
            sums[i] = sums[i] * a + b;
    }
    for (int i = 1; i < SUMS; ++i)
        sums[0] += sums[i];
    *(float *)user = sums[0][0];
    return NULL;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "usage: %s THREADS (1 to %d)\n", argv[0], MAX_THREADS);
        return 2;
    }
    pthread_t running[MAX_THREADS];
    float results[MAX_THREADS];
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const double begin = seconds();
        for (int t = 0; t < threads; ++t)
            if (pthread_create(&running[t], NULL, multiply_and_add, &results[t]) != 0) return 1;
        for (int t = 0; t < threads; ++t)
            pthread_join(running[t], NULL);
        const double took = seconds() - begin;
        if (took < best) best = took;
    }
    printf("%.1f\n", 2e-9 * (double)ROUNDS * SUMS * FLOATS * threads / best);
    return 0;
}
