/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_CORE_CONTEXT_H
#define DEEP_CORE_CONTEXT_H

#include "base/log.h"
#include "base/memory.h"

#include <deep/context.h>
#include <stdatomic.h>
#include <sys/types.h>

typedef struct deep_limits {
    int64_t max_pixels;
    int64_t max_side;
    int64_t max_decoder_bytes;
    int64_t max_image_bytes;
    int64_t max_model_bytes;
} deep_limits;

struct deep_backend;
struct deep_accelerator;

struct deep_context {
    deep_allocator allocator;
    deep_logger logger;
    deep_limits limits;
    int32_t threads;
    int32_t isa;
    pid_t pid;                            /* of the process that made it */
    const struct deep_backend *backend;   /* set by backend/registry.c, with all below but `cancelled` */
    struct deep_accelerator *accelerator; /* NULL = the backend computes in the host's memory */
    void (*close)(struct deep_context *); /* gives back the accelerator */
    bool plain_launches;                  /* as the option */
    int32_t fused_separable;              /* as the option */
    char device[16];
    atomic_int cancelled;
    /* Of an "auto" context on an accelerator: the same in the host's memory, for what the accelerator lacks; else NULL. */
    struct deep_context *beside;
    const struct deep_context
        *parent; /* whose `beside` this one is, and whose cancelling counts here too; NULL = none */
};

/* A context without a backend: enough for base, core, image and data. backend/registry.c makes the public one. */
deep_status deep__context_create(deep_context **out, const deep_context_options *options);

/* DEEP_ERROR_FORKED when `context` belongs to another process, or this process's parent had already computed. */
deep_status deep__context_check(const deep_context *context);

/* DEEP_ERROR_CANCELLED after deep_context_cancel(). */
deep_status deep__context_check_cancel(const deep_context *context);

/* To be called before the first parallel region: a child forked later must not compute. */
deep_status deep__note_computation(void);

/* DEEP_ERROR_FORKED when a parent of this process had computed. */
deep_status deep__check_process(void);

#endif
