/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_KERNEL_DTYPES_H
#define DEEP_MODEL_KERNEL_DTYPES_H

/* The types that a model's kernels are stored in. A model with other kernels than F32 is quantized: for inference alone. */
#include "model/model.h"

/* Copies the types of all kernels, in network order, into a model that has no weights yet; all F32 is kept as none. */
deep_status deep__model_set_kernel_dtypes(deep_model *model, const uint8_t *dtypes, int32_t count);

bool deep__model_is_quantized(const deep_model *model);

/* The type of the kernels with the fewest bits. */
int32_t deep__model_dtype(const deep_model *model);

/* DEEP_ERROR_UNSUPPORTED when the model is quantized; `what` ends the sentence, such as "cannot be trained". */
deep_status deep__model_check_float(const deep_model *model, const char *what);

#endif
