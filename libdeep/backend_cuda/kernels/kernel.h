/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_KERNELS_KERNEL_H
#define DEEP_BACKEND_CUDA_KERNELS_KERNEL_H

/*
 * Kernels are written once, in what C11 and CUDA C++ have in common, as functions of one thread. nvcc makes kernels of
 * them; a C compiler makes loops over blocks and threads that compute the same, for tests on machines without a GPU.
 *
 * Where threads of a block work together, the kernel is two functions with a barrier between them, which share a struct of
 * shared memory: what a thread knows in the second must stand there, or be made again.
 *
 * A kernel is called through a function of its name, KERNEL_NAME(arguments, grid), which queues it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a thread is, as seen by itself. */
typedef struct kernel_position {
    uint32_t block;  /* of grid.x */
    uint32_t slice;  /* of grid.y */
    uint32_t thread; /* of the block */
    uint32_t threads;
} kernel_position;

typedef struct kernel_grid {
    uint32_t x;
    uint32_t y;
    uint32_t threads; /* of each block */
    void *stream;     /* that it is queued in */
} kernel_grid;

enum { KERNEL_THREADS = 256 }; /* of a block, in nearly every kernel */

#ifdef __cplusplus
#define KERNEL_LINKAGE extern "C"
#else
#define KERNEL_LINKAGE
#endif
#define KERNEL_DECLARE(name, arguments) KERNEL_LINKAGE void name(const arguments *a, kernel_grid grid);

#ifdef __CUDACC__

#define KERNEL_FUNCTION static __device__ __forceinline__
#define KERNEL_UNROLL   _Pragma("unroll")
#define KERNEL_HERE                                                                                                    \
    {                                                                                                                  \
        blockIdx.x, blockIdx.y, threadIdx.x, blockDim.x                                                                \
    }
#define KERNEL_QUEUE(name)                                                                                             \
    name##_global<<<dim3(grid.x, grid.y), grid.threads, 0, static_cast<cudaStream_t>(grid.stream)>>>(*a)

#define KERNEL_AS(linkage, name, arguments, run)                                                                       \
    static __global__ void __launch_bounds__(KERNEL_THREADS) name##_global(const arguments a)                          \
    {                                                                                                                  \
        const kernel_position at = KERNEL_HERE;                                                                        \
        run(&a, at);                                                                                                   \
    }                                                                                                                  \
    linkage void name(const arguments *a, kernel_grid grid)                                                            \
    {                                                                                                                  \
        KERNEL_QUEUE(name);                                                                                            \
    }

#define KERNEL_IN_TWO_AS(linkage, name, arguments, room, first, second)                                                \
    static __global__ void __launch_bounds__(KERNEL_THREADS) name##_global(const arguments a)                          \
    {                                                                                                                  \
        __shared__ room shared;                                                                                        \
        const kernel_position at = KERNEL_HERE;                                                                        \
        first(&a, at, &shared);                                                                                        \
        __syncthreads();                                                                                               \
        second(&a, at, &shared);                                                                                       \
    }                                                                                                                  \
    linkage void name(const arguments *a, kernel_grid grid)                                                            \
    {                                                                                                                  \
        KERNEL_QUEUE(name);                                                                                            \
    }

#else

#define KERNEL_FUNCTION static inline
#define KERNEL_UNROLL
#define KERNEL_FOR_THREADS                                                                                             \
    for (kernel_position at = {block, slice, 0, grid.threads}; at.thread < grid.threads; ++at.thread)
#define KERNEL_FOR_BLOCKS                                                                                              \
    for (uint32_t slice = 0; slice < grid.y; ++slice)                                                                  \
        for (uint32_t block = 0; block < grid.x; ++block)

/* Queues loops in grid.stream, with a copy of the arguments (tests/cuda/). */
typedef void (*kernel_loops)(const void *arguments, kernel_grid grid);
void deep__kernel_queue(kernel_loops loops, const void *arguments, size_t size, kernel_grid grid);

#define KERNEL_QUEUED(linkage, name, arguments)                                                                        \
    linkage void name(const arguments *a, kernel_grid grid)                                                            \
    {                                                                                                                  \
        deep__kernel_queue(name##_loops, a, sizeof *a, grid);                                                          \
    }

#define KERNEL_AS(linkage, name, arguments, run)                                                                       \
    static void name##_loops(const void *given, kernel_grid grid)                                                      \
    {                                                                                                                  \
        const arguments *a = given;                                                                                    \
        KERNEL_FOR_BLOCKS KERNEL_FOR_THREADS run(a, at);                                                               \
    }                                                                                                                  \
    KERNEL_QUEUED(linkage, name, arguments)

#define KERNEL_IN_TWO_AS(linkage, name, arguments, room, first, second)                                                \
    static void name##_loops(const void *given, kernel_grid grid)                                                      \
    {                                                                                                                  \
        const arguments *a = given;                                                                                    \
        KERNEL_FOR_BLOCKS                                                                                              \
        {                                                                                                              \
            room shared;                                                                                               \
            KERNEL_FOR_THREADS first(a, at, &shared);                                                                  \
            KERNEL_FOR_THREADS second(a, at, &shared);                                                                 \
        }                                                                                                              \
    }                                                                                                                  \
    KERNEL_QUEUED(linkage, name, arguments)

#endif

#define KERNEL(name, arguments, run) KERNEL_AS(KERNEL_LINKAGE, name, arguments, run)
#define KERNEL_IN_TWO(name, arguments, room, first, second)                                                            \
    KERNEL_IN_TWO_AS(KERNEL_LINKAGE, name, arguments, room, first, second)

#endif
