/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_MODEL_DATA_H
#define DEEP_TOOLS_MODEL_DATA_H

/* Labelled images for a model that exists. */
#include "common.h"

enum { PART_AUTO, PART_TRAIN, PART_VALID, PART_TEST };

extern const option_choice part_choices[];

/*
 * Opens a part of DATA with the model's class numbers, matched by name; PART_AUTO is test.txt, else val.txt, else everything.
 * An exit status, with a message unless EXIT_OK; the caller frees the data set.
 */
int open_for_model(deep_dataset **dataset, deep_context *context, const deep_model *model, const char *data,
                   int32_t part, const data_settings *settings);

#endif
