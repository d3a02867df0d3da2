/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "context.h"

#include <sched.h>
#include <unistd.h>

enum { MAX_THREADS = 1024 };

/* Defaults of reliability: 64 Mpixel, 256 MiB for a decoder, 2 GiB for a model. */
static const deep_limits default_limits = {
    .max_pixels = INT64_C(64) << 20,
    .max_side = 65500,
    .max_decoder_bytes = INT64_C(256) << 20,
    .max_image_bytes = INT64_C(256) << 20,
    .max_model_bytes = INT64_C(2) << 30,
};

static _Atomic pid_t computing_pid; /* of the first computation in this process or its parents; 0 = none yet */

static int32_t processors_allowed(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > MAX_THREADS ? MAX_THREADS : count;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value == 0 ? fallback : value;
}

static deep_status check_options(const deep_context_options *options)
{
    DEEP_REQUIRE((options->alloc == NULL) == (options->free == NULL), "alloc and free go together");
    DEEP_REQUIRE(options->threads >= 0 && options->threads <= MAX_THREADS, "threads is %" PRId32 ", not 0 to %d",
                 options->threads, MAX_THREADS);
    DEEP_REQUIRE(options->isa >= DEEP_ISA_AUTO && options->isa <= DEEP_ISA_AVX512_BF16,
                 "isa %" PRId32 " is not one of DEEP_ISA", options->isa);
    DEEP_REQUIRE(options->plain_launches == 0 || options->plain_launches == 1,
                 "plain_launches is %" PRId32 ", not 0 or 1", options->plain_launches);
    DEEP_REQUIRE(options->fused_separable >= 0 && options->fused_separable <= 2,
                 "fused_separable is %" PRId32 ", not 0, 1 or 2", options->fused_separable);
    DEEP_REQUIRE(options->max_pixels >= 0 && options->max_side >= 0 && options->max_decoder_bytes >= 0 &&
                     options->max_image_bytes >= 0 && options->max_model_bytes >= 0,
                 "a limit is negative");
    return DEEP_OK;
}

deep_status deep__context_create(deep_context **out, const deep_context_options *given)
{
    deep_context_options options = {0};
    DEEP_TRY(deep__options_read(&options, sizeof options, sizeof options, given, "deep_context_options"));
    DEEP_TRY(check_options(&options));
    deep_allocator allocator = deep__allocator_default();
    if (options.alloc != NULL) allocator = (deep_allocator){options.alloc, options.free, options.alloc_user};

    deep_context *context;
    DEEP_TRY(deep__alloc_zero(&context, &allocator, 1, sizeof *context, "context"));
    context->allocator = allocator;
    context->logger.write = options.log;
    context->logger.user = options.log_user;
    context->logger.level = options.log_level == 0 ? DEEP_LOG_WARNING : options.log_level;
    context->threads = options.threads == 0 ? processors_allowed() : options.threads;
    context->isa = options.isa;
    context->plain_launches = options.plain_launches != 0;
    context->fused_separable = options.fused_separable;
    context->pid = getpid();
    context->limits = (deep_limits){
        or_default(options.max_pixels, default_limits.max_pixels),
        or_default(options.max_side, default_limits.max_side),
        or_default(options.max_decoder_bytes, default_limits.max_decoder_bytes),
        or_default(options.max_image_bytes, default_limits.max_image_bytes),
        or_default(options.max_model_bytes, default_limits.max_model_bytes),
    };
    atomic_init(&context->cancelled, 0);
    *out = context;
    return DEEP_OK;
}

deep_status deep__check_process(void)
{
    const pid_t first = atomic_load(&computing_pid);
    if (first != 0 && first != getpid())
        return deep__fail(DEEP_ERROR_FORKED, "process %ld was forked from %ld, which had already computed",
                          (long)getpid(), (long)first);
    return DEEP_OK;
}

deep_status deep__note_computation(void)
{
    pid_t none = 0;
    atomic_compare_exchange_strong(&computing_pid, &none, getpid());
    return deep__check_process();
}

deep_status deep__context_check(const deep_context *context)
{
    DEEP_REQUIRE(context != NULL, "context is NULL");
    if (context->pid != getpid())
        return deep__fail(DEEP_ERROR_FORKED, "this handle belongs to process %ld, not %ld", (long)context->pid,
                          (long)getpid());
    return deep__check_process();
}

deep_status deep__context_check_cancel(const deep_context *context)
{
    const bool cancelled =
        atomic_load(&context->cancelled) || (context->parent != NULL && atomic_load(&context->parent->cancelled));
    return cancelled ? deep__fail(DEEP_ERROR_CANCELLED, "cancelled") : DEEP_OK;
}

void deep_context_options_init(deep_context_options *options, size_t size)
{
    deep__options_init(options, size);
}

void deep_context_free(deep_context *context)
{
    if (context == NULL) return;
    const deep_allocator allocator = context->allocator;
    deep_context_free(context->beside);
    if (context->close != NULL) context->close(context);
    deep__free(&allocator, context);
}

void deep_context_cancel(deep_context *context)
{
    if (context != NULL) atomic_store(&context->cancelled, 1);
}

void deep_context_resume(deep_context *context)
{
    if (context != NULL) atomic_store(&context->cancelled, 0);
}

int32_t deep_context_threads(const deep_context *context)
{
    return context == NULL ? 0 : context->threads;
}

void deep_free(deep_context *context, void *memory)
{
    if (context != NULL) deep__free(&context->allocator, memory);
}
