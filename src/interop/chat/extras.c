/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a body that the canonical request does not hold. */
#include <stdio.h>
#include <string.h>

#include "chat_priv.h"

static bool is_known(const struct mt_json *member, const char *const *known)
{
    for (; *known != NULL; known++) {
        if (mt_str_is(mt_json_key(member), *known))
            return true;
    }
    return false;
}

static mt_rc add(struct mt_chat_request *out, struct mt_str key, struct mt_str raw,
                 bool is_nested, struct mt_err *err)
{
    if (out->extras_n == MT_CHAT_EXTRAS_MAX)
        return MT_FAIL(err, MT_E_INVALID, "%.*s: more than %d unknown fields", MT_STR_ARG(key),
                       MT_CHAT_EXTRAS_MAX);
    struct mt_chat_extra *extras =
        mt_chat__push(out->arena, out->extras, out->extras_n, sizeof *extras);
    if (extras == NULL)
        return mt_arena_fail(out->arena, err);
    extras[out->extras_n++] = (struct mt_chat_extra){key, raw, is_nested};
    out->extras = extras;
    return MT_OK;
}

mt_rc mt_chat__extra(struct mt_chat_request *out, const char *key, struct mt_str raw,
                     struct mt_err *err)
{
    for (size_t i = 0; i < out->extras_n; i++) {
        if (mt_str_is(out->extras[i].key, key))
            return MT_OK;
    }
    struct mt_str copy = mt_arena_str(out->arena, mt_str_of(key));

    if (copy.at == NULL)
        return mt_arena_fail(out->arena, err);
    return add(out, copy, raw, true, err);
}

/* Says nothing: null, and the empty containers some clients send for every field they know. */
static bool is_void(const struct mt_json *value)
{
    enum mt_json_type type = mt_json_type(value);

    return type == MT_JSON_NULL ||
           ((type == MT_JSON_ARRAY || type == MT_JSON_OBJECT) && mt_json_count(value) == 0);
}

mt_rc mt_chat__extras_once(const struct mt_json *object, const char *prefix,
                           const char *const *known, struct mt_chat_request *out,
                           struct mt_err *err)
{
    char key[96];

    for (const struct mt_json *member = mt_json_first(object); member != NULL;
         member = mt_json_next(member)) {
        if (is_known(member, known) || is_void(member))
            continue;
        struct mt_str name = mt_str_sub(mt_json_key(member), 0, 64);
        snprintf(key, sizeof key, "%.24s%.*s", prefix, MT_STR_ARG(name));
        MT_TRY(mt_chat__extra(out, key, mt_json_raw(member), err));
    }
    return MT_OK;
}

mt_rc mt_chat__extras(const struct mt_json *object, const char *prefix,
                      const char *const *known, struct mt_chat_request *out, struct mt_err *err)
{
    bool is_nested = prefix[0] != '\0';

    for (const struct mt_json *member = mt_json_first(object); member != NULL;
         member = mt_json_next(member)) {
        struct mt_str key = mt_json_key(member);

        /* A key in disguise ("mod\u0065l") could say one thing to us and another to the
         * endpoint. */
        if (key.len > 0 && memchr(key.at, '\\', key.len) != NULL)
            return MT_FAIL(err, MT_E_INVALID, "%s%.*s: expected a field name without escapes",
                           prefix, MT_STR_ARG(key));
        if (is_known(member, known) || mt_json_type(member) == MT_JSON_NULL ||
            (!is_nested && mt_str_is(key, "motet")))
            continue;
        if (is_nested)
            key = mt_arena_printf(out->arena, "%s%.*s", prefix, MT_STR_ARG(key));
        if (key.at == NULL)
            return mt_arena_fail(out->arena, err);
        MT_TRY(add(out, key, mt_json_raw(member), is_nested, err));
    }
    return MT_OK;
}

void mt_chat__write_extras(const struct mt_chat_request *request, enum mt_dialect target,
                           const char *target_name, struct mt_jw *w,
                           struct mt_chat_notes *notes)
{
    for (size_t i = 0; i < request->extras_n; i++) {
        const struct mt_chat_extra *extra = &request->extras[i];
        if (request->dialect != target) {
            mt_chat_note(notes, "%.*s: not carried to %s", MT_STR_ARG(extra->key), target_name);
        } else if (!extra->is_nested) {
            mt_jw_key_str(w, extra->key);
            mt_jw_raw(w, extra->raw);
        }
    }
}

void mt_chat__write_extras_under(const struct mt_chat_request *request, const char *prefix,
                                 struct mt_jw *w)
{
    struct mt_str start = mt_str_of(prefix);

    for (size_t i = 0; i < request->extras_n; i++) {
        const struct mt_chat_extra *extra = &request->extras[i];
        if (!extra->is_nested || !mt_str_starts(extra->key, start))
            continue;
        mt_jw_key_str(w, mt_str_sub(extra->key, start.len, extra->key.len));
        mt_jw_raw(w, extra->raw);
    }
}

/* What a part carries beside its content, as bits of enum mt_chat_mark. */
static unsigned marks_of_parts(const struct mt_chat_part *parts, size_t n)
{
    unsigned marks = 0;

    for (size_t i = 0; i < n; i++) {
        if (parts[i].cache_control.len > 0)
            marks |= MT_CHAT_MARK_CACHE;
        if (parts[i].kind == MT_PART_TOOL_RESULT && parts[i].is_error)
            marks |= MT_CHAT_MARK_FAILED;
        marks |= marks_of_parts(parts[i].parts, parts[i].parts_n);
    }
    return marks;
}

void mt_chat__note_marks(const struct mt_chat_request *request, unsigned lost,
                         const char *target_name, struct mt_chat_notes *notes)
{
    static const struct {
        enum mt_chat_mark mark;
        const char *name;
    } names[] = {
        {MT_CHAT_MARK_NAME, "names of messages"},
        {MT_CHAT_MARK_CACHE, "cache_control"},
        {MT_CHAT_MARK_FAILED, "mark of failed tool results"},
    };
    unsigned marks = 0;

    for (size_t i = 0; i < request->messages_n; i++) {
        const struct mt_chat_message *message = &request->messages[i];
        if (message->name.len > 0 && message->role != MT_ROLE_TOOL)
            marks |= MT_CHAT_MARK_NAME;
        marks |= marks_of_parts(message->parts, message->parts_n);
    }
    for (size_t i = 0; i < request->tools_n; i++)
        if (request->tools[i].cache_control.len > 0)
            marks |= MT_CHAT_MARK_CACHE;
    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
        if ((marks & lost & (unsigned)names[i].mark) != 0)
            mt_chat_note(notes, "%s: not carried to %s", names[i].name, target_name);
}
