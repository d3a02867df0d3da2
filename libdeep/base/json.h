/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_BASE_JSON_H
#define DEEP_BASE_JSON_H

/*
 * JSON documents. Strings are UTF-8 without NUL; objects have no duplicate keys; no NaN or infinity.
 * The library underneath has an allocator of its own, which is process-wide and therefore left alone.
 */
#include "text.h"

typedef struct deep_json deep_json; /* a value; owned by whoever made it, unless said */

enum deep_json_kind {
    DEEP_JSON_NONE = 0, /* NULL was given */
    DEEP_JSON_NULL,
    DEEP_JSON_BOOL,
    DEEP_JSON_INTEGER,
    DEEP_JSON_REAL,
    DEEP_JSON_STRING,
    DEEP_JSON_ARRAY,
    DEEP_JSON_OBJECT
};

enum { DEEP_JSON_MAX_DEPTH = 64 };

/* Parses one value of any kind over the whole text (json_parse.c). FORMAT when malformed, LIMIT above `limit` bytes or 64 levels. */
deep_status deep__json_parse(deep_json **out, const char *text, size_t size, size_t limit);

/* Appends the value in compact form, keys sorted by byte value, reals with 17 digits. The same value gives the same
 * bytes. */
deep_status deep__json_dump(deep_text *text, const deep_json *value);

void deep__json_free(deep_json *value); /* NULL is fine */

/* A copy that shares nothing. */
deep_status deep__json_copy(deep_json **out, const deep_json *value);

/* ---- reading; every function takes NULL and a value of the wrong kind, and then gives the zero ---- */

enum deep_json_kind deep__json_kind(const deep_json *value);
size_t deep__json_count(const deep_json *value);                     /* of an array or object */
deep_json *deep__json_get(const deep_json *object, const char *key); /* borrowed */
deep_json *deep__json_at(const deep_json *array, size_t index);      /* borrowed */
const char *deep__json_string(const deep_json *value);               /* borrowed */
bool deep__json_integer(const deep_json *value, int64_t *result);    /* false when it is no integer */
bool deep__json_number(const deep_json *value, double *result);      /* integer or real */
bool deep__json_bool(const deep_json *value, bool *result);

/* Visits an object's members in unspecified order: start with NULL, ends with NULL. */
void *deep__json_next(const deep_json *object, void *iterator);
const char *deep__json_key(void *iterator);
deep_json *deep__json_value(void *iterator); /* borrowed */

/* ---- building; NULL when out of memory, or when a string is not UTF-8 or a real not finite ---- */

deep_json *deep__json_new_object(void);
deep_json *deep__json_new_array(void);
deep_json *deep__json_new_string(const char *text);
deep_json *deep__json_new_integer(int64_t value);
deep_json *deep__json_new_real(double value);
deep_json *deep__json_new_bool(bool value);
deep_json *deep__json_new_null(void);

/* Puts `value` (taken over, freed on error; NULL is the error of its maker) under `key`, or at the end of an array. */
deep_status deep__json_set(deep_json *object, const char *key, deep_json *value);
deep_status deep__json_append(deep_json *array, deep_json *value);
void deep__json_remove(deep_json *object, const char *key);

#endif
