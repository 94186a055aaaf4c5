/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the input of a Responses request. Items of an assistant that follow one another
 * (reasoning, text, calls) become one message; an item or part that the canonical model cannot
 * hold is refused by its name. */
#include "responses_priv.h"
#include "signature.h"

/* The message that is being put together. */
struct reader {
    struct mt_chat_request *out;
    enum mt_chat_role role;
    struct mt_chat_part *parts;
    size_t parts_n;
};

static mt_rc flush(struct reader *r, struct mt_err *err)
{
    struct mt_chat_request *out = r->out;

    if (r->parts_n == 0)
        return MT_OK;
    if (out->messages_n >= MT_CHAT_MESSAGES_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "input: more than %d messages", MT_CHAT_MESSAGES_MAX);
    struct mt_chat_message *at =
        mt_chat__push(out->arena, out->messages, out->messages_n, sizeof *at);
    if (at == NULL)
        return mt_arena_fail(out->arena, err);
    out->messages = at;
    at[out->messages_n++] =
        (struct mt_chat_message){.role = r->role, .parts = r->parts, .parts_n = r->parts_n};
    r->parts = NULL;
    r->parts_n = 0;
    return MT_OK;
}

/* Go on with the open message, or begin one. */
static mt_rc turn(struct reader *r, enum mt_chat_role role, struct mt_err *err)
{
    if (r->parts_n > 0 && r->role == role && role == MT_ROLE_ASSISTANT)
        return MT_OK;
    MT_TRY(flush(r, err));
    r->role = role;
    return MT_OK;
}

static mt_rc push(struct reader *r, const struct mt_chat_part *part, struct mt_err *err)
{
    if (r->parts_n >= MT_CHAT_PARTS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "more than %d parts in one message",
                       MT_CHAT_PARTS_MAX);
    struct mt_chat_part *at = mt_chat__push(r->out->arena, r->parts, r->parts_n, sizeof *at);
    if (at == NULL)
        return mt_arena_fail(r->out->arena, err);
    at[r->parts_n++] = *part;
    r->parts = at;
    return MT_OK;
}

static mt_rc need(struct mt_str value, const char *key, struct mt_err *err)
{
    return value.len > 0 ? MT_OK : MT_FAIL(err, MT_E_INVALID, "%s: field required", key);
}

static mt_rc read_image(struct reader *r, const struct mt_json *part, struct mt_err *err)
{
    struct mt_chat_part image = {.kind = MT_PART_IMAGE};
    struct mt_str url = {NULL, 0};

    MT_TRY(mt_chat__str(part, "", "image_url", r->out->arena, &url, err));
    MT_TRY(mt_chat__str(part, "", "file_id", r->out->arena, &image.media.file_id, err));
    MT_TRY(mt_chat__str(part, "", "detail", r->out->arena, &image.media.detail, err));
    if (url.len == 0)
        MT_TRY(need(image.media.file_id, "image_url", err));
    else
        mt_chat__media_url(url, &image.media);
    return push(r, &image, err);
}

static mt_rc read_file(struct reader *r, const struct mt_json *part, struct mt_err *err)
{
    struct mt_chat_part file = {.kind = MT_PART_FILE};
    struct mt_str data = {NULL, 0};

    MT_TRY(mt_chat__str(part, "", "file_data", r->out->arena, &data, err));
    if (mt_str_starts(data, MT_STR("data:")))
        mt_chat__media_url(data, &file.media);
    else
        file.media.base64 = data;
    if (file.media.base64.len > 0 && file.media.mime.len == 0)
        file.media.mime = MT_STR("application/pdf"); /* what bare data means in this dialect */
    MT_TRY(mt_chat__str(part, "", "filename", r->out->arena, &file.media.name, err));
    MT_TRY(mt_chat__str(part, "", "file_id", r->out->arena, &file.media.file_id, err));
    if (data.len == 0)
        MT_TRY(mt_chat__str(part, "", "file_url", r->out->arena, &file.media.url, err));
    if (data.len == 0 && file.media.url.len == 0)
        MT_TRY(need(file.media.file_id, "file_data", err));
    return push(r, &file, err);
}

static mt_rc read_audio(struct reader *r, const struct mt_json *part, struct mt_err *err)
{
    struct mt_chat_part audio = {.kind = MT_PART_AUDIO};
    const struct mt_json *input = NULL;
    struct mt_str format = {NULL, 0};

    MT_TRY(mt_chat__member(part, "", "input_audio", MT_JSON_OBJECT, &input, err));
    MT_TRY(mt_chat__str(input, "input_audio", "data", r->out->arena, &audio.media.base64, err));
    MT_TRY(mt_chat__str(input, "input_audio", "format", r->out->arena, &format, err));
    MT_TRY(need(audio.media.base64, "input_audio.data", err));
    MT_TRY(need(format, "input_audio.format", err));
    audio.media.mime = mt_arena_printf(r->out->arena, "audio/%.*s", MT_STR_ARG(format));
    return audio.media.mime.at != NULL ? push(r, &audio, err)
                                       : mt_arena_fail(r->out->arena, err);
}

static mt_rc read_words(struct reader *r, const struct mt_json *part, const char *key,
                        enum mt_chat_part_kind kind, struct mt_err *err)
{
    struct mt_chat_part words = {.kind = kind};

    if (mt_json_get(part, key) == NULL)
        return MT_FAIL(err, MT_E_INVALID, "%s: field required", key);
    MT_TRY(mt_chat__str(part, "", key, r->out->arena, &words.text, err));
    return push(r, &words, err);
}

static mt_rc read_part(struct reader *r, const struct mt_json *part, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(part, "type");

    if (mt_json_type(part) != MT_JSON_OBJECT)
        return mt_chat__expected(part, "", "an object", err);
    if (mt_json_is(type, "input_text") || mt_json_is(type, "output_text") ||
        mt_json_is(type, "text"))
        return read_words(r, part, "text", MT_PART_TEXT, err);
    if (mt_json_is(type, "refusal"))
        return read_words(r, part, "refusal", MT_PART_REFUSAL, err);
    if (mt_json_is(type, "input_image"))
        return read_image(r, part, err);
    if (mt_json_is(type, "input_file"))
        return read_file(r, part, err);
    if (mt_json_is(type, "input_audio"))
        return read_audio(r, part, err);
    if (mt_json_type(type) != MT_JSON_STRING)
        return mt_chat__expected(type, "type", "a string", err);
    return MT_FAIL(err, MT_E_UNSUPPORTED, "type: a part %.*s cannot be translated",
                   MT_STR_ARG(mt_json_raw(type)));
}

/* A string, or a list of parts. */
static mt_rc read_content(struct reader *r, const struct mt_json *content, const char *name,
                          struct mt_err *err)
{
    struct mt_chat_part text = {.kind = MT_PART_TEXT};
    size_t index = 0;

    if (mt_json_type(content) == MT_JSON_STRING)
        return mt_json_str(content, r->out->arena, &text.text)
                   ? push(r, &text, err)
                   : mt_arena_fail(r->out->arena, err);
    if (mt_json_type(content) != MT_JSON_ARRAY)
        return mt_chat__expected(content, name, "a string or an array", err);
    for (const struct mt_json *p = mt_json_first(content); p != NULL; p = mt_json_next(p)) {
        mt_rc rc = read_part(r, p, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "%s[%zu]", name, index);
        index++;
    }
    return MT_OK;
}

static mt_rc read_message(struct reader *r, const struct mt_json *item, struct mt_err *err)
{
    static const struct {
        const char *name;
        enum mt_chat_role role;
    } words[] = {{"user", MT_ROLE_USER},
                 {"assistant", MT_ROLE_ASSISTANT},
                 {"system", MT_ROLE_SYSTEM},
                 {"developer", MT_ROLE_DEVELOPER}};
    const struct mt_json *role = mt_json_get(item, "role");

    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
        if (!mt_json_is(role, words[i].name))
            continue;
        MT_TRY(turn(r, words[i].role, err));
        return read_content(r, mt_json_get(item, "content"), "content", err);
    }
    return mt_chat__expected(role, "role", "'user', 'assistant', 'system' or 'developer'", err);
}

static mt_rc read_call(struct reader *r, const struct mt_json *item, struct mt_err *err)
{
    struct mt_chat_part call = {.kind = MT_PART_TOOL_CALL};

    MT_TRY(mt_chat__str(item, "", "call_id", r->out->arena, &call.id, err));
    MT_TRY(mt_chat__str(item, "", "name", r->out->arena, &call.name, err));
    MT_TRY(mt_chat__str(item, "", "arguments", r->out->arena, &call.json, err));
    MT_TRY(need(call.id, "call_id", err));
    MT_TRY(need(call.name, "name", err));
    MT_TRY(turn(r, MT_ROLE_ASSISTANT, err));
    return push(r, &call, err);
}

/* The name of the call a result answers; empty when it is not in this input. */
static struct mt_str name_of_call(const struct mt_chat_request *request, struct mt_str id)
{
    for (size_t m = request->messages_n; m > 0; m--) {
        const struct mt_chat_message *message = &request->messages[m - 1];
        if (message->role == MT_ROLE_USER)
            break; /* results follow their calls */
        for (size_t p = 0; p < message->parts_n; p++)
            if (message->parts[p].kind == MT_PART_TOOL_CALL &&
                mt_str_eq(message->parts[p].id, id))
                return message->parts[p].name;
    }
    return (struct mt_str){NULL, 0};
}

static mt_rc read_output(struct reader *r, const struct mt_json *item, struct mt_err *err)
{
    struct mt_chat_part result = {.kind = MT_PART_TOOL_RESULT};
    struct reader inner = {.out = r->out};

    MT_TRY(flush(r, err));
    MT_TRY(mt_chat__str(item, "", "call_id", r->out->arena, &result.id, err));
    MT_TRY(need(result.id, "call_id", err));
    MT_TRY(read_content(&inner, mt_json_get(item, "output"), "output", err));
    result.name = name_of_call(r->out, result.id);
    result.parts = inner.parts;
    result.parts_n = inner.parts_n;
    MT_TRY(turn(r, MT_ROLE_TOOL, err));
    MT_TRY(push(r, &result, err));
    return flush(r, err);
}

/* The texts of "summary" or "content", joined. */
static mt_rc read_thoughts(struct reader *r, const struct mt_json *list, struct mt_str *out,
                           struct mt_err *err)
{
    struct reader inner = {.out = r->out};

    for (const struct mt_json *t = mt_json_first(list); t != NULL; t = mt_json_next(t))
        MT_TRY(read_words(&inner, t, "text", MT_PART_TEXT, err));
    if (inner.parts_n == 0)
        return MT_OK;
    *out = mt_chat__join_text(inner.parts, inner.parts_n, "\n\n", r->out->arena);
    return out->at != NULL ? MT_OK : mt_arena_fail(r->out->arena, err);
}

static mt_rc read_reasoning(struct reader *r, const struct mt_json *item, struct mt_err *err)
{
    struct mt_chat_part part = {.kind = MT_PART_REASONING};
    const struct mt_json *summary = NULL, *content = NULL;
    struct mt_str encrypted = {NULL, 0};

    MT_TRY(mt_chat__member(item, "", "summary", MT_JSON_ARRAY, &summary, err));
    MT_TRY(mt_chat__member(item, "", "content", MT_JSON_ARRAY, &content, err));
    MT_TRY(mt_chat__str(item, "", "encrypted_content", r->out->arena, &encrypted, err));
    MT_TRY(read_thoughts(r, mt_json_count(content) > 0 ? content : summary, &part.text, err));
    part.signature = mt_chat__signature_in("openai", encrypted, r->out->arena);
    if (part.signature.at == NULL)
        return mt_arena_fail(r->out->arena, err);
    if (part.text.len == 0 && part.signature.len == 0)
        return MT_OK; /* an empty thought */
    part.is_redacted = part.text.len == 0;
    MT_TRY(turn(r, MT_ROLE_ASSISTANT, err));
    return push(r, &part, err);
}

static mt_rc read_item(struct reader *r, const struct mt_json *item, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(item, "type");

    if (mt_json_type(item) != MT_JSON_OBJECT)
        return mt_chat__expected(item, "", "an object", err);
    if (mt_json_is(type, "message") || (type == NULL && mt_json_get(item, "role") != NULL))
        return read_message(r, item, err);
    if (mt_json_is(type, "function_call"))
        return read_call(r, item, err);
    if (mt_json_is(type, "function_call_output"))
        return read_output(r, item, err);
    if (mt_json_is(type, "reasoning"))
        return read_reasoning(r, item, err);
    if (type == NULL)
        return MT_FAIL(err, MT_E_INVALID, "type: field required");
    if (mt_json_type(type) != MT_JSON_STRING)
        return mt_chat__expected(type, "type", "a string", err);
    return MT_FAIL(err, MT_E_UNSUPPORTED, "type: an item %.*s cannot be translated",
                   MT_STR_ARG(mt_json_raw(type)));
}

mt_rc mt_responses__read_instructions(struct mt_str text, struct mt_chat_request *out,
                                      struct mt_err *err)
{
    struct reader r = {.out = out, .role = MT_ROLE_SYSTEM};
    struct mt_chat_part part = {.kind = MT_PART_TEXT, .text = text};

    if (text.len == 0)
        return MT_OK;
    MT_TRY(push(&r, &part, err));
    return flush(&r, err);
}

mt_rc mt_responses__read_input(const struct mt_json *input, struct mt_chat_request *out,
                               struct mt_err *err)
{
    struct reader r = {.out = out, .role = MT_ROLE_USER};
    size_t index = 0;

    if (input == NULL)
        return MT_FAIL(err, MT_E_INVALID, "input: field required");
    if (mt_json_type(input) != MT_JSON_ARRAY) {
        MT_TRY(read_content(&r, input, "input", err));
        return flush(&r, err);
    }
    for (const struct mt_json *i = mt_json_first(input); i != NULL; i = mt_json_next(i)) {
        mt_rc rc = read_item(&r, i, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "input[%zu]", index);
        index++;
    }
    return flush(&r, err);
}
