/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "folder.h"

#include "base/text.h"
#include "data/sort.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64, MAX_FOLDERS = 1 << 18 }; /* links can make a small tree look endless */

typedef struct class_folder {
    const char *name; /* relative to the root, in the pool */
    int32_t id;       /* what the samples' labels say during the scan */
} class_folder;

typedef struct scan {
    const deep_context *context;
    deep_samples *samples;
    const char *root;
    deep_pool names;
    class_folder *folders;
    size_t count, capacity;
    size_t loose;   /* images in the root itself */
    size_t visited; /* folders */
} scan;

/* A folder being scanned and those it stands in, to notice a link to one of them. */
typedef struct level {
    const struct level *above;
    const char *path; /* relative to the root, "" for itself */
    dev_t device;
    ino_t inode;
    int depth;
    int32_t id; /* of its class_folder, -1 before its first image */
    bool has_folders;
} level;

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool ends_with(const char *name, size_t length, const char *ending)
{
    const size_t size = strlen(ending);
    if (length <= size) return false;
    for (size_t i = 0; i < size; ++i)
        if (lower(name[length - size + i]) != ending[i]) return false;
    return true;
}

static bool is_image_name(const char *name)
{
    const size_t length = strlen(name);
    return ends_with(name, length, ".png") || ends_with(name, length, ".jpg") || ends_with(name, length, ".jpeg");
}

static deep_status add_class_folder(scan *s, level *here)
{
    class_folder folder = {.id = (int32_t)s->count};
    if (s->count >= DEEP_MAX_CLASSES)
        return deep__fail(DEEP_ERROR_DATASET, "%s: more than %d class folders", s->root, DEEP_MAX_CLASSES);
    if (!deep__text_is_utf8(here->path, strlen(here->path)))
        return deep__fail(DEEP_ERROR_DATASET, "%s: the name of folder '%s' is not UTF-8, so it cannot name a class",
                          s->root, here->path);
    DEEP_TRY(deep__pool_text(&s->names, &folder.name, here->path, strlen(here->path)));
    DEEP_TRY(deep__grow(&s->folders, &s->context->allocator, s->count, &s->capacity, s->count + 1, sizeof folder,
                        "class folders"));
    s->folders[s->count++] = folder;
    here->id = folder.id;
    return DEEP_OK;
}

static deep_status add_image(scan *s, level *here, const char *name)
{
    if (here->above == NULL) {
        ++s->loose;
        return DEEP_OK;
    }
    if (here->id < 0) DEEP_TRY(add_class_folder(s, here));
    return deep__samples_add(s->samples, s->root, name, strlen(name), here->id);
}

static deep_status scan_folder(scan *s, level *here);

/* True, with a warning, when the folder is one of those it stands in. */
static bool is_loop(const scan *s, const level *above, const char *name, const struct stat *info)
{
    for (; above != NULL; above = above->above) {
        if (above->device != info->st_dev || above->inode != info->st_ino) continue;
        deep__log(&s->context->logger, DEEP_LOG_WARNING, "%s/%s: left out, it links to a folder that it stands in",
                  s->root, name);
        return true;
    }
    return false;
}

static deep_status scan_entry(scan *s, level *here, const char *entry)
{
    const deep_allocator *allocator = &s->context->allocator;
    deep_text name = deep__text(allocator), full = deep__text(allocator);
    deep__text_printf(&name, here->above == NULL ? "%s%s" : "%s/%s", here->path, entry);
    deep__text_printf(&full, "%s/%s", s->root, name.data == NULL ? "" : name.data);
    deep_status status = name.status != DEEP_OK ? name.status : full.status;
    struct stat info;
    const bool found = status == DEEP_OK && stat(full.data, &info) == 0;
    if (status != DEEP_OK) {
        /* no memory for the names */
    } else if (found && S_ISDIR(info.st_mode)) {
        level below = {here, name.data, info.st_dev, info.st_ino, here->depth + 1, -1, false};
        here->has_folders = true;
        if (!is_loop(s, here, name.data, &info)) status = scan_folder(s, &below);
    } else if (is_image_name(entry)) { /* also a dangling link: it is reported when the images are checked */
        status = add_image(s, here, name.data);
    }
    deep__text_free(&full);
    deep__text_free(&name);
    return status;
}

static deep_status open_folder(const scan *s, const level *here, DIR **dir)
{
    deep_text full = deep__text(&s->context->allocator);
    deep__text_printf(&full, here->above == NULL ? "%s%s" : "%s/%s", s->root, here->path);
    deep_status status = full.status;
    if (status == DEEP_OK && here->depth > MAX_DEPTH)
        status = deep__fail(DEEP_ERROR_DATASET, "%s: folders are nested deeper than %d", full.data, MAX_DEPTH);
    *dir = status == DEEP_OK ? opendir(full.data) : NULL;
    if (status == DEEP_OK && *dir == NULL)
        status = deep__fail_errno(errno == ENOENT ? DEEP_ERROR_NOT_FOUND : DEEP_ERROR_IO, errno,
                                  "%s: cannot open folder", full.data);
    deep__text_free(&full);
    return status;
}

static deep_status scan_folder(scan *s, level *here)
{
    DIR *dir;
    if (++s->visited > MAX_FOLDERS)
        return deep__fail(DEEP_ERROR_DATASET, "%s: more than %d folders, links counted", s->root, MAX_FOLDERS);
    deep_status status = open_folder(s, here, &dir);
    while (status == DEEP_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL && errno != 0)
            status = deep__fail_errno(DEEP_ERROR_IO, errno, "%s/%s: cannot read folder", s->root, here->path);
        if (entry == NULL) break;
        if (entry->d_name[0] != '.') status = scan_entry(s, here, entry->d_name);
    }
    if (dir != NULL) closedir(dir);
    /* An empty leaf is a class without images: a part of a split may well lack some. */
    if (status == DEEP_OK && here->above != NULL && here->id < 0 && !here->has_folders)
        status = add_class_folder(s, here);
    return status;
}

static int compare_folders(const void *a, const void *b)
{
    return strcmp(((const class_folder *)a)->name, ((const class_folder *)b)->name);
}

static deep_status check_scan(const scan *s)
{
    if (s->count == 0 && s->loose > 0)
        return deep__fail(DEEP_ERROR_DATASET,
                          "%s: its %zu images stand in the folder itself; a folder for each class is needed", s->root,
                          s->loose);
    if (s->samples->count == 0)
        return deep__fail(DEEP_ERROR_DATASET, "%s: no PNG or JPEG image in a class folder", s->root);
    if (s->loose > 0)
        deep__log(&s->context->logger, DEEP_LOG_WARNING, "%s: %zu images outside the class folders are left out",
                  s->root, s->loose);
    return DEEP_OK;
}

/* labels[id of a folder] = its class */
static deep_status label_folders(const scan *s, int32_t *labels, deep_classes *classes, const deep_classes *table)
{
    for (size_t i = 0; i < s->count; ++i) {
        const class_folder *folder = &s->folders[i];
        int32_t label = (int32_t)i;
        if (table == NULL)
            DEEP_TRY(deep__classes_set(classes, label, NULL, folder->name, strlen(folder->name), 0));
        else
            label = deep__classes_find_folder(table, folder->name);
        if (label < 0)
            return deep__fail(DEEP_ERROR_DATASET, "%s: folder '%s' is not in the class table", s->root, folder->name);
        labels[folder->id] = label;
    }
    return DEEP_OK;
}

static deep_status make_classes(const scan *s, deep_classes **classes, const deep_classes *table)
{
    const deep_allocator *allocator = &s->context->allocator;
    int32_t *labels;
    deep__sort(s->folders, s->count, sizeof *s->folders, compare_folders);
    DEEP_TRY(deep__alloc(&labels, allocator, s->count, sizeof *labels, "labels"));
    deep_status status = table == NULL ? deep__classes_new(classes, allocator, (int32_t)s->count)
                                       : deep__classes_copy(classes, allocator, table);
    if (status == DEEP_OK) status = label_folders(s, labels, *classes, table);
    for (size_t i = 0; i < s->samples->count && status == DEEP_OK; ++i)
        s->samples->items[i].label = labels[s->samples->items[i].label];
    deep__free(allocator, labels);
    return status;
}

deep_status deep__folder_scan(deep_samples *samples, deep_classes **classes, const deep_context *context,
                              const char *root, const deep_classes *table)
{
    scan s = {.context = context, .samples = samples, .root = root, .names = deep__pool(&context->allocator)};
    struct stat info = {0};
    *classes = NULL;
    if (stat(root, &info) != 0) return deep__fail_errno(DEEP_ERROR_NOT_FOUND, errno, "%s: cannot open folder", root);
    level top = {NULL, "", info.st_dev, info.st_ino, 0, -1, false};
    deep_status status = scan_folder(&s, &top);
    if (status == DEEP_OK) status = check_scan(&s);
    if (status == DEEP_OK) status = make_classes(&s, classes, table);
    if (status == DEEP_OK) deep__samples_sort(samples);
    if (status != DEEP_OK) {
        deep_classes_free(*classes);
        *classes = NULL;
    }
    deep__free(&context->allocator, s.folders);
    deep__pool_free(&s.names);
    return status;
}
