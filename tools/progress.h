/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_PROGRESS_H
#define DEEP_TOOLS_PROGRESS_H

/* How a training shows where it is, on stderr. */
#include "options.h"

#include <deep/deep.h>

enum {
    PROGRESS_AUTO, /* a bar on a terminal, else plain */
    PROGRESS_BAR,
    PROGRESS_PLAIN, /* one line for each epoch */
    PROGRESS_NONE,
    PROGRESS_JSON /* one object for each epoch, and at most one a second in between */
};

extern const option_choice progress_choices[];

typedef struct progress {
    int32_t style;
    double last_drawn;  /* seconds */
    double epoch_began; /* seconds */
} progress;

void progress_start(progress *state, int32_t style);
/* A line about what is being done, on a terminal alone, until something else is shown. */
void progress_note(const progress *state, const char *text);

void progress_show(progress *state, const deep_progress *now);
void progress_stop(progress *state);

#endif
