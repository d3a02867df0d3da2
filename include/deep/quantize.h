/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_QUANTIZE_H
#define DEEP_QUANTIZE_H

#include <deep/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How the ranges of the activations are chosen from the calibration images. */
enum {
    DEEP_CALIBRATE_MINMAX = 0,     /**< Every value that occurred. */
    DEEP_CALIBRATE_PERCENTILE = 1, /**< The middle `percentile` percent of each channel's values. */
    DEEP_CALIBRATE_ENTROPY = 2     /**< What loses least information (Kullback-Leibler divergence) at 256 levels. */
};

/**
 * Called after each batch of calibration images.
 *
 * @return 0 to go on; anything else cancels.
 */
typedef int32_t (*deep_quantize_progress_fn)(void *user, int64_t step, int64_t steps);

/**
 * Called for each kernel, in network order, when it was measured on calibration images.
 *
 * @param name  Of the kernel; borrowed for the call.
 * @param dtype DEEP_DTYPE_BF16, DEEP_DTYPE_F16 or DEEP_DTYPE_I8: how it is stored.
 * @param error Of its outputs: |rounded - exact| / |exact| over all images, pixels and channels, each channel's mean left out.
 *              For a kernel that exceeded `max_error`: what DEEP_DTYPE_I8 would have cost.
 */
typedef void (*deep_quantize_report_fn)(void *user, const char *name, int32_t dtype, double error);

/** Options of deep_model_quantize(). Zero means the default in every field. */
typedef struct deep_quantize_options {
    size_t struct_size; /**< sizeof(deep_quantize_options) */
    int32_t dtype;      /**< DEEP_DTYPE_BF16 (default), DEEP_DTYPE_F16 (GPUs and "ref" alone) or DEEP_DTYPE_I8 */
    int32_t method;     /**< DEEP_CALIBRATE_* of DEEP_DTYPE_I8 */
    double percentile;  /**< 50 to 100; 0 = 99.99 */
    const deep_dataset *calibration;    /**< Images like those to be classified; needed by DEEP_DTYPE_I8. */
    int64_t images;                     /**< That are used, evenly spaced over `calibration`; 0 = at most 256. */
    double max_error;                   /**< A kernel whose error is larger becomes BF16 instead of I8; 0 = 0.05. */
    deep_quantize_progress_fn progress; /**< NULL = none */
    deep_quantize_report_fn report;     /**< NULL = none */
    void *user;                         /**< First argument of both. */
} deep_quantize_options;

#define DEEP_QUANTIZE_OPTIONS_INIT .struct_size = sizeof(deep_quantize_options)

/** Fills options with the defaults. Since 0.1. */
DEEP_API void deep_quantize_options_init(deep_quantize_options *options, size_t size);

/**
 * Makes a copy of a model whose kernels are stored in fewer bits: less memory, faster prediction.
 *
 * The copy predicts, is saved and loaded like every other, and cannot be trained; its parameters cannot be written.
 * Convolution kernels that are not depthwise and dense kernels are rounded; activations between the layers stay float32.
 * With DEEP_DTYPE_I8 the inputs of the kernels become 8-bit numbers while they are multiplied, with ranges found on the
 * calibration images; the first convolution, the dense layers, and whatever exceeds `max_error`, are BF16. What was done
 * to each kernel stands in the metadata ("quantization"). The same arguments give the same model.
 *
 * @param[out] out   The caller frees it with deep_model_free(). NULL on error.
 * @param      model Stays as it is. Not quantized itself.
 * @param      options NULL = defaults.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_UNSUPPORTED (the model is quantized), DEEP_ERROR_DATASET,
 *         DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_CANCELLED, DEEP_ERROR_STATE, DEEP_ERROR_FORKED, DEEP_ERROR_BACKEND, and
 *         those of loading an image. Shared. Since 0.1.
 */
DEEP_API deep_status deep_model_quantize(deep_model **out, const deep_model *model,
                                         const deep_quantize_options *options);

#ifdef __cplusplus
}
#endif

#endif
