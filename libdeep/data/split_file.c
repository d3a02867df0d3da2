/* SPDX-License-Identifier: Apache-2.0 */
#include "split_file.h"

#include "base/text.h"
#include "data/class_file.h"
#include "data/sort.h"

#include <string.h>

enum { PATH_MAX_BYTES = 4095, LINE_MAX_BYTES = PATH_MAX_BYTES + 64, QUOTE_MAX = 80 };

/* Where an error message is about. */
typedef struct place {
    const char *file;
    int64_t line;
} place;

static deep_status fail_at(place at, const char *reason)
{
    return deep__fail(DEEP_ERROR_FORMAT, "%s: line %" PRId64 ": %s", at.file, at.line, reason);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static deep_status check_line(const char *line, size_t length, place at)
{
    if (length > LINE_MAX_BYTES)
        return deep__fail(DEEP_ERROR_FORMAT, "%s: line %" PRId64 ": has %zu bytes, the most allowed is %d", at.file,
                          at.line, length, LINE_MAX_BYTES);
    if (memchr(line, '\0', length) != NULL) return fail_at(at, "contains a NUL byte");
    if (!deep__text_is_utf8(line, length)) return fail_at(at, "is not UTF-8");
    return DEEP_OK;
}

/* A relative path that stays below its root. */
static deep_status check_path(const char *path, size_t length, place at)
{
    if (length == 0) return fail_at(at, "the path is empty");
    if (path[0] == '/') return fail_at(at, "the path is absolute; paths are relative to the folder of the images");
    for (size_t start = 0; start < length;) {
        const char *slash = memchr(path + start, '/', length - start);
        const size_t end = slash == NULL ? length : (size_t)(slash - path);
        if (end - start == 2 && memcmp(path + start, "..", 2) == 0) return fail_at(at, "the path contains '..'");
        start = end + 1;
    }
    return DEEP_OK;
}

static deep_status parse_label(int32_t *label, const char *text, size_t length, int32_t class_count, place at)
{
    int64_t value;
    const int quoted = length > QUOTE_MAX ? QUOTE_MAX : (int)length;
    if (!deep__text_to_i64(text, length, &value))
        return deep__fail(DEEP_ERROR_FORMAT, "%s: line %" PRId64 ": the label '%.*s' is not an integer", at.file,
                          at.line, quoted, text);
    if (value < 0 || value >= class_count)
        return deep__fail(DEEP_ERROR_FORMAT,
                          "%s: line %" PRId64 ": label %" PRId64 " is not 0 to %" PRId32
                          ", the classes of the class table",
                          at.file, at.line, value, class_count - 1);
    *label = (int32_t)value;
    return DEEP_OK;
}

/* `line` without white space at its end, and not blank. */
static deep_status parse_row(deep_split_row *row, const char *line, size_t length, int32_t class_count, place at)
{
    size_t label = length, path;
    while (label > 0 && !is_space(line[label - 1]))
        --label;
    if (label == 0) return fail_at(at, "has no separator between path and label");
    path = label - 1;
    if (line[path] != '\t') /* a TAB is exact: the path may end in a space */
        while (path > 0 && is_space(line[path - 1]))
            --path;
    DEEP_TRY(parse_label(&row->label, line + label, length - label, class_count, at));
    const char *name = line;
    while (path > 2 && name[0] == '.' && name[1] == '/') { /* ./a.png is a.png */
        name += 2;
        path -= 2;
    }
    DEEP_TRY(check_path(name, path, at));
    row->name = name;
    row->length = path;
    row->line = at.line;
    return DEEP_OK;
}

static deep_status parse_rows(deep_split_rows *rows, const char *text, const char *end, place at, int32_t class_count)
{
    const char *line;
    size_t length;
    while (deep__text_line(&text, end, &line, &length)) {
        ++at.line;
        DEEP_TRY(check_line(line, length, at));
        while (length > 0 && is_space(line[length - 1]))
            --length;
        if (length == 0 || line[0] == '#') continue;
        deep_split_row row;
        DEEP_TRY(parse_row(&row, line, length, class_count, at));
        DEEP_TRY(deep__grow(&rows->items, rows->allocator, rows->count, &rows->capacity, rows->count + 1, sizeof row,
                            "rows of a split file"));
        rows->items[rows->count++] = row;
    }
    return DEEP_OK;
}

static int compare_names(const deep_split_row *a, const deep_split_row *b)
{
    const int order = memcmp(a->name, b->name, a->length < b->length ? a->length : b->length);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_rows(const void *a, const void *b)
{
    const deep_split_row *first = a, *second = b;
    const int order = compare_names(first, second);
    return order != 0 ? order : (first->line > second->line) - (first->line < second->line);
}

deep_status deep__split_file_parse(deep_split_rows *rows, const char *text, size_t size, const char *file,
                                   int32_t class_count)
{
    const char *end = text + size;
    DEEP_TRY(parse_rows(rows, deep__skip_byte_order_mark(text, end), end, (place){file, 0}, class_count));
    deep__sort(rows->items, rows->count, sizeof *rows->items, compare_rows);
    for (size_t i = 1; i < rows->count; ++i) {
        const deep_split_row *first = &rows->items[i - 1], *second = &rows->items[i];
        if (compare_names(first, second) == 0)
            return deep__fail(DEEP_ERROR_FORMAT,
                              "%s: line %" PRId64 ": the path '%.*s' already stands in line %" PRId64, file,
                              second->line, (int)second->length, second->name, first->line);
    }
    return DEEP_OK;
}

void deep__split_rows_free(deep_split_rows *rows)
{
    deep__free(rows->allocator, rows->items);
    *rows = (deep_split_rows){.allocator = rows->allocator};
}
