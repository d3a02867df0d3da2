/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_TRAIN_DATA_H
#define DEEP_TOOLS_TRAIN_DATA_H

#include "train_settings.h"

typedef struct train_data {
    deep_dataset *train;
    deep_dataset *valid; /* NULL = no validation */
} train_data;

/* Opens and divides the data set `data` and refuses classes that are too small. An exit status, with a message unless EXIT_OK. */
int train_data_open(train_data *out, deep_context *context, const char *data, const train_settings *settings);

void train_data_close(train_data *data);

#endif
