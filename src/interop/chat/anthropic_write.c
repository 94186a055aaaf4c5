/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a Messages request: everything but the messages themselves. */
#include "anthropic_priv.h"

enum thinking_way {
    THINK_BUDGET,   /* {"type":"enabled","budget_tokens":N} */
    THINK_ADAPTIVE, /* {"type":"adaptive"} and an effort */
};

/* Claude models since 4.6 decide themselves how long to think and take an effort; those before
 * take a number of tokens, as do the other models that are served in this dialect. The list of
 * the early ones is closed. */
static enum thinking_way thinking_way(struct mt_str model)
{
    static const char *const early[] = {
        "claude-2",          "claude-3",           "claude-instant",  "claude-opus-4-0",
        "claude-opus-4-1",   "claude-opus-4-2025", "claude-opus-4-5", "claude-sonnet-4-0",
        "claude-sonnet-4-2", "claude-sonnet-4-5",  "claude-haiku-4-5"};
    size_t at = mt_str_find(model, MT_STR("claude-"));
    struct mt_str name = mt_str_sub(model, at, model.len);

    if (at == model.len)
        return THINK_BUDGET;
    for (size_t i = 0; i < MT_ARRAY_LEN(early); i++)
        if (mt_str_starts(name, mt_str_of(early[i])))
            return THINK_BUDGET;
    return THINK_ADAPTIVE;
}

/* What is decided before anything is written. */
struct plan {
    bool thinks, is_adaptive;
    int64_t budget_tokens;
    int64_t max_tokens;
    const char *effort; /* NULL: none is sent */
};

static const char *effort_word(enum mt_chat_effort effort)
{
    switch (effort) {
    case MT_EFFORT_MINIMAL:
    case MT_EFFORT_LOW:
        return "low";
    case MT_EFFORT_MEDIUM:
        return "medium";
    case MT_EFFORT_HIGH:
        return "high";
    case MT_EFFORT_XHIGH:
        return "max";
    case MT_EFFORT_UNSAID:
    case MT_EFFORT_NONE:
        break;
    }
    return NULL;
}

static void plan_budget(const struct mt_chat_request *r, struct plan *plan,
                        struct mt_chat_notes *notes)
{
    int64_t budget =
        r->reasoning_budget.has ? r->reasoning_budget.value : mt_chat__effort_budget(r->effort);

    if (budget < MT_ANTHROPIC_BUDGET_MIN)
        budget = MT_ANTHROPIC_BUDGET_MIN;
    if (!r->max_tokens.has) {
        plan->max_tokens += budget;
    } else if (budget >= plan->max_tokens) {
        budget = plan->max_tokens / 2;
        if (budget < MT_ANTHROPIC_BUDGET_MIN) {
            mt_chat_note(notes, "no reasoning: max_tokens %lld leaves no room for it",
                         (long long)plan->max_tokens);
            return;
        }
        mt_chat_note(notes, "reasoning budget cut to %lld tokens, half of max_tokens",
                     (long long)budget);
    }
    plan->thinks = true;
    plan->budget_tokens = budget;
}

static void plan_thinking(const struct mt_chat_request *r, struct mt_str model,
                          struct plan *plan, struct mt_chat_notes *notes)
{
    bool is_asked = r->reasoning_budget.has || effort_word(r->effort) != NULL ||
                    (r->include_reasoning == MT_YES && r->dialect == MT_DIALECT_ANTHROPIC);

    if (!is_asked || r->effort == MT_EFFORT_NONE)
        return;
    if (r->tool_choice == MT_TOOLS_REQUIRED || r->tool_choice == MT_TOOLS_NAMED) {
        mt_chat_note(notes, "no reasoning: this provider does not think when a tool is forced");
        return;
    }
    if (thinking_way(model) == THINK_BUDGET) {
        plan_budget(r, plan, notes);
        return;
    }
    plan->thinks = true;
    plan->is_adaptive = true;
    plan->effort = effort_word(r->effort);
    if (r->reasoning_budget.has) {
        if (plan->effort == NULL)
            plan->effort = effort_word(mt_chat__budget_effort(r->reasoning_budget.value));
        mt_chat_note(notes, "reasoning budget of %lld tokens sent as effort",
                     (long long)r->reasoning_budget.value);
    }
}

static struct plan make_plan(const struct mt_chat_request *r, struct mt_str model,
                             struct mt_chat_notes *notes)
{
    struct plan plan = {.max_tokens = r->max_tokens.value};

    if (!r->max_tokens.has) {
        plan.max_tokens = MT_ANTHROPIC_MAX_TOKENS;
        mt_chat_note(notes, "max_tokens set to %d: this provider needs a limit",
                     MT_ANTHROPIC_MAX_TOKENS);
    }
    plan_thinking(r, model, &plan, notes);
    return plan;
}

static mt_rc write_tool(struct mt_jw *w, const struct mt_chat_request *r,
                        const struct mt_chat_tool *tool, struct mt_err *err)
{
    if (r->dialect == MT_DIALECT_ANTHROPIC && tool->raw.len > 0) {
        mt_jw_raw(w, tool->raw);
        return MT_OK;
    }
    if (tool->hosted_type.len > 0)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "tools: '%.*s' runs at another provider",
                       MT_STR_ARG(tool->hosted_type));
    mt_jw_object(w);
    mt_jw_kstr(w, "name", tool->name);
    if (tool->description.len > 0)
        mt_jw_kstr(w, "description", tool->description);
    mt_jw_kraw(w, "input_schema",
               tool->schema_json.len > 0 ? tool->schema_json
                                         : MT_STR("{\"type\":\"object\",\"properties\":{}}"));
    if (tool->strict == MT_YES)
        mt_jw_kbool(w, "strict", true);
    if (tool->cache_control.len > 0)
        mt_jw_kraw(w, "cache_control", tool->cache_control);
    mt_jw_end(w);
    return MT_OK;
}

static mt_rc write_tools(struct mt_jw *w, const struct mt_chat_request *r, struct mt_err *err)
{
    static const char *const words[] = {[MT_TOOLS_UNSAID] = "auto",
                                        [MT_TOOLS_AUTO] = "auto",
                                        [MT_TOOLS_NONE] = "none",
                                        [MT_TOOLS_REQUIRED] = "any",
                                        [MT_TOOLS_NAMED] = "tool"};

    if (r->tools_n == 0)
        return MT_OK;
    mt_jw_key(w, "tools"), mt_jw_array(w);
    for (size_t i = 0; i < r->tools_n; i++)
        MT_TRY(write_tool(w, r, &r->tools[i], err));
    mt_jw_end(w);
    if (r->tool_choice == MT_TOOLS_UNSAID && r->parallel_tools == MT_UNSAID)
        return MT_OK;
    mt_jw_key(w, "tool_choice"), mt_jw_object(w);
    mt_jw_kcstr(w, "type", words[r->tool_choice]);
    if (r->tool_choice == MT_TOOLS_NAMED)
        mt_jw_kstr(w, "name", r->tool_choice_name);
    if (r->parallel_tools == MT_NO && r->tool_choice != MT_TOOLS_NONE)
        mt_jw_kbool(w, "disable_parallel_tool_use", true);
    mt_jw_end(w);
    return MT_OK;
}

static void write_thinking(struct mt_jw *w, const struct mt_chat_request *r,
                           const struct plan *plan)
{
    if (!plan->thinks && r->effort != MT_EFFORT_NONE)
        return;
    mt_jw_key(w, "thinking"), mt_jw_object(w);
    if (!plan->thinks) {
        mt_jw_kcstr(w, "type", "disabled");
    } else if (plan->is_adaptive) {
        mt_jw_kcstr(w, "type", "adaptive");
    } else {
        mt_jw_kcstr(w, "type", "enabled");
        mt_jw_ki64(w, "budget_tokens", plan->budget_tokens);
    }
    mt_jw_end(w);
}

static mt_rc write_output_config(struct mt_jw *w, const struct mt_chat_request *r,
                                 const struct plan *plan, struct mt_err *err)
{
    if (r->format == MT_FORMAT_JSON)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "response format 'json' without a schema: give a schema");
    if (r->format == MT_FORMAT_TEXT && plan->effort == NULL)
        return MT_OK;
    mt_jw_key(w, "output_config"), mt_jw_object(w);
    if (plan->effort != NULL)
        mt_jw_kcstr(w, "effort", plan->effort);
    if (r->format == MT_FORMAT_SCHEMA) {
        mt_jw_key(w, "format"), mt_jw_object(w);
        mt_jw_kcstr(w, "type", "json_schema");
        mt_jw_kraw(w, "schema", mt_chat__object_or_empty(r->schema_json));
        mt_jw_end(w);
    }
    mt_jw_end(w);
    return MT_OK;
}

static void write_stops(struct mt_jw *w, const struct mt_chat_sampling *s,
                        struct mt_chat_notes *notes)
{
    bool is_begun = false;

    for (size_t i = 0; i < s->stop_n; i++) {
        if (mt_str_trim(s->stop[i]).len == 0) {
            mt_chat_note(notes, "stop[%zu] of white space alone is not sent", i);
            continue;
        }
        if (!is_begun)
            mt_jw_key(w, "stop_sequences"), mt_jw_array(w);
        is_begun = true;
        mt_jw_str(w, s->stop[i]);
    }
    if (is_begun)
        mt_jw_end(w);
}

static void write_sampling(struct mt_jw *w, const struct mt_chat_request *r, bool thinks,
                           struct mt_chat_notes *notes)
{
    const struct mt_chat_sampling *s = &r->sampling;
    double temperature = s->temperature.value;

    if (thinks) { /* only the defaults go with thinking */
        if ((s->temperature.has && (temperature < 1 || temperature > 1)) || s->top_k.has)
            mt_chat_note(notes, "temperature and top_k are not sent with reasoning");
    } else {
        if (s->temperature.has && temperature > 1) {
            mt_chat_note(notes, "temperature lowered to 1, this provider's highest");
            temperature = 1;
        }
        if (s->temperature.has)
            mt_jw_kf64(w, "temperature", temperature);
        if (s->top_k.has)
            mt_jw_ki64(w, "top_k", s->top_k.value);
    }
    if (s->top_p.has && s->temperature.has)
        mt_chat_note(notes, "top_p is not sent: this provider takes temperature or top_p");
    else if (s->top_p.has && thinks && s->top_p.value < 0.95)
        mt_chat_note(notes, "top_p below 0.95 is not sent with reasoning");
    else if (s->top_p.has)
        mt_jw_kf64(w, "top_p", s->top_p.value);
    write_stops(w, s, notes);
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
        {s->frequency_penalty.has, "frequency_penalty"},
        {s->presence_penalty.has, "presence_penalty"},
        {s->repeat_penalty.has, "repeat_penalty"},
        {s->repeat_last_n.has, "repeat_last_n"},
        {s->seed.has, "seed"},
        {s->logit_bias_json.len > 0, "logit_bias"},
        {r->logprobs, "logprobs"},
        {r->keep_alive_s.has, "keep_alive"},
        {r->metadata_json.len > 0 && r->dialect != MT_DIALECT_ANTHROPIC, "metadata"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rest); i++)
        if (rest[i].has)
            mt_chat_note(notes, "%s is not supported by this provider", rest[i].name);
}

static void write_caller(struct mt_jw *w, const struct mt_chat_request *r,
                         struct mt_chat_notes *notes)
{
    bool is_own = r->dialect == MT_DIALECT_ANTHROPIC;

    if (is_own && r->metadata_json.len > 0) {
        mt_jw_kraw(w, "metadata", r->metadata_json);
    } else if (r->user.len > 0) {
        mt_jw_key(w, "metadata"), mt_jw_object(w);
        mt_jw_kstr(w, "user_id", r->user);
        mt_jw_end(w);
    }
    if (r->service_tier.len == 0)
        return;
    if (is_own || mt_str_is(r->service_tier, "auto"))
        mt_jw_kstr(w, "service_tier", r->service_tier);
    else if (mt_str_is(r->service_tier, "default"))
        mt_jw_kcstr(w, "service_tier", "standard_only");
    else
        mt_chat_note(notes, "service_tier '%.*s' is not sent", MT_STR_ARG(r->service_tier));
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

mt_rc mt_anthropic__encode_request(const struct mt_chat_request *request, struct mt_str model,
                                   struct mt_buf *body, struct mt_buf *path,
                                   struct mt_chat_notes *notes, struct mt_err *err)
{
    struct mt_jw w;
    struct mt_anthropic__turns turns = {.request = request, .w = &w, .notes = notes};

    MT_TRY(check(request, err));
    struct plan plan = make_plan(request, model, notes);
    mt_jw_begin(&w, body);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "model", model);
    mt_jw_ki64(&w, "max_tokens", plan.max_tokens);
    MT_TRY(mt_anthropic__write_messages(&turns, err));
    MT_TRY(write_tools(&w, request, err));
    write_thinking(&w, request, &plan);
    MT_TRY(write_output_config(&w, request, &plan, err));
    write_sampling(&w, request, plan.thinks, notes);
    write_caller(&w, request, notes);
    if (request->stream)
        mt_jw_kbool(&w, "stream", true);
    note_rest(request, notes);
    mt_chat__write_extras(request, MT_DIALECT_ANTHROPIC, "anthropic", &w, notes);
    mt_jw_end(&w);
    mt_buf_add_cstr(path, "/v1/messages");
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request body", err);
}
