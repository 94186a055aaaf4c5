/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an endpoint's answer: a stream's events, or a whole response. Output items of kinds
 * that the canonical model lacks (what hosted tools did) are passed over. Some endpoints leave
 * deltas out: what an item says when it is done fills in what was not said before. */
#include "responses_priv.h"
#include "signature.h"

enum item_kind { ITEM_OTHER, ITEM_MESSAGE, ITEM_REASONING, ITEM_CALL, ITEM_IMAGE };

struct item {
    enum item_kind kind;
    unsigned tool;
    bool has_text; /* something of its text, thoughts or arguments was emitted */
    bool is_done;
    int64_t part; /* reasoning: index of the summary part that speaks */
    bool is_raw;  /* reasoning: reasoning_text speaks, its summary would repeat it */
};

struct decoder {
    struct mt_arena *arena;
    struct item *items; /* by output_index */
    size_t items_n;
    unsigned tools_n;
    bool has_refusal, is_started, is_ended;
};

/* One call: where events go, and memory that dies with it. */
struct turn {
    struct decoder *d;
    struct mt_arena *arena;
    mt_chat_emit_fn *emit;
    void *ctx;
};

static mt_rc emit(const struct turn *t, const struct mt_chat_event *event, struct mt_err *err)
{
    return t->emit(t->ctx, event, err);
}

static struct mt_str text_of(const struct turn *t, const struct mt_json *object,
                             const char *key)
{
    struct mt_str text = {NULL, 0};

    (void)mt_json_str(mt_json_get(object, key), t->arena, &text);
    return text;
}

static int64_t count_of(const struct mt_json *object, const char *key)
{
    int64_t n = 0;

    return mt_json_i64(mt_json_get(object, key), 0, INT64_MAX / 8, &n) ? n : 0;
}

bool mt_responses__read_usage(const struct mt_json *response, struct mt_usage *out)
{
    const struct mt_json *usage = mt_json_get(response, "usage");

    if (mt_json_type(usage) != MT_JSON_OBJECT)
        return false;
    *out = (struct mt_usage){
        .input_tokens = count_of(usage, "input_tokens"),
        .output_tokens = count_of(usage, "output_tokens"),
        .cached_tokens = count_of(mt_json_get(usage, "input_tokens_details"), "cached_tokens"),
        .reasoning_tokens =
            count_of(mt_json_get(usage, "output_tokens_details"), "reasoning_tokens"),
    };
    return true;
}

static mt_rc emit_text(const struct turn *t, enum mt_event_kind kind, struct item *item,
                       struct mt_str text, struct mt_err *err)
{
    struct mt_chat_event event = {.kind = kind, .tool = item->tool, .text = text};

    if (text.len == 0)
        return MT_OK;
    item->has_text = true;
    if (kind == MT_EVENT_REFUSAL)
        t->d->has_refusal = true;
    return emit(t, &event, err);
}

static mt_rc begin(const struct turn *t, const struct mt_json *response, struct mt_err *err)
{
    struct mt_chat_event event = {.kind = MT_EVENT_START};

    if (t->d->is_started)
        return MT_OK;
    t->d->is_started = true;
    event.id = text_of(t, response, "id");
    event.model = text_of(t, response, "model");
    (void)mt_responses__read_usage(response, &event.usage);
    return emit(t, &event, err);
}

static mt_rc begin_call(const struct turn *t, const struct mt_json *json, struct item *item,
                        struct mt_err *err)
{
    struct mt_chat_event event = {.kind = MT_EVENT_TOOL_CALL};

    item->tool = t->d->tools_n++;
    event.tool = item->tool;
    event.id = text_of(t, json, "call_id");
    event.name = text_of(t, json, "name");
    if (event.name.len == 0)
        return MT_FAIL(err, MT_E_UPSTREAM, "answer: a function_call without a name");
    return emit(t, &event, err);
}

static mt_rc begin_item(const struct turn *t, const struct mt_json *json, struct item *item,
                        struct mt_err *err)
{
    static const struct {
        const char *type;
        enum item_kind kind;
    } kinds[] = {{"message", ITEM_MESSAGE},
                 {"reasoning", ITEM_REASONING},
                 {"function_call", ITEM_CALL},
                 {"image_generation_call", ITEM_IMAGE}};

    for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++)
        if (mt_json_is(mt_json_get(json, "type"), kinds[i].type))
            item->kind = kinds[i].kind;
    return item->kind == ITEM_CALL ? begin_call(t, json, item, err) : MT_OK;
}

static mt_rc fill_message(const struct turn *t, const struct mt_json *json, struct item *item,
                          struct mt_err *err)
{
    if (item->has_text)
        return MT_OK;
    for (const struct mt_json *c = mt_json_first(mt_json_get(json, "content")); c != NULL;
         c = mt_json_next(c)) {
        struct mt_chat_event event = {.kind = MT_EVENT_TEXT, .text = text_of(t, c, "text")};

        MT_TRY(emit_text(t, MT_EVENT_REFUSAL, item, text_of(t, c, "refusal"), err));
        mt_responses__read_logprobs(mt_json_get(c, "logprobs"), t->arena, &event.logprobs,
                                    &event.logprobs_n);
        if (event.text.len > 0)
            MT_TRY(emit(t, &event, err));
    }
    return MT_OK;
}

static mt_rc fill_thoughts(const struct turn *t, const struct mt_json *json, struct item *item,
                           struct mt_err *err)
{
    const struct mt_json *list = mt_json_get(json, "content");
    bool is_first = true;

    if (item->has_text)
        return MT_OK;
    if (mt_json_count(list) == 0)
        list = mt_json_get(json, "summary");
    for (const struct mt_json *s = mt_json_first(list); s != NULL; s = mt_json_next(s)) {
        if (!is_first)
            MT_TRY(emit_text(t, MT_EVENT_REASONING, item, MT_STR("\n\n"), err));
        MT_TRY(emit_text(t, MT_EVENT_REASONING, item, text_of(t, s, "text"), err));
        is_first = false;
    }
    return MT_OK;
}

/* The thoughts may be hidden: then the signature alone stands for them. */
static mt_rc end_reasoning(const struct turn *t, const struct mt_json *json, struct item *item,
                           struct mt_err *err)
{
    struct mt_str encrypted = text_of(t, json, "encrypted_content");

    MT_TRY(fill_thoughts(t, json, item, err));
    if (encrypted.len == 0)
        return MT_OK;
    struct mt_chat_event event = {
        .kind = item->has_text ? MT_EVENT_SIGNATURE : MT_EVENT_REASONING,
        .is_redacted = !item->has_text,
        .signature = mt_chat__signature_in("openai", encrypted, t->arena),
    };
    if (event.signature.at == NULL)
        return mt_arena_fail(t->arena, err);
    return emit(t, &event, err);
}

static mt_rc end_call(const struct turn *t, const struct mt_json *json, struct item *item,
                      struct mt_err *err)
{
    struct mt_str arguments = text_of(t, json, "arguments");

    if (item->has_text)
        return MT_OK;
    return emit_text(t, MT_EVENT_TOOL_ARGS, item, arguments.len > 0 ? arguments : MT_STR("{}"),
                     err);
}

static mt_rc end_image(const struct turn *t, const struct mt_json *json, struct mt_err *err)
{
    struct mt_chat_event event = {.kind = MT_EVENT_MEDIA, .mime = MT_STR("image/png")};
    struct mt_str format = text_of(t, json, "output_format");

    event.text = text_of(t, json, "result");
    if (event.text.len == 0)
        return MT_OK;
    if (format.len > 0) {
        event.mime = mt_arena_printf(t->arena, "image/%.*s", MT_STR_ARG(format));
        if (event.mime.at == NULL)
            return mt_arena_fail(t->arena, err);
    }
    return emit(t, &event, err);
}

static mt_rc end_item(const struct turn *t, const struct mt_json *json, struct item *item,
                      struct mt_err *err)
{
    if (item->is_done)
        return MT_OK;
    item->is_done = true;
    switch (item->kind) {
    case ITEM_MESSAGE:
        return fill_message(t, json, item, err);
    case ITEM_REASONING:
        return end_reasoning(t, json, item, err);
    case ITEM_CALL:
        return end_call(t, json, item, err);
    case ITEM_IMAGE:
        return end_image(t, json, err);
    case ITEM_OTHER:
        break;
    }
    return MT_OK;
}

/* --- stream --- */

/* The item of an event; begun when it was not announced. json may be NULL. */
static mt_rc find_item(const struct turn *t, const struct mt_json *frame,
                       const struct mt_json *json, struct item **out, struct mt_err *err)
{
    struct decoder *d = t->d;
    int64_t index = 0;

    if (!mt_json_i64(mt_json_get(frame, "output_index"), 0, MT_RESPONSES_ITEMS_MAX - 1, &index))
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: an event with a bad output_index");
    bool is_new = (size_t)index >= d->items_n;
    while (d->items_n <= (size_t)index) {
        struct item *items = mt_chat__push(d->arena, d->items, d->items_n, sizeof *items);
        if (items == NULL)
            return mt_arena_fail(d->arena, err);
        d->items = items;
        items[d->items_n++] = (struct item){.kind = ITEM_OTHER};
    }
    *out = &d->items[index];
    if (json != NULL && (is_new || (*out)->kind == ITEM_OTHER) && !(*out)->is_done)
        return begin_item(t, json, *out, err);
    return MT_OK;
}

static mt_rc on_text_delta(const struct turn *t, const struct mt_json *frame, struct item *item,
                           struct mt_err *err)
{
    struct mt_chat_event event = {.kind = MT_EVENT_TEXT, .text = text_of(t, frame, "delta")};

    mt_responses__read_logprobs(mt_json_get(frame, "logprobs"), t->arena, &event.logprobs,
                                &event.logprobs_n);
    if (event.text.len == 0)
        return MT_OK;
    item->has_text = true;
    return emit(t, &event, err);
}

static mt_rc on_thought_delta(const struct turn *t, const struct mt_json *frame,
                              struct item *item, bool is_raw, struct mt_err *err)
{
    int64_t part = count_of(frame, is_raw ? "content_index" : "summary_index");

    if (item->has_text && item->is_raw != is_raw)
        return MT_OK; /* the other voice began: one of them is enough */
    if (item->has_text && part != item->part)
        MT_TRY(emit_text(t, MT_EVENT_REASONING, item, MT_STR("\n\n"), err));
    item->is_raw = is_raw;
    item->part = part;
    return emit_text(t, MT_EVENT_REASONING, item, text_of(t, frame, "delta"), err);
}

static mt_rc on_delta(const struct turn *t, const struct mt_json *frame,
                      const struct mt_json *type, struct mt_err *err)
{
    struct item *item = NULL;

    MT_TRY(find_item(t, frame, NULL, &item, err));
    if (item->is_done)
        return MT_OK;
    if (mt_json_is(type, "response.output_text.delta"))
        return on_text_delta(t, frame, item, err);
    if (mt_json_is(type, "response.refusal.delta"))
        return emit_text(t, MT_EVENT_REFUSAL, item, text_of(t, frame, "delta"), err);
    if (mt_json_is(type, "response.reasoning_summary_text.delta"))
        return on_thought_delta(t, frame, item, false, err);
    if (mt_json_is(type, "response.reasoning_text.delta"))
        return on_thought_delta(t, frame, item, true, err);
    if (mt_json_is(type, "response.function_call_arguments.delta") && item->kind == ITEM_CALL)
        return emit_text(t, MT_EVENT_TOOL_ARGS, item, text_of(t, frame, "delta"), err);
    return MT_OK;
}

static mt_rc emit_error(const struct turn *t, const struct mt_json *value, struct mt_err *err)
{
    struct mt_chat_error error;
    struct mt_chat_event event = {.kind = MT_EVENT_ERROR, .error = &error};

    mt_chat__error_of(0, value, t->arena, &error);
    t->d->is_ended = true;
    return emit(t, &event, err);
}

static enum mt_finish finish_of(const struct turn *t, const struct mt_json *response)
{
    const struct mt_json *reason =
        mt_json_get(mt_json_get(response, "incomplete_details"), "reason");

    if (mt_json_is(mt_json_get(response, "status"), "incomplete"))
        return mt_json_is(reason, "content_filter") ? MT_FINISH_FILTER : MT_FINISH_LENGTH;
    if (t->d->tools_n > 0)
        return MT_FINISH_TOOL_CALLS;
    return t->d->has_refusal ? MT_FINISH_REFUSAL : MT_FINISH_STOP;
}

/* The response as its end tells it: items whose own events were missing are read from it. */
static mt_rc finish(const struct turn *t, const struct mt_json *response, struct mt_err *err)
{
    struct mt_chat_event end = {.kind = MT_EVENT_FINISH};
    size_t index = 0;

    for (const struct mt_json *o = mt_json_first(mt_json_get(response, "output")); o != NULL;
         o = mt_json_next(o), index++) {
        struct item fresh = {.kind = ITEM_OTHER};
        struct item *item = index < t->d->items_n ? &t->d->items[index] : &fresh;
        if (item->kind == ITEM_OTHER && !item->is_done)
            MT_TRY(begin_item(t, o, item, err));
        MT_TRY(end_item(t, o, item, err));
    }
    end.finish = finish_of(t, response);
    MT_TRY(emit(t, &end, err));
    end = (struct mt_chat_event){.kind = MT_EVENT_USAGE};
    if (mt_responses__read_usage(response, &end.usage))
        MT_TRY(emit(t, &end, err));
    t->d->is_ended = true;
    end = (struct mt_chat_event){.kind = MT_EVENT_END};
    return emit(t, &end, err);
}

static mt_rc dispatch(const struct turn *t, const struct mt_json *frame, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(frame, "type");
    const struct mt_json *response = mt_json_get(frame, "response");
    const struct mt_json *json = mt_json_get(frame, "item");
    struct mt_str name = text_of(t, frame, "type");
    struct item *item = NULL;

    if (mt_json_is(type, "error") || (type == NULL && mt_json_get(frame, "error") != NULL))
        return emit_error(t, frame, err);
    if (mt_json_is(type, "response.failed"))
        return emit_error(t, response, err);
    if (mt_json_is(type, "response.created"))
        return begin(t, response, err);
    if (!mt_str_starts(name, MT_STR("response.")))
        return MT_OK;
    if (!t->d->is_started)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: expected response.created first");
    if (mt_json_is(type, "response.completed") || mt_json_is(type, "response.incomplete"))
        return finish(t, response, err);
    if (mt_json_is(type, "response.output_item.added"))
        return find_item(t, frame, json, &item, err);
    if (mt_json_is(type, "response.output_item.done")) {
        MT_TRY(find_item(t, frame, json, &item, err));
        return end_item(t, json, item, err);
    }
    return mt_str_ends(name, MT_STR(".delta")) ? on_delta(t, frame, type, err) : MT_OK;
}

mt_rc mt_responses__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err)
{
    struct decoder *d = mt_arena_get(arena, 1, sizeof *d);

    if (d == NULL)
        return mt_arena_fail(arena, err);
    d->arena = arena;
    *state = d;
    return MT_OK;
}

mt_rc mt_responses__decode_frame(void *state, const struct mt_frame *frame,
                                 struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit_fn,
                                 void *ctx, struct mt_err *err)
{
    struct decoder *d = state;
    struct turn turn = {.d = d, .arena = scratch->arena, .emit = emit_fn, .ctx = ctx};
    const struct mt_json *root = NULL;

    if (d->is_ended || mt_str_trim(frame->data).len == 0 ||
        mt_str_starts(frame->data, MT_STR("[DONE]")))
        return MT_OK;
    mt_rc rc = mt_json_parse(scratch->doc, frame->data, &root, err);
    if (rc == MT_E_NOMEM)
        return rc;
    if (rc < 0)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: a frame that is not JSON");
    return dispatch(&turn, root, err);
}

mt_rc mt_responses__decode_end(void *state, mt_chat_emit_fn *emit_fn, void *ctx,
                               struct mt_err *err)
{
    struct decoder *d = state;

    (void)emit_fn;
    (void)ctx;
    return d->is_ended
               ? MT_OK
               : MT_FAIL(err, MT_E_UPSTREAM, "the stream ended before its response did");
}

mt_rc mt_responses__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                                  mt_chat_emit_fn *emit_fn, void *ctx, struct mt_err *err)
{
    struct decoder d = {.arena = arena};
    struct turn turn = {.d = &d, .arena = arena, .emit = emit_fn, .ctx = ctx};
    const struct mt_json *error = mt_json_get(body, "error");

    if (mt_json_type(error) == MT_JSON_OBJECT || mt_json_type(error) == MT_JSON_STRING)
        return emit_error(&turn, body, err);
    if (mt_json_type(mt_json_get(body, "output")) != MT_JSON_ARRAY)
        return MT_FAIL(err, MT_E_UPSTREAM, "answer.output: expected an array, found %s",
                       mt_json_type_name(mt_json_type(mt_json_get(body, "output"))));
    MT_TRY(begin(&turn, body, err));
    return finish(&turn, body, err);
}
