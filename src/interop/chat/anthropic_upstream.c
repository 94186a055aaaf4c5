/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an endpoint's answer: a stream's frames, or a whole message. Blocks of kinds that the
 * canonical model lacks (what hosted tools did) are passed over. */
#include "anthropic_priv.h"
#include "signature.h"

enum block_kind { BLOCK_OTHER, BLOCK_TEXT, BLOCK_THINKING, BLOCK_TOOL };

struct block {
    enum block_kind kind;
    unsigned tool;
    bool has_args;   /* something of the arguments was emitted */
    bool is_args_in; /* they came whole with the start */
    bool is_closed;
};

struct decoder {
    struct mt_arena *arena;
    struct mt_anthropic__usage usage;
    struct block *blocks; /* by index */
    size_t blocks_n;
    unsigned tools_n;
    bool is_started, is_finished, is_ended;
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

/* The string member, or empty; a broken type counts as absent. */
static struct mt_str text_of(const struct turn *t, const struct mt_json *object,
                             const char *key)
{
    struct mt_str text = {NULL, 0};

    (void)mt_json_str(mt_json_get(object, key), t->arena, &text);
    return text;
}

static mt_rc on_start(const struct turn *t, const struct mt_json *message, struct mt_err *err)
{
    struct mt_chat_event event = {.kind = MT_EVENT_START};

    if (t->d->is_started)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: a second message_start");
    t->d->is_started = true;
    mt_anthropic__usage_read(mt_json_get(message, "usage"), &t->d->usage);
    event.id = text_of(t, message, "id");
    event.model = text_of(t, message, "model");
    event.usage = mt_anthropic__usage_in(&t->d->usage);
    return emit(t, &event, err);
}

static mt_rc emit_signature(const struct turn *t, struct mt_str wire, struct mt_err *err)
{
    struct mt_chat_event event = {.kind = MT_EVENT_SIGNATURE};

    if (wire.len == 0)
        return MT_OK;
    event.signature = mt_chat__signature_in("anthropic", wire, t->arena);
    if (event.signature.at == NULL)
        return mt_arena_fail(t->arena, err);
    return emit(t, &event, err);
}

static mt_rc emit_text(const struct turn *t, enum mt_event_kind kind, struct mt_str text,
                       struct mt_err *err)
{
    struct mt_chat_event event = {.kind = kind, .text = text};

    return text.len > 0 ? emit(t, &event, err) : MT_OK;
}

static mt_rc emit_args(const struct turn *t, struct block *block, struct mt_str text,
                       struct mt_err *err)
{
    struct mt_chat_event event = {
        .kind = MT_EVENT_TOOL_ARGS, .tool = block->tool, .text = text};

    if (text.len == 0)
        return MT_OK;
    block->has_args = true;
    return emit(t, &event, err);
}

static mt_rc start_tool(const struct turn *t, const struct mt_json *content,
                        struct block *block, struct mt_err *err)
{
    const struct mt_json *input = mt_json_get(content, "input");
    struct mt_chat_event event = {.kind = MT_EVENT_TOOL_CALL};

    block->tool = t->d->tools_n++;
    event.tool = block->tool;
    event.id = text_of(t, content, "id");
    event.name = text_of(t, content, "name");
    if (event.name.len == 0)
        return MT_FAIL(err, MT_E_UPSTREAM, "answer: a tool_use block without a name");
    MT_TRY(emit(t, &event, err));
    if (mt_json_type(input) != MT_JSON_OBJECT || mt_json_count(input) == 0)
        return MT_OK;
    block->is_args_in = true;
    return emit_args(t, block, mt_json_raw(input), err);
}

static mt_rc start_thinking(const struct turn *t, const struct mt_json *content,
                            struct mt_err *err)
{
    MT_TRY(emit_text(t, MT_EVENT_REASONING, text_of(t, content, "thinking"), err));
    return emit_signature(t, text_of(t, content, "signature"), err);
}

static mt_rc start_redacted(const struct turn *t, const struct mt_json *content,
                            struct mt_err *err)
{
    struct mt_chat_event event = {.kind = MT_EVENT_REASONING, .is_redacted = true};

    event.signature = mt_chat__signature_in("anthropic", text_of(t, content, "data"), t->arena);
    if (event.signature.at == NULL)
        return mt_arena_fail(t->arena, err);
    return emit(t, &event, err);
}

/* A block of a stream begins, or a whole one of an answer. */
static mt_rc start_block(const struct turn *t, const struct mt_json *content,
                         struct block *block, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(content, "type");

    if (mt_json_is(type, "text")) {
        block->kind = BLOCK_TEXT;
        return emit_text(t, MT_EVENT_TEXT, text_of(t, content, "text"), err);
    }
    if (mt_json_is(type, "thinking")) {
        block->kind = BLOCK_THINKING;
        return start_thinking(t, content, err);
    }
    if (mt_json_is(type, "tool_use")) {
        block->kind = BLOCK_TOOL;
        return start_tool(t, content, block, err);
    }
    return mt_json_is(type, "redacted_thinking") ? start_redacted(t, content, err) : MT_OK;
}

/* A call without arguments still has an object. */
static mt_rc stop_block(const struct turn *t, struct block *block, struct mt_err *err)
{
    if (block->is_closed)
        return MT_OK;
    block->is_closed = true;
    if (block->kind == BLOCK_TOOL && !block->has_args)
        return emit_args(t, block, MT_STR("{}"), err);
    return MT_OK;
}

static mt_rc find_block(const struct turn *t, const struct mt_json *frame, size_t max,
                        size_t *out, struct mt_err *err)
{
    int64_t index = 0;

    if (!mt_json_i64(mt_json_get(frame, "index"), 0, MT_ANTHROPIC_BLOCKS_MAX - 1, &index) ||
        (size_t)index > max)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: a content block with a bad index");
    (void)t;
    *out = (size_t)index;
    return MT_OK;
}

static mt_rc on_block_start(const struct turn *t, const struct mt_json *frame,
                            struct mt_err *err)
{
    struct decoder *d = t->d;
    size_t index = 0;

    MT_TRY(find_block(t, frame, MT_ANTHROPIC_BLOCKS_MAX, &index, err));
    if (index < d->blocks_n)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: content block %zu starts twice", index);
    while (d->blocks_n <= index) { /* some endpoints leave numbers out */
        struct block *blocks = mt_chat__push(d->arena, d->blocks, d->blocks_n, sizeof *blocks);
        if (blocks == NULL)
            return mt_arena_fail(d->arena, err);
        d->blocks = blocks;
        blocks[d->blocks_n++] = (struct block){.kind = BLOCK_OTHER};
    }
    return start_block(t, mt_json_get(frame, "content_block"), &d->blocks[index], err);
}

static mt_rc on_block_delta(const struct turn *t, const struct mt_json *frame,
                            struct mt_err *err)
{
    const struct mt_json *delta = mt_json_get(frame, "delta");
    const struct mt_json *type = mt_json_get(delta, "type");
    size_t index = 0;

    if (t->d->blocks_n == 0)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: a delta before its block");
    MT_TRY(find_block(t, frame, t->d->blocks_n - 1, &index, err));
    struct block *block = &t->d->blocks[index];
    switch (block->kind) {
    case BLOCK_TEXT:
        return mt_json_is(type, "text_delta")
                   ? emit_text(t, MT_EVENT_TEXT, text_of(t, delta, "text"), err)
                   : MT_OK;
    case BLOCK_THINKING:
        if (mt_json_is(type, "signature_delta"))
            return emit_signature(t, text_of(t, delta, "signature"), err);
        return emit_text(t, MT_EVENT_REASONING, text_of(t, delta, "thinking"), err);
    case BLOCK_TOOL:
        return block->is_args_in ? MT_OK
                                 : emit_args(t, block, text_of(t, delta, "partial_json"), err);
    case BLOCK_OTHER:
        break;
    }
    return MT_OK;
}

static mt_rc on_block_stop(const struct turn *t, const struct mt_json *frame,
                           struct mt_err *err)
{
    size_t index = 0;

    if (t->d->blocks_n == 0)
        return MT_OK;
    MT_TRY(find_block(t, frame, t->d->blocks_n - 1, &index, err));
    return stop_block(t, &t->d->blocks[index], err);
}

/* From a message_delta's "delta", or a whole message. */
static mt_rc finish(const struct turn *t, const struct mt_json *holder, struct mt_err *err)
{
    const struct mt_json *reason = mt_json_get(holder, "stop_reason");
    struct mt_chat_event event = {.kind = MT_EVENT_FINISH};

    if (mt_json_type(reason) != MT_JSON_STRING || t->d->is_finished)
        return MT_OK;
    for (size_t i = 0; i < t->d->blocks_n; i++)
        MT_TRY(stop_block(t, &t->d->blocks[i], err));
    t->d->is_finished = true;
    event.finish = mt_anthropic__finish(reason);
    event.stop_sequence = text_of(t, holder, "stop_sequence");
    return emit(t, &event, err);
}

static mt_rc end(const struct turn *t, struct mt_err *err)
{
    struct mt_chat_event usage = {.kind = MT_EVENT_USAGE};
    struct mt_chat_event last = {.kind = MT_EVENT_END};

    usage.usage = mt_anthropic__usage_in(&t->d->usage);
    t->d->is_ended = true;
    MT_TRY(emit(t, &usage, err));
    return emit(t, &last, err);
}

static mt_rc on_message_stop(const struct turn *t, struct mt_err *err)
{
    if (!t->d->is_started)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: message_stop before message_start");
    if (!t->d->is_finished) {
        struct mt_chat_event event = {.kind = MT_EVENT_FINISH};
        for (size_t i = 0; i < t->d->blocks_n; i++)
            MT_TRY(stop_block(t, &t->d->blocks[i], err));
        t->d->is_finished = true;
        MT_TRY(emit(t, &event, err));
    }
    return end(t, err);
}

static mt_rc on_error(const struct turn *t, const struct mt_json *frame, struct mt_err *err)
{
    struct mt_chat_error error;
    struct mt_chat_event event = {.kind = MT_EVENT_ERROR, .error = &error};

    mt_chat__error_of(0, frame, t->arena, &error);
    t->d->is_ended = true;
    return emit(t, &event, err);
}

static mt_rc dispatch(const struct turn *t, const struct mt_json *frame, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(frame, "type");

    if (mt_json_is(type, "error"))
        return on_error(t, frame, err);
    if (mt_json_is(type, "message_start"))
        return on_start(t, mt_json_get(frame, "message"), err);
    if (mt_json_is(type, "message_stop"))
        return on_message_stop(t, err);
    if (!mt_json_is(type, "content_block_start") && !mt_json_is(type, "content_block_delta") &&
        !mt_json_is(type, "content_block_stop") && !mt_json_is(type, "message_delta"))
        return MT_OK;
    if (!t->d->is_started)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: expected message_start first");
    if (mt_json_is(type, "content_block_delta"))
        return on_block_delta(t, frame, err);
    if (mt_json_is(type, "content_block_start"))
        return on_block_start(t, frame, err);
    if (mt_json_is(type, "content_block_stop"))
        return on_block_stop(t, frame, err);
    mt_anthropic__usage_read(mt_json_get(frame, "usage"), &t->d->usage);
    return finish(t, mt_json_get(frame, "delta"), err);
}

mt_rc mt_anthropic__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err)
{
    struct decoder *d = mt_arena_get(arena, 1, sizeof *d);

    if (d == NULL)
        return mt_arena_fail(arena, err);
    d->arena = arena;
    *state = d;
    return MT_OK;
}

mt_rc mt_anthropic__decode_frame(void *state, const struct mt_frame *frame,
                                 struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit_fn,
                                 void *ctx, struct mt_err *err)
{
    struct decoder *d = state;
    struct turn turn = {.d = d, .arena = scratch->arena, .emit = emit_fn, .ctx = ctx};
    const struct mt_json *root = NULL;

    if (d->is_ended || mt_str_is(frame->event, "ping") || mt_str_trim(frame->data).len == 0 ||
        mt_str_starts(frame->data, MT_STR("[DONE]")))
        return MT_OK;
    mt_rc rc = mt_json_parse(scratch->doc, frame->data, &root, err);
    if (rc == MT_E_NOMEM)
        return rc;
    if (rc < 0)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: a frame that is not JSON");
    return dispatch(&turn, root, err);
}

mt_rc mt_anthropic__decode_end(void *state, mt_chat_emit_fn *emit_fn, void *ctx,
                               struct mt_err *err)
{
    struct decoder *d = state;
    struct turn turn = {.d = d, .arena = d->arena, .emit = emit_fn, .ctx = ctx};

    if (d->is_ended)
        return MT_OK;
    if (d->is_finished) /* only the last word is missing */
        return end(&turn, err);
    return MT_FAIL(err, MT_E_UPSTREAM, "the stream ended before its message did");
}

mt_rc mt_anthropic__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                                  mt_chat_emit_fn *emit_fn, void *ctx, struct mt_err *err)
{
    struct decoder d = {.arena = arena};
    struct turn turn = {.d = &d, .arena = arena, .emit = emit_fn, .ctx = ctx};
    const struct mt_json *content = mt_json_get(body, "content");

    if (mt_json_is(mt_json_get(body, "type"), "error"))
        return on_error(&turn, body, err);
    if (mt_json_type(content) != MT_JSON_ARRAY)
        return MT_FAIL(err, MT_E_UPSTREAM, "answer.content: expected an array, found %s",
                       mt_json_type_name(mt_json_type(content)));
    MT_TRY(on_start(&turn, body, err));
    for (const struct mt_json *b = mt_json_first(content); b != NULL; b = mt_json_next(b)) {
        struct block block = {.kind = BLOCK_OTHER};
        MT_TRY(start_block(&turn, b, &block, err));
        MT_TRY(stop_block(&turn, &block, err));
    }
    MT_TRY(finish(&turn, body, err));
    return on_message_stop(&turn, err);
}
