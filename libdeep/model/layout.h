/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_LAYOUT_H
#define DEEP_MODEL_LAYOUT_H

/*
 * How the weights stand in memory: plain, or with their 1x1 kernels packed as the backend multiplies them fastest.
 * Sessions want them packed, whoever owns the model alone gets them plain; there is only ever one copy.
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

/* Copies the plain values of parameter `index`. The caller shares the model. */
void deep__model_copy_plain(const deep_model *model, int32_t index, float *values);

#endif
