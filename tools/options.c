/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* getopt_long */
#include "options.h"

#include "output.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 64, FIRST_VALUE = 256, HELP_COLUMN = 30 };

static int fail_usage(const command_help *help)
{
    const size_t name = strcspn(help->usage, " ");
    fprintf(stderr, "usage: deep %s\nTry 'deep %.*s --help'.\n", help->usage, (int)name, help->usage);
    return EXIT_USAGE;
}

static void describe_choices(const option_choice *choices, char *text, size_t size)
{
    text[0] = '\0';
    for (const option_choice *choice = choices; choice->name != NULL; ++choice) {
        const size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s", choice == choices ? "" : "|", choice->name);
    }
}

static void print_row(const option_row *row)
{
    char left[160], choices[120] = "";
    if (row->type == OPTION_CHOICE && row->metavar == NULL) describe_choices(row->choices, choices, sizeof choices);
    const char *value = row->metavar != NULL ? row->metavar : choices;
    char letter[8] = "    ";
    if (row->letter != 0) snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name, value[0] != '\0' ? " " : "", value);
    if (strlen(left) < HELP_COLUMN)
        printf("%-*s %s\n", HELP_COLUMN, left, row->help);
    else
        printf("%s\n%-*s %s\n", left, HELP_COLUMN, "", row->help);
}

static int print_help(const command_help *help, const option_row *rows)
{
    printf("usage: deep %s\n\n%s\n", help->usage, help->summary);
    if (help->details != NULL) printf("\n%s", help->details);
    printf("\noptions:\n");
    for (const option_row *row = rows; row->name != NULL; ++row)
        print_row(row);
    printf("  -h, --help                   show this text\n");
    return finish_output(EXIT_OK);
}

/* " or auto" and so on: the words that an integer's option takes beside numbers. */
static void words_of(const option_row *row, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (const option_choice *word = row->choices; word != NULL && word->name != NULL && used < size; ++word)
        used += (size_t)snprintf(text + used, size - used, " or %s", word->name);
}

static bool read_int(const option_row *row, const char *text, void *place)
{
    char *end;
    for (const option_choice *word = row->choices; word != NULL && word->name != NULL; ++word)
        if (strcmp(word->name, text) == 0) {
            *(int64_t *)place = word->value;
            return true;
        }
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || (double)value < row->low || (double)value > row->high) {
        char words[64];
        words_of(row, words, sizeof words);
        say_error("--%s: '%s' is not an integer from %.0f to %.0f%s", row->name, text, row->low, row->high, words);
        return false;
    }
    *(int64_t *)place = value;
    return true;
}

static bool read_real(const option_row *row, const char *text, void *place)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= row->low && value <= row->high)) {
        say_error("--%s: '%s' is not a number from %g to %g", row->name, text, row->low, row->high);
        return false;
    }
    *(double *)place = value;
    return true;
}

static bool read_choice(const option_row *row, const char *text, void *place)
{
    char choices[200];
    for (const option_choice *choice = row->choices; choice->name != NULL; ++choice)
        if (strcmp(choice->name, text) == 0) {
            *(int32_t *)place = choice->value;
            return true;
        }
    describe_choices(row->choices, choices, sizeof choices);
    say_error("--%s: '%s' is not one of %s", row->name, text, choices);
    return false;
}

static bool read_value(const option_row *row, const char *text, void *settings)
{
    void *place = (char *)settings + row->offset;
    switch (row->type) {
    case OPTION_FLAG:
        *(int32_t *)place = 1;
        return true;
    case OPTION_TEXT:
        *(const char **)place = text;
        return true;
    case OPTION_INT:
        return read_int(row, text, place);
    case OPTION_REAL:
        return read_real(row, text, place);
    case OPTION_CHOICE:
        return read_choice(row, text, place);
    }
    return false;
}

/* getopt_long()'s view of the table; returns the number of rows. */
static size_t translate(const option_row *rows, struct option *longs, char *letters)
{
    size_t count = 0;
    *letters++ = 'h';
    for (; rows[count].name != NULL && count < MAX_OPTIONS; ++count) {
        const option_row *row = &rows[count];
        const int takes = row->type == OPTION_FLAG ? no_argument : required_argument;
        longs[count] = (struct option){row->name, takes, NULL, FIRST_VALUE + (int)count};
        if (row->letter == 0) continue;
        *letters++ = row->letter;
        if (takes == required_argument) *letters++ = ':';
    }
    *letters = '\0';
    longs[count] = (struct option){"help", no_argument, NULL, 'h'};
    longs[count + 1] = (struct option){0};
    return count;
}

static const option_row *find_row(const option_row *rows, int code)
{
    if (code >= FIRST_VALUE) return &rows[code - FIRST_VALUE];
    while (rows->name != NULL && rows->letter != code)
        ++rows;
    return rows;
}

int options_parse(const command_help *help, const option_row *rows, int argc, char **argv, void *settings, int *first)
{
    struct option longs[MAX_OPTIONS + 2];
    char letters[2 * MAX_OPTIONS + 2];
    char name[64];
    translate(rows, longs, letters);
    snprintf(name, sizeof name, "deep %s", argv[0]); /* getopt's messages begin with it */
    char *given = argv[0];
    argv[0] = name;
    int result = OPTIONS_GO_ON, code;
    optind = 1;
    while (result == OPTIONS_GO_ON && (code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (code == 'h')
            result = print_help(help, rows);
        else if (code == '?' || !read_value(find_row(rows, code), optarg, settings))
            result = fail_usage(help);
    }
    argv[0] = given;
    if (result != OPTIONS_GO_ON) return result;
    *first = optind;
    const int count = argc - optind;
    if (count < help->min_arguments || count > help->max_arguments) {
        if (count < help->min_arguments)
            say_error("%s: %d argument%s missing", given, help->min_arguments - count,
                      help->min_arguments - count == 1 ? "" : "s");
        else
            say_error("%s: '%s' is one argument too many", given, argv[optind + help->max_arguments]);
        return fail_usage(help);
    }
    return OPTIONS_GO_ON;
}
