/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library on a device whose memory the host cannot touch (shim_accelerator.c): models, sessions and trainers give what
 * they give on `ref`.
 */
#define _XOPEN_SOURCE 700 /* setenv, nftw */
#include "backend/registry.h"
#include "scratch.h"
#include "small_network.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 3 };

static void setup(void)
{
    make_input();
    unsetenv("FAKE_GPUS");
    unsetenv("FAKE_GPU_BYTES");
    unsetenv("FAKE_GPU_LACKS");
}

/* ---- inference ---- */

START_TEST(a_session_predicts_what_the_reference_does)
{
    float here[BATCH * CLASSES], there[BATCH * CLASSES];
    deep_context *device = open_context("cuda"), *host = open_context("ref");
    deep_model *on_device = new_model(device), *on_host = new_model(host);
    predict(on_device, there);
    predict(on_host, here);
    assert_alike(there, here, BATCH * CLASSES, 1e-5, "probabilities");
    predict(on_device, there); /* with weights that are there already */
    assert_alike(there, here, BATCH * CLASSES, 1e-5, "probabilities of the second session");
    deep_model_free(on_host);
    deep_model_free(on_device);
    deep_context_free(host);
    deep_context_free(device);
}
END_TEST

static const int32_t halves[] = {DEEP_DTYPE_BF16, DEEP_DTYPE_F16};
enum { HALVES = sizeof halves / sizeof halves[0] };

/*
 * Kernels and what stands between some 40 layers are rounded, each time by up to 2^-9 (0.11 % in the mean square): by the
 * root of 80 times that, 1 %, logits differ, and of the largest probability twice that is enough.
 */
START_TEST(a_session_in_halves_is_near_the_reference)
{
    float here[BATCH * CLASSES], there[BATCH * CLASSES];
    deep_context *device = open_context("cuda"), *host = open_context("ref");
    deep_model *on_device = new_model_of(device, halves[_i]), *on_host = new_model(host);
    predict(on_device, there);
    predict(on_host, here);
    assert_alike(there, here, BATCH * CLASSES, 0.02, "probabilities");
    ck_assert_mem_ne(there, here, sizeof here);
    deep_model_free(on_host);
    deep_model_free(on_device);
    deep_context_free(host);
    deep_context_free(device);
}
END_TEST

static int told_fused, told_all;

static void listen(void *user, int32_t level, const char *text)
{
    (void)user;
    (void)level;
    sscanf(text, "cuda: %d of %d separable convolutions are one kernel", &told_fused, &told_all);
}

/* Bounds as above. How many there are is the device's matter; all that there are were asked. */
START_TEST(a_session_with_fused_convolutions_is_near_the_reference)
{
    float here[BATCH * CLASSES], there[BATCH * CLASSES];
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT,  .threads = 1,
                                          .device = "cuda",           .log = listen,
                                          .log_level = DEEP_LOG_INFO, .fused_separable = 2};
    deep_context *device, *host = open_context("ref");
    assert_ok(deep_context_create(&device, &options));
    deep_model *on_device = new_model_of(device, halves[_i]), *on_host = new_model(host);
    told_fused = told_all = -1;
    predict(on_device, there);
    predict(on_host, here);
    assert_alike(there, here, BATCH * CLASSES, 0.02, "probabilities");
    ck_assert_int_gt(told_all, 0);
    ck_assert(told_fused >= 0 && told_fused <= told_all);
    deep_model_free(on_host);
    deep_model_free(on_device);
    deep_context_free(host);
    deep_context_free(device);
}
END_TEST

/* From the device's file to the reference, whose sums are those of halves too; what stands between layers is not. */
START_TEST(a_model_in_halves_is_saved_and_loaded)
{
    scratch folder;
    scratch_make(&folder);
    char path[8192];
    snprintf(path, sizeof path, "%.4000s/model", folder.root);
    float first[BATCH * CLASSES], again[BATCH * CLASSES], host[BATCH * CLASSES];
    deep_context *context = open_context("cuda"), *reference = open_context("ref");
    deep_model *made = new_model_of(context, halves[_i]), *loaded, *there;
    deep_model_summary summary = {.struct_size = sizeof summary};
    assert_ok(deep_model_save(made, path));
    assert_ok(deep_model_load(&loaded, context, path));
    assert_ok(deep_model_load(&there, reference, path));
    assert_ok(deep_model_info(loaded, &summary));
    ck_assert_int_eq(summary.dtype, halves[_i]);
    predict(made, first);
    predict(loaded, again);
    predict(there, host);
    ck_assert_mem_eq(again, first, sizeof first);
    assert_alike(host, first, BATCH * CLASSES, 0.02, "probabilities");
    deep_model_free(there);
    deep_model_free(loaded);
    deep_model_free(made);
    deep_context_free(reference);
    deep_context_free(context);
    scratch_remove(&folder);
}
END_TEST

START_TEST(a_parameter_that_is_written_counts)
{
    float before[BATCH * CLASSES], after[BATCH * CLASSES], bias[CLASSES] = {3, 0, 0, 0}, read[CLASSES];
    deep_context *device = open_context("cuda");
    deep_model *model = new_model(device);
    const int32_t index = deep_model_param_count(model) - 1; /* the last layer's bias */
    predict(model, before);
    assert_ok(deep_model_param_write(model, index, bias, CLASSES));
    predict(model, after);
    assert_ok(deep_model_param_read(model, index, read, CLASSES));
    ck_assert_mem_eq(read, bias, sizeof bias);
    ck_assert_float_gt(after[0], before[0] * 1.5F);
    deep_model_free(model);
    deep_context_free(device);
}
END_TEST

START_TEST(layers_are_read_from_the_device)
{
    static float here[BATCH * 128 * 128], there[BATCH * 128 * 128];
    const char *const devices[] = {"ref", "cuda"};
    int64_t count = 0;
    for (int d = 0; d < 2; ++d) {
        deep_context *context = open_context(devices[d]);
        deep_model *model = new_model(context);
        deep_session *session;
        deep_layer layer = {.struct_size = sizeof layer};
        const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = BATCH, .layers = 1, .profile = 1};
        assert_ok(deep_session_create(&session, model, &options));
        assert_ok(deep_session_run(session, input, BATCH, NULL, NULL));
        assert_ok(deep_session_layer_info(session, 3, &layer));
        count = BATCH;
        for (int32_t axis = 0; axis < layer.rank; ++axis)
            count *= layer.shape[axis];
        ck_assert_int_le(count, BATCH * 128 * 128);
        assert_ok(deep_session_layer_read(session, 3, BATCH, d == 0 ? here : there, count));
        deep_session_free(session);
        deep_model_free(model);
        deep_context_free(context);
    }
    assert_alike(there, here, count, 1e-5, "a layer");
}
END_TEST

/* The stand-in's queue is its own whatever it is given; what counts is that one is taken, and refused where there are none. */
START_TEST(a_session_takes_the_hosts_stream)
{
    static char stream;
    float own[BATCH * CLASSES], hosts[BATCH * CLASSES];
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = BATCH, .stream = &stream};
    deep_context *device = open_context("cuda"), *host = open_context("ref");
    deep_model *on_device = new_model(device), *on_host = new_model(host);
    deep_session *session;
    predict(on_device, own);
    assert_ok(deep_session_create(&session, on_device, &options));
    assert_ok(deep_session_run(session, input, BATCH, NULL, hosts));
    ck_assert_mem_eq(hosts, own, sizeof own);
    deep_session_free(session);
    assert_status(deep_session_create(&session, on_host, &options), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(deep_last_error(), "a stream is given, but device \"ref\" has none");
    deep_model_free(on_host);
    deep_model_free(on_device);
    deep_context_free(host);
    deep_context_free(device);
}
END_TEST

/* ---- training ---- */

static const deep_fit_options adam = {DEEP_FIT_OPTIONS_INIT, .batch = BATCH, .seed = 2, .l2 = 1e-4, .clip_norm = 1};

START_TEST(training_steps_are_the_references)
{
    trained device = open_trainer("cuda", &adam), host = open_trainer("ref", &adam);
    take_steps(&device, 0, STEPS);
    take_steps(&host, 0, STEPS);
    for (int i = 0; i < STEPS; ++i)
        ck_assert_msg(fabs(device.loss[i] - host.loss[i]) <= 1e-4 * host.loss[i], "step %d: loss %.9g, not %.9g", i + 1,
                      device.loss[i], host.loss[i]);
    deep_trainer_free(device.trainer);
    deep_trainer_free(host.trainer);
    device.trainer = host.trainer = NULL;
    float there[BATCH * CLASSES], here[BATCH * CLASSES];
    predict(device.model, there);
    predict(host.model, here);
    assert_alike(there, here, BATCH * CLASSES, 1e-2, "probabilities after training");
    close_trainer(&host);
    close_trainer(&device);
}
END_TEST

/* Likewise a training. */
START_TEST(a_trainer_takes_the_hosts_stream)
{
    static char stream;
    deep_fit_options options = adam;
    trained own = open_trainer("cuda", &options);
    options.stream = &stream;
    trained hosts = open_trainer("cuda", &options);
    take_steps(&own, 0, STEPS);
    take_steps(&hosts, 0, STEPS);
    ck_assert_mem_eq(hosts.loss, own.loss, sizeof own.loss);
    close_trainer(&hosts);
    close_trainer(&own);
    deep_context *context = open_context("ref");
    deep_model *model = new_model(context);
    deep_trainer *trainer;
    assert_status(deep_trainer_create(&trainer, model, &options), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(deep_last_error(), "a stream is given, but device \"ref\" has none");
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

/* ---- half precision ---- */

/* Every gradient of a batch, one behind the other. */
static double *all_gradients(trained *t, int64_t *total)
{
    double *all = NULL;
    *total = 0;
    for (int32_t i = 0; i < deep_model_param_count(t->model); ++i) {
        float *values;
        int64_t count;
        assert_ok(deep_trainer_gradient(t->trainer, i, &values, &count));
        if (values == NULL) continue;
        all = realloc(all, (size_t)(*total + count) * sizeof *all);
        ck_assert_ptr_nonnull(all);
        for (int64_t k = 0; k < count; ++k)
            all[(*total)++] = (double)values[k];
    }
    return all;
}

static const deep_fit_options half = {DEEP_FIT_OPTIONS_INIT, .batch = BATCH,         .seed = 2, .l2 = 1e-4,
                                      .clip_norm = 1,        .dtype = DEEP_DTYPE_F16};

/* So heavy that slopes do not fit fp16 when they are multiplied by the first factor. */
static void weigh(trained *t, float weight)
{
    const float weights[CLASSES] = {weight, weight, weight, weight};
    assert_ok(deep_trainer_set_class_weights(t->trainer, weights, CLASSES));
}

static const char *const half_devices[] = {"cuda", "ref"};

/*
 * Weights that are a power of two change nothing in halves but the exponent. The factor ends within two halvings of what makes
 * up for them, so next to no slope is lost below 2^-25: of the gradient, less than a thousandth.
 */
START_TEST(a_gradient_that_overflows_in_half_precision_is_computed_again)
{
    const float heavy = 16384;
    deep_fit_options options = half;
    options.l2 = 0;
    deep_step plain = {.struct_size = sizeof plain}, step = plain;
    trained light = open_trainer(half_devices[_i], &options), weighed = open_trainer(half_devices[_i], &options);
    weigh(&weighed, heavy);
    assert_ok(deep_trainer_gradients(light.trainer, input, labels, BATCH, &plain));
    assert_ok(deep_trainer_gradients(weighed.trainer, input, labels, BATCH, &step));
    ck_assert_msg(step.loss_scale >= 1 && step.loss_scale < plain.loss_scale && plain.loss_scale <= 65536,
                  "factors %g and %g", step.loss_scale, plain.loss_scale);
    ck_assert_double_eq_tol(step.loss, heavy * plain.loss, 1e-6 * step.loss);
    int64_t count, same;
    double *here = all_gradients(&weighed, &count), *there = all_gradients(&light, &same), off = 0, size = 0;
    ck_assert_int_eq(count, same);
    for (int64_t i = 0; i < count; ++i) {
        const double wanted = heavy * there[i];
        off += (here[i] - wanted) * (here[i] - wanted);
        size += wanted * wanted;
    }
    ck_assert_msg(sqrt(off / size) <= 1e-3, "the gradient is off by %.3g", sqrt(off / size));
    ck_assert_double_eq_tol(step.gradient_norm, sqrt(size), 1e-3 * sqrt(size));
    assert_ok(deep_trainer_apply(weighed.trainer));
    free(here);
    free(there);
    close_trainer(&weighed);
    close_trainer(&light);
}
END_TEST

START_TEST(a_gradient_that_fits_no_factor_diverges)
{
    trained t = open_trainer(half_devices[_i], &half);
    weigh(&t, 1e12F);
    assert_status(deep_trainer_gradients(t.trainer, input, labels, BATCH, NULL), DEEP_ERROR_DIVERGED);
    ck_assert_str_eq(deep_last_error(), "step 1: the gradient is not finite");
    close_trainer(&t);
}
END_TEST

START_TEST(a_checkpoint_keeps_the_factor)
{
    scratch folder;
    scratch_make(&folder);
    char path[8192];
    snprintf(path, sizeof path, "%.4000s/checkpoint", folder.root);
    deep_step before = {.struct_size = sizeof before}, after = before;
    trained first = open_trainer("cuda", &half), second = open_trainer("cuda", &half);
    weigh(&first, 1e4F);
    assert_ok(deep_trainer_step(first.trainer, input, labels, BATCH, NULL));
    weigh(&first, 1);
    assert_ok(deep_trainer_save(first.trainer, path));
    assert_ok(deep_trainer_load(second.trainer, path));
    assert_ok(deep_trainer_step(first.trainer, input, labels, BATCH, &before));
    assert_ok(deep_trainer_step(second.trainer, input, labels, BATCH, &after));
    ck_assert_double_lt(before.loss_scale, 65536);
    ck_assert_mem_eq(&after, &before, sizeof before);
    close_trainer(&second);
    close_trainer(&first);
    scratch_remove(&folder);
}
END_TEST

START_TEST(the_processor_refuses_half_precision)
{
    deep_context *context = open_context("cpu");
    deep_model *model = new_model(context), *quantized;
    deep_trainer *trainer;
    const deep_quantize_options kernels = {DEEP_QUANTIZE_OPTIONS_INIT, .dtype = DEEP_DTYPE_F16};
    assert_status(deep_model_quantize(&quantized, model, &kernels), DEEP_ERROR_UNSUPPORTED);
    ck_assert_str_eq(deep_last_error(), "device \"cpu\" has no fp16 kernels; \"cuda\" and \"ref\" do");
    assert_status(deep_trainer_create(&trainer, model, &half), DEEP_ERROR_UNSUPPORTED);
    ck_assert_str_eq(deep_last_error(), "the cpu backend computes nothing in fp16; bf16 takes as little memory");
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

START_TEST(gradients_can_be_read_and_changed)
{
    trained t = open_trainer("cuda", &adam);
    float *values;
    int64_t count;
    assert_ok(deep_trainer_gradients(t.trainer, input, labels, BATCH, NULL));
    const int32_t last = deep_model_param_count(t.model) - 1;
    for (int32_t i = 0; i <= last; ++i) {
        double size = 0;
        assert_ok(deep_trainer_gradient(t.trainer, i, &values, &count));
        for (int64_t k = 0; k < count && values != NULL; ++k) {
            size += fabs((double)values[k]);
            if (i != last) values[k] = 0;
        }
        if (i == last) ck_assert_double_gt(size, 0);
    }
    float before[CLASSES], after[CLASSES];
    assert_ok(
        deep_trainer_apply(t.trainer)); /* changes the last bias alone, but for what L2 and Adam's zeros do not do */
    deep_trainer_free(t.trainer);
    t.trainer = NULL;
    deep_model *fresh = new_model(t.context);
    assert_ok(deep_model_param_read(fresh, last, before, CLASSES));
    assert_ok(deep_model_param_read(t.model, last, after, CLASSES));
    ck_assert_mem_ne(before, after, sizeof before);
    float old[8192], new[8192];
    deep_param param = {.struct_size = sizeof param};
    assert_ok(deep_model_param_info(fresh, 0, &param));
    const int64_t first = param.shape[0] * param.shape[1] * param.shape[2] * param.shape[3];
    ck_assert_int_le(first, 8192);
    assert_ok(deep_model_param_read(fresh, 0, old, first));
    assert_ok(deep_model_param_read(t.model, 0, new, first));
    ck_assert_mem_eq(old, new, (size_t)first * sizeof *old);
    deep_model_free(fresh);
    close_trainer(&t);
}
END_TEST

START_TEST(a_checkpoint_brings_back_what_was_on_the_device)
{
    scratch folder;
    scratch_make(&folder);
    char path[8192];
    snprintf(path, sizeof path, "%.4000s/checkpoint", folder.root);
    trained whole = open_trainer("cuda", &adam), first = open_trainer("cuda", &adam),
            second = open_trainer("cuda", &adam);
    take_steps(&whole, 0, STEPS);
    take_steps(&first, 0, 1);
    assert_ok(deep_trainer_save(first.trainer, path));
    take_steps(&second, 0, 1); /* weights and slots that must go */
    assert_ok(deep_trainer_load(second.trainer, path));
    take_steps(&second, 1, STEPS);
    for (int i = 1; i < STEPS; ++i)
        ck_assert_double_eq(second.loss[i], whole.loss[i]);
    deep_trainer_free(second.trainer);
    deep_trainer_free(whole.trainer);
    second.trainer = whole.trainer = NULL;
    assert_same_weights(second.model, whole.model, 0);
    close_trainer(&second);
    close_trainer(&first);
    close_trainer(&whole);
    scratch_remove(&folder);
}
END_TEST

/* ---- what does not work ---- */

START_TEST(too_little_memory_says_which_batch_would_fit)
{
    setenv("FAKE_GPU_BYTES", "20000000", 1);
    deep_context *context = open_context("cuda");
    deep_model *model = new_model(context);
    ck_assert(!fits(model, 500));
    const int32_t offered = offered_batch(500);
    ck_assert_int_gt(offered, 1);
    ck_assert(fits(model, offered));
    ck_assert(!fits(model, 2 * offered));
    deep_model_free(model);
    deep_context_free(context);
    setenv("FAKE_GPU_BYTES", "3000000", 1);
    context = open_context("cuda");
    model = new_model(context);
    ck_assert(!fits(model, 1));
    ck_assert_msg(strstr(deep_last_error(), "a batch of 1 wants ") != NULL &&
                      strstr(deep_last_error(), " are free: not even one of 1 would fit") != NULL,
                  "%s", deep_last_error());
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

START_TEST(the_largest_batch_fits_and_twice_as_many_do_not)
{
    int32_t batch = 0;
    setenv("FAKE_GPU_BYTES", "20000000", 1);
    deep_context *context = open_context("cuda"), *host = open_context("ref");
    deep_model *model = new_model(context), *on_host = new_model(host);
    assert_ok(deep_model_largest_batch(model, &adam, &batch));
    ck_assert_int_gt(batch, 1);
    ck_assert(fits(model, batch));
    ck_assert(!fits(model, 2 * batch));
    assert_ok(deep_model_largest_batch(model, NULL, &batch));
    deep_session *session;
    deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = batch};
    assert_ok(deep_session_create(&session, model, &options));
    deep_session_free(session);
    options.batch = 2 * batch;
    assert_status(deep_session_create(&session, model, &options), DEEP_ERROR_OUT_OF_MEMORY);
    assert_ok(deep_model_largest_batch(on_host, &adam, &batch));
    ck_assert_int_eq(batch, 16);
    assert_ok(deep_model_largest_batch(on_host, NULL, &batch));
    ck_assert_int_eq(batch, 8);
    deep_model_free(on_host);
    deep_model_free(model);
    deep_context_free(host);
    deep_context_free(context);
    setenv("FAKE_GPU_BYTES", "80000000000", 1);
    context = open_context("cuda");
    model = new_model(context);
    assert_ok(deep_model_largest_batch(model, NULL, &batch));
    ck_assert_int_eq(batch, 256);
    deep_model_free(model);
    deep_context_free(context);
    setenv("FAKE_GPU_BYTES", "3000000", 1);
    context = open_context("cuda");
    model = new_model(context);
    assert_ok(deep_model_largest_batch(model, &adam, &batch));
    ck_assert_int_eq(batch, 1);
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

START_TEST(devices_are_counted_from_0)
{
    deep_context *context;
    deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .device = "cuda:1"};
    assert_status(deep_context_create(&context, &options), DEEP_ERROR_DEVICE);
    ck_assert_str_eq(deep_last_error(), "device \"cuda:1\": there are 1 GPUs, counted from 0");
    setenv("FAKE_GPUS", "2", 1);
    deep_context_free(open_context("cuda:1"));
    deep_device device = {.struct_size = sizeof device};
    ck_assert_int_eq(deep_device_count(), 4);
    assert_ok(deep_device_info(3, &device));
    ck_assert_str_eq(device.name, "cuda:1");
    ck_assert_int_eq(device.available, 1);
    setenv("FAKE_GPUS", "0", 1);
    options.device = "cuda";
    assert_status(deep_context_create(&context, &options), DEEP_ERROR_DEVICE);
    ck_assert_str_eq(deep_last_error(), "device \"cuda\": no NVIDIA GPU: there are to be none");
}
END_TEST

START_TEST(auto_takes_the_device_when_there_is_one)
{
    deep_context *context;
    assert_ok(deep_context_create(&context, NULL));
    ck_assert_str_eq(deep_context_device(context), "cuda");
    deep_context_free(context);
}
END_TEST

/* ---- what "auto" does where the device lacks something ---- */

static char logged[4096];

static void remember(void *user, int32_t level, const char *line)
{
    (void)user;
    ck_assert_int_eq(level, DEEP_LOG_WARNING);
    snprintf(logged, sizeof logged, "%s", line);
}

static deep_context *open_auto(void)
{
    deep_context *context;
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = 1, .log = remember};
    logged[0] = '\0';
    assert_ok(deep_context_create(&context, &options));
    return context;
}

START_TEST(auto_computes_beside_what_the_device_lacks)
{
    float found[BATCH * CLASSES], expected[BATCH * CLASSES];
    deep_context *host = open_context("ref"), *context = open_auto();
    deep_model *on_host = new_model(host), *on_device = new_model(context);
    ck_assert_str_eq(deep_model_device(on_device), "cuda");
    ck_assert_str_eq(logged, "");
    setenv("FAKE_GPU_LACKS", "max_pool", 1);
    deep_model *beside = new_model(context);
    ck_assert_str_eq(deep_context_device(context), "cuda");
    ck_assert(strcmp(deep_model_device(beside), "cpu") == 0 || strcmp(deep_model_device(beside), "ref") == 0);
    ck_assert_msg(strstr(logged, "cuda has no max_pool of this type or size: ") == logged, "%s", logged);
    predict(on_host, expected);
    predict(beside, found);
    assert_alike(found, expected, BATCH * CLASSES, 1e-5, "probabilities");
    unsetenv("FAKE_GPU_LACKS");
    predict(on_device, found);
    assert_alike(found, expected, BATCH * CLASSES, 1e-5, "probabilities of the device");
    deep_model_free(beside);
    deep_model_free(on_device);
    deep_model_free(on_host);
    deep_context_free(context);
    deep_context_free(host);
}
END_TEST

START_TEST(auto_trains_beside_what_the_device_lacks)
{
    deep_context *context = open_auto();
    trained t = {.context = context, .model = new_model(context)}, host = open_trainer("ref", &adam);
    float before[BATCH * CLASSES];
    predict(t.model, before); /* a session that is kept, and weights on the device */
    setenv("FAKE_GPU_LACKS", "dropout", 1);
    assert_ok(deep_trainer_create(&t.trainer, t.model, &adam));
    ck_assert_str_ne(deep_model_device(t.model), "cuda");
    ck_assert_msg(strstr(logged, "cuda has no dropout of this type or size: ") == logged, "%s", logged);
    take_steps(&t, 0, STEPS);
    take_steps(&host, 0, STEPS);
    for (int i = 0; i < STEPS; ++i)
        ck_assert_double_eq_tol(t.loss[i], host.loss[i], 1e-4 * host.loss[i]);
    close_trainer(&host);
    close_trainer(&t);
}
END_TEST

START_TEST(a_named_device_that_lacks_something_says_so)
{
    setenv("FAKE_GPU_LACKS", "max_pool", 1);
    deep_context *context = open_context("cuda");
    deep_model *model = new_model(context);
    deep_session *session;
    assert_status(deep_session_create(&session, model, NULL), DEEP_ERROR_UNSUPPORTED);
    ck_assert_str_eq(deep_model_device(model), "cuda");
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

START_TEST(auto_quantizes_and_runs_what_is_quantized)
{
    float exact[BATCH * CLASSES], found[BATCH * CLASSES];
    deep_context *context = open_auto();
    deep_model *model = new_model(context), *quantized;
    const deep_quantize_options bf16 = {DEEP_QUANTIZE_OPTIONS_INIT, .dtype = DEEP_DTYPE_BF16};
    assert_ok(deep_model_quantize(&quantized, model, &bf16));
    predict(model, exact);
    predict(quantized, found);
    assert_alike(found, exact, BATCH * CLASSES, 0.02, "probabilities in bf16"); /* 8 bits of each weight */
    deep_model_free(quantized);
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("device");
    TCase *tests = tcase_create("device"),
          *stand_in = tcase_create("stand-in"); /* no GPU does what the latter ask for */
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, a_session_predicts_what_the_reference_does);
    tcase_add_test(tests, a_parameter_that_is_written_counts);
    tcase_add_test(tests, layers_are_read_from_the_device);
    tcase_add_test(tests, training_steps_are_the_references);
    tcase_add_test(tests, gradients_can_be_read_and_changed);
    tcase_add_test(tests, a_checkpoint_brings_back_what_was_on_the_device);
    tcase_add_test(stand_in, too_little_memory_says_which_batch_would_fit);
    tcase_add_loop_test(tests, a_session_in_halves_is_near_the_reference, 0, HALVES);
    tcase_add_loop_test(tests, a_session_with_fused_convolutions_is_near_the_reference, 0, HALVES);
    tcase_add_loop_test(tests, a_model_in_halves_is_saved_and_loaded, 0, HALVES);
    tcase_add_loop_test(tests, a_gradient_that_overflows_in_half_precision_is_computed_again, 0, 2);
    tcase_add_loop_test(tests, a_gradient_that_fits_no_factor_diverges, 0, 2);
    tcase_add_test(tests, a_checkpoint_keeps_the_factor);
    if (deep__backend_cpu() != NULL) tcase_add_test(tests, the_processor_refuses_half_precision);
    tcase_add_test(stand_in, a_session_takes_the_hosts_stream);
    tcase_add_test(stand_in, a_trainer_takes_the_hosts_stream);
    tcase_add_test(stand_in, the_largest_batch_fits_and_twice_as_many_do_not);
    tcase_add_test(stand_in, devices_are_counted_from_0);
    tcase_add_test(tests, auto_takes_the_device_when_there_is_one);
    tcase_add_test(stand_in, auto_computes_beside_what_the_device_lacks);
    tcase_add_test(stand_in, auto_trains_beside_what_the_device_lacks);
    tcase_add_test(stand_in, a_named_device_that_lacks_something_says_so);
    tcase_add_test(tests, auto_quantizes_and_runs_what_is_quantized);
    tcase_add_checked_fixture(stand_in, setup, NULL);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, stand_in);
    return suite;
}
