/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include "base/file.h"
#include "colour.h"
#include "exif.h"
#include "sniff.h"
#include "turn.h"

void deep__decode_warn_truncated(const deep_decode_job *job)
{
    deep__log(&job->context->logger, DEEP_LOG_WARNING, "%s: ends after %zu bytes, the missing part is black", job->name,
              job->size);
}

static deep_status read_options(deep_image_options *options, const deep_image_options *given)
{
    DEEP_TRY(deep__options_read(options, sizeof *options, sizeof *options, given, "deep_image_options"));
    const int32_t channels = options->channels;
    DEEP_REQUIRE(channels == 0 || channels == 1 || channels == 3, "channels is %" PRId32 ", not 0, 1 or 3", channels);
    DEEP_REQUIRE(options->truncation == DEEP_TRUNCATION_STRICT || options->truncation == DEEP_TRUNCATION_LENIENT,
                 "truncation %" PRId32 " is not one of DEEP_TRUNCATION", options->truncation);
    DEEP_REQUIRE(options->reserved == 0, "reserved is %" PRId32 ", not 0", options->reserved);
    return DEEP_OK;
}

static deep_status decode_stored(deep_decode_job *job)
{
    const int64_t limit = job->context->limits.max_image_bytes;
    if (job->size > (uint64_t)limit)
        return deep__fail(DEEP_ERROR_LIMIT, "image file of %zu bytes, the limit is %" PRId64, job->size, limit);
    enum deep_image_format format;
    DEEP_TRY(deep__sniff(&format, job->data, job->size));
    return format == DEEP_FORMAT_PNG ? deep__png_decode(job) : deep__jpeg_decode(job);
}

/* Puts `next` in the place of `*image`, unless making it failed. */
static deep_status replace_image(deep_image **image, deep_image *next, deep_status status)
{
    if (status != DEEP_OK) return status;
    deep_image_free(*image);
    *image = next;
    return DEEP_OK;
}

static deep_status apply_orientation(deep_decode_job *job)
{
    const deep_orientation turn = deep__exif_turn(job->orientation);
    if (turn.quarter_turns == 0 && turn.mirror == 0) return DEEP_OK;
    deep_image *turned = NULL;
    const deep_status status = deep_image_turn(&turned, job->image, turn.quarter_turns, turn.mirror);
    return replace_image(&job->image, turned, status);
}

static deep_status apply_channels(deep_decode_job *job, int32_t channels)
{
    if (channels == 0 || channels == job->image->channels) return DEEP_OK;
    deep_image *converted = NULL;
    const deep_status status = deep__image_convert(&converted, job->image, channels);
    return replace_image(&job->image, converted, status);
}

/* `name` is NULL for an image in memory. */
static deep_status decode_image(deep_image **out, deep_context *context, const char *name, const void *data,
                                size_t size, const deep_image_options *options)
{
    deep_decode_job job = {.context = context,
                           .name = name == NULL ? "image in memory" : name,
                           .data = data,
                           .size = size,
                           .lenient = options->truncation == DEEP_TRUNCATION_LENIENT,
                           .orientation = 1};
    deep_status status = decode_stored(&job);
    if (status == DEEP_OK && !options->ignore_orientation) status = apply_orientation(&job);
    if (status == DEEP_OK) status = apply_channels(&job, options->channels);
    if (status != DEEP_OK && name != NULL) deep__fail_within(status, name);
    return deep__image_deliver(out, job.image, status);
}

deep_status deep_image_decode(deep_image **out, deep_context *context, const void *data, size_t size,
                              const deep_image_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(data != NULL || size == 0, "data is NULL");
    deep_image_options options = {0};
    DEEP_TRY(read_options(&options, given));
    return decode_image(out, context, NULL, data, size, &options);
}

deep_status deep_image_load(deep_image **out, deep_context *context, const char *path, const deep_image_options *given)
{
    DEEP_REQUIRE_OUT(out);
    DEEP_TRY(deep__context_check(context));
    DEEP_REQUIRE(path != NULL, "path is NULL");
    deep_image_options options = {0};
    DEEP_TRY(read_options(&options, given));
    void *data;
    size_t size;
    DEEP_TRY(deep__file_read(&data, &size, &context->allocator, path, (size_t)context->limits.max_image_bytes));
    const deep_status status = decode_image(out, context, path, data, size, &options);
    deep__free(&context->allocator, data);
    return status;
}

void deep_image_options_init(deep_image_options *options, size_t size)
{
    deep__options_init(options, size);
}
