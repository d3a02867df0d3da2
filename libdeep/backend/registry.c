/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/registry.h"

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

static const deep_backend *find_usable(const char *name, int32_t isa, char *reason, size_t size)
{
    snprintf(reason, size, "this build does not have it");
    for (int i = 0; i < BACKEND_COUNT; ++i) {
        if (strcmp(name, backends[i].name) != 0) continue;
        const deep_backend *backend = backends[i].find();
        return backend != NULL && backend->describe(isa, reason, size) ? backend : NULL;
    }
    snprintf(reason, size, "known are auto, cpu and ref");
    return NULL;
}

static deep_status choose(deep_context *context, const char *device)
{
    char reason[128];
    if (device != NULL && strcmp(device, "auto") != 0) {
        context->backend = find_usable(device, context->isa, reason, sizeof reason);
        if (context->backend == NULL) return deep__fail(DEEP_ERROR_DEVICE, "device \"%s\": %s", device, reason);
        return DEEP_OK;
    }
    for (int i = 0; i < BACKEND_COUNT && context->backend == NULL; ++i) {
        context->backend = find_usable(backends[i].name, context->isa, reason, sizeof reason);
        if (context->backend == NULL)
            deep__log(&context->logger, DEEP_LOG_INFO, "device %s is not used: %s", backends[i].name, reason);
    }
    return context->backend != NULL ? DEEP_OK : deep__fail(DEEP_ERROR_DEVICE, "no device is usable");
}

deep_status deep_context_create(deep_context **out, const deep_context_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__check_process());
    deep_context_options options = {0};
    DEEP_TRY(deep__options_read(&options, sizeof options, sizeof options, given, "deep_context_options"));
    deep_context *context;
    DEEP_TRY(deep__context_create(&context, given));
    deep_status status = choose(context, options.device);
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
    return context == NULL || context->backend == NULL ? "" : context->backend->name;
}

int32_t deep_device_count(void)
{
    return BACKEND_COUNT;
}

deep_status deep_device_info(int32_t index, deep_device *device)
{
    DEEP_REQUIRE(index >= 0 && index < BACKEND_COUNT, "device %" PRId32 " of %d", index, (int)BACKEND_COUNT);
    deep_device result = {0};
    const deep_backend *backend = backends[index].find();
    snprintf(result.name, sizeof result.name, "%s", backends[index].name);
    snprintf(result.description, sizeof result.description, "this build does not have it");
    if (backend != NULL)
        result.available = backend->describe(DEEP_ISA_AUTO, result.description, sizeof result.description);
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    result.threads = processors < 1 ? 1 : (int32_t)processors;
    return deep__result_write(device, sizeof result, &result, sizeof result, "deep_device");
}
