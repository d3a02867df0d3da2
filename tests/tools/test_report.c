/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "core/context.h"
#include "markup.h"
#include "report.h"
#include "svg.h"
#include "synth.h"
#include "test.h"
#include "train/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static deep_context *context;
static char folder[] = "report-XXXXXX";

static void setup(void)
{
    assert_ok(deep_context_create(&context, NULL));
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    ck_assert_int_eq(rmdir(folder), 0); /* each test removes its files */
    deep_context_free(context);
}

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    const size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, size, file), size);
    text[size] = '\0';
    fclose(file);
    return text;
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        ++found;
    return found;
}

/* Every element that is opened is closed, and nothing comes from outside. */
static void check_document(const char *text)
{
    static const char *const elements[] = {"div",    "section", "svg",   "g", "table", "tr", "td",
                                           "figure", "text",    "title", "b", "p",     "h3"};
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; ++i) {
        char open[32], open_with[32], close[32];
        snprintf(open, sizeof open, "<%s>", elements[i]);
        snprintf(open_with, sizeof open_with, "<%s ", elements[i]);
        snprintf(close, sizeof close, "</%s>", elements[i]);
        ck_assert_msg(count(text, open) + count(text, open_with) == count(text, close),
                      "<%s>: %d + %d opened, %d closed", elements[i], count(text, open), count(text, open_with),
                      count(text, close));
    }
    ck_assert_int_eq(count(text, "<script"), 0);
    ck_assert_int_eq(count(text, "://"), 0);
    static const char *const wrong[] = {" nan", "\"nan", ">nan", " inf", "\"inf", "-inf", "-nan"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i)
        ck_assert_int_eq(count(text, wrong[i]), 0);
}

/* ---- the pieces ---- */

START_TEST(text_from_outside_is_escaped)
{
    markup text = {0};
    markup_escape(&text, "<a href=\"x\">'&\n\x01");
    ck_assert_str_eq(text.data, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;  ");
    markup_escape(&text, NULL);
    markup_free(&text);
    markup_escape_short(&text, "short", 12);
    ck_assert_str_eq(text.data, "short");
    markup_free(&text);
    markup_escape_short(&text, "abcdefghijklmnopqrstuvwxyz", 12);
    ck_assert_str_eq(text.data, "abcdefgh\xe2\x80\xa6xyz");
    markup_free(&text);
    markup_escape_short(&text, "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 7); /* no half characters */
    ck_assert_str_eq(text.data, "\xc3\xa4\xc3\xa4\xe2\x80\xa6\xc3\xa4");
    markup_free(&text);
}
END_TEST

START_TEST(base64_is_that_of_rfc_4648)
{
    static const char *const table[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < 7; ++i) {
        markup text = {0};
        markup_add(&text, "");
        markup_base64(&text, table[i][0], strlen(table[i][0]));
        ck_assert_str_eq(text.data, table[i][1]);
        markup_free(&text);
    }
}
END_TEST

START_TEST(a_line_has_gaps_where_values_are_missing)
{
    const double values[5] = {3, 2, NAN, 1, 0.5};
    const svg_series series = {"training", "train", values};
    markup text = {0};
    svg_line_chart(&text, &(svg_lines){.title = "Loss", .series = &series, .series_count = 1, .count = 5});
    ck_assert_int_eq(count(text.data, "<circle"), 4);
    const char *path = strstr(text.data, "<path");
    ck_assert_ptr_nonnull(path);
    const char *second = strchr(strchr(path, 'M') + 1, 'M');
    ck_assert_ptr_nonnull(second);
    ck_assert(second < strchr(path, '>'));
    check_document(text.data);
    markup_free(&text);
}
END_TEST

START_TEST(odd_charts_are_drawn_all_the_same)
{
    const double nothing[3] = {NAN, NAN, NAN}, equal[3] = {2, 2, 2}, zero[3] = {0, 0, 0}, wide[3] = {1e-9, 1, 1e9};
    const double *const lines[4] = {nothing, equal, zero, wide};
    for (int i = 0; i < 4; ++i)
        for (int points = 0; points <= 3; ++points)
            for (int kind = 0; kind < 3; ++kind) {
                const svg_series series[2] = {{"training", "train", lines[i]}, {"validation", "valid", lines[3 - i]}};
                markup text = {0};
                svg_line_chart(&text, &(svg_lines){.title = "x",
                                                   .series = series,
                                                   .series_count = 2,
                                                   .count = points,
                                                   .marked = 2,
                                                   .mark = "kept",
                                                   .log_scale = kind == 1,
                                                   .percent = kind == 2});
                check_document(text.data);
                markup_free(&text);
            }
}
END_TEST

/* ---- whole reports ---- */

enum { IMAGES = 12, SIDE = 24 };

/* Six images of synthetic plankton in each of two folders; the first class has a name that HTML would take for an element. */
static const char *const class_names[2] = {"<i>copepod", "radiolarian"};

static deep_dataset *make_dataset(void)
{
    for (int i = 0; i < IMAGES; ++i) {
        char path[256];
        synth_random random = synth_random_for(1, (uint64_t)i, 0);
        synth_image picture;
        snprintf(path, sizeof path, "%s/%s", folder, class_names[i % 2]);
        mkdir(path, 0777);
        ck_assert_int_eq(synth_draw(&picture, synth_family_at(i % 2), &random, SIDE, SIDE), 0);
        const deep_pixels pixels = {DEEP_PIXELS_INIT, .data = picture.data, .width = picture.width,
                                    .height = picture.height,
                                    .format = picture.channels == 1 ? DEEP_PIXEL_GRAY8 : DEEP_PIXEL_RGB};
        deep_image *image;
        assert_ok(deep_image_wrap(&image, context, &pixels));
        snprintf(path, sizeof path, "%s/%s/%02d.png", folder, class_names[i % 2], i);
        assert_ok(deep_image_save_png(image, path));
        deep_image_free(image);
        free(picture.data);
    }
    deep_dataset *dataset;
    assert_ok(deep_dataset_open(&dataset, context, folder, NULL));
    return dataset;
}

static void remove_dataset(void)
{
    for (int i = 0; i < IMAGES; ++i) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s/%02d.png", folder, class_names[i % 2], i);
        unlink(path);
    }
    rmdir(in_folder(class_names[0]));
    rmdir(in_folder(class_names[1]));
}

/* Every fourth image is called wrongly. */
static deep_metrics *make_metrics(const deep_dataset *dataset)
{
    float probabilities[2 * IMAGES];
    int32_t labels[IMAGES];
    for (int i = 0; i < IMAGES; ++i) {
        labels[i] = deep_dataset_label(dataset, i);
        const float right = i % 4 == 0 ? 0.2f : 0.9f;
        probabilities[2 * i + labels[i]] = right;
        probabilities[2 * i + 1 - labels[i]] = 1 - right;
    }
    deep_metrics *metrics;
    assert_ok(deep_metrics_compute(&metrics, context, probabilities, labels, IMAGES, 2));
    return metrics;
}

static deep_history *make_history(void)
{
    deep_history *history;
    assert_ok(deep__history_create(&history, &context->allocator));
    for (int i = 1; i <= 3; ++i) {
        const deep_epoch epoch = {.struct_size = sizeof epoch,
                                  .epoch = i,
                                  .has_valid = i != 2,
                                  .loss = 2.0 / i,
                                  .accuracy = 0.3 * i,
                                  .valid_loss = 2.5 / i,
                                  .valid_accuracy = 0.25 * i,
                                  .learning_rate = i == 3 ? 1e-4 : 1e-3};
        assert_ok(deep__history_add(history, &epoch));
    }
    return history;
}

START_TEST(a_report_has_every_section)
{
    deep_dataset *dataset = make_dataset();
    deep_metrics *metrics = make_metrics(dataset);
    deep_history *history = make_history();
    char path[256], *texts[2];
    snprintf(path, sizeof path, "%s", in_folder("report.html"));
    const report_input input = {.path = path,
                                .title = "Plankton & <friends>",
                                .history = history,
                                .metrics = metrics,
                                .dataset = dataset,
                                .context = context};
    for (int i = 0; i < 2; ++i) {
        ck_assert_int_eq(report_write(&input), 0);
        texts[i] = read_text(path);
        unlink(path);
    }
    ck_assert_str_eq(texts[0], texts[1]);
    check_document(texts[0]);
    ck_assert_int_eq(count(texts[0], "<section"), 5);
    ck_assert_ptr_nonnull(strstr(texts[0], "<h1>Plankton &amp; &lt;friends&gt;</h1>"));
    ck_assert_int_eq(count(texts[0], "<i>"), 0);
    ck_assert_ptr_nonnull(strstr(texts[0], "&lt;i&gt;copepod"));
    ck_assert_ptr_nonnull(strstr(texts[0], "75.0&#8239;%"));
    const int wrong = 3; /* images 0, 4 and 8, in one class or two */
    ck_assert_int_ge(count(texts[0], "data:image/png;base64,iVBOR"), wrong + 2);
    free(texts[0]);
    free(texts[1]);
    deep_history_free(history);
    deep_metrics_free(metrics);
    deep_dataset_free(dataset);
    remove_dataset();
}
END_TEST

START_TEST(a_report_of_nothing_is_a_page)
{
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder("report.html"));
    ck_assert_int_eq(report_write(&(report_input){.path = path, .title = "Nothing", .context = context}), 0);
    char *text = read_text(path);
    check_document(text);
    ck_assert_int_eq(count(text, "<section"), 0);
    free(text);
    unlink(path);
}
END_TEST

START_TEST(of_many_classes_those_with_errors_are_shown)
{
    enum { CLASSES = 90 };
    float *probabilities = calloc((size_t)CLASSES * CLASSES, sizeof *probabilities);
    int32_t labels[CLASSES];
    for (int i = 0; i < CLASSES; ++i) {
        labels[i] = i;
        probabilities[i * CLASSES + (i == 77 ? 78 : i)] = 1;
    }
    deep_metrics *metrics;
    assert_ok(deep_metrics_compute(&metrics, context, probabilities, labels, CLASSES, CLASSES));
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder("report.html"));
    ck_assert_int_eq(
        report_write(&(report_input){.path = path, .title = "Many", .metrics = metrics, .context = context}), 0);
    char *text = read_text(path);
    check_document(text);
    ck_assert_ptr_nonnull(strstr(text, "Of 90 classes, the 40 with most errors"));
    ck_assert_int_eq(count(text, "class=\"count\""), 40);
    ck_assert_ptr_nonnull(strstr(text, "1 of 1 (100.0 %)"));
    free(text);
    unlink(path);
    free(probabilities);
    deep_metrics_free(metrics);
}
END_TEST

START_TEST(a_report_that_cannot_be_written_leaves_nothing)
{
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder("none/report.html"));
    ck_assert_int_eq(report_write(&(report_input){.path = path, .title = "x", .context = context}), -1);
    snprintf(path, sizeof path, "%s", in_folder("taken"));
    ck_assert_int_eq(mkdir(path, 0777), 0);
    ck_assert_int_eq(report_write(&(report_input){.path = path, .title = "x", .context = context}), -1);
    ck_assert_int_eq(rmdir(path), 0); /* teardown sees that no temporary file is left */
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, text_from_outside_is_escaped);
    tcase_add_test(tests, base64_is_that_of_rfc_4648);
    tcase_add_test(tests, a_line_has_gaps_where_values_are_missing);
    tcase_add_test(tests, odd_charts_are_drawn_all_the_same);
    tcase_add_test(tests, a_report_has_every_section);
    tcase_add_test(tests, a_report_of_nothing_is_a_page);
    tcase_add_test(tests, of_many_classes_those_with_errors_are_shown);
    tcase_add_test(tests, a_report_that_cannot_be_written_leaves_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
