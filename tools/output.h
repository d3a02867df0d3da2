/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_OUTPUT_H
#define DEEP_TOOLS_OUTPUT_H

/* What goes to the user: results to stdout, everything else to stderr. */
#include "exit_codes.h"

#include <deep/deep.h>
#include <stdbool.h>

/* "deep: error: <text>" on stderr. */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says deep_last_error() and returns the exit status of `status`. */
int fail_with(deep_status status);

/* Receives the library's log. */
void log_to_stderr(void *user, int32_t level, const char *line);

/* Called before anything else is written to stderr, to clear a progress bar; NULL = nothing to clear. */
void set_line_clearer(void (*clear)(void));

/* True for a terminal that can redraw its line; TERM=dumb says no. NO_COLOR has nothing to turn off: nothing is coloured. */
bool is_smart_terminal(int fd);

/* Flushes stdout; `code`, or EXIT_INPUT_OUTPUT with a message when something could not be written. */
int finish_output(int code);

#endif
