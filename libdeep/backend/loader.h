/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_LOADER_H
#define DEEP_BACKEND_LOADER_H

/*
 * Opens the GPU plugin, one exact file: `file` when it is not NULL, else libdeep-cuda.so in the folder DEEP_PLUGIN_PATH
 * of the environment, else beside libdeep.so, else where it was to be installed; never one of the working directory. It is
 * not closed again: threads of the driver may run in it.
 */
#include "backend/backend.h"

/* NULL with one line in `reason` when there is none, or none that fits. Any thread. */
const deep_backend *deep__load_plugin(const char *file, char *reason, size_t size);

#endif
