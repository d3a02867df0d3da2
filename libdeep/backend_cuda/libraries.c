/* SPDX-License-Identifier: Apache-2.0 */
#include "backend_cuda/libraries.h"

#include <dlfcn.h>
#include <stdio.h>

/* ---- the driver ---- */

enum { CUDA_ERROR_NO_DEVICE = 100 }; /* of the driver's interface */

typedef int (*init_fn)(unsigned flags);
typedef int (*number_fn)(int *number);

/* POSIX lets dlsym() return functions as data pointers. */
typedef union driver_symbol {
    void *data;
    init_fn init;
    number_fn number;
} driver_symbol;

static driver_symbol symbol_of(void *library, const char *name)
{
    return (driver_symbol){dlsym(library, name)};
}

/* 0 with the reason when the driver answers with an error. */
static int32_t ask(void *driver, int32_t needed, char *reason, size_t size)
{
    const driver_symbol init = symbol_of(driver, "cuInit"), version = symbol_of(driver, "cuDriverGetVersion"),
                        count = symbol_of(driver, "cuDeviceGetCount");
    int has = 0, gpus = 0;
    if (init.data == NULL || version.data == NULL || count.data == NULL) {
        snprintf(reason, size, "no NVIDIA driver: libcuda.so.1 is something else");
        return 0;
    }
    if (version.number(&has) == 0 && has < needed) {
        snprintf(reason, size, "the NVIDIA driver is too old: for CUDA %d.%d, %d.%d is needed", has / 1000,
                 has % 1000 / 10, (int)needed / 1000, (int)needed % 1000 / 10);
        return 0;
    }
    int error = init.init(0);
    if (error == 0) error = count.number(&gpus);
    if (error != 0 && error != CUDA_ERROR_NO_DEVICE) {
        snprintf(reason, size, "the NVIDIA driver does not start: its error %d", error);
        return 0;
    }
    if (gpus < 1) snprintf(reason, size, "no NVIDIA GPU: the driver finds none");
    return gpus < 1 ? 0 : gpus;
}

int32_t deep__count_gpus(int32_t needed, char *reason, size_t size)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL); /* stays: threads of it may run */
    if (driver != NULL) return ask(driver, needed, reason, size);
    snprintf(reason, size, "no NVIDIA driver: libcuda.so.1 cannot be opened");
    return 0;
}

/* ---- cuDNN and cuBLASLt ---- */

static bool find_all(void *library, const char *file, deep_symbol *symbols, char *reason, size_t size)
{
    for (deep_symbol *s = symbols; s->name != NULL; ++s) {
        s->address = dlsym(library, s->name);
        if (s->address != NULL) continue;
        snprintf(reason, size, "%s has no %s", file, s->name);
        return false;
    }
    return true;
}

/* The first of `files` that opens; NULL ends them. */
static bool open_first(const char *const *files, const char *title, deep_symbol *symbols, char *reason, size_t size)
{
    for (const char *const *file = files; *file != NULL; ++file) {
        void *library = dlopen(*file, RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) return find_all(library, *file, symbols, reason, size);
    }
    const char *error = dlerror(); /* of the last; begins with the file's name */
    snprintf(reason, size, "no %s: %s", title, error == NULL ? files[0] : error);
    return false;
}

bool deep__open_cudnn(deep_symbol *symbols, char *reason, size_t size)
{
    static const char *const files[] = {"libcudnn.so.9", NULL};
    return open_first(files, "cuDNN 9", symbols, reason, size);
}

bool deep__open_cublaslt(deep_symbol *symbols, char *reason, size_t size)
{
    static const char *const files[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
    return open_first(files, "cuBLASLt", symbols, reason, size);
}
