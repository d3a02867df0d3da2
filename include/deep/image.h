/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_IMAGE_H
#define DEEP_IMAGE_H

#include <deep/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An 8-bit image of 1 (grey) or 3 (RGB) channels, interleaved, rows from the top. One thread at a time. */
typedef struct deep_image deep_image;

/** Pixel formats that deep_image_wrap() understands; 16-bit values are in host byte order. */
enum {
    DEEP_PIXEL_GRAY8 = 1,
    DEEP_PIXEL_GRAY16 = 2,
    DEEP_PIXEL_RGB = 3,
    DEEP_PIXEL_BGR = 4,
    DEEP_PIXEL_RGBA = 5, /**< Alpha is dropped, not blended, as the reference service does. */
    DEEP_PIXEL_BGRA = 6
};

/** Resize filters. */
enum {
    DEEP_FILTER_BILINEAR = 0, /**< Four neighbours, as OpenCV's INTER_LINEAR; aliases when shrinking. */
    DEEP_FILTER_AREA = 1,     /**< Mean of the covered area when shrinking, bilinear when growing; does not alias. */
    DEEP_FILTER_TRIANGLE = 2, /**< Antialiased bilinear: the triangle widens with the shrink factor. */
    DEEP_FILTER_BICUBIC = 3   /**< Antialiased cubic, a = -0.5. */
};

/** What to do with the aspect ratio when an image must become square. */
enum {
    DEEP_FIT_SQUASH = 0, /**< Stretch each axis by itself. */
    DEEP_FIT_PAD = 1     /**< Keep the aspect ratio, centre, fill with the mean colour of the image's border. */
};

/** A file that ends too early. */
enum {
    DEEP_TRUNCATION_STRICT = 0, /**< DEEP_ERROR_TRUNCATED */
    DEEP_TRUNCATION_LENIENT = 1 /**< What there is, the rest black, and a warning in the log. */
};

/** Options of deep_image_load() and deep_image_decode(). Zero means the default in every field. */
typedef struct deep_image_options {
    size_t struct_size;         /**< sizeof(deep_image_options) */
    int32_t channels;           /**< 1 or 3 to convert; 0 = as stored (grey 1, colour and palette 3). */
    int32_t truncation;         /**< DEEP_TRUNCATION_* */
    int32_t ignore_orientation; /**< 1 = leave EXIF orientation unapplied. */
    int32_t reserved;           /**< 0 */
} deep_image_options;

#define DEEP_IMAGE_OPTIONS_INIT .struct_size = sizeof(deep_image_options)

/** Fills options with the defaults. Since 0.1. */
DEEP_API void deep_image_options_init(deep_image_options *options, size_t size);

/** Pixels in the caller's memory, for deep_image_wrap(). */
typedef struct deep_pixels {
    size_t struct_size; /**< sizeof(deep_pixels) */
    const void *data;   /**< First byte of the frame's top row. */
    int64_t stride;     /**< Bytes from one row to the next; 0 = rows are packed. */
    int32_t width;      /**< Of the whole frame, in pixels. */
    int32_t height;
    int32_t format; /**< DEEP_PIXEL_* */
    int32_t roi_x;  /**< Rectangle to take; a roi of 0 x 0 = the whole frame. */
    int32_t roi_y;
    int32_t roi_width;
    int32_t roi_height;
    int32_t reserved; /**< 0 */
} deep_pixels;

#define DEEP_PIXELS_INIT .struct_size = sizeof(deep_pixels)

/** Fills the struct with zeros. Since 0.1. */
DEEP_API void deep_pixels_init(deep_pixels *pixels, size_t size);

/**
 * Reads an image file. PNG and JPEG, told apart by content.
 *
 * @param[out] out     The caller frees it with deep_image_free(). NULL on error.
 * @param      path    UTF-8, or the system's bytes.
 * @param      options Borrowed for the call; NULL = defaults.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_NOT_FOUND, DEEP_ERROR_IO, DEEP_ERROR_FORMAT,
 *         DEEP_ERROR_TRUNCATED, DEEP_ERROR_UNSUPPORTED (CMYK, arithmetic coding, another format), DEEP_ERROR_LIMIT,
 *         DEEP_ERROR_OUT_OF_MEMORY, DEEP_ERROR_FORKED. The text names the file.
 * Any thread. Since 0.1.
 */
DEEP_API deep_status deep_image_load(deep_image **out, deep_context *context, const char *path,
                                     const deep_image_options *options);

/**
 * Decodes an image file held in memory.
 *
 * @param data Borrowed for the call.
 * @param size Bytes at `data`.
 * @return as deep_image_load(). Any thread. Since 0.1.
 */
DEEP_API deep_status deep_image_decode(deep_image **out, deep_context *context, const void *data, size_t size,
                                       const deep_image_options *options);

/**
 * Makes an image over the caller's pixels, or a rectangle of them.
 *
 * GRAY8 and RGB are used in place: the memory must outlive the image. The other formats are converted into a copy.
 *
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (format, stride, rectangle outside the frame), DEEP_ERROR_LIMIT,
 *         DEEP_ERROR_OUT_OF_MEMORY. Any thread. Since 0.1.
 */
DEEP_API deep_status deep_image_wrap(deep_image **out, deep_context *context, const deep_pixels *pixels);

/** Frees an image; NULL is fine. Since 0.1. */
DEEP_API void deep_image_free(deep_image *image);

/** @return Width in pixels; 0 for NULL. Since 0.1. */
DEEP_API int32_t deep_image_width(const deep_image *image);

/** @return Height in pixels; 0 for NULL. Since 0.1. */
DEEP_API int32_t deep_image_height(const deep_image *image);

/** @return 1 (grey) or 3 (RGB); 0 for NULL. Since 0.1. */
DEEP_API int32_t deep_image_channels(const deep_image *image);

/** @return Bytes from one row to the next; 0 for NULL. Since 0.1. */
DEEP_API int64_t deep_image_stride(const deep_image *image);

/** @return First byte of the top row; NULL for NULL. Lives as long as the image. Since 0.1. */
DEEP_API const uint8_t *deep_image_data(const deep_image *image);

/**
 * Resizes an image.
 *
 * @param[out] out    New image of `width` x `height` pixels with `src`'s channels; the caller frees it. NULL on
 *                    error.
 * @param      src    Borrowed for the call.
 * @param      width  In pixels, 1 to the context's `max_side`; likewise `height`.
 * @param      filter DEEP_FILTER_*.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT (a side of 0, an unknown filter), DEEP_ERROR_LIMIT,
 *         DEEP_ERROR_OUT_OF_MEMORY.
 * Any thread; `src` may be shared while it is not written. Since 0.1.
 */
DEEP_API deep_status deep_image_resize(deep_image **out, const deep_image *src, int32_t width, int32_t height,
                                       int32_t filter);

/**
 * Makes an image square, squashed or padded.
 *
 * @param side In pixels, 1 to the context's `max_side`.
 * @param fit  DEEP_FIT_*.
 * @return as deep_image_resize(). Since 0.1.
 */
DEEP_API deep_status deep_image_fit(deep_image **out, const deep_image *src, int32_t side, int32_t filter, int32_t fit);

/**
 * Turns and mirrors an image.
 *
 * @param quarter_turns Counter-clockwise, 0 to 3.
 * @param mirror        1 = mirror left and right, after turning.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY. Since 0.1.
 */
DEEP_API deep_status deep_image_turn(deep_image **out, const deep_image *src, int32_t quarter_turns, int32_t mirror);

/**
 * Writes a PNG file of 8-bit grey or RGB: a temporary file in the same folder, synced, then renamed.
 *
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_IO, DEEP_ERROR_OUT_OF_MEMORY. Since 0.1.
 */
DEEP_API deep_status deep_image_save_png(const deep_image *image, const char *path);

/**
 * Encodes a PNG file into memory.
 *
 * @param[out] data The caller frees it with deep_free(context, data). NULL on error.
 * @param[out] size Bytes at `data`.
 * @return DEEP_OK, DEEP_ERROR_INVALID_ARGUMENT, DEEP_ERROR_OUT_OF_MEMORY. Since 0.1.
 */
DEEP_API deep_status deep_image_encode_png(const deep_image *image, void **data, size_t *size);

#ifdef __cplusplus
}
#endif

#endif
