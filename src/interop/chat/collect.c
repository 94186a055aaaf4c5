/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants: used <= bytes_max, and everything that grows is charged to it before it grows;
 * choices 0 .. choices_n - 1 exist, also those nothing was said of; a part once begun keeps its
 * place. */
#include "chat/collect.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { CHOICES_MAX = 1024 };

struct part {
    struct mt_out_part out; /* its slices live in the arena, but for these two: */
    struct mt_buf text;
    struct mt_buf signature;
    unsigned tool;
};

struct choice {
    struct part *parts;
    size_t parts_n, parts_cap;
    struct mt_token_logprob *logprobs;
    size_t logprobs_n, logprobs_cap;
    enum mt_finish finish;
    struct mt_str stop_sequence;
};

struct mt_collector {
    size_t bytes_max, used;
    struct mt_arena arena; /* small texts, told once */
    struct mt_arena view;  /* the answer as last asked for */
    struct choice *choices;
    size_t choices_n, choices_cap;
    struct mt_str id, model;
    struct mt_usage usage;
    struct mt_chat_answer answer;
};

static mt_rc charge(struct mt_collector *c, size_t bytes, struct mt_err *err)
{
    if (bytes > c->bytes_max - c->used)
        return MT_FAIL(err, MT_E_TOOBIG, "answer: over the limit of %zu bytes", c->bytes_max);
    c->used += bytes;
    return MT_OK;
}

/* Room for one more item. */
static mt_rc grow(struct mt_collector *c, void **items, size_t n, size_t *cap, size_t size,
                  struct mt_err *err)
{
    MT_TRY(charge(c, size, err));
    if (n < *cap)
        return MT_OK;
    size_t wanted = *cap > 0 ? *cap * 2 : 4;
    void *grown = mt_realloc(*items, wanted, size);

    if (grown == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for an answer of %zu items", wanted);
    *items = grown;
    *cap = wanted;
    return MT_OK;
}

/* A copy for good; empty texts take nothing. */
static mt_rc keep(struct mt_collector *c, struct mt_str text, struct mt_str *out,
                  struct mt_err *err)
{
    if (text.len == 0)
        return MT_OK;
    MT_TRY(charge(c, text.len, err));
    struct mt_str copy = mt_arena_str(&c->arena, text);

    if (copy.at == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for %zu bytes of an answer", text.len);
    *out = copy;
    return MT_OK;
}

static mt_rc append(struct mt_collector *c, struct mt_buf *buf, struct mt_str text,
                    struct mt_err *err)
{
    MT_TRY(charge(c, text.len, err));
    mt_buf_add(buf, text);
    return mt_buf_check(buf, "answer", err);
}

static mt_rc find_choice(struct mt_collector *c, unsigned index, struct choice **out,
                         struct mt_err *err)
{
    void *items = c->choices;

    if (index >= CHOICES_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "answer: choice %u, the limit is %d", index,
                       CHOICES_MAX);
    while (c->choices_n <= index) {
        MT_TRY(grow(c, &items, c->choices_n, &c->choices_cap, sizeof *c->choices, err));
        c->choices = items;
        c->choices[c->choices_n++] = (struct choice){0};
    }
    *out = &c->choices[index];
    return MT_OK;
}

static mt_rc add_part(struct mt_collector *c, struct choice *choice, enum mt_out_kind kind,
                      struct part **out, struct mt_err *err)
{
    void *items = choice->parts;

    MT_TRY(grow(c, &items, choice->parts_n, &choice->parts_cap, sizeof **out, err));
    choice->parts = items;
    struct part *part = &choice->parts[choice->parts_n++];
    *part = (struct part){.out.kind = kind};
    mt_buf_init(&part->text, c->bytes_max);
    mt_buf_init(&part->signature, c->bytes_max);
    *out = part;
    return MT_OK;
}

/* The part that text of this kind goes on with; a new one when something else came between. */
static mt_rc open_part(struct mt_collector *c, struct choice *choice, enum mt_out_kind kind,
                       struct part **out, struct mt_err *err)
{
    struct part *last = choice->parts_n > 0 ? &choice->parts[choice->parts_n - 1] : NULL;

    if (last == NULL || last->out.kind != kind || last->signature.len > 0 ||
        last->out.is_redacted)
        return add_part(c, choice, kind, out, err);
    *out = last;
    return MT_OK;
}

static mt_rc add_logprob(struct mt_collector *c, struct choice *choice,
                         const struct mt_token_logprob *from, struct mt_err *err)
{
    struct mt_token_logprob copy = *from;
    void *items = choice->logprobs;

    copy.top = NULL;
    MT_TRY(keep(c, from->token, &copy.token, err));
    if (from->top_n > 0) {
        MT_TRY(charge(c, from->top_n * sizeof *from->top, err));
        struct mt_token_top *top = mt_arena_get(&c->arena, from->top_n, sizeof *top);
        if (top == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "no memory for %zu logprobs", from->top_n);
        for (size_t i = 0; i < from->top_n; i++) {
            top[i] = from->top[i];
            MT_TRY(keep(c, from->top[i].token, &top[i].token, err));
        }
        copy.top = top;
    }
    MT_TRY(grow(c, &items, choice->logprobs_n, &choice->logprobs_cap, sizeof copy, err));
    choice->logprobs = items;
    choice->logprobs[choice->logprobs_n++] = copy;
    return MT_OK;
}

static mt_rc add_text(struct mt_collector *c, struct choice *choice, enum mt_out_kind kind,
                      const struct mt_chat_event *event, struct mt_err *err)
{
    struct part *part = NULL;

    MT_TRY(open_part(c, choice, kind, &part, err));
    MT_TRY(append(c, &part->text, event->text, err));
    for (size_t i = 0; i < event->logprobs_n; i++)
        MT_TRY(add_logprob(c, choice, &event->logprobs[i], err));
    return MT_OK;
}

static mt_rc add_redacted(struct mt_collector *c, struct choice *choice,
                          const struct mt_chat_event *event, struct mt_err *err)
{
    struct part *part = NULL;

    MT_TRY(add_part(c, choice, MT_OUT_REASONING, &part, err));
    part->out.is_redacted = true;
    return append(c, &part->signature, event->signature, err);
}

static mt_rc add_signature(struct mt_collector *c, struct choice *choice,
                           const struct mt_chat_event *event, struct mt_err *err)
{
    struct part *part = NULL;

    for (size_t i = choice->parts_n; i > 0 && part == NULL; i--) {
        if (choice->parts[i - 1].out.kind == MT_OUT_REASONING)
            part = &choice->parts[i - 1];
    }
    if (part == NULL)
        MT_TRY(add_part(c, choice, MT_OUT_REASONING, &part, err));
    return append(c, &part->signature, event->signature, err);
}

static mt_rc add_media(struct mt_collector *c, struct choice *choice,
                       const struct mt_chat_event *event, struct mt_err *err)
{
    struct part *part = NULL;

    MT_TRY(add_part(c, choice, MT_OUT_MEDIA, &part, err));
    MT_TRY(keep(c, event->mime, &part->out.mime, err));
    return append(c, &part->text, event->text, err);
}

static mt_rc add_call(struct mt_collector *c, struct choice *choice,
                      const struct mt_chat_event *event, struct mt_err *err)
{
    struct part *part = NULL;

    MT_TRY(add_part(c, choice, MT_OUT_TOOL_CALL, &part, err));
    part->tool = event->tool;
    MT_TRY(keep(c, event->id, &part->out.id, err));
    MT_TRY(keep(c, event->name, &part->out.name, err));
    return append(c, &part->signature, event->signature, err);
}

static mt_rc add_args(struct mt_collector *c, struct choice *choice,
                      const struct mt_chat_event *event, struct mt_err *err)
{
    for (size_t i = choice->parts_n; i > 0; i--) {
        struct part *part = &choice->parts[i - 1];
        if (part->out.kind == MT_OUT_TOOL_CALL && part->tool == event->tool)
            return append(c, &part->text, event->text, err);
    }
    return MT_FAIL(err, MT_E_INVALID, "answer: arguments of tool call %u, which never began",
                   event->tool);
}

static mt_rc add_start(struct mt_collector *c, const struct mt_chat_event *event,
                       struct mt_err *err)
{
    MT_TRY(keep(c, event->id, &c->id, err));
    MT_TRY(keep(c, event->model, &c->model, err));
    c->usage = event->usage;
    return MT_OK;
}

static void free_choice(struct choice *choice)
{
    for (size_t i = 0; i < choice->parts_n; i++) {
        mt_buf_fini(&choice->parts[i].text);
        mt_buf_fini(&choice->parts[i].signature);
    }
    mt_free(choice->parts);
    mt_free(choice->logprobs);
}

static void view_part(struct part *from, struct mt_out_part *to)
{
    *to = from->out;
    to->text = mt_buf_str(&from->text);
    to->signature = mt_buf_str(&from->signature);
}

static bool view_choice(struct mt_arena *view, struct choice *from, struct mt_choice *to)
{
    *to = (struct mt_choice){
        .parts = mt_arena_get(view, from->parts_n, sizeof *to->parts),
        .parts_n = from->parts_n,
        .finish = from->finish,
        .stop_sequence = from->stop_sequence,
        .logprobs = from->logprobs,
        .logprobs_n = from->logprobs_n,
    };
    for (size_t i = 0; to->parts != NULL && i < to->parts_n; i++)
        view_part(&from->parts[i], &to->parts[i]);
    return to->parts != NULL;
}

mt_rc mt_collector_new(size_t bytes_max, struct mt_collector **out, struct mt_err *err)
{
    struct mt_collector *c = mt_alloc(1, sizeof *c);

    if (c == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for a collector");
    c->bytes_max = bytes_max;
    mt_arena_init(&c->arena, SIZE_MAX / 2); /* bounded by charge() */
    mt_arena_init(&c->view, SIZE_MAX / 2);
    *out = c;
    return MT_OK;
}

void mt_collector_free(struct mt_collector *collector)
{
    if (collector == NULL)
        return;
    for (size_t i = 0; i < collector->choices_n; i++)
        free_choice(&collector->choices[i]);
    mt_free(collector->choices);
    mt_arena_fini(&collector->arena);
    mt_arena_fini(&collector->view);
    mt_free(collector);
}

mt_rc mt_collector_add(void *collector, const struct mt_chat_event *event, struct mt_err *err)
{ /* LONG: one dispatch over all kinds of events */
    struct mt_collector *c = collector;
    struct choice *choice = NULL;

    switch (event->kind) {
    case MT_EVENT_START:
        return add_start(c, event, err);
    case MT_EVENT_USAGE:
        c->usage = event->usage;
        return MT_OK;
    case MT_EVENT_END:
    case MT_EVENT_PING:
        return MT_OK;
    case MT_EVENT_ERROR:
        return MT_FAIL(err, MT_E_INVALID, "answer: an error is no part of it");
    case MT_EVENT_TEXT:
    case MT_EVENT_REASONING:
    case MT_EVENT_SIGNATURE:
    case MT_EVENT_REFUSAL:
    case MT_EVENT_MEDIA:
    case MT_EVENT_TOOL_CALL:
    case MT_EVENT_TOOL_ARGS:
    case MT_EVENT_FINISH:
        break;
    }
    MT_TRY(find_choice(c, event->choice, &choice, err));
    switch (event->kind) {
    case MT_EVENT_TEXT:
        return add_text(c, choice, MT_OUT_TEXT, event, err);
    case MT_EVENT_REASONING:
        return event->is_redacted ? add_redacted(c, choice, event, err)
                                  : add_text(c, choice, MT_OUT_REASONING, event, err);
    case MT_EVENT_SIGNATURE:
        return add_signature(c, choice, event, err);
    case MT_EVENT_REFUSAL:
        return add_text(c, choice, MT_OUT_REFUSAL, event, err);
    case MT_EVENT_MEDIA:
        return add_media(c, choice, event, err);
    case MT_EVENT_TOOL_CALL:
        return add_call(c, choice, event, err);
    case MT_EVENT_TOOL_ARGS:
        return add_args(c, choice, event, err);
    case MT_EVENT_FINISH:
        choice->finish = event->finish;
        return keep(c, event->stop_sequence, &choice->stop_sequence, err);
    case MT_EVENT_START:
    case MT_EVENT_USAGE:
    case MT_EVENT_END:
    case MT_EVENT_ERROR:
    case MT_EVENT_PING:
        break;
    }
    return MT_OK;
}

mt_rc mt_collector_answer(struct mt_collector *collector, const struct mt_chat_answer **out,
                          struct mt_err *err)
{
    struct mt_collector *c = collector;

    mt_arena_clear(&c->view);
    c->answer = (struct mt_chat_answer){
        .id = c->id,
        .model = c->model,
        .choices = mt_arena_get(&c->view, c->choices_n, sizeof *c->answer.choices),
        .choices_n = c->choices_n,
        .usage = c->usage,
    };
    bool is_whole = c->answer.choices != NULL;
    for (size_t i = 0; is_whole && i < c->choices_n; i++)
        is_whole = view_choice(&c->view, &c->choices[i], &c->answer.choices[i]);
    if (!is_whole)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for an answer of %zu choices", c->choices_n);
    *out = &c->answer;
    return MT_OK;
}
