/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_EXIT_CODES_H
#define DEEP_TOOLS_EXIT_CODES_H

#include <deep/status.h>

/* Exit codes of every subcommand; scripts rely on them, so none changes its meaning. */
enum {
    EXIT_OK = 0,
    EXIT_GENERIC = 1,
    EXIT_USAGE = 2,
    EXIT_BAD_FILE = 3,     /* a model or image that cannot be used */
    EXIT_DATASET = 4,      /* also findings of `deep verify` */
    EXIT_INPUT_OUTPUT = 5, /* cannot read, cannot write, disk full */
    EXIT_MEMORY = 6,
    EXIT_NUMERICAL = 7, /* the loss is no longer finite */
    EXIT_DEVICE = 8,
    EXIT_INTERRUPTED = 75 /* a checkpoint was written; run again with --resume */
};

/* The exit code that fits a status of the library. */
int exit_code_of(deep_status status);

#endif
