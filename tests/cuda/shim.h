/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TESTS_CUDA_SHIM_H
#define DEEP_TESTS_CUDA_SHIM_H

/*
 * The GPU backend on a host without a GPU: its own plans, ops and kernels, with loops in the place of cuBLASLt and cuDNN.
 * With a NULL accelerator it computes in plain memory, for the table of ops.
 */
#include "backend_cuda/accelerator.h"

const deep_backend *deep__backend_shim(void);

/* Whether an address is of the device's memory. */
bool shim_owns(deep_accelerator *accelerator, const void *memory);

#endif
