/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <deep/deep.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* At 71 pixels every pool pads alike under both rules, at 100 three do not. */
enum { SIZE = 100, BATCH = 3, IMAGES = 2, CLASSES = 5, VALUES = SIZE * SIZE * 3 };

static deep_context *context;
static deep_model *model;
static float input[BATCH * VALUES];

static deep_model *new_model(int32_t padding, double epsilon)
{
    deep_model *fresh;
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT,
                                        .architecture = "xception-small",
                                        .input_size = SIZE,
                                        .class_count = CLASSES,
                                        .head = DEEP_HEAD_SERVICE,
                                        .middle_blocks = 1,
                                        .width = 0.1,
                                        .seed = 2,
                                        .padding = padding,
                                        .batch_norm_epsilon = epsilon};
    assert_ok(deep_model_create(&fresh, context, &options));
    return fresh;
}

static void setup(void)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = 2};
    assert_ok(deep_context_create(&context, &options));
    model = new_model(DEEP_PADDING_SAME, 0);
    for (int i = 0; i < BATCH * VALUES; ++i)
        input[i] = sinf((float)i * 0.37F) * (float)(1 + i % 7) / 7;
}

static void teardown(void)
{
    deep_model_free(model);
    deep_context_free(context);
}

static deep_session *new_session(const deep_model *of, int32_t layers)
{
    deep_session *session;
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = BATCH, .layers = layers};
    assert_ok(deep_session_create(&session, of, &options));
    return session;
}

static int32_t find(const deep_session *session, const char *name, deep_layer *layer)
{
    *layer = (deep_layer){.struct_size = sizeof *layer};
    for (int32_t i = 0; i < deep_session_layer_count(session); ++i) {
        assert_ok(deep_session_layer_info(session, i, layer));
        if (strcmp(layer->name, name) == 0) return i;
    }
    ck_abort_msg("no layer %s", name);
    return -1;
}

/* The outputs of a layer for IMAGES images; the caller frees them. */
static float *read_layer(const deep_session *session, const char *name, int64_t *count)
{
    deep_layer layer;
    const int32_t index = find(session, name, &layer);
    *count = IMAGES;
    for (int32_t axis = 0; axis < layer.rank; ++axis)
        *count *= layer.shape[axis];
    float *values = calloc((size_t)*count, sizeof *values);
    ck_assert_ptr_nonnull(values);
    assert_ok(deep_session_layer_read(session, index, IMAGES, values, *count));
    return values;
}

static void assert_near(const float *a, const float *b, int64_t count)
{
    float most = 0, difference = 0;
    for (int64_t i = 0; i < count; ++i) {
        most = fmaxf(most, fabsf(b[i]));
        difference = fmaxf(difference, fabsf(a[i] - b[i]));
    }
    ck_assert_float_gt(most, 0);
    ck_assert_float_le(difference, 1e-5F * most); /* float sums in another order */
}

START_TEST(steps_account_for_the_whole_network)
{
    deep_session *session, *plain = new_session(model, 0);
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = BATCH, .profile = 1};
    deep_session_step step = {.struct_size = sizeof step};
    deep_model_summary summary = {.struct_size = sizeof summary};
    float with[IMAGES * CLASSES], without[IMAGES * CLASSES];
    assert_ok(deep_model_info(model, &summary));
    assert_ok(deep_session_create(&session, model, &options));
    const int32_t count = deep_session_step_count(session);
    ck_assert_int_gt(count, 10);
    assert_status(deep_session_step_info(session, 0, &step), DEEP_ERROR_STATE);
    for (int repeat = 1; repeat <= 2; ++repeat) { /* a run's figures are its own */
        int64_t adds = 0, bytes = 0;
        double took = 0;
        bool pooled = false, convolved = false;
        assert_ok(deep_session_run(session, input, IMAGES, with, NULL));
        for (int32_t i = 0; i < count; ++i) {
            assert_ok(deep_session_step_info(session, i, &step));
            ck_assert_int_eq(step.passes, 1); /* small images go through together */
            ck_assert_int_eq(step.dtype, DEEP_DTYPE_F32);
            ck_assert(step.milliseconds >= 0);
            ck_assert_int_gt(step.bytes, 0);
            adds += step.multiply_adds;
            bytes += step.bytes;
            took += step.milliseconds;
            pooled |= strcmp(step.layer, "block2_add") == 0 &&
                      /* made as it pools */ strcmp(step.op, "max_pool") == 0 &&
                      strcmp(step.shape, "47 x 47 x 16 -> 24 x 24 x 16") == 0;
            convolved |= strcmp(step.layer, "block5_sepconv1") == 0 && /* as one step, or as two */
                         (strcmp(step.op, "separable_conv2d") == 0 || strcmp(step.op, "depthwise_conv2d") == 0);
        }
        ck_assert_int_eq(adds, BATCH * summary.multiply_adds); /* the third, unused image is computed, too */
        ck_assert_int_gt(bytes, 4 * summary.parameters);
        ck_assert(took > 0);
        ck_assert_msg(pooled && convolved, "a pool %d, a separable convolution %d", pooled, convolved);
    }
    assert_ok(deep_session_run(plain, input, IMAGES, without, NULL));
    ck_assert_mem_eq(with, without, sizeof with);
    assert_status(deep_session_step_info(session, count, &step), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_session_step_info(session, -1, &step), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_session_step_info(NULL, 0, &step), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(deep_session_step_count(plain), 0);
    ck_assert_int_eq(deep_session_step_count(NULL), 0);
    deep_session_free(plain);
    deep_session_free(session);
}
END_TEST

START_TEST(layers_carry_keras_names_and_shapes)
{
    deep_session *session = new_session(model, 1);
    deep_layer layer;
    /* convolution, batch norm and ReLU: 2 + 9 + 9 units, 4 shortcuts of 2, 4 pools, 5 adds, the head */
    ck_assert_int_eq(deep_session_layer_count(session), 2 * 3 + 13 * 3 - 1 + 4 * 2 + 4 + 5 + 5);
    ck_assert_int_eq(find(session, "block1_conv1", &layer), 0);
    ck_assert_int_eq(layer.rank, 3);
    ck_assert_int_eq(layer.shape[0], 49);
    ck_assert_int_eq(layer.shape[2], 8);
    ck_assert_int_eq(find(session, "predictions_softmax", &layer), deep_session_layer_count(session) - 1);
    ck_assert_int_eq(layer.rank, 1);
    ck_assert_int_eq(layer.shape[0], CLASSES);
    assert_status(deep_session_layer_info(session, -1, &layer), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_session_layer_info(session, 1000, &layer), DEEP_ERROR_INVALID_ARGUMENT);
    deep_session_free(session);
}
END_TEST

START_TEST(layers_are_what_the_network_computed)
{
    deep_session *session = new_session(model, 1);
    float logits[IMAGES * CLASSES], probabilities[IMAGES * CLASSES];
    int64_t count, same;
    assert_ok(deep_session_run(session, input, IMAGES, logits, probabilities));
    float *layer = read_layer(session, "predictions", &count);
    ck_assert_mem_eq(layer, logits, sizeof logits);
    free(layer);
    layer = read_layer(session, "predictions_softmax", &count);
    ck_assert_mem_eq(layer, probabilities, sizeof probabilities);
    free(layer);

    /* nothing was overwritten by what came later */
    float *before = read_layer(session, "block2_sepconv1_bn", &count);
    float *after = read_layer(session, "block2_sepconv2_act", &same);
    ck_assert_int_eq(count, same);
    for (int64_t i = 0; i < count; ++i)
        ck_assert_float_eq(after[i], before[i] > 0 ? before[i] : 0);
    free(before);
    free(after);
    deep_session_free(session);
}
END_TEST

START_TEST(fusion_does_not_change_the_logits)
{
    deep_session *whole = new_session(model, 1), *fused = new_session(model, 0);
    float a[IMAGES * CLASSES], b[IMAGES * CLASSES];
    assert_ok(deep_session_run(whole, input, IMAGES, a, NULL));
    assert_ok(deep_session_run(fused, input, IMAGES, b, NULL));
    assert_near(b, a, IMAGES * CLASSES);
    deep_session_free(whole);
    deep_session_free(fused);
}
END_TEST

START_TEST(layers_are_read_only_as_asked)
{
    deep_session *session = new_session(model, 1), *plain = new_session(model, 0);
    deep_layer layer;
    float values[BATCH * CLASSES];
    ck_assert_int_eq(deep_session_layer_count(plain), 0);
    ck_assert_int_eq(deep_session_layer_count(NULL), 0);
    assert_status(deep_session_layer_read(plain, 0, 1, values, 1), DEEP_ERROR_INVALID_ARGUMENT);
    const int32_t last = find(session, "predictions", &layer);
    assert_status(deep_session_layer_read(session, last, 1, values, CLASSES), DEEP_ERROR_STATE);
    assert_ok(deep_session_run(session, input, IMAGES, NULL, NULL));
    assert_status(deep_session_layer_read(session, last, BATCH, values, BATCH * CLASSES), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_session_layer_read(session, last, 1, values, CLASSES + 1), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "predictions"));
    assert_status(deep_session_layer_read(session, last, 1, NULL, CLASSES), DEEP_ERROR_INVALID_ARGUMENT);
    assert_ok(deep_session_layer_read(session, last, 1, values, CLASSES));
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .layers = 2};
    deep_session *refused;
    assert_status(deep_session_create(&refused, model, &options), DEEP_ERROR_INVALID_ARGUMENT);
    const deep_session_options measured = {DEEP_SESSION_OPTIONS_INIT, .profile = 2};
    assert_status(deep_session_create(&refused, model, &measured), DEEP_ERROR_INVALID_ARGUMENT);
    deep_session_free(session);
    deep_session_free(plain);
}
END_TEST

static void run(const deep_model *of, float logits[CLASSES])
{
    deep_session *session = new_session(of, 0);
    assert_ok(deep_session_run(session, input, 1, logits, NULL));
    deep_session_free(session);
}

START_TEST(epsilon_and_padding_change_the_network_and_survive_the_file)
{
    static const struct {
        int32_t padding;
        double epsilon;
    } variants[] = {{DEEP_PADDING_SYMMETRIC, 0}, {DEEP_PADDING_SAME, 1e-5}, {DEEP_PADDING_SYMMETRIC, 1e-5}};
    deep_model *variant = new_model(variants[_i].padding, variants[_i].epsilon), *loaded;
    float same[CLASSES], other[CLASSES], again[CLASSES];
    deep_model_summary summary = {.struct_size = sizeof summary};
    void *file;
    size_t size;
    run(model, same);
    run(variant, other);
    ck_assert_mem_ne(same, other, sizeof same);
    assert_ok(deep_model_save_memory(variant, &file, &size));
    assert_ok(deep_model_load_memory(&loaded, context, file, size));
    deep_free(context, file);
    run(loaded, again);
    ck_assert_mem_eq(other, again, sizeof other);
    assert_ok(deep_model_info(loaded, &summary));
    ck_assert_int_eq(summary.padding, variants[_i].padding);
    ck_assert_double_eq(summary.batch_norm_epsilon, variants[_i].epsilon == 0 ? 1e-3 : variants[_i].epsilon);
    deep_model_free(loaded);
    deep_model_free(variant);
}
END_TEST

/* Runs of a few images each, the last one not full. */
START_TEST(a_large_batch_gives_what_single_images_give)
{
    enum { LARGE = 20, GIVEN = 13 };
    static float many[LARGE * VALUES];
    float together[GIVEN * CLASSES], single[CLASSES];
    for (int i = 0; i < GIVEN; ++i)
        for (int v = 0; v < VALUES; ++v)
            many[i * VALUES + v] = input[(v + 31 * i) % VALUES];
    deep_session *large, *one = new_session(model, 0);
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = LARGE};
    assert_ok(deep_session_create(&large, model, &options));
    assert_ok(deep_session_run(large, many, GIVEN, together, NULL));
    for (int i = 0; i < GIVEN; ++i) {
        assert_ok(deep_session_run(one, many + i * VALUES, 1, single, NULL));
        assert_near(together + i * CLASSES, single, CLASSES);
    }
    deep_session_free(large);
    deep_session_free(one);
}
END_TEST

/* Sessions keep the 1x1 kernels in a layout of their own; nobody else sees that. */
START_TEST(parameters_read_the_same_while_sessions_live)
{
    const int32_t count = deep_model_param_count(model);
    deep_model *copy;
    void *before, *during, *cloned;
    size_t size, same;
    assert_ok(deep_model_save_memory(model, &before, &size));
    deep_session *session = new_session(model, 0);
    assert_ok(deep_model_save_memory(model, &during, &same));
    ck_assert_uint_eq(size, same);
    ck_assert_mem_eq(before, during, size);
    assert_ok(deep_model_clone(&copy, model));
    assert_ok(deep_model_save_memory(copy, &cloned, &same));
    ck_assert_mem_eq(before, cloned, size);
    for (int32_t i = 0; i < count; ++i) {
        deep_param param = {.struct_size = sizeof param};
        assert_ok(deep_model_param_info(model, i, &param));
        int64_t elements = 1;
        for (int32_t axis = 0; axis < param.rank; ++axis)
            elements *= param.shape[axis];
        float *a = malloc((size_t)elements * sizeof *a), *b = malloc((size_t)elements * sizeof *b);
        assert_ok(deep_model_param_read(model, i, a, elements));
        assert_ok(deep_model_param_read(copy, i, b, elements));
        ck_assert_mem_eq(a, b, (size_t)elements * sizeof *a);
        free(a);
        free(b);
    }
    deep_session_free(session);
    assert_ok(deep_model_set_trainable(model, "", 1)); /* has the model alone: plain again */
    deep_free(context, during);
    assert_ok(deep_model_save_memory(model, &during, &same));
    ck_assert_mem_eq(before, during, size);
    deep_free(context, before);
    deep_free(context, during);
    deep_free(context, cloned);
    deep_model_free(copy);
}
END_TEST

static atomic_bool saved;

/* Packs and unpacks as often as it can. */
static void *come_and_go(void *user)
{
    (void)user;
    while (!saved) {
        deep_session_free(new_session(model, 0));
        const deep_status status = deep_model_set_trainable(model, "", 1); /* refused while the other thread saves */
        if (status != DEEP_OK) ck_assert_int_eq(status, DEEP_ERROR_STATE);
    }
    return NULL;
}

START_TEST(a_file_is_whole_while_sessions_come_and_go)
{
    void *before, *during;
    size_t size, same;
    pthread_t other;
    assert_ok(deep_model_save_memory(model, &before, &size));
    ck_assert_int_eq(pthread_create(&other, NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 300; ++i) {
        const deep_status status = deep_model_save_memory(model, &during, &same);
        if (status == DEEP_ERROR_STATE) continue; /* the other thread has the model alone */
        assert_ok(status);
        ck_assert_uint_eq(size, same);
        ck_assert_mem_eq(before, during, size);
        deep_free(context, during);
    }
    saved = 1;
    pthread_join(other, NULL);
    deep_free(context, before);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, steps_account_for_the_whole_network);
    tcase_add_test(tests, layers_carry_keras_names_and_shapes);
    tcase_add_test(tests, layers_are_what_the_network_computed);
    tcase_add_test(tests, fusion_does_not_change_the_logits);
    tcase_add_test(tests, layers_are_read_only_as_asked);
    tcase_add_test(tests, a_large_batch_gives_what_single_images_give);
    tcase_add_test(tests, parameters_read_the_same_while_sessions_live);
    tcase_add_test(tests, a_file_is_whole_while_sessions_come_and_go);
    tcase_add_loop_test(tests, epsilon_and_padding_change_the_network_and_survive_the_file, 0, 3);
    suite_add_tcase(suite, tests);
    return suite;
}
