/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"
#include "exif.h"
#include "png_chunks.h"
#include "png_memory.h"

#include <setjmp.h>

/*
 * libpng's row interface. Never its simplified interface nor png_set_quantize(), where most of its flaws were; palettes
 * are resolved here, because libpng only checks their indices while it does not resolve them.
 */
typedef struct png_decoder {
    deep_decode_job *job;
    png_memory memory;
    size_t position;   /* in the file */
    bool ended;        /* libpng wanted more than there is */
    bool reading_rows; /* the image exists and may hold rows */
    png_structp png;
    png_infop info;
    jmp_buf escape;
    char message[128]; /* libpng's last words */
} png_decoder;

static void on_error(png_structp png, png_const_charp message)
{
    png_decoder *decoder = png_get_error_ptr(png);
    size_t length = strlen(message);
    if (length >= sizeof decoder->message) length = sizeof decoder->message - 1;
    memcpy(decoder->message, message, length);
    decoder->message[length] = '\0';
    longjmp(decoder->escape, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message; /* what matters is made an error by png_set_benign_errors() */
}

static void on_read(png_structp png, png_bytep to, size_t size)
{
    png_decoder *decoder = png_get_io_ptr(png);
    const deep_decode_job *job = decoder->job;
    if (size > job->size - decoder->position) {
        decoder->ended = true;
        png_error(png, "file ends too early");
    }
    memcpy(to, job->data + decoder->position, size);
    decoder->position += size;
}

static deep_status create_reader(png_decoder *decoder)
{
    const deep_limits *limits = &decoder->job->context->limits;
    decoder->memory = (png_memory){&decoder->job->context->allocator, limits->max_decoder_bytes, DEEP_OK};
    decoder->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, decoder, on_error, on_warning, &decoder->memory,
                                            png_memory_alloc, png_memory_free);
    if (decoder->png != NULL) decoder->info = png_create_info_struct(decoder->png);
    if (decoder->info != NULL) return DEEP_OK;
    return decoder->memory.status != DEEP_OK ? decoder->memory.status
                                             : deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "libpng could not be started");
}

/* May escape. Each of the first three keeps a chunk of 200 bytes from claiming 2 GB. */
static void configure_reader(png_decoder *decoder)
{
    const deep_limits *limits = &decoder->job->context->limits;
    const png_uint_32 side = limits->max_side > PNG_UINT_31_MAX ? PNG_UINT_31_MAX : (png_uint_32)limits->max_side;
    png_set_benign_errors(decoder->png, 0);
    png_set_keep_unknown_chunks(decoder->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(decoder->png, side, side);
    png_set_crc_action(decoder->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_read_fn(decoder->png, decoder, on_read);
}

/* May escape. Afterwards a row is 8-bit grey, 8-bit RGB, or palette indices of one byte each. */
static void configure_rows(png_decoder *decoder)
{
    png_structp png = decoder->png;
    const int depth = png_get_bit_depth(png, decoder->info), type = png_get_color_type(png, decoder->info);
    if (depth == 16) png_set_scale_16(png);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_packing(png);
    if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (type & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(png);
}

static void read_rows(png_decoder *decoder)
{
    deep_image *image = decoder->job->image;
    const int passes = png_set_interlace_handling(decoder->png);
    png_read_update_info(decoder->png, decoder->info);
    decoder->reading_rows = true;
    for (int pass = 0; pass < passes; ++pass)
        for (int32_t y = 0; y < image->height; ++y)
            png_read_row(decoder->png, deep__image_row_to_write(image, y), NULL);
    png_read_end(decoder->png, NULL);
}

/* libpng's part, inside the guard: nothing here may hold a resource in a local variable. */
static deep_status run_guarded(png_decoder *decoder)
{
    if (setjmp(decoder->escape) != 0) return DEEP_ERROR_FORMAT;
    DEEP_TRY(create_reader(decoder));
    configure_reader(decoder);
    png_read_info(decoder->png, decoder->info);
    configure_rows(decoder);
    deep_decode_job *job = decoder->job;
    const int32_t channels = png_get_color_type(decoder->png, decoder->info) & PNG_COLOR_MASK_COLOR ? 3 : 1;
    DEEP_TRY(deep__image_create(&job->image, job->context, (int32_t)png_get_image_width(decoder->png, decoder->info),
                                (int32_t)png_get_image_height(decoder->png, decoder->info), channels));
    read_rows(decoder);
    return DEEP_OK;
}

/* Why the guarded part was left; DEEP_OK for a truncated file that may be used. */
static deep_status explain(const png_decoder *decoder)
{
    const deep_decode_job *job = decoder->job;
    if (decoder->memory.status != DEEP_OK) return decoder->memory.status;
    if (!decoder->ended) return deep__fail(DEEP_ERROR_FORMAT, "PNG: %s", decoder->message);
    if (!job->lenient || !decoder->reading_rows)
        return deep__fail(DEEP_ERROR_TRUNCATED, "PNG ends too early, after %zu bytes", job->size);
    deep__decode_warn_truncated(job);
    return DEEP_OK;
}

/* The first `width` bytes of a row are indices; from the right, so that none is overwritten before it is read. */
static deep_status resolve_row(uint8_t *row, int32_t width, const png_color *palette, int entries)
{
    for (int32_t x = width - 1; x >= 0; --x) {
        const uint8_t index = row[x];
        if (index >= entries)
            return deep__fail(DEEP_ERROR_FORMAT, "PNG: palette index %d, the palette has %d colours", index, entries);
        row[3 * (int64_t)x] = palette[index].red;
        row[3 * (int64_t)x + 1] = palette[index].green;
        row[3 * (int64_t)x + 2] = palette[index].blue;
    }
    return DEEP_OK;
}

static deep_status resolve_palette(png_decoder *decoder)
{
    png_colorp palette = NULL;
    int entries = 0;
    if (png_get_color_type(decoder->png, decoder->info) != PNG_COLOR_TYPE_PALETTE) return DEEP_OK;
    png_get_PLTE(decoder->png, decoder->info, &palette, &entries);
    deep_image *image = decoder->job->image;
    for (int32_t y = 0; y < image->height; ++y)
        DEEP_TRY(resolve_row(deep__image_row_to_write(image, y), image->width, palette, entries));
    return DEEP_OK;
}

deep_status deep__png_decode(deep_decode_job *job)
{
    deep_png_chunks chunks;
    DEEP_TRY(deep__png_scan(&chunks, job->data, job->size));
    DEEP_TRY(deep__image_check_size(job->context, chunks.width, chunks.height));
    if (!chunks.complete && !job->lenient)
        return deep__fail(DEEP_ERROR_TRUNCATED, "PNG ends too early, after %zu bytes", job->size);
    if (chunks.exif != NULL) job->orientation = deep__exif_orientation(chunks.exif, chunks.exif_size);

    png_decoder decoder = {.job = job};
    deep_status status = run_guarded(&decoder);
    if (status == DEEP_ERROR_FORMAT) status = explain(&decoder);
    if (status == DEEP_OK) status = resolve_palette(&decoder);
    png_destroy_read_struct(&decoder.png, &decoder.info, NULL);
    return status;
}
