/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BACKEND_CUDA_ACCELERATOR_H
#define DEEP_BACKEND_CUDA_ACCELERATOR_H

/*
 * An open device, as the rest of this folder sees it. Everything here, in product.h and in convolution.h exists twice: for
 * GPUs, and in tests/cuda/ for hosts without one, where kernels are loops.
 */
#include "backend/backend.h"

/* What of the contract is not about plans. */
extern const deep_accelerators deep__cuda_accelerators;

/* `preprocess` of the contract (cuda_picture.c). */
deep_status deep__cuda_preprocess(deep_accelerator *accelerator, float *to, const deep_pictures *block,
                                  const deep_pictures *head);

const deep_host *deep__accelerator_host(const deep_accelerator *accelerator);

/* The queue that kernels go to. */
void *deep__accelerator_stream(const deep_accelerator *accelerator);

/* DEEP_ERROR_BACKEND naming `what` when the last kernel could not be queued. */
deep_status deep__accelerator_check(const deep_accelerator *accelerator, const char *what);

/*
 * Around whatever queues work: one thread at a time, whose current device is this one meanwhile. `*before` is what it was,
 * for the host may use GPUs too.
 */
deep_status deep__accelerator_enter(deep_accelerator *accelerator, int32_t *before);
void deep__accelerator_leave(deep_accelerator *accelerator, int32_t before);

/* ---- recordings: work that is queued again and again as a whole (a CUDA graph) ---- */

typedef struct deep_recording deep_recording;

/* From begin to end, what is queued is recorded and does not run. The caller has entered, all the while. */
deep_status deep__recording_begin(deep_accelerator *accelerator);

/* Ends it also when something in between failed; then, and when it returns an error, `*out` is NULL. */
deep_status deep__recording_end(deep_accelerator *accelerator, deep_recording **out);

/* Queues all of it, with the addresses that it was recorded with. */
deep_status deep__recording_replay(const deep_recording *recording);

/* Waits until it has run. */
void deep__recording_free(deep_recording *recording);

#endif
