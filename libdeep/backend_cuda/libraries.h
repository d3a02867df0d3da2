/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_LIBRARIES_H
#define DEEP_BACKEND_CUDA_LIBRARIES_H

/*
 * NVIDIA's libraries, opened at run time by the names that their packages install: the plugin itself needs none of them
 * to be loaded, and says which is missing. A host (Python with its wheels) may have loaded them before from elsewhere: the
 * dynamic linker then finds them by name. None of this file knows their headers.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * GPUs that the driver has; 0 with one line in `reason`: no driver, one older than `needed` (as CUDA counts, 13000 =
 * 13.0), or no GPU. Any thread.
 */
int32_t deep__count_gpus(int32_t needed, char *reason, size_t size);

/* What is not a function of this library is not there: an array of these ends with a NULL name. */
typedef struct deep_symbol {
    const char *name;
    void *address; /* found */
} deep_symbol;

/* Opens cuDNN 9 and finds `symbols` in it, then cuBLASLt; false with one line in `reason`. They are not closed again. */
bool deep__open_cudnn(deep_symbol *symbols, char *reason, size_t size);
bool deep__open_cublaslt(deep_symbol *symbols, char *reason, size_t size);

#endif
