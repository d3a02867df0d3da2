/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TRAIN_STEP_H
#define DEEP_TRAIN_STEP_H

/*
 * A training step as one node list: forward, loss, backward, then the updates. One program per batch size, because the last batch of
 * an epoch is smaller.
 */
#include "infer/program.h"
#include "train/loss_scale.h"

#include <deep/trainer.h>

typedef struct deep_step_program {
    deep_program program;
    int32_t batch;        /* 0 = free */
    int32_t update_begin; /* first node of the updates */
    deep_value result;    /* {loss, correct} */
    deep_value norm;      /* {gradient norm, finite} */
} deep_step_program;

enum { DEEP_STEP_PROGRAMS = 4 };

struct deep_trainer {
    deep_model *model;
    deep_fit_options options; /* complete */
    deep_workspace workspace;
    deep_step_program programs[DEEP_STEP_PROGRAMS];
    int32_t next_program;       /* to be replaced */
    deep_step_program *current; /* whose gradients are waiting to be applied; NULL = none */
    float *gradients;           /* as the model's values */
    float *slots;               /* slot_count times the same */
    float *class_weights;       /* per class */
    deep_mirror gradient_mirror;
    deep_mirror slot_mirror;
    int32_t slot_count;
    int64_t step;         /* updates done */
    double learning_rate; /* of the next update */
    deep_loss_scale loss_scale;
    bool owns_model;
    bool takes_pictures; /* loaders make such, for the device */
};

/* Everything of deep_trainer_create() but taking the model; `options` are complete. */
deep_status deep__trainer_init(deep_trainer *trainer, deep_model *model, const deep_fit_options *options);
void deep__trainer_release(deep_trainer *trainer);

/* A step with a batch of the loader's; otherwise deep_trainer_step(). */
deep_status deep__trainer_step(deep_trainer *trainer, deep_batch batch, const int32_t *labels, int32_t n,
                               deep_step *result);

/* Brings weights and slots to the host's memory, where they may be older than what plans have computed. */
deep_status deep__trainer_for_host(const deep_trainer *trainer);

/* To be called after the host has changed them there. */
void deep__trainer_host_wrote(deep_trainer *trainer);

/* The step's nodes for program->batch images; free program->program also after a failure. */
deep_status deep__step_graph(deep_step_program *program, const deep_trainer *trainer);

/* Compiles the step for program->batch images; free program->program also after a failure. */
deep_status deep__step_build(deep_step_program *program, const deep_trainer *trainer);

/* Compiles (or finds) the program for `batch` images. */
deep_status deep__step_program(deep_step_program **out, deep_trainer *trainer, int32_t batch);

#endif
