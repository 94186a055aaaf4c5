/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a Responses request: everything but the items of its input. */
#include "responses_priv.h"

static bool is_said(const struct mt_json *value)
{
    return mt_json_type(value) != MT_JSON_NONE && mt_json_type(value) != MT_JSON_NULL;
}

/* Fields that ask for state or help which only the provider's own service has. */
static mt_rc refuse_state(const struct mt_json *body, struct mt_err *err)
{
    static const char *const keys[] = {"conversation", "prompt", "context_management",
                                       "moderation"};
    bool is_background = false;

    for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++)
        if (is_said(mt_json_get(body, keys[i])))
            return MT_FAIL(err, MT_E_UNSUPPORTED, "%s: not supported", keys[i]);
    MT_TRY(mt_chat__bool(body, "", "background", &is_background, err));
    return is_background ? MT_FAIL(err, MT_E_UNSUPPORTED, "background: not supported") : MT_OK;
}

static mt_rc read_tool(const struct mt_json *tool, struct mt_chat_request *out,
                       struct mt_chat_tool *one, struct mt_err *err)
{
    static const char *const known[] = {"type",       "name",   "description",
                                        "parameters", "strict", NULL};
    const struct mt_json *type = mt_json_get(tool, "type");

    if (mt_json_type(tool) != MT_JSON_OBJECT)
        return mt_chat__expected(tool, "", "an object", err);
    if (mt_json_type(type) != MT_JSON_STRING)
        return mt_chat__expected(type, "type", "a string", err);
    one->raw = mt_json_raw(tool);
    MT_TRY(mt_chat__str(tool, "", "name", out->arena, &one->name, err));
    if (!mt_json_is(type, "function"))
        return mt_chat__str(tool, "", "type", out->arena, &one->hosted_type, err);
    if (one->name.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "name: field required");
    MT_TRY(mt_chat__str(tool, "", "description", out->arena, &one->description, err));
    MT_TRY(mt_chat__raw(tool, "", "parameters", MT_JSON_OBJECT, &one->schema_json, err));
    MT_TRY(mt_chat__opt_bool(tool, "", "strict", &one->strict, err));
    return mt_chat__extras_once(tool, "tools.", known, out, err);
}

static mt_rc read_tools(const struct mt_json *tools, struct mt_chat_request *out,
                        struct mt_err *err)
{
    size_t n = mt_json_count(tools);

    if (!is_said(tools))
        return MT_OK;
    if (mt_json_type(tools) != MT_JSON_ARRAY)
        return mt_chat__expected(tools, "tools", "an array", err);
    if (n > MT_CHAT_TOOLS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "tools: %zu of them, at most %d", n,
                       MT_CHAT_TOOLS_MAX);
    if (n == 0)
        return MT_OK;
    out->tools = mt_arena_get(out->arena, n, sizeof *out->tools);
    if (out->tools == NULL)
        return mt_arena_fail(out->arena, err);
    for (const struct mt_json *t = mt_json_first(tools); t != NULL; t = mt_json_next(t)) {
        mt_rc rc = read_tool(t, out, &out->tools[out->tools_n], err);
        if (rc < 0)
            return mt_chat__within(err, rc, "tools[%zu]", out->tools_n);
        out->tools_n++;
    }
    return MT_OK;
}

static mt_rc read_tool_choice(const struct mt_json *choice, struct mt_chat_request *out,
                              struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(choice, "type");

    if (!is_said(choice))
        return MT_OK;
    if (mt_json_is(choice, "auto"))
        out->tool_choice = MT_TOOLS_AUTO;
    else if (mt_json_is(choice, "none"))
        out->tool_choice = MT_TOOLS_NONE;
    else if (mt_json_is(choice, "required"))
        out->tool_choice = MT_TOOLS_REQUIRED;
    else if (mt_json_is(type, "function"))
        out->tool_choice = MT_TOOLS_NAMED;
    else if (mt_json_type(type) == MT_JSON_STRING)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "tool_choice: %.*s is not supported",
                       MT_STR_ARG(mt_json_raw(type)));
    else
        return mt_chat__expected(choice, "tool_choice",
                                 "'auto', 'none', 'required' or a function", err);
    if (out->tool_choice != MT_TOOLS_NAMED)
        return MT_OK;
    MT_TRY(
        mt_chat__str(choice, "tool_choice", "name", out->arena, &out->tool_choice_name, err));
    return out->tool_choice_name.len > 0
               ? MT_OK
               : MT_FAIL(err, MT_E_INVALID, "tool_choice.name: field required");
}

static mt_rc read_format(const struct mt_json *format, struct mt_chat_request *out,
                         struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(format, "type");

    if (!is_said(format) || mt_json_is(type, "text"))
        return MT_OK;
    if (mt_json_is(type, "json_object")) {
        out->format = MT_FORMAT_JSON;
        return MT_OK;
    }
    if (!mt_json_is(type, "json_schema"))
        return mt_chat__expected(type, "text.format.type",
                                 "'text', 'json_object' or 'json_schema'", err);
    out->format = MT_FORMAT_SCHEMA;
    MT_TRY(mt_chat__str(format, "text.format", "name", out->arena, &out->schema_name, err));
    MT_TRY(
        mt_chat__raw(format, "text.format", "schema", MT_JSON_OBJECT, &out->schema_json, err));
    if (out->schema_name.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "text.format.name: field required");
    if (out->schema_json.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "text.format.schema: field required");
    return mt_chat__opt_bool(format, "text.format", "strict", &out->schema_strict, err);
}

static mt_rc read_text(const struct mt_json *body, struct mt_chat_request *out,
                       struct mt_err *err)
{
    static const char *const known[] = {"format", NULL};
    const struct mt_json *text = NULL;

    MT_TRY(mt_chat__member(body, "", "text", MT_JSON_OBJECT, &text, err));
    MT_TRY(read_format(mt_json_get(text, "format"), out, err));
    return mt_chat__extras(text, "text.", known, out, err);
}

static mt_rc read_reasoning(const struct mt_json *body, struct mt_chat_request *out,
                            struct mt_err *err)
{
    static const char *const known[] = {"effort", "summary", "generate_summary", NULL};
    const struct mt_json *reasoning = NULL;
    struct mt_str effort = {NULL, 0};

    MT_TRY(mt_chat__member(body, "", "reasoning", MT_JSON_OBJECT, &reasoning, err));
    MT_TRY(mt_chat__str(reasoning, "reasoning", "effort", out->arena, &effort, err));
    if (effort.len > 0) {
        out->effort = mt_chat__effort_of(effort);
        if (out->effort == MT_EFFORT_UNSAID)
            return MT_FAIL(err, MT_E_INVALID, "reasoning.effort: '%.*s' is not known",
                           MT_STR_ARG(effort));
    }
    if (is_said(mt_json_get(reasoning, "summary")) ||
        is_said(mt_json_get(reasoning, "generate_summary")))
        out->include_reasoning = MT_YES;
    return mt_chat__extras(reasoning, "reasoning.", known, out, err);
}

/* What is included anyway is no news; the rest is kept for an endpoint of this dialect. */
static mt_rc read_include(const struct mt_json *body, struct mt_chat_request *out,
                          struct mt_err *err)
{
    const struct mt_json *include = NULL;

    MT_TRY(mt_chat__member(body, "", "include", MT_JSON_ARRAY, &include, err));
    for (const struct mt_json *i = mt_json_first(include); i != NULL; i = mt_json_next(i)) {
        if (mt_json_is(i, "message.output_text.logprobs"))
            out->logprobs = true;
        else if (!mt_json_is(i, "reasoning.encrypted_content"))
            MT_TRY(mt_chat__extra(out, "include", mt_json_raw(include), err));
    }
    return MT_OK;
}

static mt_rc read_settings(const struct mt_json *body, struct mt_chat_request *out,
                           struct mt_err *err)
{
    struct mt_opt_i64 top_logprobs = {false, 0};

    MT_TRY(mt_chat__f64(body, "", "temperature", 0, 2, &out->sampling.temperature, err));
    MT_TRY(mt_chat__f64(body, "", "top_p", 0, 1, &out->sampling.top_p, err));
    MT_TRY(mt_chat__i64(body, "", "max_output_tokens", 1, INT32_MAX, &out->max_tokens, err));
    MT_TRY(mt_chat__i64(body, "", "top_logprobs", 0, MT_CHAT_TOP_LOGPROBS_MAX, &top_logprobs,
                        err));
    out->top_logprobs = (unsigned)top_logprobs.value;
    MT_TRY(mt_chat__opt_bool(body, "", "parallel_tool_calls", &out->parallel_tools, err));
    MT_TRY(mt_chat__bool(body, "", "stream", &out->stream, err));
    MT_TRY(mt_chat__str(body, "", "user", out->arena, &out->user, err));
    MT_TRY(mt_chat__raw(body, "", "metadata", MT_JSON_OBJECT, &out->metadata_json, err));
    MT_TRY(mt_chat__str(body, "", "service_tier", out->arena, &out->service_tier, err));
    MT_TRY(mt_chat__opt_bool(body, "", "store", &out->store, err));
    if (out->store == MT_UNSAID)
        out->store = MT_YES; /* the dialect's default */
    MT_TRY(mt_chat__str(body, "", "previous_response_id", out->arena,
                        &out->previous_response_id, err));
    return mt_chat__raw(body, "", "motet", MT_JSON_OBJECT, &out->motet_json, err);
}

/* "disabled" is the default and says nothing. */
static mt_rc read_truncation(const struct mt_json *body, struct mt_chat_request *out,
                             struct mt_err *err)
{
    const struct mt_json *truncation = mt_json_get(body, "truncation");

    if (!is_said(truncation) || mt_json_is(truncation, "disabled"))
        return MT_OK;
    return mt_chat__extra(out, "truncation", mt_json_raw(truncation), err);
}

mt_rc mt_responses__decode_request(const struct mt_json *body,
                                   const struct mt_chat_route *route,
                                   struct mt_chat_request *out, struct mt_err *err)
{
    static const char *const known[] = {"model",
                                        "input",
                                        "instructions",
                                        "tools",
                                        "tool_choice",
                                        "text",
                                        "reasoning",
                                        "include",
                                        "temperature",
                                        "top_p",
                                        "max_output_tokens",
                                        "top_logprobs",
                                        "stream",
                                        "store",
                                        "previous_response_id",
                                        "parallel_tool_calls",
                                        "user",
                                        "metadata",
                                        "service_tier",
                                        "stream_options",
                                        "truncation",
                                        "background",
                                        "conversation",
                                        "prompt",
                                        "moderation",
                                        "motet",
                                        "context_management",
                                        NULL};
    struct mt_str instructions = {NULL, 0};

    (void)route;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    out->dialect = MT_DIALECT_OPENAI_RESPONSES;
    MT_TRY(refuse_state(body, err));
    MT_TRY(mt_chat__str(body, "", "model", out->arena, &out->model, err));
    if (out->model.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "model: field required");
    MT_TRY(mt_chat__str(body, "", "instructions", out->arena, &instructions, err));
    MT_TRY(mt_responses__read_instructions(instructions, out, err));
    MT_TRY(mt_responses__read_input(mt_json_get(body, "input"), out, err));
    MT_TRY(read_tools(mt_json_get(body, "tools"), out, err));
    MT_TRY(read_tool_choice(mt_json_get(body, "tool_choice"), out, err));
    MT_TRY(read_text(body, out, err));
    MT_TRY(read_reasoning(body, out, err));
    MT_TRY(read_include(body, out, err));
    MT_TRY(read_truncation(body, out, err));
    MT_TRY(read_settings(body, out, err));
    return mt_chat__extras(body, "", known, out, err);
}
