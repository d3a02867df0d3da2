/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_CONTEXT_H
#define DEEP_CONTEXT_H

#include <deep/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Allocator, log, threads, limits: what every other object borrows. Free it last. */
typedef struct deep_context deep_context;

/** Severity of a log line. */
enum { DEEP_LOG_ERROR = 1, DEEP_LOG_WARNING = 2, DEEP_LOG_INFO = 3, DEEP_LOG_DEBUG = 4 };

/** Highest instruction set that libdeep's own CPU kernels may use. */
enum {
    DEEP_ISA_AUTO = 0, /**< What is fastest on this processor. */
    DEEP_ISA_BASELINE = 1,
    DEEP_ISA_AVX2 = 2,
    DEEP_ISA_AVX512 = 3,
    DEEP_ISA_AVX512_VNNI = 4, /**< With 8-bit dot products. */
    DEEP_ISA_AVX512_BF16 = 5  /**< With bf16 dot products too, which are slower than float's on Intel without AMX. */
};

/**
 * @return Memory of `size` bytes (never 0) aligned to `alignment` (a power of two), or NULL. Called from any thread.
 */
typedef void *(*deep_alloc_fn)(void *user, size_t size, size_t alignment);

/** Releases what deep_alloc_fn gave; `memory` may be NULL. Called from any thread. */
typedef void (*deep_free_fn)(void *user, void *memory);

/** Receives one finished UTF-8 line without newline. Called from any thread; must not call libdeep. */
typedef void (*deep_log_fn)(void *user, int32_t level, const char *line);

/** Options of deep_context_create(). Zero means the default in every field. */
typedef struct deep_context_options {
    size_t struct_size;  /**< sizeof(deep_context_options) */
    deep_alloc_fn alloc; /**< Both or neither of alloc and free; default: the C library's. */
    deep_free_fn free;
    void *alloc_user;
    deep_log_fn log; /**< Default: no log. */
    void *log_user;
    int32_t log_level;         /**< Most verbose level to deliver; 0 = DEEP_LOG_WARNING. */
    int32_t threads;           /**< Threads that compute, 1 to 1024; 0 = the processors this process may run on. */
    int32_t isa;               /**< DEEP_ISA_*; oneDNN's own cap is process-wide: the first context sets it. */
    int32_t reserved;          /**< 0 */
    const char *device;        /**< "auto" (default), "cpu", "ref", "cuda" or "cuda:1" and so on. */
    int64_t max_pixels;        /**< Of one image; 0 = 64 Mpixel (67108864). */
    int64_t max_side;          /**< Of one image, in pixels; 0 = 65500. */
    int64_t max_decoder_bytes; /**< Memory of one decoder; 0 = 256 MiB. */
    int64_t max_image_bytes;   /**< Of one image file; 0 = 256 MiB. */
    int64_t max_model_bytes;   /**< Of one model file; 0 = 2 GiB. */
    /**
     * Absolute path of the GPU plugin; NULL = libdeep-cuda.so in the folder that the environment variable DEEP_PLUGIN_PATH
     * names, else beside libdeep.so, else where it was to be installed. Opened when "auto" or "cuda" is asked for.
     */
    const char *plugin;
    /**
     * 1 = on a GPU each kernel is queued by itself in each run; 0 = runs that come again are queued as one CUDA graph. The results
     * are the same; debuggers and profilers see more with 1.
     */
    int32_t plain_launches;
    /**
     * On a GPU of compute capability 8.0 or later, inference in bf16 and fp16 makes separable convolutions in one kernel instead of
     * two: 0 = none, 1 = those of at most 256 output channels, 2 = all whose channels are multiples of 8. Rounded a little
     * differently; which is faster has not been measured yet.
     */
    int32_t fused_separable;
} deep_context_options;

/** First member of a designated initialiser: `{DEEP_CONTEXT_OPTIONS_INIT, .threads = 2}`. */
#define DEEP_CONTEXT_OPTIONS_INIT .struct_size = sizeof(deep_context_options)

/**
 * Fills options with the defaults.
 *
 * @param[out] options Zeroed for `size` bytes, struct_size set.
 * @param      size    sizeof the caller's struct. Since 0.1.
 */
DEEP_API void deep_context_options_init(deep_context_options *options, size_t size);

/**
 * Makes a context.
 *
 * Nothing of the process is changed: no signal handler, locale, affinity or OpenMP setting.
 *
 * @param[out] out     The caller frees it with deep_context_free() after everything made from it. NULL on error.
 * @param      options Borrowed for the call; NULL = defaults.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_UNSUPPORTED (unknown fields in a larger struct),
 *         DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_DEVICE, DEEP_ERROR_FORKED (this process was forked from one that had
 *         computed), DEEP_ERROR_STATE (another context already fixed a different `isa` for oneDNN).
 * Any thread. Since 0.1.
 */
DEEP_API deep_status deep_context_create(deep_context **out, const deep_context_options *options);

/** Frees a context; NULL is fine. Objects made from it must be gone. Since 0.1. */
DEEP_API void deep_context_free(deep_context *context);

/**
 * Asks every running fit and evaluation of this context to stop at its next step with DEEP_ERROR_CANCELLED.
 *
 * @param context May be NULL. Any thread, and safe in a signal handler. Since 0.1.
 */
DEEP_API void deep_context_cancel(deep_context *context);

/** Withdraws deep_context_cancel(). Any thread. Since 0.1. */
DEEP_API void deep_context_resume(deep_context *context);

/** @return Threads that this context computes with; 0 for NULL. Any thread. Since 0.1. */
DEEP_API int32_t deep_context_threads(const deep_context *context);

/**
 * @return Name of the device in use, "cpu", "ref", "cuda", "cuda:1"; "" for NULL. Lives as long as the context. Any thread. Since
 *         0.1.
 */
DEEP_API const char *deep_context_device(const deep_context *context);

/**
 * Frees a buffer that a libdeep function returned.
 *
 * @param context The one that the buffer was made from.
 * @param memory  NULL is fine. Since 0.1.
 */
DEEP_API void deep_free(deep_context *context, void *memory);

/** One entry of deep_device_info(). */
typedef struct deep_device {
    size_t struct_size;   /**< sizeof(deep_device), set by the caller */
    char name[16];        /**< What deep_context_options.device takes: "cuda", "cpu", "ref". */
    char description[96]; /**< Such as "oneDNN 2.6.3, AVX-512 kernels". */
    int32_t available;    /**< 1, or 0 with the reason in `description`. */
    int32_t threads;      /**< Threads that it would use by default; of "cuda", those of the host. */
} deep_device;

/** @return How many devices this build knows, available or not. Any thread. Since 0.1. */
DEEP_API int32_t deep_device_count(void);

/**
 * Describes a device.
 *
 * @param      index  0 to deep_device_count() - 1, the preferred one first.
 * @param[out] device `struct_size` set by the caller.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT. Any thread. Since 0.1.
 */
DEEP_API deep_status deep_device_info(int32_t index, deep_device *device);

/**
 * Gives memory of the context's GPU, for deep_session_run_device(). Any other memory of that GPU is as good.
 *
 * @param[out] out   An address that means nothing to the host, 256-byte aligned; the caller frees it with deep_device_memory_free(). NULL on
 *                   error.
 * @param      bytes At least 1. What stands in them is not defined.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_UNSUPPORTED (a device that computes in the host's
 *         memory), DEEP_ERROR_FORKED, DEEP_ERROR_BACKEND. Any thread. Since 0.1.
 */
DEEP_API deep_status deep_device_memory_alloc(void **out, deep_context *context, size_t bytes);

/**
 * Frees it, when all that is queued on the GPU is done.
 *
 * @param context The one that the memory was made from, which has not been freed yet.
 * @param memory  NULL is fine. Any thread. Since 0.1.
 */
DEEP_API void deep_device_memory_free(deep_context *context, void *memory);

#ifdef __cplusplus
}
#endif

#endif
