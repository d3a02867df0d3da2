/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_MODEL_PARAMS_H
#define DEEP_MODEL_PARAMS_H

#include "nn/arch.h"

/*
 * First values of parameter `index` of a network: Keras's Glorot uniform for kernels, 1 for gamma and variance, 0 else.
 * A value depends on the seed, the parameter's index and the element alone.
 */
void deep__param_initialise(float *values, const deep_param_spec *spec, uint64_t seed, int32_t index);

/* Element whose value no parameter of this role can have (not finite, a variance below 0); -1 when all are fine. */
int64_t deep__param_bad_element(const float *values, const deep_param_spec *spec);

/* True for what an optimizer may change: not batch norm's running statistics, nor a kernel's quantization. */
bool deep__role_is_trained(int32_t role);

#endif
