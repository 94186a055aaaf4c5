/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a chat request, read: roles, parts, tool calls and their results; function
 * calls of old become tool calls with ids of their own. */
#include "calls.h"
#include "openai_priv.h"

static const char *const message_keys[] = {
    "role",          "content",           "name",      "tool_calls", "tool_call_id", "refusal",
    "function_call", "reasoning_content", "reasoning", NULL};

struct reading {
    struct mt_chat_request *out;
    struct mt_arena *arena;
    struct mt_err *err;
    struct mt_chat__calls calls; /* names for results, and ids for legacy calls */
};

static mt_rc push_part(struct reading *r, struct mt_chat_part **parts, size_t *n,
                       struct mt_chat_part **out)
{
    if (*n == MT_CHAT_PARTS_MAX)
        return MT_FAIL(r->err, MT_E_INVALID, "content: more than %d parts", MT_CHAT_PARTS_MAX);
    struct mt_chat_part *grown = mt_chat__push(r->arena, *parts, *n, sizeof **parts);

    if (grown == NULL)
        return mt_arena_fail(r->arena, r->err);
    *parts = grown;
    *out = &grown[(*n)++];
    return MT_OK;
}

static mt_rc add_part(struct reading *r, struct mt_chat_message *message,
                      enum mt_chat_part_kind kind, struct mt_chat_part **out)
{
    MT_TRY(push_part(r, &message->parts, &message->parts_n, out));
    (*out)->kind = kind;
    return MT_OK;
}

static mt_rc read_image(struct reading *r, const struct mt_json *value,
                        struct mt_chat_part *part)
{
    const struct mt_json *image = mt_json_get(value, "image_url");
    struct mt_str url = {NULL, 0};

    part->kind = MT_PART_IMAGE;
    if (mt_json_type(image) == MT_JSON_STRING) { /* a short form some clients use */
        MT_TRY(mt_chat__text(image, "image_url", r->arena, &url, r->err));
    } else {
        if (mt_json_type(image) != MT_JSON_OBJECT)
            return mt_chat__expected(image, "image_url", "an object", r->err);
        MT_TRY(
            mt_chat__text(mt_json_get(image, "url"), "image_url.url", r->arena, &url, r->err));
        MT_TRY(
            mt_chat__str(image, "image_url", "detail", r->arena, &part->media.detail, r->err));
    }
    mt_chat__media_url(url, &part->media);
    return MT_OK;
}

static mt_rc read_audio(struct reading *r, const struct mt_json *value,
                        struct mt_chat_part *part)
{
    const struct mt_json *audio = mt_json_get(value, "input_audio");
    struct mt_str format = {NULL, 0};

    part->kind = MT_PART_AUDIO;
    if (mt_json_type(audio) != MT_JSON_OBJECT)
        return mt_chat__expected(audio, "input_audio", "an object", r->err);
    MT_TRY(mt_chat__text(mt_json_get(audio, "data"), "input_audio.data", r->arena,
                         &part->media.base64, r->err));
    MT_TRY(mt_chat__text(mt_json_get(audio, "format"), "input_audio.format", r->arena, &format,
                         r->err));
    part->media.mime = mt_str_is(format, "mp3")
                           ? MT_STR("audio/mpeg")
                           : mt_arena_printf(r->arena, "audio/%.*s", MT_STR_ARG(format));
    return part->media.mime.at != NULL ? MT_OK : mt_arena_fail(r->arena, r->err);
}

static mt_rc read_file(struct reading *r, const struct mt_json *value,
                       struct mt_chat_part *part)
{
    const struct mt_json *file = mt_json_get(value, "file");
    struct mt_str data = {NULL, 0};

    part->kind = MT_PART_FILE;
    if (mt_json_type(file) != MT_JSON_OBJECT)
        return mt_chat__expected(file, "file", "an object", r->err);
    MT_TRY(mt_chat__str(file, "file", "file_data", r->arena, &data, r->err));
    MT_TRY(mt_chat__str(file, "file", "file_id", r->arena, &part->media.file_id, r->err));
    MT_TRY(mt_chat__str(file, "file", "filename", r->arena, &part->media.name, r->err));
    if (data.len == 0 && part->media.file_id.len == 0)
        return mt_chat__expected(NULL, "file.file_data", "a data URL", r->err);
    if (data.len > 0)
        mt_chat__media_url(data, &part->media);
    return MT_OK;
}

/* One element of a content array. */
static mt_rc read_part(struct reading *r, const struct mt_json *value,
                       struct mt_chat_part *part)
{
    static const char *const known[] = {"type", "text",        "refusal",       "image_url",
                                        "file", "input_audio", "cache_control", NULL};
    const struct mt_json *type = mt_json_get(value, "type");

    if (mt_json_type(value) != MT_JSON_OBJECT)
        return mt_chat__expected(value, "", "an object", r->err);
    MT_TRY(
        mt_chat__raw(value, "", "cache_control", MT_JSON_OBJECT, &part->cache_control, r->err));
    MT_TRY(mt_chat__extras_once(value, "content[].", known, r->out, r->err));
    part->kind = MT_PART_TEXT;
    if (mt_json_is(type, "text"))
        return mt_chat__text(mt_json_get(value, "text"), "text", r->arena, &part->text, r->err);
    if (mt_json_is(type, "image_url"))
        return read_image(r, value, part);
    if (mt_json_is(type, "input_audio"))
        return read_audio(r, value, part);
    if (mt_json_is(type, "file"))
        return read_file(r, value, part);
    if (mt_json_is(type, "refusal")) {
        part->kind = MT_PART_REFUSAL;
        return mt_chat__text(mt_json_get(value, "refusal"), "refusal", r->arena, &part->text,
                             r->err);
    }
    if (mt_json_type(type) != MT_JSON_STRING)
        return mt_chat__expected(type, "type", "a string", r->err);
    return MT_FAIL(r->err, MT_E_UNSUPPORTED, "type: content of type %.*s is not understood",
                   MT_STR_ARG(mt_str_sub(mt_json_raw(type), 0, 40)));
}

/* A string or an array of parts; absent and null are no content. */
static mt_rc read_content(struct reading *r, const struct mt_json *content,
                          struct mt_chat_part **parts, size_t *n)
{
    enum mt_json_type type = mt_json_type(content);
    struct mt_chat_part *part = NULL;
    size_t i = 0;

    if (type == MT_JSON_NONE || type == MT_JSON_NULL)
        return MT_OK;
    if (type == MT_JSON_STRING) {
        MT_TRY(push_part(r, parts, n, &part));
        part->kind = MT_PART_TEXT;
        return mt_chat__text(content, "content", r->arena, &part->text, r->err);
    }
    if (type != MT_JSON_ARRAY)
        return mt_chat__expected(content, "content", "a string or an array of parts", r->err);
    for (const struct mt_json *item = mt_json_first(content); item != NULL;
         item = mt_json_next(item), i++) {
        MT_TRY(push_part(r, parts, n, &part));
        mt_rc rc = read_part(r, item, part);
        if (rc < 0)
            return mt_chat__within(r->err, rc, "content[%zu]", i);
    }
    return MT_OK;
}

/* {"name", "arguments"} of a call. */
static mt_rc read_function(struct reading *r, const struct mt_json *function,
                           struct mt_chat_part *part)
{
    const struct mt_json *arguments = mt_json_get(function, "arguments");

    if (mt_json_type(function) != MT_JSON_OBJECT)
        return mt_chat__expected(function, "function", "an object", r->err);
    MT_TRY(mt_chat__text(mt_json_get(function, "name"), "function.name", r->arena, &part->name,
                         r->err));
    if (mt_json_type(arguments) == MT_JSON_OBJECT) { /* as Ollama has it */
        part->json = mt_json_raw(arguments);
        return MT_OK;
    }
    return mt_chat__str(function, "function", "arguments", r->arena, &part->json, r->err);
}

static mt_rc read_call(struct reading *r, const struct mt_json *value,
                       struct mt_chat_message *message)
{
    const struct mt_json *type = mt_json_get(value, "type");
    struct mt_chat_part *part = NULL;

    if (mt_json_type(value) != MT_JSON_OBJECT)
        return mt_chat__expected(value, "", "an object", r->err);
    if (mt_json_type(type) == MT_JSON_STRING && !mt_json_is(type, "function"))
        return MT_FAIL(r->err, MT_E_UNSUPPORTED,
                       "type: tool calls of type %.*s are not "
                       "understood",
                       MT_STR_ARG(mt_str_sub(mt_json_raw(type), 0, 40)));
    MT_TRY(add_part(r, message, MT_PART_TOOL_CALL, &part));
    MT_TRY(mt_chat__text(mt_json_get(value, "id"), "id", r->arena, &part->id, r->err));
    MT_TRY(read_function(r, mt_json_get(value, "function"), part));
    return mt_chat__calls_add(&r->calls, r->arena, part, r->err);
}

static mt_rc read_calls(struct reading *r, const struct mt_json *value,
                        struct mt_chat_message *message)
{
    const struct mt_json *calls = NULL;
    size_t i = 0;

    MT_TRY(mt_chat__member(value, "", "tool_calls", MT_JSON_ARRAY, &calls, r->err));
    for (const struct mt_json *call = mt_json_first(calls); call != NULL;
         call = mt_json_next(call), i++) {
        mt_rc rc = read_call(r, call, message);
        if (rc < 0)
            return mt_chat__within(r->err, rc, "tool_calls[%zu]", i);
    }
    return MT_OK;
}

static mt_rc read_legacy_call(struct reading *r, const struct mt_json *value,
                              struct mt_chat_message *message)
{
    const struct mt_json *call = NULL;
    struct mt_chat_part *part = NULL;

    MT_TRY(mt_chat__member(value, "", "function_call", MT_JSON_OBJECT, &call, r->err));
    if (call == NULL)
        return MT_OK;
    MT_TRY(add_part(r, message, MT_PART_TOOL_CALL, &part));
    mt_rc rc = read_function(r, call, part);
    if (rc < 0)
        return mt_chat__within(r->err, rc, "function_call");
    return mt_chat__calls_add(&r->calls, r->arena, part, r->err);
}

static mt_rc read_assistant(struct reading *r, const struct mt_json *value,
                            struct mt_chat_message *message)
{
    static const char *const thinking_keys[] = {"reasoning_content", "reasoning"};
    struct mt_str text = {NULL, 0};
    struct mt_chat_part *part = NULL;

    for (size_t i = 0; i < MT_ARRAY_LEN(thinking_keys) && text.len == 0; i++)
        MT_TRY(mt_chat__str(value, "", thinking_keys[i], r->arena, &text, r->err));
    if (text.len > 0) {
        MT_TRY(add_part(r, message, MT_PART_REASONING, &part));
        part->text = text;
    }
    MT_TRY(read_content(r, mt_json_get(value, "content"), &message->parts, &message->parts_n));
    text = (struct mt_str){NULL, 0};
    MT_TRY(mt_chat__str(value, "", "refusal", r->arena, &text, r->err));
    if (text.len > 0) {
        MT_TRY(add_part(r, message, MT_PART_REFUSAL, &part));
        part->text = text;
    }
    MT_TRY(read_calls(r, value, message));
    return read_legacy_call(r, value, message);
}

static mt_rc read_result(struct reading *r, const struct mt_json *value,
                         struct mt_chat_message *message)
{
    struct mt_chat_part *part = NULL;

    MT_TRY(add_part(r, message, MT_PART_TOOL_RESULT, &part));
    MT_TRY(mt_chat__text(mt_json_get(value, "tool_call_id"), "tool_call_id", r->arena,
                         &part->id, r->err));
    MT_TRY(mt_chat__calls_answer(&r->calls, r->arena, part, r->err));
    return read_content(r, mt_json_get(value, "content"), &part->parts, &part->parts_n);
}

static mt_rc read_legacy_result(struct reading *r, const struct mt_json *value,
                                struct mt_chat_message *message)
{
    struct mt_chat_part *part = NULL;

    MT_TRY(add_part(r, message, MT_PART_TOOL_RESULT, &part));
    MT_TRY(mt_chat__text(mt_json_get(value, "name"), "name", r->arena, &part->name, r->err));
    MT_TRY(mt_chat__calls_answer(&r->calls, r->arena, part, r->err));
    message->name = (struct mt_str){NULL, 0};
    return read_content(r, mt_json_get(value, "content"), &part->parts, &part->parts_n);
}

static mt_rc read_message(struct reading *r, const struct mt_json *value,
                          struct mt_chat_message *message)
{
    static const struct {
        const char *name;
        enum mt_chat_role role;
    } roles[] = {
        {"user", MT_ROLE_USER},     {"assistant", MT_ROLE_ASSISTANT},
        {"system", MT_ROLE_SYSTEM}, {"developer", MT_ROLE_DEVELOPER},
        {"tool", MT_ROLE_TOOL},     {"function", MT_ROLE_TOOL},
    };
    const struct mt_json *role = mt_json_get(value, "role");
    size_t i = 0;

    if (mt_json_type(value) != MT_JSON_OBJECT)
        return mt_chat__expected(value, "", "an object", r->err);
    if (mt_json_type(role) != MT_JSON_STRING)
        return mt_chat__expected(role, "role", "a string", r->err);
    while (i < MT_ARRAY_LEN(roles) && !mt_json_is(role, roles[i].name))
        i++;
    if (i == MT_ARRAY_LEN(roles))
        return MT_FAIL(r->err, MT_E_INVALID,
                       "role: expected system, developer, user, assistant or tool, found %.*s",
                       MT_STR_ARG(mt_str_sub(mt_json_raw(role), 0, 40)));
    message->role = roles[i].role;
    MT_TRY(mt_chat__extras_once(value, "messages[].", message_keys, r->out, r->err));
    MT_TRY(mt_chat__str(value, "", "name", r->arena, &message->name, r->err));
    if (message->role == MT_ROLE_ASSISTANT)
        return read_assistant(r, value, message);
    if (mt_json_is(role, "tool"))
        return read_result(r, value, message);
    if (mt_json_is(role, "function"))
        return read_legacy_result(r, value, message);
    const struct mt_json *content = mt_json_get(value, "content");
    if (mt_json_type(content) == MT_JSON_NONE || mt_json_type(content) == MT_JSON_NULL)
        return mt_chat__expected(content, "content", "a string or an array of parts", r->err);
    return read_content(r, content, &message->parts, &message->parts_n);
}

static mt_rc read_list(struct reading *r, const struct mt_json *body)
{
    const struct mt_json *list = mt_json_get(body, "messages");
    size_t n = mt_json_count(list);
    size_t i = 0;

    if (mt_json_type(list) != MT_JSON_ARRAY)
        return mt_chat__expected(list, "messages", "an array", r->err);
    if (n == 0 || n > MT_CHAT_MESSAGES_MAX)
        return MT_FAIL(r->err, MT_E_INVALID, "messages: expected 1 to %d messages, found %zu",
                       MT_CHAT_MESSAGES_MAX, n);
    r->out->messages = mt_arena_get(r->arena, n, sizeof *r->out->messages);
    if (r->out->messages == NULL)
        return mt_arena_fail(r->arena, r->err);
    for (const struct mt_json *m = mt_json_first(list); m != NULL; m = mt_json_next(m), i++) {
        mt_rc rc = read_message(r, m, &r->out->messages[i]);
        if (rc < 0)
            return mt_chat__within(r->err, rc, "messages[%zu]", i);
        r->out->messages_n = i + 1;
    }
    return MT_OK;
}

mt_rc mt_openai__read_messages(const struct mt_json *body, struct mt_chat_request *out,
                               struct mt_err *err)
{
    struct reading r = {.out = out, .arena = out->arena, .err = err};

    return read_list(&r, body);
}
