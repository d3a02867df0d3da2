/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_SESSION_H
#define DEEP_SESSION_H

#include <deep/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A model compiled for inference at one batch size: no allocation after creation. One thread at a time; many per
 * model.
 */
typedef struct deep_session deep_session;

/** Options of deep_session_create(). Zero means the default in every field. */
typedef struct deep_session_options {
    size_t struct_size; /**< sizeof(deep_session_options) */
    int32_t batch;      /**< Largest number of images at once, 1 to 1024; 0 = 1. */
    int32_t threads;    /**< Threads that compute; 0 = the context's. */
    int32_t layers;     /**< 1 = keep every layer's output, at the cost of memory and fusion. */
    int32_t profile;    /**< 1 = measure what each step costs, for deep_session_step_info(). */
    /**
     * On a GPU: the caller's stream (cudaStream_t) to compute in, of the context's device, which outlives the session; NULL = a stream
     * of the session's own. deep_session_run() comes behind what is queued there, and returns when its results have been copied. The
     * default stream has the handle cudaStreamLegacy.
     */
    void *stream;
} deep_session_options;

#define DEEP_SESSION_OPTIONS_INIT .struct_size = sizeof(deep_session_options)

/** Fills options with the defaults. Since 0.1. */
DEEP_API void deep_session_options_init(deep_session_options *options, size_t size);

/**
 * Compiles a model for inference.
 *
 * @param[out] out   The caller frees it with deep_session_free(), before the model. NULL on error.
 * @param      model Its parameters cannot be written while the session lives.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_STATE, DEEP_ERROR_FORKED,
 *         DEEP_ERROR_BACKEND. Since 0.1.
 */
DEEP_API deep_status deep_session_create(deep_session **out, const deep_model *model,
                                         const deep_session_options *options);

/** Frees a session; NULL is fine. Since 0.1. */
DEEP_API void deep_session_free(deep_session *session);

/**
 * Runs preprocessed input through the network.
 *
 * @param      input  n x size x size x 3 values, NHWC, preprocessed as the model wants (deep_session_preprocess()).
 * @param      n      1 to the session's batch.
 * @param[out] logits n x classes values before the softmax; NULL = not wanted.
 * @param[out] probabilities n x classes values; NULL = not wanted.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_FORKED, DEEP_ERROR_BACKEND. Since 0.1.
 */
DEEP_API deep_status deep_session_run(deep_session *session, const float *input, int32_t n, float *logits,
                                      float *probabilities);

/**
 * Runs input that stands in the GPU's memory and leaves the results there; nothing passes through the host. The work is queued in
 * the session's stream, with copies of the input and the results, and the call returns: the input is read when the stream comes to
 * it, and results are there when the stream has passed. Whoever wrote the input in another stream lets this one wait
 * (deep_session_stream()); whoever reads the results, or uses the input again, waits by deep_session_wait(), or queues that in the same
 * stream.
 *
 * @param      input  n x size x size x 3 values, as deep_session_run()'s, in the memory of the context's GPU (cudaMalloc() and
 *                    others, managed memory too), aligned to 4 bytes. It stays as it is until the stream has passed.
 * @param      n      1 to the session's batch.
 * @param[out] logits n x classes values in the same memory, which is there until the stream has passed; NULL = not wanted.
 * @param[out] probabilities likewise; NULL = not wanted.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (an address that is not of that GPU, too), DEEP_ERROR_UNSUPPORTED (a device that
 *         computes in the host's memory), DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_FORKED, DEEP_ERROR_BACKEND. What goes wrong later is told
 *         by the next call that waits. Since 0.1.
 */
DEEP_API deep_status deep_session_run_device(deep_session *session, const float *input, int32_t n, float *logits,
                                             float *probabilities);

/**
 * Waits for what the session has queued.
 *
 * @param stream Of the same GPU (cudaStream_t), which waits; the call returns at once. NULL = the calling thread waits. The default
 *               stream has the handle cudaStreamLegacy.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_UNSUPPORTED (a device that computes in the host's memory),
 *         DEEP_ERROR_FORKED, DEEP_ERROR_BACKEND. Any thread while the session lives. Since 0.1.
 */
DEEP_API deep_status deep_session_wait(deep_session *session, void *stream);

/**
 * @return The stream that the session computes in (cudaStream_t): the option's, or its own, which lives as long as the session. NULL
 *         for NULL and for a device that computes in the host's memory. Any thread. Since 0.1.
 */
DEEP_API void *deep_session_stream(const deep_session *session);

/** A layer of a session that was made with `layers`. */
typedef struct deep_layer {
    size_t struct_size; /**< sizeof(deep_layer), set by the caller */
    const char *name;   /**< Keras's, such as "block5_sepconv1_bn"; borrowed from the session. */
    int64_t shape[4];   /**< Of one image's output: height, width, channels, or values alone. */
    int32_t rank;       /**< 3 or 1 */
    int32_t reserved;   /**< 0 */
} deep_layer;

/** @return Number of layers, in network order; 0 for NULL and for a session without `layers`. Since 0.1. */
DEEP_API int32_t deep_session_layer_count(const deep_session *session);

/** @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (no such layer). Since 0.1. */
DEEP_API deep_status deep_session_layer_info(const deep_session *session, int32_t index, deep_layer *layer);

/**
 * Copies a layer's output of the last deep_session_run().
 *
 * @param      n      Images, 1 to that run's.
 * @param[out] values n x the layer's shape, NHWC.
 * @param      count  Elements at `values`; must be those.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_STATE (nothing has run). Since 0.1.
 */
DEEP_API deep_status deep_session_layer_read(const deep_session *session, int32_t index, int32_t n, float *values,
                                             int64_t count);

/**
 * A step of a session that was made with `profile`: a layer, or several that are computed together. Numbers are those of
 * the last deep_session_run(), all its images together.
 */
typedef struct deep_session_step {
    size_t struct_size;    /**< sizeof(deep_session_step), set by the caller */
    char layer[64];        /**< Keras's name, such as "block5_sepconv1"; "" for none. */
    char op[32];           /**< What is computed, such as "separable_conv2d". */
    char shape[64];        /**< Of one image, such as "19 x 19 x 728 -> 10 x 10 x 728". */
    double milliseconds;   /**< That the step took. */
    int64_t multiply_adds; /**< Of convolutions and dense layers. */
    int64_t bytes;         /**< Of its operands and results, wherever they stood: each once for each pass. */
    int32_t dtype;         /**< DEEP_DTYPE_* of its kernel; DEEP_DTYPE_F32 without one. */
    int32_t passes;        /**< Times it ran: a batch may go through the network in parts. */
} deep_session_step;

/** @return Number of steps, in the order they run; 0 for NULL and for a session without `profile`. Since 0.1. */
DEEP_API int32_t deep_session_step_count(const deep_session *session);

/** @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (no such step), DEEP_ERROR_STATE (nothing has run). Since 0.1. */
DEEP_API deep_status deep_session_step_info(const deep_session *session, int32_t index, deep_session_step *step);

/**
 * Brings an image to the model's input: channels, size, normalisation.
 *
 * @param[out] input size x size x 3 values, HWC.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY. Since 0.1.
 */
DEEP_API deep_status deep_session_preprocess(const deep_session *session, const deep_image *image, float *input);

#ifdef __cplusplus
}
#endif

#endif
