/* SPDX-License-Identifier: Apache-2.0 */
/* tools, toolConfig and generationConfig of a Gemini request, read. */
#include "gemini_priv.h"

enum { HOSTED_MAX = 256 * 1024 };

static mt_rc read_declaration(const struct mt_json *function, struct mt_chat_request *out,
                              struct mt_chat_tool *tool, struct mt_err *err)
{
    static const char *const known[] = {
        "name", "description", "parameters", "parametersJsonSchema", "parameters_json_schema",
        NULL};
    const struct mt_json *own = mt_json_get(function, "parameters");
    const struct mt_json *plain = mt_gemini__get(function, "parametersJsonSchema");

    if (mt_json_type(function) != MT_JSON_OBJECT)
        return mt_chat__expected(function, "", "an object", err);
    MT_TRY(mt_chat__str(function, "", "name", out->arena, &tool->name, err));
    MT_TRY(mt_chat__str(function, "", "description", out->arena, &tool->description, err));
    if (tool->name.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "name: expected a name, found nothing");
    if (mt_json_type(plain) > MT_JSON_NULL && mt_json_type(plain) != MT_JSON_OBJECT)
        return mt_chat__expected(plain, "parametersJsonSchema", "an object", err);
    if (mt_json_type(plain) == MT_JSON_OBJECT) {
        tool->schema_json = mt_json_raw(plain);
    } else if (mt_json_type(own) > MT_JSON_NULL) {
        mt_rc rc = mt_gemini__schema(own, out->arena, &tool->schema_json, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "parameters");
    }
    return mt_chat__extras_once(function, "functionDeclarations[].", known, out, err);
}

static mt_rc add_tool(struct mt_chat_request *out, struct mt_chat_tool **tool,
                      struct mt_err *err)
{
    if (out->tools_n == MT_CHAT_TOOLS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "tools: expected at most %d", MT_CHAT_TOOLS_MAX);
    struct mt_chat_tool *tools =
        mt_chat__push(out->arena, out->tools, out->tools_n, sizeof *tools);
    if (tools == NULL)
        return mt_arena_fail(out->arena, err);
    out->tools = tools;
    tools[out->tools_n] = (struct mt_chat_tool){0};
    *tool = &tools[out->tools_n++];
    return MT_OK;
}

static mt_rc read_declarations(const struct mt_json *list, struct mt_chat_request *out,
                               struct mt_err *err)
{
    const struct mt_json *item = NULL;
    size_t n = 0;

    MT_TRY(mt_gemini__list(list, "functionDeclarations", MT_CHAT_TOOLS_MAX, &item, &n, err));
    for (size_t i = 0; i < n; i++, item = mt_json_next(item)) {
        struct mt_chat_tool *tool = NULL;
        MT_TRY(add_tool(out, &tool, err));
        mt_rc rc = read_declaration(item, out, tool, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "functionDeclarations[%zu]", i);
    }
    return MT_OK;
}

/* {"googleSearch":{}}: run by the provider. The member and its value are kept as one object. */
static mt_rc read_hosted(const struct mt_json *member, struct mt_chat_request *out,
                         struct mt_err *err)
{
    struct mt_str key = mt_json_key(member);
    struct mt_str raw = mt_json_raw(member);
    struct mt_chat_tool *tool = NULL;

    if (raw.len > HOSTED_MAX || key.len > 64)
        return MT_FAIL(err, MT_E_TOOBIG, "%.*s: expected at most %d bytes",
                       (int)(key.len < 64 ? key.len : 64), key.at, HOSTED_MAX);
    MT_TRY(add_tool(out, &tool, err));
    tool->hosted_type = key;
    tool->raw =
        mt_arena_printf(out->arena, "{\"%.*s\":%.*s}", MT_STR_ARG(key), MT_STR_ARG(raw));
    return tool->raw.at == NULL ? mt_arena_fail(out->arena, err) : MT_OK;
}

static mt_rc read_tool(const struct mt_json *tool, struct mt_chat_request *out,
                       struct mt_err *err)
{
    if (mt_json_type(tool) != MT_JSON_OBJECT)
        return mt_chat__expected(tool, "", "an object", err);
    for (const struct mt_json *member = mt_json_first(tool); member != NULL;
         member = mt_json_next(member)) {
        bool is_ours = mt_json_key_is(member, "functionDeclarations") ||
                       mt_json_key_is(member, "function_declarations");
        if (mt_json_type(member) == MT_JSON_NULL)
            continue;
        if (is_ours)
            MT_TRY(read_declarations(member, out, err));
        else
            MT_TRY(read_hosted(member, out, err));
    }
    return MT_OK;
}

static const char names_place[] = "toolConfig.functionCallingConfig.allowedFunctionNames";

static bool is_among(struct mt_str name, const struct mt_str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (mt_str_eq(name, names[i]))
            return true;
    return false;
}

/* Only the allowed functions stay: what the model cannot see it cannot call. */
static void allow_only(const struct mt_str *names, size_t n, struct mt_chat_request *out)
{
    size_t kept = 0;

    for (size_t i = 0; i < out->tools_n; i++) {
        const struct mt_chat_tool *tool = &out->tools[i];
        if (tool->hosted_type.len > 0 || is_among(tool->name, names, n))
            out->tools[kept++] = *tool;
    }
    out->tools_n = kept;
}

static mt_rc read_names(const struct mt_json *config, struct mt_chat_request *out,
                        struct mt_err *err)
{
    char snake[MT_GEMINI_KEY_MAX];
    const char *key = mt_gemini__spelt(config, "allowedFunctionNames", snake);
    size_t max = mt_json_count(mt_json_get(config, key));
    struct mt_str *names = NULL;
    size_t n = 0;

    if (max == 0)
        return MT_OK;
    if (max > MT_CHAT_TOOLS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "%s: expected at most %d", names_place,
                       MT_CHAT_TOOLS_MAX);
    names = mt_arena_get(out->arena, max, sizeof *names);
    if (names == NULL)
        return mt_arena_fail(out->arena, err);
    MT_TRY(mt_chat__strs(config, "toolConfig.functionCallingConfig", key, max, out->arena,
                         names, &n, err));
    if (n == 1 && out->tool_choice == MT_TOOLS_REQUIRED) {
        out->tool_choice = MT_TOOLS_NAMED;
        out->tool_choice_name = names[0];
        return MT_OK;
    }
    allow_only(names, n, out);
    return MT_OK;
}

static mt_rc read_choice(const struct mt_json *config, struct mt_chat_request *out,
                         struct mt_err *err)
{
    const struct mt_json *mode = mt_json_get(config, "mode");

    if (mt_json_type(config) != MT_JSON_OBJECT)
        return mt_chat__expected(config, "toolConfig.functionCallingConfig", "an object", err);
    if (mt_json_is(mode, "ANY"))
        out->tool_choice = MT_TOOLS_REQUIRED;
    else if (mt_json_is(mode, "NONE"))
        out->tool_choice = MT_TOOLS_NONE;
    else if (mt_json_is(mode, "AUTO") || mt_json_is(mode, "VALIDATED"))
        out->tool_choice = MT_TOOLS_AUTO;
    else if (mt_json_type(mode) > MT_JSON_NULL && !mt_json_is(mode, "MODE_UNSPECIFIED"))
        return mt_chat__expected(mode, "toolConfig.functionCallingConfig.mode",
                                 "'AUTO', 'ANY', 'NONE' or 'VALIDATED'", err);
    return read_names(config, out, err);
}

mt_rc mt_gemini__read_tools(const struct mt_json *body, struct mt_chat_request *out,
                            struct mt_err *err)
{
    static const char *const known[] = {"functionCallingConfig", "function_calling_config",
                                        NULL};
    const struct mt_json *config = mt_gemini__get(body, "toolConfig");
    const struct mt_json *choice = mt_gemini__get(config, "functionCallingConfig");
    const struct mt_json *item = NULL;
    size_t n = 0;

    MT_TRY(mt_gemini__list(mt_json_get(body, "tools"), "tools", MT_CHAT_TOOLS_MAX, &item, &n,
                           err));
    for (size_t i = 0; i < n; i++, item = mt_json_next(item)) {
        mt_rc rc = read_tool(item, out, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "tools[%zu]", i);
    }
    if (mt_json_type(config) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(config) != MT_JSON_OBJECT)
        return mt_chat__expected(config, "toolConfig", "an object", err);
    if (mt_json_type(choice) > MT_JSON_NULL)
        MT_TRY(read_choice(choice, out, err));
    return mt_chat__extras(config, "toolConfig.", known, out, err);
}

static const char where[] = "generationConfig";

static mt_rc read_sampling(const struct mt_json *config, struct mt_chat_request *out,
                           struct mt_opt_i64 *n, struct mt_opt_i64 *top, struct mt_err *err)
{
    struct mt_chat_sampling *s = &out->sampling;
    const struct {
        const char *key;
        double min, max;
        struct mt_opt_f64 *at;
    } reals[] = {
        {"temperature", 0, 100, &s->temperature},
        {"topP", 0, 1, &s->top_p},
        {"presencePenalty", -100, 100, &s->presence_penalty},
        {"frequencyPenalty", -100, 100, &s->frequency_penalty},
    };
    const struct {
        const char *key;
        int64_t min, max;
        struct mt_opt_i64 *at;
    } integers[] = {
        {"topK", 0, INT32_MAX, &s->top_k},
        {"seed", INT32_MIN, INT32_MAX, &s->seed},
        {"maxOutputTokens", 1, INT32_MAX, &out->max_tokens},
        {"candidateCount", 1, MT_CHAT_CHOICES_MAX, n},
        {"logprobs", 0, MT_CHAT_TOP_LOGPROBS_MAX, top},
    };
    char snake[MT_GEMINI_KEY_MAX];

    for (size_t i = 0; i < MT_ARRAY_LEN(reals); i++)
        MT_TRY(mt_chat__f64(config, where, mt_gemini__spelt(config, reals[i].key, snake),
                            reals[i].min, reals[i].max, reals[i].at, err));
    for (size_t i = 0; i < MT_ARRAY_LEN(integers); i++)
        MT_TRY(mt_chat__i64(config, where, mt_gemini__spelt(config, integers[i].key, snake),
                            integers[i].min, integers[i].max, integers[i].at, err));
    return mt_chat__strs(config, where, mt_gemini__spelt(config, "stopSequences", snake),
                         MT_CHAT_STOPS_MAX, out->arena, s->stop, &s->stop_n, err);
}

static mt_rc read_format(const struct mt_json *config, struct mt_chat_request *out,
                         struct mt_err *err)
{
    const struct mt_json *own = mt_gemini__get(config, "responseSchema");
    const struct mt_json *plain = mt_gemini__get(config, "responseJsonSchema");
    struct mt_str mime = {0};

    MT_TRY(mt_gemini__str(config, where, "responseMimeType", out->arena, &mime, err));
    if (mt_str_is(mime, "application/json"))
        out->format = MT_FORMAT_JSON;
    else if (mime.len > 0 && !mt_str_is(mime, "text/plain"))
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "generationConfig.responseMimeType: '%.*s' cannot be translated",
                       (int)(mime.len < 40 ? mime.len : 40), mime.at);
    if (mt_json_type(plain) == MT_JSON_OBJECT) {
        out->format = MT_FORMAT_SCHEMA;
        out->schema_json = mt_json_raw(plain);
    } else if (mt_json_type(plain) > MT_JSON_NULL) {
        return mt_chat__expected(plain, "generationConfig.responseJsonSchema", "an object",
                                 err);
    } else if (mt_json_type(own) > MT_JSON_NULL) {
        out->format = MT_FORMAT_SCHEMA;
        mt_rc rc = mt_gemini__schema(own, out->arena, &out->schema_json, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "generationConfig.responseSchema");
    }
    return MT_OK;
}

static mt_rc read_level(const struct mt_json *level, struct mt_chat_request *out,
                        struct mt_err *err)
{
    static const struct {
        const char *name;
        enum mt_chat_effort effort;
    } levels[] = {{"MINIMAL", MT_EFFORT_MINIMAL},
                  {"LOW", MT_EFFORT_LOW},
                  {"MEDIUM", MT_EFFORT_MEDIUM},
                  {"HIGH", MT_EFFORT_HIGH},
                  {"THINKING_LEVEL_UNSPECIFIED", MT_EFFORT_UNSAID}};
    struct mt_str name = {0};

    if (mt_json_type(level) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_str(level, out->arena, &name)) {
        for (size_t i = 0; i < MT_ARRAY_LEN(levels); i++) {
            if (mt_str_ieq(name, mt_str_of(levels[i].name))) {
                out->effort = levels[i].effort;
                return MT_OK;
            }
        }
    }
    return mt_chat__expected(level, "generationConfig.thinkingConfig.thinkingLevel",
                             "'MINIMAL', 'LOW', 'MEDIUM' or 'HIGH'", err);
}

static mt_rc read_thinking(const struct mt_json *config, struct mt_chat_request *out,
                           struct mt_err *err)
{
    static const char place[] = "generationConfig.thinkingConfig";
    char snake[MT_GEMINI_KEY_MAX];

    if (mt_json_type(config) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(config) != MT_JSON_OBJECT)
        return mt_chat__expected(config, place, "an object", err);
    MT_TRY(read_level(mt_gemini__get(config, "thinkingLevel"), out, err));
    MT_TRY(mt_chat__opt_bool(config, place, mt_gemini__spelt(config, "includeThoughts", snake),
                             &out->include_reasoning, err));
    MT_TRY(mt_chat__i64(config, place, mt_gemini__spelt(config, "thinkingBudget", snake), -1,
                        INT32_MAX, &out->reasoning_budget, err));
    if (!out->reasoning_budget.has || out->reasoning_budget.value > 0)
        return MT_OK;
    if (out->reasoning_budget.value == 0)
        out->effort = MT_EFFORT_NONE;
    out->reasoning_budget = (struct mt_opt_i64){0}; /* -1: as the model likes */
    return MT_OK;
}

/* Answers of other kinds than text are not translated. */
static mt_rc read_modalities(const struct mt_json *list, struct mt_chat_request *out,
                             struct mt_err *err)
{
    if (mt_json_type(list) <= MT_JSON_NULL)
        return MT_OK;
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item))
        if (!mt_json_is(item, "TEXT"))
            return mt_chat__extra(out, "generationConfig.responseModalities", mt_json_raw(list),
                                  err);
    return MT_OK;
}

static const char *const known_config[] = {"temperature",
                                           "topP",
                                           "top_p",
                                           "presencePenalty",
                                           "presence_penalty",
                                           "frequencyPenalty",
                                           "frequency_penalty",
                                           "topK",
                                           "top_k",
                                           "seed",
                                           "maxOutputTokens",
                                           "max_output_tokens",
                                           "candidateCount",
                                           "candidate_count",
                                           "logprobs",
                                           "stopSequences",
                                           "stop_sequences",
                                           "responseSchema",
                                           "response_schema",
                                           "responseJsonSchema",
                                           "response_json_schema",
                                           "responseMimeType",
                                           "response_mime_type",
                                           "responseLogprobs",
                                           "response_logprobs",
                                           "thinkingConfig",
                                           "thinking_config",
                                           "responseModalities",
                                           "response_modalities",
                                           NULL};

mt_rc mt_gemini__read_config(const struct mt_json *body, struct mt_chat_request *out,
                             struct mt_err *err)
{
    const struct mt_json *config = mt_gemini__get(body, "generationConfig");
    struct mt_opt_i64 n = {0};
    struct mt_opt_i64 top = {0};
    char snake[MT_GEMINI_KEY_MAX];

    if (mt_json_type(config) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(config) != MT_JSON_OBJECT)
        return mt_chat__expected(config, where, "an object", err);
    MT_TRY(read_sampling(config, out, &n, &top, err));
    out->n = n.has ? (unsigned)n.value : 0;
    out->top_logprobs = top.has ? (unsigned)top.value : 0;
    MT_TRY(mt_chat__bool(config, where, mt_gemini__spelt(config, "responseLogprobs", snake),
                         &out->logprobs, err));
    MT_TRY(read_format(config, out, err));
    MT_TRY(read_thinking(mt_gemini__get(config, "thinkingConfig"), out, err));
    MT_TRY(read_modalities(mt_gemini__get(config, "responseModalities"), out, err));
    return mt_chat__extras(config, "generationConfig.", known_config, out, err);
}
