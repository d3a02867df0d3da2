/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_DEVICE_MEMORY_H
#define DEEP_BACKEND_DEVICE_MEMORY_H

/*
 * Memory that a context's backend computes in: the host's own, or a device's, which the host cannot read. Whoever keeps
 * values in it needs not know which: with the host's, copies between a block and itself are nothing.
 */
#include "backend/backend.h"
#include "core/context.h"

/* Whether plans compute in the host's memory. */
bool deep__computes_in_host_memory(const deep_context *context);

/* The context itself when it computes in the host's memory, else the one beside it that does; NULL = there is none. */
deep_context *deep__context_in_host_memory(deep_context *context);

/*
 * Whether the context's device can compute every node; false with one line in `reason`. Whatever computes in the host's
 * memory can.
 */
bool deep__context_supports(const deep_context *context, const deep_graph *graph, char *reason, size_t size);

/* Whether the device makes network inputs of pictures (base/picture.h); the log says so. */
bool deep__choose_pictures(const deep_context *context);

/* DEEP_ERROR_UNSUPPORTED where plans compute in the host's memory. */
deep_status deep__require_device_memory(const deep_context *context);

/* `what` names the purpose in the error text. */
deep_status deep__device_alloc(void **out, const deep_context *context, size_t bytes, const char *what);
void deep__device_free(const deep_context *context, void *memory);

/*
 * From the host's memory to the device's, and back, in `queue`: NULL is the context's own, where nothing computes, and the host's
 * memory.
 */
deep_status deep__upload(const deep_context *context, deep_accelerator *queue, void *to, const void *from,
                         size_t bytes);
deep_status deep__download(const deep_context *context, deep_accelerator *queue, void *to, const void *from,
                           size_t bytes);

/* ---- values that host and device both change ---- */

/*
 * Of the host's memory, which belongs to somebody else, and its copy on the device. Copies wait for all queues before and after.
 * One thread at a time.
 */
typedef struct deep_mirror {
    const deep_context *context;
    void *host;
    void *device; /* NULL = not made yet, or the host's memory is what plans compute in */
    size_t bytes;
    enum { DEEP_ALIKE, DEEP_HOST_NEWER, DEEP_DEVICE_NEWER } state;
} deep_mirror;

deep_mirror deep__mirror(const deep_context *context, void *host, size_t bytes);
void deep__mirror_free(deep_mirror *mirror);

/* Where plans find the values as they are now. */
deep_status deep__mirror_for_device(deep_mirror *mirror, void **address);

/* To be called before the host reads, or writes in part, what plans may have changed; and after it has written. */
deep_status deep__mirror_for_host(deep_mirror *mirror);
void deep__mirror_host_wrote(deep_mirror *mirror);

/* After a plan has written. */
void deep__mirror_device_wrote(deep_mirror *mirror);

#endif
