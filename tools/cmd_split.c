/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "common.h"
#include "json_out.h"
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct split_settings {
    const char *output;
    double valid;
    double test;
    int64_t seed;
    int32_t json;
    data_settings data;
    compute_settings compute;
} split_settings;

static const option_row rows[] = {
    {"output", 'o', OPTION_TEXT, "FOLDER", "where the lists go; made when missing (required)",
     offsetof(split_settings, output), 0, 0, NULL},
    {"valid", 0, OPTION_REAL, "FRACTION", "part for validation (0.2)", offsetof(split_settings, valid), 0, 0.9, NULL},
    {"test", 0, OPTION_REAL, "FRACTION", "part for the final test (0)", offsetof(split_settings, test), 0, 0.9, NULL},
    {"seed", 0, OPTION_INT, "N", "another seed gives another split (0)", offsetof(split_settings, seed), 0,
     9007199254740992.0, NULL},
    GROUP_ROWS(split_settings),
    DATA_ROWS(split_settings),
    {"json", 0, OPTION_FLAG, NULL, "print one JSON object", offsetof(split_settings, json), 0, 0, NULL},
    {0},
};
static const command_help help = {
    "split DATA -o FOLDER [OPTION]...", "Divides a data set and writes train.txt, val.txt, test.txt and classes.txt.",
    "Each class is divided as near to the fractions as its groups allow and keeps at least one\n"
    "image for training. DATA is a folder with a folder for each class, or a split file.\n",
    1, 1};

typedef struct parts {
    deep_dataset *all, *rest, *train, *valid, *test;
} parts;

/* First the test part from all, then the validation part from the rest. */
static deep_status divide(parts *p, const split_settings *settings)
{
    const deep_split_options options = {DEEP_SPLIT_OPTIONS_INIT, .seed = (uint64_t)settings->seed};
    const deep_dataset *from = p->all;
    deep_status status = DEEP_OK;
    if (settings->test > 0) {
        status = deep_dataset_split(&p->rest, &p->test, p->all, settings->test, &options);
        from = p->rest;
    }
    if (status != DEEP_OK || settings->valid <= 0) return status;
    return deep_dataset_split(&p->train, &p->valid, from, settings->valid / (1 - settings->test), &options);
}

static deep_status save_part(const deep_dataset *part, const char *folder, const char *name)
{
    char path[4200];
    if (part == NULL) return DEEP_OK;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return deep_dataset_save(part, path);
}

static deep_status save(const parts *p, const char *folder)
{
    const deep_dataset *train = p->train != NULL ? p->train : p->rest;
    deep_status status = save_part(p->test, folder, "test.txt");
    if (status == DEEP_OK) status = save_part(p->valid, folder, "val.txt");
    if (status == DEEP_OK) status = save_part(train, folder, "train.txt");
    return status;
}

static void report(const parts *p, bool json_wanted)
{
    const int64_t train = deep_dataset_size(p->train != NULL ? p->train : p->rest);
    if (!json_wanted) {
        printf("%" PRId64 " images for training, %" PRId64 " for validation, %" PRId64 " for testing; %d classes\n",
               train, deep_dataset_size(p->valid), deep_dataset_size(p->test),
               deep_classes_count(deep_dataset_classes(p->all)));
        return;
    }
    json_out json = {0};
    emit_open(&json, NULL, '{');
    emit_int(&json, "classes", deep_classes_count(deep_dataset_classes(p->all)));
    emit_int(&json, "train", train);
    emit_int(&json, "valid", deep_dataset_size(p->valid));
    emit_int(&json, "test", deep_dataset_size(p->test));
    emit_close(&json, '}');
    emit_line(&json, stdout);
    emit_free(&json);
}

static int check_settings(const split_settings *settings)
{
    if (settings->output == NULL || strlen(settings->output) > 4096) {
        say_error("split: -o FOLDER is missing or too long");
        return EXIT_USAGE;
    }
    if (settings->valid <= 0 && settings->test <= 0) {
        say_error("split: --valid and --test are both 0");
        return EXIT_USAGE;
    }
    if (settings->valid + settings->test >= 1) {
        say_error("split: --valid and --test leave nothing for training");
        return EXIT_USAGE;
    }
    return OPTIONS_GO_ON;
}

static int split(deep_context *context, const char *data, const split_settings *settings)
{
    parts p = {0};
    deep_status status = open_data(&p.all, context, data, NULL, &settings->data);
    if (status == DEEP_OK) status = divide(&p, settings);
    int result = EXIT_OK;
    if (status != DEEP_OK) {
        result = fail_with(status);
    } else if (mkdir(settings->output, 0777) != 0 && errno != EEXIST) {
        say_error("%s: cannot make the folder: %s", settings->output, strerror(errno));
        result = EXIT_INPUT_OUTPUT;
    } else {
        status = save(&p, settings->output);
        if (status == DEEP_OK)
            report(&p, settings->json != 0);
        else
            result = fail_with(status);
    }
    deep_dataset_free(p.train);
    deep_dataset_free(p.valid);
    deep_dataset_free(p.test);
    deep_dataset_free(p.rest);
    deep_dataset_free(p.all);
    return result;
}

int cmd_split(int argc, char **argv)
{
    split_settings settings = {.valid = 0.2};
    int first;
    int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code == OPTIONS_GO_ON) code = check_settings(&settings);
    if (code != OPTIONS_GO_ON) return code;
    deep_context *context;
    const deep_status status = open_context(&context, &settings.compute);
    if (status != DEEP_OK) return fail_with(status);
    const int result = split(context, argv[first], &settings);
    deep_context_free(context);
    return result;
}
