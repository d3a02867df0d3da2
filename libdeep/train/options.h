/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TRAIN_OPTIONS_H
#define DEEP_TRAIN_OPTIONS_H

#include "base/json.h"

#include <deep/trainer.h>

/* Reads the caller's options, checks them and puts the defaults where there is 0. */
deep_status deep__fit_options_read(deep_fit_options *options, const deep_fit_options *given);

/* Optimizer slots per parameter value: 1 to 3. */
int32_t deep__optimizer_slots(const deep_fit_options *options);

/* What changes the course of a training, as JSON; a checkpoint goes on only under equal ones. The caller frees it. */
deep_status deep__fit_options_describe(deep_json **out, const deep_fit_options *options);

#endif
