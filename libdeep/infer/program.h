/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_INFER_PROGRAM_H
#define DEEP_INFER_PROGRAM_H

/*
 * A network compiled for one batch size and one purpose. It owns its plan but no tensor memory: intermediates live in a workspace,
 * which programs that never run at the same time share.
 */
#include "backend/device_memory.h"
#include "backend/registry.h"
#include "image/pictures.h"
#include "model/model.h"
#include "nn/network.h"

/* The images of a run to come, which go up while what was bound before them is computed with. */
typedef struct deep_upload_ahead {
    deep_batch expected; /* go up with the next run */
    deep_batch begun;    /* stand in `buffer`, or will soon */
    void *buffer;        /* on the device; trades places with the bound one */
    size_t buffer_bytes;
    bool off; /* there is no memory for a second buffer */
} deep_upload_ahead;

/* Where a workspace has pictures; below stand the graph's inputs. */
enum { DEEP_WORKSPACE_PICTURES = DEEP_GRAPH_INPUTS, DEEP_WORKSPACE_INPUTS };

/* Memory for intermediates and scratch, as large as the largest program that was added. */
typedef struct deep_workspace {
    const deep_context *context;
    deep_accelerator *queue; /* that programs in it run in; NULL = plans compute in the host's memory */
    void *arena;
    void *scratch;
    size_t arena_bytes;
    size_t scratch_bytes;
    void *inputs[DEEP_WORKSPACE_INPUTS]; /* where plans do not compute in the host's memory */
    size_t input_bytes[DEEP_WORKSPACE_INPUTS];
    deep_upload_ahead ahead;
} deep_workspace;

/* An empty one, with a queue of its own on a device: `stream` of the host, or NULL. Free it also after a failure. */
deep_status deep__workspace_open(deep_workspace *workspace, const deep_context *context, void *stream);
void deep__workspace_free(deep_workspace *workspace);

typedef struct deep_program {
    deep_context *context;
    deep_graph graph;
    deep_network net;
    deep_plan *plan;
    deep_accelerator *queue;
    size_t scratch_bytes;
    bool scratch_in_arena; /* node by node, between the values that are in use */
} deep_program;

/* Values of one image in the network's input. */
size_t deep__input_values(const deep_model *model);

/* Clears, and builds the model's network for `batch` images: program->graph and ->net, for the caller to add to. */
deep_status deep__program_build(deep_program *program, const deep_model *model, int32_t batch, enum deep_mode mode);

/*
 * Places the intermediates and compiles for the context's device, to run in `queue` (of the workspace; NULL = the context's own);
 * `packed`: for weights in the layout of sessions.
 */
deep_status deep__program_compile(deep_program *program, deep_accelerator *queue, int32_t threads, bool packed);

/*
 * Grows the workspace to what the program needs; what it held is lost. Where a device has too little memory for it, the
 * error says which batch would fit.
 */
deep_status deep__workspace_reserve(deep_workspace *workspace, const deep_program *program, int32_t batch);

/* Always call it, also after a failed build. */
void deep__program_free(deep_program *program);

/*
 * Runs nodes first .. end - 1. `base` has the segments that are not the workspace's: parameters, gradients, slots, inputs; the
 * workspace's are filled in.
 */
deep_status deep__program_run(const deep_program *program, const deep_workspace *workspace,
                              void *base[DEEP_SEGMENT_COUNT], int32_t first, int32_t end);

/* Binds a graph input to values of the host's, which stay as they are until the run is over: a plan reads its inputs alone. */
deep_status deep__workspace_bind(deep_workspace *workspace, void *base[DEEP_SEGMENT_COUNT], int32_t input,
                                 const void *values, size_t bytes);

/*
 * Binds the network's input to images, or to what the device makes of pictures: `room` bytes, of which the pictures fill those of as many
 * images, and the rest stays as it was.
 */
deep_status deep__workspace_bind_images(deep_workspace *workspace, void *base[DEEP_SEGMENT_COUNT], deep_batch batch,
                                        size_t room);

/* A block of the device of at least `wanted` bytes in the place of one of `*bytes`; what that held is lost. */
deep_status deep__workspace_grow(const deep_context *context, void **block, size_t *bytes, size_t wanted,
                                 const char *what);

/* ---- images that are known before their run (upload_ahead.c) ---- */

/*
 * Tells which images will be bound after those of the next run, so that a device gets them while it computes. They stay as they are
 * until results of their own run or a later one were read, or deep__workspace_expect_nothing().
 */
void deep__workspace_expect(deep_workspace *workspace, deep_batch batch);

/* Forgets what is expected, and waits for what is on its way: then the memory may go. Of no effect on an empty workspace. */
void deep__workspace_expect_nothing(deep_workspace *workspace);

/*
 * For bind: whether these images are on their way to `input`, which then has them. What was on its way is forgotten otherwise.
 */
deep_status deep__workspace_arrive(deep_workspace *workspace, int32_t input, deep_batch batch, bool *arrived);

/* To be called when a run is queued: begins the upload of what is expected. */
deep_status deep__workspace_send(deep_workspace *workspace);
/*
 * Binds values that stand in the device's memory, `bytes` of them, by a copy in the workspace's queue into an input of `room` bytes,
 * whose rest stays as it was: an input that never moves is what recorded runs want.
 */
deep_status deep__workspace_bind_device(deep_workspace *workspace, void *base[DEEP_SEGMENT_COUNT], int32_t input,
                                        const void *values, size_t bytes, size_t room);

/* Copies the first `bytes` of a value of the arena, once what makes it is done. */
deep_status deep__program_read(const deep_program *program, const deep_workspace *workspace, deep_value value, void *to,
                               size_t bytes);

/* Waits until what was run is done. */
deep_status deep__program_wait(const deep_program *program);

/* Where a value of the arena stands; for the host where plans compute in its memory. */
void *deep__program_value(const deep_program *program, const deep_workspace *workspace, deep_value value);

#endif
