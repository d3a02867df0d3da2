/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/device_memory.h"

#include <stdio.h>
#include <string.h>

bool deep__computes_in_host_memory(const deep_context *context)
{
    return context->accelerator == NULL;
}

deep_context *deep__context_in_host_memory(deep_context *context)
{
    return deep__computes_in_host_memory(context) ? context : context->beside;
}

bool deep__context_supports(const deep_context *context, const deep_graph *graph, char *reason, size_t size)
{
    for (int32_t i = 0; i < graph->node_count && !deep__computes_in_host_memory(context); ++i) {
        const deep_node *node = &graph->nodes[i];
        if (context->backend->supports(graph, node)) continue;
        snprintf(reason, size, "%s has no %s of this type or size", context->device, deep__op_name(node->op));
        return false;
    }
    return true;
}

bool deep__choose_pictures(const deep_context *context)
{
    if (deep__computes_in_host_memory(context)) return false;
    const bool takes = context->backend->accelerators->preprocess != NULL;
    deep__log(&context->logger, DEEP_LOG_INFO, "%s resizes and normalises images",
              takes ? "the device" : "the processor");
    return takes;
}

deep_status deep__device_alloc(void **out, const deep_context *context, size_t bytes, const char *what)
{
    if (deep__computes_in_host_memory(context)) return deep__alloc(out, &context->allocator, bytes, 1, what);
    const deep_status status = context->backend->accelerators->alloc(context->accelerator, out, bytes);
    return status == DEEP_OK ? DEEP_OK : deep__fail_within(status, what);
}

void deep__device_free(const deep_context *context, void *memory)
{
    if (deep__computes_in_host_memory(context))
        deep__free(&context->allocator, memory);
    else
        context->backend->accelerators->free(context->accelerator, memory);
}

deep_status deep__require_device_memory(const deep_context *context)
{
    if (!deep__computes_in_host_memory(context)) return DEEP_OK;
    return deep__fail(DEEP_ERROR_UNSUPPORTED, "device \"%s\" computes in the host's memory and has none of its own",
                      context->device);
}

deep_status deep_device_memory_alloc(void **out, deep_context *context, size_t bytes)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(bytes >= 1, "0 bytes wanted");
    DEEP_TRY(deep__require_device_memory(context));
    return deep__device_alloc(out, context, bytes, "memory on the device");
}

void deep_device_memory_free(deep_context *context, void *memory)
{
    if (context != NULL && !deep__computes_in_host_memory(context)) deep__device_free(context, memory);
}

static deep_accelerator *queue_or_own(const deep_context *context, deep_accelerator *queue)
{
    return queue != NULL ? queue : context->accelerator;
}

deep_status deep__upload(const deep_context *context, deep_accelerator *queue, void *to, const void *from, size_t bytes)
{
    if (!deep__computes_in_host_memory(context))
        return context->backend->accelerators->upload(queue_or_own(context, queue), to, from, bytes);
    if (to != from) memcpy(to, from, bytes);
    return DEEP_OK;
}

deep_status deep__download(const deep_context *context, deep_accelerator *queue, void *to, const void *from,
                           size_t bytes)
{
    if (!deep__computes_in_host_memory(context))
        return context->backend->accelerators->download(queue_or_own(context, queue), to, from, bytes);
    if (to != from) memcpy(to, from, bytes);
    return DEEP_OK;
}

/* ---- mirrors ---- */

deep_mirror deep__mirror(const deep_context *context, void *host, size_t bytes)
{
    return (deep_mirror){context, host, NULL, bytes, DEEP_HOST_NEWER};
}

void deep__mirror_free(deep_mirror *mirror)
{
    if (mirror->device != NULL) deep__device_free(mirror->context, mirror->device);
    *mirror = (deep_mirror){0};
}

/* Queues may still read what is overwritten, and read what is new as soon as they are told the address. */
static deep_status upload_mirror(deep_mirror *mirror)
{
    const deep_context *context = mirror->context;
    DEEP_TRY(context->backend->accelerators->sync_device(context->accelerator));
    DEEP_TRY(deep__upload(context, NULL, mirror->device, mirror->host, mirror->bytes));
    return context->backend->accelerators->sync(context->accelerator);
}

deep_status deep__mirror_for_device(deep_mirror *mirror, void **address)
{
    *address = mirror->host;
    if (deep__computes_in_host_memory(mirror->context)) return DEEP_OK;
    if (mirror->device == NULL)
        DEEP_TRY(deep__device_alloc(&mirror->device, mirror->context, mirror->bytes,
                                    "weights, gradients or slots on the device"));
    if (mirror->state == DEEP_HOST_NEWER) DEEP_TRY(upload_mirror(mirror));
    if (mirror->state == DEEP_HOST_NEWER) mirror->state = DEEP_ALIKE;
    *address = mirror->device;
    return DEEP_OK;
}

deep_status deep__mirror_for_host(deep_mirror *mirror)
{
    if (mirror->state != DEEP_DEVICE_NEWER) return DEEP_OK;
    const deep_context *context = mirror->context;
    DEEP_TRY(context->backend->accelerators->sync_device(context->accelerator));
    DEEP_TRY(deep__download(context, NULL, mirror->host, mirror->device, mirror->bytes));
    mirror->state = DEEP_ALIKE;
    return DEEP_OK;
}

void deep__mirror_host_wrote(deep_mirror *mirror)
{
    mirror->state = DEEP_HOST_NEWER;
}

void deep__mirror_device_wrote(deep_mirror *mirror)
{
    if (mirror->device != NULL) mirror->state = DEEP_DEVICE_NEWER;
}
