/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_OPTIONS_H
#define DEEP_TOOLS_OPTIONS_H

/* One table per command describes its options; parsing and --help are made from it. */
#include <stddef.h>
#include <stdint.h>

typedef enum option_type {
    OPTION_FLAG,   /* int32_t, becomes 1 */
    OPTION_TEXT,   /* const char * */
    OPTION_INT,    /* int64_t between low and high, or the value of a word of `choices`, where there are */
    OPTION_REAL,   /* double between low and high */
    OPTION_CHOICE, /* int32_t, the value of one of `choices` */
} option_type;

typedef struct option_choice {
    const char *name; /* NULL ends the list */
    int32_t value;
} option_choice;

typedef struct option_row {
    const char *name; /* without dashes; NULL ends the table */
    char letter;      /* short form, 0 = none */
    option_type type;
    const char *metavar; /* NULL for flags; choices are listed when it is NULL */
    const char *help;    /* with the default */
    size_t offset;       /* of the value in the command's settings */
    double low, high;    /* of numbers */
    const option_choice *choices;
} option_row;

typedef struct command_help {
    const char *usage;   /* after "deep " */
    const char *summary; /* one line */
    const char *details; /* more lines, or NULL */
    int min_arguments;   /* that are no options */
    int max_arguments;
} command_help;

enum { OPTIONS_GO_ON = -1 };

/*
 * Reads argv into `settings`, which holds the defaults. The arguments that are no options are moved to argv[*first] and behind.
 * OPTIONS_GO_ON, or the exit status after --help or a usage error.
 */
int options_parse(const command_help *help, const option_row *rows, int argc, char **argv, void *settings, int *first);

#endif
