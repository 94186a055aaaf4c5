/* SPDX-License-Identifier: Apache-2.0 */
/* Reading members of objects; every failure names its place, what was expected and what was
 * found. The one place that calls a field of a request wrong is refuse(). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chat_priv.h"

enum { PLACE_MAX = 128 };

static mt_rc refuse(struct mt_err *err, const char *place, const char *wanted,
                    const struct mt_json *found)
{
    enum mt_json_type type = mt_json_type(found);
    const char *article = "a ";

    if (type == MT_JSON_OBJECT || type == MT_JSON_ARRAY)
        article = "an ";
    else if (type == MT_JSON_NULL || type == MT_JSON_NONE)
        article = "";
    return MT_FAIL(err, MT_E_INVALID, "%s%sexpected %s, found %s%s", place,
                   place[0] != '\0' ? ": " : "", wanted, article, mt_json_type_name(type));
}

/* "where.key" */
static const char *place_of(char place[PLACE_MAX], const char *where, const char *key)
{
    snprintf(place, PLACE_MAX, "%s%s%s", where, where[0] != '\0' && key[0] != '\0' ? "." : "",
             key);
    return place;
}

static mt_rc refuse_member(struct mt_err *err, const char *where, const char *key,
                           const char *wanted, const struct mt_json *found)
{
    char place[PLACE_MAX];

    return refuse(err, place_of(place, where, key), wanted, found);
}

/* A number, but not one we take: shown as it stands, cut when long. */
static mt_rc refuse_number(struct mt_err *err, const char *where, const char *key,
                           const char *wanted, const struct mt_json *found)
{
    char place[PLACE_MAX];
    struct mt_str raw = mt_str_sub(mt_json_raw(found), 0, 24);

    return MT_FAIL(err, MT_E_INVALID, "%s: expected %s, found %.*s",
                   place_of(place, where, key), wanted, MT_STR_ARG(raw));
}

/* The member, or NULL when it is absent or null: both mean "not said". */
static const struct mt_json *said(const struct mt_json *object, const char *key)
{
    const struct mt_json *member = mt_json_get(object, key);

    return mt_json_type(member) == MT_JSON_NULL ? NULL : member;
}

static const char *with_article(enum mt_json_type type)
{
    switch (type) {
    case MT_JSON_OBJECT:
        return "an object";
    case MT_JSON_ARRAY:
        return "an array";
    case MT_JSON_STRING:
        return "a string";
    case MT_JSON_NUMBER:
        return "a number";
    case MT_JSON_BOOL:
        return "a boolean";
    case MT_JSON_NULL:
    case MT_JSON_NONE:
        return "null";
    }
    return "null";
}

mt_rc mt_chat__within(struct mt_err *err, mt_rc rc, const char *format, ...)
{
    bool names_a_place = rc == MT_E_INVALID || rc == MT_E_UNSUPPORTED;

    if (err == NULL || !names_a_place)
        return rc;
    char text[MT_ERR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n + 1 >= sizeof text)
        return rc;
    if (err->text[0] != '[' && strncmp(err->text, "expected ", 9) == 0)
        snprintf(text + n, sizeof text - (size_t)n, ": ");
    else if (err->text[0] != '[')
        snprintf(text + n, sizeof text - (size_t)n, ".");
    size_t len = strlen(text);
    size_t old = strnlen(err->text, sizeof text - 1 - len);
    memcpy(text + len, err->text, old);
    text[len + old] = '\0';
    memcpy(err->text, text, sizeof text);
    return rc;
}

mt_rc mt_chat__expected(const struct mt_json *found, const char *where, const char *wanted,
                        struct mt_err *err)
{
    return refuse(err, where, wanted, found);
}

mt_rc mt_chat__text(const struct mt_json *value, const char *where, struct mt_arena *arena,
                    struct mt_str *out, struct mt_err *err)
{
    if (mt_json_type(value) != MT_JSON_STRING)
        return refuse(err, where, "a string", value);
    return mt_json_str(value, arena, out) ? MT_OK : mt_arena_fail(arena, err);
}

mt_rc mt_chat__str(const struct mt_json *object, const char *where, const char *key,
                   struct mt_arena *arena, struct mt_str *out, struct mt_err *err)
{
    const struct mt_json *member = said(object, key);

    if (member == NULL)
        return MT_OK;
    if (mt_json_type(member) != MT_JSON_STRING)
        return refuse_member(err, where, key, "a string", member);
    return mt_json_str(member, arena, out) ? MT_OK : mt_arena_fail(arena, err);
}

mt_rc mt_chat__bool(const struct mt_json *object, const char *where, const char *key, bool *out,
                    struct mt_err *err)
{
    const struct mt_json *member = said(object, key);

    if (member == NULL || mt_json_bool(member, out))
        return MT_OK;
    return refuse_member(err, where, key, "a boolean", member);
}

mt_rc mt_chat__opt_bool(const struct mt_json *object, const char *where, const char *key,
                        enum mt_opt_bool *out, struct mt_err *err)
{
    bool value = false;

    if (said(object, key) == NULL)
        return MT_OK;
    MT_TRY(mt_chat__bool(object, where, key, &value, err));
    *out = value ? MT_YES : MT_NO;
    return MT_OK;
}

mt_rc mt_chat__f64(const struct mt_json *object, const char *where, const char *key, double min,
                   double max, struct mt_opt_f64 *out, struct mt_err *err)
{
    const struct mt_json *member = said(object, key);
    double value = 0;
    char wanted[80];

    if (member == NULL)
        return MT_OK;
    snprintf(wanted, sizeof wanted, "a number between %g and %g", min, max);
    if (mt_json_type(member) != MT_JSON_NUMBER)
        return refuse_member(err, where, key, wanted, member);
    if (!mt_json_f64(member, &value) || !(value >= min && value <= max))
        return refuse_number(err, where, key, wanted, member);
    *out = (struct mt_opt_f64){true, value};
    return MT_OK;
}

mt_rc mt_chat__i64(const struct mt_json *object, const char *where, const char *key,
                   int64_t min, int64_t max, struct mt_opt_i64 *out, struct mt_err *err)
{
    const struct mt_json *member = said(object, key);
    int64_t value = 0;
    char wanted[80];

    if (member == NULL)
        return MT_OK;
    if (mt_json_i64(member, min, max, &value)) {
        *out = (struct mt_opt_i64){true, value};
        return MT_OK;
    }
    if (max == INT64_MAX)
        snprintf(wanted, sizeof wanted, "an integer from %lld", (long long)min);
    else
        snprintf(wanted, sizeof wanted, "an integer between %lld and %lld", (long long)min,
                 (long long)max);
    if (mt_json_type(member) != MT_JSON_NUMBER)
        return refuse_member(err, where, key, wanted, member);
    return refuse_number(err, where, key, wanted, member);
}

mt_rc mt_chat__raw(const struct mt_json *object, const char *where, const char *key,
                   enum mt_json_type type, struct mt_str *out, struct mt_err *err)
{
    const struct mt_json *member = said(object, key);

    if (member == NULL)
        return MT_OK;
    if (mt_json_type(member) != type)
        return refuse_member(err, where, key, with_article(type), member);
    *out = mt_json_raw(member);
    return MT_OK;
}

mt_rc mt_chat__member(const struct mt_json *object, const char *where, const char *key,
                      enum mt_json_type type, const struct mt_json **out, struct mt_err *err)
{
    const struct mt_json *member = said(object, key);

    if (member == NULL)
        return MT_OK;
    if (mt_json_type(member) != type)
        return refuse_member(err, where, key, with_article(type), member);
    *out = member;
    return MT_OK;
}

mt_rc mt_chat__strs(const struct mt_json *object, const char *where, const char *key,
                    size_t max, struct mt_arena *arena, struct mt_str *out, size_t *out_n,
                    struct mt_err *err)
{
    const struct mt_json *member = said(object, key);
    char place[PLACE_MAX];
    size_t n = 0;

    if (member == NULL)
        return MT_OK;
    if (mt_json_type(member) == MT_JSON_STRING) {
        MT_TRY(mt_chat__str(object, where, key, arena, out, err));
        *out_n = 1;
        return MT_OK;
    }
    if (mt_json_type(member) != MT_JSON_ARRAY)
        return refuse_member(err, where, key, "a string or an array of strings", member);
    if (mt_json_count(member) > max)
        return MT_FAIL(err, MT_E_INVALID, "%s: expected at most %zu strings, found %zu",
                       place_of(place, where, key), max, mt_json_count(member));
    for (const struct mt_json *item = mt_json_first(member); item != NULL;
         item = mt_json_next(item), n++) {
        mt_rc rc = mt_chat__text(item, "", arena, &out[n], err);
        if (rc < 0)
            return mt_chat__within(err, rc, "%s[%zu]", place_of(place, where, key), n);
    }
    *out_n = n;
    return MT_OK;
}

void *mt_chat__push(struct mt_arena *arena, void *items, size_t n, size_t size)
{
    enum { FIRST = 4 };

    bool is_full = n == 0 || (n >= FIRST && (n & (n - 1)) == 0);
    if (!is_full)
        return items;
    void *grown = mt_arena_get(arena, n == 0 ? FIRST : n * 2, size);

    if (grown != NULL && n > 0)
        memcpy(grown, items, n * size);
    return grown;
}
