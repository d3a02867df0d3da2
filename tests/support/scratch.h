/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TEST_SCRATCH_H
#define DEEP_TEST_SCRATCH_H

/* A folder for one test: made empty, removed with what is in it. The including file defines _XOPEN_SOURCE 700. */
#include <check.h>
#include <deep/image.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRATCH_PATH_SIZE = 4096 };

typedef struct scratch {
    char root[SCRATCH_PATH_SIZE];
} scratch;

static inline void scratch_make(scratch *folder)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder->root, sizeof folder->root, "%s/deep-test-XXXXXX", base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder->root));
}

static inline int scratch_remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void scratch_remove(scratch *folder)
{
    nftw(folder->root, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* root/name in one of a few static buffers. */
static inline const char *scratch_path(const scratch *folder, const char *name)
{
    static char buffers[8][2 * SCRATCH_PATH_SIZE];
    static int next;
    char *path = buffers[next++ % 8];
    snprintf(path, sizeof buffers[0], "%s/%s", folder->root, name);
    return path;
}

/* Makes the folders that `name` stands in. */
static inline void scratch_make_parents(const scratch *folder, const char *name)
{
    char path[2 * SCRATCH_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder->root, name);
    for (char *slash = path + strlen(folder->root) + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = '\0';
        ck_assert(mkdir(path, 0777) == 0 || errno == EEXIST);
    }
}

static inline const char *scratch_write(const scratch *folder, const char *name, const void *bytes, size_t size)
{
    scratch_make_parents(folder, name);
    FILE *file = fopen(scratch_path(folder, name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return scratch_path(folder, name);
}

static inline const char *scratch_write_text(const scratch *folder, const char *name, const char *text)
{
    return scratch_write(folder, name, text, strlen(text));
}

/* A PNG of width x height pixels whose pattern depends on `seed`. */
static inline void scratch_write_png(const scratch *folder, deep_context *context, const char *name, int32_t width,
                                     int32_t height, unsigned seed)
{
    uint8_t *pixels = malloc((size_t)width * (size_t)height * 3);
    ck_assert_ptr_nonnull(pixels);
    for (int32_t i = 0; i < width * height * 3; ++i) {
        seed = seed * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(seed >> 24);
    }
    const deep_pixels frame = {DEEP_PIXELS_INIT, .data = pixels, .width = width, .height = height,
                               .format = DEEP_PIXEL_RGB};
    deep_image *image;
    scratch_make_parents(folder, name);
    ck_assert_int_eq(deep_image_wrap(&image, context, &frame), DEEP_OK);
    ck_assert_int_eq(deep_image_save_png(image, scratch_path(folder, name)), DEEP_OK);
    deep_image_free(image);
    free(pixels);
}

#endif
