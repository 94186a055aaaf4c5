/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a Messages request: everything but the messages themselves. */
#include "anthropic_priv.h"

static mt_rc read_tool(const struct mt_json *tool, struct mt_chat_request *out,
                       struct mt_chat_tool *one, struct mt_err *err)
{
    static const char *const known[] = {
        "type", "name", "description", "input_schema", "strict", "cache_control", NULL};
    const struct mt_json *type = mt_json_get(tool, "type");

    if (mt_json_type(tool) != MT_JSON_OBJECT)
        return mt_chat__expected(tool, "", "an object", err);
    MT_TRY(mt_chat__str(tool, "", "name", out->arena, &one->name, err));
    MT_TRY(mt_chat__raw(tool, "", "cache_control", MT_JSON_OBJECT, &one->cache_control, err));
    one->raw = mt_json_raw(tool);
    if (mt_json_type(type) == MT_JSON_STRING && !mt_json_is(type, "custom"))
        return mt_chat__str(tool, "", "type", out->arena, &one->hosted_type, err);
    if (one->name.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "name: field required");
    MT_TRY(mt_chat__str(tool, "", "description", out->arena, &one->description, err));
    MT_TRY(mt_chat__raw(tool, "", "input_schema", MT_JSON_OBJECT, &one->schema_json, err));
    if (one->schema_json.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "input_schema: field required");
    MT_TRY(mt_chat__opt_bool(tool, "", "strict", &one->strict, err));
    return mt_chat__extras_once(tool, "tools.", known, out, err);
}

static mt_rc read_tools(const struct mt_json *tools, struct mt_chat_request *out,
                        struct mt_err *err)
{
    size_t n = mt_json_count(tools);

    if (mt_json_type(tools) == MT_JSON_NONE || mt_json_type(tools) == MT_JSON_NULL)
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
    static const struct {
        const char *type;
        enum mt_tool_choice choice;
    } words[] = {{"auto", MT_TOOLS_AUTO},
                 {"any", MT_TOOLS_REQUIRED},
                 {"tool", MT_TOOLS_NAMED},
                 {"none", MT_TOOLS_NONE}};
    const struct mt_json *type = mt_json_get(choice, "type");
    enum mt_opt_bool is_single = MT_UNSAID;

    if (mt_json_type(choice) == MT_JSON_NONE || mt_json_type(choice) == MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(choice) != MT_JSON_OBJECT)
        return mt_chat__expected(choice, "tool_choice", "an object", err);
    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
        if (mt_json_is(type, words[i].type))
            out->tool_choice = words[i].choice;
    if (out->tool_choice == MT_TOOLS_UNSAID)
        return mt_chat__expected(type, "tool_choice.type", "'auto', 'any', 'tool' or 'none'",
                                 err);
    MT_TRY(
        mt_chat__str(choice, "tool_choice", "name", out->arena, &out->tool_choice_name, err));
    if (out->tool_choice == MT_TOOLS_NAMED && out->tool_choice_name.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "tool_choice.name: field required");
    MT_TRY(
        mt_chat__opt_bool(choice, "tool_choice", "disable_parallel_tool_use", &is_single, err));
    if (is_single != MT_UNSAID)
        out->parallel_tools = is_single == MT_YES ? MT_NO : MT_YES;
    return MT_OK;
}

static mt_rc read_thinking(const struct mt_json *thinking, struct mt_chat_request *out,
                           struct mt_err *err)
{
    static const char *const known[] = {"type", "budget_tokens", NULL};
    const struct mt_json *type = mt_json_get(thinking, "type");

    if (mt_json_type(thinking) == MT_JSON_NONE || mt_json_type(thinking) == MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(thinking) != MT_JSON_OBJECT)
        return mt_chat__expected(thinking, "thinking", "an object", err);
    if (mt_json_is(type, "disabled")) {
        out->effort = MT_EFFORT_NONE;
        return MT_OK;
    }
    if (mt_json_is(type, "enabled")) {
        MT_TRY(mt_chat__i64(thinking, "thinking", "budget_tokens", MT_ANTHROPIC_BUDGET_MIN,
                            INT32_MAX, &out->reasoning_budget, err));
        if (!out->reasoning_budget.has)
            return MT_FAIL(err, MT_E_INVALID, "thinking.budget_tokens: field required");
    } else if (!mt_json_is(type, "adaptive")) {
        return mt_chat__expected(type, "thinking.type", "'enabled', 'adaptive' or 'disabled'",
                                 err);
    }
    out->include_reasoning = MT_YES;
    return mt_chat__extras_once(thinking, "thinking.", known, out, err);
}

static mt_rc read_format(const struct mt_json *format, const char *where,
                         struct mt_chat_request *out, struct mt_err *err)
{
    if (mt_json_type(format) == MT_JSON_NONE || mt_json_type(format) == MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(format) != MT_JSON_OBJECT)
        return mt_chat__expected(format, where, "an object", err);
    if (!mt_json_is(mt_json_get(format, "type"), "json_schema"))
        return MT_FAIL(err, MT_E_INVALID, "%s.type: expected 'json_schema'", where);
    MT_TRY(mt_chat__raw(format, where, "schema", MT_JSON_OBJECT, &out->schema_json, err));
    if (out->schema_json.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "%s.schema: field required", where);
    out->format = MT_FORMAT_SCHEMA;
    out->schema_name = MT_STR("output"); /* other dialects need a name */
    out->schema_strict = MT_YES;
    return MT_OK;
}

static mt_rc read_output_config(const struct mt_json *config, struct mt_chat_request *out,
                                struct mt_err *err)
{
    static const char *const known[] = {"effort", "format", NULL};
    struct mt_str effort = {NULL, 0};

    if (mt_json_type(config) == MT_JSON_NONE || mt_json_type(config) == MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(config) != MT_JSON_OBJECT)
        return mt_chat__expected(config, "output_config", "an object", err);
    MT_TRY(read_format(mt_json_get(config, "format"), "output_config.format", out, err));
    MT_TRY(mt_chat__str(config, "output_config", "effort", out->arena, &effort, err));
    if (effort.len > 0 && out->effort != MT_EFFORT_NONE) {
        out->effort = mt_str_is(effort, "max") ? MT_EFFORT_XHIGH : mt_chat__effort_of(effort);
        if (out->effort == MT_EFFORT_UNSAID)
            return MT_FAIL(err, MT_E_INVALID,
                           "output_config.effort: expected 'low', 'medium', 'high', 'xhigh' or "
                           "'max', found '%.*s'",
                           MT_STR_ARG(effort));
    }
    return mt_chat__extras_once(config, "output_config.", known, out, err);
}

static mt_rc read_metadata(const struct mt_json *body, struct mt_chat_request *out,
                           struct mt_err *err)
{
    MT_TRY(mt_chat__raw(body, "", "metadata", MT_JSON_OBJECT, &out->metadata_json, err));
    return mt_chat__str(mt_json_get(body, "metadata"), "metadata", "user_id", out->arena,
                        &out->user, err);
}

static mt_rc read_sampling(const struct mt_json *body, struct mt_chat_request *out,
                           struct mt_err *err)
{
    struct mt_chat_sampling *s = &out->sampling;

    MT_TRY(mt_chat__f64(body, "", "temperature", 0, 1, &s->temperature, err));
    MT_TRY(mt_chat__f64(body, "", "top_p", 0, 1, &s->top_p, err));
    MT_TRY(mt_chat__i64(body, "", "top_k", 0, INT32_MAX, &s->top_k, err));
    return mt_chat__strs(body, "", "stop_sequences", MT_CHAT_STOPS_MAX, out->arena, s->stop,
                         &s->stop_n, err);
}

static mt_rc read_messages(const struct mt_json *body, struct mt_chat_request *out,
                           struct mt_err *err)
{
    const struct mt_json *messages = mt_json_get(body, "messages");
    size_t index = 0;

    if (messages == NULL)
        return MT_FAIL(err, MT_E_INVALID, "messages: field required");
    if (mt_json_type(messages) != MT_JSON_ARRAY)
        return mt_chat__expected(messages, "messages", "an array", err);
    if (mt_json_count(messages) == 0)
        return MT_FAIL(err, MT_E_INVALID, "messages: at least one message is required");
    MT_TRY(mt_anthropic__read_system(mt_json_get(body, "system"), out, err));
    for (const struct mt_json *m = mt_json_first(messages); m != NULL; m = mt_json_next(m))
        MT_TRY(mt_anthropic__read_message(m, index++, out, err));
    return MT_OK;
}

mt_rc mt_anthropic__decode_request(const struct mt_json *body,
                                   const struct mt_chat_route *route,
                                   struct mt_chat_request *out, struct mt_err *err)
{
    static const char *const known[] = {
        "model",          "max_tokens",    "messages", "system", "stream",
        "temperature",    "top_p",         "top_k",    "tools",  "tool_choice",
        "stop_sequences", "thinking",      "metadata", "motet",  "service_tier",
        "output_config",  "output_format", NULL};

    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    out->dialect = MT_DIALECT_ANTHROPIC;
    MT_TRY(mt_chat__str(body, "", "model", out->arena, &out->model, err));
    if (out->model.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "model: field required");
    MT_TRY(mt_chat__i64(body, "", "max_tokens", 1, INT32_MAX, &out->max_tokens, err));
    if (!out->max_tokens.has && (route == NULL || !route->count_only))
        return MT_FAIL(err, MT_E_INVALID, "max_tokens: field required");
    MT_TRY(read_messages(body, out, err));
    MT_TRY(mt_chat__bool(body, "", "stream", &out->stream, err));
    MT_TRY(read_sampling(body, out, err));
    MT_TRY(read_tools(mt_json_get(body, "tools"), out, err));
    MT_TRY(read_tool_choice(mt_json_get(body, "tool_choice"), out, err));
    MT_TRY(read_thinking(mt_json_get(body, "thinking"), out, err));
    MT_TRY(read_format(mt_json_get(body, "output_format"), "output_format", out, err));
    MT_TRY(read_output_config(mt_json_get(body, "output_config"), out, err));
    MT_TRY(read_metadata(body, out, err));
    MT_TRY(mt_chat__str(body, "", "service_tier", out->arena, &out->service_tier, err));
    MT_TRY(mt_chat__raw(body, "", "motet", MT_JSON_OBJECT, &out->motet_json, err));
    return mt_chat__extras(body, "", known, out, err);
}
