/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_INFER_QUANTIZER_H
#define DEEP_INFER_QUANTIZER_H

/*
 * Decides how each kernel of a model is stored: finds the ranges of its inputs on calibration images, rounds it, and measures
 * on the same images what the rounding does to its outputs.
 */
#include "infer/calibrate.h"
#include "infer/ranges.h"

typedef struct deep_kernel_choice {
    int32_t dtype; /* DEEP_DTYPE_BF16 or DEEP_DTYPE_I8 */
    double
        error; /* |rounded - exact| / |exact| of the outputs (Euclidean), without each channel's mean: batch norm's view */
    deep_ranges ranges;  /* of I8 */
    float *quantization; /* of I8: [2 inputs + outputs]; NULL otherwise */
    double *shift;       /* [outputs]: mean of exact - rounded */
    double *mean;        /* [outputs]: of exact */
    double difference;   /* sums of squares: of exact - rounded, */
    double exact;        /* of exact */
} deep_kernel_choice;

typedef struct deep_quantizer_options {
    int32_t method;        /* DEEP_CALIBRATE_* */
    double percentile;     /* 50 to 100 */
    double max_error;      /* a kernel that exceeds it becomes BF16 */
    deep_context *context; /* that calibration computes in: one in the host's memory */
    const deep_dataset *dataset;
    int64_t images; /* 0 = all */
    deep_calibration_step progress;
    void *user;
} deep_quantizer_options;

typedef struct deep_quantizer {
    deep_quantizer_options options;
    deep_model *exact;   /* a copy of the model with plain weights */
    deep_model *rounded; /* the same, its kernels rounded and back in float32 */
    deep_calibration calibration;
    deep_kernel_choice *choices; /* one for each of the calibration's sites */
    float *input;                /* copies of the largest input and output of a site */
    float *output;
} deep_quantizer;

/* Always free it, also after a failure. */
deep_status deep__quantizer_create(deep_quantizer *quantizer, const deep_model *model,
                                   const deep_quantizer_options *options);
void deep__quantizer_free(deep_quantizer *quantizer);

/* Fills the choices and moves the means and biases of quantizer->rounded by what the rounding costs on average. */
deep_status deep__quantizer_run(deep_quantizer *quantizer);

#endif
