/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that chat and completions have in common, in both directions. */
#include "openai_priv.h"

static mt_rc read_sampling(const struct mt_json *body, struct mt_chat_request *out,
                           struct mt_err *err)
{
    struct mt_chat_sampling *s = &out->sampling;
    const struct {
        const char *key;
        double min, max;
        struct mt_opt_f64 *to;
    } numbers[] = {
        {"temperature", 0, 2, &s->temperature},
        {"top_p", 0, 1, &s->top_p},
        {"min_p", 0, 1, &s->min_p},
        {"typical_p", 0, 1, &s->typical_p},
        {"frequency_penalty", -2, 2, &s->frequency_penalty},
        {"presence_penalty", -2, 2, &s->presence_penalty},
        {"repeat_penalty", 0, 100, &s->repeat_penalty},     /* llama-server */
        {"repetition_penalty", 0, 100, &s->repeat_penalty}, /* vLLM and most others */
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(numbers); i++)
        MT_TRY(mt_chat__f64(body, "", numbers[i].key, numbers[i].min, numbers[i].max,
                            numbers[i].to, err));
    MT_TRY(mt_chat__i64(body, "", "top_k", -1, 1 << 30, &s->top_k, err));
    MT_TRY(mt_chat__i64(body, "", "repeat_last_n", -1, 1 << 30, &s->repeat_last_n, err));
    MT_TRY(mt_chat__i64(body, "", "seed", INT64_MIN, INT64_MAX, &s->seed, err));
    MT_TRY(mt_chat__strs(body, "", "stop", MT_CHAT_STOPS_MAX, out->arena, s->stop, &s->stop_n,
                         err));
    return mt_chat__raw(body, "", "logit_bias", MT_JSON_OBJECT, &s->logit_bias_json, err);
}

static mt_rc read_stream(const struct mt_json *body, struct mt_chat_request *out,
                         struct mt_err *err)
{
    static const char *const known[] = {"include_usage", NULL};
    const struct mt_json *options = NULL;

    MT_TRY(mt_chat__bool(body, "", "stream", &out->stream, err));
    MT_TRY(mt_chat__member(body, "", "stream_options", MT_JSON_OBJECT, &options, err));
    MT_TRY(mt_chat__bool(options, "stream_options", "include_usage", &out->stream_usage, err));
    return mt_chat__extras_once(options, "stream_options.", known, out, err);
}

mt_rc mt_openai__read_max_tokens(const struct mt_json *body, const char *key, int64_t min,
                                 struct mt_opt_i64 *out, struct mt_err *err)
{
    int64_t value;

    if (mt_json_i64(mt_json_get(body, key), -1, -1, &value))
        return MT_OK;
    return mt_chat__i64(body, "", key, min, INT32_MAX, out, err);
}

mt_rc mt_openai__read_shared(const struct mt_json *body, struct mt_chat_request *out,
                             struct mt_err *err)
{
    struct mt_opt_i64 n = {0};

    MT_TRY(mt_chat__str(body, "", "model", out->arena, &out->model, err));
    MT_TRY(read_sampling(body, out, err));
    MT_TRY(read_stream(body, out, err));
    MT_TRY(mt_chat__i64(body, "", "n", 1, MT_CHAT_CHOICES_MAX, &n, err));
    out->n = (unsigned)n.value;
    MT_TRY(mt_chat__str(body, "", "user", out->arena, &out->user, err));
    MT_TRY(mt_chat__raw(body, "", "metadata", MT_JSON_OBJECT, &out->metadata_json, err));
    MT_TRY(mt_chat__str(body, "", "service_tier", out->arena, &out->service_tier, err));
    return mt_chat__raw(body, "", "motet", MT_JSON_OBJECT, &out->motet_json, err);
}

bool mt_openai__is_own(const struct mt_chat_request *request)
{
    return request->dialect == MT_DIALECT_OPENAI_CHAT ||
           request->dialect == MT_DIALECT_OPENAI_COMPLETIONS;
}

static void put_f64(struct mt_jw *w, const char *key, struct mt_opt_f64 number)
{
    if (number.has)
        mt_jw_kf64(w, key, number.value);
}

static void put_i64(struct mt_jw *w, const char *key, struct mt_opt_i64 number)
{
    if (number.has)
        mt_jw_ki64(w, key, number.value);
}

/* OpenAI itself refuses these; its relatives take them. Whoever sent them in OpenAI's dialect
 * meant them, all others are told. */
static void write_relatives(struct mt_jw *w, const struct mt_chat_request *request,
                            struct mt_chat_notes *notes)
{
    const struct mt_chat_sampling *s = &request->sampling;
    const struct {
        const char *key;
        bool is_said;
    } rows[] = {
        {"top_k", s->top_k.has},
        {"min_p", s->min_p.has},
        {"typical_p", s->typical_p.has},
        {"repeat_penalty", s->repeat_penalty.has},
        {"repeat_last_n", s->repeat_last_n.has},
    };

    if (!mt_openai__is_own(request)) {
        for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
            if (rows[i].is_said)
                mt_chat_note(notes, "%s: not carried to openai", rows[i].key);
        }
        return;
    }
    put_i64(w, "top_k", s->top_k);
    put_f64(w, "min_p", s->min_p);
    put_f64(w, "typical_p", s->typical_p);
    put_f64(w, "repeat_penalty", s->repeat_penalty);
    put_f64(w, "repetition_penalty", s->repeat_penalty);
    put_i64(w, "repeat_last_n", s->repeat_last_n);
}

/* Fields that only OpenAI gives this meaning. */
static void write_account(struct mt_jw *w, const struct mt_chat_request *request,
                          struct mt_chat_notes *notes)
{
    bool is_family =
        mt_openai__is_own(request) || request->dialect == MT_DIALECT_OPENAI_RESPONSES;

    if (request->user.len > 0)
        mt_jw_kstr(w, "user", request->user);
    if (request->metadata_json.len > 0 && is_family)
        mt_jw_kraw(w, "metadata", request->metadata_json);
    else if (request->metadata_json.len > 0)
        mt_chat_note(notes, "metadata: not carried to openai");
    if (request->service_tier.len > 0 && is_family)
        mt_jw_kstr(w, "service_tier", request->service_tier);
    else if (request->service_tier.len > 0)
        mt_chat_note(notes, "service_tier: not carried to openai");
    if (request->keep_alive_s.has)
        mt_chat_note(notes, "keep_alive: not carried to openai");
}

void mt_openai__write_shared(struct mt_jw *w, const struct mt_chat_request *request,
                             struct mt_str model, struct mt_chat_notes *notes)
{
    const struct mt_chat_sampling *s = &request->sampling;

    mt_jw_kstr(w, "model", model);
    if (request->stream) {
        mt_jw_kbool(w, "stream", true);
        mt_jw_kraw(w, "stream_options", MT_STR("{\"include_usage\":true}"));
    }
    put_f64(w, "temperature", s->temperature);
    put_f64(w, "top_p", s->top_p);
    put_f64(w, "frequency_penalty", s->frequency_penalty);
    put_f64(w, "presence_penalty", s->presence_penalty);
    put_i64(w, "seed", s->seed);
    if (s->logit_bias_json.len > 0)
        mt_jw_kraw(w, "logit_bias", s->logit_bias_json);
    if (s->stop_n > 0) {
        mt_jw_key(w, "stop");
        mt_jw_array(w);
        for (size_t i = 0; i < s->stop_n; i++)
            mt_jw_str(w, s->stop[i]);
        mt_jw_end(w);
    }
    if (request->n > 1)
        mt_jw_ki64(w, "n", request->n);
    write_relatives(w, request, notes);
    write_account(w, request, notes);
}
