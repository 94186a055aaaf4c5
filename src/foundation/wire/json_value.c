/* SPDX-License-Identifier: Apache-2.0 */
/* What a parsed value answers; numbers are in json_number.c. Nothing here can meet bad JSON. */
#include "wire/json.h"

#include "json_priv.h"

enum mt_json_type mt_json_type(const struct mt_json *value)
{
    return value != NULL ? (enum mt_json_type)value->type : MT_JSON_NONE;
}

const char *mt_json_type_name(enum mt_json_type type)
{
    switch (type) {
    case MT_JSON_NONE:
        return "nothing";
    case MT_JSON_NULL:
        return "null";
    case MT_JSON_BOOL:
        return "boolean";
    case MT_JSON_NUMBER:
        return "number";
    case MT_JSON_STRING:
        return "string";
    case MT_JSON_ARRAY:
        return "array";
    case MT_JSON_OBJECT:
        return "object";
    }
    return "nothing";
}

static bool key_is(const struct mt_json *member, struct mt_str key)
{
    struct mt_str raw = mt_json_key(member);

    return member->key_has_escapes ? mt_wire__escaped_is(raw, key) : mt_str_eq(raw, key);
}

const struct mt_json *mt_json_get(const struct mt_json *value, const char *key)
{
    struct mt_str wanted = mt_str_of(key);

    if (mt_json_type(value) != MT_JSON_OBJECT)
        return NULL;
    const struct mt_json *member = mt_json_first(value);
    while (member != NULL && !key_is(member, wanted))
        member = mt_json_next(member);
    return member;
}

const struct mt_json *mt_json_first(const struct mt_json *value)
{
    return value != NULL && value->count > 0 ? value + 1 : NULL;
}

const struct mt_json *mt_json_next(const struct mt_json *value)
{
    return value != NULL && value->next > 0 ? value + value->next : NULL;
}

size_t mt_json_count(const struct mt_json *value)
{
    return value != NULL ? value->count : 0;
}

struct mt_str mt_json_raw(const struct mt_json *value)
{
    return value != NULL ? (struct mt_str){value->at, value->len} : (struct mt_str){NULL, 0};
}

struct mt_str mt_json_key(const struct mt_json *value)
{
    if (value == NULL || value->key_back == 0)
        return (struct mt_str){NULL, 0};
    return (struct mt_str){value->at - value->key_back, value->key_len};
}

bool mt_json_key_is(const struct mt_json *value, const char *key)
{
    return value != NULL && value->key_back > 0 && key_is(value, mt_str_of(key));
}

/* What stands between the quotes of a string. */
static struct mt_str inner(const struct mt_json *string)
{
    return (struct mt_str){string->at + 1, string->len - 2};
}

bool mt_json_is(const struct mt_json *value, const char *text)
{
    if (mt_json_type(value) != MT_JSON_STRING)
        return false;
    return value->has_escapes ? mt_wire__escaped_is(inner(value), mt_str_of(text))
                              : mt_str_is(inner(value), text);
}

/* What is unescaped only gets shorter, so text.len bytes do. */
static bool unescape(struct mt_str text, struct mt_arena *arena, struct mt_str *out)
{
    char *plain = mt_arena_get(arena, text.len, 1);

    if (plain == NULL)
        return false;
    *out = (struct mt_str){plain, mt_wire__unescape(text, plain)};
    return true;
}

bool mt_json_key_str(const struct mt_json *value, struct mt_arena *arena, struct mt_str *out)
{
    if (value == NULL || value->key_back == 0)
        return false;
    if (value->key_has_escapes)
        return unescape(mt_json_key(value), arena, out);
    *out = mt_json_key(value);
    return true;
}

bool mt_json_str(const struct mt_json *value, struct mt_arena *arena, struct mt_str *out)
{
    if (mt_json_type(value) != MT_JSON_STRING)
        return false;
    if (value->has_escapes)
        return unescape(inner(value), arena, out);
    *out = inner(value);
    return true;
}

bool mt_json_bool(const struct mt_json *value, bool *out)
{
    if (mt_json_type(value) != MT_JSON_BOOL)
        return false;
    *out = value->at[0] == 't';
    return true;
}
