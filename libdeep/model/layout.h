/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_LAYOUT_H
#define DEEP_MODEL_LAYOUT_H

/*
 * How the weights stand in memory: plain, or with their 1x1 kernels packed as the backend multiplies them fastest.
 * Sessions want them packed, whoever owns the model alone gets them plain; there is only ever one copy.
 * BF16 and I8 kernels, whose models are never trained, are packed from the beginning.
 */
#include "model/model.h"

/* Whether the model's device packs kernels at all. */
bool deep__model_can_pack(const deep_model *model);

/*
 * True when the kernels are plain: then they stay so, and whoever wants to pack them waits, until they are released.
 * The caller shares the model.
 */
bool deep__model_hold_plain(const deep_model *model);
void deep__model_release_plain(const deep_model *model);

/* Packs the kernels if they are plain. The caller shares the model. */
deep_status deep__model_pack(const deep_model *model);

/* Makes them plain again. The caller has the model alone. */
deep_status deep__model_unpack(deep_model *model);

/*
 * Stores a BF16 or I8 kernel from its plain elements, or gives these back. An I8 kernel's quantization, the parameter
 * behind it, must be there first. The model is the caller's alone to put, shared to get.
 */
void deep__model_put_kernel(deep_model *model, int32_t index, const void *plain);
void deep__model_get_kernel(const deep_model *model, int32_t index, void *plain);

/* Copies the plain values of parameter `index` as floats. The caller shares the model. */
void deep__model_copy_plain(const deep_model *model, int32_t index, float *values);

#endif
