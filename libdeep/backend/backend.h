/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_BACKEND_H
#define DEEP_BACKEND_BACKEND_H

/*
 * The contract between core and the backends. Core decides when and where (node order, lifetimes, offsets); a backend
 * decides how (kernels, packing, scratch). An op that a backend lacks is DEEP_ERROR_UNSUPPORTED naming it; there is no
 * silent fallback. A backend calls nothing of core: what it needs comes through deep_host.
 */
#include "base/picture.h"
#include "graph/graph.h"

enum { DEEP_BACKEND_ABI = 1 };

/* What core offers to a backend. */
typedef struct deep_host {
    size_t struct_size;
    void *user;
    void *(*alloc)(void *user, size_t size); /* 64-byte aligned, or NULL */
    void (*free)(void *user, void *memory);
    deep_status (*fail)(void *user, deep_status status, const char *text); /* sets the error text, returns status */
    void (*log)(void *user, int32_t level, const char *text);
} deep_host;

/* A compiled graph. It owns no tensor memory. One thread at a time. */
typedef struct deep_plan deep_plan;

/*
 * A queue of work on a device with memory of its own; those of one device that came from the same open() share its memory. Any
 * thread, but while one waits for what is queued the others do.
 */
typedef struct deep_accelerator deep_accelerator;

typedef struct deep_plan_options {
    size_t struct_size;
    int32_t threads;               /* that compute */
    int32_t isa;                   /* DEEP_ISA_* */
    bool packed;                   /* the 1x1 kernels of the parameters are in the layout of `pack` */
    deep_accelerator *accelerator; /* NULL = the backend computes in the host's memory */
    bool plain;                    /* queue each node in each run, never several recorded as one */
    int32_t fused;                 /* deep_context_options.fused_separable */
} deep_plan_options;

/*
 * Devices with memory of their own. Work is queued: a plan runs when what was queued before it in the same queue is done,
 * `download` waits. Queues do not wait for each other. Addresses of such memory mean nothing to the host.
 */
typedef struct deep_accelerators {
    size_t struct_size;

    /* How many there are; 0 with the reason in `text`. */
    int32_t (*count)(char *text, size_t size);

    /* Text such as "NVIDIA H100, 80 GB, cuDNN 9.19.0"; 1 when usable, 0 with the reason in `text`. */
    int32_t (*describe)(int32_t index, char *text, size_t size);

    deep_status (*open)(deep_accelerator **out, int32_t index, const deep_host *host);
    void (*close)(deep_accelerator *accelerator);

    /* 256-byte aligned. DEEP_ERROR_OUT_OF_MEMORY says how many bytes were wanted and how many are free. */
    deep_status (*alloc)(deep_accelerator *accelerator, void **out, size_t bytes);
    void (*free)(deep_accelerator *accelerator, void *memory);
    size_t (*free_bytes)(deep_accelerator *accelerator);

    /*
     * `from` may change when `upload` returns; but what is uploaded beside, or from page-locked memory, only when something that was
     * queued behind it was waited for.
     */
    deep_status (*upload)(deep_accelerator *accelerator, void *to, const void *from, size_t bytes);
    deep_status (*download)(deep_accelerator *accelerator, void *to, const void *from, size_t bytes);
    deep_status (*clear)(deep_accelerator *accelerator, void *memory, size_t bytes);

    /* Waits for everything queued, and tells what went wrong in it. */
    deep_status (*sync)(deep_accelerator *accelerator);

    /*
     * Another queue: one of its own, or `stream`, the host's (NULL = none). Nothing of it belongs to `of`, which must be closed after
     * it.
     */
    deep_status (*branch)(deep_accelerator **out, deep_accelerator *of, void *stream);

    /* Waits for all queues of the device. */
    deep_status (*sync_device)(deep_accelerator *accelerator);

    /*
     * An upload beside what is computed. It begins when what was queued before the last `meet` is done; what was queued since must not
     * touch `to`. What is queued after the next `meet` begins when the upload is done. Both NULL = everything stands in one queue.
     */
    deep_status (*upload_beside)(deep_accelerator *accelerator, void *to, const void *from, size_t bytes);
    deep_status (*meet)(deep_accelerator *accelerator);

    /*
     * Page-locked memory of the host's, 64-byte aligned: whoever uploads from it does not wait for a copy. `free_locked` waits for all
     * queues. Both NULL = there is none.
     */
    deep_status (*alloc_locked)(deep_accelerator *accelerator, void **out, size_t bytes);
    void (*free_locked)(deep_accelerator *accelerator, void *memory);

    /* Within the device's memory, the host's own of it too; queued. */
    deep_status (*copy)(deep_accelerator *accelerator, void *to, const void *from, size_t bytes);

    /* Whether an address is of the device's memory, whoever asked for that. */
    bool (*owns)(deep_accelerator *accelerator, const void *memory);

    /* The queue as the host knows it: what `branch` was given, or the queue's own. */
    void *(*stream)(deep_accelerator *accelerator);

    /* Lets a stream of the host's wait for what is queued now. */
    deep_status (*hold)(deep_accelerator *accelerator, void *stream);

    /*
     * Makes network inputs `to` [images, size, size, 3] of a block of pictures, which both stand in the device's memory, as the host
     * does (image/preprocess.h), bit for bit; queued. `head` is the block's begin in the host's memory. NULL = the host does it.
     */
    deep_status (*preprocess)(deep_accelerator *accelerator, float *to, const deep_pictures *block,
                              const deep_pictures *head);
} deep_accelerators;

/* A kernel [inner, columns] that is packed: 1x1 ones in F32, all but depthwise ones in BF16 and I8. */
typedef struct deep_packing {
    int32_t dtype;
    int64_t inner;     /* taps x input channels */
    int64_t columns;   /* output channels */
    const float *zero; /* I8: zero point of each input channel */
    int64_t channels;  /* I8: input channels */
} deep_packing;

typedef struct deep_backend {
    size_t struct_size;
    const char *name;

    /* Text such as "oneDNN 2.6.3, AVX-512 kernels" for a cap; 1 when usable, 0 with the reason in `text`. */
    int32_t (*describe)(int32_t isa, char *text, size_t size);

    /* Fixes what is process-wide (oneDNN's instruction set); called once per context. */
    deep_status (*open)(const deep_host *host, int32_t isa);

    /* True when plan_create can compile the node. */
    bool (*supports)(const deep_graph *graph, const deep_node *node);

    /*
     * Compiles nodes whose values have their offsets. The graph must outlive the plan. `*scratch` receives the bytes
     * that the caller must bind to DEEP_SEGMENT_SCRATCH.
     */
    deep_status (*plan_create)(deep_plan **out, size_t *scratch, const deep_graph *graph,
                               const deep_plan_options *options, const deep_host *host);

    /* Runs nodes first .. end - 1. base[s] is where segment s begins; nothing is allocated. */
    deep_status (*plan_run)(deep_plan *plan, void *const base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end);

    void (*plan_free)(deep_plan *plan);

    /*
     * Copies a kernel into the layout that the backend multiplies fastest with, or back. F32 kernels need as many
     * floats, the others deep__kernel_floats(); readers look up to 15 floats further. NULL = the plain layout.
     */
    void (*pack)(int32_t isa, const deep_packing *packing, void *to, const void *from, bool back);

    /* NULL = it computes in the host's memory. */
    const deep_accelerators *accelerators;

    bool joins; /* runs nodes that deep__pass_join_bands() has joined, all of them when the last of them runs */

    /*
     * Scratch node by node: the bytes that each of the graph's nodes needs, and then where they stand in DEEP_SEGMENT_SCRATCH,
     * at multiples of 256; which may be the arena's memory, between the values that are in use. Both NULL = each node
     * uses what it needs from the segment's beginning.
     */
    void (*plan_scratch)(const deep_plan *plan, size_t *bytes);
    void (*plan_place)(deep_plan *plan, const size_t *offsets);
} deep_backend;

/*
 * The one symbol that a plugin exports, "deep_backend_entry_v1"; NULL refuses another `abi` or sizes of structs. Of
 * `host` the size alone counts: functions come with each later call.
 */
typedef const deep_backend *(*deep_backend_entry)(uint32_t abi, const deep_host *host);

/* ---- for the backends in host memory ---- */

/* A node with its operands resolved to addresses. */
typedef struct deep_call {
    const deep_node *node;
    const deep_attr *attr;
    const deep_value_info *in[DEEP_NODE_INPUTS];
    const deep_value_info *out[DEEP_NODE_OUTPUTS];
    void *src[DEEP_NODE_INPUTS]; /* updates write to some of these */
    void *dst[DEEP_NODE_OUTPUTS];
    void *scratch;
} deep_call;

static inline void *deep__call_address(const deep_value_info *value, void *const base[DEEP_SEGMENT_COUNT])
{
    return value->segment == DEEP_SEGMENT_NONE ? NULL : (char *)base[value->segment] + value->offset;
}

static inline void deep__call_describe(deep_call *call, const deep_graph *graph, const deep_node *node)
{
    *call = (deep_call){.node = node, .attr = &node->attr};
    for (int32_t i = 0; i < node->input_count; ++i)
        call->in[i] = &graph->values[node->inputs[i]];
    for (int32_t i = 0; i < node->output_count; ++i)
        call->out[i] = &graph->values[node->outputs[i]];
}

static inline void deep__call_resolve(deep_call *call, void *const base[DEEP_SEGMENT_COUNT])
{
    for (int32_t i = 0; i < call->node->input_count; ++i)
        call->src[i] = deep__call_address(call->in[i], base);
    for (int32_t i = 0; i < call->node->output_count; ++i)
        call->dst[i] = deep__call_address(call->out[i], base);
    call->scratch = base[DEEP_SEGMENT_SCRATCH];
}

/* Elements of all axes but the last. */
static inline int64_t deep__rows(const deep_value_info *value)
{
    int64_t rows = 1;
    for (int32_t axis = 0; axis + 1 < value->rank; ++axis)
        rows *= value->shape[axis];
    return rows;
}

static inline int64_t deep__columns(const deep_value_info *value)
{
    return value->rank == 0 ? 1 : value->shape[value->rank - 1];
}

#endif
