/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "options.h"
#include "output.h"
#include "synth.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct synth_settings {
    int64_t classes;
    int64_t per_class;
    int64_t seed;
    int64_t size_min;
    int64_t size_max;
} synth_settings;

enum { NAME_SIZE = 4096 };

static const option_row rows[] = {
    {"classes", 0, OPTION_INT, "N", "kinds of plankton, 1 to 11 (6)", offsetof(synth_settings, classes), 1,
     SYNTH_FAMILIES, NULL},
    {"per-class", 0, OPTION_INT, "N", "images of each (40)", offsetof(synth_settings, per_class), 1, 100000, NULL},
    {"seed", 0, OPTION_INT, "N", "another seed gives other images (0)", offsetof(synth_settings, seed), 0,
     9007199254740992.0, NULL},
    {"size-min", 0, OPTION_INT, "N", "shortest longer side in pixels (56)", offsetof(synth_settings, size_min), 16,
     4000, NULL},
    {"size-max", 0, OPTION_INT, "N", "longest longer side in pixels (128)", offsetof(synth_settings, size_max), 16,
     4000, NULL},
    {0},
};
static const command_help help = {"synth FOLDER [OPTION]...", "Draws a labelled data set of synthetic plankton.",
                                  "Writes PNG files, one folder per class below FOLDER, which is made when missing.\n"
                                  "The same options give the same files.\n",
                                  1, 1};

static int make_folder(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return 0;
    say_error("%s: cannot make the folder: %s", path, strerror(errno));
    return -1;
}

/* Not deep_image_save_png(): hundreds of files that can be drawn again need not be synced one by one. */
static int write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    int failed = file == NULL || fwrite(data, 1, size, file) != size;
    if (file != NULL && fclose(file) != 0) failed = 1;
    if (failed) say_error("%s: cannot write: %s", path, strerror(errno));
    return failed ? EXIT_INPUT_OUTPUT : EXIT_OK;
}

static int write_image(deep_context *context, const synth_image *picture, const char *path)
{
    const deep_pixels pixels = {DEEP_PIXELS_INIT, .data = picture->data, .width = picture->width,
                                .height = picture->height,
                                .format = picture->channels == 1 ? DEEP_PIXEL_GRAY8 : DEEP_PIXEL_RGB};
    deep_image *image;
    void *file = NULL;
    size_t size = 0;
    deep_status status = deep_image_wrap(&image, context, &pixels);
    if (status == DEEP_OK) status = deep_image_encode_png(image, &file, &size);
    deep_image_free(image);
    const int code = status == DEEP_OK ? write_file(path, file, size) : fail_with(status);
    deep_free(context, file);
    return code;
}

static int write_class(deep_context *context, const char *folder, const synth_settings *settings, int family_index)
{
    const synth_family *family = synth_family_at(family_index);
    char path[NAME_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, family->name);
    if (make_folder(path) != 0) return EXIT_INPUT_OUTPUT;
    for (int64_t i = 0; i < settings->per_class; ++i) {
        synth_random random = synth_random_for((uint64_t)settings->seed, (uint64_t)family_index, (uint64_t)i);
        synth_image picture;
        if (synth_draw(&picture, family, &random, (int)settings->size_min, (int)settings->size_max) != 0) {
            say_error("out of memory");
            return EXIT_MEMORY;
        }
        snprintf(path, sizeof path, "%s/%s/%s_%05" PRId64 ".png", folder, family->name, family->name, i);
        const int code = write_image(context, &picture, path);
        free(picture.data);
        if (code != EXIT_OK) return code;
    }
    return EXIT_OK;
}

static int check(const synth_settings *settings, const char *folder)
{
    if (settings->size_max < settings->size_min) {
        say_error("--size-max %" PRId64 " is below --size-min %" PRId64, settings->size_max, settings->size_min);
        return EXIT_USAGE;
    }
    if (strlen(folder) > NAME_SIZE - 100) {
        say_error("the folder's name is too long");
        return EXIT_USAGE;
    }
    return make_folder(folder) == 0 ? EXIT_OK : EXIT_INPUT_OUTPUT;
}

int cmd_synth(int argc, char **argv)
{
    synth_settings settings = {.classes = 6, .per_class = 40, .size_min = 56, .size_max = 128};
    int first = 0;
    int code = options_parse(&help, rows, argc, argv, &settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    const char *folder = argv[first];
    code = check(&settings, folder);
    if (code != EXIT_OK) return code;
    deep_context *context;
    const deep_status status = deep_context_create(&context, NULL);
    if (status != DEEP_OK) return fail_with(status);
    for (int family = 0; family < settings.classes && code == EXIT_OK; ++family)
        code = write_class(context, folder, &settings, family);
    deep_context_free(context);
    if (code == EXIT_OK)
        printf("%" PRId64 " images of %" PRId64 " classes in %s\n", settings.classes * settings.per_class,
               settings.classes, folder);
    return code;
}
