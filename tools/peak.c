/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops are assembly where the processor is known: the same at every level of optimisation, and all in one program.
 * Elsewhere they are C.
 */
#define _POSIX_C_SOURCE 200809L
#include "peak.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
    SUMS = 12,                  /* independent ones: more than latency times throughput of any processor so far */
    ROUNDS = 6000000,           /* some 10 ms */
    REPEATS = 10,               /* the best one counts */
    STRIDE = 512,               /* bytes of a reading round */
    FAR_BYTES = 256 << 20,      /* of all threads: beyond most processors' last cache */
    LEAST_FAR_BYTES = 16 << 20, /* of one */
    NEAR_BYTES = 512 << 10,
    NEAR_PASSES = 100
};

/* One thread's work: `rounds` rounds; reading ones go through `data`, which has as many strides. */
typedef void (*peak_loop)(int64_t rounds, const char *data);

/* ---- loops ---- */

#if defined(__x86_64__)
/* A round multiplies two registers and adds that to twelve others; each lane of the two has the bits of `pattern`. */
#define MULTIPLY_LOOP(name, instruction, registers, pattern)                                                           \
    static void name(int64_t rounds, const char *data)                                                                 \
    {                                                                                                                  \
        const uint32_t bits = (pattern);                                                                               \
        (void)data;                                                                                                    \
        __asm__ volatile(".irp r,4,5,6,7,8,9,10,11,12,13,14,15\n"                                                      \
                         "vpxor %%xmm\\r, %%xmm\\r, %%xmm\\r\n"                                                        \
                         ".endr\n"                                                                                     \
                         "vbroadcastss %1, %%" registers "0\n"                                                         \
                         "vbroadcastss %1, %%" registers "1\n"                                                         \
                         "1:\n"                                                                                        \
                         ".irp r,4,5,6,7,8,9,10,11,12,13,14,15\n" instruction " %%" registers "0, %%" registers        \
                         "1, %%" registers "\\r\n"                                                                     \
                         ".endr\n"                                                                                     \
                         "dec %0\n"                                                                                    \
                         "jnz 1b\n"                                                                                    \
                         "vzeroupper\n"                                                                                \
                         : "+r"(rounds)                                                                                \
                         : "m"(bits)                                                                                   \
                         : "cc", "xmm0", "xmm1", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",     \
                           "xmm12", "xmm13", "xmm14", "xmm15");                                                        \
    }

/* 9.6e-7 in float, and its upper half twice: nothing overflows or vanishes. */
MULTIPLY_LOOP(f32_avx512, "vfmadd231ps", "zmm", 0x3580d6bf)
MULTIPLY_LOOP(f32_avx2, "vfmadd231ps", "ymm", 0x3580d6bf)
MULTIPLY_LOOP(bf16_avx512, "vdpbf16ps", "zmm", 0x35803580)
MULTIPLY_LOOP(i8_avx512, "vpdpbusd", "zmm", 0x01020102)
MULTIPLY_LOOP(i8_avx, "%{vex%} vpdpbusd", "ymm", 0x01020102)

#define READ_LOOP(name, instruction)                                                                                   \
    static void name(int64_t rounds, const char *data)                                                                 \
    {                                                                                                                  \
        __asm__ volatile("1:\n" instruction "add $512, %1\n"                                                           \
                         "dec %0\n"                                                                                    \
                         "jnz 1b\n"                                                                                    \
                         "vzeroupper\n"                                                                                \
                         : "+r"(rounds), "+r"(data)                                                                    \
                         :                                                                                             \
                         : "cc", "memory", "xmm0");                                                                    \
    }

READ_LOOP(read_avx512, ".irp at,0,64,128,192,256,320,384,448\nvmovups \\at(%1), %%zmm0\n.endr\n")
READ_LOOP(read_avx,
          ".irp at,0,64,128,192,256,320,384,448\nvmovups \\at(%1), %%ymm0\nvmovups \\at+32(%1), %%ymm0\n.endr\n")
#endif

typedef float vec __attribute__((vector_size(16)));

static void f32_plain(int64_t rounds, const char *data)
{
    vec sums[SUMS], a = {1e-9F, 2e-9F, 3e-9F, 4e-9F};
    (void)data;
    for (int i = 0; i < SUMS; ++i)
        sums[i] = a * (float)i;
    for (int64_t round = 0; round < rounds; ++round)
        for (int i = 0; i < SUMS; ++i)
            sums[i] = sums[i] * a + a;
    for (int i = 1; i < SUMS; ++i)
        sums[0] += sums[i];
    volatile float kept = sums[0][0];
    (void)kept;
}

static void read_plain(int64_t rounds, const char *data)
{
    vec sums[4] = {{0}};
    for (const char *end = data + rounds * STRIDE; data < end; data += sizeof sums) {
        vec values[4];
        memcpy(values, data, sizeof values);
        for (int i = 0; i < 4; ++i)
            sums[i] += values[i];
    }
    volatile float kept = sums[0][0] + sums[1][0] + sums[2][0] + sums[3][0];
    (void)kept;
}

/* ---- which of them this processor has ---- */

typedef struct loops {
    peak_loop f32, bf16, i8, read;
    int f32_lanes, bf16_lanes, i8_lanes; /* multiply-adds of an instruction */
} loops;

#if defined(__x86_64__)
/* The compilers' own question is not the same in all of them for this one. */
static bool has_avx_vnni(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4) != 0;
}
#endif

static loops choose_loops(void)
{
    loops l = {.f32 = f32_plain, .f32_lanes = 4, .read = read_plain};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        l.f32 = f32_avx2, l.f32_lanes = 8, l.read = read_avx;
    if (has_avx_vnni()) l.i8 = i8_avx, l.i8_lanes = 32;
    if (__builtin_cpu_supports("avx512f")) l.f32 = f32_avx512, l.f32_lanes = 16, l.read = read_avx512;
    if (__builtin_cpu_supports("avx512vnni")) l.i8 = i8_avx512, l.i8_lanes = 64;
    if (__builtin_cpu_supports("avx512bf16")) l.bf16 = bf16_avx512, l.bf16_lanes = 32;
#endif
    return l;
}

/* ---- all threads at once ---- */

typedef struct task {
    peak_loop loop;
    int64_t rounds;
    int passes;
    const char *data;
} task;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *run_task(void *user)
{
    const task *t = user;
    for (int i = 0; i < t->passes; ++i)
        t->loop(t->rounds, t->data);
    return NULL;
}

/* Runs the task in each thread, this one among them; an errno value when one could not be started. */
static int run_together(const task *tasks, int threads)
{
    pthread_t helpers[PEAK_MAX_THREADS];
    int started = 0, error = 0;
    while (started + 1 < threads && error == 0) {
        error = pthread_create(&helpers[started], NULL, run_task, (void *)(uintptr_t)&tasks[started + 1]);
        if (error == 0) ++started;
    }
    run_task((void *)(uintptr_t)&tasks[0]);
    for (int t = 0; t < started; ++t)
        pthread_join(helpers[t], NULL);
    return error;
}

/* Rounds a second of all threads together, in the best of some repeats; 0 for a loop that is not there. */
static int measure(double *rate, const task *model, int threads, size_t bytes_each)
{
    task tasks[PEAK_MAX_THREADS];
    double best = 1e9;
    *rate = 0;
    if (model->loop == NULL) return 0;
    for (int t = 0; t < threads; ++t) {
        tasks[t] = *model;
        if (model->data != NULL) tasks[t].data += (size_t)t * bytes_each;
    }
    for (int repeat = 0; repeat < REPEATS; ++repeat) {
        const double begin = seconds();
        const int error = run_together(tasks, threads);
        const double took = seconds() - begin;
        if (error != 0) return error;
        if (took < best) best = took;
    }
    *rate = (double)model->rounds * model->passes * threads / best;
    return 0;
}

static int measure_operations(double *giga, peak_loop loop, int lanes, int threads)
{
    const int error = measure(giga, &(task){loop, ROUNDS, 1, NULL}, threads, 0);
    *giga *= 2e-9 * SUMS * lanes;
    return error;
}

static int measure_reading(double *giga, peak_loop loop, int threads, size_t bytes, int passes)
{
    char *data = malloc(bytes * (size_t)threads);
    if (data == NULL) return ENOMEM;
    memset(data, 1, bytes * (size_t)threads);
    const int error = measure(giga, &(task){loop, (int64_t)bytes / STRIDE, passes, data}, threads, bytes);
    *giga *= 1e-9 * STRIDE;
    free(data);
    return error;
}

int peak_measure(machine_peak *peak, int threads)
{
    const loops l = choose_loops();
    *peak = (machine_peak){0};
    if (threads < 1 || threads > PEAK_MAX_THREADS) return EINVAL;
    int error = measure_operations(&peak->f32, l.f32, l.f32_lanes, threads);
    if (error == 0) error = measure_operations(&peak->bf16, l.bf16, l.bf16_lanes, threads);
    if (error == 0) error = measure_operations(&peak->i8, l.i8, l.i8_lanes, threads);
    const size_t share = FAR_BYTES / (size_t)threads / STRIDE * STRIDE;
    const size_t far = share < LEAST_FAR_BYTES ? LEAST_FAR_BYTES : share;
    if (error == 0) error = measure_reading(&peak->memory, l.read, threads, far, 1);
    if (error == 0) error = measure_reading(&peak->cache, l.read, threads, NEAR_BYTES, NEAR_PASSES);
    return error;
}
