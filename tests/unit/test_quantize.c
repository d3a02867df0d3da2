/* SPDX-License-Identifier: Apache-2.0 */
#include "failing_allocator.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "test.h"

#include <deep/deep.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 6, CLASSES = 3, SIDE = 24, SIZE = 71, NO_LIMIT = 1 << 30 };

static deep_context *context;
static deep_model *model;
static deep_image *images[IMAGES];
static uint8_t pixels[IMAGES][SIDE * SIDE * 3];
static deep_dataset *dataset;

static deep_model *make_model(deep_context *where)
{
    deep_model *made;
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT,
                                        .architecture = "xception-small",
                                        .input_size = SIZE,
                                        .class_count = CLASSES,
                                        .middle_blocks = 1,
                                        .width = 0.125,
                                        .seed = 2};
    assert_ok(deep_model_create(&made, where, &options));
    return made;
}

static deep_dataset *make_dataset(deep_context *where)
{
    static const int32_t labels[IMAGES] = {0, 1, 2, 0, 1, 2};
    static const char *const names[CLASSES] = {"a", "b", "c"};
    deep_dataset *made;
    deep_classes *classes;
    for (int i = 0; i < IMAGES; ++i) {
        for (int p = 0; p < SIDE * SIDE * 3; ++p)
            pixels[i][p] = (uint8_t)((p * (i + 3)) ^ (p >> 3));
        const deep_pixels frame = {DEEP_PIXELS_INIT, .data = pixels[i], .width = SIDE, .height = SIDE,
                                   .format = DEEP_PIXEL_RGB};
        assert_ok(deep_image_wrap(&images[i], where, &frame));
    }
    assert_ok(deep_classes_create(&classes, where, names, NULL, CLASSES));
    assert_ok(deep_dataset_create_images(&made, where, images, labels, NULL, IMAGES, classes));
    deep_classes_free(classes);
    return made;
}

static void free_dataset(deep_dataset *made)
{
    deep_dataset_free(made);
    for (int i = 0; i < IMAGES; ++i)
        deep_image_free(images[i]);
}

static void setup_on(const char *device)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = 1, .device = device};
    assert_ok(deep_context_create(&context, &options));
    model = make_model(context);
    dataset = make_dataset(context);
}

static void setup(void)
{
    setup_on(NULL);
}

static void teardown(void)
{
    free_dataset(dataset);
    deep_model_free(model);
    deep_context_free(context);
}

static deep_model *quantized(int32_t dtype)
{
    deep_model *made;
    const deep_quantize_options options = {DEEP_QUANTIZE_OPTIONS_INIT, .dtype = dtype, .calibration = dataset};
    assert_ok(deep_model_quantize(&made, model, &options));
    return made;
}

static const int32_t dtypes[] = {DEEP_DTYPE_BF16, DEEP_DTYPE_I8};

static int32_t dtype_of(const deep_model *of)
{
    deep_model_summary summary = {.struct_size = sizeof summary};
    assert_ok(deep_model_info(of, &summary));
    return summary.dtype;
}

static int32_t param_dtype(const deep_model *of, const char *name)
{
    deep_param param = {.struct_size = sizeof param};
    assert_ok(deep_model_param_info(of, deep_model_param_index(of, name), &param));
    return param.dtype;
}

static void logits_of(const deep_model *of, float logits[CLASSES])
{
    deep_session *session;
    static float input[SIZE * SIZE * 3];
    assert_ok(deep_session_create(&session, of, NULL));
    assert_ok(deep_session_preprocess(session, images[0], input));
    assert_ok(deep_session_run(session, input, 1, logits, NULL));
    deep_session_free(session);
}

/* |a - b| / |a| */
static double distance(const float *a, const float *b, int64_t count)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count; ++i) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)a[i] * (double)a[i];
    }
    return sqrt(difference / size);
}

START_TEST(a_quantized_model_says_what_it_is)
{
    deep_model *made = quantized(dtypes[_i]);
    deep_model_summary before = {.struct_size = sizeof before}, after = {.struct_size = sizeof after};
    ck_assert_int_eq(dtype_of(model), DEEP_DTYPE_F32);
    ck_assert_int_eq(dtype_of(made), dtypes[_i]);
    ck_assert_int_eq(param_dtype(made, "block1_conv1.kernel"), DEEP_DTYPE_BF16);
    ck_assert_int_eq(param_dtype(made, "block3_sepconv1.pointwise_kernel"), dtypes[_i]);
    ck_assert_int_eq(param_dtype(made, "block3_sepconv1.depthwise_kernel"), DEEP_DTYPE_F32);
    ck_assert_int_eq(param_dtype(made, "predictions.kernel"), DEEP_DTYPE_BF16);
    assert_ok(deep_model_info(model, &before));
    assert_ok(deep_model_info(made, &after));
    ck_assert_int_eq(before.parameters, after.parameters);
    ck_assert_int_eq(before.trainable_parameters, after.trainable_parameters);
    ck_assert_ptr_nonnull(strstr(deep_model_metadata(made), "\"quantization\":{"));
    ck_assert_ptr_null(strstr(deep_model_metadata(model), "kernel_dtypes"));
    deep_model_free(made);
}
END_TEST

/* A network of random weights, whose outputs are 16 layers of rounding away. */
START_TEST(its_answers_are_near_those_of_float32)
{
    static const double within[] = {
        0.02, 0.05}; /* 16 roundings of 2^-9 and of about 2^-7 add up as squares to .008 and .03 */
    float exact[CLASSES], rounded[CLASSES];
    deep_model *made = quantized(dtypes[_i]);
    logits_of(model, exact);
    logits_of(made, rounded);
    ck_assert_double_gt(distance(exact, rounded, CLASSES), 0);
    ck_assert_double_lt(distance(exact, rounded, CLASSES), within[_i]);
    deep_model_free(made);
}
END_TEST

static void assert_same_file(const deep_model *a, const deep_model *b)
{
    void *first, *second;
    size_t first_size, second_size;
    assert_ok(deep_model_save_memory(a, &first, &first_size));
    assert_ok(deep_model_save_memory(b, &second, &second_size));
    ck_assert_uint_eq(first_size, second_size);
    ck_assert_int_eq(memcmp(first, second, first_size), 0);
    deep_free(context, first);
    deep_free(context, second);
}

static void assert_same_answer(const deep_model *a, const deep_model *b)
{
    float first[CLASSES], second[CLASSES];
    logits_of(a, first);
    logits_of(b, second);
    ck_assert_mem_eq(first, second, sizeof first);
}

START_TEST(it_survives_its_file_and_is_copied)
{
    void *data;
    size_t size;
    deep_model *made = quantized(dtypes[_i]), *loaded, *copy;
    assert_ok(deep_model_save_memory(made, &data, &size));
    assert_ok(deep_model_load_memory(&loaded, context, data, size));
    assert_ok(deep_model_clone(&copy, loaded));
    assert_same_file(made, loaded);
    assert_same_answer(made, loaded);
    assert_same_file(made, copy); /* whose weights sessions have packed meanwhile */
    assert_same_answer(made, copy);
    deep_free(context, data);
    deep_model_free(copy);
    deep_model_free(loaded);
    deep_model_free(made);
}
END_TEST

START_TEST(its_kernels_are_read_as_floats)
{
    static const double within[] = {0.004, 0.03}; /* 2^-9 with room; half of 1/127 of the largest */
    const char *name = "block4_sepconv2.pointwise_kernel";
    deep_model *made = quantized(dtypes[_i]);
    const int32_t before = deep_model_param_index(model, name), after = deep_model_param_index(made, name);
    deep_param param = {.struct_size = sizeof param};
    assert_ok(deep_model_param_info(made, after, &param));
    const int64_t count = param.shape[2] * param.shape[3];
    float *exact = malloc((size_t)count * sizeof *exact), *rounded = malloc((size_t)count * sizeof *rounded);
    assert_ok(deep_model_param_read(model, before, exact, count));
    assert_ok(deep_model_param_read(made, after, rounded, count));
    ck_assert_double_gt(distance(exact, rounded, count), 0);
    ck_assert_double_lt(distance(exact, rounded, count), within[_i]);
    free(exact);
    free(rounded);
    deep_model_free(made);
}
END_TEST

START_TEST(it_cannot_be_trained_or_written)
{
    float value[CLASSES] = {0};
    deep_trainer *trainer;
    deep_classes *classes;
    deep_model *made = quantized(dtypes[_i]), *again;
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .epochs = 1, .batch = 2};
    const char *names[] = {"x", "y", "z", "more"};
    deep_memory_estimate estimate = {.struct_size = sizeof estimate};
    assert_status(deep_trainer_create(&trainer, made, &fit), DEEP_ERROR_UNSUPPORTED);
    ck_assert_ptr_null(trainer);
    assert_ok(deep_classes_create(&classes, context, names, NULL, CLASSES));
    assert_ok(deep_model_set_classes(made, classes, 1));
    deep_classes_free(classes);
    assert_ok(deep_classes_create(&classes, context, names, NULL, CLASSES + 1));
    assert_status(deep_model_set_classes(made, classes, 1), DEEP_ERROR_UNSUPPORTED);
    deep_classes_free(classes);
    ck_assert_str_eq(deep_model_class_name(made, 0), "x");
    assert_status(deep_model_fit(made, dataset, NULL, &fit, NULL, NULL, NULL), DEEP_ERROR_UNSUPPORTED);
    assert_status(deep_model_param_write(made, deep_model_param_index(made, "predictions.bias"), value, CLASSES),
                  DEEP_ERROR_UNSUPPORTED);
    assert_status(deep_model_quantize(&again, made, NULL), DEEP_ERROR_UNSUPPORTED);
    assert_status(deep_model_memory_estimate(made, 1, 1, &estimate), DEEP_ERROR_UNSUPPORTED);
    assert_ok(deep_model_memory_estimate(made, 1, 0, &estimate));
    ck_assert_int_gt(estimate.weights, 0);
    deep_model_free(made);
}
END_TEST

START_TEST(the_same_arguments_give_the_same_model)
{
    const int32_t method = _i;
    deep_model *first, *second;
    const deep_quantize_options options = {DEEP_QUANTIZE_OPTIONS_INIT, .dtype = DEEP_DTYPE_I8, .calibration = dataset,
                                           .method = method};
    assert_ok(deep_model_quantize(&first, model, &options));
    assert_ok(deep_model_quantize(&second, model, &options));
    assert_same_file(first, second);
    deep_model_free(first);
    deep_model_free(second);
}
END_TEST

typedef struct told {
    int kernels, i8, steps;
    double error;
    int32_t cancel_at;
} told;

static void hear(void *user, const char *name, int32_t dtype, double error)
{
    told *t = user;
    ck_assert_ptr_nonnull(strstr(name, "kernel"));
    ++t->kernels;
    t->i8 += dtype == DEEP_DTYPE_I8;
    if (error > t->error) t->error = error;
}

static int32_t step(void *user, int64_t at, int64_t steps)
{
    told *t = user;
    ck_assert_int_le(at, steps);
    ck_assert_int_eq(at, ++t->steps);
    return t->cancel_at == t->steps;
}

START_TEST(a_kernel_that_loses_too_much_stays_in_16_bits)
{
    told all = {0}, none = {0};
    deep_model *made;
    deep_quantize_options options = {DEEP_QUANTIZE_OPTIONS_INIT,
                                     .dtype = DEEP_DTYPE_I8,
                                     .calibration = dataset,
                                     .max_error = 10,
                                     .report = hear,
                                     .progress = step,
                                     .user = &all};
    assert_ok(deep_model_quantize(&made, model, &options));
    deep_model_free(made);
    ck_assert_int_eq(all.i8, all.kernels - 2); /* the first convolution, and the dense layer */
    ck_assert_double_gt(all.error, 0.001);
    ck_assert_double_lt(all.error, 0.05);
    ck_assert_int_gt(all.steps, 0);
    options.max_error = 1e-9;
    options.user = &none;
    assert_ok(deep_model_quantize(&made, model, &options));
    ck_assert_int_eq(none.i8, 0);
    ck_assert_int_eq(none.kernels, all.kernels);
    ck_assert_double_eq(none.error, all.error); /* what 8 bits would have cost */
    ck_assert_int_eq(dtype_of(made), DEEP_DTYPE_BF16);
    deep_model_free(made);
}
END_TEST

START_TEST(a_callback_cancels)
{
    told t = {.cancel_at = 2};
    deep_model *made = model;
    const deep_quantize_options options = {DEEP_QUANTIZE_OPTIONS_INIT, .dtype = DEEP_DTYPE_I8, .calibration = dataset,
                                           .progress = step, .user = &t};
    assert_status(deep_model_quantize(&made, model, &options), DEEP_ERROR_CANCELLED);
    ck_assert_ptr_null(made);
    ck_assert_int_eq(t.steps, 2);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    deep_model *made;
    deep_quantize_options bad[7];
    for (int i = 0; i < 7; ++i) {
        deep_quantize_options_init(&bad[i], sizeof bad[i]);
        bad[i].dtype = DEEP_DTYPE_I8;
        bad[i].calibration = dataset;
    }
    bad[0].dtype = DEEP_DTYPE_F32;
    bad[1].method = 3;
    bad[2].percentile = 49;
    bad[3].percentile = NAN;
    bad[4].images = -1;
    bad[5].max_error = -1;
    bad[6].calibration = NULL;
    for (int i = 0; i < 7; ++i) {
        made = model;
        assert_status(deep_model_quantize(&made, model, &bad[i]), DEEP_ERROR_INVALID_ARGUMENT);
        ck_assert_ptr_null(made);
    }
    assert_status(deep_model_quantize(&made, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_model_quantize(NULL, model, NULL), DEEP_ERROR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(backends_agree_about_one_file)
{
    void *data;
    size_t size;
    float here[CLASSES], there[CLASSES];
    deep_model *made = quantized(dtypes[_i]), *loaded;
    assert_ok(deep_model_save_memory(made, &data, &size));
    logits_of(made, here);
    deep_model_free(made);
    teardown();
    setup_on("ref");
    assert_ok(deep_model_load_memory(&loaded, context, data, size));
    logits_of(loaded, there);
    /* the same levels but for inputs on the edge of two, which sums in another order can tip */
    ck_assert_double_lt(distance(there, here, CLASSES), _i == 0 ? 0.01 : 0.02);
    void *again;
    size_t again_size;
    assert_ok(deep_model_save_memory(loaded, &again, &again_size));
    ck_assert_uint_eq(again_size, size);
    ck_assert_mem_eq(again, data, size);
    deep_free(context, again);
    deep_free(context, data);
    deep_model_free(loaded);
}
END_TEST

/* ---- hostile files ---- */

/* A file with its document's first `from` replaced by `to`; or, when `tensor` is given, with that tensor's bytes changed. */
typedef struct damage {
    const char *from, *to;
    const char *tensor;
    int64_t byte;
    uint8_t bytes[4];
    int count;
    deep_status expected;
    const char *says;
} damage;

#define VECTOR "block2_sepconv1.pointwise_quantization"
#define KERNEL "block2_sepconv1.pointwise_kernel"

static const damage damages[] = {
    {"\"kernel_dtypes\":[\"bf16\",\"i8\"", "\"kernel_dtypes\":[\"bf16\",\"i4\"", .expected = DEEP_ERROR_UNSUPPORTED,
     .says = "i4"},
    {"\"kernel_dtypes\":[\"bf16\"", "\"kernel_dtypes\":[7", .expected = DEEP_ERROR_FORMAT, .says = "kernel_dtypes[0]"},
    {"\"kernel_dtypes\":[\"bf16\",", "\"kernel_dtypes\":[", .expected = DEEP_ERROR_FORMAT, .says = "kernels"},
    {"\"kernel_dtypes\":[", "\"kernel_dtypes\":\"i8\",\"old\":[", .expected = DEEP_ERROR_FORMAT,
     .says = "kernel_dtypes is not a list"},
    {"\"kernel_dtypes\":[", "\"kernel_dtypes\":[],\"old\":[", .expected = DEEP_ERROR_FORMAT,
     .says = "kernel_dtypes is not a list"},
    {"\"kernel_dtypes\":[", "\"old\":[", .expected = DEEP_ERROR_FORMAT, .says = "is BF16, not F32"},
    {"\"kernel_dtypes\":[\"bf16\",\"i8\"", "\"kernel_dtypes\":[\"bf16\",\"bf16\"", .expected = DEEP_ERROR_FORMAT,
     .says = "is I8, not BF16"},
    {"\"kernel_dtypes\":[\"bf16\",\"i8\"", "\"kernel_dtypes\":[\"i8\",\"i8\"", .expected = DEEP_ERROR_FORMAT,
     .says = "is BF16, not I8"},
    {.tensor = KERNEL,
     .byte = 5,
     .bytes = {0x80},
     .count = 1,
     .expected = DEEP_ERROR_FORMAT,
     .says = "value 5 is -128"},
    {.tensor = "block1_conv1.kernel",
     .byte = 2,
     .bytes = {0x80, 0x7f},
     .count = 2,
     .expected = DEEP_ERROR_FORMAT,
     .says = "value 1 is inf"},
    {.tensor = VECTOR,
     .byte = 0,
     .bytes = {0, 0, 0, 0},
     .count = 4,
     .expected = DEEP_ERROR_FORMAT,
     .says = "value 0 is 0"},
    {.tensor = VECTOR,
     .byte = 4 * 8,
     .bytes = {0, 0, 0, 0x3f},
     .count = 4,
     .expected = DEEP_ERROR_FORMAT,
     .says = "value 8 is 0.5"}, /* a zero point of the 8 channels */
    {.tensor = VECTOR,
     .byte = 4 * 9,
     .bytes = {0, 0, 0x80, 0x43},
     .count = 4,
     .expected = DEEP_ERROR_FORMAT,
     .says = "value 9 is 256"},
    {.tensor = VECTOR,
     .byte = 4 * 16,
     .bytes = {0, 0, 0xc0, 0x7f},
     .count = 4,
     .expected = DEEP_ERROR_FORMAT,
     .says = "value 16 is nan"},
    {.tensor = VECTOR,
     .byte = 4 * 16,
     .bytes = {0, 0, 0x80, 0xbf},
     .count = 4,
     .expected = DEEP_ERROR_FORMAT,
     .says = "value 16 is -1"},
};

static void append_sums(deep_text *text, const char *document, const deep_safetensors *file)
{
    deep_json *parsed, *sums;
    assert_ok(deep__json_parse(&parsed, document, strlen(document), NO_LIMIT));
    assert_ok(deep__safetensors_checksums(&sums, file->tensors, file->count));
    assert_ok(deep__json_set(parsed, "tensors", sums));
    assert_ok(deep__json_dump(text, parsed));
    deep__json_free(parsed);
}

static void spoil(void **out, size_t *out_size, uint8_t *data, size_t size, const damage *d)
{
    deep_safetensors file;
    assert_ok(deep__safetensors_open_memory(&file, &context->allocator, data, size, NO_LIMIT));
    for (int32_t i = 0; i < file.count; ++i)
        file.tensors[i].data = data + file.tensors[i].offset;
    deep_text document = deep__text(&context->allocator), text = deep__text(&context->allocator);
    const char *before = deep__safetensors_metadata(&file, "deep"), *place = before;
    if (d->from != NULL) {
        place = strstr(before, d->from);
        ck_assert_msg(place != NULL, "%s is not in %.2000s", d->from, before);
        deep__text_append(&document, before, (size_t)(place - before));
        deep__text_append(&document, d->to, strlen(d->to));
        place += strlen(d->from);
    }
    deep__text_append(&document, place, strlen(place));
    if (d->tensor != NULL)
        memcpy(data + deep__safetensors_find(&file, d->tensor)->offset + d->byte, d->bytes, (size_t)d->count);
    append_sums(&text, document.data, &file);
    const deep_safetensors_pair pair = {"deep", text.data};
    const deep_safetensors_content content = {file.tensors, file.count, &pair, 1};
    assert_ok(deep__safetensors_write_memory(&content, &context->allocator, out, out_size));
    deep__text_free(&text);
    deep__text_free(&document);
    deep__safetensors_close(&file);
}

START_TEST(a_spoiled_file_gets_its_code)
{
    const damage *d = &damages[_i];
    void *data, *spoiled;
    size_t size, spoiled_size;
    deep_model *made = quantized(DEEP_DTYPE_I8), *loaded;
    assert_ok(deep_model_save_memory(made, &data, &size));
    spoil(&spoiled, &spoiled_size, data, size, d);
    assert_status(deep_model_load_memory(&loaded, context, spoiled, spoiled_size), d->expected);
    ck_assert_msg(strstr(deep_last_error(), d->says) != NULL, "\"%s\" does not say \"%s\"", deep_last_error(), d->says);
    ck_assert_ptr_null(loaded);
    deep_free(context, spoiled);
    deep_free(context, data);
    deep_model_free(made);
}
END_TEST

/* ---- memory that runs out ---- */

static deep_status quantize_save_load_clone(deep_context *limited, const deep_dataset *calibration)
{
    deep_model *plain = NULL, *made = NULL, *loaded = NULL, *copy = NULL;
    void *data = NULL;
    size_t size;
    const deep_model_options small = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small",
                                      .input_size = SIZE,      .class_count = CLASSES,
                                      .middle_blocks = 1,      .width = 0.05};
    const deep_quantize_options options = {
        DEEP_QUANTIZE_OPTIONS_INIT, .dtype = calibration != NULL ? DEEP_DTYPE_I8 : DEEP_DTYPE_BF16,
        .calibration = calibration, .method = DEEP_CALIBRATE_PERCENTILE, .images = 1};
    deep_status status = deep_model_create(&plain, limited, &small);
    if (status == DEEP_OK) status = deep_model_quantize(&made, plain, &options);
    if (status == DEEP_OK) status = deep_model_save_memory(made, &data, &size);
    if (status == DEEP_OK) status = deep_model_load_memory(&loaded, limited, data, size);
    if (status == DEEP_OK) status = deep_model_clone(&copy, loaded);
    if (status == DEEP_OK && deep_model_metadata(copy) == NULL) status = DEEP_ERROR_OUT_OF_MEMORY;
    deep_free(limited, data);
    deep_model_free(copy);
    deep_model_free(loaded);
    deep_model_free(made);
    deep_model_free(plain);
    return status;
}

/* Every allocation of storing and loading; of calibration, which runs the network each time, every seventh. */
START_TEST(every_failing_allocation_is_an_error_without_a_leak)
{
    const bool calibrates = _i == 1;
    for (long n = 1;; n += calibrates ? 7 : 1) {
        failing_allocator allocator = {0};
        deep_context_options options = failing_options(&allocator);
        options.threads = 1;
        deep_context *limited;
        assert_ok(deep_context_create(&limited, &options));
        deep_dataset *calibration = calibrates ? make_dataset(limited) : NULL;
        allocator.fail_at = allocator.requests + n;
        const deep_status status = quantize_save_load_clone(limited, calibration);
        const bool reached = allocator.requests >= allocator.fail_at;
        if (calibrates) free_dataset(calibration);
        deep_context_free(limited);
        ck_assert_msg(allocator.living == 0, "allocation %ld: %ld blocks leak", n, allocator.living);
        if (!reached) {
            assert_ok(status);
            break;
        }
        ck_assert_msg(status == DEEP_ERROR_OUT_OF_MEMORY, "allocation %ld: %s (%s)", n, deep_status_name(status),
                      deep_last_error());
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("quantize");
    TCase *tests = tcase_create("quantize"), *memory = tcase_create("memory");
    tcase_set_timeout(tests, 120);
    tcase_set_timeout(memory, 300);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_quantized_model_says_what_it_is, 0, 2);
    tcase_add_loop_test(tests, its_answers_are_near_those_of_float32, 0, 2);
    tcase_add_loop_test(tests, it_survives_its_file_and_is_copied, 0, 2);
    tcase_add_loop_test(tests, its_kernels_are_read_as_floats, 0, 2);
    tcase_add_loop_test(tests, it_cannot_be_trained_or_written, 0, 2);
    tcase_add_loop_test(tests, the_same_arguments_give_the_same_model, 0, 3);
    tcase_add_test(tests, a_kernel_that_loses_too_much_stays_in_16_bits);
    tcase_add_test(tests, a_callback_cancels);
    tcase_add_test(tests, bad_options_are_refused);
    tcase_add_loop_test(tests, backends_agree_about_one_file, 0, 2);
    tcase_add_loop_test(tests, a_spoiled_file_gets_its_code, 0, (int)(sizeof damages / sizeof damages[0]));
    tcase_add_loop_test(memory, every_failing_allocation_is_an_error_without_a_leak, 0, 2);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, memory);
    return suite;
}
