/* SPDX-License-Identifier: Apache-2.0 */
#include "png_builder.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static uint32_t read_32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void add_chunk(bytes *file, const png_plan *plan, const char *type, uint32_t claims, const void *data,
                      size_t size)
{
    bytes_u32(file, claims);
    const size_t covered = file->size;
    bytes_append(file, type, 4);
    bytes_append(file, data, size);
    const uint32_t crc = (uint32_t)crc32(0, file->data + covered, (uInt)(4 + size));
    const int wrong = plan->wrong_crc != NULL && memcmp(plan->wrong_crc, type, 4) == 0;
    bytes_u32(file, wrong ? crc ^ 1u : crc);
}

static void add_header(bytes *file, const png_plan *plan, uint32_t width, uint32_t height)
{
    bytes header = {0};
    const uint32_t claim_width = plan->claim_width ? plan->claim_width : width;
    const uint32_t claim_height = plan->claim_height ? plan->claim_height : height;
    bytes_u32(&header, claim_width == PNG_ZERO ? 0 : claim_width);
    bytes_u32(&header, claim_height == PNG_ZERO ? 0 : claim_height);
    bytes_byte(&header, plan->depth ? plan->depth : 8);
    bytes_byte(&header, plan->colour);
    bytes_byte(&header, plan->compression);
    bytes_byte(&header, plan->filter);
    bytes_byte(&header, plan->interlace);
    add_chunk(file, plan, "IHDR", 13, header.data, header.size);
    bytes_free(&header);
}

static void add_palette(bytes *file, const png_plan *plan)
{
    uint8_t zeros[1024] = {0};
    int entries = plan->palette;
    if (entries == 0 && plan->colour == 3) entries = 1 << (plan->depth ? plan->depth : 8);
    if (plan->no_palette) entries = 0;
    const int size = plan->palette_bytes ? plan->palette_bytes : 3 * entries;
    for (int i = 0; i < size; ++i)
        zeros[i] = (uint8_t)(i * 7);
    if (size > 0) add_chunk(file, plan, "PLTE", (uint32_t)size, zeros, (size_t)size);
    memset(zeros, 128, sizeof zeros);
    if (plan->transparency > 0)
        add_chunk(file, plan, "tRNS", (uint32_t)plan->transparency, zeros, (size_t)plan->transparency);
}

/* Rows of one pass; the samples count up, so every row differs. */
static void add_rows(bytes *rows, const png_plan *plan, uint32_t width, uint32_t height)
{
    static const int samples[7] = {1, 0, 3, 1, 2, 0, 4};
    const uint32_t depth = plan->depth ? (uint32_t)plan->depth : 8;
    const uint32_t per_pixel = plan->colour < 7 && samples[plan->colour] ? (uint32_t)samples[plan->colour] : 1;
    const size_t row = ((size_t)width * per_pixel * depth + 7) / 8;
    for (uint32_t y = 0; y < height && width > 0; ++y) {
        bytes_byte(rows, plan->row_filter);
        for (size_t i = 0; i < row; ++i)
            bytes_byte(rows, (int)((y * 16 + i * 5) & 255));
    }
}

static bytes raw_rows(const png_plan *plan, uint32_t width, uint32_t height)
{
    static const uint32_t x0[7] = {0, 4, 0, 2, 0, 1, 0}, y0[7] = {0, 0, 4, 0, 2, 0, 1};
    static const uint32_t dx[7] = {8, 8, 4, 4, 2, 2, 1}, dy[7] = {8, 8, 8, 4, 4, 2, 2};
    bytes rows = {0};
    if (plan->interlace != 1) add_rows(&rows, plan, width, height);
    for (int pass = 0; pass < 7 && plan->interlace == 1; ++pass)
        add_rows(&rows, plan, (width + dx[pass] - 1 - x0[pass]) / dx[pass],
                 (height + dy[pass] - 1 - y0[pass]) / dy[pass]);
    if (plan->short_data) rows.size /= 2;
    return rows;
}

static bytes zlib_stream(const png_plan *plan, const bytes *rows)
{
    bytes all = {0}, packed = {0};
    bytes_append(&all, rows->data, rows->size);
    if (plan->surplus > 0) {
        uint8_t *zeros = calloc(plan->surplus, 1);
        bytes_require(zeros != NULL, "memory");
        bytes_append(&all, zeros, plan->surplus);
        free(zeros);
    }
    uLongf size = compressBound((uLong)all.size);
    packed.data = malloc(size);
    bytes_require(compress2(packed.data, &size, all.data, (uLong)all.size, 9) == Z_OK, "compression");
    packed.size = size;
    if (plan->wrong_adler) packed.data[packed.size - 1] ^= 1;
    bytes_free(&all);
    return packed;
}

static void add_image_data(bytes *file, const png_plan *plan, uint32_t width, uint32_t height)
{
    bytes rows = raw_rows(plan, width, height), stream = zlib_stream(plan, &rows);
    const size_t parts = plan->idats > 0 ? (size_t)plan->idats : plan->idats == 0;
    for (size_t i = 0; i < parts; ++i) {
        const size_t begin = stream.size * i / parts, end = stream.size * (i + 1) / parts;
        if (i > 0 && plan->between_idats != NULL) add_chunk(file, plan, plan->between_idats, 0, NULL, 0);
        add_chunk(file, plan, "IDAT", (uint32_t)(end - begin), stream.data + begin, end - begin);
    }
    bytes_free(&rows);
    bytes_free(&stream);
}

static void add_extra(bytes *file, const png_plan *plan)
{
    if (plan->extra == NULL) return;
    uint8_t *zeros = calloc(plan->extra_size + 1, 1);
    const uint32_t claims = plan->extra_claims ? plan->extra_claims : (uint32_t)plan->extra_size;
    add_chunk(file, plan, plan->extra, claims, plan->extra_data ? plan->extra_data : zeros, plan->extra_size);
    free(zeros);
}

bytes png_build(const png_plan *plan)
{
    bytes file = {0};
    const uint32_t width = plan->width ? plan->width : 8, height = plan->height ? plan->height : 6;
    bytes_append(&file, "\x89PNG\r\n\x1a\n", 8);
    add_header(&file, plan, width, height);
    add_palette(&file, plan);
    add_extra(&file, plan);
    add_image_data(&file, plan, width, height);
    add_chunk(&file, plan, "IEND", 0, NULL, 0);
    if (plan->cut_in != NULL) {
        const size_t chunk = png_find(&file, plan->cut_in);
        file.size = chunk + 8 + read_32(file.data + chunk) / 2;
    }
    if (plan->keep > 0) file.size = (size_t)plan->keep;
    if (plan->keep < 0) file.size -= (size_t)-plan->keep;
    if (plan->trailer != NULL) bytes_append(&file, plan->trailer, strlen(plan->trailer));
    return file;
}

size_t png_find(const bytes *file, const char *type)
{
    size_t position = 8;
    while (position + 8 <= file->size && memcmp(file->data + position + 4, type, 4) != 0)
        position += 12 + (size_t)read_32(file->data + position);
    bytes_require(position + 8 <= file->size, type);
    return position;
}

void png_repair_crc(bytes *file, size_t position)
{
    const uint32_t size = read_32(file->data + position);
    const uint32_t crc = (uint32_t)crc32(0, file->data + position + 4, size + 4);
    for (int i = 0; i < 4; ++i)
        file->data[position + 8 + size + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
}
