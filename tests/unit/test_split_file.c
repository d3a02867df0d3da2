/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "core/context.h"
#include "data/class_file.h"
#include "data/split_file.h"
#include "scratch.h"
#include "test.h"

#include <deep/model.h>

static deep_context *context;
static scratch folder;

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
    scratch_make(&folder);
}

static void teardown(void)
{
    scratch_remove(&folder);
    deep_context_free(context);
}

static deep_status parse(deep_split_rows *rows, const char *text, size_t size)
{
    *rows = (deep_split_rows){.allocator = &context->allocator};
    return deep__split_file_parse(rows, text, size, "list.txt", 12);
}

/* Rows are sorted by path after parsing. */
static void assert_row(const deep_split_row *row, const char *name, int32_t label)
{
    ck_assert_msg(row->length == strlen(name) && memcmp(row->name, name, row->length) == 0,
                  "path '%.*s', expected '%s'", (int)row->length, row->name, name);
    ck_assert_int_eq(row->label, label);
}

START_TEST(three_dialects_are_read)
{
    static const char *const dialects[] = {
        "a/1.png 0\nb c/2.png 11\n",                          /* one space; the path may contain spaces */
        "a/1.png\t0\nb c/2.png\t11\n",                        /* TAB */
        "a/1.png   0\r\nb c/2.png \t 11  \r\n",               /* any white space, CRLF, white space at the end */
        "\357\273\277a/1.png 0\n\n# note\n   \nb c/2.png 11", /* byte order mark, blank lines, comment, no last newline */
        "./a/1.png 0\n././b c/2.png 11\n",
    };
    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; ++i) {
        deep_split_rows rows;
        assert_ok(parse(&rows, dialects[i], strlen(dialects[i])));
        ck_assert_uint_eq(rows.count, 2);
        assert_row(&rows.items[0], "a/1.png", 0);
        assert_row(&rows.items[1], "b c/2.png", 11);
        deep__split_rows_free(&rows);
    }
}
END_TEST

START_TEST(a_tab_leaves_the_path_exact)
{
    const char *text = "a \t1\nb#\tc 2\t3\n";
    deep_split_rows rows;
    assert_ok(parse(&rows, text, strlen(text)));
    assert_row(&rows.items[0], "a ", 1);
    assert_row(&rows.items[1], "b#\tc 2", 3);
    deep__split_rows_free(&rows);
}
END_TEST

/* Malformed split files, with what the message must say. */
static const struct {
    const char *text;
    const char *said;
} malformed[] = {
    {"a.png", "line 1: has no separator"},
    {"a.png 0\nb.png\n", "line 2: has no separator"},
    {"a.png x\n", "line 1: the label 'x' is not an integer"},
    {"a.png 1.0\n", "the label '1.0' is not an integer"},
    {"a.png 0x1\n", "'0x1' is not an integer"},
    {"a.png 99999999999999999999\n", "is not an integer"},
    {"a.png 12\n", "line 1: label 12 is not 0 to 11"},
    {"a.png -1\n", "line 1: label -1 is not 0 to 11"},
    {"a.png 4294967296\n", "label 4294967296"},
    {"\t0\n", "line 1: the path is empty"},
    {" 0\n", "line 1: the path is empty"},
    {"/etc/a.png 0\n", "line 1: the path is absolute"},
    {"../a.png 0\n", "line 1: the path contains '..'"},
    {"a/../../b.png 0\n", "line 1: the path contains '..'"},
    {"a/.. 0\n", "line 1: the path contains '..'"},
    {"a.png 0\nb.png 1\na.png 0\n", "line 3: the path 'a.png' already stands in line 1"},
    {"a.png 0\n./a.png 1\n", "line 2: the path 'a.png' already stands in line 1"},
    {"caf\xE9.png 0\n", "line 1: is not UTF-8"},
    {"a\xC0\x80.png 0\n", "line 1: is not UTF-8"},
};

START_TEST(a_malformed_line_is_named)
{
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; ++i) {
        deep_split_rows rows;
        assert_status(parse(&rows, malformed[i].text, strlen(malformed[i].text)), DEEP_ERROR_FORMAT);
        ck_assert_msg(strstr(deep_last_error(), malformed[i].said) != NULL, "'%s' does not say '%s'", deep_last_error(),
                      malformed[i].said);
        ck_assert_ptr_nonnull(strstr(deep_last_error(), "list.txt"));
        deep__split_rows_free(&rows);
    }
}
END_TEST

START_TEST(a_nul_byte_and_a_line_of_a_megabyte_are_refused)
{
    deep_split_rows rows;
    assert_status(parse(&rows, "a.png 0\nb\0.png 0\n", 17), DEEP_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "line 2: contains a NUL byte"));
    deep__split_rows_free(&rows);
    const size_t size = 1 << 20;
    char *line = malloc(size);
    ck_assert_ptr_nonnull(line);
    memset(line, 'a', size);
    memcpy(line + size - 3, " 0\n", 3);
    assert_status(parse(&rows, line, size), DEEP_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "line 1: has 1048575 bytes"));
    deep__split_rows_free(&rows);
    free(line);
}
END_TEST

START_TEST(a_truncated_file_is_an_error_or_a_shorter_list)
{
    const char *text = "\357\273\277a/1.png 0\r\n# \xC3\xA9\nb c/2.png\t11\nd\xC3\xA9/3.jpg  5\n";
    for (size_t size = 0; size <= strlen(text); ++size) {
        char *copy = malloc(size + 1); /* at its exact size, for the address sanitizer */
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, text, size);
        deep_split_rows rows;
        const deep_status status = parse(&rows, copy, size);
        ck_assert(status == DEEP_ERROR_FORMAT || (status == DEEP_OK && rows.count <= 3));
        deep__split_rows_free(&rows);
        free(copy);
    }
}
END_TEST

START_TEST(every_flipped_bit_is_survived)
{
    char text[] = "a/1.png 0\nb c/2.png\t11\n";
    for (size_t bit = 0; bit < 8 * (sizeof text - 1); ++bit) {
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        deep_split_rows rows;
        const deep_status status = parse(&rows, text, sizeof text - 1);
        ck_assert(status == DEEP_OK || status == DEEP_ERROR_FORMAT);
        deep__split_rows_free(&rows);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
    }
}
END_TEST

static deep_status parse_classes(deep_classes **classes, const char *text)
{
    return deep__class_file_parse(classes, &context->allocator, text, strlen(text), "classes.txt");
}

START_TEST(class_tables_are_read)
{
    deep_classes *classes;
    assert_ok(parse_classes(&classes, "\357\273\277Acartia sp.\r\nfolder_1\tCopepoda / nauplii\t1080\n#4\n\n"));
    ck_assert_int_eq(deep_classes_count(classes), 3);
    ck_assert_str_eq(deep_classes_name(classes, 0), "Acartia sp.");
    ck_assert_str_eq(deep_classes_name(classes, 1), "Copepoda / nauplii");
    ck_assert_int_eq(deep_classes_aphia_id(classes, 1), 1080);
    ck_assert_int_eq(deep__classes_find_folder(classes, "folder_1"), 1);
    ck_assert_int_eq(deep__classes_find_folder(classes, "Copepoda / nauplii"), -1);
    ck_assert_str_eq(deep_classes_name(classes, 2), "#4");
    deep_classes_free(classes);
}
END_TEST

START_TEST(malformed_class_tables_are_refused)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "has no class"},
        {"\n \n", "has no class"},
        {"a\n\nb\n", "line 2: the class name is empty"},
        {"a\nb\na\n", "lines 1 and 3 have the same class name 'a'"},
        {"f\ta\nf\tb\n", "lines 1 and 2 have the same folder 'f'"},
        {"f\ta\tx\n", "line 1: the third field is not an AphiaID"},
        {"\ta\n", "line 1: a field of the class table is empty"},
        {"\xFF\n", "line 1: is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        deep_classes *classes;
        assert_status(parse_classes(&classes, cases[i].text), DEEP_ERROR_FORMAT);
        ck_assert_msg(strstr(deep_last_error(), cases[i].said) != NULL, "'%s' does not say '%s'", deep_last_error(),
                      cases[i].said);
        ck_assert_ptr_null(classes);
    }
}
END_TEST

START_TEST(aphia_ids_stand_beside_the_classes)
{
    deep_classes *classes;
    const char *path = scratch_write_text(&folder, "classes.txt", "a\nb\nc\n");
    scratch_write_text(&folder, "aphia_ids.txt", "149052\nunknown\n\n");
    assert_ok(deep__class_file_read(&classes, context, path));
    ck_assert_int_eq(deep_classes_aphia_id(classes, 0), 149052);
    ck_assert_int_eq(deep_classes_aphia_id(classes, 1), 0);
    ck_assert_int_eq(deep_classes_aphia_id(classes, 2), 0);
    deep_classes_free(classes);
}
END_TEST

static deep_model *through_a_file(const deep_classes *classes)
{
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small",
                                        .input_size = 71,        .width = 0.02,
                                        .middle_blocks = 1,      .classes = classes};
    deep_model *model, *loaded;
    void *data;
    size_t size;
    assert_ok(deep_model_create(&model, context, &options));
    assert_ok(deep_model_save_memory(model, &data, &size));
    assert_ok(deep_model_load_memory(&loaded, context, data, size));
    deep_free(context, data);
    deep_model_free(model);
    return loaded;
}

START_TEST(texts_about_classes_reach_the_model)
{
    deep_classes *classes, *again;
    const char *path = scratch_write_text(&folder, "classes.txt", "a\nb\nc\n");
    scratch_write_text(&folder, "info.txt", "a diatom\n\nk\303\266nnte alles sein \n");
    assert_ok(deep__class_file_read(&classes, context, path));
    ck_assert_str_eq(deep_classes_info(classes, 0), "a diatom");
    ck_assert_ptr_null(deep_classes_info(classes, 1));
    ck_assert_ptr_null(deep_classes_info(classes, 3));
    deep_model *model = through_a_file(classes);
    ck_assert_ptr_null(deep_model_class_info(model, 1));
    ck_assert_str_eq(deep_model_class_info(model, 2), "k\303\266nnte alles sein");
    deep_model_free(model);

    assert_ok(deep__class_file_write(classes, context, scratch_path(&folder, "classes.txt")));
    assert_ok(deep__class_file_read(&again, context, path));
    ck_assert_str_eq(deep_classes_info(again, 2), deep_classes_info(classes, 2));
    deep_classes_free(again);
    deep_classes_free(classes);
    scratch_write_text(&folder, "info.txt", "1\n2\n3\n4\n"); /* of other classes */
    assert_ok(deep__class_file_read(&classes, context, path));
    ck_assert_ptr_null(deep_classes_info(classes, 0));
    deep_classes_free(classes);
}
END_TEST

START_TEST(made_class_tables_are_checked)
{
    deep_classes *classes;
    assert_ok(deep_classes_create(&classes, context, (const char *[]){"x", "y"}, (int64_t[]){7, 0}, 2));
    ck_assert_int_eq(deep_classes_aphia_id(classes, 0), 7);
    ck_assert_ptr_null(deep_classes_name(classes, 2));
    ck_assert_ptr_null(deep_classes_name(classes, -1));
    deep_classes_free(classes);
    assert_status(deep_classes_create(&classes, context, (const char *[]){"x", "x"}, NULL, 2),
                  DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(deep_last_error(), "classes 0 and 1"));
    assert_status(deep_classes_create(&classes, context, (const char *[]){"x", ""}, NULL, 2),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_classes_create(&classes, context, (const char *[]){"\xFF"}, NULL, 1),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_classes_create(&classes, context, (const char *[]){"x"}, NULL, 0), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_classes_create(&classes, context, (const char *[]){"x"}, NULL, 65537),
                  DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_classes_create(&classes, context, NULL, NULL, 1), DEEP_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(classes);
    deep_classes_free(NULL);
    ck_assert_int_eq(deep_classes_count(NULL), 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("split file");
    TCase *tests = tcase_create("split file");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, three_dialects_are_read);
    tcase_add_test(tests, a_tab_leaves_the_path_exact);
    tcase_add_test(tests, a_malformed_line_is_named);
    tcase_add_test(tests, a_nul_byte_and_a_line_of_a_megabyte_are_refused);
    tcase_add_test(tests, a_truncated_file_is_an_error_or_a_shorter_list);
    tcase_add_test(tests, every_flipped_bit_is_survived);
    tcase_add_test(tests, class_tables_are_read);
    tcase_add_test(tests, malformed_class_tables_are_refused);
    tcase_add_test(tests, aphia_ids_stand_beside_the_classes);
    tcase_add_test(tests, texts_about_classes_reach_the_model);
    tcase_add_test(tests, made_class_tables_are_checked);
    suite_add_tcase(suite, tests);
    return suite;
}
