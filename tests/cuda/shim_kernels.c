/* SPDX-License-Identifier: Apache-2.0 */
/* The GPU's kernels as loops over blocks and threads. */
#include "backend_cuda/kernels/columns_body.h"
#include "backend_cuda/kernels/depthwise_body.h"
#include "backend_cuda/kernels/elementwise_body.h"
#include "backend_cuda/kernels/loss_body.h"
#include "backend_cuda/kernels/picture_body.h"
#include "backend_cuda/kernels/pool_body.h"
#include "backend_cuda/kernels/reduce_body.h"
#include "backend_cuda/kernels/separable_body.h"
#include "backend_cuda/kernels/update_body.h"
