/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic(void (*)(void)) clear_line;

void set_line_clearer(void (*clear)(void))
{
    atomic_store(&clear_line, clear);
}

static void say(const char *kind, const char *format, va_list arguments)
{
    char text[2048];
    void (*clear)(void) = atomic_load(&clear_line);
    vsnprintf(text, sizeof text, format, arguments);
    if (clear != NULL) clear();
    fprintf(stderr, "deep: %s%s\n", kind, text);
}

void say_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("error: ", format, arguments);
    va_end(arguments);
}

void say_warning(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("warning: ", format, arguments);
    va_end(arguments);
}

void say_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
}

int fail_with(deep_status status)
{
    say_error("%s", deep_last_error());
    return exit_code_of(status);
}

void log_to_stderr(void *user, int32_t level, const char *line)
{
    (void)user;
    if (level == DEEP_LOG_ERROR)
        say_error("%s", line);
    else if (level == DEEP_LOG_WARNING)
        say_warning("%s", line);
    else
        say_note("%s", line);
}

bool is_smart_terminal(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

int finish_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    say_error("cannot write to standard output: %s", strerror(errno));
    return code == EXIT_OK ? EXIT_INPUT_OUTPUT : code;
}
