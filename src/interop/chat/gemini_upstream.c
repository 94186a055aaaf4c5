/* SPDX-License-Identifier: Apache-2.0 */
/* The request to a Gemini endpoint. */
#include "gemini_priv.h"

static bool is_native(const struct mt_chat_request *request)
{
    return request->dialect == MT_DIALECT_GEMINI;
}

static void write_function(struct mt_jw *w, const struct mt_chat_tool *tool)
{
    mt_jw_object(w);
    mt_jw_kstr(w, "name", tool->name);
    mt_jw_kstr(w, "description", tool->description);
    if (tool->schema_json.len > 0)
        mt_jw_kraw(w, "parametersJsonSchema", tool->schema_json);
    mt_jw_end(w);
}

static mt_rc check_hosted(const struct mt_chat_request *request, size_t *functions_n,
                          struct mt_err *err)
{
    *functions_n = 0;
    for (size_t i = 0; i < request->tools_n; i++) {
        struct mt_str hosted = request->tools[i].hosted_type;
        bool runs_code = mt_str_is(hosted, "codeExecution") ||
                         mt_str_is(hosted, "code_execution"); /* answers in parts of its own */
        *functions_n += hosted.len == 0;
        if (hosted.len > 0 && (!is_native(request) || runs_code))
            return MT_FAIL(err, MT_E_UNSUPPORTED, "tools[%zu]: '%.*s' cannot be translated", i,
                           MT_STR_ARG(mt_str_sub(hosted, 0, 60)));
    }
    return MT_OK;
}

static mt_rc write_tools(const struct mt_chat_request *request, struct mt_jw *w,
                         struct mt_err *err)
{
    size_t functions_n = 0;

    MT_TRY(check_hosted(request, &functions_n, err));
    if (request->tools_n == 0)
        return MT_OK;
    mt_jw_key(w, "tools");
    mt_jw_array(w);
    if (functions_n > 0) {
        mt_jw_object(w);
        mt_jw_key(w, "functionDeclarations");
        mt_jw_array(w);
        for (size_t i = 0; i < request->tools_n; i++)
            if (request->tools[i].hosted_type.len == 0)
                write_function(w, &request->tools[i]);
        mt_jw_end(w);
        mt_jw_end(w);
    }
    for (size_t i = 0; i < request->tools_n; i++)
        if (request->tools[i].hosted_type.len > 0)
            mt_jw_raw(w, request->tools[i].raw);
    mt_jw_end(w);
    return MT_OK;
}

static void write_choice(const struct mt_chat_request *request, struct mt_jw *w)
{
    static const char *const modes[] = {
        [MT_TOOLS_AUTO] = "AUTO",
        [MT_TOOLS_NONE] = "NONE",
        [MT_TOOLS_REQUIRED] = "ANY",
        [MT_TOOLS_NAMED] = "ANY",
    };

    mt_jw_key(w, "functionCallingConfig");
    mt_jw_object(w);
    mt_jw_kcstr(w, "mode", modes[request->tool_choice]);
    if (request->tool_choice == MT_TOOLS_NAMED) {
        mt_jw_key(w, "allowedFunctionNames");
        mt_jw_array(w);
        mt_jw_str(w, request->tool_choice_name);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

static bool has_extra_under(const struct mt_chat_request *request, struct mt_str prefix)
{
    for (size_t i = 0; i < request->extras_n; i++)
        if (mt_str_starts(request->extras[i].key, prefix))
            return is_native(request);
    return false;
}

static void write_tool_config(const struct mt_chat_request *request, struct mt_jw *w)
{
    bool has_choice = request->tool_choice != MT_TOOLS_UNSAID && request->tools_n > 0;

    if (!has_choice && !has_extra_under(request, MT_STR("toolConfig.")))
        return;
    mt_jw_key(w, "toolConfig");
    mt_jw_object(w);
    if (has_choice)
        write_choice(request, w);
    if (is_native(request))
        mt_chat__write_extras_under(request, "toolConfig.", w);
    mt_jw_end(w);
}

static void write_f64(struct mt_jw *w, const char *key, struct mt_opt_f64 value)
{
    if (value.has)
        mt_jw_kf64(w, key, value.value);
}

static void write_i64(struct mt_jw *w, const char *key, struct mt_opt_i64 value)
{
    if (value.has)
        mt_jw_ki64(w, key, value.value);
}

static bool fits_seed(int64_t seed)
{
    return seed >= INT32_MIN && seed <= INT32_MAX;
}

static void write_sampling(const struct mt_chat_request *request, struct mt_jw *w)
{
    const struct mt_chat_sampling *s = &request->sampling;

    write_f64(w, "temperature", s->temperature);
    write_f64(w, "topP", s->top_p);
    write_i64(w, "topK", s->top_k);
    write_i64(w, "maxOutputTokens", request->max_tokens);
    if (request->n > 1)
        mt_jw_ki64(w, "candidateCount", request->n);
    if (s->stop_n > 0) {
        mt_jw_key(w, "stopSequences");
        mt_jw_array(w);
        for (size_t i = 0; i < s->stop_n; i++)
            mt_jw_str(w, s->stop[i]);
        mt_jw_end(w);
    }
    write_f64(w, "presencePenalty", s->presence_penalty);
    write_f64(w, "frequencyPenalty", s->frequency_penalty);
    if (s->seed.has && fits_seed(s->seed.value))
        mt_jw_ki64(w, "seed", s->seed.value);
    else if (s->seed.has)
        mt_jw_ki64(w, "seed", (int64_t)((uint64_t)s->seed.value & INT32_MAX));
}

static void write_format(const struct mt_chat_request *request, struct mt_jw *w)
{
    if (request->format != MT_FORMAT_TEXT)
        mt_jw_kcstr(w, "responseMimeType", "application/json");
    if (request->format == MT_FORMAT_SCHEMA)
        mt_jw_kraw(w, "responseJsonSchema", request->schema_json);
    if (request->logprobs) {
        mt_jw_kbool(w, "responseLogprobs", true);
        if (request->top_logprobs > 0)
            mt_jw_ki64(w, "logprobs", request->top_logprobs);
    }
}

static const char *level_name(enum mt_chat_effort effort)
{
    switch (effort) {
    case MT_EFFORT_MINIMAL:
        return "MINIMAL";
    case MT_EFFORT_LOW:
        return "LOW";
    case MT_EFFORT_MEDIUM:
        return "MEDIUM";
    case MT_EFFORT_HIGH:
    case MT_EFFORT_XHIGH:
        return "HIGH";
    case MT_EFFORT_UNSAID:
    case MT_EFFORT_NONE:
        return NULL;
    }
    return NULL;
}

/* A level only where Gemini's own client named one: older models know budgets alone, newer ones
 * both. */
static void write_thinking(const struct mt_chat_request *request, struct mt_jw *w)
{
    bool has_effort = request->effort != MT_EFFORT_UNSAID;
    bool has_any = has_effort || request->reasoning_budget.has;
    bool is_off = request->effort == MT_EFFORT_NONE;
    bool shows =
        request->include_reasoning == MT_YES ||
        (!is_native(request) && has_any && !is_off && request->include_reasoning != MT_NO);

    if (!has_any && request->include_reasoning == MT_UNSAID)
        return;
    mt_jw_key(w, "thinkingConfig");
    mt_jw_object(w);
    if (request->reasoning_budget.has)
        mt_jw_ki64(w, "thinkingBudget", request->reasoning_budget.value);
    else if (is_off)
        mt_jw_ki64(w, "thinkingBudget", 0);
    else if (has_effort && is_native(request))
        mt_jw_kcstr(w, "thinkingLevel", level_name(request->effort));
    else if (has_effort)
        mt_jw_ki64(w, "thinkingBudget", mt_chat__effort_budget(request->effort));
    mt_jw_kbool(w, "includeThoughts", shows);
    mt_jw_end(w);
}

static void write_config(const struct mt_chat_request *request, struct mt_jw *w)
{
    mt_jw_key(w, "generationConfig");
    mt_jw_object(w);
    write_sampling(request, w);
    write_format(request, w);
    write_thinking(request, w);
    if (is_native(request))
        mt_chat__write_extras_under(request, "generationConfig.", w);
    mt_jw_end(w);
}

/* What only tunes is noted. */
static void note_losses(const struct mt_chat_request *request, struct mt_chat_notes *notes)
{
    const struct mt_chat_sampling *s = &request->sampling;
    const struct {
        bool is_said;
        const char *name;
    } losses[] = {
        {s->min_p.has, "min_p"},
        {s->typical_p.has, "typical_p"},
        {s->repeat_penalty.has, "repeat_penalty"},
        {s->repeat_last_n.has, "repeat_last_n"},
        {s->logit_bias_json.len > 0, "logit_bias"},
        {request->parallel_tools == MT_NO, "parallel_tool_calls"},
        {request->user.len > 0, "user"},
        {request->metadata_json.len > 0 && !is_native(request), "metadata"},
        {request->service_tier.len > 0 && !is_native(request), "service_tier"},
        {request->keep_alive_s.has, "keep_alive"},
        {s->seed.has && !fits_seed(s->seed.value), "upper bits of the seed"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(losses); i++)
        if (losses[i].is_said)
            mt_chat_note(notes, "%s: not known to gemini", losses[i].name);
    mt_chat__note_marks(request, MT_CHAT_MARK_NAME | MT_CHAT_MARK_CACHE, "gemini", notes);
}

void mt_gemini__write_path(struct mt_str model, const char *method, struct mt_buf *path)
{
    static const char plain[] = "-._~:";
    static const struct mt_str prefix = MT_STR_INIT("models/");
    static const struct mt_str tuned = MT_STR_INIT("tunedModels/");
    struct mt_str name =
        mt_str_starts(model, prefix) ? mt_str_sub(model, prefix.len, model.len) : model;

    mt_buf_add_cstr(path,
                    mt_str_starts(name, tuned) ? "/v1beta/tunedModels/" : "/v1beta/models/");
    if (mt_str_starts(name, tuned))
        name = mt_str_sub(name, tuned.len, name.len);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (is_alnum || mt_str_find_char(mt_str_of(plain), (char)c) < sizeof plain - 1)
            mt_buf_add_char(path, (char)c);
        else
            mt_buf_addf(path, "%%%02X", c);
    }
    mt_buf_addf(path, ":%s", method);
}

mt_rc mt_gemini__encode_request(const struct mt_chat_request *request, struct mt_str model,
                                struct mt_buf *body, struct mt_buf *path,
                                struct mt_chat_notes *notes, struct mt_err *err)
{
    struct mt_jw w;

    if (request->kind == MT_CHAT_COMPLETION)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "prompt: gemini has no completion without a conversation");
    if (request->is_load_only)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "messages: gemini has no model to load");
    note_losses(request, notes);
    mt_gemini__write_path(
        model, request->stream ? "streamGenerateContent?alt=sse" : "generateContent", path);
    mt_jw_begin(&w, body);
    mt_jw_object(&w);
    MT_TRY(mt_gemini__write_contents(request, model, &w, notes, err));
    MT_TRY(write_tools(request, &w, err));
    write_tool_config(request, &w);
    write_config(request, &w);
    if (is_native(request) && request->metadata_json.len > 0)
        mt_jw_kraw(&w, "labels", request->metadata_json);
    if (is_native(request) && request->service_tier.len > 0)
        mt_jw_kstr(&w, "serviceTier", request->service_tier);
    mt_chat__write_extras(request, MT_DIALECT_GEMINI, "gemini", &w, notes);
    mt_jw_end(&w);
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request body", err);
}
