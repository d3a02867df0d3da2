/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <jansson.h>

/* deep_json is a json_t seen from outside this file. */
static json_t *inner(const deep_json *value)
{
    return (json_t *)(uintptr_t)value;
}

static deep_json *outer(json_t *value)
{
    return (deep_json *)value;
}

static int append_to_text(const char *bytes, size_t size, void *user)
{
    deep_text *text = user;
    deep__text_append(text, bytes, size);
    return text->status == DEEP_OK ? 0 : -1;
}

deep_status deep__json_dump(deep_text *text, const deep_json *value)
{
    enum { DIGITS = 17 }; /* enough for every double to come back the same */
    const size_t flags = JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS);
    const int failed = json_dump_callback(inner(value), append_to_text, text, flags);
    if (text->status != DEEP_OK) return text->status;
    return failed ? deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory while writing JSON") : DEEP_OK;
}

void deep__json_free(deep_json *value)
{
    json_decref(inner(value));
}

deep_status deep__json_copy(deep_json **out, const deep_json *value)
{
    *out = outer(json_deep_copy(inner(value)));
    return *out == NULL ? deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: copy of a JSON document") : DEEP_OK;
}

enum deep_json_kind deep__json_kind(const deep_json *value)
{
    if (value == NULL) return DEEP_JSON_NONE;
    switch (json_typeof(inner(value))) {
    case JSON_OBJECT:
        return DEEP_JSON_OBJECT;
    case JSON_ARRAY:
        return DEEP_JSON_ARRAY;
    case JSON_STRING:
        return DEEP_JSON_STRING;
    case JSON_INTEGER:
        return DEEP_JSON_INTEGER;
    case JSON_REAL:
        return DEEP_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return DEEP_JSON_BOOL;
    default:
        return DEEP_JSON_NULL;
    }
}

size_t deep__json_count(const deep_json *value)
{
    const json_t *json = inner(value);
    return json_is_array(json) ? json_array_size(json) : json_object_size(json);
}

deep_json *deep__json_get(const deep_json *object, const char *key)
{
    return outer(json_object_get(inner(object), key));
}

deep_json *deep__json_at(const deep_json *array, size_t index)
{
    return outer(json_array_get(inner(array), index));
}

const char *deep__json_string(const deep_json *value)
{
    return json_string_value(inner(value));
}

bool deep__json_integer(const deep_json *value, int64_t *result)
{
    if (!json_is_integer(inner(value))) return false;
    *result = json_integer_value(inner(value));
    return true;
}

bool deep__json_number(const deep_json *value, double *result)
{
    if (!json_is_number(inner(value))) return false;
    *result = json_number_value(inner(value));
    return true;
}

bool deep__json_bool(const deep_json *value, bool *result)
{
    if (!json_is_boolean(inner(value))) return false;
    *result = json_is_true(inner(value));
    return true;
}

void *deep__json_next(const deep_json *object, void *iterator)
{
    return iterator == NULL ? json_object_iter(inner(object)) : json_object_iter_next(inner(object), iterator);
}

const char *deep__json_key(void *iterator)
{
    return json_object_iter_key(iterator);
}

deep_json *deep__json_value(void *iterator)
{
    return outer(json_object_iter_value(iterator));
}

deep_json *deep__json_new_object(void)
{
    return outer(json_object());
}

deep_json *deep__json_new_array(void)
{
    return outer(json_array());
}

deep_json *deep__json_new_string(const char *text)
{
    return outer(json_string(text));
}

deep_json *deep__json_new_integer(int64_t value)
{
    return outer(json_integer(value));
}

deep_json *deep__json_new_real(double value)
{
    return outer(json_real(value));
}

deep_json *deep__json_new_null(void)
{
    return outer(json_null());
}

deep_json *deep__json_new_bool(bool value)
{
    return outer(json_boolean(value));
}

deep_status deep__json_set(deep_json *object, const char *key, deep_json *value)
{
    if (json_object_set_new(inner(object), key, inner(value)) != 0)
        return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: JSON member %s", key);
    return DEEP_OK;
}

deep_status deep__json_append(deep_json *array, deep_json *value)
{
    if (json_array_append_new(inner(array), inner(value)) != 0)
        return deep__fail(DEEP_ERROR_OUT_OF_MEMORY, "out of memory: JSON element");
    return DEEP_OK;
}

void deep__json_remove(deep_json *object, const char *key)
{
    json_object_del(inner(object), key);
}
