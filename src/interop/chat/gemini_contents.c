/* SPDX-License-Identifier: Apache-2.0 */
/* contents and systemInstruction of a Gemini request, read. */
#include <string.h>

#include "calls.h"
#include "gemini_priv.h"

/* What parts are read into. */
struct reader {
    struct mt_chat_request *request;
    struct mt_arena *arena;
    struct mt_chat__calls *calls;
    struct mt_err *err;
};

/* Both alphabets of base64 are allowed; inside there is one. */
static mt_rc plain_base64(const struct reader *r, struct mt_str *text)
{
    char *copy = NULL;

    if (text->len == 0 ||
        (memchr(text->at, '-', text->len) == NULL && memchr(text->at, '_', text->len) == NULL))
        return MT_OK;
    copy = mt_arena_get(r->arena, text->len, 1);
    if (copy == NULL)
        return mt_arena_fail(r->arena, r->err);
    for (size_t i = 0; i < text->len; i++)
        copy[i] = text->at[i] == '-' ? '+' : text->at[i] == '_' ? '/' : text->at[i];
    text->at = copy;
    return MT_OK;
}

static enum mt_chat_part_kind kind_of(struct mt_str mime)
{
    if (mt_str_starts(mime, MT_STR("image/")))
        return MT_PART_IMAGE;
    return mt_str_starts(mime, MT_STR("audio/")) ? MT_PART_AUDIO : MT_PART_FILE;
}

static mt_rc read_blob(const struct reader *r, const struct mt_json *blob,
                       struct mt_chat_part *out)
{
    struct mt_chat_media *media = &out->media;

    if (mt_json_type(blob) != MT_JSON_OBJECT)
        return mt_chat__expected(blob, "inlineData", "an object", r->err);
    MT_TRY(mt_gemini__str(blob, "inlineData", "mimeType", r->arena, &media->mime, r->err));
    MT_TRY(mt_gemini__str(blob, "inlineData", "displayName", r->arena, &media->name, r->err));
    MT_TRY(mt_chat__str(blob, "inlineData", "data", r->arena, &media->base64, r->err));
    MT_TRY(plain_base64(r, &media->base64));
    if (media->base64.len == 0)
        return MT_FAIL(r->err, MT_E_INVALID, "inlineData.data: expected base64 data");
    if (media->mime.len == 0)
        media->mime = mt_chat__sniff_mime(media->base64);
    out->kind = kind_of(media->mime);
    return MT_OK;
}

/* Google's own handles mean nothing elsewhere; any other address does. */
static bool is_own_file(struct mt_str uri)
{
    return !mt_str_starts(uri, MT_STR("http://")) &&
           (!mt_str_starts(uri, MT_STR("https://")) ||
            mt_str_starts(uri, MT_STR("https://generativelanguage.googleapis.com/")));
}

static mt_rc read_file(const struct reader *r, const struct mt_json *file,
                       struct mt_chat_part *out)
{
    struct mt_chat_media *media = &out->media;
    struct mt_str uri = {0};

    if (mt_json_type(file) != MT_JSON_OBJECT)
        return mt_chat__expected(file, "fileData", "an object", r->err);
    MT_TRY(mt_gemini__str(file, "fileData", "mimeType", r->arena, &media->mime, r->err));
    MT_TRY(mt_gemini__str(file, "fileData", "displayName", r->arena, &media->name, r->err));
    MT_TRY(mt_gemini__str(file, "fileData", "fileUri", r->arena, &uri, r->err));
    if (uri.len == 0)
        return MT_FAIL(r->err, MT_E_INVALID, "fileData.fileUri: expected a URI");
    if (is_own_file(uri))
        media->file_id = uri;
    else
        media->url = uri;
    out->kind = kind_of(media->mime);
    return MT_OK;
}

static mt_rc read_call(const struct reader *r, const struct mt_json *call,
                       struct mt_chat_part *out)
{
    if (mt_json_type(call) != MT_JSON_OBJECT)
        return mt_chat__expected(call, "functionCall", "an object", r->err);
    out->kind = MT_PART_TOOL_CALL;
    out->json = MT_STR("{}");
    MT_TRY(mt_chat__str(call, "functionCall", "id", r->arena, &out->id, r->err));
    MT_TRY(mt_chat__str(call, "functionCall", "name", r->arena, &out->name, r->err));
    MT_TRY(mt_chat__raw(call, "functionCall", "args", MT_JSON_OBJECT, &out->json, r->err));
    if (out->name.len == 0)
        return MT_FAIL(r->err, MT_E_INVALID, "functionCall.name: expected a name");
    return mt_chat__calls_add(r->calls, r->arena, out, r->err);
}

/* {"result":"text"}, {"output":"text"} and {"error":"text"} are text in a wrapper; anything
 * else is the result itself. */
static void unwrap(const struct reader *r, const struct mt_json *response,
                   struct mt_chat_part *result, struct mt_str *text)
{
    const struct mt_json *only = mt_json_first(response);
    bool is_error = mt_json_key_is(only, "error");

    if (mt_json_count(response) == 1 && mt_json_type(only) == MT_JSON_STRING &&
        (is_error || mt_json_key_is(only, "result") || mt_json_key_is(only, "output")) &&
        mt_json_str(only, r->arena, text)) {
        result->is_error = is_error;
        return;
    }
    *text = response != NULL ? mt_json_raw(response) : MT_STR("");
}

static mt_rc read_result_parts(const struct reader *r, const struct mt_json *value,
                               struct mt_chat_part *result, struct mt_str text)
{
    const struct mt_json *item = NULL;
    size_t n = 0;

    MT_TRY(mt_gemini__list(mt_json_get(value, "parts"), "functionResponse.parts",
                           MT_CHAT_PARTS_MAX - 1, &item, &n, r->err));
    result->parts = mt_arena_get(r->arena, n + 1, sizeof *result->parts);
    if (result->parts == NULL)
        return mt_arena_fail(r->arena, r->err);
    result->parts[result->parts_n++] =
        (struct mt_chat_part){.kind = MT_PART_TEXT, .text = text};
    for (size_t i = 0; i < n; i++, item = mt_json_next(item)) {
        struct mt_chat_part *part = &result->parts[result->parts_n];
        const struct mt_json *blob = mt_gemini__get(item, "inlineData");
        mt_rc rc = blob != NULL ? read_blob(r, blob, part)
                                : read_file(r, mt_gemini__get(item, "fileData"), part);
        if (rc < 0)
            return mt_chat__within(r->err, rc, "functionResponse.parts[%zu]", i);
        result->parts_n++;
    }
    return MT_OK;
}

static mt_rc read_result(const struct reader *r, const struct mt_json *value,
                         struct mt_chat_part *out)
{
    const struct mt_json *response = mt_json_get(value, "response");
    struct mt_str text = {0};

    if (mt_json_type(value) != MT_JSON_OBJECT)
        return mt_chat__expected(value, "functionResponse", "an object", r->err);
    if (mt_json_type(response) > MT_JSON_NULL && mt_json_type(response) != MT_JSON_OBJECT)
        return mt_chat__expected(response, "functionResponse.response", "an object", r->err);
    out->kind = MT_PART_TOOL_RESULT;
    MT_TRY(mt_chat__str(value, "functionResponse", "id", r->arena, &out->id, r->err));
    MT_TRY(mt_chat__str(value, "functionResponse", "name", r->arena, &out->name, r->err));
    unwrap(r, response, out, &text);
    MT_TRY(read_result_parts(r, value, out, text));
    return mt_chat__calls_answer(r->calls, r->arena, out, r->err);
}

static mt_rc read_text(const struct reader *r, const struct mt_json *part,
                       struct mt_chat_part *out)
{
    bool is_thought = false;

    out->kind = MT_PART_TEXT;
    MT_TRY(mt_chat__str(part, "", "text", r->arena, &out->text, r->err));
    MT_TRY(mt_chat__bool(part, "", "thought", &is_thought, r->err));
    if (is_thought)
        out->kind = MT_PART_REASONING;
    else if (mt_json_get(part, "text") == NULL && out->signature.len == 0)
        return MT_FAIL(r->err, MT_E_INVALID,
                       "expected text, inlineData, fileData, functionCall or "
                       "functionResponse");
    return MT_OK;
}

static const char *const known_part[] = {"text",
                                         "thought",
                                         "thoughtSignature",
                                         "thought_signature",
                                         "inlineData",
                                         "inline_data",
                                         "fileData",
                                         "file_data",
                                         "functionCall",
                                         "function_call",
                                         "functionResponse",
                                         "function_response",
                                         NULL};

static mt_rc read_data(const struct reader *r, const struct mt_json *part,
                       struct mt_chat_part *out)
{
    static const struct {
        const char *key;
        mt_rc (*read)(const struct reader *, const struct mt_json *, struct mt_chat_part *);
    } kinds[] = {
        {"inlineData", read_blob},
        {"fileData", read_file},
        {"functionCall", read_call},
        {"functionResponse", read_result},
    };
    static const char *const refused[] = {"executableCode", "codeExecutionResult", "toolCall",
                                          "toolResponse"};

    if (mt_json_get(part, "text") != NULL)
        return read_text(r, part, out);
    for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++) {
        const struct mt_json *value = mt_gemini__get(part, kinds[i].key);
        if (value != NULL)
            return kinds[i].read(r, value, out);
    }
    for (size_t i = 0; i < MT_ARRAY_LEN(refused); i++)
        if (mt_gemini__get(part, refused[i]) != NULL)
            return MT_FAIL(r->err, MT_E_UNSUPPORTED, "%s: cannot be translated", refused[i]);
    return read_text(r, part, out);
}

static mt_rc read_part(const struct reader *r, const struct mt_json *part,
                       struct mt_chat_part *out)
{
    if (mt_json_type(part) != MT_JSON_OBJECT)
        return mt_chat__expected(part, "", "an object", r->err);
    struct mt_str signature = {0};
    MT_TRY(mt_gemini__str(part, "", "thoughtSignature", r->arena, &signature, r->err));
    out->signature = mt_chat__signature_in(MT_GEMINI_MAKER, signature, r->arena);
    if (out->signature.at == NULL)
        return mt_arena_fail(r->arena, r->err);
    MT_TRY(read_data(r, part, out));
    return mt_chat__extras_once(part, "contents[].parts[].", known_part, r->request, r->err);
}

static mt_rc read_parts(const struct reader *r, const struct mt_json *content,
                        struct mt_chat_message *out)
{
    const struct mt_json *item = NULL;
    size_t n = 0;

    if (mt_json_type(content) != MT_JSON_OBJECT)
        return mt_chat__expected(content, "", "an object", r->err);
    MT_TRY(mt_gemini__list(mt_json_get(content, "parts"), "parts", MT_CHAT_PARTS_MAX, &item, &n,
                           r->err));
    out->parts = n > 0 ? mt_arena_get(r->arena, n, sizeof *out->parts) : NULL;
    if (n > 0 && out->parts == NULL)
        return mt_arena_fail(r->arena, r->err);
    for (size_t i = 0; i < n; i++, item = mt_json_next(item)) {
        mt_rc rc = read_part(r, item, &out->parts[out->parts_n]);
        if (rc < 0)
            return mt_chat__within(r->err, rc, "parts[%zu]", i);
        out->parts_n++;
    }
    return MT_OK;
}

static mt_rc read_role(const struct reader *r, const struct mt_json *content,
                       enum mt_chat_role *out)
{
    static const struct {
        const char *name;
        enum mt_chat_role role;
    } roles[] = {{"user", MT_ROLE_USER},
                 {"model", MT_ROLE_ASSISTANT},
                 {"function", MT_ROLE_TOOL},
                 {"tool", MT_ROLE_TOOL},
                 {"system", MT_ROLE_SYSTEM}};
    struct mt_str name = MT_STR("user");

    MT_TRY(mt_chat__str(content, "", "role", r->arena, &name, r->err));
    for (size_t i = 0; i < MT_ARRAY_LEN(roles); i++) {
        if (mt_str_is(name, roles[i].name)) {
            *out = roles[i].role;
            return MT_OK;
        }
    }
    name = mt_str_sub(name, 0, 40);
    return MT_FAIL(r->err, MT_E_INVALID, "role: expected 'user' or 'model', found '%.*s'",
                   MT_STR_ARG(name));
}

static bool is_all_results(const struct mt_chat_message *message)
{
    for (size_t i = 0; i < message->parts_n; i++)
        if (message->parts[i].kind != MT_PART_TOOL_RESULT)
            return false;
    return message->parts_n > 0;
}

static mt_rc read_content(const struct reader *r, const struct mt_json *content,
                          struct mt_chat_message *out)
{
    MT_TRY(read_parts(r, content, out));
    MT_TRY(read_role(r, content, &out->role));
    if (out->role == MT_ROLE_USER && is_all_results(out))
        out->role = MT_ROLE_TOOL;
    else if (out->role == MT_ROLE_TOOL && !is_all_results(out))
        out->role = MT_ROLE_USER;
    return MT_OK;
}

static mt_rc read_system(const struct reader *r, const struct mt_json *value,
                         struct mt_chat_message *out)
{
    out->role = MT_ROLE_SYSTEM;
    if (mt_json_type(value) != MT_JSON_STRING)
        return read_parts(r, value, out);
    out->parts = mt_arena_get(r->arena, 1, sizeof *out->parts);
    if (out->parts == NULL)
        return mt_arena_fail(r->arena, r->err);
    out->parts_n = 1;
    return mt_chat__text(value, "", r->arena, &out->parts[0].text, r->err);
}

mt_rc mt_gemini__read_contents(const struct mt_json *body, struct mt_chat_request *out,
                               struct mt_err *err)
{
    const struct mt_json *system = mt_gemini__get(body, "systemInstruction");
    bool has_system = mt_json_type(system) > MT_JSON_NULL;
    struct reader r = {.request = out, .arena = out->arena, .err = err};
    const struct mt_json *item = NULL;
    size_t n = 0;

    MT_TRY(mt_gemini__list(mt_json_get(body, "contents"), "contents", MT_CHAT_MESSAGES_MAX - 1,
                           &item, &n, err));
    if (n == 0)
        return MT_FAIL(err, MT_E_INVALID, "contents: expected at least one, found none");
    r.calls = mt_arena_get(r.arena, 1, sizeof *r.calls);
    out->messages = mt_arena_get(r.arena, n + 1, sizeof *out->messages);
    if (r.calls == NULL || out->messages == NULL)
        return mt_arena_fail(r.arena, err);
    if (has_system) {
        mt_rc rc = read_system(&r, system, &out->messages[out->messages_n++]);
        if (rc < 0)
            return mt_chat__within(err, rc, "systemInstruction");
    }
    for (size_t i = 0; i < n; i++, item = mt_json_next(item)) {
        mt_rc rc = read_content(&r, item, &out->messages[out->messages_n++]);
        if (rc < 0)
            return mt_chat__within(err, rc, "contents[%zu]", i);
    }
    return MT_OK;
}

mt_rc mt_gemini__content_text(const struct mt_json *content, struct mt_arena *arena,
                              struct mt_str *out, struct mt_err *err)
{
    struct mt_chat_request none = {.arena = arena};
    struct mt_chat_message message = {0};
    struct mt_chat__calls calls = {0};
    struct reader r = {.request = &none, .arena = arena, .calls = &calls, .err = err};

    MT_TRY(read_parts(&r, content, &message));
    for (size_t i = 0; i < message.parts_n; i++)
        if (message.parts[i].kind != MT_PART_TEXT)
            return MT_FAIL(err, MT_E_UNSUPPORTED, "parts[%zu]: only text can be embedded", i);
    *out = mt_chat__join_text(message.parts, message.parts_n, "\n", arena);
    return out->at == NULL ? mt_arena_fail(arena, err) : MT_OK;
}
