/* SPDX-License-Identifier: Apache-2.0 */
#include "report_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAIRS = 8,
    WRONG_THUMBS = 5,
    RIGHT_THUMBS = 3,
    THUMB_SIDE = 160
}; /* pixels; shown at 84, sharp on dense screens */

typedef struct pair {
    int truth, answer;
    int64_t count, all; /* so many of the class's images */
} pair;

static int more_frequent(const void *left, const void *right)
{
    const pair *a = left, *b = right;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    const int64_t share_a = a->count * b->all,
                  share_b = b->count * a->all; /* of two rare ones the larger part of its class */
    if (share_a != share_b) return share_a < share_b ? 1 : -1;
    if (a->truth != b->truth) return a->truth < b->truth ? -1 : 1;
    return a->answer < b->answer ? -1 : 1;
}

/* Keeps `pairs` sorted, the rarest falling out. */
static void offer(pair *pairs, int *count, pair candidate)
{
    if (*count == PAIRS && more_frequent(&candidate, &pairs[PAIRS - 1]) > 0) return;
    if (*count < PAIRS) ++*count;
    pairs[*count - 1] = candidate;
    qsort(pairs, (size_t)*count, sizeof *pairs, more_frequent);
}

static int find_pairs(pair *pairs, const int64_t *counts, int classes)
{
    int found = 0;
    for (int truth = 0; truth < classes; ++truth) {
        const int64_t *row = counts + (int64_t)truth * classes;
        int64_t all = 0;
        for (int answer = 0; answer < classes; ++answer)
            all += row[answer];
        for (int answer = 0; answer < classes; ++answer)
            if (answer != truth && row[answer] > 0) offer(pairs, &found, (pair){truth, answer, row[answer], all});
    }
    return found;
}

/* The images of `truth` that were called `answer`, the most confident first; how many were found, at most `wanted`. */
static int find_images(const report_input *input, int truth, int answer, int64_t *images, int wanted)
{
    const int64_t size = deep_dataset_size(input->dataset);
    int found = 0;
    for (int64_t i = 0; i < size; ++i) {
        if (deep_metrics_label(input->metrics, i) != truth || deep_metrics_predicted(input->metrics, i) != answer)
            continue;
        const float confidence = deep_metrics_confidence(input->metrics, i);
        int place = found;
        while (place > 0 && deep_metrics_confidence(input->metrics, images[place - 1]) < confidence)
            --place;
        if (place == wanted) continue;
        if (found < wanted) ++found;
        memmove(images + place + 1, images + place, (size_t)(found - place - 1) * sizeof *images);
        images[place] = i;
    }
    return found;
}

/* `image` made at most THUMB_SIDE wide and high; NULL when it is small enough or cannot be. */
static deep_image *shrink(const deep_image *image)
{
    const int32_t width = deep_image_width(image), height = deep_image_height(image);
    const int32_t longest = width > height ? width : height;
    if (longest <= THUMB_SIDE) return NULL;
    const int64_t small_width = (int64_t)width * THUMB_SIDE / longest,
                  small_height = (int64_t)height * THUMB_SIDE / longest;
    deep_image *small = NULL;
    const deep_status status = deep_image_resize(&small, image, small_width < 1 ? 1 : (int32_t)small_width,
                                                 small_height < 1 ? 1 : (int32_t)small_height, DEEP_FILTER_AREA);
    return status == DEEP_OK ? small : NULL;
}

/* A picture that cannot be read any more leaves its place empty. */
static void add_picture(markup *to, const report_input *input, int64_t index)
{
    deep_image *image = NULL;
    void *file = NULL;
    size_t size = 0;
    if (deep_image_load(&image, input->context, deep_dataset_path(input->dataset, index), NULL) != DEEP_OK) return;
    deep_image *small = shrink(image);
    if (deep_image_encode_png(small != NULL ? small : image, &file, &size) == DEEP_OK) {
        markup_add(to, "<img alt=\"\" src=\"data:image/png;base64,");
        markup_base64(to, file, size);
        markup_add(to, "\">");
    }
    deep_free(input->context, file);
    deep_image_free(small);
    deep_image_free(image);
}

static void add_thumbs(markup *to, const report_input *input, int truth, int answer, int wanted)
{
    int64_t images[WRONG_THUMBS];
    const int found = find_images(input, truth, answer, images, wanted);
    markup_format(to, "<div class=\"thumbs%s\">", truth == answer ? "" : " wrongly");
    for (int i = 0; i < found; ++i) {
        markup_add(to, "<figure title=\"");
        markup_escape(to, deep_dataset_name(input->dataset, images[i]));
        markup_add(to, "\"><div class=\"frame\">");
        add_picture(to, input, images[i]);
        markup_format(to, "</div><figcaption>%.0f&#8239;%%</figcaption></figure>",
                      100 * (double)deep_metrics_confidence(input->metrics, images[i]));
    }
    markup_add(to, "</div>");
}

static void add_pair(markup *to, const report_input *input, const pair *confusion)
{
    markup_add(to, "<div class=\"pair\"><div><div class=\"what\"><b>");
    markup_escape(to, report_class_name(input, confusion->truth));
    markup_add(to, "</b><br>called <b>");
    markup_escape(to, report_class_name(input, confusion->answer));
    markup_format(to, "</b></div><div class=\"how\">%" PRId64 " of %" PRId64 " images, %.0f&#8239;%%</div></div>\n",
                  confusion->count, confusion->all, 100.0 * (double)confusion->count / (double)confusion->all);
    if (input->dataset != NULL) {
        markup_add(to, "<div><h3>called wrongly</h3>");
        add_thumbs(to, input, confusion->truth, confusion->answer, WRONG_THUMBS);
        markup_add(to, "</div>\n<div><h3>rightly ");
        markup_escape_short(to, report_class_name(input, confusion->answer), 24);
        markup_add(to, "</h3>");
        add_thumbs(to, input, confusion->answer, confusion->answer, RIGHT_THUMBS);
        markup_add(to, "</div>");
    }
    markup_add(to, "</div>\n");
}

void report_add_worst(markup *to, const report_input *input)
{
    const int32_t classes = report_class_count(input);
    pair pairs[PAIRS];
    const int found = classes < 2 ? 0 : find_pairs(pairs, deep_metrics_confusion(input->metrics), classes);
    if (found == 0) return;
    markup_add(to, "<section class=\"long\"><h2>Most frequent confusions</h2><p>With the images that the model was "
                   "surest of; under "
                   "each its confidence.</p>\n");
    for (int i = 0; i < found; ++i)
        add_pair(to, input, &pairs[i]);
    markup_add(to, "</section>\n");
}
