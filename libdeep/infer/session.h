/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_INFER_SESSION_H
#define DEEP_INFER_SESSION_H

#include "infer/program.h"

#include <deep/session.h>

struct deep_session {
    const deep_model *model;
    deep_program program;
    deep_workspace *workspace; /* its own, or a trainer's */
    deep_workspace own_workspace;
    deep_value probabilities;
    /*
     * For batches that are made here, or fill a run in part: floats, whole runs of the batch x size x size x 3, or deep_pictures. The
     * second is for the batch behind it while a device computes; NULL = not wanted yet.
     */
    void *staged[2];
    bool takes_pictures; /* and nothing else */
    float *predictions;  /* batch x classes */
    int32_t batch;
    int32_t images_a_run; /* that go through the network together: few, so that what they need stays in the caches */
    int32_t images;       /* of the last call */
    bool keeps_layers;    /* and was compiled without fusion */
    bool holds_model;
    double *step_times; /* milliseconds of each node in the last call; NULL = not wanted */
    int32_t passes;     /* of the last call */
    deep_session *next; /* in the model's cache of idle sessions */
};

/* Images of a batch that go through the network together. */
int32_t deep__session_images_a_run(const deep_model *model, int32_t batch);

typedef struct deep_session_shape {
    int32_t batch;
    int32_t threads;
    bool layers; /* keep every layer's output, without fusion */
    bool packed; /* weights are in the layout of model/layout.h */
    bool profile;
    bool pictures;           /* batches are pictures, which the device takes */
    void *stream;            /* of the host, for a session with a workspace of its own; NULL = none */
    deep_accelerator *queue; /* of the workspace; NULL = the context's own */
} deep_session_shape;

/*
 * With `workspace`, which must outlive the session, the session computes in it and does not hold the model: for a trainer, which has the
 * model alone.
 */
deep_status deep__session_create(deep_session **out, const deep_model *model, deep_session_shape shape,
                                 deep_workspace *workspace);

/* The network for inference with a softmax behind it; free the program also after a failure. */
deep_status deep__session_program(deep_program *program, deep_value *probabilities, const deep_model *model,
                                  deep_session_shape shape);

/* One pass with a look at the clock between the nodes (session_steps.c). */
deep_status deep__session_run_steps(deep_session *session, void *base[DEEP_SEGMENT_COUNT]);

/* Bytes of the images that go through the network together. */
size_t deep__session_run_bytes(const deep_session *session);
/* One pass over images_a_run images; `base` has the input. */
deep_status deep__session_pass(deep_session *session, void *base[DEEP_SEGMENT_COUNT]);

/* Runs n images, without checks; n x classes probabilities. */
deep_status deep__session_run_batch(deep_session *session, deep_batch batch, int32_t n, float *probabilities);

/* The same on a device in two parts: queues the whole batch, and waits for the probabilities of its first n images. */
deep_status deep__session_begin(deep_session *session, deep_batch batch);
deep_status deep__session_finish(deep_session *session, int32_t n, float *probabilities);

/* ---- batches of images (session_stage.c) ---- */

/* Makes session->staged[which]. */
deep_status deep__session_add_staged(deep_session *session, int32_t which);

/* Makes a batch of n images there. */
deep_status deep__session_stage(deep_session *session, int32_t which, deep_image *const *images, int32_t n,
                                deep_batch *batch);

/* The network's input of an image. */
deep_status deep__session_fill(const deep_session *session, const deep_image *image, float *input);

/* A session from the model's idle ones, or a new one; give it back with deep__session_release(). */
deep_status deep__session_acquire(deep_session **out, const deep_model *model, int32_t batch);
void deep__session_release(deep_session *session);

/* Checked options with the defaults filled in. */
deep_status deep__predict_options_read(deep_predict_options *options, const deep_predict_options *given,
                                       int32_t default_batch);

#endif
