/* SPDX-License-Identifier: Apache-2.0 */
/* Format, for this process only (native byte order):
 *
 *   event    u8 kind | u8 finish | u8 is_redacted | u8 0
 *            | u32 choice | u32 tool | u32 present (bits in order of the fields below)
 *            | each text that is present: u32 length, bytes
 *            | usage: struct mt_usage
 *            | error: struct mt_chat_error (its texts follow as texts) | 3 texts
 *            | logprobs: u32 n | each: text, f32 logprob, f32 entropy, u32 n, each: text, f32
 */
#include "chat/collect.h"

#include <string.h>

#include "base/assert.h"

enum { TEXTS = 7, HAS_USAGE = 1u << TEXTS, HAS_ERROR = 1u << 8, HAS_LOGPROBS = 1u << 9 };
enum { PLAY_ARENA_MAX = 64 << 20 };

struct head {
    uint8_t kind, finish, is_redacted, zero;
    uint32_t choice, tool, present;
};

static void event_texts(struct mt_chat_event *event, struct mt_str *texts[TEXTS])
{
    texts[0] = &event->text;
    texts[1] = &event->id;
    texts[2] = &event->name;
    texts[3] = &event->model;
    texts[4] = &event->mime;
    texts[5] = &event->signature;
    texts[6] = &event->stop_sequence;
}

static void put(struct mt_buf *tape, const void *bytes, size_t n)
{
    mt_buf_add(tape, (struct mt_str){bytes, n});
}

static void put_u32(struct mt_buf *tape, uint32_t value)
{
    put(tape, &value, sizeof value);
}

static void put_text(struct mt_buf *tape, struct mt_str text)
{
    put_u32(tape, (uint32_t)text.len);
    mt_buf_add(tape, text);
}

static void put_error(struct mt_buf *tape, const struct mt_chat_error *error)
{
    put(tape, error, sizeof *error);
    put_text(tape, error->message);
    put_text(tape, error->code);
    put_text(tape, error->param);
}

static void put_logprob(struct mt_buf *tape, const struct mt_token_logprob *token)
{
    put_text(tape, token->token);
    put(tape, &token->logprob, sizeof token->logprob);
    put(tape, &token->entropy, sizeof token->entropy);
    put_u32(tape, (uint32_t)token->top_n);
    for (size_t i = 0; i < token->top_n; i++) {
        put_text(tape, token->top[i].token);
        put(tape, &token->top[i].logprob, sizeof token->top[i].logprob);
    }
}

static bool has_usage(const struct mt_chat_event *event)
{
    return event->kind == MT_EVENT_USAGE || event->usage.input_tokens != 0 ||
           event->usage.output_tokens != 0;
}

void mt_tape_record(struct mt_buf *tape, const struct mt_chat_event *event)
{
    struct mt_chat_event copy = *event;
    struct mt_str *texts[TEXTS];
    struct head head = {
        .kind = (uint8_t)event->kind,
        .finish = (uint8_t)event->finish,
        .is_redacted = event->is_redacted,
        .choice = event->choice,
        .tool = event->tool,
    };

    event_texts(&copy, texts);
    for (unsigned i = 0; i < TEXTS; i++)
        head.present |= texts[i]->len > 0 ? 1u << i : 0;
    head.present |= has_usage(event) ? HAS_USAGE : 0;
    head.present |= event->error != NULL ? HAS_ERROR : 0;
    head.present |= event->logprobs_n > 0 ? HAS_LOGPROBS : 0;
    put(tape, &head, sizeof head);
    for (unsigned i = 0; i < TEXTS; i++) {
        if (texts[i]->len > 0)
            put_text(tape, *texts[i]);
    }
    if (head.present & HAS_USAGE)
        put(tape, &event->usage, sizeof event->usage);
    if (head.present & HAS_ERROR)
        put_error(tape, event->error);
    if (head.present & HAS_LOGPROBS)
        put_u32(tape, (uint32_t)event->logprobs_n);
    for (size_t i = 0; i < event->logprobs_n; i++)
        put_logprob(tape, &event->logprobs[i]);
}

/* Reading: a cursor; once a read has passed the end, all further ones answer zeros. */
struct reel {
    struct mt_str left;
    struct mt_arena *arena;
    bool is_broken;
};

static void take(struct reel *reel, void *to, size_t n)
{
    memset(to, 0, n);
    if (reel->is_broken || reel->left.len < n) {
        reel->is_broken = true;
        return;
    }
    memcpy(to, reel->left.at, n);
    reel->left = mt_str_sub(reel->left, n, reel->left.len);
}

static uint32_t take_u32(struct reel *reel)
{
    uint32_t value;

    take(reel, &value, sizeof value);
    return value;
}

static struct mt_str take_text(struct reel *reel)
{
    uint32_t len = take_u32(reel);
    struct mt_str text = mt_str_sub(reel->left, 0, len);

    if (text.len < len) {
        reel->is_broken = true;
        return (struct mt_str){NULL, 0};
    }
    reel->left = mt_str_sub(reel->left, len, reel->left.len);
    return text;
}

static void take_error(struct reel *reel, struct mt_chat_error *out)
{
    take(reel, out, sizeof *out);
    out->message = take_text(reel);
    out->code = take_text(reel);
    out->param = take_text(reel);
}

/* Items of at least item_min bytes each: a count that the tape cannot hold is broken. */
static void *take_list(struct reel *reel, size_t item_min, size_t size, size_t *n)
{
    uint32_t count = take_u32(reel);

    *n = 0;
    if (count > reel->left.len / item_min) {
        reel->is_broken = true;
        return NULL;
    }
    void *items = mt_arena_get(reel->arena, count, size);
    if (items != NULL)
        *n = count;
    return items;
}

static bool take_logprobs(struct reel *reel, struct mt_chat_event *event)
{
    struct mt_token_logprob *tokens = take_list(reel, 16, sizeof *tokens, &event->logprobs_n);

    event->logprobs = tokens;
    for (size_t i = 0; i < event->logprobs_n; i++) {
        tokens[i].token = take_text(reel);
        take(reel, &tokens[i].logprob, sizeof tokens[i].logprob);
        take(reel, &tokens[i].entropy, sizeof tokens[i].entropy);
        struct mt_token_top *top = take_list(reel, 8, sizeof *top, &tokens[i].top_n);
        if (top == NULL)
            return false;
        for (size_t j = 0; j < tokens[i].top_n; j++) {
            top[j].token = take_text(reel);
            take(reel, &top[j].logprob, sizeof top[j].logprob);
        }
        tokens[i].top = top;
    }
    return tokens != NULL;
}

static mt_rc corrupt(struct mt_err *err)
{
    return MT_FAIL(err, MT_E_CORRUPT, "tape: broken event");
}

/* One event off the front of the reel. */
static mt_rc play_one(struct reel *reel, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err)
{
    struct mt_chat_event event = {0};
    struct mt_chat_error error;
    struct mt_str *texts[TEXTS];
    struct head head;

    take(reel, &head, sizeof head);
    event.kind = (enum mt_event_kind)head.kind;
    event.finish = (enum mt_finish)head.finish;
    event.is_redacted = head.is_redacted != 0;
    event.choice = head.choice;
    event.tool = head.tool;
    event_texts(&event, texts);
    for (unsigned i = 0; i < TEXTS; i++) {
        if (head.present & (1u << i))
            *texts[i] = take_text(reel);
    }
    if (head.present & HAS_USAGE)
        take(reel, &event.usage, sizeof event.usage);
    if (head.present & HAS_ERROR) {
        take_error(reel, &error);
        event.error = &error;
    }
    bool has_memory = !(head.present & HAS_LOGPROBS) || take_logprobs(reel, &event);
    if (reel->is_broken)
        return corrupt(err);
    if (!has_memory)
        return mt_arena_fail(reel->arena, err);
    return emit(ctx, &event, err);
}

mt_rc mt_tape_play(struct mt_str tape, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(PLAY_ARENA_MAX);
    struct reel reel = {.left = tape, .arena = &arena};

    while (reel.left.len > 0) {
        MT_TRY(play_one(&reel, emit, ctx, err));
        mt_arena_clear(&arena);
    }
    return MT_OK;
}
