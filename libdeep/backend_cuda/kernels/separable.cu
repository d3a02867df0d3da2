/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/separable_body.h"
