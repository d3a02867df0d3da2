/* SPDX-License-Identifier: Apache-2.0 */
#include "jpeg_builder.h"
#include "png_builder.h"

#include <stdio.h>

/* Writes the seeds of the image fuzzers: make_image_seeds tests/fuzz/corpus */

static const struct {
    const char *name;
    png_plan plan;
} pngs[] = {
    {"grey1", {.depth = 1}},
    {"grey16", {.depth = 16}},
    {"rgb", {.colour = 2, .idats = 2}},
    {"palette", {.colour = 3, .depth = 4, .transparency = 5}},
    {"palette-index", {.colour = 3, .palette = 3}},
    {"grey-alpha16", {.colour = 4, .depth = 16}},
    {"rgba-adam7", {.colour = 6, .interlace = 1}},
    {"palette-adam7", {.colour = 3, .depth = 2, .interlace = 1}},
    {"text", {.extra = "tEXt", .extra_size = 20}},
    {"itxt-bomb", {.extra = "iTXt", .extra_claims = 2097152115u, .extra_size = 90}},
    {"profile", {.extra = "iCCP", .extra_size = 40}},
    {"exif",
     {.extra = "eXIf",
      .extra_size = 26,
      .extra_data = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0"}},
    {"short-data", {.short_data = 1}},
    {"surplus", {.surplus = 100000}},
    {"cut", {.width = 40, .height = 40, .keep = -30}},
};

static const struct {
    const char *name;
    jpeg_plan plan;
    int orientation;
} jpegs[] = {
    {"grey", {0}, 0},
    {"yuv420", {.components = 3, .luma_h = 2, .luma_v = 2}, 6},
    {"yuv444", {.components = 3, .optimize = 1, .width = 9, .height = 9}, 0},
    {"rgb", {.components = 3, .rgb = 1, .width = 8, .height = 8}, 0},
    {"sampling", {.components = 3, .luma_h = 3, .width = 25}, 0},
    {"progressive", {.components = 3, .progressive = 1, .width = 16, .height = 9}, 3},
    {"scans", {.scans = 30, .progressive = 1, .width = 8, .height = 8}, 0},
    {"restart", {.restart = 1}, 5},
    {"arithmetic", {.arithmetic = 1, .width = 8, .height = 8}, 0},
    {"cmyk", {.components = 4, .width = 8, .height = 8}, 0},
    {"ycck", {.components = 4, .ycck = 1, .width = 8, .height = 8}, 0},
    {"two", {.components = 2, .width = 8, .height = 8}, 0},
};

static void write_seed(const char *folder, const char *kind, const char *name, bytes *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/%s.%s", folder, kind, name, kind);
    FILE *out = fopen(path, "wb");
    bytes_require(out != NULL, path);
    fwrite(file->data, 1, file->size, out);
    fclose(out);
    bytes_free(file);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    for (size_t i = 0; i < sizeof pngs / sizeof pngs[0]; ++i) {
        bytes file = png_build(&pngs[i].plan);
        write_seed(argv[1], "png", pngs[i].name, &file);
    }
    for (size_t i = 0; i < sizeof jpegs / sizeof jpegs[0]; ++i) {
        bytes file = jpeg_build(&jpegs[i].plan);
        if (jpegs[i].orientation > 0) jpeg_add_exif(&file, jpegs[i].orientation, jpegs[i].orientation & 1, 0);
        write_seed(argv[1], "jpeg", jpegs[i].name, &file);
    }
    return 0;
}
