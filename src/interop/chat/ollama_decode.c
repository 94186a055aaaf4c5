/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of an Ollama endpoint: lines of /api/chat and /api/generate, or one whole object.
 *
 * Tool calls come whole. Those without an id get one made of the answer's time stamp, which has
 * nanoseconds, and a number: the same in every replay, and not the same in two answers. */
#include "ollama_priv.h"

struct decoder {
    bool is_out_of_memory;
    bool is_started;
    bool is_over;
    unsigned calls_n;
    uint64_t seed;
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

static mt_rc begin(const struct sink *s, const struct mt_json *object)
{
    if (s->d->is_started)
        return MT_OK;
    s->d->is_started = true;
    s->d->seed = mt_str_hash(mt_json_raw(mt_json_get(object, "created_at")), 0);
    return send(s, &(struct mt_chat_event){.kind = MT_EVENT_START,
                                           .model = text_of(s, object, "model")});
}

static mt_rc send_text(const struct sink *s, enum mt_event_kind kind, struct mt_str text)
{
    if (text.len == 0)
        return MT_OK;
    return send(s, &(struct mt_chat_event){.kind = kind, .text = text});
}

static struct mt_str arguments_of(const struct sink *s, const struct mt_json *function)
{
    const struct mt_json *args = mt_json_get(function, "arguments");
    struct mt_str text = text_of(s, function, "arguments"); /* some proxies send text */

    if (mt_json_type(args) == MT_JSON_OBJECT)
        return mt_json_raw(args);
    return text.len > 0 ? text : MT_STR("{}");
}

static mt_rc send_call(const struct sink *s, const struct mt_json *call)
{
    const struct mt_json *function = mt_json_get(call, "function");
    struct mt_str id = text_of(s, call, "id");
    unsigned tool = s->d->calls_n;

    if (mt_json_type(function) != MT_JSON_OBJECT)
        return MT_FAIL(s->err, MT_E_UPSTREAM, "tool_calls: expected a function object");
    if (id.len == 0)
        id = mt_arena_printf(s->arena, "call_%012llx_%u",
                             (unsigned long long)(s->d->seed & 0xffffffffffff), tool);
    if (id.at == NULL)
        return mt_arena_fail(s->arena, s->err);
    s->d->calls_n++;
    MT_TRY(send(s, &(struct mt_chat_event){.kind = MT_EVENT_TOOL_CALL,
                                           .tool = tool,
                                           .id = id,
                                           .name = text_of(s, function, "name")}));
    return send(s, &(struct mt_chat_event){.kind = MT_EVENT_TOOL_ARGS,
                                           .tool = tool,
                                           .text = arguments_of(s, function)});
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
        (void)mt_json_f64(mt_json_get(item, "logprob"), &logprob);
        tops[out->top_n].token = text_of(s, item, "token");
        tops[out->top_n++].logprob = (float)logprob;
    }
    return MT_OK;
}

static mt_rc read_logprobs(const struct sink *s, const struct mt_json *list,
                           struct mt_chat_event *out)
{
    size_t n = mt_json_count(list);
    struct mt_token_logprob *items = NULL;

    if (n == 0)
        return MT_OK;
    items = mt_arena_get(s->arena, n, sizeof *items);
    if (items == NULL)
        return mt_arena_fail(s->arena, s->err);
    out->logprobs = items;
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item)) {
        struct mt_token_logprob *to = &items[out->logprobs_n++];
        double logprob = 0;
        (void)mt_json_f64(mt_json_get(item, "logprob"), &logprob);
        *to = (struct mt_token_logprob){
            .token = text_of(s, item, "token"), .logprob = (float)logprob, .entropy = -1};
        MT_TRY(read_top(s, mt_json_get(item, "top_logprobs"), to));
    }
    return MT_OK;
}

static mt_rc send_content(const struct sink *s, const struct mt_json *object,
                          struct mt_str content)
{
    struct mt_chat_event event = {.kind = MT_EVENT_TEXT, .text = content};

    MT_TRY(read_logprobs(s, mt_json_get(object, "logprobs"), &event));
    if (content.len == 0 && event.logprobs_n == 0)
        return MT_OK;
    return send(s, &event);
}

static mt_rc send_images(const struct sink *s, const struct mt_json *list)
{
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item)) {
        struct mt_chat_event event = {.kind = MT_EVENT_MEDIA, .mime = MT_STR("image/png")};
        if (mt_json_str(item, s->arena, &event.text))
            MT_TRY(send(s, &event));
    }
    return MT_OK;
}

/* The message of /api/chat; /api/generate has the same members beside the others. */
static mt_rc read_turn(const struct sink *s, const struct mt_json *object)
{
    const struct mt_json *message = mt_json_get(object, "message");
    bool is_chat = mt_json_type(message) == MT_JSON_OBJECT;
    const struct mt_json *turn = is_chat ? message : object;

    MT_TRY(send_text(s, MT_EVENT_REASONING, text_of(s, turn, "thinking")));
    MT_TRY(send_content(s, object, text_of(s, turn, is_chat ? "content" : "response")));
    MT_TRY(send_images(s, mt_json_get(turn, "images")));
    for (const struct mt_json *call = mt_json_first(mt_json_get(turn, "tool_calls"));
         call != NULL; call = mt_json_next(call))
        MT_TRY(send_call(s, call));
    return MT_OK;
}

static int64_t count_of(const struct mt_json *object, const char *key)
{
    int64_t value = 0;

    return mt_json_i64(mt_json_get(object, key), 0, INT64_MAX / 4, &value) ? value : 0;
}

void mt_ollama__read_usage(const struct mt_json *object, struct mt_usage *out)
{
    *out = (struct mt_usage){
        .input_tokens = count_of(object, "prompt_eval_count"),
        .output_tokens = count_of(object, "eval_count"),
        .load_ns = count_of(object, "load_duration"),
        .prompt_ns = count_of(object, "prompt_eval_duration"),
        .eval_ns = count_of(object, "eval_duration"),
    };
}

static enum mt_finish finish_of(const struct mt_json *reason, unsigned calls_n)
{
    static const struct {
        const char *word;
        enum mt_finish finish;
    } words[] = {
        {"length", MT_FINISH_LENGTH},         {"load", MT_FINISH_LOADED},
        {"unload", MT_FINISH_UNLOADED},       {"tool_calls", MT_FINISH_TOOL_CALLS},
        {"content_filter", MT_FINISH_FILTER},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
        if (mt_json_is(reason, words[i].word))
            return words[i].finish;
    return calls_n > 0 ? MT_FINISH_TOOL_CALLS : MT_FINISH_STOP;
}

static mt_rc finish(const struct sink *s, const struct mt_json *object)
{
    struct mt_chat_event event = {.kind = MT_EVENT_FINISH};

    event.finish = finish_of(mt_json_get(object, "done_reason"), s->d->calls_n);
    MT_TRY(send(s, &event));
    event = (struct mt_chat_event){.kind = MT_EVENT_USAGE};
    mt_ollama__read_usage(object, &event.usage);
    MT_TRY(send(s, &event));
    s->d->is_over = true;
    return send(s, &(struct mt_chat_event){.kind = MT_EVENT_END});
}

static mt_rc fail(const struct sink *s, const struct mt_json *object)
{
    struct mt_chat_error error;

    mt_chat__error_of(0, object, s->arena, &error);
    s->d->is_over = true;
    return send(s, &(struct mt_chat_event){.kind = MT_EVENT_ERROR, .error = &error});
}

static mt_rc read_object(const struct sink *s, const struct mt_json *object)
{
    bool is_done = false;

    if (mt_json_type(object) != MT_JSON_OBJECT)
        return MT_FAIL(s->err, MT_E_UPSTREAM, "answer: expected an object, found %s",
                       mt_json_type_name(mt_json_type(object)));
    if (mt_json_type(mt_json_get(object, "error")) > MT_JSON_NULL)
        return fail(s, object);
    MT_TRY(begin(s, object));
    MT_TRY(read_turn(s, object));
    if (s->d->is_out_of_memory)
        return mt_arena_fail(s->arena, s->err);
    (void)mt_json_bool(mt_json_get(object, "done"), &is_done);
    return is_done ? finish(s, object) : MT_OK;
}

mt_rc mt_ollama__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err)
{
    struct decoder *d = mt_arena_get(arena, 1, sizeof *d);

    if (d == NULL)
        return mt_arena_fail(arena, err);
    *state = d;
    return MT_OK;
}

mt_rc mt_ollama__decode_frame(void *state, const struct mt_frame *frame,
                              struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit, void *ctx,
                              struct mt_err *err)
{
    struct sink s = {state, scratch->arena, emit, ctx, err};
    const struct mt_json *root = NULL;

    if (s.d->is_over || mt_str_trim(frame->data).len == 0)
        return MT_OK;
    mt_rc rc = mt_json_parse(scratch->doc, frame->data, &root, err);
    if (rc == MT_E_INVALID)
        return mt_err_wrap(err, MT_E_UPSTREAM, "answer line");
    MT_TRY(rc);
    return read_object(&s, root);
}

mt_rc mt_ollama__decode_end(void *state, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err)
{
    const struct decoder *d = state;

    (void)emit, (void)ctx;
    if (!d->is_over)
        return MT_FAIL(err, MT_E_UPSTREAM, "the answer ended before its last line");
    return MT_OK;
}

mt_rc mt_ollama__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                               mt_chat_emit_fn *emit, void *ctx, struct mt_err *err)
{
    struct decoder d = {0};

    MT_TRY(read_object(&(struct sink){&d, arena, emit, ctx, err}, body));
    if (!d.is_over)
        return MT_FAIL(err, MT_E_UPSTREAM, "answer: expected 'done' to be true");
    return MT_OK;
}
