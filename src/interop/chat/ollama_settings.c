/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of an Ollama request: options, think, format, keep_alive. */
#include <string.h>

#include "ollama_priv.h"

static const char *const known_options[] = {"temperature",
                                            "top_k",
                                            "top_p",
                                            "min_p",
                                            "typical_p",
                                            "seed",
                                            "stop",
                                            "num_predict",
                                            "repeat_penalty",
                                            "repeat_last_n",
                                            "presence_penalty",
                                            "frequency_penalty",
                                            NULL};

/* One "1h", "2.5m", "300ms" off the front of a Go duration. */
static bool take_span(struct mt_str *text, double *seconds)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"us", 1e-6}, {"\xc2\xb5s", 1e-6}, {"ns", 1e-9}, {"h", 3600},
                 {"m", 60},    {"s", 1}};
    size_t digits = 0;
    double value = 0;

    while (digits < text->len &&
           ((text->at[digits] >= '0' && text->at[digits] <= '9') || text->at[digits] == '.'))
        digits++;
    if (digits == 0 || !mt_str_to_f64(mt_str_sub(*text, 0, digits), &value))
        return false;
    struct mt_str rest = mt_str_sub(*text, digits, text->len);
    for (size_t i = 0; i < MT_ARRAY_LEN(units); i++) {
        struct mt_str unit = mt_str_of(units[i].unit);
        if (!mt_str_starts(rest, unit))
            continue;
        *seconds += value * units[i].seconds;
        *text = mt_str_sub(rest, unit.len, rest.len);
        return true;
    }
    return false;
}

/* Go's time.ParseDuration, and plain numbers of seconds. */
static bool duration(struct mt_str text, double *out)
{
    struct mt_str rest = mt_str_trim(text);
    bool is_negative = rest.len > 0 && rest.at[0] == '-';
    double seconds = 0;

    if (mt_str_to_f64(rest, out))
        return true;
    if (rest.len > 0 && (rest.at[0] == '-' || rest.at[0] == '+'))
        rest = mt_str_sub(rest, 1, rest.len);
    if (rest.len == 0)
        return false;
    while (rest.len > 0)
        if (!take_span(&rest, &seconds))
            return false;
    *out = is_negative ? -seconds : seconds;
    return true;
}

static int64_t whole_seconds(double seconds)
{
    if (seconds < 0)
        return -1;
    if (seconds > 0 && seconds < 1)
        return 1; /* 0 would unload */
    return seconds >= (double)INT32_MAX ? INT32_MAX : (int64_t)seconds;
}

mt_rc mt_ollama__read_keep_alive(const struct mt_json *body, struct mt_opt_i64 *out,
                                 struct mt_err *err)
{
    const struct mt_json *value = mt_json_get(body, "keep_alive");
    char small[64];
    struct mt_str raw = mt_json_raw(value);
    double seconds = 0;

    if (mt_json_type(value) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_f64(value, &seconds)) {
        *out = (struct mt_opt_i64){true, whole_seconds(seconds)};
        return MT_OK;
    }
    if (mt_json_type(value) != MT_JSON_STRING)
        return mt_chat__expected(value, "keep_alive", "a duration", err);
    if (raw.len >= sizeof small || !duration(mt_str_sub(raw, 1, raw.len - 1), &seconds))
        return MT_FAIL(err, MT_E_INVALID,
                       "keep_alive: expected a duration like '5m', found %.*s",
                       (int)(raw.len < 40 ? raw.len : 40), raw.at);
    *out = (struct mt_opt_i64){true, whole_seconds(seconds)};
    return MT_OK;
}

static mt_rc read_sampling(const struct mt_json *options, struct mt_chat_request *out,
                           struct mt_err *err)
{
    struct mt_chat_sampling *s = &out->sampling;
    const struct {
        const char *key;
        double min, max;
        struct mt_opt_f64 *at;
    } reals[] = {
        {"temperature", 0, 100, &s->temperature},
        {"top_p", 0, 1, &s->top_p},
        {"min_p", 0, 1, &s->min_p},
        {"typical_p", 0, 1, &s->typical_p},
        {"repeat_penalty", 0, 100, &s->repeat_penalty},
        {"presence_penalty", -100, 100, &s->presence_penalty},
        {"frequency_penalty", -100, 100, &s->frequency_penalty},
    };
    const struct {
        const char *key;
        int64_t min, max;
        struct mt_opt_i64 *at;
    } integers[] = {
        {"top_k", -1, INT32_MAX, &s->top_k},
        {"seed", INT64_MIN, INT64_MAX, &s->seed},
        {"repeat_last_n", -1, INT32_MAX, &s->repeat_last_n},
        {"num_predict", INT32_MIN, INT32_MAX, &out->max_tokens},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(reals); i++)
        MT_TRY(mt_chat__f64(options, "options", reals[i].key, reals[i].min, reals[i].max,
                            reals[i].at, err));
    for (size_t i = 0; i < MT_ARRAY_LEN(integers); i++)
        MT_TRY(mt_chat__i64(options, "options", integers[i].key, integers[i].min,
                            integers[i].max, integers[i].at, err));
    if (s->top_k.has && s->top_k.value < 0)
        s->top_k.value = 0; /* both mean: all tokens */
    if (out->max_tokens.has && out->max_tokens.value <= 0)
        out->max_tokens = (struct mt_opt_i64){0}; /* -1, -2: as long as it takes */
    return mt_chat__strs(options, "options", "stop", MT_CHAT_STOPS_MAX, out->arena, s->stop,
                         &s->stop_n, err);
}

static mt_rc read_options(const struct mt_json *options, struct mt_chat_request *out,
                          struct mt_err *err)
{
    if (mt_json_type(options) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(options) != MT_JSON_OBJECT)
        return mt_chat__expected(options, "options", "an object", err);
    MT_TRY(read_sampling(options, out, err));
    return mt_chat__extras(options, "options.", known_options, out, err);
}

static mt_rc read_format(const struct mt_json *format, struct mt_chat_request *out,
                         struct mt_err *err)
{
    if (mt_json_type(format) <= MT_JSON_NULL || mt_json_is(format, ""))
        return MT_OK;
    if (mt_json_is(format, "json")) {
        out->format = MT_FORMAT_JSON;
        return MT_OK;
    }
    if (mt_json_type(format) != MT_JSON_OBJECT)
        return mt_chat__expected(format, "format", "'json' or a schema object", err);
    out->format = MT_FORMAT_SCHEMA;
    out->schema_json = mt_json_raw(format);
    return MT_OK;
}

/* false: no thinking; true: thinking as the model likes; a word: that effort. */
static mt_rc read_think(const struct mt_json *think, struct mt_chat_request *out,
                        struct mt_err *err)
{
    struct mt_str level = {0};
    bool on = false;

    if (mt_json_type(think) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_bool(think, &on)) {
        out->include_reasoning = on ? MT_YES : MT_NO;
        out->effort = on ? MT_EFFORT_UNSAID : MT_EFFORT_NONE;
        return MT_OK;
    }
    if (mt_json_str(think, out->arena, &level))
        out->effort = mt_str_is(level, "max") ? MT_EFFORT_XHIGH : mt_chat__effort_of(level);
    if (out->effort == MT_EFFORT_UNSAID)
        return mt_chat__expected(think, "think", "true, false, 'low', 'medium' or 'high'", err);
    out->include_reasoning = out->effort == MT_EFFORT_NONE ? MT_NO : MT_YES;
    return MT_OK;
}

mt_rc mt_ollama__read_settings(const struct mt_json *body, struct mt_chat_request *out,
                               struct mt_err *err)
{
    struct mt_opt_i64 top = {0};

    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    out->stream = true;
    MT_TRY(mt_chat__str(body, "", "model", out->arena, &out->model, err));
    MT_TRY(mt_chat__bool(body, "", "stream", &out->stream, err));
    MT_TRY(read_format(mt_json_get(body, "format"), out, err));
    MT_TRY(read_think(mt_json_get(body, "think"), out, err));
    MT_TRY(mt_ollama__read_keep_alive(body, &out->keep_alive_s, err));
    MT_TRY(mt_chat__bool(body, "", "logprobs", &out->logprobs, err));
    MT_TRY(mt_chat__i64(body, "", "top_logprobs", 0, MT_CHAT_TOP_LOGPROBS_MAX, &top, err));
    out->top_logprobs = top.has ? (unsigned)top.value : 0;
    return read_options(mt_json_get(body, "options"), out, err);
}

/* Is it Ollama's own request, whose extras mean something to Ollama? */
static bool is_native(const struct mt_chat_request *request)
{
    return request->dialect == MT_DIALECT_OLLAMA_CHAT ||
           request->dialect == MT_DIALECT_OLLAMA_GENERATE;
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

static void write_sampling(const struct mt_chat_request *request, struct mt_jw *w)
{
    const struct mt_chat_sampling *s = &request->sampling;

    write_f64(w, "temperature", s->temperature);
    write_i64(w, "top_k", s->top_k);
    write_f64(w, "top_p", s->top_p);
    write_f64(w, "min_p", s->min_p);
    write_f64(w, "typical_p", s->typical_p);
    write_i64(w, "seed", s->seed);
    write_i64(w, "num_predict", request->max_tokens);
    write_f64(w, "repeat_penalty", s->repeat_penalty);
    write_i64(w, "repeat_last_n", s->repeat_last_n);
    write_f64(w, "presence_penalty", s->presence_penalty);
    write_f64(w, "frequency_penalty", s->frequency_penalty);
    if (s->stop_n == 0)
        return;
    mt_jw_key(w, "stop");
    mt_jw_array(w);
    for (size_t i = 0; i < s->stop_n; i++)
        mt_jw_str(w, s->stop[i]);
    mt_jw_end(w);
}

static void write_options(const struct mt_chat_request *request, struct mt_jw *w)
{
    mt_jw_key(w, "options");
    mt_jw_object(w);
    write_sampling(request, w);
    if (is_native(request))
        mt_chat__write_extras_under(request, "options.", w);
    mt_jw_end(w);
}

/* Ollama knows low, medium and high; its neighbours are noted. */
static void write_think(const struct mt_chat_request *request, struct mt_jw *w,
                        struct mt_chat_notes *notes)
{
    static const struct {
        const char *word;
        bool is_near;
    } think[] = {
        [MT_EFFORT_MINIMAL] = {"low", true},    [MT_EFFORT_LOW] = {"low", false},
        [MT_EFFORT_MEDIUM] = {"medium", false}, [MT_EFFORT_HIGH] = {"high", false},
        [MT_EFFORT_XHIGH] = {"high", true},
    };
    enum mt_chat_effort effort = request->effort;

    if (effort == MT_EFFORT_UNSAID && request->reasoning_budget.has) {
        effort = mt_chat__budget_effort(request->reasoning_budget.value);
        mt_chat_note(notes, "reasoning budget: ollama takes an effort; the nearest was sent");
    }
    if (effort == MT_EFFORT_NONE) {
        mt_jw_kbool(w, "think", false);
    } else if (effort != MT_EFFORT_UNSAID) {
        mt_jw_kcstr(w, "think", think[effort].word);
        if (think[effort].is_near)
            mt_chat_note(notes, "effort: ollama has no '%s'; '%s' was sent",
                         mt_chat__effort_name(effort), think[effort].word);
    } else if (request->include_reasoning == MT_YES) {
        mt_jw_kbool(w, "think", true);
    }
}

void mt_ollama__write_settings(const struct mt_chat_request *request, struct mt_jw *w,
                               struct mt_chat_notes *notes)
{
    mt_jw_kbool(w, "stream", request->stream);
    if (request->format == MT_FORMAT_JSON)
        mt_jw_kcstr(w, "format", "json");
    else if (request->format == MT_FORMAT_SCHEMA)
        mt_jw_kraw(w, "format", request->schema_json);
    write_think(request, w, notes);
    write_i64(w, "keep_alive", request->keep_alive_s);
    if (request->logprobs) {
        mt_jw_kbool(w, "logprobs", true);
        if (request->top_logprobs > 0)
            mt_jw_ki64(w, "top_logprobs", request->top_logprobs);
    }
    write_options(request, w);
    mt_chat__write_extras(request,
                          is_native(request) ? request->dialect : MT_DIALECT_OLLAMA_CHAT,
                          "ollama", w, notes);
}
