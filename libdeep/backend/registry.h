/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_REGISTRY_H
#define DEEP_BACKEND_REGISTRY_H

#include "backend/backend.h"
#include "core/context.h"

/* The backends linked into the library; NULL when one was not built. */
const deep_backend *deep__backend_ref(void);
const deep_backend *deep__backend_cpu(void);

/* The host interface of a context; lives as long as the context. */
deep_host deep__host(deep_context *context);

#endif
