/* SPDX-License-Identifier: Apache-2.0 */
#include "small_network.h"

#include "test.h"

#include <deep/quantize.h>
#include <math.h>
#include <stdio.h>

float input[BATCH * VALUES];
const int32_t labels[BATCH] = {0, 3, 1};

void make_input(void)
{
    for (int i = 0; i < BATCH * VALUES; ++i)
        input[i] = sinf((float)i * 0.37F) * (float)(1 + i % 7) / 7;
}

deep_context *open_context(const char *device)
{
    deep_context *context;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = 1, .device = device};
    assert_ok(deep_context_create(&context, &options));
    ck_assert_str_eq(deep_context_device(context), device);
    return context;
}

deep_model *new_model(deep_context *context)
{
    deep_model *model;
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT,
                                        .architecture = "xception-small",
                                        .input_size = SIZE,
                                        .class_count = CLASSES,
                                        .head = DEEP_HEAD_SERVICE,
                                        .dropout = 0.3,
                                        .middle_blocks = 1,
                                        .width = 0.1,
                                        .seed = 5};
    assert_ok(deep_model_create(&model, context, &options));
    return model;
}

deep_model *new_model_of(deep_context *context, int32_t dtype)
{
    deep_model *model = new_model(context), *made;
    const deep_quantize_options options = {DEEP_QUANTIZE_OPTIONS_INIT, .dtype = dtype};
    assert_ok(deep_model_quantize(&made, model, &options));
    deep_model_free(model);
    return made;
}

void predict(const deep_model *model, float *probabilities)
{
    deep_session *session;
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = BATCH};
    assert_ok(deep_session_create(&session, model, &options));
    assert_ok(deep_session_run(session, input, BATCH, NULL, probabilities));
    deep_session_free(session);
}

void assert_alike(const float *a, const float *b, int64_t count, double most, const char *what)
{
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < count; ++i) {
        if (fabs((double)b[i]) > largest) largest = fabs((double)b[i]);
        if (!(fabs((double)a[i] - (double)b[i]) <= worst)) worst = fabs((double)a[i] - (double)b[i]);
    }
    ck_assert_msg(worst <= most * largest, "%s: differ by %.3g of %.3g", what, worst, largest);
}

trained open_trainer(const char *device, const deep_fit_options *options)
{
    trained t = {.context = open_context(device)};
    t.model = new_model(t.context);
    assert_ok(deep_trainer_create(&t.trainer, t.model, options));
    return t;
}

void take_steps(trained *t, int first, int end)
{
    for (int i = first; i < end; ++i) {
        deep_step step = {.struct_size = sizeof step};
        assert_ok(deep_trainer_step(t->trainer, input, labels, BATCH - i % 2, &step)); /* two sizes of batches */
        t->loss[i] = step.loss;
    }
}

void close_trainer(trained *t)
{
    deep_trainer_free(t->trainer);
    deep_model_free(t->model);
    deep_context_free(t->context);
}

void assert_same_weights(const deep_model *a, const deep_model *b, double most)
{
    static float here[1 << 20], there[1 << 20];
    for (int32_t i = 0; i < deep_model_param_count(a); ++i) {
        deep_param param = {.struct_size = sizeof param};
        int64_t count = 1;
        assert_ok(deep_model_param_info(a, i, &param));
        for (int32_t axis = 0; axis < param.rank; ++axis)
            count *= param.shape[axis];
        ck_assert_int_le(count, 1 << 20);
        assert_ok(deep_model_param_read(a, i, here, count));
        assert_ok(deep_model_param_read(b, i, there, count));
        assert_alike(here, there, count, most, param.name);
    }
}

bool fits(deep_model *model, int32_t batch)
{
    deep_trainer *trainer;
    const deep_fit_options options = {DEEP_FIT_OPTIONS_INIT, .batch = batch};
    const deep_status status = deep_trainer_create(&trainer, model, &options);
    deep_trainer_free(trainer);
    ck_assert_msg(status == DEEP_OK || status == DEEP_ERROR_OUT_OF_MEMORY, "%s", deep_last_error());
    return status == DEEP_OK;
}

int32_t offered_batch(int32_t batch)
{
    int32_t told = 0, offered = 0;
    size_t wanted = 0, left = 0;
    ck_assert_msg(sscanf(deep_last_error(),
                         "out of GPU memory: a batch of %d wants %zu bytes, %zu are free: one of %d would fit", &told,
                         &wanted, &left, &offered) == 4,
                  "%s", deep_last_error());
    ck_assert_int_eq(told, batch);
    ck_assert_uint_gt(wanted, left);
    return offered;
}
