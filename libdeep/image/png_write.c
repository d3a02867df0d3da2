/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_writer.h"
#include "image.h"
#include "png_memory.h"

#include <setjmp.h>

typedef struct png_encoder {
    const deep_image *image;
    png_memory memory;
    uint8_t *data; /* the file so far */
    size_t size;
    size_t capacity;
    png_structp png;
    png_infop info;
    jmp_buf escape;
} png_encoder;

static void on_error(png_structp png, png_const_charp message)
{
    png_encoder *encoder = png_get_error_ptr(png);
    if (encoder->memory.status == DEEP_OK)
        encoder->memory.status = deep__fail(DEEP_ERROR_INVALID_ARGUMENT, "PNG: %s", message);
    longjmp(encoder->escape, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep data, size_t size)
{
    png_encoder *encoder = png_get_io_ptr(png);
    const deep_status status = deep__grow(&encoder->data, encoder->memory.allocator, encoder->size, &encoder->capacity,
                                          encoder->size + size, 1, "PNG file");
    if (status != DEEP_OK) {
        encoder->memory.status = status;
        png_error(png, "out of memory");
    }
    memcpy(encoder->data + encoder->size, data, size);
    encoder->size += size;
}

static void on_flush(png_structp png)
{
    (void)png;
}

static deep_status run_guarded(png_encoder *encoder)
{
    const deep_image *image = encoder->image;
    if (setjmp(encoder->escape) != 0) return encoder->memory.status;
    encoder->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, encoder, on_error, on_warning, &encoder->memory,
                                             png_memory_alloc, png_memory_free);
    if (encoder->png != NULL) encoder->info = png_create_info_struct(encoder->png);
    if (encoder->info == NULL)
        return encoder->memory.status != DEEP_OK ? encoder->memory.status
                                                 : deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "libpng could not be started");
    const png_uint_32 no_limit = PNG_UINT_31_MAX; /* the context's limits held when the image was made */
    png_set_user_limits(encoder->png, no_limit, no_limit);
    png_set_write_fn(encoder->png, encoder, on_write, on_flush);
    png_set_IHDR(encoder->png, encoder->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(encoder->png, encoder->info);
    for (int32_t y = 0; y < image->height; ++y)
        png_write_row(encoder->png, deep__image_row(image, y));
    png_write_end(encoder->png, NULL);
    return DEEP_OK;
}

static deep_status encode(png_encoder *encoder, const deep_image *image)
{
    *encoder = (png_encoder){.image = image};
    encoder->memory = (png_memory){&image->context->allocator, INT64_MAX, DEEP_OK};
    const deep_status status = run_guarded(encoder);
    png_destroy_write_struct(&encoder->png, &encoder->info);
    if (status != DEEP_OK) deep__free(encoder->memory.allocator, encoder->data);
    return status;
}

deep_status deep_image_encode_png(const deep_image *image, void **data, size_t *size)
{
    DEEP_REQUIRE_OUT(data);
    DEEP_REQUIRE(size != NULL, "size is NULL");
    *size = 0;
    DEEP_TRY(deep__image_check(image));
    png_encoder encoder;
    DEEP_TRY(encode(&encoder, image));
    *data = encoder.data;
    *size = encoder.size;
    return DEEP_OK;
}

deep_status deep_image_save_png(const deep_image *image, const char *path)
{
    DEEP_TRY(deep__image_check(image));
    DEEP_REQUIRE(path != NULL, "path is NULL");
    const deep_allocator *allocator = &image->context->allocator;
    png_encoder encoder;
    DEEP_TRY(encode(&encoder, image));
    const deep_status status = deep__file_write(allocator, path, encoder.data, encoder.size);
    deep__free(allocator, encoder.data);
    return status;
}
