/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/registry.h"

#include "backend/loader.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* In order of preference. */
static const struct {
    const char *name;
    const deep_backend *(*find)(void);
} backends[] = {{"cpu", deep__backend_cpu}, {"ref", deep__backend_ref}};

enum { BACKEND_COUNT = sizeof backends / sizeof backends[0] };

#ifndef DEEP_HAVE_CPU
const deep_backend *deep__backend_cpu(void)
{
    return NULL;
}
#endif

static void *host_alloc(void *user, size_t size)
{
    const deep_context *context = user;
    void *memory = NULL;
    return deep__alloc(&memory, &context->allocator, size, 1, "a compiled plan") == DEEP_OK ? memory : NULL;
}

static void host_free(void *user, void *memory)
{
    const deep_context *context = user;
    deep__free(&context->allocator, memory);
}

static deep_status host_fail(void *user, deep_status status, const char *text)
{
    (void)user;
    return deep__fail(status, "%s", text);
}

static void host_log(void *user, int32_t level, const char *text)
{
    const deep_context *context = user;
    deep__log(&context->logger, level, "%s", text);
}

deep_host deep__host(deep_context *context)
{
    return (deep_host){sizeof(deep_host), context, host_alloc, host_free, host_fail, host_log};
}

/* ---- devices by name ---- */

enum { REASON_SIZE = 256 };

/* N of "cuda:N", 0 of "cuda", -1 of another name. */
static int32_t accelerator_index(const char *device)
{
    static const char prefix[] = "cuda";
    int32_t index = 0, used = 0;
    if (strncmp(device, prefix, sizeof prefix - 1) != 0) return -1;
    const char *rest = device + sizeof prefix - 1;
    if (rest[0] == '\0') return 0;
    return sscanf(rest, ":%3" SCNd32 "%n", &index, &used) == 1 && rest[used] == '\0' && index >= 0 ? index : -1;
}

static void name_accelerator(char *name, size_t size, int32_t index)
{
    if (index == 0)
        snprintf(name, size, "cuda");
    else
        snprintf(name, size, "cuda:%" PRId32, index);
}

static const deep_backend *find_usable(const char *name, int32_t isa, char *reason, size_t size)
{
    snprintf(reason, size, "this build does not have it");
    for (int i = 0; i < BACKEND_COUNT; ++i) {
        if (strcmp(name, backends[i].name) != 0) continue;
        const deep_backend *backend = backends[i].find();
        return backend != NULL && backend->describe(isa, reason, size) ? backend : NULL;
    }
    snprintf(reason, size, "known are auto, cuda, cpu and ref");
    return NULL;
}

/* The plugin's backend when its device `index` is usable. */
static const deep_backend *find_accelerator(const char *plugin, int32_t index, char *reason, size_t size)
{
    const deep_backend *backend = deep__load_plugin(plugin, reason, size);
    if (backend == NULL) return NULL;
    const int32_t count = backend->accelerators->count(reason, size);
    if (count == 0) return NULL;
    if (index < count) return backend->accelerators->describe(index, reason, size) ? backend : NULL;
    snprintf(reason, size, "there are %" PRId32 " GPUs, counted from 0", count);
    return NULL;
}

static void close_accelerator(deep_context *context)
{
    context->backend->accelerators->close(context->accelerator);
}

static deep_status open_accelerator(deep_context *context, int32_t index)
{
    const deep_host host = deep__host(context);
    DEEP_TRY(context->backend->accelerators->open(&context->accelerator, index, &host));
    context->close = close_accelerator;
    return DEEP_OK;
}

/* ---- a context's device ---- */

static deep_status choose_named(deep_context *context, const char *device, const char *plugin)
{
    char reason[REASON_SIZE];
    const int32_t index = accelerator_index(device);
    context->backend = index >= 0 ? find_accelerator(plugin, index, reason, sizeof reason)
                                  : find_usable(device, context->isa, reason, sizeof reason);
    if (context->backend == NULL) return deep__fail(DEEP_ERROR_DEVICE, "device \"%.40s\": %s", device, reason);
    if (index < 0) {
        snprintf(context->device, sizeof context->device, "%s", context->backend->name);
        return DEEP_OK;
    }
    name_accelerator(context->device, sizeof context->device, index);
    return open_accelerator(context, index);
}

/* The best of what is linked in; what is left out is logged. */
static deep_status choose_linked(deep_context *context)
{
    char reason[REASON_SIZE];
    for (int i = 0; i < BACKEND_COUNT && context->backend == NULL; ++i) {
        context->backend = find_usable(backends[i].name, context->isa, reason, sizeof reason);
        if (context->backend == NULL)
            deep__log(&context->logger, DEEP_LOG_INFO, "device %s is not used: %s", backends[i].name, reason);
        else
            snprintf(context->device, sizeof context->device, "%s", backends[i].name);
    }
    return context->backend != NULL ? DEEP_OK : deep__fail(DEEP_ERROR_DEVICE, "no device is usable");
}

static deep_status open_linked(deep_context *context)
{
    const deep_host host = deep__host(context);
    DEEP_TRY(choose_linked(context));
    return context->backend->open(&host, context->isa);
}

/* The context for what the accelerator of `context` lacks. */
static deep_status open_beside(deep_context *context, const deep_context_options *read)
{
    deep_context_options options = *read;
    options.struct_size = sizeof options; /* 0 where the caller gave none */
    DEEP_TRY(deep__context_create(&context->beside, &options));
    context->beside->parent = context;
    return open_linked(context->beside);
}

/* A GPU when there is one; what is left out is logged. */
static deep_status choose_best(deep_context *context, const deep_context_options *options)
{
    char reason[REASON_SIZE];
    context->backend = find_accelerator(options->plugin, 0, reason, sizeof reason);
    if (context->backend == NULL) {
        deep__log(&context->logger, DEEP_LOG_INFO, "device cuda is not used: %s", reason);
        return choose_linked(context);
    }
    name_accelerator(context->device, sizeof context->device, 0);
    DEEP_TRY(open_accelerator(context, 0));
    return open_beside(context, options);
}

static deep_status choose(deep_context *context, const deep_context_options *options)
{
    const bool named = options->device != NULL && strcmp(options->device, "auto") != 0;
    return named ? choose_named(context, options->device, options->plugin) : choose_best(context, options);
}

deep_status deep_context_create(deep_context **out, const deep_context_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__check_process());
    deep_context_options options = {0};
    DEEP_TRY(deep__options_read(&options, sizeof options, sizeof options, given, "deep_context_options"));
    deep_context *context;
    DEEP_TRY(deep__context_create(&context, given));
    deep_status status = choose(context, &options);
    const deep_host host = deep__host(context);
    if (status == DEEP_OK) status = context->backend->open(&host, context->isa);
    if (status != DEEP_OK) {
        deep_context_free(context);
        return status;
    }
    *out = context;
    return DEEP_OK;
}

const char *deep_context_device(const deep_context *context)
{
    return context == NULL ? "" : context->device;
}

/* ---- the list of devices: "cuda", what is linked in, then further GPUs ---- */

static int32_t count_accelerators(char *reason, size_t size)
{
    const deep_backend *backend = deep__load_plugin(NULL, reason, size);
    return backend == NULL ? 0 : backend->accelerators->count(reason, size);
}

int32_t deep_device_count(void)
{
    char reason[REASON_SIZE];
    const int32_t accelerators = count_accelerators(reason, sizeof reason);
    return BACKEND_COUNT + (accelerators < 1 ? 1 : accelerators);
}

static void describe_accelerator(deep_device *device, int32_t index)
{
    char text[REASON_SIZE];
    name_accelerator(device->name, sizeof device->name, index);
    device->available = find_accelerator(NULL, index, text, sizeof text) != NULL;
    snprintf(device->description, sizeof device->description, "%.*s", (int)sizeof device->description - 1, text);
}

static void describe_linked(deep_device *device, int32_t index)
{
    const deep_backend *backend = backends[index].find();
    snprintf(device->name, sizeof device->name, "%s", backends[index].name);
    snprintf(device->description, sizeof device->description, "this build does not have it");
    if (backend != NULL)
        device->available = backend->describe(DEEP_ISA_AUTO, device->description, sizeof device->description);
}

deep_status deep_device_info(int32_t index, deep_device *device)
{
    const int32_t count = deep_device_count();
    DEEP_REQUIRE(index >= 0 && index < count, "device %" PRId32 " of %" PRId32, index, count);
    deep_device result = {0};
    if (index == 0)
        describe_accelerator(&result, 0);
    else if (index <= BACKEND_COUNT)
        describe_linked(&result, index - 1);
    else
        describe_accelerator(&result, index - BACKEND_COUNT);
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    result.threads = processors < 1 ? 1 : (int32_t)processors;
    return deep__result_write(device, sizeof result, &result, sizeof result, "deep_device");
}
