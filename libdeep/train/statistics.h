/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TRAIN_STATISTICS_H
#define DEEP_TRAIN_STATISTICS_H

/*
 * Exact statistics of batch norm: the running averages lag behind the weights on small sets, so a model that is judged or saved gets
 * mean and variance pooled over up to 1024 unaugmented training images instead. Frozen layers keep their stored ones.
 */
#include "data/loader.h"
#include "train/step.h"

typedef struct deep_statistics {
    deep_trainer *trainer;
    deep_program program;
    deep_loader *loader;
    int64_t *images;  /* indices into the training set, in the order that the seed gives */
    int64_t channels; /* of all sites together */
    double *mean;     /* pooled, one for each channel, site after site */
    double *square;   /* likewise, mean of squares */
    int64_t step;     /* of the trainer's, whose weights were pooled; -1 = none yet */
    float *running; /* the training's own while exact ones stand in the model: each site's means, then its variances */
    float *site;    /* mean and variance of one site in one batch, with room for all */
    bool swapped;
} deep_statistics;

deep_status deep__statistics_create(deep_statistics *statistics, deep_trainer *trainer, const deep_dataset *train);
void deep__statistics_free(deep_statistics *statistics);

/*
 * Puts exact statistics into the model; deep__statistics_restore() puts the running ones back. Between two updates of the weights
 * they are computed once.
 */
deep_status deep__statistics_apply(deep_statistics *statistics);
void deep__statistics_restore(deep_statistics *statistics);

#endif
