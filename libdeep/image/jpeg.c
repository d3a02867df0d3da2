/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"
#include "exif.h"

#include <setjmp.h>
#include <stdio.h> /* before jpeglib.h, which uses FILE and size_t */
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum { MAX_SCANS = 100 }; /* libjpeg-turbo's own fuzzers stop there; a camera writes 10 */

typedef struct jpeg_decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    deep_decode_job *job;
    deep_status status; /* why the guarded part was left */
    bool ended;         /* libjpeg wanted more than there is */
    bool missing;       /* and what it wanted was image data: rows from now on are not the file's */
    jmp_buf escape;
} jpeg_decoder;

static jpeg_decoder *decoder_of(j_common_ptr jpeg)
{
    return jpeg->client_data;
}

/* ---- errors ---- */

static const struct {
    int code;
    deep_status status;
} error_kinds[] = {
    {JERR_OUT_OF_MEMORY, DEEP_ERROR_OUT_OF_MEMORY}, {JERR_NO_BACKING_STORE, DEEP_ERROR_LIMIT},
    {JERR_IMAGE_TOO_BIG, DEEP_ERROR_LIMIT},         {JERR_WIDTH_OVERFLOW, DEEP_ERROR_LIMIT},
    {JERR_SOF_UNSUPPORTED, DEEP_ERROR_UNSUPPORTED}, {JERR_ARITH_NOTIMPL, DEEP_ERROR_UNSUPPORTED},
    {JERR_NOT_COMPILED, DEEP_ERROR_UNSUPPORTED},    {JERR_CONVERSION_NOTIMPL, DEEP_ERROR_UNSUPPORTED},
    {JERR_CCIR601_NOTIMPL, DEEP_ERROR_UNSUPPORTED}, {JERR_FRACT_SAMPLE_NOTIMPL, DEEP_ERROR_UNSUPPORTED},
};

static deep_status classify(const jpeg_decoder *decoder)
{
    const struct jpeg_error_mgr *errors = &decoder->errors;
    if (errors->msg_code == JERR_BAD_PRECISION) { /* the standard has 8 and 12; 16 is lossless */
        const int bits = errors->msg_parm.i[0];
        return bits == 12 || bits == 16 ? DEEP_ERROR_UNSUPPORTED : DEEP_ERROR_FORMAT;
    }
    for (size_t i = 0; i < sizeof error_kinds / sizeof error_kinds[0]; ++i)
        if (error_kinds[i].code == errors->msg_code) return error_kinds[i].status;
    return decoder->ended ? DEEP_ERROR_TRUNCATED : DEEP_ERROR_FORMAT;
}

static void leave(jpeg_decoder *decoder, deep_status status)
{
    decoder->status = status;
    longjmp(decoder->escape, 1);
}

static void on_error(j_common_ptr jpeg)
{
    jpeg_decoder *decoder = decoder_of(jpeg);
    char message[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, message);
    leave(decoder, deep__fail(classify(decoder), "JPEG: %s", message));
}

/* Warnings mean damaged data. Those that a missing end explains are dealt with where the end is found. */
static void on_message(j_common_ptr jpeg, int level)
{
    jpeg_decoder *decoder = decoder_of(jpeg);
    if (level >= 0) return; /* a trace message */
    if (!decoder->ended) on_error(jpeg);
    if (jpeg->err->msg_code == JWRN_HIT_MARKER) decoder->missing = true;
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg; /* libjpeg would print */
}

/* ---- source: the whole file in memory ---- */

static void source_nothing(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static void source_end(jpeg_decoder *decoder)
{
    static const JOCTET end_of_image[2] = {0xff, JPEG_EOI};
    const deep_decode_job *job = decoder->job;
    decoder->ended = true;
    if (!job->lenient)
        leave(decoder, deep__fail(DEEP_ERROR_TRUNCATED, "JPEG ends too early, after %zu bytes", job->size));
    decoder->source.next_input_byte = end_of_image;
    decoder->source.bytes_in_buffer = sizeof end_of_image;
}

static boolean source_fill(j_decompress_ptr jpeg)
{
    source_end(decoder_of((j_common_ptr)jpeg));
    return TRUE;
}

static void source_skip(j_decompress_ptr jpeg, long count)
{
    jpeg_decoder *decoder = decoder_of((j_common_ptr)jpeg);
    if (count <= 0) return;
    if ((size_t)count > decoder->source.bytes_in_buffer) {
        source_end(decoder);
        return;
    }
    decoder->source.next_input_byte += count;
    decoder->source.bytes_in_buffer -= (size_t)count;
}

/* ---- limits ---- */

static void on_progress(j_common_ptr jpeg)
{
    jpeg_decoder *decoder = decoder_of(jpeg);
    const int scan = decoder->jpeg.input_scan_number;
    if (scan > MAX_SCANS) leave(decoder, deep__fail(DEEP_ERROR_LIMIT, "JPEG has more than %d scans", MAX_SCANS));
}

static deep_status check_header(const jpeg_decoder *decoder)
{
    const struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    DEEP_TRY(deep__image_check_size(decoder->job->context, jpeg->image_width, jpeg->image_height));
    if (jpeg->arith_code) return deep__fail(DEEP_ERROR_UNSUPPORTED, "JPEG with arithmetic coding");
    if (jpeg->num_components != 1 && jpeg->num_components != 3)
        return deep__fail(DEEP_ERROR_UNSUPPORTED, "JPEG with %d components (CMYK or unknown colours)",
                          jpeg->num_components);
    return DEEP_OK;
}

/* ---- decoding ---- */

static void create(jpeg_decoder *decoder)
{
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    const deep_decode_job *job = decoder->job;
    jpeg->err = jpeg_std_error(&decoder->errors);
    jpeg->client_data = decoder;
    decoder->errors.error_exit = on_error;
    decoder->errors.emit_message = on_message;
    decoder->errors.output_message = on_output;
    jpeg_create_decompress(jpeg);
    jpeg->mem->max_memory_to_use = (long)job->context->limits.max_decoder_bytes;
    decoder->progress.progress_monitor = on_progress;
    jpeg->progress = &decoder->progress;
    decoder->source = (struct jpeg_source_mgr){.next_input_byte = job->data,
                                               .bytes_in_buffer = job->size,
                                               .init_source = source_nothing,
                                               .fill_input_buffer = source_fill,
                                               .skip_input_data = source_skip,
                                               .resync_to_restart = jpeg_resync_to_restart,
                                               .term_source = source_nothing};
    jpeg->src = &decoder->source;
}

/* Of a sequential file that ends too early the rest stays black; a progressive one is coarser everywhere instead. */
static void read_rows(jpeg_decoder *decoder)
{
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    deep_image *image = decoder->job->image;
    const bool all_scans_first = jpeg_has_multiple_scans(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = deep__image_row_to_write(image, (int32_t)jpeg->output_scanline);
        if (decoder->missing && !all_scans_first) return;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
}

/* libjpeg's part, inside the guard: nothing here may hold a resource in a local variable. */
static deep_status run_guarded(jpeg_decoder *decoder)
{
    if (setjmp(decoder->escape) != 0) return decoder->status;
    create(decoder);
    deep_decode_job *job = decoder->job;
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    jpeg_read_header(jpeg, TRUE);
    DEEP_TRY(check_header(decoder));
    jpeg->out_color_space = jpeg->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(jpeg);
    DEEP_TRY(deep__image_create(&job->image, job->context, (int32_t)jpeg->image_width, (int32_t)jpeg->image_height,
                                jpeg->num_components));
    read_rows(decoder);
    if (decoder->ended) deep__decode_warn_truncated(job);
    return DEEP_OK;
}

/* Orientation in the first EXIF segment before the image data; 1 when there is none. */
static int32_t find_orientation(const uint8_t *data, size_t size)
{
    enum { SOI_SIZE = 2, APP1 = 0xe1, SOS = 0xda, EXIF_NAME = 6 };
    size_t position = SOI_SIZE;
    while (size - position >= 4 && data[position] == 0xff) {
        const uint8_t marker = data[position + 1];
        if (marker == 0xff) { /* fill byte */
            ++position;
            continue;
        }
        const size_t length = (size_t)data[position + 2] << 8 | data[position + 3]; /* counts itself */
        if (marker == SOS || length < 2 || length > size - position - 2) return 1;
        const uint8_t *payload = data + position + 4;
        if (marker == APP1 && length - 2 >= EXIF_NAME && memcmp(payload, "Exif\0\0", EXIF_NAME) == 0)
            return deep__exif_orientation(payload + EXIF_NAME, length - 2 - EXIF_NAME);
        position += 2 + length;
    }
    return 1;
}

deep_status deep__jpeg_decode(deep_decode_job *job)
{
    jpeg_decoder decoder = {.job = job};
    const deep_status status = run_guarded(&decoder);
    jpeg_destroy_decompress(&decoder.jpeg);
    if (status == DEEP_OK) job->orientation = find_orientation(job->data, job->size);
    return status;
}
