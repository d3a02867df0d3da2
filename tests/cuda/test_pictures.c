/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* nftw */
/* Network inputs that a device makes of pictures are, bit for bit, those that the host makes. */
#include "backend/backend.h"
#include "core/context.h"
#include "failing_allocator.h"
#include "image/image.h"
#include "image/pictures.h"
#include "scratch.h"
#include "test.h"

#include <deep/deep.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 }; /* pictures of a block */

static deep_context *context;
static const deep_accelerators *device;
static deep_accelerator *queue;

static void setup(void)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = 1, .device = "cuda"};
    assert_ok(deep_context_create(&context, &options));
    device = context->backend->accelerators;
    assert_ok(device->branch(&queue, context->accelerator, NULL));
}

static void teardown(void)
{
    device->close(queue);
    deep_context_free(context);
}

typedef struct shape {
    int32_t width, height, channels;
} shape;

static deep_image *new_image(shape s, uint32_t seed)
{
    deep_image *image;
    assert_ok(deep__image_create(&image, context, s.width, s.height, s.channels));
    for (int32_t i = 0; i < s.width * s.height * s.channels; ++i) {
        seed = seed * 1664525U + 1013904223U;
        image->data[i] = (uint8_t)(i % 5 == 0 ? 255 * (seed >> 31) : seed >> 24); /* the extremes more often */
    }
    return image;
}

/* ---- a block, and what becomes of it on both sides ---- */

typedef struct block {
    deep_preprocess preprocess;
    deep_pictures *pictures;
    size_t end, room;
    int32_t count, as_they_are;
    float *expected; /* [MOST, size, size, 3] */
} block;

static size_t image_values(const block *b)
{
    return (size_t)b->preprocess.size * (size_t)b->preprocess.size * 3;
}

static block new_block(const deep_preprocess *preprocess)
{
    block b = {.preprocess = *preprocess};
    ck_assert(deep__pictures_room(&b.room, preprocess, MOST));
    b.pictures = calloc(1, b.room);
    b.expected = calloc(MOST * image_values(&b), sizeof *b.expected);
    ck_assert(b.pictures != NULL && b.expected != NULL);
    deep__pictures_init(b.pictures, preprocess, MOST);
    b.end = deep__pictures_begin(b.pictures, 0);
    return b;
}

static void free_block(block *b)
{
    free(b->expected);
    free(b->pictures);
}

static void add(block *b, const deep_image *image, int32_t turns, int32_t mirror)
{
    deep_image *made, *square;
    ck_assert_int_lt(b->count, MOST);
    assert_ok(deep__picture_make(&made, image, &b->preprocess));
    const deep_image *picture = made == NULL ? image : made;
    deep__picture_put(b->pictures, b->count, b->end, picture, &b->preprocess, turns, mirror);
    b->end += deep__picture_bytes(picture);
    ck_assert_uint_le(b->end, b->room);
    b->as_they_are += made == NULL;
    deep_image_free(made);
    assert_ok(deep__preprocess_square(&square, image, &b->preprocess));
    deep__preprocess_normalise(b->expected + (size_t)b->count * image_values(b), square, &b->preprocess, turns, mirror);
    deep_image_free(square);
    ck_assert_uint_eq(deep__pictures_begin(b->pictures, ++b->count),
                      sizeof(deep_pictures) + MOST * sizeof(deep_picture));
}

static float *preprocess_there(const block *b)
{
    const size_t bytes = (size_t)b->count * image_values(b) * sizeof(float);
    float *found = malloc(bytes);
    void *there, *values;
    ck_assert_ptr_nonnull(found);
    assert_ok(device->alloc(queue, &there, b->room));
    assert_ok(device->alloc(queue, &values, bytes));
    assert_ok(device->clear(queue, values, bytes));
    assert_ok(device->upload(queue, there, b->pictures, b->end));
    assert_ok(device->preprocess(queue, values, there, b->pictures));
    assert_ok(device->download(queue, found, values, bytes));
    device->free(queue, values);
    device->free(queue, there);
    return found;
}

static void assert_same(const block *b, const char *what)
{
    float *found = preprocess_there(b);
    for (size_t i = 0; i < (size_t)b->count * image_values(b); ++i)
        ck_assert_msg(memcmp(&found[i], &b->expected[i], sizeof *found) == 0,
                      "%s: value %zu of picture %zu is %g, not %g", what, i % image_values(b), i / image_values(b),
                      (double)found[i], (double)b->expected[i]);
    free(found);
}

static deep_preprocess usual(int32_t size)
{
    return (deep_preprocess){.mode = DEEP_PREPROCESS_TORCH,
                             .size = size,
                             .channels = 3,
                             .mean = {120.5, 99.25, 140.1},
                             .std = {61.2, 58.3, 70.7}};
}

/* ---- what the device makes ---- */

static const shape shapes[] = {{1, 1, 1},   {1, 1, 3},   {1, 40, 1},  {40, 1, 3},    {2, 3, 3},
                               {30, 30, 1}, {30, 30, 3}, {60, 60, 1}, {60, 14, 3},   {17, 45, 1},
                               {45, 19, 3}, {29, 31, 1}, {31, 28, 3}, {2700, 1, 1},  {1, 900, 3},
                               {90, 30, 1}, {52, 51, 1}, {7, 385, 1}, {300, 200, 3}, {61, 61, 3}};
enum { SHAPES = sizeof shapes / sizeof shapes[0], TOO_LARGE = 3, FILTERS = 4, FITS = 2, SIDE = 30 };

START_TEST(every_filter_and_fit_gives_the_hosts_values)
{
    deep_preprocess preprocess = usual(SIDE);
    preprocess.filter = _i / FITS;
    preprocess.fit = _i % FITS;
    block b = new_block(&preprocess);
    for (uint32_t i = 0; i < SHAPES; ++i) {
        deep_image *image = new_image(shapes[i], i + 1);
        add(&b, image, (int32_t)i % 4, (int32_t)i / 4 % 2);
        deep_image_free(image);
    }
    ck_assert_int_eq(b.as_they_are, SHAPES - TOO_LARGE); /* more bytes than the square: 60 x 60, and the last two */
    assert_same(&b, "filter and fit");
    free_block(&b);
}
END_TEST

START_TEST(every_turn_gives_the_hosts_values)
{
    const deep_preprocess preprocess = usual(23);
    block b = new_block(&preprocess);
    for (int32_t turn = 0; turn < 16; ++turn) {
        deep_image *image = new_image(turn < 8 ? (shape){19, 27, 3} : (shape){23, 23, 1}, 77);
        add(&b, image, turn % 4, turn / 4 % 2);
        deep_image_free(image);
    }
    assert_same(&b, "turns");
    ck_assert_mem_ne(b.expected, b.expected + image_values(&b), image_values(&b) * sizeof *b.expected);
    free_block(&b);
}
END_TEST

START_TEST(every_normalisation_gives_the_hosts_values)
{
    static const int32_t modes[] = {DEEP_PREPROCESS_TF, DEEP_PREPROCESS_TORCH, DEEP_PREPROCESS_CAFFE};
    for (int32_t i = 0; i < 6; ++i) {
        deep_preprocess preprocess = usual(40);
        preprocess.mode = modes[i % 3];
        preprocess.channels = i < 3 ? 3 : 1;
        block b = new_block(&preprocess);
        deep_image *colour = new_image((shape){40, 33, 3}, 5), *grey = new_image((shape){50, 60, 1}, 6);
        deep_image *large = new_image((shape){80, 80, 3}, 7); /* its luma is too large, too */
        add(&b, colour, 0, 0);
        add(&b, grey, 0, 1);
        add(&b, large, 3, 0);
        assert_same(&b, "normalisation");
        deep_image_free(large);
        deep_image_free(grey);
        deep_image_free(colour);
        free_block(&b);
    }
}
END_TEST

/* Rows of a frame are not packed; a block has one behind the other. */
START_TEST(a_part_of_a_frame_gives_the_hosts_values)
{
    enum { FRAME = 70, STRIDE = 3 * FRAME };
    static uint8_t frame[FRAME * STRIDE];
    const deep_preprocess preprocess = usual(50);
    block b = new_block(&preprocess);
    const deep_pixels pixels = {DEEP_PIXELS_INIT, .data = frame,    .width = FRAME,
                                .height = FRAME,  .roi_x = 11,      .roi_y = 5,
                                .roi_width = 37,  .roi_height = 41, .format = DEEP_PIXEL_RGB};
    deep_image *image;
    for (int i = 0; i < FRAME * STRIDE; ++i)
        frame[i] = (uint8_t)(i % 251 * (i % 13));
    assert_ok(deep_image_wrap(&image, context, &pixels));
    ck_assert_int_eq(deep_image_stride(image), STRIDE);
    add(&b, image, 1, 1);
    ck_assert_int_eq(b.as_they_are, 1);
    assert_same(&b, "a part of a frame");
    deep_image_free(image);
    free_block(&b);
}
END_TEST

/* What xception takes by default: 299 pixels, a number that no block of threads divides. */
START_TEST(pictures_of_299_pixels_are_a_quarter_of_the_bytes)
{
    static const shape sizes[] = {{299, 299, 3}, {598, 598, 1}, {400, 300, 1}, {149, 150, 3}, {1200, 900, 3}};
    const deep_preprocess preprocess = usual(299);
    block b = new_block(&preprocess);
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        deep_image *image = new_image(sizes[i], i);
        add(&b, image, (int32_t)i % 4, (int32_t)i % 2);
        deep_image_free(image);
    }
    ck_assert_int_eq(b.as_they_are, 3);
    const size_t floats = MOST * image_values(&b) * sizeof(float), tables = b.room - floats / 4;
    ck_assert_uint_eq(tables, MOST * sizeof(deep_picture) + sizeof(deep_pictures));
    ck_assert_uint_lt(tables, b.room / 1000);
    assert_same(&b, "299 pixels");
    free_block(&b);
}
END_TEST

/* ---- what is refused ---- */

enum { INPUT = 71, BATCH = 2, IMAGES = 2 * BATCH + 1 }; /* the least that a network takes */

/* A picture as it is, one that the host squares, and one whose colours it drops. */
static deep_status predict_images(deep_context *in, const char *file)
{
    static uint8_t pixels[150 * 150 * 3];
    deep_image *images[IMAGES] = {NULL};
    deep_model *model = NULL;
    deep_prediction top[IMAGES];
    const deep_predict_options options = {DEEP_PREDICT_OPTIONS_INIT, .batch = BATCH};
    deep_status status = deep_model_load(&model, in, file);
    for (int32_t i = 0; i < IMAGES && status == DEEP_OK; ++i) {
        const int32_t side = i % 2 == 0 ? 150 : 40;
        const deep_pixels frame = {DEEP_PIXELS_INIT, .data = pixels, .width = side, .height = side,
                                   .format = DEEP_PIXEL_RGB};
        status = deep_image_wrap(&images[i], in, &frame);
    }
    if (status == DEEP_OK) status = deep_model_predict(model, images, IMAGES, &options, top, 1);
    for (int32_t i = 0; i < IMAGES; ++i)
        deep_image_free(images[i]);
    deep_model_free(model);
    return status;
}

static deep_status predict_with(failing_allocator *allocator, const char *file)
{
    deep_context *in;
    deep_context_options options = failing_options(allocator);
    options.threads = 1;
    options.device = "cuda";
    deep_status status = deep_context_create(&in, &options);
    if (status != DEEP_OK) return status;
    status = predict_images(in, file);
    deep_context_free(in);
    return status;
}

START_TEST(a_refused_allocation_is_an_error_without_a_leak)
{
    scratch folder;
    deep_model *model;
    failing_allocator whole = {0};
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT,
                                        .architecture = "xception-small",
                                        .input_size = INPUT,
                                        .width = 0.02,
                                        .middle_blocks = 1,
                                        .class_count = 3,
                                        .input_channels = _i == 0 ? 3 : 1};
    scratch_make(&folder);
    const char *file = scratch_path(&folder, "model.safetensors");
    assert_ok(deep_model_create(&model, context, &options));
    assert_ok(deep_model_save(model, file));
    deep_model_free(model);
    assert_ok(predict_with(&whole, file));
    ck_assert_int_eq(whole.living, 0);
    /* of the requests for the model, every seventh: those for the images come last */
    const long last = whole.requests - 60 > 1 ? whole.requests - 60 : 1;
    for (long k = 1; k <= whole.requests; k += k < last ? 7 : 1) {
        failing_allocator allocator = {.fail_at = k, .forever = k % 2 == 0};
        const deep_status status = predict_with(&allocator, file);
        ck_assert_msg(status == DEEP_ERROR_OUT_OF_MEMORY, "request %ld of %ld was refused: %s", k, whole.requests,
                      deep_status_name(status));
        ck_assert_msg(allocator.living == 0, "request %ld refused: %ld blocks leak", k, allocator.living);
    }
    scratch_remove(&folder);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("pictures");
    TCase *tests = tcase_create("pictures");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, every_filter_and_fit_gives_the_hosts_values, 0, FILTERS * FITS);
    tcase_add_test(tests, every_turn_gives_the_hosts_values);
    tcase_add_test(tests, every_normalisation_gives_the_hosts_values);
    tcase_add_test(tests, a_part_of_a_frame_gives_the_hosts_values);
    tcase_add_test(tests, pictures_of_299_pixels_are_a_quarter_of_the_bytes);
    tcase_add_loop_test(tests, a_refused_allocation_is_an_error_without_a_leak, 0, 2); /* colour, grey */
    suite_add_tcase(suite, tests);
    return suite;
}
