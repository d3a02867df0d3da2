/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/columns_body.h"
