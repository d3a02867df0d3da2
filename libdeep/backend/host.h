/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_HOST_H
#define DEEP_BACKEND_HOST_H

/*
 * Ops that are too small, or too much alike, to be written twice for the backends in host memory: losses on a few rows
 * of logits, per-channel folds, type and layout changes. Compiled in float for the library and in double for the
 * gradient tests.
 */
#include "backend/backend.h"

#ifdef DEEP_REF_DOUBLE
typedef double real;
#define DEEP_HOST_REAL  DEEP_DTYPE_F64
#define HOST_NAME(name) deep__host_double_##name
#else
typedef float real;
#define DEEP_HOST_REAL  DEEP_DTYPE_F32
#define HOST_NAME(name) deep__host_##name
#endif

void HOST_NAME(softmax)(const deep_call *call);
void HOST_NAME(softmax_cross_entropy)(const deep_call *call);
void HOST_NAME(softmax_cross_entropy_grad)(const deep_call *call);
void HOST_NAME(batch_norm_fold)(const deep_call *call);
void HOST_NAME(statistics_update)(const deep_call *call);
void HOST_NAME(dropout)(const deep_call *call);
void HOST_NAME(cast)(const deep_call *call);
void HOST_NAME(reorder)(const deep_call *call);
void HOST_NAME(fill)(const deep_call *call);
void HOST_NAME(broadcast_rows)(const deep_call *call);
void HOST_NAME(scale)(const deep_call *call);
void HOST_NAME(finite_check)(const deep_call *call);

#endif
