/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_INFER_CALIBRATE_H
#define DEEP_INFER_CALIBRATE_H

/*
 * What calibration images do to the kernels of a float32 model: the network without fusion, stopped at each convolution that is not
 * depthwise and at each dense layer, so that their inputs and outputs can be looked at.
 */
#include "data/loader.h"
#include "infer/program.h"
#include "model/quantization.h"

/* A kernel at work. */
typedef struct deep_kernel_site {
    int32_t node;       /* in the program's graph */
    int32_t param;      /* the kernel, in the model's parameters */
    int32_t shift;      /* the parameter that moves its outputs: the next batch norm's mean, or the bias */
    int64_t input_rows; /* positions of one image: values per channel */
    int64_t output_rows;
    deep_kernel_shape shape;
    deep_value input;
    deep_value output;
} deep_kernel_site;

typedef int32_t (*deep_calibration_step)(void *user, int64_t step, int64_t steps);

typedef struct deep_calibration {
    const deep_model *model; /* with plain weights; borrowed */
    deep_program program;
    deep_workspace workspace;
    deep_kernel_site *sites; /* in network order */
    int32_t count;
    deep_loader *loader;
    int64_t images;
    float *input; /* a batch, when the images are fewer */
    int32_t batch;
    deep_calibration_step progress; /* after each batch of each pass; other than 0 cancels; NULL = none */
    void *user;
    int64_t step;
    int64_t steps; /* of all passes together */
} deep_calibration;

/* `images` of the dataset, evenly spaced; 0 = all. Always free it, also after a failure. */
deep_status deep__calibration_create(deep_calibration *calibration, const deep_model *model,
                                     const deep_dataset *dataset, int64_t images, int32_t passes);
void deep__calibration_free(deep_calibration *calibration);

/* Called when the first n images of a batch have gone through site `index`: its input and output can be read. */
typedef deep_status (*deep_site_visit)(void *user, const deep_calibration *calibration, int32_t index, int32_t n);

/* All images once through the network. */
deep_status deep__calibration_pass(deep_calibration *calibration, deep_site_visit visit, void *user);

/* Runs the node of a site once more, with other weights of the model's layout. */
deep_status deep__calibration_rerun(const deep_calibration *calibration, int32_t index, float *weights);

static inline float *deep__calibration_value(const deep_calibration *calibration, deep_value value)
{
    return deep__program_value(&calibration->program, &calibration->workspace, value);
}

#endif
