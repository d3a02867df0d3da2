/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "core/context.h"
#include "data/loader.h"
#include "failing_allocator.h"
#include "scratch.h"
#include "test.h"

#include <deep/trainer.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { IMAGES = 23, BATCH = 4, STEPS = 6, SIDE = 9, VALUES = SIDE * SIDE * 3 };

static deep_context *context;
static deep_dataset *dataset;
static scratch folder;

/* All batches of an epoch. */
typedef struct epoch_record {
    float input[IMAGES][VALUES];
    int32_t labels[IMAGES];
    int32_t sizes[STEPS];
} epoch_record;

static void write_images(void)
{
    for (unsigned i = 0; i < IMAGES; ++i) {
        char name[64];
        snprintf(name, sizeof name, "root/%c/%02u.png", 'a' + (char)(i % 3), i);
        scratch_write_png(&folder, context, name, 5 + (int32_t)(i % 7), 4 + (int32_t)(i % 5), i);
    }
}

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
    scratch_make(&folder);
    write_images();
    assert_ok(deep_dataset_open(&dataset, context, scratch_path(&folder, "root"), NULL));
    ck_assert_int_eq(deep_dataset_size(dataset), IMAGES);
}

static void teardown(void)
{
    deep_dataset_free(dataset);
    scratch_remove(&folder);
    deep_context_free(context);
}

static deep_loader_options usual(void)
{
    return (deep_loader_options){
        .batch = BATCH,
        .workers = 1,
        .cache_bytes = 1 << 20,
        .seed = 5,
        .augment = DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90,
        .shuffle = true,
        .preprocess = {.size = SIDE, .channels = 3, .mean = {127.5, 127.5, 127.5}, .std = {1, 1, 1}},
    };
}

/* What a picture says, wherever its pixels stand in the block. */
static void note_picture(void *to, const deep_pictures *block, int32_t index)
{
    deep_picture picture = ((const deep_picture *)(block + 1))[index];
    const uint8_t *pixels = (const uint8_t *)block + picture.offset;
    const size_t size = (size_t)(picture.columns.src * picture.rows.src * picture.channels);
    ck_assert_uint_le(size, VALUES);
    ck_assert_uint_le(sizeof picture + size, VALUES * sizeof(float));
    picture.offset = 0;
    memcpy(to, &picture, sizeof picture);
    memcpy((char *)to + sizeof picture, pixels, size);
}

static void note_images(epoch_record *record, int64_t step, deep_batch batch, int32_t n)
{
    if (!batch.is_pictures) {
        ck_assert_uint_eq(batch.bytes, (size_t)n * VALUES * sizeof(float));
        memcpy(record->input[step * BATCH], batch.images, batch.bytes);
        return;
    }
    const deep_pictures *block = batch.images;
    ck_assert_int_eq(block->images, n);
    ck_assert_uint_le(batch.bytes, batch.room);
    for (int32_t i = 0; i < n; ++i)
        note_picture(record->input[step * BATCH + i], block, i);
}

static void read_epoch(deep_loader *loader, uint32_t epoch, int64_t first_step, epoch_record *record)
{
    memset(record, 0, sizeof *record);
    assert_ok(deep__loader_begin(loader, epoch, first_step));
    for (int64_t step = first_step;; ++step) {
        deep_batch batch;
        const int32_t *labels;
        int32_t n;
        assert_ok(deep__loader_next(loader, &batch, &labels, &n));
        if (n == 0) {
            ck_assert_int_eq(step, deep__loader_steps(loader));
            break;
        }
        note_images(record, step, batch, n);
        memcpy(&record->labels[step * BATCH], labels, (size_t)n * sizeof *labels);
        record->sizes[step] = n;
    }
}

static void record_of(const deep_loader_options *options, uint32_t epoch, epoch_record *record)
{
    deep_loader *loader;
    assert_ok(deep__loader_create(&loader, dataset, options));
    read_epoch(loader, epoch, 0, record);
    deep__loader_free(loader);
}

static epoch_record expected, found; /* too large for a thread's stack */

START_TEST(batches_do_not_depend_on_workers_or_cache)
{
    deep_loader_options options = usual();
    options.pictures = _i == 1;
    record_of(&options, 3, &expected);
    for (int32_t workers = 1; workers <= 8; workers += 7)
        for (int64_t cache = 0; cache <= 1 << 20; cache += 1 << 10, cache *= 2) {
            options.workers = workers;
            options.cache_bytes = cache;
            record_of(&options, 3, &found);
            ck_assert_int_eq(memcmp(&expected, &found, sizeof found), 0);
        }
}
END_TEST

START_TEST(an_epoch_has_every_image_once)
{
    deep_loader_options options = usual();
    int32_t counts[3] = {0};
    record_of(&options, 0, &found);
    for (int i = 0; i < IMAGES; ++i)
        ++counts[found.labels[i]];
    for (int32_t c = 0; c < 3; ++c)
        ck_assert_int_eq(counts[c], deep_dataset_class_size(dataset, c));
    ck_assert_int_eq(found.sizes[STEPS - 2], BATCH);
    ck_assert_int_eq(found.sizes[STEPS - 1], IMAGES % BATCH);
}
END_TEST

START_TEST(epochs_differ_and_repeat)
{
    deep_loader_options options = usual();
    deep_loader *loader;
    options.workers = 3;
    assert_ok(deep__loader_create(&loader, dataset, &options));
    read_epoch(loader, 0, 0, &expected);
    read_epoch(loader, 1, 0, &found);
    ck_assert_int_ne(memcmp(&expected, &found, sizeof found), 0);
    read_epoch(loader, 0, 0, &found);
    ck_assert_int_eq(memcmp(&expected, &found, sizeof found), 0);
    deep__loader_free(loader);
}
END_TEST

START_TEST(an_epoch_can_begin_in_the_middle)
{
    deep_loader_options options = usual();
    deep_loader *loader;
    options.workers = 2;
    record_of(&options, 7, &expected);
    assert_ok(deep__loader_create(&loader, dataset, &options));
    for (int64_t first = 0; first <= STEPS; ++first) {
        read_epoch(loader, 7, first, &found);
        const size_t skipped = (size_t)(first * BATCH < IMAGES ? first * BATCH : IMAGES);
        ck_assert_int_eq(
            memcmp(expected.input[skipped], found.input[skipped], (IMAGES - skipped) * sizeof found.input[0]), 0);
    }
    assert_status(deep__loader_begin(loader, 0, STEPS + 1), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep__loader_begin(loader, 0, -1), DEEP_ERROR_INVALID_ARGUMENT);
    deep__loader_free(loader);
}
END_TEST

START_TEST(an_epoch_can_be_left_in_the_middle)
{
    deep_loader_options options = usual();
    deep_loader *loader;
    options.workers = 4;
    record_of(&options, 0, &expected);
    assert_ok(deep__loader_create(&loader, dataset, &options));
    for (int round = 0; round < 50; ++round) {
        deep_batch batch;
        const int32_t *labels;
        int32_t n;
        assert_ok(deep__loader_begin(loader, (uint32_t)round, round % STEPS));
        for (int i = 0; i < round % 3; ++i)
            assert_ok(deep__loader_next(loader, &batch, &labels, &n));
    }
    read_epoch(loader, 0, 0, &found);
    ck_assert_int_eq(memcmp(&expected, &found, sizeof found), 0);
    deep__loader_free(loader);
}
END_TEST

START_TEST(a_subset_keeps_its_order)
{
    deep_loader_options options = usual();
    const int64_t subset[] = {22, 0, 7, 7, 3};
    deep_loader *loader;
    options.subset = subset;
    options.subset_count = 5;
    options.shuffle = false;
    options.augment = 0;
    assert_ok(deep__loader_create(&loader, dataset, &options));
    ck_assert_int_eq(deep__loader_steps(loader), 2);
    read_epoch(loader, 0, 0, &found);
    for (int i = 0; i < 5; ++i)
        ck_assert_int_eq(found.labels[i], deep_dataset_label(dataset, subset[i]));
    ck_assert_int_eq(memcmp(found.input[2], found.input[3], sizeof found.input[0]), 0);
    ck_assert_int_eq(found.sizes[1], 1);
    deep__loader_free(loader);
    options.subset = (int64_t[]){IMAGES};
    options.subset_count = 1;
    assert_status(deep__loader_create(&loader, dataset, &options), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(loader);
}
END_TEST

START_TEST(later_epochs_decode_nothing_and_allocate_nothing)
{
    failing_allocator allocator = {0};
    const deep_context_options counting = failing_options(&allocator);
    deep_context *other;
    deep_dataset *same;
    deep_loader *loader;
    deep_loader_options options = usual();
    assert_ok(deep__context_create(&other, &counting));
    const deep_dataset_options keep = {DEEP_DATASET_OPTIONS_INIT, .on_bad_image = DEEP_BAD_IMAGE_KEEP};
    assert_ok(deep_dataset_open(&same, other, scratch_path(&folder, "root"), &keep));
    assert_ok(deep__loader_create(&loader, same, &options));
    read_epoch(loader, 0, 0, &found);
    const long before = allocator.requests;
    scratch_remove(&folder); /* the files are gone: only the cache is left */
    read_epoch(loader, 1, 0, &found);
    read_epoch(loader, 2, 3, &found);
    ck_assert_int_eq(allocator.requests, before);
    deep__loader_free(loader);
    deep_dataset_free(same);
    deep_context_free(other);
    ck_assert_int_eq(allocator.living, 0);
}
END_TEST

START_TEST(an_image_that_vanishes_is_named)
{
    deep_loader_options options = usual();
    options.shuffle = false;
    options.cache_bytes = 0;
    for (int32_t workers = 1; workers <= 8; workers *= 8) {
        deep_loader *loader;
        deep_batch batch;
        const int32_t *labels;
        int32_t n;
        options.workers = workers;
        unlink(deep_dataset_path(dataset, 9)); /* in step 2 */
        unlink(deep_dataset_path(dataset, 11));
        assert_ok(deep__loader_create(&loader, dataset, &options));
        assert_ok(deep__loader_begin(loader, 0, 0));
        assert_ok(deep__loader_next(loader, &batch, &labels, &n));
        assert_ok(deep__loader_next(loader, &batch, &labels, &n));
        for (int again = 0; again < 2; ++again) {
            assert_status(deep__loader_next(loader, &batch, &labels, &n), DEEP_ERROR_NOT_FOUND);
            ck_assert_ptr_nonnull(strstr(deep_last_error(), deep_dataset_path(dataset, 9)));
            ck_assert_ptr_null(batch.images);
            ck_assert_int_eq(n, 0);
        }
        assert_ok(deep__loader_begin(loader, 0, 3)); /* what comes after can still be had */
        assert_ok(deep__loader_next(loader, &batch, &labels, &n));
        ck_assert_int_eq(n, BATCH);
        deep__loader_free(loader);
    }
}
END_TEST

/* Each batch is there some time before it is asked for, and stays until the one behind it is. */
START_TEST(the_next_batch_can_be_seen_when_it_is_ready)
{
    deep_loader_options options = usual();
    deep_loader *loader;
    assert_ok(deep__loader_create(&loader, dataset, &options));
    deep_batch seen, batch;
    const void *before = NULL;
    const int32_t *labels;
    float copy[BATCH * VALUES], old[BATCH * VALUES];
    int32_t n;
    ck_assert_ptr_null(deep__loader_peek(loader).images); /* no epoch yet */
    assert_ok(deep__loader_begin(loader, 0, 0));
    for (int step = 0; step < STEPS; ++step) {
        while ((seen = deep__loader_peek(loader)).images == NULL)
            ck_assert_uint_eq(seen.bytes, 0);
        memcpy(copy, seen.images, seen.bytes);
        if (before != NULL) ck_assert_mem_eq(before, old, sizeof old);
        assert_ok(deep__loader_next(loader, &batch, &labels, &n));
        ck_assert_ptr_eq(batch.images, seen.images);
        ck_assert_uint_eq(batch.bytes, seen.bytes);
        ck_assert_uint_eq(batch.bytes, (size_t)n * VALUES * sizeof(float));
        ck_assert_mem_eq(batch.images, copy, batch.bytes);
        memcpy(old, batch.images, batch.bytes);
        before = batch.images;
    }
    ck_assert_ptr_null(deep__loader_peek(loader).images);
    deep__loader_free(loader);
}
END_TEST

START_TEST(an_image_that_vanished_is_not_seen_ahead)
{
    deep_loader_options options = usual();
    deep_loader *loader;
    deep_batch batch;
    const int32_t *labels;
    int32_t n;
    options.shuffle = false;
    options.cache_bytes = 0;
    unlink(deep_dataset_path(dataset, 1));
    assert_ok(deep__loader_create(&loader, dataset, &options));
    assert_ok(deep__loader_begin(loader, 0, 0));
    assert_status(deep__loader_next(loader, &batch, &labels, &n), DEEP_ERROR_NOT_FOUND); /* it is complete now */
    ck_assert_ptr_null(deep__loader_peek(loader).images);
    deep__loader_free(loader);
}
END_TEST

START_TEST(a_loader_without_an_epoch_is_freed)
{
    deep_loader_options options = usual();
    deep_loader *loader;
    options.workers = 8;
    for (int i = 0; i < 50; ++i) {
        assert_ok(deep__loader_create(&loader, dataset, &options));
        if (i % 2 == 0) assert_ok(deep__loader_begin(loader, 0, 0));
        deep__loader_free(loader);
    }
    deep__loader_free(NULL);
    options.batch = 0;
    assert_status(deep__loader_create(&loader, dataset, &options), DEEP_ERROR_INVALID_ARGUMENT);
    options = usual();
    options.preprocess.size = 0;
    assert_status(deep__loader_create(&loader, dataset, &options), DEEP_ERROR_INVALID_ARGUMENT);
}
END_TEST

static volatile sig_atomic_t signalled_in_other_thread;
static pthread_t main_thread;

static void on_signal(int number)
{
    (void)number;
    if (!pthread_equal(pthread_self(), main_thread)) signalled_in_other_thread = 1;
}

START_TEST(signals_are_left_to_the_host)
{
    deep_loader_options options = usual();
    deep_loader *loader;
    main_thread = pthread_self();
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigaction(SIGUSR1, &action, &before);
    options.workers = 8;
    assert_ok(deep__loader_create(&loader, dataset, &options));
    for (int i = 0; i < 200; ++i)
        kill(getpid(), SIGUSR1);
    deep__loader_free(loader);
    sigaction(SIGUSR1, &before, NULL);
    ck_assert(!signalled_in_other_thread);
}
END_TEST

START_TEST(a_forked_child_gets_an_error_at_once)
{
    deep_loader_options options = usual();
    deep_loader *loader;
    assert_ok(deep__loader_create(&loader, dataset, &options));
    assert_ok(deep__loader_begin(loader, 0, 0));
    const pid_t child = fork();
    if (child == 0) {
        deep_batch batch;
        const int32_t *labels;
        int32_t n;
        alarm(5);
        const bool refused = deep__loader_next(loader, &batch, &labels, &n) == DEEP_ERROR_FORKED &&
                             deep__loader_begin(loader, 0, 0) == DEEP_ERROR_FORKED;
        deep__loader_free(loader);
        _exit(refused ? 0 : 1);
    }
    int result = 0;
    waitpid(child, &result, 0);
    ck_assert_int_eq(result, 0);
    deep__loader_free(loader);
}
END_TEST

START_TEST(a_failed_allocation_is_an_error_without_a_leak)
{
    deep_loader_options options = usual();
    options.pictures = _i == 1;
    const deep_dataset_options keep = {DEEP_DATASET_OPTIONS_INIT, .on_bad_image = DEEP_BAD_IMAGE_KEEP, .threads = 1};
    for (long n = 1;; ++n) {
        failing_allocator allocator = {0};
        const deep_context_options failing = failing_options(&allocator);
        deep_context *other;
        deep_dataset *same;
        deep_loader *loader;
        deep_batch batch;
        const int32_t *labels;
        int32_t size;
        assert_ok(deep__context_create(&other, &failing));
        assert_ok(deep_dataset_open(&same, other, scratch_path(&folder, "root"), &keep));
        const long before = allocator.requests;
        allocator.fail_at = before + n;
        deep_status status = deep__loader_create(&loader, same, &options);
        if (status == DEEP_OK) status = deep__loader_begin(loader, 0, STEPS - 1);
        if (status == DEEP_OK) status = deep__loader_next(loader, &batch, &labels, &size);
        ck_assert_msg(status == DEEP_OK || status == DEEP_ERROR_OUT_OF_MEMORY, "request %ld gave %s (%s)", n,
                      deep_status_name(status), deep_last_error());
        deep__loader_free(loader);
        deep_dataset_free(same);
        deep_context_free(other);
        ck_assert_int_eq(allocator.living, 0);
        if (status == DEEP_OK && allocator.requests < before + n) break;
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("loader");
    TCase *tests = tcase_create("loader");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    const TTest *const list[] = {
        an_epoch_has_every_image_once,
        epochs_differ_and_repeat,
        an_epoch_can_begin_in_the_middle,
        an_epoch_can_be_left_in_the_middle,
        a_subset_keeps_its_order,
        later_epochs_decode_nothing_and_allocate_nothing,
        an_image_that_vanishes_is_named,
        a_loader_without_an_epoch_is_freed,
        the_next_batch_can_be_seen_when_it_is_ready,
        an_image_that_vanished_is_not_seen_ahead,
        signals_are_left_to_the_host,
        a_forked_child_gets_an_error_at_once,
    };
    tcase_add_loop_test(tests, batches_do_not_depend_on_workers_or_cache, 0, 2); /* of floats, of pictures */
    tcase_add_loop_test(tests, a_failed_allocation_is_an_error_without_a_leak, 0, 2);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; ++i)
        tcase_add_test(tests, list[i]);
    suite_add_tcase(suite, tests);
    return suite;
}
