/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "core/context.h"
#include "data/dataset.h"
#include "failing_allocator.h"
#include "scratch.h"
#include "test.h"

#include <deep/dataset.h>

static deep_context *context;
static scratch folder;
static int warnings;

static void count_warning(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)line;
    if (level == DEEP_LOG_WARNING) ++warnings;
}

static void setup(void)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .log = count_warning, .threads = 3};
    warnings = 0;
    assert_ok(deep__context_create(&context, &options));
    scratch_make(&folder);
}

static void teardown(void)
{
    scratch_remove(&folder);
    deep_context_free(context);
}

/* root/class/NN.png, `count` of them */
static void write_class(const char *name, int count)
{
    for (int i = 0; i < count; ++i) {
        char path[256];
        snprintf(path, sizeof path, "%s/%02d.png", name, i);
        scratch_write_png(&folder, context, path, 8 + i % 3, 6, (unsigned)i);
    }
}

static void assert_says(const char *said)
{
    ck_assert_msg(strstr(deep_last_error(), said) != NULL, "'%s' does not say '%s'", deep_last_error(), said);
}

static void assert_opens_with(deep_status expected, const char *said, const char *path,
                              const deep_dataset_options *options)
{
    deep_dataset *dataset;
    assert_status(deep_dataset_open(&dataset, context, path, options), expected);
    assert_says(said);
    ck_assert_ptr_null(dataset);
}

/* ---- folders ---- */

START_TEST(folders_are_classes_in_byte_order)
{
    write_class("root/b", 2);
    write_class("root/Z", 1);
    write_class("root/a/nested", 3);
    write_class("root/a-b", 1);
    scratch_write_text(&folder, "root/b/Thumbs.db", "x");
    scratch_write_text(&folder, "root/b/.hidden.png", "x");
    scratch_write_text(&folder, "root/b/notes.txt", "x");
    scratch_write_text(&folder, "root/.DS_Store", "x");
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, scratch_path(&folder, "root"), NULL));
    const deep_classes *classes = deep_dataset_classes(dataset);
    ck_assert_int_eq(deep_classes_count(classes), 4);
    ck_assert_str_eq(deep_classes_name(classes, 0), "Z");
    ck_assert_str_eq(deep_classes_name(classes, 1), "a-b");
    ck_assert_str_eq(deep_classes_name(classes, 2), "a/nested");
    ck_assert_str_eq(deep_classes_name(classes, 3), "b");
    ck_assert_int_eq(deep_dataset_size(dataset), 7);
    ck_assert_int_eq(deep_dataset_class_size(dataset, 2), 3);
    ck_assert_str_eq(deep_dataset_name(dataset, 3), "a/nested/01.png");
    ck_assert_str_eq(deep_dataset_path(dataset, 3), scratch_path(&folder, "root/a/nested/01.png"));
    ck_assert_str_eq(deep_dataset_group(dataset, 3), "a/nested/01.png");
    ck_assert_int_eq(deep_dataset_label(dataset, 6), 3);
    ck_assert_int_eq(deep_dataset_label(dataset, 7), -1);
    ck_assert_ptr_null(deep_dataset_name(dataset, -1));
    ck_assert_int_eq(deep_dataset_bad_count(dataset), 0);
    deep_dataset_free(dataset);
}
END_TEST

START_TEST(an_empty_folder_is_a_class_without_images)
{
    write_class("root/a", 2);
    scratch_make_parents(&folder, "root/empty/x");
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, scratch_path(&folder, "root"), NULL));
    ck_assert_int_eq(deep_classes_count(deep_dataset_classes(dataset)), 2);
    ck_assert_int_eq(deep_dataset_class_size(dataset, 1), 0);
    deep_dataset_free(dataset);
}
END_TEST

START_TEST(links_are_followed_but_not_in_circles)
{
    write_class("root/a", 2);
    write_class("elsewhere", 1);
    ck_assert_int_eq(symlink("../..", scratch_path(&folder, "root/a/up")), 0);
    ck_assert_int_eq(symlink(".", scratch_path(&folder, "root/a/self")), 0);
    ck_assert_int_eq(symlink("../elsewhere", scratch_path(&folder, "root/b")), 0);
    ck_assert_int_eq(symlink("loop", scratch_path(&folder, "root/loop")), 0);
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, scratch_path(&folder, "root"), NULL));
    ck_assert_int_eq(deep_dataset_class_size(dataset, 0), 2);
    ck_assert_int_ge(warnings, 1);
    deep_dataset_free(dataset);
}
END_TEST

START_TEST(bad_folders_are_refused)
{
    const deep_dataset_options keep = {DEEP_DATASET_OPTIONS_INIT, .on_bad_image = DEEP_BAD_IMAGE_KEEP};
    assert_opens_with(DEEP_ERROR_NOT_FOUND, "missing", scratch_path(&folder, "missing"), NULL);
    scratch_make_parents(&folder, "root/x");
    assert_opens_with(DEEP_ERROR_DATASET, "no PNG or JPEG image", scratch_path(&folder, "root"), NULL);
    scratch_make_parents(&folder, "root/a/x");
    assert_opens_with(DEEP_ERROR_DATASET, "no PNG or JPEG image", scratch_path(&folder, "root"), NULL);
    write_class("flat", 2);
    assert_opens_with(DEEP_ERROR_DATASET, "its 2 images stand in the folder itself", scratch_path(&folder, "flat"),
                      NULL);
    write_class("latin/caf\xE9", 1);
    assert_opens_with(DEEP_ERROR_DATASET, "is not UTF-8", scratch_path(&folder, "latin"), &keep);
    char deep[400] = "deep";
    for (int i = 0; i < 70; ++i)
        strcat(deep, "/a");
    write_class(deep, 1);
    assert_opens_with(DEEP_ERROR_DATASET, "nested deeper than 64", scratch_path(&folder, "deep"), NULL);
    if (geteuid() != 0) { /* nothing is unreadable for root */
        write_class("secret/a", 1);
        ck_assert_int_eq(chmod(scratch_path(&folder, "secret/a"), 0), 0);
        assert_opens_with(DEEP_ERROR_IO, "cannot open folder", scratch_path(&folder, "secret"), NULL);
        ck_assert_int_eq(chmod(scratch_path(&folder, "secret/a"), 0700), 0);
    }
}
END_TEST

START_TEST(a_class_table_replaces_folder_names)
{
    write_class("root/f1", 2);
    const deep_dataset_options options = {
        DEEP_DATASET_OPTIONS_INIT,
        .classes = scratch_write_text(&folder, "table.txt", "Acartia\nf1\tCopepoda / nauplii\t1080\n")};
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, scratch_path(&folder, "root"), &options));
    ck_assert_int_eq(deep_classes_count(deep_dataset_classes(dataset)), 2);
    ck_assert_int_eq(deep_dataset_label(dataset, 0), 1);
    ck_assert_int_eq(deep_dataset_class_size(dataset, 0), 0);
    deep_dataset_free(dataset);
    write_class("root/f2", 1);
    assert_opens_with(DEEP_ERROR_DATASET, "folder 'f2' is not in the class table", scratch_path(&folder, "root"),
                      &options);
}
END_TEST

/* ---- split files: the list of reliability, one by one ---- */

START_TEST(the_table_of_bad_lists)
{
    write_class("set/images/a", 2);
    const char *file = scratch_path(&folder, "set/files/train.txt");
    char path[SCRATCH_PATH_SIZE];
    snprintf(path, sizeof path, "%s", file);

    assert_opens_with(DEEP_ERROR_NOT_FOUND, "train.txt", path, NULL); /* missing file */
    scratch_write_text(&folder, "set/files/train.txt", "a/00.png 0\n");
    assert_opens_with(DEEP_ERROR_NOT_FOUND, "classes.txt", path, NULL); /* missing class table */
    ck_assert_int_eq(mkdir(scratch_path(&folder, "set/files/classes.txt"), 0777), 0);
    assert_opens_with(DEEP_ERROR_IO, "classes.txt", path, NULL); /* a folder as a file */
    ck_assert_int_eq(rmdir(scratch_path(&folder, "set/files/classes.txt")), 0);
    ck_assert_int_eq(mkfifo(scratch_path(&folder, "set/files/classes.txt"), 0666), 0);
    assert_opens_with(DEEP_ERROR_IO, "not a regular file", path, NULL); /* FIFO: must not block */
    ck_assert_int_eq(unlink(scratch_path(&folder, "set/files/classes.txt")), 0);
    scratch_write_text(&folder, "set/files/classes.txt", "a\nb\n");

    static const struct {
        const char *text;
        deep_status status;
        const char *said;
    } cases[] = {
        {"", DEEP_ERROR_DATASET, "lists no image"},
        {"# only a comment\n\n", DEEP_ERROR_DATASET, "lists no image"},
        {"a/00.png 0\na/00.png 1\n", DEEP_ERROR_FORMAT, "line 2: the path 'a/00.png' already stands in line 1"},
        {"a/00.png 2\n", DEEP_ERROR_FORMAT, "line 1: label 2 is not 0 to 1"},
        {"a/00.png -1\n", DEEP_ERROR_FORMAT, "line 1: label -1"},
        {"a/00.png\n", DEEP_ERROR_FORMAT, "line 1: has no separator"},
        {"a/00.png one\n", DEEP_ERROR_FORMAT, "line 1: the label 'one'"},
        {"/a/00.png 0\n", DEEP_ERROR_FORMAT, "line 1: the path is absolute"},
        {"../a/00.png 0\n", DEEP_ERROR_FORMAT, "line 1: the path contains '..'"},
        {"\377\376a 0\n", DEEP_ERROR_FORMAT, "line 1: is not UTF-8"},
        {"zz/00.png 0\n", DEEP_ERROR_NOT_FOUND, "neither in ../images nor beside the file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        scratch_write_text(&folder, "set/files/train.txt", cases[i].text);
        assert_opens_with(cases[i].status, cases[i].said, path, NULL);
    }
    scratch_write(&folder, "set/files/train.txt", "a/0\0.png 0\n", 11);
    assert_opens_with(DEEP_ERROR_FORMAT, "line 1: contains a NUL byte", path, NULL);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0666), 0);
    assert_opens_with(DEEP_ERROR_IO, "not a regular file", path, NULL);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("train.txt", path), 0);
    assert_opens_with(DEEP_ERROR_IO, "train.txt", path, NULL); /* symbolic link to itself */
}
END_TEST

START_TEST(a_split_file_finds_its_images)
{
    write_class("set/images/a", 2);
    write_class("set/images/b", 1);
    scratch_write_text(&folder, "set/files/classes.txt", "Actinoptychus\r\nTripos\r\nNone\r\n");
    scratch_write_text(&folder, "set/files/aphia_ids.txt", "149131\n109982\n");
    const char *list =
        scratch_write_text(&folder, "set/files/train.txt", "\357\273\277b/00.png\t1\r\na/01.png 0\r\n\r\na/00.png 0");
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, list, NULL));
    ck_assert_int_eq(deep_dataset_size(dataset), 3);
    ck_assert_str_eq(deep_dataset_name(dataset, 0), "a/00.png");
    ck_assert_str_eq(deep_dataset_name(dataset, 2), "b/00.png");
    ck_assert_int_eq(deep_dataset_class_size(dataset, 2), 0);
    ck_assert_int_eq(deep_classes_aphia_id(deep_dataset_classes(dataset), 1), 109982);
    deep_dataset_free(dataset);

    const deep_dataset_options elsewhere = {DEEP_DATASET_OPTIONS_INIT, .images = scratch_path(&folder, "set/images/")};
    list = scratch_write_text(&folder, "lists/train.txt", "a/01.png 0\n");
    scratch_write_text(&folder, "lists/classes.txt", "a\n");
    assert_ok(deep_dataset_open(&dataset, context, list, &elsewhere));
    ck_assert_str_eq(deep_dataset_path(dataset, 0), scratch_path(&folder, "set/images/a/01.png"));
    deep_dataset_free(dataset);
}
END_TEST

/* ---- images that cannot be decoded ---- */

static deep_status open_with_bad(deep_dataset **dataset, int good, int bad, int32_t policy, int32_t threads)
{
    write_class("root/a", good);
    write_class("root/b", 2);
    for (int i = 0; i < bad; ++i) {
        char name[64];
        snprintf(name, sizeof name, "root/a/bad%d.png", i);
        scratch_write_text(&folder, name, "this is no image");
    }
    const deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT, .on_bad_image = policy, .threads = threads};
    return deep_dataset_open(dataset, context, scratch_path(&folder, "root"), &options);
}

START_TEST(a_bad_image_in_a_hundred_is_skipped_and_named)
{
    for (int32_t threads = 1; threads <= 8; threads *= 8) {
        deep_dataset *dataset;
        warnings = 0;
        assert_ok(open_with_bad(&dataset, 98, 1, DEEP_BAD_IMAGE_SKIP, threads)); /* 1 of 101 */
        ck_assert_int_eq(deep_dataset_size(dataset), 100);
        ck_assert_int_eq(deep_dataset_class_size(dataset, 0), 98);
        ck_assert_int_eq(deep_dataset_bad_count(dataset), 1);
        ck_assert_str_eq(deep_dataset_bad_path(dataset, 0), scratch_path(&folder, "root/a/bad0.png"));
        ck_assert_ptr_nonnull(deep_dataset_bad_reason(dataset, 0));
        ck_assert_ptr_null(strstr(deep_dataset_bad_reason(dataset, 0), "bad0.png"));
        ck_assert_ptr_null(deep_dataset_bad_path(dataset, 1));
        ck_assert_int_eq(warnings, 1);
        deep_dataset_free(dataset);
    }
}
END_TEST

START_TEST(two_in_a_hundred_are_refused)
{
    deep_dataset *dataset;
    assert_status(open_with_bad(&dataset, 98, 2, DEEP_BAD_IMAGE_SKIP, 2), DEEP_ERROR_DATASET);
    assert_says("2 of 102 images cannot be decoded, more than 1 %; the first: ");
    assert_says("bad0.png");
    ck_assert_ptr_null(dataset);
}
END_TEST

START_TEST(one_is_refused_by_option_and_all_are_kept_by_option)
{
    deep_dataset *dataset;
    assert_status(open_with_bad(&dataset, 98, 1, DEEP_BAD_IMAGE_REFUSE, 2), DEEP_ERROR_DATASET);
    assert_says("1 of 101 images");
    assert_ok(open_with_bad(&dataset, 98, 1, DEEP_BAD_IMAGE_KEEP, 2));
    ck_assert_int_eq(deep_dataset_size(dataset), 101);
    deep_dataset_free(dataset);
}
END_TEST

START_TEST(a_class_that_bad_images_empty_is_refused)
{
    write_class("root/a", 110);
    scratch_write_text(&folder, "root/b/only.png", "no image");
    assert_opens_with(DEEP_ERROR_DATASET, "none of the 1 images of class 'b'", scratch_path(&folder, "root"), NULL);
}
END_TEST

/* ---- groups and splits ---- */

static deep_dataset *open_grouped(void)
{
    /* Ten moments with two images of class a and, at every second one, one of class b. */
    for (int i = 0; i < 10; ++i) {
        char name[64];
        for (int k = 0; k < 2; ++k) {
            snprintf(name, sizeof name, "root/a/t%02d-%d.png", i, k);
            scratch_write_png(&folder, context, name, 5, 5, (unsigned)i);
        }
        snprintf(name, sizeof name, "root/b/t%02d-0.png", i);
        if (i % 2 == 0) scratch_write_png(&folder, context, name, 5, 5, (unsigned)i);
    }
    const deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT, .group_by = "/t([0-9]+)-"};
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, scratch_path(&folder, "root"), &options));
    ck_assert_str_eq(deep_dataset_group(dataset, 0), "00");
    return dataset;
}

START_TEST(a_group_stays_on_one_side)
{
    deep_dataset *all = open_grouped();
    for (uint64_t seed = 0; seed < 20; ++seed) {
        const deep_split_options options = {DEEP_SPLIT_OPTIONS_INIT, .seed = seed};
        deep_dataset *train, *valid;
        assert_ok(deep_dataset_split(&train, &valid, all, 0.3, &options));
        ck_assert_int_eq(deep_dataset_size(train) + deep_dataset_size(valid), 25);
        ck_assert_int_ge(deep_dataset_class_size(valid, 0), 4);
        ck_assert_int_le(deep_dataset_class_size(valid, 0), 8);
        for (int64_t i = 0; i < deep_dataset_size(train); ++i)
            for (int64_t k = 0; k < deep_dataset_size(valid); ++k)
                ck_assert_str_ne(deep_dataset_group(train, i), deep_dataset_group(valid, k));
        deep_dataset_free(train);
        deep_dataset_free(valid);
    }
    deep_dataset_free(all);
}
END_TEST

START_TEST(a_split_depends_on_its_seed_alone)
{
    deep_dataset *all = open_grouped(), *train, *first, *second, *other;
    const deep_split_options one = {DEEP_SPLIT_OPTIONS_INIT, .seed = 1}, two = {DEEP_SPLIT_OPTIONS_INIT, .seed = 2};
    assert_ok(deep_dataset_split(&train, &first, all, 0.4, &one));
    deep_dataset_free(train);
    assert_ok(deep_dataset_split(&train, &second, all, 0.4, &one));
    deep_dataset_free(train);
    assert_ok(deep_dataset_split(&train, &other, all, 0.4, &two));
    deep_dataset_free(train);
    deep_dataset_free(all); /* the sides do not borrow from it */
    ck_assert_int_eq(deep_dataset_size(first), deep_dataset_size(second));
    bool differs = deep_dataset_size(first) != deep_dataset_size(other);
    for (int64_t i = 0; i < deep_dataset_size(first); ++i) {
        ck_assert_str_eq(deep_dataset_path(first, i), deep_dataset_path(second, i));
        differs = differs || strcmp(deep_dataset_path(first, i), deep_dataset_path(other, i)) != 0;
    }
    ck_assert(differs);
    deep_dataset_free(first);
    deep_dataset_free(second);
    deep_dataset_free(other);
}
END_TEST

START_TEST(bad_splits_are_refused)
{
    write_class("root/a", 1);
    write_class("root/b", 1);
    deep_dataset *all, *train, *valid;
    assert_ok(deep_dataset_open(&all, context, scratch_path(&folder, "root"), NULL));
    assert_status(deep_dataset_split(&train, &valid, all, 0.2, NULL),
                  DEEP_ERROR_DATASET); /* a class keeps its only image */
    assert_says("leaves the validation side empty");
    ck_assert_ptr_null(train);
    ck_assert_ptr_null(valid);
    assert_status(deep_dataset_split(&train, &valid, all, 0, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_dataset_split(&train, &valid, all, 1, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_dataset_split(&train, NULL, all, .5, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_dataset_split(&train, &valid, NULL, .5, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    deep_dataset_free(all);
}
END_TEST

START_TEST(groups_come_from_a_manifest)
{
    write_class("root/a", 3);
    deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT, .manifest_column = "time"};
    options.manifest =
        scratch_write_text(&folder, "m.tsv", "label\tpath\ttime\na\ta/00.png\t7\na\ta/01.png\t8\r\n\na\ta/02.png\t7\n");
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, scratch_path(&folder, "root"), &options));
    ck_assert_str_eq(deep_dataset_group(dataset, 0), "7");
    ck_assert_str_eq(deep_dataset_group(dataset, 1), "8");
    ck_assert_str_eq(deep_dataset_group(dataset, 2), "7");
    deep_dataset_free(dataset);

    static const struct {
        const char *text;
        deep_status status;
        const char *said;
    } cases[] = {
        {"", DEEP_ERROR_FORMAT, "is empty"},
        {"path\twhen\n", DEEP_ERROR_FORMAT, "line 1: has no column 'time'"},
        {"file\ttime\n", DEEP_ERROR_FORMAT, "line 1: has no column 'path'"},
        {"path\ttime\na/00.png\n", DEEP_ERROR_FORMAT, "line 2: has fewer columns"},
        {"path\ttime\n\xFF\t1\n", DEEP_ERROR_FORMAT, "line 2: is not UTF-8"},
        {"path\ttime\na/00.png\t1\na/00.png\t2\n", DEEP_ERROR_FORMAT, "line 3: the path already stands in line 2"},
        {"path\ttime\na/00.png\t1\n", DEEP_ERROR_DATASET, "2 of 3 images are not in it, the first: a/01.png"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        options.manifest = scratch_write_text(&folder, "m.tsv", cases[i].text);
        assert_opens_with(cases[i].status, cases[i].said, scratch_path(&folder, "root"), &options);
    }
}
END_TEST

START_TEST(bad_options_are_refused)
{
    write_class("root/a", 2);
    char root[SCRATCH_PATH_SIZE];
    snprintf(root, sizeof root, "%s", scratch_path(&folder, "root"));
    deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT, .group_by = "a("};
    assert_opens_with(DEEP_ERROR_INVALID_ARGUMENT, "'a(' is not a regular expression", root, &options);
    options.group_by = "t([0-9]+)";
    assert_opens_with(DEEP_ERROR_DATASET, "2 of 2 image names do not match", root, &options);
    options.manifest = options.manifest_column = "x";
    assert_opens_with(DEEP_ERROR_INVALID_ARGUMENT, "exclude each other", root, &options);
    options = (deep_dataset_options){DEEP_DATASET_OPTIONS_INIT, .manifest = "x"};
    assert_opens_with(DEEP_ERROR_INVALID_ARGUMENT, "go together", root, &options);
    options = (deep_dataset_options){DEEP_DATASET_OPTIONS_INIT, .on_bad_image = 3};
    assert_opens_with(DEEP_ERROR_INVALID_ARGUMENT, "on_bad_image 3", root, &options);
    options = (deep_dataset_options){DEEP_DATASET_OPTIONS_INIT, .threads = -1};
    assert_opens_with(DEEP_ERROR_INVALID_ARGUMENT, "threads is -1", root, &options);
    options = (deep_dataset_options){.struct_size = 8};
    assert_opens_with(DEEP_ERROR_INVALID_ARGUMENT, "struct_size is 8", root, &options);
    assert_opens_with(DEEP_ERROR_INVALID_ARGUMENT, "empty", "", NULL);
    deep_dataset *dataset;
    assert_status(deep_dataset_open(&dataset, NULL, root, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_dataset_open(NULL, context, root, NULL), DEEP_ERROR_INVALID_ARGUMENT);
    deep_dataset_free(NULL);
    ck_assert_int_eq(deep_dataset_size(NULL), 0);
}
END_TEST

/* ---- lists in memory, saving ---- */

START_TEST(a_list_in_memory_keeps_its_order)
{
    write_class("a", 2);
    deep_classes *classes;
    deep_dataset *dataset;
    assert_ok(deep_classes_create(&classes, context, (const char *[]){"x", "y"}, NULL, 2));
    const char *paths[] = {scratch_path(&folder, "a/01.png"), scratch_path(&folder, "a/00.png")};
    const char *groups[] = {"g", "h"};
    assert_ok(deep_dataset_create(&dataset, context, paths, (int32_t[]){1, 0}, groups, 2, classes, NULL));
    ck_assert_str_eq(deep_dataset_path(dataset, 0), paths[0]);
    ck_assert_str_eq(deep_dataset_group(dataset, 1), "h");
    ck_assert_int_eq(deep_dataset_label(dataset, 0), 1);
    deep_dataset_free(dataset);
    assert_status(deep_dataset_create(&dataset, context, paths, (int32_t[]){1, 2}, NULL, 2, classes, NULL),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_says("label 2 of image 1");
    assert_status(deep_dataset_create(&dataset, context, paths, (int32_t[]){1, 0}, NULL, 0, classes, NULL),
                  DEEP_ERROR_DATASET);
    assert_status(deep_dataset_create(&dataset, context, (const char *[]){""}, (int32_t[]){1}, NULL, 1, classes, NULL),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_dataset_create(&dataset, context, paths, (int32_t[]){1, 0}, NULL, 2, NULL, NULL),
                  DEEP_ERROR_INVALID_ARGUMENT);
    deep_classes_free(classes);
}
END_TEST

START_TEST(what_is_saved_reads_back)
{
    deep_dataset *all = open_grouped(), *train, *valid, *again;
    assert_ok(deep_dataset_split(&train, &valid, all, 0.2, NULL));
    scratch_make_parents(&folder, "run/x");
    assert_ok(deep_dataset_save(train, scratch_path(&folder, "run/train.txt")));
    const deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT, .images = scratch_path(&folder, "root")};
    assert_ok(deep_dataset_open(&again, context, scratch_path(&folder, "run/train.txt"), &options));
    ck_assert_int_eq(deep_dataset_size(again), deep_dataset_size(train));
    for (int64_t i = 0; i < deep_dataset_size(again); ++i) {
        ck_assert_str_eq(deep_dataset_path(again, i), deep_dataset_path(train, i));
        ck_assert_int_eq(deep_dataset_label(again, i), deep_dataset_label(train, i));
    }
    assert_status(deep_dataset_save(train, scratch_path(&folder, "nowhere/train.txt")), DEEP_ERROR_IO);
    assert_status(deep_dataset_save(NULL, "x"), DEEP_ERROR_INVALID_ARGUMENT);
    deep_dataset_free(again);
    deep_dataset_free(valid);
    deep_dataset_free(train);
    deep_dataset_free(all);
}
END_TEST

START_TEST(what_would_not_read_back_is_not_saved)
{
    static const char *const names[] = {"#a.png", "/a.png", "../a.png", "a\nb.png", "\357\273\277a.png", "caf\351.png"};
    const deep_dataset_options keep = {DEEP_DATASET_OPTIONS_INIT, .on_bad_image = DEEP_BAD_IMAGE_KEEP};
    deep_classes *classes;
    assert_ok(deep_classes_create(&classes, context, (const char *[]){"x"}, NULL, 1));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        deep_dataset *dataset;
        assert_ok(deep_dataset_create(&dataset, context, &names[i], (int32_t[]){0}, NULL, 1, classes, &keep));
        assert_status(deep_dataset_save(dataset, scratch_path(&folder, "list.txt")), DEEP_ERROR_INVALID_ARGUMENT);
        ck_assert_int_ne(access(scratch_path(&folder, "list.txt"), F_OK), 0);
        deep_dataset_free(dataset);
    }
    deep_classes_free(classes);
}
END_TEST

START_TEST(statistics_are_means_of_the_images_means)
{
    const uint8_t small[3] = {10, 20, 30}, large[12] = {0, 0, 0, 100, 0, 0, 0, 0, 0, 100, 0, 0};
    const deep_pixels pixels[2] = {
        {DEEP_PIXELS_INIT, .data = small, .width = 1, .height = 1, .format = DEEP_PIXEL_RGB},
        {DEEP_PIXELS_INIT, .data = large, .width = 2, .height = 2, .format = DEEP_PIXEL_RGB},
    };
    scratch_make_parents(&folder, "root/a/x");
    for (int i = 0; i < 2; ++i) {
        deep_image *image;
        assert_ok(deep_image_wrap(&image, context, &pixels[i]));
        assert_ok(deep_image_save_png(image, scratch_path(&folder, i == 0 ? "root/a/0.png" : "root/a/1.png")));
        deep_image_free(image);
    }
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, scratch_path(&folder, "root"), NULL));
    for (int32_t threads = 1; threads <= 8; threads *= 8) {
        double mean[3], std[3];
        assert_ok(deep__dataset_statistics(dataset, threads, mean, std));
        ck_assert_double_eq_tol(mean[0], (10 + 50) / 2.0, 1e-12);
        ck_assert_double_eq_tol(mean[1], (20 + 0) / 2.0, 1e-12);
        ck_assert_double_eq_tol(std[0], (0 + 50) / 2.0, 1e-12);
        ck_assert_double_eq_tol(std[2], 0, 1e-12);
    }
    deep_context_cancel(context);
    double unused[3];
    assert_status(deep__dataset_statistics(dataset, 2, unused, unused), DEEP_ERROR_CANCELLED);
    deep_context_resume(context);
    deep_dataset_free(dataset);
}
END_TEST

/* ---- failing allocations ---- */

START_TEST(a_failed_allocation_is_an_error_without_a_leak)
{
    write_class("set/images/a", 3);
    write_class("set/images/b", 3);
    scratch_write_text(&folder, "set/files/classes.txt", "a\nb\n");
    scratch_write_text(&folder, "set/files/aphia_ids.txt", "1\n2\n");
    char list[SCRATCH_PATH_SIZE], root[SCRATCH_PATH_SIZE];
    snprintf(list, sizeof list, "%s",
             scratch_write_text(&folder, "set/files/train.txt",
                                "a/00.png 0\na/01.png 0\na/02.png 0\nb/00.png 1\nb/01.png 1\nb/02.png 1\n"));
    snprintf(root, sizeof root, "%s", scratch_path(&folder, "set/images"));
    const deep_dataset_options options = {DEEP_DATASET_OPTIONS_INIT, .group_by = "/0([0-9])", .threads = 1};
    for (int which = 0; which < 4; ++which)
        for (long n = 2;; ++n) {
            failing_allocator allocator = {.fail_at = n, .forever = which >= 2};
            const deep_context_options failing_context = failing_options(&allocator);
            deep_context *failing;
            deep_dataset *all, *train = NULL, *valid = NULL;
            assert_ok(deep__context_create(&failing, &failing_context));
            deep_status status = deep_dataset_open(&all, failing, which % 2 == 0 ? list : root, &options);
            if (status == DEEP_OK) status = deep_dataset_split(&train, &valid, all, 0.34, NULL);
            ck_assert_msg(status == DEEP_OK || status == DEEP_ERROR_OUT_OF_MEMORY, "request %ld gave %s (%s)", n,
                          deep_status_name(status), deep_last_error());
            deep_dataset_free(train);
            deep_dataset_free(valid);
            deep_dataset_free(all);
            deep_context_free(failing);
            ck_assert_int_eq(allocator.living, 0);
            if (status == DEEP_OK && allocator.requests < n) break;
        }
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("dataset");
    TCase *tests = tcase_create("dataset");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    const TTest *const list[] = {
        folders_are_classes_in_byte_order,
        an_empty_folder_is_a_class_without_images,
        links_are_followed_but_not_in_circles,
        bad_folders_are_refused,
        a_class_table_replaces_folder_names,
        the_table_of_bad_lists,
        a_split_file_finds_its_images,
        a_bad_image_in_a_hundred_is_skipped_and_named,
        two_in_a_hundred_are_refused,
        one_is_refused_by_option_and_all_are_kept_by_option,
        a_class_that_bad_images_empty_is_refused,
        a_group_stays_on_one_side,
        a_split_depends_on_its_seed_alone,
        bad_splits_are_refused,
        groups_come_from_a_manifest,
        bad_options_are_refused,
        a_list_in_memory_keeps_its_order,
        what_is_saved_reads_back,
        what_would_not_read_back_is_not_saved,
        statistics_are_means_of_the_images_means,
        a_failed_allocation_is_an_error_without_a_leak,
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; ++i)
        tcase_add_test(tests, list[i]);
    suite_add_tcase(suite, tests);
    return suite;
}
