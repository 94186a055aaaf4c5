/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a Gemini endpoint, chunk by chunk or whole.
 *
 * A stream has no end mark, and some chunks before the last carry a finish reason already: the
 * last one of each candidate counts, and goes out with the usage when the bytes have ended. */
#include "gemini_priv.h"

struct decoder {
    bool is_out_of_memory;
    bool is_started;
    bool has_error;
    uint64_t seed; /* of made-up call ids */
    struct mt_usage usage;
    struct choice {
        bool is_seen;
        bool is_finished;
        enum mt_finish finish;
        unsigned calls_n;
    } choices[MT_CHAT_CHOICES_MAX];
};

/* Where events go. */
struct sink {
    struct decoder *d;
    struct mt_arena *arena; /* for this call only */
    mt_chat_emit_fn *emit;
    void *ctx;
    struct mt_err *err;
};

static mt_rc send(const struct sink *s, const struct mt_chat_event *event)
{
    return s->emit(s->ctx, event, s->err);
}

/* A string that there is no memory to unescape is noticed when the object has been read. */
static struct mt_str text_of(const struct sink *s, const struct mt_json *object,
                             const char *key)
{
    const struct mt_json *value = mt_json_get(object, key);
    struct mt_str text = {0};

    if (mt_json_str(value, s->arena, &text))
        return text;
    if (mt_json_type(value) == MT_JSON_STRING)
        s->d->is_out_of_memory = true;
    return MT_STR("");
}

static int64_t count_of(const struct mt_json *object, const char *key)
{
    int64_t value = 0;

    return mt_json_i64(mt_json_get(object, key), 0, INT64_MAX / 8, &value) ? value : 0;
}

bool mt_gemini__read_usage(const struct mt_json *object, struct mt_usage *out)
{
    const struct mt_json *usage = mt_json_get(object, "usageMetadata");

    if (mt_json_type(usage) != MT_JSON_OBJECT)
        return false;
    *out = (struct mt_usage){
        .input_tokens =
            count_of(usage, "promptTokenCount") + count_of(usage, "toolUsePromptTokenCount"),
        .output_tokens =
            count_of(usage, "candidatesTokenCount") + count_of(usage, "thoughtsTokenCount"),
        .cached_tokens = count_of(usage, "cachedContentTokenCount"),
        .reasoning_tokens = count_of(usage, "thoughtsTokenCount"),
    };
    return true;
}

static mt_rc begin(const struct sink *s, const struct mt_json *object)
{
    struct mt_str id = text_of(s, object, "responseId");

    if (s->d->is_started)
        return MT_OK;
    s->d->is_started = true;
    s->d->seed = mt_str_hash(id, 0);
    return send(s, &(struct mt_chat_event){
                       .kind = MT_EVENT_START,
                       .id = id,
                       .model = text_of(s, object, "modelVersion"),
                       .usage = {.input_tokens = s->d->usage.input_tokens},
                   });
}

static mt_rc send_call(const struct sink *s, unsigned index, const struct mt_json *call,
                       struct mt_str signature)
{
    struct choice *choice = &s->d->choices[index];
    const struct mt_json *args = mt_json_get(call, "args");
    struct mt_str id = text_of(s, call, "id");
    unsigned tool = choice->calls_n;

    if (id.len == 0)
        id = mt_arena_printf(s->arena, "call_%012llx_%u_%u",
                             (unsigned long long)(s->d->seed & 0xffffffffffff), index, tool);
    if (id.at == NULL)
        return mt_arena_fail(s->arena, s->err);
    choice->calls_n++;
    MT_TRY(send(s, &(struct mt_chat_event){.kind = MT_EVENT_TOOL_CALL,
                                           .choice = index,
                                           .tool = tool,
                                           .id = id,
                                           .name = text_of(s, call, "name"),
                                           .signature = signature}));
    return send(s, &(struct mt_chat_event){.kind = MT_EVENT_TOOL_ARGS,
                                           .choice = index,
                                           .tool = tool,
                                           .text = mt_json_type(args) == MT_JSON_OBJECT
                                                       ? mt_json_raw(args)
                                                       : MT_STR("{}")});
}

static mt_rc send_thought(const struct sink *s, unsigned index, struct mt_str text,
                          struct mt_str signature)
{
    if (text.len > 0)
        MT_TRY(send(s, &(struct mt_chat_event){
                           .kind = MT_EVENT_REASONING, .choice = index, .text = text}));
    if (signature.len == 0)
        return MT_OK;
    return send(s, &(struct mt_chat_event){
                       .kind = MT_EVENT_SIGNATURE, .choice = index, .signature = signature});
}

static mt_rc send_media(const struct sink *s, unsigned index, const struct mt_json *blob)
{
    return send(s, &(struct mt_chat_event){.kind = MT_EVENT_MEDIA,
                                           .choice = index,
                                           .mime = text_of(s, blob, "mimeType"),
                                           .text = text_of(s, blob, "data")});
}

/* Parts of kinds we did not ask for are passed over. *text is what the part says. */
static mt_rc read_part(const struct sink *s, unsigned index, const struct mt_json *part,
                       struct mt_str *text)
{
    const struct mt_json *call = mt_json_get(part, "functionCall");
    const struct mt_json *blob = mt_json_get(part, "inlineData");
    struct mt_str signature =
        mt_chat__signature_in(MT_GEMINI_MAKER, text_of(s, part, "thoughtSignature"), s->arena);
    bool is_thought = false;

    if (signature.at == NULL)
        return mt_arena_fail(s->arena, s->err);
    (void)mt_json_bool(mt_json_get(part, "thought"), &is_thought);
    if (mt_json_type(call) == MT_JSON_OBJECT)
        return send_call(s, index, call, signature);
    if (mt_json_type(blob) == MT_JSON_OBJECT)
        return send_media(s, index, blob);
    if (is_thought)
        return send_thought(s, index, text_of(s, part, "text"), signature);
    *text = text_of(s, part, "text");
    return MT_OK;
}

static mt_rc read_top(const struct sink *s, const struct mt_json *list,
                      struct mt_token_logprob *out)
{
    size_t n = mt_json_count(list);
    struct mt_token_top *tops = n > 0 ? mt_arena_get(s->arena, n, sizeof *tops) : NULL;

    if (n > 0 && tops == NULL)
        return mt_arena_fail(s->arena, s->err);
    out->top = tops;
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item)) {
        double logprob = 0;
        (void)mt_json_f64(mt_json_get(item, "logProbability"), &logprob);
        tops[out->top_n].token = text_of(s, item, "token");
        tops[out->top_n++].logprob = (float)logprob;
    }
    return MT_OK;
}

/* Both lists go step by step; the one of the top candidates may be shorter. */
static mt_rc read_logprobs(const struct sink *s, const struct mt_json *result,
                           struct mt_chat_event *out)
{
    const struct mt_json *chosen = mt_json_get(result, "chosenCandidates");
    const struct mt_json *top = mt_json_first(mt_json_get(result, "topCandidates"));
    size_t n = mt_json_count(chosen);
    struct mt_token_logprob *items = n > 0 ? mt_arena_get(s->arena, n, sizeof *items) : NULL;

    if (n > 0 && items == NULL)
        return mt_arena_fail(s->arena, s->err);
    out->logprobs = items;
    for (const struct mt_json *item = mt_json_first(chosen); item != NULL;
         item = mt_json_next(item), top = mt_json_next(top)) {
        struct mt_token_logprob *to = &items[out->logprobs_n++];
        double logprob = 0;
        (void)mt_json_f64(mt_json_get(item, "logProbability"), &logprob);
        *to = (struct mt_token_logprob){
            .token = text_of(s, item, "token"), .logprob = (float)logprob, .entropy = -1};
        MT_TRY(read_top(s, mt_json_get(top, "candidates"), to));
    }
    return MT_OK;
}

static mt_rc read_parts(const struct sink *s, unsigned index, const struct mt_json *candidate)
{
    const struct mt_json *parts = mt_json_get(mt_json_get(candidate, "content"), "parts");
    struct mt_chat_event event = {.kind = MT_EVENT_TEXT, .choice = index};

    MT_TRY(read_logprobs(s, mt_json_get(candidate, "logprobsResult"), &event));
    for (const struct mt_json *part = mt_json_first(parts); part != NULL;
         part = mt_json_next(part)) {
        event.text = MT_STR("");
        MT_TRY(read_part(s, index, part, &event.text));
        if (event.text.len == 0)
            continue;
        MT_TRY(send(s, &event));
        event.logprobs_n = 0; /* once */
    }
    if (event.logprobs_n == 0)
        return MT_OK;
    event.text = MT_STR("");
    return send(s, &event);
}

static mt_rc read_candidate(const struct sink *s, const struct mt_json *candidate)
{
    const struct mt_json *reason = mt_json_get(candidate, "finishReason");
    const struct mt_json *place = mt_json_get(candidate, "index");
    int64_t index = 0;

    if (mt_json_type(candidate) != MT_JSON_OBJECT ||
        (place != NULL && !mt_json_i64(place, 0, MT_CHAT_CHOICES_MAX - 1, &index)))
        return MT_FAIL(s->err, MT_E_UPSTREAM,
                       "candidates: expected objects with an index below %d",
                       MT_CHAT_CHOICES_MAX);
    struct choice *choice = &s->d->choices[index];
    choice->is_seen = true;
    MT_TRY(read_parts(s, (unsigned)index, candidate));
    if (mt_json_type(reason) == MT_JSON_STRING &&
        !mt_json_is(reason, "FINISH_REASON_UNSPECIFIED")) {
        choice->is_finished = true;
        choice->finish = mt_gemini__finish_of(reason, choice->calls_n > 0);
    }
    return MT_OK;
}

/* A prompt that was blocked gets no candidate at all. */
static void read_feedback(struct decoder *d, const struct mt_json *object)
{
    const struct mt_json *reason =
        mt_json_get(mt_json_get(object, "promptFeedback"), "blockReason");

    if (mt_json_type(reason) != MT_JSON_STRING || d->choices[0].is_seen)
        return;
    d->choices[0] = (struct choice){true, true, MT_FINISH_FILTER, 0};
}

static mt_rc fail(const struct sink *s, const struct mt_json *value)
{
    struct mt_chat_error error;

    mt_gemini__error_of(0, value, s->arena, &error);
    s->d->has_error = true;
    return send(s, &(struct mt_chat_event){.kind = MT_EVENT_ERROR, .error = &error});
}

static mt_rc read_object(const struct sink *s, const struct mt_json *value)
{
    const struct mt_json *object =
        mt_json_type(value) == MT_JSON_ARRAY ? mt_json_first(value) : value;

    if (mt_json_type(object) != MT_JSON_OBJECT)
        return MT_FAIL(s->err, MT_E_UPSTREAM, "answer: expected an object, found %s",
                       mt_json_type_name(mt_json_type(object)));
    if (mt_json_type(mt_json_get(object, "error")) > MT_JSON_NULL)
        return fail(s, object);
    (void)mt_gemini__read_usage(object, &s->d->usage);
    MT_TRY(begin(s, object));
    for (const struct mt_json *candidate = mt_json_first(mt_json_get(object, "candidates"));
         candidate != NULL; candidate = mt_json_next(candidate))
        MT_TRY(read_candidate(s, candidate));
    read_feedback(s->d, object);
    return s->d->is_out_of_memory ? mt_arena_fail(s->arena, s->err) : MT_OK;
}

static mt_rc end(const struct sink *s)
{
    const struct decoder *d = s->d;
    size_t finished = 0;

    for (unsigned i = 0; i < MT_CHAT_CHOICES_MAX; i++) {
        if (d->choices[i].is_seen && !d->choices[i].is_finished)
            return MT_FAIL(s->err, MT_E_UPSTREAM,
                           "the answer ended before the finish reason of candidate %u", i);
        finished += d->choices[i].is_finished;
    }
    if (finished == 0)
        return MT_FAIL(s->err, MT_E_UPSTREAM, "the answer ended without a candidate");
    for (unsigned i = 0; i < MT_CHAT_CHOICES_MAX; i++)
        if (d->choices[i].is_finished)
            MT_TRY(send(s, &(struct mt_chat_event){.kind = MT_EVENT_FINISH,
                                                   .choice = i,
                                                   .finish = d->choices[i].finish}));
    MT_TRY(send(s, &(struct mt_chat_event){.kind = MT_EVENT_USAGE, .usage = d->usage}));
    return send(s, &(struct mt_chat_event){.kind = MT_EVENT_END});
}

mt_rc mt_gemini__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err)
{
    struct decoder *d = mt_arena_get(arena, 1, sizeof *d);

    if (d == NULL)
        return mt_arena_fail(arena, err);
    *state = d;
    return MT_OK;
}

mt_rc mt_gemini__decode_frame(void *state, const struct mt_frame *frame,
                              struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit, void *ctx,
                              struct mt_err *err)
{
    struct sink s = {state, scratch->arena, emit, ctx, err};
    const struct mt_json *root = NULL;

    if (s.d->has_error || mt_str_trim(frame->data).len == 0)
        return MT_OK;
    mt_rc rc = mt_json_parse(scratch->doc, frame->data, &root, err);
    if (rc == MT_E_INVALID)
        return mt_err_wrap(err, MT_E_UPSTREAM, "answer chunk");
    MT_TRY(rc);
    return read_object(&s, root);
}

mt_rc mt_gemini__decode_end(void *state, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err)
{
    struct sink s = {state, NULL, emit, ctx, err};

    return s.d->has_error ? MT_OK : end(&s);
}

mt_rc mt_gemini__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                               mt_chat_emit_fn *emit, void *ctx, struct mt_err *err)
{
    struct decoder d = {0};
    struct sink s = {&d, arena, emit, ctx, err};

    MT_TRY(read_object(&s, body));
    return d.has_error ? MT_OK : end(&s);
}
