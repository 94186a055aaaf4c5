/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the messages of a Messages request, block by block. A block that the canonical model
 * cannot hold is refused by its name. */
#include "anthropic_priv.h"
#include "signature.h"

struct part_list {
    struct mt_chat_part *at;
    size_t n;
};

static mt_rc list_add(struct mt_chat_request *out, struct part_list *list,
                      const struct mt_chat_part *part, struct mt_err *err)
{
    if (list->n >= MT_CHAT_PARTS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "content: more than %d blocks in one message",
                       MT_CHAT_PARTS_MAX);
    struct mt_chat_part *at = mt_chat__push(out->arena, list->at, list->n, sizeof *at);
    if (at == NULL)
        return mt_arena_fail(out->arena, err);
    at[list->n++] = *part;
    list->at = at;
    return MT_OK;
}

static mt_rc add_message(struct mt_chat_request *out, enum mt_chat_role role,
                         const struct part_list *list, struct mt_err *err)
{
    if (list->n == 0)
        return MT_OK;
    if (out->messages_n >= MT_CHAT_MESSAGES_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "messages: more than %d", MT_CHAT_MESSAGES_MAX);
    struct mt_chat_message *at =
        mt_chat__push(out->arena, out->messages, out->messages_n, sizeof *at);
    if (at == NULL)
        return mt_arena_fail(out->arena, err);
    out->messages = at;
    at[out->messages_n++] =
        (struct mt_chat_message){.role = role, .parts = list->at, .parts_n = list->n};
    return MT_OK;
}

static mt_rc need(struct mt_str value, const char *key, struct mt_err *err)
{
    return value.len > 0 ? MT_OK : MT_FAIL(err, MT_E_INVALID, "%s: field required", key);
}

/* image and document sources but those that hold text */
static mt_rc read_source(const struct mt_json *source, struct mt_chat_request *out,
                         struct mt_chat_media *media, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(source, "type");

    if (mt_json_type(source) != MT_JSON_OBJECT)
        return mt_chat__expected(source, "source", "an object", err);
    if (mt_json_is(type, "base64")) {
        MT_TRY(mt_chat__str(source, "source", "media_type", out->arena, &media->mime, err));
        MT_TRY(mt_chat__str(source, "source", "data", out->arena, &media->base64, err));
        MT_TRY(need(media->mime, "source.media_type", err));
        return need(media->base64, "source.data", err);
    }
    if (mt_json_is(type, "url")) {
        MT_TRY(mt_chat__str(source, "source", "url", out->arena, &media->url, err));
        return need(media->url, "source.url", err);
    }
    if (mt_json_is(type, "file")) {
        MT_TRY(mt_chat__str(source, "source", "file_id", out->arena, &media->file_id, err));
        return need(media->file_id, "source.file_id", err);
    }
    return mt_chat__expected(type, "source.type", "'base64', 'url' or 'file'", err);
}

static mt_rc read_content(const struct mt_json *content, const char *name,
                          struct mt_chat_request *out, struct part_list *list,
                          struct mt_err *err);

static mt_rc read_text(const struct mt_json *block, struct mt_chat_request *out,
                       struct part_list *list, struct mt_err *err)
{
    struct mt_chat_part part = {.kind = MT_PART_TEXT};

    if (mt_json_get(block, "text") == NULL)
        return MT_FAIL(err, MT_E_INVALID, "text: field required");
    MT_TRY(mt_chat__str(block, "", "text", out->arena, &part.text, err));
    MT_TRY(mt_chat__raw(block, "", "cache_control", MT_JSON_OBJECT, &part.cache_control, err));
    return list_add(out, list, &part, err);
}

static mt_rc read_image(const struct mt_json *block, struct mt_chat_request *out,
                        struct part_list *list, struct mt_err *err)
{
    struct mt_chat_part part = {.kind = MT_PART_IMAGE};

    MT_TRY(read_source(mt_json_get(block, "source"), out, &part.media, err));
    MT_TRY(mt_chat__raw(block, "", "cache_control", MT_JSON_OBJECT, &part.cache_control, err));
    return list_add(out, list, &part, err);
}

/* A document that holds text becomes text: every model can read that. Its citations cannot be
 * had elsewhere, so whoever asks for them is told. */
static mt_rc read_document(const struct mt_json *block, struct mt_chat_request *out,
                           struct part_list *list, struct mt_err *err)
{
    const struct mt_json *source = mt_json_get(block, "source");
    const struct mt_json *type = mt_json_get(source, "type");
    struct mt_chat_part part = {.kind = MT_PART_FILE};
    bool wants_citations = false;

    MT_TRY(
        mt_chat__bool(mt_json_get(block, "citations"), "", "enabled", &wants_citations, err));
    if (wants_citations)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "citations: cannot be translated");
    MT_TRY(mt_chat__str(block, "", "title", out->arena, &part.media.name, err));
    MT_TRY(mt_chat__raw(block, "", "cache_control", MT_JSON_OBJECT, &part.cache_control, err));
    if (mt_json_is(type, "text")) {
        part.kind = MT_PART_TEXT;
        MT_TRY(mt_chat__str(source, "source", "data", out->arena, &part.text, err));
        MT_TRY(need(part.text, "source.data", err));
    } else if (mt_json_is(type, "content")) {
        return read_content(mt_json_get(source, "content"), "source.content", out, list, err);
    } else {
        MT_TRY(read_source(source, out, &part.media, err));
    }
    return list_add(out, list, &part, err);
}

static mt_rc read_thinking(const struct mt_json *block, struct mt_chat_request *out,
                           struct part_list *list, struct mt_err *err)
{
    struct mt_chat_part part = {.kind = MT_PART_REASONING};
    struct mt_str signature = {NULL, 0};

    part.is_redacted = mt_json_is(mt_json_get(block, "type"), "redacted_thinking");
    MT_TRY(mt_chat__str(block, "", "thinking", out->arena, &part.text, err));
    MT_TRY(mt_chat__str(block, "", part.is_redacted ? "data" : "signature", out->arena,
                        &signature, err));
    part.signature = mt_chat__signature_in("anthropic", signature, out->arena);
    if (part.signature.at == NULL)
        return mt_arena_fail(out->arena, err);
    return list_add(out, list, &part, err);
}

static mt_rc read_tool_use(const struct mt_json *block, struct mt_chat_request *out,
                           struct part_list *list, struct mt_err *err)
{
    struct mt_chat_part part = {.kind = MT_PART_TOOL_CALL};

    MT_TRY(mt_chat__str(block, "", "id", out->arena, &part.id, err));
    MT_TRY(need(part.id, "id", err));
    MT_TRY(mt_chat__str(block, "", "name", out->arena, &part.name, err));
    MT_TRY(need(part.name, "name", err));
    MT_TRY(mt_chat__raw(block, "", "input", MT_JSON_OBJECT, &part.json, err));
    MT_TRY(need(part.json, "input", err));
    MT_TRY(mt_chat__raw(block, "", "cache_control", MT_JSON_OBJECT, &part.cache_control, err));
    return list_add(out, list, &part, err);
}

/* The name of the call a result answers, from the messages read so far; or empty. */
static struct mt_str name_of_call(const struct mt_chat_request *request, struct mt_str id)
{
    for (size_t m = request->messages_n; m > 0; m--) {
        const struct mt_chat_message *message = &request->messages[m - 1];
        if (message->role != MT_ROLE_ASSISTANT)
            continue;
        for (size_t p = 0; p < message->parts_n; p++)
            if (message->parts[p].kind == MT_PART_TOOL_CALL &&
                mt_str_eq(message->parts[p].id, id))
                return message->parts[p].name;
        break; /* results answer the turn right before them */
    }
    return (struct mt_str){NULL, 0};
}

static mt_rc read_tool_result(const struct mt_json *block, struct mt_chat_request *out,
                              struct part_list *list, struct mt_err *err)
{
    struct mt_chat_part part = {.kind = MT_PART_TOOL_RESULT};
    const struct mt_json *content = mt_json_get(block, "content");
    struct part_list parts = {NULL, 0};

    MT_TRY(mt_chat__str(block, "", "tool_use_id", out->arena, &part.id, err));
    MT_TRY(need(part.id, "tool_use_id", err));
    MT_TRY(mt_chat__bool(block, "", "is_error", &part.is_error, err));
    MT_TRY(mt_chat__raw(block, "", "cache_control", MT_JSON_OBJECT, &part.cache_control, err));
    if (mt_json_type(content) != MT_JSON_NONE && mt_json_type(content) != MT_JSON_NULL)
        MT_TRY(read_content(content, "content", out, &parts, err));
    part.name = name_of_call(out, part.id);
    part.parts = parts.at;
    part.parts_n = parts.n;
    return list_add(out, list, &part, err);
}

static const struct block_rule {
    const char *type;
    mt_rc (*read)(const struct mt_json *block, struct mt_chat_request *out,
                  struct part_list *list, struct mt_err *err);
    bool is_content; /* may stand inside a tool result or a document */
    const char *known[8];
} block_rules[] = {
    {"text", read_text, true, {"type", "text", "cache_control", NULL}},
    {"image", read_image, true, {"type", "source", "cache_control", NULL}},
    {"document",
     read_document,
     true,
     {"type", "source", "cache_control", "title", "citations", NULL}},
    {"thinking", read_thinking, false, {"type", "thinking", "signature", NULL}},
    {"redacted_thinking", read_thinking, false, {"type", "data", NULL}},
    {"tool_use", read_tool_use, false, {"type", "id", "name", "input", "cache_control", NULL}},
    {"tool_result",
     read_tool_result,
     false,
     {"type", "tool_use_id", "content", "is_error", "cache_control", NULL}},
};

static mt_rc find_rule(const struct mt_json *block, const struct block_rule **rule,
                       struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(block, "type");

    if (mt_json_type(block) != MT_JSON_OBJECT)
        return mt_chat__expected(block, "", "an object", err);
    for (size_t i = 0; i < MT_ARRAY_LEN(block_rules); i++) {
        if (mt_json_is(type, block_rules[i].type)) {
            *rule = &block_rules[i];
            return MT_OK;
        }
    }
    if (mt_json_type(type) != MT_JSON_STRING)
        return mt_chat__expected(type, "type", "a string", err);
    return MT_FAIL(err, MT_E_UNSUPPORTED, "type: a block %.*s cannot be translated",
                   MT_STR_ARG(mt_json_raw(type)));
}

static mt_rc read_block(const struct mt_json *block, const struct block_rule *rule,
                        struct mt_chat_request *out, struct part_list *list, struct mt_err *err)
{
    MT_TRY(rule->read(block, out, list, err));
    return mt_chat__extras_once(block, "content.", rule->known, out, err);
}

static mt_rc read_inner(const struct mt_json *block, bool is_inside_document,
                        struct mt_chat_request *out, struct part_list *list, struct mt_err *err)
{
    const struct block_rule *rule = NULL;

    MT_TRY(find_rule(block, &rule, err));
    if (!rule->is_content || (is_inside_document && rule->read == read_document))
        return MT_FAIL(err, MT_E_INVALID, "type: a '%s' block may not stand here", rule->type);
    return read_block(block, rule, out, list, err);
}

/* A string, or blocks of content without calls and thinking. The documents of a tool result
 * hold no documents: two levels. */
static mt_rc read_content(const struct mt_json *content, const char *name,
                          struct mt_chat_request *out, struct part_list *list,
                          struct mt_err *err)
{
    bool is_inside_document = name[0] == 's' && name[1] == 'o'; /* "source.content" */
    struct mt_chat_part text = {.kind = MT_PART_TEXT};
    size_t index = 0;

    if (mt_json_str(content, out->arena, &text.text))
        return list_add(out, list, &text, err);
    if (mt_json_type(content) == MT_JSON_STRING)
        return mt_arena_fail(out->arena, err);
    if (mt_json_type(content) != MT_JSON_ARRAY)
        return mt_chat__expected(content, name, "a string or an array", err);
    for (const struct mt_json *b = mt_json_first(content); b != NULL; b = mt_json_next(b)) {
        mt_rc rc = read_inner(b, is_inside_document, out, list, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "%s[%zu]", name, index);
        index++;
    }
    return MT_OK;
}

mt_rc mt_anthropic__read_system(const struct mt_json *system, struct mt_chat_request *out,
                                struct mt_err *err)
{
    struct part_list list = {NULL, 0};

    if (mt_json_type(system) == MT_JSON_NONE || mt_json_type(system) == MT_JSON_NULL)
        return MT_OK;
    MT_TRY(read_content(system, "system", out, &list, err));
    for (size_t i = 0; i < list.n; i++)
        if (list.at[i].kind != MT_PART_TEXT)
            return MT_FAIL(err, MT_E_INVALID, "system[%zu]: expected a text block", i);
    return add_message(out, MT_ROLE_SYSTEM, &list, err);
}

static mt_rc read_role(const struct mt_json *message, enum mt_chat_role *out,
                       struct mt_err *err)
{
    static const struct {
        const char *name;
        enum mt_chat_role role;
    } words[] = {
        {"user", MT_ROLE_USER}, {"assistant", MT_ROLE_ASSISTANT}, {"system", MT_ROLE_SYSTEM}};
    const struct mt_json *role = mt_json_get(message, "role");

    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
        if (mt_json_is(role, words[i].name)) {
            *out = words[i].role;
            return MT_OK;
        }
    }
    return mt_chat__expected(role, "role", "'user', 'assistant' or 'system'", err);
}

/* One block of a message; a tool result closes what stood before it and stands alone. */
static mt_rc read_outer(const struct mt_json *block, enum mt_chat_role role,
                        struct mt_chat_request *out, struct part_list *list, struct mt_err *err)
{
    const struct block_rule *rule = NULL;
    struct part_list result = {NULL, 0};

    MT_TRY(find_rule(block, &rule, err));
    bool is_result = rule->read == read_tool_result;
    if (!rule->is_content && role != (is_result ? MT_ROLE_USER : MT_ROLE_ASSISTANT))
        return MT_FAIL(err, MT_E_INVALID, "type: a '%s' block may not stand in this role",
                       rule->type);
    MT_TRY(read_block(block, rule, out, is_result ? &result : list, err));
    if (!is_result)
        return MT_OK;
    MT_TRY(add_message(out, role, list, err));
    *list = (struct part_list){NULL, 0};
    return add_message(out, MT_ROLE_TOOL, &result, err);
}

static mt_rc read_message(const struct mt_json *message, struct mt_chat_request *out,
                          struct mt_err *err)
{
    const struct mt_json *content = mt_json_get(message, "content");
    struct part_list list = {NULL, 0};
    enum mt_chat_role role = MT_ROLE_USER;
    size_t index = 0;

    if (mt_json_type(message) != MT_JSON_OBJECT)
        return mt_chat__expected(message, "", "an object", err);
    MT_TRY(read_role(message, &role, err));
    if (mt_json_type(content) != MT_JSON_ARRAY)
        MT_TRY(read_content(content, "content", out, &list, err));
    for (const struct mt_json *b = mt_json_first(content); b != NULL; b = mt_json_next(b)) {
        mt_rc rc = read_outer(b, role, out, &list, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "content[%zu]", index);
        index++;
    }
    return add_message(out, role, &list, err);
}

mt_rc mt_anthropic__read_message(const struct mt_json *message, size_t index,
                                 struct mt_chat_request *out, struct mt_err *err)
{
    return mt_chat__within(err, read_message(message, out, err), "messages[%zu]", index);
}
