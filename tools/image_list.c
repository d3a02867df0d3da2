/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "image_list.h"

#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 };

static int fail_memory(void)
{
    say_error("out of memory for the list of images");
    return EXIT_MEMORY;
}

/* Takes `path` over. */
static int add_path(image_list *list, char *path)
{
    if (path == NULL) return fail_memory();
    if (list->count == list->capacity) {
        const size_t capacity = 2 * list->capacity + 64;
        char **larger = realloc(list->paths, capacity * sizeof *larger);
        if (larger == NULL) {
            free(path);
            return fail_memory();
        }
        list->paths = larger;
        list->capacity = capacity;
    }
    list->paths[list->count++] = path;
    return EXIT_OK;
}

static char *join(const char *folder, const char *name, size_t length)
{
    const size_t before = strlen(folder);
    const size_t slash = before > 0 && folder[before - 1] != '/' ? 1 : 0;
    char *path = malloc(before + slash + length + 1);
    if (path == NULL) return NULL;
    memcpy(path, folder, before);
    if (slash != 0) path[before] = '/';
    memcpy(path + before + slash, name, length);
    path[before + slash + length] = '\0';
    return path;
}

static bool has_ending(const char *name, const char *const *endings)
{
    const char *dot = strrchr(name, '.');
    for (; dot != NULL && *endings != NULL; ++endings)
        if (strcasecmp(dot, *endings) == 0) return true;
    return false;
}

static const char *const image_endings[] = {".png", ".jpg", ".jpeg", NULL};
static const char *const list_endings[] = {".txt", ".tsv", ".csv", ".lst", NULL};

static int add_folder(image_list *list, const char *folder, int depth);

static int add_entry(image_list *list, const char *folder, const char *name, int depth)
{
    struct stat info;
    char *path = join(folder, name, strlen(name));
    if (path == NULL) return fail_memory();
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        const int code = add_folder(list, path, depth + 1);
        free(path);
        return code;
    }
    if (has_ending(name, image_endings)) return add_path(list, path);
    free(path);
    return EXIT_OK;
}

static int add_folder(image_list *list, const char *folder, int depth)
{
    struct dirent **entries;
    if (depth > MAX_DEPTH) { /* a link to a folder above, most likely */
        say_warning("%s: left out, folders are nested deeper than %d", folder, MAX_DEPTH);
        return EXIT_OK;
    }
    const int count = scandir(folder, &entries, NULL, NULL);
    if (count < 0) {
        say_error("%s: cannot read the folder: %s", folder, strerror(errno));
        return EXIT_INPUT_OUTPUT;
    }
    int code = EXIT_OK;
    for (int i = 0; i < count; ++i) {
        if (code == EXIT_OK && entries[i]->d_name[0] != '.') code = add_entry(list, folder, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
    return code;
}

/* `line` without line end, and without a label (white space and an integer) behind the path. */
static size_t path_length(const char *line)
{
    size_t length = strcspn(line, "\r\n");
    while (length > 0 && strchr(" \t", line[length - 1]) != NULL)
        --length;
    size_t label = length;
    while (label > 0 && line[label - 1] >= '0' && line[label - 1] <= '9')
        --label;
    if (label == length || label == 0 || strchr(" \t", line[label - 1]) == NULL) return length;
    while (label > 0 && strchr(" \t", line[label - 1]) != NULL)
        --label;
    return label;
}

static int add_line(image_list *list, const char *line, const char *root)
{
    const size_t length = path_length(line);
    if (length == 0 || line[0] == '#') return EXIT_OK;
    return add_path(list, join(line[0] == '/' ? "" : root, line, length));
}

static int add_lines(image_list *list, FILE *file, const char *path, const char *root)
{
    char *line = NULL;
    size_t capacity = 0;
    int code = EXIT_OK;
    for (bool first = true; code == EXIT_OK && getline(&line, &capacity, file) >= 0; first = false) {
        const bool has_mark = first && strncmp(line, "\xEF\xBB\xBF", 3) == 0;
        code = add_line(list, line + (has_mark ? 3 : 0), root);
    }
    if (code == EXIT_OK && ferror(file)) {
        say_error("%s: cannot read: %s", path, strerror(errno));
        code = EXIT_INPUT_OUTPUT;
    }
    free(line);
    return code;
}

static int add_list(image_list *list, const char *path, const char *root)
{
    const char *slash = strrchr(path, '/');
    char *own_folder = slash == NULL ? join("", "", 0) : join("", path, (size_t)(slash - path) + 1);
    FILE *file = fopen(path, "rb");
    int code = EXIT_OK;
    if (file == NULL) {
        say_error("%s: cannot open: %s", path, strerror(errno));
        code = EXIT_INPUT_OUTPUT;
    } else if (own_folder == NULL) {
        code = fail_memory();
    } else {
        code = add_lines(list, file, path, root != NULL ? root : own_folder);
    }
    if (file != NULL) fclose(file);
    free(own_folder);
    return code;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int image_list_add(image_list *list, const char *input, const char *root)
{
    struct stat info;
    if (stat(input, &info) == 0 && S_ISDIR(info.st_mode)) {
        const size_t before = list->count;
        const int code = add_folder(list, input, 0);
        if (code == EXIT_OK && list->count == before) {
            say_error("%s: no PNG or JPEG image in the folder", input);
            return EXIT_DATASET;
        }
        if (list->count > before) qsort(list->paths + before, list->count - before, sizeof *list->paths, compare_paths);
        return code;
    }
    if (has_ending(input, list_endings)) return add_list(list, input, root);
    return add_path(list, join("", input, strlen(input)));
}

void image_list_free(image_list *list)
{
    for (size_t i = 0; i < list->count; ++i)
        free(list->paths[i]);
    free(list->paths);
    *list = (image_list){0};
}
