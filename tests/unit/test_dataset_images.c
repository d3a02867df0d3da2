/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "scratch.h"
#include "small_set.h"

#include <deep/deep.h>

enum { PER_CLASS = 8, COUNT = PER_CLASS * SMALL_SET_CLASSES };

static deep_context *context;
static deep_dataset *files;
static deep_image *images[COUNT];
static int32_t labels[COUNT];
static scratch folder;

/* The small set on disk, and the same images decoded. */
static void setup(void)
{
    assert_ok(deep_context_create(&context, NULL));
    scratch_make(&folder);
    small_set_write(context, folder.root, PER_CLASS);
    assert_ok(deep_dataset_open(&files, context, folder.root, NULL));
    ck_assert_int_eq(deep_dataset_size(files), COUNT);
    for (int i = 0; i < COUNT; ++i) {
        assert_ok(deep_image_load(&images[i], context, deep_dataset_path(files, i), NULL));
        labels[i] = deep_dataset_label(files, i);
    }
}

static void teardown(void)
{
    for (int i = 0; i < COUNT; ++i)
        deep_image_free(images[i]);
    deep_dataset_free(files);
    scratch_remove(&folder);
    deep_context_free(context);
}

static deep_dataset *in_memory(void)
{
    deep_dataset *dataset;
    assert_ok(deep_dataset_create_images(&dataset, context, images, labels, NULL, COUNT, deep_dataset_classes(files)));
    return dataset;
}

/* The bytes of a model that was trained on `all`; the caller frees them. */
static void *train_on(const deep_dataset *all, size_t *size)
{
    deep_dataset *train, *valid;
    deep_model *model;
    void *data;
    const deep_fit_options fit = {DEEP_FIT_OPTIONS_INIT, .epochs = 1, .batch = 5, .cache_bytes = -1};
    assert_ok(deep_dataset_split(&train, &valid, all, 0.25, NULL));
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT,
                                        .architecture = "xception-small",
                                        .input_size = 71,
                                        .middle_blocks = 1,
                                        .width = 0.1,
                                        .classes = deep_dataset_classes(train)};
    assert_ok(deep_model_create(&model, context, &options));
    assert_ok(deep_model_fit(model, train, valid, &fit, NULL, NULL, NULL));
    assert_ok(deep_model_save_memory(model, &data, size));
    deep_model_free(model);
    deep_dataset_free(train);
    deep_dataset_free(valid);
    return data;
}

/* Groups default to names, which order the split: the two sets are split alike only when the names are. */
START_TEST(images_train_as_their_files_do)
{
    const char *names[COUNT];
    deep_dataset *memory;
    for (int i = 0; i < COUNT; ++i)
        names[i] = deep_dataset_name(files, i);
    assert_ok(deep_dataset_create_images(&memory, context, images, labels, names, COUNT, deep_dataset_classes(files)));
    size_t first_size, second_size;
    void *first = train_on(files, &first_size), *second = train_on(memory, &second_size);
    ck_assert_uint_eq(first_size, second_size);
    ck_assert_mem_eq(first, second, first_size);
    deep_free(context, first);
    deep_free(context, second);
    deep_dataset_free(memory);
}
END_TEST

START_TEST(images_have_names_but_no_paths)
{
    deep_dataset *memory = in_memory();
    ck_assert_int_eq(deep_dataset_size(memory), COUNT);
    ck_assert_str_eq(deep_dataset_name(memory, 11), "11");
    ck_assert_str_eq(deep_dataset_group(memory, 11), "11");
    ck_assert_ptr_null(deep_dataset_path(memory, 11));
    ck_assert_int_eq(deep_dataset_label(memory, 11), 1);
    ck_assert_int_eq(deep_dataset_class_size(memory, 2), PER_CLASS);
    char path[8192];
    snprintf(path, sizeof path, "%.4000s/list.txt", folder.root);
    assert_status(deep_dataset_save(memory, path), DEEP_ERROR_INVALID_ARGUMENT);
    deep_dataset_free(memory);
}
END_TEST

START_TEST(bad_lists_are_refused)
{
    const deep_classes *classes = deep_dataset_classes(files);
    deep_dataset *dataset;
    deep_image *const hole[2] = {images[0], NULL};
    const int32_t beyond[2] = {0, 3};
    const char *const no_group[2] = {"a", NULL};
    assert_status(deep_dataset_create_images(&dataset, context, images, labels, NULL, 0, classes), DEEP_ERROR_DATASET);
    ck_assert_ptr_null(dataset);
    assert_status(deep_dataset_create_images(&dataset, context, images, labels, NULL, -1, classes),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_dataset_create_images(&dataset, context, NULL, labels, NULL, 2, classes),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_dataset_create_images(&dataset, context, hole, labels, NULL, 2, classes),
                  DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "image 1"));
    assert_status(deep_dataset_create_images(&dataset, context, images, beyond, NULL, 2, classes),
                  DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "label 3 of image 1"));
    assert_status(deep_dataset_create_images(&dataset, context, images, labels, no_group, 2, classes),
                  DEEP_ERROR_INVALID_ARGUMENT);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("dataset_images");
    TCase *tests = tcase_create("dataset_images");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, images_train_as_their_files_do);
    tcase_add_test(tests, images_have_names_but_no_paths);
    tcase_add_test(tests, bad_lists_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
