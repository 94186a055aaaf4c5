/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a Responses request. The endpoint stores nothing: conversations are kept here. */
#include "responses_priv.h"

static bool is_own(const struct mt_chat_request *r)
{
    return r->dialect == MT_DIALECT_OPENAI_RESPONSES;
}

/* Read from this dialect or its elder sister: metadata and tiers mean the same. */
static bool is_kin(const struct mt_chat_request *r)
{
    return is_own(r) || r->dialect == MT_DIALECT_OPENAI_CHAT ||
           r->dialect == MT_DIALECT_OPENAI_COMPLETIONS;
}

static mt_rc write_tool(struct mt_jw *w, const struct mt_chat_request *r,
                        const struct mt_chat_tool *tool, struct mt_err *err)
{
    if (is_own(r) && tool->raw.len > 0) {
        mt_jw_raw(w, tool->raw);
        return MT_OK;
    }
    if (tool->hosted_type.len > 0)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "tools: '%.*s' runs at another provider",
                       MT_STR_ARG(tool->hosted_type));
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "function");
    mt_jw_kstr(w, "name", tool->name);
    if (tool->description.len > 0)
        mt_jw_kstr(w, "description", tool->description);
    mt_jw_kraw(w, "parameters",
               tool->schema_json.len > 0 ? tool->schema_json
                                         : MT_STR("{\"type\":\"object\",\"properties\":{}}"));
    mt_jw_kbool(w, "strict", tool->strict == MT_YES); /* unsaid would mean strict here alone */
    mt_jw_end(w);
    return MT_OK;
}

static mt_rc write_tools(struct mt_jw *w, const struct mt_chat_request *r, struct mt_err *err)
{
    static const char *const words[] = {
        [MT_TOOLS_AUTO] = "auto", [MT_TOOLS_NONE] = "none", [MT_TOOLS_REQUIRED] = "required"};

    if (r->tools_n == 0)
        return MT_OK;
    mt_jw_key(w, "tools"), mt_jw_array(w);
    for (size_t i = 0; i < r->tools_n; i++)
        MT_TRY(write_tool(w, r, &r->tools[i], err));
    mt_jw_end(w);
    if (r->parallel_tools != MT_UNSAID)
        mt_jw_kbool(w, "parallel_tool_calls", r->parallel_tools == MT_YES);
    if (r->tool_choice == MT_TOOLS_NAMED) {
        mt_jw_key(w, "tool_choice"), mt_jw_object(w);
        mt_jw_kcstr(w, "type", "function");
        mt_jw_kstr(w, "name", r->tool_choice_name);
        mt_jw_end(w);
    } else if (r->tool_choice != MT_TOOLS_UNSAID) {
        mt_jw_kcstr(w, "tool_choice", words[r->tool_choice]);
    }
    return MT_OK;
}

static bool has_extras_under(const struct mt_chat_request *r, const char *prefix)
{
    for (size_t i = 0; is_own(r) && i < r->extras_n; i++)
        if (mt_str_starts(r->extras[i].key, mt_str_of(prefix)))
            return true;
    return false;
}

static void write_text(struct mt_jw *w, const struct mt_chat_request *r)
{
    if (r->format == MT_FORMAT_TEXT && !has_extras_under(r, "text."))
        return;
    mt_jw_key(w, "text"), mt_jw_object(w);
    mt_jw_key(w, "format"), mt_jw_object(w);
    if (r->format == MT_FORMAT_SCHEMA) {
        mt_jw_kcstr(w, "type", "json_schema");
        mt_jw_kstr(w, "name", r->schema_name.len > 0 ? r->schema_name : MT_STR("output"));
        mt_jw_kraw(w, "schema", mt_chat__object_or_empty(r->schema_json));
        if (r->schema_strict != MT_UNSAID)
            mt_jw_kbool(w, "strict", r->schema_strict == MT_YES);
    } else {
        mt_jw_kcstr(w, "type", r->format == MT_FORMAT_JSON ? "json_object" : "text");
    }
    mt_jw_end(w);
    if (is_own(r))
        mt_chat__write_extras_under(r, "text.", w);
    mt_jw_end(w);
}

static void write_reasoning(struct mt_jw *w, const struct mt_chat_request *r)
{
    enum mt_chat_effort effort = r->effort;

    if (effort == MT_EFFORT_UNSAID && r->reasoning_budget.has)
        effort = mt_chat__budget_effort(r->reasoning_budget.value);
    if (effort == MT_EFFORT_UNSAID && r->include_reasoning != MT_YES &&
        !has_extras_under(r, "reasoning."))
        return;
    mt_jw_key(w, "reasoning"), mt_jw_object(w);
    if (effort != MT_EFFORT_UNSAID)
        mt_jw_kcstr(w, "effort", mt_chat__effort_name(effort));
    if (r->include_reasoning == MT_YES && effort != MT_EFFORT_NONE)
        mt_jw_kcstr(w, "summary", "auto");
    if (is_own(r))
        mt_chat__write_extras_under(r, "reasoning.", w);
    mt_jw_end(w);
}

/* Signed reasoning always: without it the endpoint, which stores nothing, would forget. */
static void write_include(struct mt_jw *w, const struct mt_chat_request *r)
{
    const struct mt_chat_extra *asked = NULL;

    for (size_t i = 0; is_own(r) && i < r->extras_n; i++)
        if (mt_str_is(r->extras[i].key, "include"))
            asked = &r->extras[i];
    if (asked != NULL) {
        mt_jw_kraw(w, "include", asked->raw);
        return;
    }
    mt_jw_key(w, "include"), mt_jw_array(w);
    mt_jw_cstr(w, "reasoning.encrypted_content");
    if (r->logprobs)
        mt_jw_cstr(w, "message.output_text.logprobs");
    mt_jw_end(w);
}

static void write_settings(struct mt_jw *w, const struct mt_chat_request *r,
                           struct mt_chat_notes *notes)
{
    const struct mt_chat_sampling *s = &r->sampling;

    if (r->max_tokens.has)
        mt_jw_ki64(w, "max_output_tokens", r->max_tokens.value);
    if (s->temperature.has)
        mt_jw_kf64(w, "temperature", s->temperature.value);
    if (s->top_p.has)
        mt_jw_kf64(w, "top_p", s->top_p.value);
    if (r->top_logprobs > 0)
        mt_jw_ki64(w, "top_logprobs", (int64_t)r->top_logprobs);
    if (r->user.len > 0)
        mt_jw_kstr(w, "user", r->user);
    if (r->metadata_json.len > 0 && is_kin(r))
        mt_jw_kraw(w, "metadata", r->metadata_json);
    if (r->service_tier.len > 0 && (is_kin(r) || mt_str_is(r->service_tier, "auto")))
        mt_jw_kstr(w, "service_tier", r->service_tier);
    else if (r->service_tier.len > 0)
        mt_chat_note(notes, "service_tier '%.*s' is not sent", MT_STR_ARG(r->service_tier));
    for (size_t i = 0; is_own(r) && i < r->extras_n; i++)
        if (mt_str_is(r->extras[i].key, "truncation"))
            mt_jw_kraw(w, "truncation", r->extras[i].raw);
}

/* Fields that only tune and have no place here. */
static void note_rest(const struct mt_chat_request *r, struct mt_chat_notes *notes)
{
    const struct mt_chat_sampling *s = &r->sampling;
    const struct {
        bool has;
        const char *name;
    } rest[] = {
        {s->min_p.has, "min_p"},
        {s->typical_p.has, "typical_p"},
        {s->top_k.has, "top_k"},
        {s->frequency_penalty.has, "frequency_penalty"},
        {s->presence_penalty.has, "presence_penalty"},
        {s->repeat_penalty.has, "repeat_penalty"},
        {s->repeat_last_n.has, "repeat_last_n"},
        {s->seed.has, "seed"},
        {s->stop_n > 0, "stop"},
        {s->logit_bias_json.len > 0, "logit_bias"},
        {r->keep_alive_s.has, "keep_alive"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rest); i++)
        if (rest[i].has)
            mt_chat_note(notes, "%s is not supported by this provider", rest[i].name);
    mt_chat__note_marks(r, MT_CHAT_MARK_CACHE, "openai responses", notes);
}

static mt_rc check(const struct mt_chat_request *r, struct mt_err *err)
{
    if (r->kind == MT_CHAT_COMPLETION)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "prompt: this provider has no plain completion");
    if (r->n > 1)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "n: this provider gives one answer, %u asked for",
                       r->n);
    if (r->previous_response_id.len > 0)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "previous_response_id");
    return MT_OK;
}

mt_rc mt_responses__encode_request(const struct mt_chat_request *request, struct mt_str model,
                                   struct mt_buf *body, struct mt_buf *path,
                                   struct mt_chat_notes *notes, struct mt_err *err)
{
    struct mt_jw w;

    MT_TRY(check(request, err));
    mt_jw_begin(&w, body);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "model", model);
    MT_TRY(mt_responses__write_input(&w, request, notes, err));
    MT_TRY(write_tools(&w, request, err));
    write_text(&w, request);
    write_reasoning(&w, request);
    write_include(&w, request);
    write_settings(&w, request, notes);
    mt_jw_kbool(&w, "store", false);
    if (request->stream)
        mt_jw_kbool(&w, "stream", true);
    note_rest(request, notes);
    mt_chat__write_extras(request, MT_DIALECT_OPENAI_RESPONSES, "openai responses", &w, notes);
    mt_jw_end(&w);
    mt_buf_add_cstr(path, "/v1/responses");
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request body", err);
}
