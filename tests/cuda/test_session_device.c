/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions between arrays of the device's memory: the same bits as between the host's, and who waits for whom. */
#include "backend/device_memory.h"
#include "small_network.h"
#include "test.h"

#include <string.h>

enum { RUNS = 4, RESULTS = BATCH * CLASSES };

typedef struct opened {
    deep_context *context;
    deep_model *model;
    deep_session *session;
    float *input, *logits, *probabilities; /* of the device */
} opened;

static float *device_floats(deep_context *context, int count)
{
    void *memory;
    assert_ok(deep_device_memory_alloc(&memory, context, (size_t)count * sizeof(float)));
    return memory;
}

static opened open_session(deep_context *context, deep_model *model, void *stream, int32_t profile)
{
    opened o = {.context = context, .model = model};
    const deep_session_options options = {DEEP_SESSION_OPTIONS_INIT, .batch = BATCH, .profile = profile,
                                          .stream = stream};
    assert_ok(deep_session_create(&o.session, model, &options));
    o.input = device_floats(context, BATCH * VALUES);
    o.logits = device_floats(context, RESULTS);
    o.probabilities = device_floats(context, RESULTS);
    return o;
}

static opened open_new(void *stream)
{
    deep_context *context = open_context("cuda");
    return open_session(context, new_model(context), stream, 0);
}

static void close_session(opened *o)
{
    deep_session_free(o->session);
    deep_device_memory_free(o->context, o->probabilities);
    deep_device_memory_free(o->context, o->logits);
    deep_device_memory_free(o->context, o->input);
    deep_model_free(o->model);
    deep_context_free(o->context);
}

/* In the context's own queue, which knows nothing of the session's. */
static void put(const opened *o, float *to, const float *from, int count)
{
    assert_ok(deep__upload(o->context, NULL, to, from, (size_t)count * sizeof *from));
    assert_ok(o->context->backend->accelerators->sync(o->context->accelerator));
}

static void get(const opened *o, float *to, const float *from, int count)
{
    assert_ok(deep__download(o->context, NULL, to, from, (size_t)count * sizeof *from));
}

/* The first n images of `input`: from the host's memory into a[], from the device's into b[]; logits, then probabilities. */
static void run_both(const opened *o, int32_t n, float a[2][RESULTS], float b[2][RESULTS])
{
    memset(a, 0, 2 * sizeof *a);
    memset(b, 0, 2 * sizeof *b);
    assert_ok(deep_session_run(o->session, input, n, a[0], a[1]));
    put(o, o->input, input, n * VALUES);
    assert_ok(deep_session_run_device(o->session, o->input, n, o->logits, o->probabilities));
    assert_ok(deep_session_wait(o->session, NULL));
    get(o, b[0], o->logits, n * CLASSES);
    get(o, b[1], o->probabilities, n * CLASSES);
}

static void setup(void)
{
    make_input();
}

static const int32_t dtypes[] = {DEEP_DTYPE_F32, DEEP_DTYPE_BF16, DEEP_DTYPE_F16};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

START_TEST(results_are_those_of_the_hosts_memory_bit_for_bit)
{
    float host[2][RESULTS], device[2][RESULTS];
    deep_context *context = open_context("cuda");
    deep_model *model = dtypes[_i] == DEEP_DTYPE_F32 ? new_model(context) : new_model_of(context, dtypes[_i]);
    opened o = open_session(context, model, NULL, 0);
    for (int run = 0; run < RUNS; ++run) { /* of which the later ones are replayed */
        for (int i = 0; i < BATCH * VALUES; ++i)
            input[i] = input[i] * 0.75F + (float)((i + run) % 5) * 0.1F;
        run_both(&o, BATCH - run % 2, host, device);
        ck_assert_mem_eq(device, host, sizeof host);
        ck_assert_float_gt(device[1][0], 0);
    }
    close_session(&o);
}
END_TEST

/* A new session's input holds nothing behind the first image. */
START_TEST(one_image_of_a_new_session_is_enough)
{
    float first[CLASSES], all[RESULTS];
    opened o = open_new(NULL);
    put(&o, o.input, input, VALUES);
    assert_ok(deep_session_run_device(o.session, o.input, 1, NULL, o.probabilities));
    assert_ok(deep_session_wait(o.session, NULL));
    get(&o, first, o.probabilities, CLASSES);
    predict(o.model, all);
    ck_assert_mem_eq(first, all, sizeof first);
    close_session(&o);
}
END_TEST

START_TEST(a_run_can_read_a_part_of_an_array_and_write_one)
{
    float all[RESULTS], last[CLASSES];
    opened o = open_new(NULL);
    put(&o, o.input, input, BATCH * VALUES);
    assert_ok(deep_session_run(o.session, input, BATCH, NULL, all));
    assert_ok(deep_session_run_device(o.session, o.input + (BATCH - 1) * VALUES, 1, NULL, o.probabilities + CLASSES));
    assert_ok(deep_session_wait(o.session, NULL));
    get(&o, last, o.probabilities + CLASSES, CLASSES);
    ck_assert_mem_eq(last, all + (BATCH - 1) * CLASSES, sizeof last);
    close_session(&o);
}
END_TEST

START_TEST(steps_have_times)
{
    deep_context *context = open_context("cuda");
    opened o = open_session(context, new_model(context), NULL, 1);
    deep_session_step step = {.struct_size = sizeof step};
    put(&o, o.input, input, BATCH * VALUES);
    assert_status(deep_session_step_info(o.session, 0, &step), DEEP_ERROR_STATE);
    assert_ok(deep_session_run_device(o.session, o.input, BATCH, NULL, NULL));
    assert_ok(deep_session_step_info(o.session, 0, &step));
    ck_assert_int_eq(step.passes, 1);
    ck_assert_double_gt(step.milliseconds, 0);
    close_session(&o);
}
END_TEST

/* ---- who waits ---- */

/* Nothing has been computed when the call returns: the stand-in computes when it is waited for. */
START_TEST(results_are_there_when_somebody_has_waited)
{
    static char streams[2];
    float before[RESULTS] = {1, 2, 3}, expected[RESULTS], found[RESULTS];
    opened o = open_new(_i == 0 ? NULL : &streams[0]);
    put(&o, o.input, input, BATCH * VALUES);
    put(&o, o.probabilities, before, RESULTS);
    assert_ok(deep_session_run_device(o.session, o.input, BATCH, NULL, o.probabilities));
    get(&o, found, o.probabilities, RESULTS);
    ck_assert_mem_eq(found, before, sizeof before);
    assert_ok(deep_session_wait(o.session, _i == 0 ? NULL : &streams[1]));
    get(&o, found, o.probabilities, RESULTS);
    predict(o.model, expected);
    ck_assert_mem_eq(found, expected, sizeof expected);
    close_session(&o);
}
END_TEST

START_TEST(memory_is_freed_when_what_is_queued_is_done)
{
    float expected[RESULTS], found[RESULTS];
    opened o = open_new(NULL);
    put(&o, o.input, input, BATCH * VALUES);
    assert_ok(deep_session_run_device(o.session, o.input, BATCH, NULL, o.probabilities));
    deep_device_memory_free(o.context, o.input);
    o.input = NULL;
    get(&o, found, o.probabilities, RESULTS);
    predict(o.model, expected);
    ck_assert_mem_eq(found, expected, sizeof expected);
    close_session(&o);
}
END_TEST

START_TEST(a_session_tells_its_stream)
{
    static char stream;
    opened own = open_new(NULL), hosts = open_new(&stream);
    ck_assert_ptr_nonnull(deep_session_stream(own.session));
    ck_assert_ptr_ne(deep_session_stream(own.session), &stream);
    ck_assert_ptr_eq(deep_session_stream(hosts.session), &stream);
    ck_assert_ptr_null(deep_session_stream(NULL));
    close_session(&hosts);
    close_session(&own);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(memory_of_the_host_is_refused)
{
    float results[RESULTS];
    opened o = open_new(NULL);
    assert_status(deep_session_run_device(o.session, input, BATCH, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(deep_last_error(), "input is not in the memory of device \"cuda\"");
    assert_status(deep_session_run_device(o.session, o.input, BATCH, results, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(deep_last_error(), "logits is not in the memory of device \"cuda\"");
    assert_status(deep_session_run_device(o.session, o.input, BATCH, NULL, results), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(deep_last_error(), "probabilities is not in the memory of device \"cuda\"");
    close_session(&o);
}
END_TEST

START_TEST(arguments_are_checked)
{
    opened o = open_new(NULL);
    assert_status(deep_session_run_device(NULL, o.input, 1, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_session_wait(NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_session_run_device(o.session, NULL, 1, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(deep_last_error(), "input is NULL");
    assert_status(deep_session_run_device(o.session, o.input, 0, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_session_run_device(o.session, o.input, BATCH + 1, NULL, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(deep_last_error(), "n is 4, not 1 to the session's batch 3");
    void *memory = &o;
    assert_status(deep_device_memory_alloc(&memory, o.context, 0), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(memory);
    assert_status(deep_device_memory_alloc(&memory, NULL, 1), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_device_memory_alloc(NULL, o.context, 1), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_device_memory_alloc(&memory, o.context, (size_t)1 << 60), DEEP_ERROR_OUT_OF_MEMORY);
    ck_assert_msg(strstr(deep_last_error(), "memory on the device: out of GPU memory: ") == deep_last_error(), "%s",
                  deep_last_error());
    deep_device_memory_free(o.context, NULL);
    deep_device_memory_free(NULL, NULL);
    close_session(&o);
}
END_TEST

START_TEST(a_device_without_memory_of_its_own_says_so)
{
    static const char text[] = "device \"ref\" computes in the host's memory and has none of its own";
    float results[RESULTS];
    void *memory;
    deep_context *context = open_context("ref");
    deep_model *model = new_model(context);
    deep_session *session;
    assert_ok(deep_session_create(&session, model, NULL));
    assert_status(deep_session_run_device(session, input, 1, NULL, results), DEEP_ERROR_UNSUPPORTED);
    ck_assert_str_eq(deep_last_error(), text);
    assert_status(deep_session_wait(session, NULL), DEEP_ERROR_UNSUPPORTED);
    ck_assert_str_eq(deep_last_error(), text);
    assert_status(deep_device_memory_alloc(&memory, context, 1), DEEP_ERROR_UNSUPPORTED);
    ck_assert_str_eq(deep_last_error(), text);
    ck_assert_ptr_null(deep_session_stream(session));
    deep_session_free(session);
    deep_model_free(model);
    deep_context_free(context);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("session_device");
    TCase *tests = tcase_create("device"), *stand_in = tcase_create("stand-in"); /* no GPU has the latter's streams */
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_loop_test(tests, results_are_those_of_the_hosts_memory_bit_for_bit, 0, DTYPES);
    tcase_add_test(tests, one_image_of_a_new_session_is_enough);
    tcase_add_test(tests, a_run_can_read_a_part_of_an_array_and_write_one);
    tcase_add_test(tests, steps_have_times);
    tcase_add_test(tests, memory_is_freed_when_what_is_queued_is_done);
    tcase_add_test(tests, memory_of_the_host_is_refused);
    tcase_add_test(tests, arguments_are_checked);
    tcase_add_test(tests, a_device_without_memory_of_its_own_says_so);
    tcase_add_checked_fixture(stand_in, setup, NULL);
    tcase_add_loop_test(stand_in, results_are_there_when_somebody_has_waited, 0, 2);
    tcase_add_test(stand_in, a_session_tells_its_stream);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, stand_in);
    return suite;
}
