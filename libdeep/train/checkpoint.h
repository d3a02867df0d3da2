/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TRAIN_CHECKPOINT_H
#define DEEP_TRAIN_CHECKPOINT_H

/*
 * Everything that a training needs to go on as if it had never stopped: a safetensors file with the parameters (running statistics
 * included), the optimizer's slots, and a JSON document of positions and sums.
 */
#include "train/history.h"
#include "train/step.h"

/* Where a fit stands; a bare trainer leaves it empty. */
typedef struct deep_fit_state {
    int32_t epoch;   /* in progress, from 0 */
    int64_t step;    /* steps of it that are done */
    double loss_sum; /* over the images of those steps */
    int64_t correct;
    int64_t images;
    double best_accuracy;   /* of validation; -1 = none */
    double best_loss;       /* of validation, or of training without one; for plateau and early stop */
    int32_t epochs_without; /* since best_loss got better */
    int32_t plateau_wait;
    int32_t drops; /* of the learning rate, by plateau */
    bool stopped;  /* early */
    deep_history *history;
    float *best; /* weights of the best epoch, as the model's values; NULL = none wanted */
} deep_fit_state;

/* Writes `path`; the file before stays as `path`.prev. `state` may be NULL. */
deep_status deep__checkpoint_save(const deep_trainer *trainer, const deep_fit_state *state, const char *path);

/* Reads `path`, or `path`.prev with a warning when `path` is damaged. On error nothing of the trainer has changed but its values. */
deep_status deep__checkpoint_load(deep_trainer *trainer, deep_fit_state *state, const char *path);

#endif
