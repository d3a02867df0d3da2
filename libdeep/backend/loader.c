/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dladdr, secure_getenv */
#include "backend/loader.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char plugin_name[] = "libdeep-cuda.so";
static const char entry_name[] = "deep_backend_entry_v1";

enum { PATH_SIZE = 4096 };

static bool join(char *path, const char *folder, size_t length)
{
    const int written = snprintf(path, PATH_SIZE, "%.*s/%s", (int)length, folder, plugin_name);
    return folder[0] == '/' && written > 0 && written < PATH_SIZE;
}

/* The plugin's path beside the library (or the program that it is linked into); false when that is unknown. */
static bool beside_library(char *path)
{
    Dl_info info;
    if (dladdr(plugin_name, &info) == 0 || info.dli_fname == NULL) return false;
    const char *slash = strrchr(info.dli_fname, '/');
    return slash != NULL && join(path, info.dli_fname, (size_t)(slash - info.dli_fname));
}

/* The one file that will be tried; false with the reason when there is none. */
static bool find_file(char *path, const char *file, char *reason, size_t size)
{
    const char *folder = secure_getenv("DEEP_PLUGIN_PATH");
    if (file != NULL) {
        snprintf(path, PATH_SIZE, "%s", file);
    } else if (folder != NULL && folder[0] != '\0') {
        if (!join(path, folder, strlen(folder))) path[0] = '\0';
        file = folder;
    } else if (!beside_library(path) || access(path, F_OK) != 0) {
        join(path, DEEP_PLUGIN_FOLDER, strlen(DEEP_PLUGIN_FOLDER));
    }
    if (file != NULL && path[0] != '/') {
        snprintf(reason, size, "no GPU plugin: %.60s is not an absolute path", file);
        return false;
    }
    if (access(path, F_OK) == 0) return true;
    snprintf(reason, size, "no GPU plugin: %s is not there", path);
    return false;
}

/* A function from a data pointer, which POSIX lets dlsym() return. */
static deep_backend_entry entry_of(void *library)
{
    union {
        void *data;
        deep_backend_entry entry;
    } symbol = {dlsym(library, entry_name)};
    return symbol.entry;
}

const deep_backend *deep__load_plugin(const char *file, char *reason, size_t size)
{
    static const deep_host sizes = {.struct_size = sizeof sizes};
    char path[PATH_SIZE] = "";
    if (!find_file(path, file, reason, size)) return NULL;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *error = dlerror();
        snprintf(reason, size, "the GPU plugin cannot be opened: %s", error == NULL ? path : error);
        return NULL;
    }
    const deep_backend_entry entry = entry_of(library);
    const deep_backend *backend = entry == NULL ? NULL : entry(DEEP_BACKEND_ABI, &sizes);
    if (backend != NULL && backend->struct_size == sizeof *backend && backend->accelerators != NULL &&
        backend->accelerators->struct_size == sizeof *backend->accelerators)
        return backend;
    snprintf(reason, size, "%s is no plugin of this libdeep%s", path, entry == NULL ? "" : ", but of another release");
    return NULL;
}
