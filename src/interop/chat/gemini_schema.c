/* SPDX-License-Identifier: Apache-2.0 */
/* Gemini's schemas (a subset of OpenAPI 3.0, types in capitals) as JSON schema. */
#include "gemini_priv.h"

enum { DEPTH_MAX = 24, TEXT_MAX = 1 << 20, WORD_MAX = 24 };

enum treat {
    KEEP,    /* as it stands */
    DROP,    /* means nothing in JSON schema */
    NUMBER,  /* 64-bit numbers may come as strings */
    TYPE,    /* lower-case */
    ONE,     /* a schema */
    MANY,    /* a list of schemas */
    MEMBERS, /* an object of schemas */
};

static const struct {
    const char *key, *snake, *out;
    enum treat treat;
} rules[] = {
    {"type", "type", "type", TYPE},
    {"nullable", "nullable", NULL, DROP},
    {"propertyOrdering", "property_ordering", NULL, DROP},
    {"properties", "properties", "properties", MEMBERS},
    {"items", "items", "items", ONE},
    {"additionalProperties", "additional_properties", "additionalProperties", ONE},
    {"anyOf", "any_of", "anyOf", MANY},
    {"prefixItems", "prefix_items", "prefixItems", MANY},
    {"minItems", "min_items", "minItems", NUMBER},
    {"maxItems", "max_items", "maxItems", NUMBER},
    {"minLength", "min_length", "minLength", NUMBER},
    {"maxLength", "max_length", "maxLength", NUMBER},
    {"minProperties", "min_properties", "minProperties", NUMBER},
    {"maxProperties", "max_properties", "maxProperties", NUMBER},
};

struct writer {
    struct mt_jw *w;
    struct mt_arena *arena;
    unsigned depth;
    struct mt_err *err;
};

static mt_rc write_schema(struct writer *s, const struct mt_json *schema);

/* A name as it stands: schemas name what they like. */
static mt_rc write_key(struct writer *s, const struct mt_json *member)
{
    struct mt_str key = {0};

    if (!mt_json_key_str(member, s->arena, &key))
        return mt_arena_fail(s->arena, s->err);
    mt_jw_key_str(s->w, key);
    return MT_OK;
}

static void write_type_name(struct mt_jw *w, const struct mt_json *type)
{
    struct mt_str raw = mt_json_raw(type);
    char word[WORD_MAX];
    size_t n = 0;

    for (size_t i = 1; i + 1 < raw.len && n < sizeof word; i++) /* between the quotes */
        word[n++] = raw.at[i] >= 'A' && raw.at[i] <= 'Z' ? (char)(raw.at[i] | 0x20) : raw.at[i];
    mt_jw_str(w, (struct mt_str){word, n});
}

static void write_type(struct writer *s, const struct mt_json *schema,
                       const struct mt_json *type)
{
    bool is_nullable = false;

    if (mt_json_is(type, "TYPE_UNSPECIFIED"))
        return;
    (void)mt_json_bool(mt_json_get(schema, "nullable"), &is_nullable);
    mt_jw_key(s->w, "type");
    if (mt_json_type(type) != MT_JSON_STRING) {
        mt_jw_raw(s->w, mt_json_raw(type)); /* JSON schema's list of types */
        return;
    }
    if (is_nullable)
        mt_jw_array(s->w);
    write_type_name(s->w, type);
    if (is_nullable) {
        mt_jw_cstr(s->w, "null");
        mt_jw_end(s->w);
    }
}

static void write_number(struct writer *s, const struct mt_json *value)
{
    struct mt_str raw = mt_json_raw(value);
    int64_t number = 0;

    if (mt_json_type(value) == MT_JSON_STRING &&
        mt_str_to_i64(mt_str_sub(raw, 1, raw.len - 1), INT64_MIN, INT64_MAX, &number))
        mt_jw_i64(s->w, number);
    else
        mt_jw_raw(s->w, raw);
}

static mt_rc write_many(struct writer *s, const struct mt_json *list)
{
    mt_jw_array(s->w);
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item))
        MT_TRY(write_schema(s, item));
    mt_jw_end(s->w);
    return MT_OK;
}

static mt_rc write_members(struct writer *s, const struct mt_json *object)
{
    mt_jw_object(s->w);
    for (const struct mt_json *item = mt_json_first(object); item != NULL;
         item = mt_json_next(item)) {
        MT_TRY(write_key(s, item));
        MT_TRY(write_schema(s, item));
    }
    mt_jw_end(s->w);
    return MT_OK;
}

static mt_rc write_value(struct writer *s, const struct mt_json *value, enum treat treat)
{
    if (treat == MANY && mt_json_type(value) == MT_JSON_ARRAY)
        return write_many(s, value);
    if (treat == MEMBERS && mt_json_type(value) == MT_JSON_OBJECT)
        return write_members(s, value);
    if (treat == ONE && mt_json_type(value) == MT_JSON_OBJECT)
        return write_schema(s, value);
    if (treat == NUMBER)
        write_number(s, value);
    else
        mt_jw_raw(s->w, mt_json_raw(value));
    return MT_OK;
}

static mt_rc write_member(struct writer *s, const struct mt_json *schema,
                          const struct mt_json *member)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(rules); i++) {
        if (!mt_json_key_is(member, rules[i].key) && !mt_json_key_is(member, rules[i].snake))
            continue;
        if (rules[i].treat == TYPE)
            write_type(s, schema, member);
        if (rules[i].treat == TYPE || rules[i].treat == DROP)
            return MT_OK;
        mt_jw_key(s->w, rules[i].out);
        return write_value(s, member, rules[i].treat);
    }
    if (mt_json_key_is(member, "format") && mt_json_is(member, "enum"))
        return MT_OK; /* Gemini's mark on strings with "enum" */
    MT_TRY(write_key(s, member));
    mt_jw_raw(s->w, mt_json_raw(member));
    return MT_OK;
}

static mt_rc write_schema(struct writer *s, const struct mt_json *schema)
{
    if (mt_json_type(schema) != MT_JSON_OBJECT)
        return mt_chat__expected(schema, "", "a schema object", s->err);
    if (s->depth == DEPTH_MAX)
        return MT_FAIL(s->err, MT_E_INVALID, "expected a schema at most %d deep", DEPTH_MAX);
    s->depth++;
    mt_jw_object(s->w);
    for (const struct mt_json *member = mt_json_first(schema); member != NULL;
         member = mt_json_next(member))
        MT_TRY(write_member(s, schema, member));
    mt_jw_end(s->w);
    s->depth--;
    return MT_OK;
}

mt_rc mt_gemini__schema(const struct mt_json *schema, struct mt_arena *arena,
                        struct mt_str *out, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(TEXT_MAX);
    struct mt_jw w;
    struct writer s = {.w = &w, .arena = arena, .err = err};

    mt_jw_begin(&w, &text);
    MT_TRY(write_schema(&s, schema));
    MT_TRY(mt_buf_check(&text, "schema", err));
    struct mt_str copy = mt_arena_str(arena, mt_buf_str(&text));
    if (copy.at == NULL)
        return mt_arena_fail(arena, err);
    *out = copy;
    return MT_OK;
}
