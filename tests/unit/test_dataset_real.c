/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "data/dataset.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

/* Of the lists that a program in Python made with the same algorithm, seed 1 and fraction 0.2. */
#define TRAIN_HASH UINT64_C(0xedb1e94534e9a5cd)
#define VALID_HASH UINT64_C(0x14e3b50ad468486a)

static deep_context *context;

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
}

static void teardown(void)
{
    deep_context_free(context);
}

START_TEST(the_reference_service_files_open)
{
    static const struct {
        const char *file;
        int64_t images;
    } files[] = {{"train.txt", 82}, {"val.txt", 15}, {"test.txt", 8}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) {
        char name[128];
        snprintf(name, sizeof name, "phyto_flowcam_demo/dataset_files/%s", files[i].file);
        deep_dataset *dataset;
        assert_ok(deep_dataset_open(&dataset, context, test_data(name), NULL));
        ck_assert_int_eq(deep_dataset_size(dataset), files[i].images);
        ck_assert_int_eq(deep_dataset_bad_count(dataset), 0);
        ck_assert_int_eq(deep_classes_count(deep_dataset_classes(dataset)), 6);
        ck_assert_str_eq(deep_classes_name(deep_dataset_classes(dataset), 0), "Actinoptychus");
        deep_dataset_free(dataset);
    }
}
END_TEST

/* FNV-1a over the names, each followed by a newline. */
static uint64_t hash_names(const deep_dataset *dataset)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int64_t i = 0; i < deep_dataset_size(dataset); ++i) {
        for (const char *c = deep_dataset_name(dataset, i); *c != '\0'; ++c)
            hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
        hash = (hash ^ '\n') * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void assert_splits_as_expected(const deep_dataset_options *options)
{
    const deep_split_options seed = {DEEP_SPLIT_OPTIONS_INIT, .seed = 1};
    deep_dataset *all, *train, *valid;
    assert_ok(deep_dataset_open(&all, context, test_data("plankton_pwssc"), options));
    assert_ok(deep_dataset_split(&train, &valid, all, 0.2, &seed));
    ck_assert_int_eq(deep_dataset_size(all), 2016);
    ck_assert_int_eq(deep_dataset_size(valid), 406);
    ck_assert_uint_eq(hash_names(train), TRAIN_HASH);
    ck_assert_uint_eq(hash_names(valid), VALID_HASH);
    deep_dataset_free(train);
    deep_dataset_free(valid);
    deep_dataset_free(all);
}

START_TEST(a_real_set_splits_as_an_independent_program_does)
{
    const deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT, .group_by = "PWSSC-([0-9]+)-",
                                          .on_bad_image = DEEP_BAD_IMAGE_KEEP};
    assert_splits_as_expected(&options);
}
END_TEST

START_TEST(a_manifest_groups_as_the_file_names_do)
{
    char manifest[4096];
    snprintf(manifest, sizeof manifest, "%s", test_data("plankton_pwssc_manifest.tsv"));
    const deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT, .manifest = manifest,
                                          .manifest_column = "unix_time", .on_bad_image = DEEP_BAD_IMAGE_KEEP};
    assert_splits_as_expected(&options);
}
END_TEST

Suite *test_suite(void)
{
    if (test_data("plankton_pwssc") == NULL) exit(77); /* Meson's code for a skipped test */
    Suite *suite = suite_create("dataset real");
    TCase *tests = tcase_create("dataset real");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_reference_service_files_open);
    tcase_add_test(tests, a_real_set_splits_as_an_independent_program_does);
    tcase_add_test(tests, a_manifest_groups_as_the_file_names_do);
    suite_add_tcase(suite, tests);
    return suite;
}
