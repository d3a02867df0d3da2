/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8259, one value over the whole text. The library that holds the values has a parser too, but when memory runs out
 * that one loses characters of a string, and then aborts or reads past it.
 */
#include "json.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

typedef struct parser {
    const char *begin, *at, *end;
    deep_allocator allocator; /* of `scratch` */
    deep_text scratch;        /* the string that was read last, unescaped */
    int depth;
} parser;

static deep_status parse_value(parser *p, deep_json **out);

static deep_status malformed(const parser *p, const char *what)
{
    return deep__fail(DEEP_ERROR_FORMAT, "JSON at byte %zu: %s", (size_t)(p->at - p->begin), what);
}

static deep_status deliver(deep_json **out, deep_json *value)
{
    *out = value;
    return value == NULL ? deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: JSON value") : DEEP_OK;
}

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        ++p->at;
}

static bool take(parser *p, char c)
{
    if (p->at == p->end || *p->at != c) return false;
    ++p->at;
    return true;
}

static bool take_word(parser *p, const char *word)
{
    const size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0) return false;
    p->at += length;
    return true;
}

/* ---- strings ---- */

static bool take_hex(parser *p, uint32_t *value)
{
    *value = 0;
    if (p->end - p->at < 4) return false;
    for (int i = 0; i < 4; ++i, ++p->at) {
        const char c = *p->at;
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

/* Behind "\u": one code point, from one or, for a surrogate pair, two escapes; NUL and half a pair are refused. */
static bool take_code_point(parser *p, uint32_t *value)
{
    uint32_t low;
    if (!take_hex(p, value) || *value == 0) return false;
    if (*value < 0xD800 || *value > 0xDFFF) return true;
    if (*value > 0xDBFF || !take_word(p, "\\u") || !take_hex(p, &low) || low < 0xDC00 || low > 0xDFFF) return false;
    *value = 0x10000 + ((*value - 0xD800) << 10 | (low - 0xDC00));
    return true;
}

static void append_utf8(deep_text *text, uint32_t point)
{
    char bytes[4];
    size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint32_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 1; point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3F));
    bytes[0] = (char)(lead[size] | point);
    deep__text_append(text, bytes, size);
}

static deep_status parse_escape(parser *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (take(p, 'u')) {
        uint32_t point;
        if (!take_code_point(p, &point)) return malformed(p, "not a \\u escape that is allowed");
        append_utf8(&p->scratch, point);
        return p->scratch.status;
    }
    const char *found = p->at == p->end || *p->at == '\0' ? NULL : strchr(from, *p->at);
    if (found == NULL) return malformed(p, "unknown escape");
    ++p->at;
    deep__text_append(&p->scratch, &to[found - from], 1);
    return p->scratch.status;
}

/* Behind the opening quote; the result is p->scratch. */
static deep_status parse_string(parser *p)
{
    p->scratch.length = 0;
    deep__text_append(&p->scratch, "", 0); /* so that there is a NUL */
    while (p->scratch.status == DEEP_OK) {
        const char *run = p->at;
        while (p->at < p->end && *p->at != '"' && *p->at != '\\' && (unsigned char)*p->at >= 0x20)
            ++p->at;
        if (!deep__text_is_utf8(run, (size_t)(p->at - run))) return malformed(p, "a string is not UTF-8");
        deep__text_append(&p->scratch, run, (size_t)(p->at - run));
        if (take(p, '"')) return p->scratch.status;
        if (!take(p, '\\'))
            return malformed(p, p->at == p->end ? "a string has no end" : "control character in a string");
        DEEP_TRY(parse_escape(p));
    }
    return p->scratch.status;
}

/* ---- numbers ---- */

static bool take_digits(parser *p)
{
    const char *first = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        ++p->at;
    return p->at > first;
}

/* strtod() wants the decimal point of the locale, whatever that is. */
static deep_status convert_real(parser *p, const char *token, size_t length, deep_json **out)
{
    enum { LONGEST = 400 };
    char copy[LONGEST + 16];
    const char *point = localeconv()->decimal_point;
    const size_t point_size = strlen(point);
    size_t size = 0;
    if (length > LONGEST || point_size > 8) return malformed(p, "a number has too many digits");
    for (size_t i = 0; i < length; ++i) {
        if (token[i] != '.') {
            copy[size++] = token[i];
            continue;
        }
        memcpy(copy + size, point, point_size);
        size += point_size;
    }
    copy[size] = '\0';
    const double value = strtod(copy, NULL);
    if (!(value - value == 0.0)) return malformed(p, "a number is too large");
    return deliver(out, deep__json_new_real(value));
}

static deep_status parse_number(parser *p, deep_json **out)
{
    const char *token = p->at;
    bool real = false;
    int64_t integer;
    (void)take(p, '-');
    const bool zero = p->at < p->end && *p->at == '0';
    const char *digits = p->at;
    if (!take_digits(p) || (zero && p->at - digits > 1)) return malformed(p, "not a value");
    if (take(p, '.')) {
        real = true;
        if (!take_digits(p)) return malformed(p, "no digit behind the point");
    }
    if (take(p, 'e') || take(p, 'E')) {
        real = true;
        if (!take(p, '+')) (void)take(p, '-');
        if (!take_digits(p)) return malformed(p, "no digit in the exponent");
    }
    const size_t length = (size_t)(p->at - token);
    if (real) return convert_real(p, token, length, out);
    if (!deep__text_to_i64(token, length, &integer)) return malformed(p, "a whole number is too large");
    return deliver(out, deep__json_new_integer(integer));
}

/* ---- arrays and objects ---- */

static deep_status parse_element(parser *p, deep_json *array)
{
    deep_json *value;
    DEEP_TRY(parse_value(p, &value));
    return deep__json_append(array, value);
}

static deep_status parse_member(parser *p, deep_json *object)
{
    deep_json *value;
    char *key;
    if (!take(p, '"')) return malformed(p, "a member has no name");
    DEEP_TRY(parse_string(p));
    if (deep__json_get(object, p->scratch.data) != NULL) return malformed(p, "a member is there twice");
    skip_space(p);
    if (!take(p, ':')) return malformed(p, "no colon behind a name");
    DEEP_TRY(deep__copy_text(&key, &p->allocator, p->scratch.data, p->scratch.length));
    deep_status status = parse_value(p, &value);
    if (status == DEEP_OK) status = deep__json_set(object, key, value);
    deep__free(&p->allocator, key);
    return status;
}

/* Behind the opening bracket. */
static deep_status parse_items(parser *p, deep_json *container, char close,
                               deep_status (*parse_item)(parser *p, deep_json *container))
{
    skip_space(p);
    if (take(p, close)) return DEEP_OK;
    do {
        skip_space(p);
        DEEP_TRY(parse_item(p, container));
        skip_space(p);
    } while (take(p, ','));
    return take(p, close) ? DEEP_OK : malformed(p, "neither a comma nor a closing bracket");
}

static deep_status parse_container(parser *p, deep_json **out, bool object)
{
    deep_json *container;
    if (++p->depth > DEEP_JSON_MAX_DEPTH)
        return deep__fail(DEEP_ERROR_LIMIT, "JSON is nested more than %d deep", DEEP_JSON_MAX_DEPTH);
    DEEP_TRY(deliver(&container, object ? deep__json_new_object() : deep__json_new_array()));
    const deep_status status = parse_items(p, container, object ? '}' : ']', object ? parse_member : parse_element);
    --p->depth;
    if (status == DEEP_OK)
        *out = container;
    else
        deep__json_free(container);
    return status;
}

static deep_status parse_value(parser *p, deep_json **out)
{
    *out = NULL;
    skip_space(p);
    if (take(p, '{')) return parse_container(p, out, true);
    if (take(p, '[')) return parse_container(p, out, false);
    if (take(p, '"')) {
        DEEP_TRY(parse_string(p));
        return deliver(out, deep__json_new_string(p->scratch.data));
    }
    if (take_word(p, "true")) return deliver(out, deep__json_new_bool(true));
    if (take_word(p, "false")) return deliver(out, deep__json_new_bool(false));
    if (take_word(p, "null")) return deliver(out, deep__json_new_null());
    return parse_number(p, out);
}

deep_status deep__json_parse(deep_json **out, const char *text, size_t size, size_t limit)
{
    *out = NULL;
    if (size > limit) return deep__fail(DEEP_ERROR_LIMIT, "JSON of %zu bytes, the limit is %zu", size, limit);
    parser p = {.begin = text, .at = text, .end = text + size, .allocator = deep__allocator_default()};
    p.scratch = deep__text(&p.allocator);
    deep_json *value = NULL;
    deep_status status = parse_value(&p, &value);
    if (status == DEEP_OK) {
        skip_space(&p);
        if (p.at < p.end) status = malformed(&p, "more text behind the value");
    }
    deep__text_free(&p.scratch);
    if (status == DEEP_OK)
        *out = value;
    else
        deep__json_free(value);
    return status;
}
