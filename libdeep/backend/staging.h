/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_STAGING_H
#define DEEP_BACKEND_STAGING_H

#include "core/context.h"

/*
 * For memory that batches are uploaded from: page-locked where the context has a device and gets such memory, else the context's own.
 * A forked child's device is not its own: what is page-locked stays there when the child frees it.
 */
deep_allocator deep__staging(deep_context *context);

#endif
