/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON and JPEG libraries allocate with malloc(), not through the context. This program stands in front of malloc() and
 * refuses the n-th request while a model is made, saved and loaded, and while an image is decoded.
 */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include "core/context.h"
#include "jpeg_builder.h"
#include "test.h"

#include <deep/model.h>
#include <errno.h>
#include <stdlib.h>

/* glibc's own, under the names that no interposition reaches */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static struct {
    bool armed;
    bool forever;
    long requests, fail_at, living;
} heap;

static bool refuse(void)
{
    if (!heap.armed) return false;
    ++heap.requests;
    return heap.requests == heap.fail_at || (heap.forever && heap.requests > heap.fail_at);
}

static void *count_block(void *memory)
{
    if (heap.armed && memory != NULL) ++heap.living;
    return memory;
}

void *malloc(size_t size)
{
    return refuse() ? NULL : count_block(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return refuse() ? NULL : count_block(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    if (refuse()) return NULL;
    return memory == NULL ? count_block(__libc_realloc(NULL, size)) : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = refuse() ? NULL : count_block(__libc_memalign(alignment, size));
    return *memory == NULL ? ENOMEM : 0;
}

void free(void *memory)
{
    if (heap.armed && memory != NULL) --heap.living;
    __libc_free(memory);
}

/* The context's memory comes from elsewhere, so that what is counted is the other libraries'. */
static void *context_alloc(void *user, size_t size, size_t alignment)
{
    const size_t rounded = (size + alignment - 1) / alignment * alignment;
    (void)user;
    return __libc_memalign(alignment, rounded);
}

static void context_free(void *user, void *memory)
{
    (void)user;
    __libc_free(memory);
}

static deep_status create_save_load(deep_context *context)
{
    deep_model *model = NULL, *loaded = NULL;
    void *data = NULL;
    size_t size = 0;
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small",
                                        .class_count = 2,        .input_size = 71,
                                        .width = 0.0625,         .middle_blocks = 1};
    deep_status status = deep_model_create(&model, context, &options);
    if (status == DEEP_OK) status = deep_model_set_metadata(model, "cruise", "{\"legs\":[1,2.5]}");
    if (status == DEEP_OK) status = deep_model_save_memory(model, &data, &size);
    if (status == DEEP_OK) status = deep_model_load_memory(&loaded, context, data, size);
    if (status == DEEP_OK && deep_model_metadata(loaded) == NULL) status = DEEP_ERROR_OUT_OF_MEMORY;
    deep_free(context, data);
    deep_model_free(loaded);
    deep_model_free(model);
    return status;
}

static bytes jpeg;

static deep_status decode_jpeg(deep_context *context)
{
    deep_image *image;
    const deep_status status = deep_image_decode(&image, context, jpeg.data, jpeg.size, NULL);
    deep_image_free(image);
    return status;
}

static const struct {
    const char *name;
    deep_status (*run)(deep_context *context);
    long at_least; /* requests there must be */
    /* That may be refused once unnoticed: qsort() can do without, libjpeg asks again for a smaller pool. */
    long absorbed;
} scenarios[] = {
    {"a model", create_save_load, 1000, 8}, /* the document has hundreds of members */
    {"an image", decode_jpeg, 5, 8},
};

static deep_status run_refusing(deep_context *context, int which, bool forever, long n)
{
    heap.requests = heap.living = 0;
    heap.fail_at = n;
    heap.forever = forever;
    heap.armed = true;
    const deep_status status = scenarios[which].run(context);
    heap.armed = false;
    ck_assert_msg(heap.living == 0, "%s, request %ld: %ld blocks leak", scenarios[which].name, n, heap.living);
    return status;
}

START_TEST(every_refused_malloc_is_an_error_without_a_leak)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .alloc = context_alloc, .free = context_free};
    const int which = _i / 2;
    const bool forever = _i % 2 == 1;
    deep_context *context;
    long swept = 0, absorbed = 0;
    jpeg = jpeg_build(&(jpeg_plan){.components = 3, .progressive = 1});
    assert_ok(deep__context_create(&context, &options));
    assert_ok(scenarios[which].run(context));
    for (long n = 1;; ++n) {
        const deep_status status = run_refusing(context, which, forever, n);
        if (heap.requests < n) break;
        if (status == DEEP_OK) ++absorbed;
        ck_assert_msg(absorbed <= (forever ? 0 : scenarios[which].absorbed), "%s: request %ld was refused unnoticed",
                      scenarios[which].name, n);
        ck_assert_msg(status == DEEP_OK || status == DEEP_ERROR_OUT_OF_MEMORY, "%s, request %ld: %s (%s)",
                      scenarios[which].name, n, deep_status_name(status), deep_last_error());
        swept = n;
    }
    ck_assert_int_ge(swept, scenarios[which].at_least);
    deep_context_free(context);
    bytes_free(&jpeg);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("malloc");
    TCase *tests = tcase_create("malloc");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, every_refused_malloc_is_an_error_without_a_leak, 0, 4);
    suite_add_tcase(suite, tests);
    return suite;
}
