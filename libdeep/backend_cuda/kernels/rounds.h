/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_ROUNDS_H
#define DEEP_BACKEND_CUDA_KERNELS_ROUNDS_H

/*
 * Kernels whose blocks go round and round, in three parts: one copies what a round reads into shared memory, one makes something of
 * it there, one uses that. A step has parts of three rounds, which touch different memory (a round's parity says which of two):
 *
 *     step s: load(s), make(s - 1), use(s - 2), barrier
 *
 * A load only begins the copies, which end at the step's barrier. Half of the warps make first, the others use first, so that a
 * multiprocessor's arithmetic and its tensor cores work side by side. What a thread keeps in registers between the steps is a struct
 * of its own. What a warp does at once, `use`, is a function of its lanes: KERNEL_LANES is how many of them one call has, one in a
 * GPU's, all in a loop's. The struct is that of as many lanes; a thread's own part has the index thread % KERNEL_LANES.
 *
 * As loops, a step's parts go in this order and in the other, by turns: whoever counts on either shows.
 */
#include "backend_cuda/kernels/kernel.h"

enum { KERNEL_WARP = 32 }; /* threads that go in step */
enum { COPY_BYTES = 16 };

#ifdef __CUDACC__

enum { KERNEL_LANES = 1 };
#define KERNEL_ANYWHERE static __host__ __device__ __forceinline__ /* what the host computes, too */

/* Begins to copy COPY_BYTES, or as many zeros where `there` is false. Both addresses are multiples of COPY_BYTES. */
KERNEL_FUNCTION void copy_begin(void *shared, const void *from, bool there)
{
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"((uint32_t)__cvta_generic_to_shared(shared)),
                 "l"(__cvta_generic_to_global(from)), "r"(there ? COPY_BYTES : 0)
                 : "memory");
#endif
}

KERNEL_FUNCTION void copies_end(void)
{
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
    __syncthreads();
}

#define KERNEL_IN_ROUNDS_AS(linkage, name, arguments, lanes, bytes, rounds, begin, load, make, use, end)               \
    static __global__ void __launch_bounds__(KERNEL_THREADS) name##_global(const arguments a)                          \
    {                                                                                                                  \
        extern __shared__ uint4 kernel_shared[];                                                                       \
        const kernel_position at = KERNEL_HERE;                                                                        \
        const uint32_t makes_first = at.thread / (KERNEL_THREADS / 2), count = rounds(&a);                             \
        lanes own;                                                                                                     \
        begin(&a, at, kernel_shared, &own);                                                                            \
        __syncthreads();                                                                                               \
        for (uint32_t step = 0; step < count + 2; ++step) {                                                            \
            load(&a, at, step, kernel_shared);                                                                         \
            _Pragma("unroll 1") for (uint32_t half = 0; half < 2; ++half)                                              \
            {                                                                                                          \
                if (half != makes_first) {                                                                             \
                    if (step - 1 < count) make(&a, at, step - 1, kernel_shared);                                       \
                } else if (step - 2 < count) {                                                                         \
                    use(at, step - 2, kernel_shared, &own);                                                            \
                }                                                                                                      \
            }                                                                                                          \
            copies_end();                                                                                              \
        }                                                                                                              \
        end(&a, at, kernel_shared, &own);                                                                              \
    }                                                                                                                  \
    linkage void name(const arguments *a, kernel_grid grid)                                                            \
    {                                                                                                                  \
        name##_global<<<dim3(grid.x, grid.y), grid.threads, bytes(a), static_cast<cudaStream_t>(grid.stream)>>>(*a);   \
    }

#else

#include <string.h>

enum { KERNEL_LANES = KERNEL_WARP };
#define KERNEL_ANYWHERE static inline

/* Shared memory of loops, until it is given back (tests/cuda/). */
void *deep__kernel_share(size_t bytes);
void deep__kernel_unshare(void *shared);

static inline void copy_begin(void *shared, const void *from, bool there)
{
    if (there)
        memcpy(shared, from, COPY_BYTES);
    else
        memset(shared, 0, COPY_BYTES);
}

#define KERNEL_FOR_WARPS                                                                                               \
    for (kernel_position at = {block, slice, 0, grid.threads}; at.thread < grid.threads; at.thread += KERNEL_WARP)

/* Shared memory begins as no numbers: what is used and was not made shows. */
#define KERNEL_IN_ROUNDS_AS(linkage, name, arguments, lanes, bytes, rounds, begin, load, make, use, end)               \
    static void name##_step(const arguments *a, uint32_t block, uint32_t slice, kernel_grid grid, uint32_t step,       \
                            void *shared, lanes *own)                                                                  \
    {                                                                                                                  \
        const uint32_t count = rounds(a);                                                                              \
        for (uint32_t i = 0; i < 3; ++i) {                                                                             \
            const uint32_t part = step % 2 == 0 ? i : 2 - i;                                                           \
            if (part == 0) KERNEL_FOR_THREADS load(a, at, step, shared);                                               \
            if (part == 1 && step - 1 < count) KERNEL_FOR_THREADS make(a, at, step - 1, shared);                       \
            if (part == 2 && step - 2 < count)                                                                         \
                KERNEL_FOR_WARPS use(at, step - 2, shared, &own[at.thread / KERNEL_WARP]);                             \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_loops(const void *given, kernel_grid grid)                                                      \
    {                                                                                                                  \
        const arguments *a = given;                                                                                    \
        void *shared = deep__kernel_share(bytes(a));                                                                   \
        lanes own[KERNEL_THREADS / KERNEL_WARP];                                                                       \
        KERNEL_FOR_BLOCKS                                                                                              \
        {                                                                                                              \
            memset(shared, 0xff, bytes(a));                                                                            \
            KERNEL_FOR_THREADS begin(a, at, shared, &own[at.thread / KERNEL_WARP]);                                    \
            for (uint32_t step = 0; step < rounds(a) + 2; ++step)                                                      \
                name##_step(a, block, slice, grid, step, shared, own);                                                 \
            KERNEL_FOR_THREADS end(a, at, shared, &own[at.thread / KERNEL_WARP]);                                      \
        }                                                                                                              \
        deep__kernel_unshare(shared);                                                                                  \
    }                                                                                                                  \
    KERNEL_QUEUED(linkage, name, arguments)

#endif
#endif
