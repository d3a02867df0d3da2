/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/text.h"
#include "data/class_file.h"
#include "data/groups.h"
#include "data/sort.h"

#include <string.h>

enum { MANIFEST_MAX_BYTES = 1 << 30 };

typedef struct span {
    const char *text;
    size_t length;
} span;

/* What a manifest says about an image. */
typedef struct entry {
    span path;
    span value;
    int64_t line;
} entry;

typedef struct manifest {
    const deep_allocator *allocator;
    const char *file;
    int32_t path_column, value_column;
    entry *items;
    size_t count, capacity;
} manifest;

static int compare_spans(span a, span b)
{
    const int order = memcmp(a.text, b.text, a.length < b.length ? a.length : b.length);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_entries(const void *a, const void *b)
{
    const entry *first = a, *second = b;
    const int order = compare_spans(first->path, second->path);
    return order != 0 ? order : (first->line > second->line) - (first->line < second->line);
}

/* Field `column` of a TSV line; false when the line has fewer. */
static bool find_field(span line, int32_t column, span *field)
{
    const char *start = line.text, *end = line.text + line.length;
    for (;; --column) {
        const char *tab = memchr(start, '\t', (size_t)(end - start));
        if (column == 0) {
            *field = (span){start, (size_t)((tab == NULL ? end : tab) - start)};
            return true;
        }
        if (tab == NULL) return false;
        start = tab + 1;
    }
}

static deep_status find_column(span header, const char *name, const char *file, int32_t *column)
{
    const span wanted = {name, strlen(name)};
    span field;
    for (*column = 0; find_field(header, *column, &field); ++*column)
        if (compare_spans(field, wanted) == 0) return DEEP_OK;
    return deep__fail(DEEP_ERROR_FORMAT, "%s: line 1: has no column '%s'", file, name);
}

static deep_status read_header(manifest *m, span header, const char *column)
{
    DEEP_TRY(find_column(header, "path", m->file, &m->path_column));
    return find_column(header, column, m->file, &m->value_column);
}

static deep_status add_line(manifest *m, span line, int64_t number)
{
    entry item = {.line = number};
    if (!deep__text_is_utf8(line.text, line.length))
        return deep__fail(DEEP_ERROR_FORMAT, "%s: line %" PRId64 ": is not UTF-8", m->file, number);
    if (!find_field(line, m->path_column, &item.path) || !find_field(line, m->value_column, &item.value))
        return deep__fail(DEEP_ERROR_FORMAT, "%s: line %" PRId64 ": has fewer columns than the header", m->file,
                          number);
    DEEP_TRY(deep__grow(&m->items, m->allocator, m->count, &m->capacity, m->count + 1, sizeof item, "manifest"));
    m->items[m->count++] = item;
    return DEEP_OK;
}

static deep_status check_twins(const manifest *m)
{
    for (size_t i = 1; i < m->count; ++i) {
        const entry *first = &m->items[i - 1], *second = &m->items[i];
        if (compare_spans(first->path, second->path) == 0)
            return deep__fail(DEEP_ERROR_FORMAT, "%s: line %" PRId64 ": the path already stands in line %" PRId64,
                              m->file, second->line, first->line);
    }
    return DEEP_OK;
}

static deep_status parse(manifest *m, const char *text, const char *end, const char *column)
{
    span line;
    text = deep__skip_byte_order_mark(text, end);
    if (!deep__text_line(&text, end, &line.text, &line.length))
        return deep__fail(DEEP_ERROR_FORMAT, "%s: is empty, a header line is needed", m->file);
    DEEP_TRY(read_header(m, line, column));
    for (int64_t number = 2; deep__text_line(&text, end, &line.text, &line.length); ++number)
        if (line.length > 0) DEEP_TRY(add_line(m, line, number));
    deep__sort(m->items, m->count, sizeof *m->items, compare_entries);
    return check_twins(m);
}

static const entry *find_entry(const manifest *m, const char *name)
{
    const span wanted = {name, strlen(name)};
    size_t low = 0, high = m->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare_spans(m->items[middle].path, wanted);
        if (order == 0) return &m->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static deep_status apply(const manifest *m, deep_samples *samples)
{
    size_t missing = 0;
    const char *first = NULL;
    for (size_t i = 0; i < samples->count; ++i) {
        deep_sample *sample = &samples->items[i];
        const entry *found = find_entry(m, sample->name);
        if (found == NULL) {
            if (missing++ == 0) first = sample->name;
            continue;
        }
        DEEP_TRY(deep__pool_text(&samples->pool, &sample->group, found->value.text, found->value.length));
    }
    if (missing == 0) return DEEP_OK;
    return deep__fail(DEEP_ERROR_DATASET, "%s: %zu of %zu images are not in it, the first: %s", m->file, missing,
                      samples->count, first);
}

deep_status deep__group_by_table(deep_samples *samples, const char *text, size_t size, const char *file,
                                 const char *column)
{
    manifest m = {.allocator = samples->pool.allocator, .file = file};
    deep_status status = parse(&m, text, text + size, column);
    if (status == DEEP_OK) status = apply(&m, samples);
    deep__free(m.allocator, m.items);
    return status;
}

deep_status deep__group_by_manifest(deep_samples *samples, const deep_context *context, const char *path,
                                    const char *column)
{
    void *text = NULL;
    size_t size = 0;
    DEEP_TRY(deep__file_read(&text, &size, &context->allocator, path, MANIFEST_MAX_BYTES));
    const deep_status status = deep__group_by_table(samples, text, size, path, column);
    deep__free(&context->allocator, text);
    return status;
}
