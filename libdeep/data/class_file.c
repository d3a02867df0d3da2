/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "class_file.h"

#include "base/file.h"
#include "base/file_writer.h"
#include "base/text.h"

#include <string.h>
#include <unistd.h>

enum { CLASS_FILE_MAX_BYTES = 64 << 20, CLASS_NAME_MAX_BYTES = 1024 };

const char *deep__skip_byte_order_mark(const char *text, const char *end)
{
    return end - text >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? text + 3 : text;
}

deep_status deep__path_beside(char **out, const deep_allocator *allocator, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    const size_t folder = slash == NULL ? 0 : (size_t)(slash + 1 - path), length = strlen(name);
    DEEP_TRY(deep__alloc(out, allocator, folder + length + 1, 1, "path"));
    memcpy(*out, path, folder);
    memcpy(*out + folder, name, length + 1);
    return DEEP_OK;
}

/* Without the white space at its end. */
static size_t trimmed(const char *line, size_t length)
{
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r'))
        --length;
    return length;
}

/* Lines up to the last one that is not blank. */
static int64_t count_lines(const char *text, const char *end)
{
    const char *line;
    size_t length;
    int64_t count = 0, last = 0;
    while (deep__text_line(&text, end, &line, &length)) {
        ++count;
        if (trimmed(line, length) > 0) last = count;
    }
    return last;
}

static deep_status fail_line(const char *file, int32_t index, const char *reason)
{
    return deep__fail(DEEP_ERROR_FORMAT, "%s: line %" PRId32 ": %s", file, index + 1, reason);
}

/* "name", "folder TAB name" or "folder TAB name TAB AphiaID" */
static deep_status parse_line(deep_classes *classes, int32_t index, const char *line, size_t length, const char *file)
{
    length = trimmed(line, length);
    if (length == 0) return fail_line(file, index, "the class name is empty");
    if (length > CLASS_NAME_MAX_BYTES) return fail_line(file, index, "the class name is longer than 1024 bytes");
    if (memchr(line, '\0', length) != NULL) return fail_line(file, index, "contains a NUL byte");
    if (!deep__text_is_utf8(line, length)) return fail_line(file, index, "is not UTF-8");
    const char *end = line + length, *tab = memchr(line, '\t', length);
    if (tab == NULL) return deep__classes_set(classes, index, NULL, line, length, 0);

    char folder[CLASS_NAME_MAX_BYTES + 1];
    memcpy(folder, line, (size_t)(tab - line));
    folder[tab - line] = '\0';
    const char *name = tab + 1, *next = memchr(name, '\t', (size_t)(end - name));
    const size_t name_length = (size_t)((next == NULL ? end : next) - name);
    int64_t aphia_id = 0;
    if (folder[0] == '\0' || name_length == 0) return fail_line(file, index, "a field of the class table is empty");
    if (next != NULL && !deep__text_to_i64(next + 1, (size_t)(end - next - 1), &aphia_id))
        return fail_line(file, index, "the third field is not an AphiaID");
    return deep__classes_set(classes, index, folder, name, name_length, aphia_id);
}

static deep_status check_twins(const deep_classes *classes, bool folders, const char *file)
{
    int32_t first, second;
    DEEP_TRY(deep__classes_find_twins(classes, folders, &first, &second));
    if (first < 0) return DEEP_OK;
    return deep__fail(DEEP_ERROR_FORMAT, "%s: lines %" PRId32 " and %" PRId32 " have the same %s '%s'", file, first + 1,
                      second + 1, folders ? "folder" : "class name",
                      folders ? classes->items[first].folder : classes->items[first].name);
}

static deep_status parse_lines(deep_classes *classes, const char *text, const char *end, const char *file)
{
    const char *line;
    size_t length;
    for (int32_t i = 0; i < classes->count && deep__text_line(&text, end, &line, &length); ++i)
        DEEP_TRY(parse_line(classes, i, line, length, file));
    DEEP_TRY(check_twins(classes, false, file));
    return check_twins(classes, true, file);
}

deep_status deep__class_file_parse(deep_classes **out, const deep_allocator *allocator, const char *text, size_t size,
                                   const char *file)
{
    *out = NULL;
    const char *end = text + size;
    text = deep__skip_byte_order_mark(text, end);
    const int64_t count = count_lines(text, end);
    if (count < 1) return deep__fail(DEEP_ERROR_FORMAT, "%s: has no class", file);
    if (count > DEEP_MAX_CLASSES)
        return deep__fail(DEEP_ERROR_FORMAT, "%s: has %" PRId64 " classes, the most allowed is %d", file, count,
                          DEEP_MAX_CLASSES);
    deep_classes *classes;
    DEEP_TRY(deep__classes_new(&classes, allocator, (int32_t)count));
    const deep_status status = parse_lines(classes, text, end, file);
    if (status != DEEP_OK) {
        deep_classes_free(classes);
        return status;
    }
    *out = classes;
    return DEEP_OK;
}

/* Takes one line of a file that has a line for each class. */
typedef deep_status (*line_taker)(deep_classes *classes, int32_t index, const char *line, size_t length);

static deep_status take_aphia_id(deep_classes *classes, int32_t index, const char *line, size_t length)
{
    int64_t id = 0;
    if (deep__text_to_i64(line, length, &id) && id > 0) classes->items[index].aphia_id = id;
    return DEEP_OK;
}

static deep_status take_info(deep_classes *classes, int32_t index, const char *line, size_t length)
{
    return deep__text_is_utf8(line, length) ? deep__classes_set_info(classes, index, line, length) : DEEP_OK;
}

/* More lines than classes belong to other classes: such a file is ignored. */
static deep_status take_lines(deep_classes *classes, const deep_context *context, const char *text, size_t size,
                              const char *file, line_taker take)
{
    const char *end = text + size, *line;
    size_t length;
    text = deep__skip_byte_order_mark(text, end);
    const int64_t lines = count_lines(text, end);
    if (lines > classes->count) {
        deep__log(&context->logger, DEEP_LOG_WARNING, "%s: ignored, it has %" PRId64 " lines for %" PRId32 " classes",
                  file, lines, classes->count);
        return DEEP_OK;
    }
    for (int32_t i = 0; i < classes->count && deep__text_line(&text, end, &line, &length); ++i)
        DEEP_TRY(take(classes, i, line, trimmed(line, length)));
    return DEEP_OK;
}

/* `name` beside the class table; the file is optional. */
static deep_status read_beside(deep_classes *classes, const deep_context *context, const char *class_file,
                               const char *name, line_taker take)
{
    char *path = NULL;
    void *text = NULL;
    size_t size = 0;
    DEEP_TRY(deep__path_beside(&path, &context->allocator, class_file, name));
    deep_status status = DEEP_OK;
    if (access(path, F_OK) == 0) {
        status = deep__file_read(&text, &size, &context->allocator, path, CLASS_FILE_MAX_BYTES);
        if (status == DEEP_OK) status = take_lines(classes, context, text, size, path, take);
    }
    deep__free(&context->allocator, text);
    deep__free(&context->allocator, path);
    return status;
}

deep_status deep__class_file_read(deep_classes **out, const deep_context *context, const char *path)
{
    void *text = NULL;
    size_t size = 0;
    *out = NULL;
    DEEP_TRY(deep__file_read(&text, &size, &context->allocator, path, CLASS_FILE_MAX_BYTES));
    deep_classes *classes;
    deep_status status = deep__class_file_parse(&classes, &context->allocator, text, size, path);
    deep__free(&context->allocator, text);
    if (status == DEEP_OK) status = read_beside(classes, context, path, "aphia_ids.txt", take_aphia_id);
    if (status == DEEP_OK) status = read_beside(classes, context, path, "info.txt", take_info);
    if (status != DEEP_OK) {
        deep_classes_free(classes);
        return status;
    }
    *out = classes;
    return DEEP_OK;
}

static deep_status write_beside(const deep_context *context, const char *path, const char *name, const deep_text *text)
{
    char *beside = NULL;
    if (text->status != DEEP_OK) return text->status;
    DEEP_TRY(deep__path_beside(&beside, &context->allocator, path, name));
    const deep_status status = deep__file_write(&context->allocator, beside, text->data, text->length);
    deep__free(&context->allocator, beside);
    return status;
}

/* A name that would read back as another one, or as two lines. */
static bool fits_on_a_line(const char *name)
{
    const size_t length = strlen(name);
    return length <= CLASS_NAME_MAX_BYTES && strpbrk(name, "\t\n\r") == NULL && name[length - 1] != ' ';
}

deep_status deep__class_file_write(const deep_classes *classes, const deep_context *context, const char *path)
{
    deep_text names = deep__text(&context->allocator), ids = names, infos = names;
    bool has_info = false;
    for (int32_t i = 0; i < classes->count; ++i)
        DEEP_REQUIRE(fits_on_a_line(classes->items[i].name), "class name '%s' cannot stand in classes.txt",
                     classes->items[i].name);
    for (int32_t i = 0; i < classes->count; ++i) {
        deep__text_printf(&names, "%s\n", classes->items[i].name);
        if (classes->items[i].aphia_id > 0) deep__text_printf(&ids, "%" PRId64, classes->items[i].aphia_id);
        deep__text_append(&ids, "\n", 1);
        deep__text_printf(&infos, "%s\n", classes->items[i].info != NULL ? classes->items[i].info : "");
        has_info = has_info || classes->items[i].info != NULL;
    }
    deep_status status = write_beside(context, path, "classes.txt", &names);
    if (status == DEEP_OK) status = write_beside(context, path, "aphia_ids.txt", &ids);
    if (status == DEEP_OK && has_info) status = write_beside(context, path, "info.txt", &infos);
    deep__text_free(&infos);
    deep__text_free(&ids);
    deep__text_free(&names);
    return status;
}
