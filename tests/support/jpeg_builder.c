/* SPDX-License-Identifier: Apache-2.0 */
#include "jpeg_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { MAX_SCRIPT = 1000 };

/* As many legal scans as wanted: one per component, coefficient and bit plane. */
static int long_script(jpeg_scan_info *script, int wanted, int components)
{
    enum { PLANES = 3 };
    int count = 0;
    for (int plane = PLANES; plane >= 0; --plane)
        for (int k = 0; k < 64; ++k)
            for (int c = 0; c < components && count < wanted; ++c) {
                jpeg_scan_info scan = {.comps_in_scan = 1, .component_index = {c}, .Ss = k, .Se = k};
                scan.Ah = plane == PLANES ? 0 : plane + 1;
                scan.Al = plane;
                script[count++] = scan;
            }
    bytes_require(count == wanted, "a script of so many scans");
    return count;
}

static void set_colours(struct jpeg_compress_struct *jpeg, const jpeg_plan *plan)
{
    static const J_COLOR_SPACE spaces[5] = {JCS_GRAYSCALE, JCS_GRAYSCALE, JCS_UNKNOWN, JCS_RGB, JCS_CMYK};
    jpeg->input_components = plan->components ? plan->components : 1;
    jpeg->in_color_space = spaces[jpeg->input_components];
    jpeg_set_defaults(jpeg);
    if (plan->ycck) jpeg_set_colorspace(jpeg, JCS_YCCK);
    if (plan->rgb) jpeg_set_colorspace(jpeg, JCS_RGB);
    for (int c = 0; c < jpeg->num_components; ++c) {
        const int h = c == 0 ? plan->luma_h : plan->other_h, v = c == 0 ? plan->luma_v : plan->other_v;
        jpeg->comp_info[c].h_samp_factor = h ? h : 1;
        jpeg->comp_info[c].v_samp_factor = v ? v : 1;
    }
}

static void write_rows(struct jpeg_compress_struct *jpeg)
{
    const size_t row_size = (size_t)jpeg->image_width * (size_t)jpeg->input_components;
    JSAMPLE *row = malloc(row_size);
    bytes_require(row != NULL, "memory");
    while (jpeg->next_scanline < jpeg->image_height) {
        for (size_t i = 0; i < row_size; ++i)
            row[i] = (JSAMPLE)(40 + i * 3 + jpeg->next_scanline * 5);
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    free(row);
}

bytes jpeg_build(const jpeg_plan *plan)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jpeg_scan_info script[MAX_SCRIPT];
    unsigned char *data = NULL;
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = (JDIMENSION)(plan->width ? plan->width : 24);
    jpeg.image_height = (JDIMENSION)(plan->height ? plan->height : 17);
    set_colours(&jpeg, plan);
    jpeg.arith_code = plan->arithmetic != 0;
    jpeg.optimize_coding = plan->optimize != 0;
    jpeg.restart_interval = (unsigned)plan->restart;
    if (plan->progressive) jpeg_simple_progression(&jpeg);
    if (plan->scans > 0) {
        jpeg.num_scans = long_script(script, plan->scans, jpeg.num_components);
        jpeg.scan_info = script;
    }
    jpeg_start_compress(&jpeg, TRUE);
    write_rows(&jpeg);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    bytes file = {0};
    bytes_append(&file, data, size);
    free(data);
    return file;
}

size_t jpeg_find(const bytes *file, int marker, int n)
{
    size_t position = 2;
    while (position + 4 <= file->size && file->data[position] == 0xff) {
        if (file->data[position + 1] == marker && n-- == 0) return position;
        if (file->data[position + 1] == 0xda) break;
        position += 2 + ((size_t)file->data[position + 2] << 8 | file->data[position + 3]);
    }
    bytes_require(0, "the marker");
    return 0;
}

size_t jpeg_find_restart(const bytes *file, size_t from)
{
    for (size_t i = from; i + 1 < file->size; ++i)
        if (file->data[i] == 0xff && file->data[i + 1] >= 0xd0 && file->data[i + 1] <= 0xd7) return i;
    bytes_require(0, "a restart marker");
    return 0;
}

static void put(bytes *to, int big_endian, int size, uint32_t value)
{
    for (int i = 0; i < size; ++i)
        bytes_byte(to, (int)(value >> 8 * (big_endian ? size - 1 - i : i) & 255));
}

void jpeg_add_exif(bytes *file, int orientation, int big_endian, size_t padding)
{
    bytes segment = {0};
    const size_t payload = 6 + 8 + 2 + 2 * 12 + 4 + padding;
    bytes_u16(&segment, 0xffe1);
    bytes_u16(&segment, (uint32_t)(payload + 2));
    bytes_append(&segment, "Exif\0\0", 6);
    bytes_append(&segment, big_endian ? "MM" : "II", 2);
    put(&segment, big_endian, 2, 42);
    put(&segment, big_endian, 4, 8); /* the directory follows */
    put(&segment, big_endian, 2, 2);
    put(&segment, big_endian, 2, 0x0100); /* width, before the one that matters */
    put(&segment, big_endian, 2, 4);
    put(&segment, big_endian, 4, 1);
    put(&segment, big_endian, 4, 24);
    put(&segment, big_endian, 2, 0x0112);
    put(&segment, big_endian, 2, 3);
    put(&segment, big_endian, 4, 1);
    put(&segment, big_endian, 2, (uint32_t)orientation);
    put(&segment, big_endian, 2, 0);
    put(&segment, big_endian, 4, 0);
    for (size_t i = 0; i < padding; ++i)
        bytes_byte(&segment, 0);
    bytes_insert(file, 2, segment.data, segment.size);
    bytes_free(&segment);
}
