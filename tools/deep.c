/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "output.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} command;

static const command commands[] = {
    {"train", cmd_train, "train a model on labelled images"},
    {"predict", cmd_predict, "classify images"},
    {"evaluate", cmd_evaluate, "compare a model's answers with labels"},
    {"quantize", cmd_quantize, "store a model in 16 or 8 bits"},
    {"info", cmd_info, "describe a model or an image"},
    {"verify", cmd_verify, "look for faults in a data set"},
    {"split", cmd_split, "divide a data set into training, validation and test"},
    {"synth", cmd_synth, "draw a data set of synthetic plankton"},
    {"bench", cmd_bench, "measure a model's speed and which layers take the time"},
    {"devices", cmd_devices, "list what can compute"},
    {"version", cmd_version, "versions of the tool and its libraries"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_commands(FILE *stream)
{
    fprintf(
        stream,
        "usage: deep COMMAND [OPTION]... [ARGUMENT]...\n\nTrains and runs Xception on plankton images.\n\ncommands:\n");
    for (size_t i = 0; i < COMMANDS; ++i)
        fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(stream, "\n'deep COMMAND --help' lists a command's options.\n");
}

static const command *find_command(const char *name)
{
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
    for (size_t i = 0; i < COMMANDS; ++i)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file size limit becomes a write error, as a full disk is */
    if (argc < 2) {
        print_commands(stderr);
        return EXIT_USAGE;
    }
    const bool wants_help =
        strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0;
    if (wants_help) {
        print_commands(stdout);
        return finish_output(EXIT_OK);
    }
    const command *chosen = find_command(argv[1]);
    if (chosen == NULL) {
        say_error("'%s' is not a command", argv[1]);
        print_commands(stderr);
        return EXIT_USAGE;
    }
    return finish_output(chosen->run(argc - 1, argv + 1));
}
