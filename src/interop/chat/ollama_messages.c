/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, images and tools of an Ollama request, read. */
#include "calls.h"
#include "ollama_priv.h"

/* NULL (with *n = 0) when absent; a list otherwise. */
static mt_rc list_of(const struct mt_json *list, const char *where, size_t max, size_t *n,
                     struct mt_err *err)
{
    *n = 0;
    if (mt_json_type(list) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(list) != MT_JSON_ARRAY)
        return mt_chat__expected(list, where, "an array", err);
    if (mt_json_count(list) > max)
        return MT_FAIL(err, MT_E_TOOBIG, "%s: expected at most %zu items, found %zu", where,
                       max, mt_json_count(list));
    *n = mt_json_count(list);
    return MT_OK;
}

static mt_rc read_image(const struct mt_json *item, struct mt_arena *arena,
                        struct mt_chat_part *out, struct mt_err *err)
{
    struct mt_str text = {0};

    MT_TRY(mt_chat__text(item, "", arena, &text, err));
    if (text.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "expected base64 data, found nothing");
    out->kind = MT_PART_IMAGE;
    if (mt_str_starts(text, MT_STR("data:")))
        mt_chat__media_url(text, &out->media);
    else
        out->media.base64 = text;
    if (out->media.mime.len == 0)
        out->media.mime = mt_chat__sniff_mime(out->media.base64);
    return MT_OK;
}

mt_rc mt_ollama__read_images(const struct mt_json *list, struct mt_arena *arena,
                             struct mt_chat_part *parts, size_t *n, struct mt_err *err)
{
    size_t index = 0;

    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item), index++) {
        mt_rc rc = read_image(item, arena, &parts[*n], err);
        if (rc < 0)
            return mt_chat__within(err, rc, "images[%zu]", index);
        ++*n;
    }
    return MT_OK;
}

static mt_rc read_role(const struct mt_json *message, struct mt_arena *arena,
                       enum mt_chat_role *out, struct mt_err *err)
{
    static const struct {
        const char *name;
        enum mt_chat_role role;
    } roles[] = {
        {"user", MT_ROLE_USER},
        {"assistant", MT_ROLE_ASSISTANT},
        {"system", MT_ROLE_SYSTEM},
        {"tool", MT_ROLE_TOOL},
    };
    struct mt_str name = {0};

    MT_TRY(mt_chat__str(message, "", "role", arena, &name, err));
    for (size_t i = 0; i < MT_ARRAY_LEN(roles); i++) {
        if (mt_str_ieq(name, mt_str_of(roles[i].name))) {
            *out = roles[i].role;
            return MT_OK;
        }
    }
    name = mt_str_sub(name, 0, 40);
    return MT_FAIL(err, MT_E_INVALID,
                   "role: expected 'system', 'user', 'assistant' or 'tool', found '%.*s'",
                   MT_STR_ARG(name));
}

static mt_rc read_name(const struct mt_json *function, struct mt_arena *arena,
                       struct mt_str *out, struct mt_err *err)
{
    MT_TRY(mt_chat__str(function, "function", "name", arena, out, err));
    if (out->len == 0)
        return MT_FAIL(err, MT_E_INVALID, "function.name: expected a name, found nothing");
    return MT_OK;
}

static mt_rc read_call(const struct mt_json *call, struct mt_chat__calls *calls,
                       struct mt_arena *arena, struct mt_chat_part *out, struct mt_err *err)
{
    const struct mt_json *function = mt_json_get(call, "function");

    if (mt_json_type(function) != MT_JSON_OBJECT)
        return mt_chat__expected(function, "function", "an object", err);
    out->kind = MT_PART_TOOL_CALL;
    out->json = MT_STR("{}");
    MT_TRY(mt_chat__str(call, "", "id", arena, &out->id, err));
    MT_TRY(read_name(function, arena, &out->name, err));
    MT_TRY(mt_chat__raw(function, "function", "arguments", MT_JSON_OBJECT, &out->json, err));
    return mt_chat__calls_add(calls, arena, out, err);
}

/* What a message holds, found before its parts are made. */
struct pieces {
    struct mt_str content, thinking;
    const struct mt_json *images, *calls;
    size_t images_n, calls_n;
};

static mt_rc read_pieces(const struct mt_json *message, struct mt_arena *arena,
                         struct pieces *out, struct mt_err *err)
{
    out->images = mt_json_get(message, "images");
    out->calls = mt_json_get(message, "tool_calls");
    MT_TRY(mt_chat__str(message, "", "content", arena, &out->content, err));
    MT_TRY(mt_chat__str(message, "", "thinking", arena, &out->thinking, err));
    MT_TRY(list_of(out->images, "images", MT_CHAT_PARTS_MAX / 2, &out->images_n, err));
    return list_of(out->calls, "tool_calls", MT_CHAT_PARTS_MAX / 4, &out->calls_n, err);
}

static mt_rc read_calls(const struct mt_json *list, struct mt_chat__calls *calls,
                        struct mt_arena *arena, struct mt_chat_message *out, struct mt_err *err)
{
    size_t index = 0;

    for (const struct mt_json *call = mt_json_first(list); call != NULL;
         call = mt_json_next(call), index++) {
        mt_rc rc = read_call(call, calls, arena, &out->parts[out->parts_n], err);
        if (rc < 0)
            return mt_chat__within(err, rc, "tool_calls[%zu]", index);
        out->parts_n++;
    }
    return MT_OK;
}

static mt_rc read_parts(const struct pieces *pieces, struct mt_chat__calls *calls,
                        struct mt_arena *arena, struct mt_chat_message *out, struct mt_err *err)
{
    size_t max = 2 + pieces->images_n + pieces->calls_n;

    out->parts = mt_arena_get(arena, max, sizeof *out->parts);
    if (out->parts == NULL)
        return mt_arena_fail(arena, err);
    if (pieces->thinking.len > 0)
        out->parts[out->parts_n++] =
            (struct mt_chat_part){.kind = MT_PART_REASONING, .text = pieces->thinking};
    if (pieces->content.len > 0 || max == 2)
        out->parts[out->parts_n++] =
            (struct mt_chat_part){.kind = MT_PART_TEXT, .text = pieces->content};
    MT_TRY(mt_ollama__read_images(pieces->images, arena, out->parts, &out->parts_n, err));
    return read_calls(pieces->calls, calls, arena, out, err);
}

/* A tool message becomes one TOOL_RESULT that holds the parts. */
static mt_rc wrap_result(const struct mt_json *message, struct mt_chat__calls *calls,
                         struct mt_arena *arena, struct mt_chat_message *out,
                         struct mt_err *err)
{
    struct mt_chat_part *result = mt_arena_get(arena, 1, sizeof *result);

    if (result == NULL)
        return mt_arena_fail(arena, err);
    result->kind = MT_PART_TOOL_RESULT;
    result->parts = out->parts;
    result->parts_n = out->parts_n;
    MT_TRY(mt_chat__str(message, "", "tool_call_id", arena, &result->id, err));
    MT_TRY(mt_chat__str(message, "", "tool_name", arena, &result->name, err));
    if (result->name.len == 0)
        MT_TRY(mt_chat__str(message, "", "name", arena, &result->name, err));
    MT_TRY(mt_chat__calls_answer(calls, arena, result, err));
    out->parts = result;
    out->parts_n = 1;
    return MT_OK;
}

static const char *const known_members[] = {"role",   "content",      "thinking",
                                            "images", "tool_calls",   "tool_name",
                                            "name",   "tool_call_id", NULL};

static mt_rc read_message(const struct mt_json *message, struct mt_chat__calls *calls,
                          struct mt_chat_request *request, struct mt_chat_message *out,
                          struct mt_err *err)
{
    struct pieces pieces = {0};

    if (mt_json_type(message) != MT_JSON_OBJECT)
        return mt_chat__expected(message, "", "an object", err);
    MT_TRY(read_role(message, request->arena, &out->role, err));
    MT_TRY(read_pieces(message, request->arena, &pieces, err));
    MT_TRY(read_parts(&pieces, calls, request->arena, out, err));
    if (out->role == MT_ROLE_TOOL)
        MT_TRY(wrap_result(message, calls, request->arena, out, err));
    return mt_chat__extras_once(message, "messages[].", known_members, request, err);
}

mt_rc mt_ollama__read_messages(const struct mt_json *list, struct mt_chat_request *out,
                               struct mt_err *err)
{
    struct mt_chat__calls *calls = NULL;
    size_t n = 0;

    MT_TRY(list_of(list, "messages", MT_CHAT_MESSAGES_MAX, &n, err));
    if (n == 0)
        return MT_OK;
    calls = mt_arena_get(out->arena, 1, sizeof *calls);
    out->messages = mt_arena_get(out->arena, n, sizeof *out->messages);
    if (calls == NULL || out->messages == NULL)
        return mt_arena_fail(out->arena, err);
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item)) {
        mt_rc rc = read_message(item, calls, out, &out->messages[out->messages_n], err);
        if (rc < 0)
            return mt_chat__within(err, rc, "messages[%zu]", out->messages_n);
        out->messages_n++;
    }
    return MT_OK;
}

static mt_rc read_tool(const struct mt_json *tool, struct mt_arena *arena,
                       struct mt_chat_tool *out, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(tool, "type");
    const struct mt_json *function = mt_json_get(tool, "function");

    if (mt_json_type(tool) != MT_JSON_OBJECT)
        return mt_chat__expected(tool, "", "an object", err);
    if (mt_json_type(type) > MT_JSON_NULL && !mt_json_is(type, "function"))
        return MT_FAIL(err, MT_E_INVALID, "type: expected 'function'");
    if (mt_json_type(function) != MT_JSON_OBJECT)
        return mt_chat__expected(function, "function", "an object", err);
    MT_TRY(read_name(function, arena, &out->name, err));
    MT_TRY(mt_chat__str(function, "function", "description", arena, &out->description, err));
    return mt_chat__raw(function, "function", "parameters", MT_JSON_OBJECT, &out->schema_json,
                        err);
}

mt_rc mt_ollama__read_tools(const struct mt_json *list, struct mt_chat_request *out,
                            struct mt_err *err)
{
    size_t n = 0;

    MT_TRY(list_of(list, "tools", MT_CHAT_TOOLS_MAX, &n, err));
    if (n == 0)
        return MT_OK;
    out->tools = mt_arena_get(out->arena, n, sizeof *out->tools);
    if (out->tools == NULL)
        return mt_arena_fail(out->arena, err);
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item)) {
        mt_rc rc = read_tool(item, out->arena, &out->tools[out->tools_n], err);
        if (rc < 0)
            return mt_chat__within(err, rc, "tools[%zu]", out->tools_n);
        out->tools_n++;
    }
    return MT_OK;
}
