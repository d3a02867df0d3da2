/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_TRAIN_RUN_H
#define DEEP_TOOLS_TRAIN_RUN_H

/* The folder MODEL.run beside the model: checkpoint, log, report, lists of images. */
#include "train_data.h"

#include <stdio.h>

enum { RUN_PATH_SIZE = 4096 };

typedef struct train_run {
    char folder[RUN_PATH_SIZE];
    char checkpoint[RUN_PATH_SIZE];
    char report[RUN_PATH_SIZE];
    FILE *log;          /* log.jsonl, one object for each epoch */
    double epoch_began; /* seconds */
} train_run;

/* Whether MODEL and its folder can be written, before hours are spent. An exit status, with a message unless EXIT_OK. */
int train_run_check(const char *model_path);

/* Whether the disk has room for the model and its checkpoints. Likewise. */
int train_run_check_space(const char *model_path, const deep_model *model, int32_t batch);

/* Makes the folder, writes the lists; with `resume` the lists of before must be the same. Likewise. */
int train_run_open(train_run *run, const char *model_path, const train_data *data, bool resume);

/* One line of the log; false when it cannot be written. */
bool train_run_log_epoch(train_run *run, const deep_progress *now);

void train_run_close(train_run *run);

#endif
