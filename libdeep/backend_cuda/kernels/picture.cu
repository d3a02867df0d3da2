/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/kernels/picture_body.h"
