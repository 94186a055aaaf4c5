/* SPDX-License-Identifier: Apache-2.0 */
/* The body of POST /v1/chat/completions, read. Legacy spellings (functions, function_call,
 * role "function") become tools; relatives' spellings (reasoning, repetition_penalty, ...) are
 * understood. */
#include "openai_priv.h"

static const char *const body_keys[] = {MT_OPENAI__SHARED_KEYS,
                                        "messages",
                                        "tools",
                                        "tool_choice",
                                        "functions",
                                        "function_call",
                                        "parallel_tool_calls",
                                        "response_format",
                                        "max_tokens",
                                        "max_completion_tokens",
                                        "logprobs",
                                        "top_logprobs",
                                        "reasoning_effort",
                                        "reasoning",
                                        "include_reasoning",
                                        "modalities",
                                        "audio",
                                        "store",
                                        NULL};

struct reading {
    struct mt_chat_request *out;
    struct mt_arena *arena;
    struct mt_err *err;
};

static mt_rc read_tool_function(struct reading *r, const struct mt_json *function,
                                struct mt_chat_tool *tool)
{
    if (mt_json_type(function) != MT_JSON_OBJECT)
        return mt_chat__expected(function, "function", "an object", r->err);
    MT_TRY(mt_chat__text(mt_json_get(function, "name"), "function.name", r->arena, &tool->name,
                         r->err));
    MT_TRY(mt_chat__str(function, "function", "description", r->arena, &tool->description,
                        r->err));
    MT_TRY(mt_chat__raw(function, "function", "parameters", MT_JSON_OBJECT, &tool->schema_json,
                        r->err));
    return mt_chat__opt_bool(function, "function", "strict", &tool->strict, r->err);
}

static mt_rc read_tool(struct reading *r, const struct mt_json *value,
                       struct mt_chat_tool *tool)
{
    const struct mt_json *type = mt_json_get(value, "type");

    if (mt_json_type(value) != MT_JSON_OBJECT)
        return mt_chat__expected(value, "", "an object", r->err);
    if (mt_json_type(type) != MT_JSON_STRING)
        return mt_chat__expected(type, "type", "a string", r->err);
    if (mt_json_is(type, "custom"))
        return MT_FAIL(r->err, MT_E_UNSUPPORTED, "type: custom tools are not understood");
    if (mt_json_is(type, "function")) {
        MT_TRY(mt_chat__raw(value, "", "cache_control", MT_JSON_OBJECT, &tool->cache_control,
                            r->err));
        return read_tool_function(r, mt_json_get(value, "function"), tool);
    }
    tool->raw = mt_json_raw(value);
    return mt_chat__text(type, "type", r->arena, &tool->hosted_type, r->err);
}

/* "tools", or "functions" of old, whose elements are the functions themselves. */
static mt_rc read_tools(struct reading *r, const struct mt_json *body)
{
    const struct mt_json *list = NULL;
    const char *key = "tools";
    size_t i = 0;

    MT_TRY(mt_chat__member(body, "", key, MT_JSON_ARRAY, &list, r->err));
    if (list == NULL) {
        key = "functions";
        MT_TRY(mt_chat__member(body, "", key, MT_JSON_ARRAY, &list, r->err));
        r->out->legacy_functions = list != NULL;
    }
    size_t n = mt_json_count(list);
    if (n > MT_CHAT_TOOLS_MAX)
        return MT_FAIL(r->err, MT_E_INVALID, "%s: expected at most %d, found %zu", key,
                       MT_CHAT_TOOLS_MAX, n);
    r->out->tools = n > 0 ? mt_arena_get(r->arena, n, sizeof *r->out->tools) : NULL;
    if (n > 0 && r->out->tools == NULL)
        return mt_arena_fail(r->arena, r->err);
    for (const struct mt_json *t = mt_json_first(list); t != NULL; t = mt_json_next(t), i++) {
        struct mt_chat_tool *tool = &r->out->tools[i];
        mt_rc rc =
            r->out->legacy_functions ? read_tool_function(r, t, tool) : read_tool(r, t, tool);
        if (rc < 0)
            return mt_chat__within(r->err, rc, "%s[%zu]", key, i);
    }
    r->out->tools_n = n;
    return MT_OK;
}

static mt_rc read_choice_name(struct reading *r, const struct mt_json *choice, const char *key,
                              const struct mt_json *named)
{
    const struct mt_json *name = mt_json_get(named, "name");

    r->out->tool_choice = MT_TOOLS_NAMED;
    if (mt_json_type(name) == MT_JSON_STRING)
        return mt_chat__text(name, key, r->arena, &r->out->tool_choice_name, r->err);
    return mt_chat__expected(choice, key,
                             "\"auto\", \"none\", \"required\" or a named function", r->err);
}

static mt_rc read_tool_choice(struct reading *r, const struct mt_json *body)
{
    static const struct {
        const char *word;
        enum mt_tool_choice choice;
    } words[] = {
        {"auto", MT_TOOLS_AUTO}, {"none", MT_TOOLS_NONE}, {"required", MT_TOOLS_REQUIRED}};
    const char *key = r->out->legacy_functions ? "function_call" : "tool_choice";
    const struct mt_json *choice = mt_json_get(body, key);

    if (mt_json_type(choice) == MT_JSON_NONE || mt_json_type(choice) == MT_JSON_NULL)
        return MT_OK;
    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
        if (mt_json_is(choice, words[i].word)) {
            r->out->tool_choice = words[i].choice;
            return MT_OK;
        }
    }
    if (mt_json_is(mt_json_get(choice, "type"), "allowed_tools") ||
        mt_json_is(mt_json_get(choice, "type"), "custom"))
        return MT_FAIL(r->err, MT_E_UNSUPPORTED, "tool_choice: type %.*s is not understood",
                       MT_STR_ARG(mt_json_raw(mt_json_get(choice, "type"))));
    return read_choice_name(
        r, choice, key, r->out->legacy_functions ? choice : mt_json_get(choice, "function"));
}

static mt_rc read_schema(struct reading *r, const struct mt_json *format)
{
    static const char *const known[] = {"name", "schema", "strict", NULL};
    const struct mt_json *schema = mt_json_get(format, "json_schema");
    const char *where = "response_format.json_schema";
    struct mt_chat_request *out = r->out;

    if (mt_json_type(schema) != MT_JSON_OBJECT)
        return mt_chat__expected(schema, where, "an object", r->err);
    if (mt_json_type(mt_json_get(schema, "schema")) != MT_JSON_OBJECT)
        return mt_chat__expected(mt_json_get(schema, "schema"),
                                 "response_format.json_schema.schema", "an object", r->err);
    out->format = MT_FORMAT_SCHEMA;
    MT_TRY(mt_chat__str(schema, where, "name", r->arena, &out->schema_name, r->err));
    MT_TRY(mt_chat__raw(schema, where, "schema", MT_JSON_OBJECT, &out->schema_json, r->err));
    MT_TRY(mt_chat__opt_bool(schema, where, "strict", &out->schema_strict, r->err));
    return mt_chat__extras_once(schema, "response_format.", known, out, r->err);
}

static mt_rc read_format(struct reading *r, const struct mt_json *body)
{
    const struct mt_json *format = NULL;

    MT_TRY(mt_chat__member(body, "", "response_format", MT_JSON_OBJECT, &format, r->err));
    const struct mt_json *type = mt_json_get(format, "type");

    if (format == NULL || mt_json_is(type, "text"))
        return MT_OK;
    if (mt_json_is(type, "json_schema"))
        return read_schema(r, format);
    if (!mt_json_is(type, "json_object"))
        return mt_chat__expected(type, "response_format.type",
                                 "\"text\", \"json_object\" or \"json_schema\"", r->err);
    r->out->format = MT_FORMAT_JSON;
    if (mt_json_type(mt_json_get(format, "schema")) == MT_JSON_OBJECT) { /* llama-server */
        r->out->format = MT_FORMAT_SCHEMA;
        r->out->schema_json = mt_json_raw(mt_json_get(format, "schema"));
    }
    return MT_OK;
}

static mt_rc read_effort(struct reading *r, const struct mt_json *object, const char *where,
                         const char *key)
{
    struct mt_str name = {NULL, 0};

    MT_TRY(mt_chat__str(object, where, key, r->arena, &name, r->err));
    if (name.len == 0)
        return MT_OK;
    r->out->effort = mt_chat__effort_of(name);
    if (r->out->effort != MT_EFFORT_UNSAID)
        return MT_OK;
    return MT_FAIL(r->err, MT_E_INVALID,
                   "%s%s%s: expected none, minimal, low, medium, high or xhigh, found '%.*s'",
                   where, where[0] != '\0' ? "." : "", key,
                   MT_STR_ARG(mt_str_sub(name, 0, 24)));
}

/* OpenAI's reasoning_effort, and the reasoning object of OpenRouter. */
static mt_rc read_reasoning(struct reading *r, const struct mt_json *body)
{
    static const char *const known[] = {"effort", "max_tokens", "exclude", "enabled", NULL};
    const struct mt_json *reasoning = NULL;
    enum mt_opt_bool exclude = MT_UNSAID;
    enum mt_opt_bool is_enabled = MT_UNSAID;

    MT_TRY(mt_chat__member(body, "", "reasoning", MT_JSON_OBJECT, &reasoning, r->err));
    MT_TRY(mt_chat__extras_once(reasoning, "reasoning.", known, r->out, r->err));
    MT_TRY(
        mt_chat__opt_bool(body, "", "include_reasoning", &r->out->include_reasoning, r->err));
    MT_TRY(mt_chat__opt_bool(reasoning, "reasoning", "exclude", &exclude, r->err));
    MT_TRY(mt_chat__opt_bool(reasoning, "reasoning", "enabled", &is_enabled, r->err));
    MT_TRY(mt_chat__i64(reasoning, "reasoning", "max_tokens", 0, INT32_MAX,
                        &r->out->reasoning_budget, r->err));
    if (exclude != MT_UNSAID)
        r->out->include_reasoning = exclude == MT_YES ? MT_NO : MT_YES;
    if (is_enabled == MT_NO)
        r->out->effort = MT_EFFORT_NONE;
    MT_TRY(read_effort(r, reasoning, "reasoning", "effort"));
    return read_effort(r, body, "", "reasoning_effort");
}

static mt_rc read_limits(struct reading *r, const struct mt_json *body)
{
    struct mt_opt_i64 top = {0};

    MT_TRY(mt_openai__read_max_tokens(body, "max_tokens", 1, &r->out->max_tokens, r->err));
    MT_TRY(mt_openai__read_max_tokens(body, "max_completion_tokens", 1, &r->out->max_tokens,
                                      r->err));
    MT_TRY(mt_chat__bool(body, "", "logprobs", &r->out->logprobs, r->err));
    MT_TRY(mt_chat__i64(body, "", "top_logprobs", 0, MT_CHAT_TOP_LOGPROBS_MAX, &top, r->err));
    r->out->top_logprobs = (unsigned)top.value;
    return MT_OK;
}

/* Answers that speak: the canonical answer has no voice yet, so they are refused by name. */
static mt_rc refuse_audio(struct reading *r, const struct mt_json *body)
{
    const struct mt_json *modalities = NULL;
    enum mt_json_type audio = mt_json_type(mt_json_get(body, "audio"));

    MT_TRY(mt_chat__member(body, "", "modalities", MT_JSON_ARRAY, &modalities, r->err));
    for (const struct mt_json *m = mt_json_first(modalities); m != NULL; m = mt_json_next(m)) {
        if (!mt_json_is(m, "text"))
            return MT_FAIL(r->err, MT_E_UNSUPPORTED,
                           "modalities: only answers of text can be asked for");
    }
    if (audio != MT_JSON_NONE && audio != MT_JSON_NULL)
        return MT_FAIL(r->err, MT_E_UNSUPPORTED, "audio: spoken answers cannot be asked for");
    return MT_OK;
}

mt_rc mt_openai__decode_chat(const struct mt_json *body, const struct mt_chat_route *route,
                             struct mt_chat_request *out, struct mt_err *err)
{
    struct reading r = {.out = out, .arena = out->arena, .err = err};

    (void)route;
    out->dialect = MT_DIALECT_OPENAI_CHAT;
    out->kind = MT_CHAT_CONVERSATION;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    MT_TRY(mt_openai__read_shared(body, out, err));
    MT_TRY(refuse_audio(&r, body));
    MT_TRY(mt_openai__read_messages(body, out, err));
    MT_TRY(read_tools(&r, body));
    MT_TRY(read_tool_choice(&r, body));
    MT_TRY(mt_chat__opt_bool(body, "", "parallel_tool_calls", &out->parallel_tools, err));
    MT_TRY(read_format(&r, body));
    MT_TRY(read_reasoning(&r, body));
    MT_TRY(read_limits(&r, body));
    MT_TRY(mt_chat__opt_bool(body, "", "store", &out->store, err));
    return mt_chat__extras(body, "", body_keys, out, err);
}
