/* SPDX-License-Identifier: Apache-2.0 */
/* One choice of an answer: tokens in, events out. Text goes through text_out; tool calls in our
 * own form through call_out; those in a template's form through the template's reader. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "worker_priv.h"

enum {
    ANSWER_MAX = 8 << 20,
    CLOSING_MIN = 12, /* tokens before its last in which a bound answer is brought to its end */
    CLOSING_MAX = 128,
};

static uint64_t next_random(struct mt_worker *w)
{
    /* splitmix64: ids and seeds, nothing secret */
    uint64_t z = (w->random += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void send(struct mt_worker *w, struct mt_choice_run *choice, struct mt_chat_event *event)
{
    event->choice = choice->index;
    struct mt_piece *piece = mt_piece_of(choice->ask->job, event);
    if (piece == NULL)
        choice->is_out_of_memory = true;
    mt_outbox_add(w->outbox, piece);
}

/* A pending token moves in memory: its slices are set anew before it is shown. */
static const struct mt_token_logprob *point(struct mt_pending_token *token)
{
    token->logprob.token.at = token->texts;
    for (size_t k = 0; k < token->logprob.top_n; k++)
        token->top[k].token.at = token->texts + (k + 1) * MT_PIECE_BYTES;
    token->logprob.top = token->top;
    return &token->logprob;
}

static void forget_pending(struct mt_choice_run *choice, size_t n)
{
    choice->pending_n -= n;
    if (n > 0)
        memmove(choice->pending, choice->pending + n,
                choice->pending_n * sizeof *choice->pending);
}

/* Hand out the tokens whose bytes are settled, with the text or on their own. */
static void send_text(struct mt_worker *w, struct mt_choice_run *choice, struct mt_str text,
                      uint64_t end)
{
    struct mt_token_logprob list[64];
    struct mt_chat_event event = {.kind = MT_EVENT_TEXT, .text = text, .logprobs = list};
    size_t n = 0;

    while (n < choice->pending_n && n < MT_ARRAY_LEN(list) && choice->pending[n].end <= end) {
        list[n] = *point(&choice->pending[n]);
        n++;
    }
    event.logprobs_n = n;
    if (text.len > 0 || n > 0)
        send(w, choice, &event);
    forget_pending(choice, n);
}

struct sink { /* of the callbacks below */
    struct mt_worker *w;
    struct mt_choice_run *choice;
};

static void drop_pending(struct mt_choice_run *choice, uint64_t end)
{
    size_t n = 0;

    while (n < choice->pending_n && choice->pending[n].end <= end)
        n++;
    forget_pending(choice, n);
}

static void on_text(void *ctx, bool is_reasoning, struct mt_str text, uint64_t end)
{
    struct sink *s = ctx;

    if (!is_reasoning) {
        send_text(s->w, s->choice, text, end);
        return;
    }
    drop_pending(s->choice, end); /* logprobs belong to the answer's text */
    if (s->choice->ask->job->hides_reasoning)
        return;
    struct mt_chat_event event = {.kind = MT_EVENT_REASONING, .text = text};
    send(s->w, s->choice, &event);
}

static void send_call(struct sink *s, struct mt_str name, unsigned nth)
{
    char id[32];
    struct mt_chat_event event = {.kind = MT_EVENT_TOOL_CALL, .tool = nth, .name = name};

    snprintf(id, sizeof id, "call_%016llx", (unsigned long long)next_random(s->w));
    event.id = mt_str_of(id);
    s->choice->tools_n = nth + 1;
    send(s->w, s->choice, &event);
}

static void send_args(struct sink *s, struct mt_str text, unsigned nth)
{
    struct mt_chat_event event = {.kind = MT_EVENT_TOOL_ARGS, .tool = nth, .text = text};
    send(s->w, s->choice, &event);
}

static void on_call(void *ctx, enum mt_call_event kind, unsigned nth, struct mt_str text)
{
    if (kind == MT_CALL_NAME)
        send_call(ctx, text, nth);
    else
        send_args(ctx, text, nth);
}

static void on_delta(void *ctx, const struct mt_tmpl_delta *delta)
{
    struct sink *s = ctx;
    struct mt_str text = {delta->text.at, delta->text.len};
    struct mt_err err;

    switch (delta->kind) {
    case MT_TMPL_TEXT:
        if (mt_text_out_feed(&s->choice->text, text, &err) < 0)
            s->choice->is_out_of_memory = true;
        break;
    case MT_TMPL_REASONING:
        on_text(s, true, text, s->choice->bytes_n);
        break;
    case MT_TMPL_CALL:
        send_call(s, text, (unsigned)delta->tool);
        break;
    case MT_TMPL_ARGS:
        send_args(s, text, (unsigned)delta->tool);
        break;
    }
}

/* --- begin --- */

static struct llama_sampler *grammar(struct mt_worker *w, struct mt_choice_run *choice,
                                     const char *gbnf, struct mt_err *err)
{
    char why[192] = "";
    struct llama_sampler *made =
        gbnf != NULL ? w->ll->tmpl->grammar_new(w->vocab, gbnf, why, sizeof why)
                     : w->ll->tmpl->grammar_of(choice->reader, w->vocab, why, sizeof why);

    if (made == NULL)
        (void)MT_FAIL(err, MT_E_INVALID, "the schema makes no usable grammar: %s", why);
    return made;
}

/* A call that must come is bound to our own form, whatever the template's is: its grammar lets
 * no word stand before the call. One that may come is written in the template's form. */
static mt_rc begin_calls(struct mt_worker *w, struct mt_choice_run *choice, struct mt_err *err)
{
    const struct mt_job *job = choice->ask->job;
    bool is_forced = job->tools == MT_JOB_TOOLS_FORCED;
    struct mt_tmpl_out out;

    if (w->caps.has_tools && !is_forced) {
        MT_TRY(mt_worker__render(w, choice->ask->job, &choice->reader, &out, err));
        choice->mode = MT_CALLS_NATIVE;
        if (!out.has_grammar)
            return MT_OK;
        choice->sampler.grammar = grammar(w, choice, NULL, err);
        choice->sampler.grammar_is_on = true;
        return choice->sampler.grammar != NULL ? MT_OK : MT_E_INVALID;
    }
    choice->mode = is_forced ? MT_CALLS_OURS : MT_CALLS_MAYBE;
    choice->sampler.grammar = grammar(w, choice, job->call_grammar, err);
    choice->sampler.grammar_is_on = is_forced && choice->text.state != MT_TEXT_THINKING;
    return choice->sampler.grammar != NULL ? MT_OK : MT_E_INVALID;
}

static void begin_text(struct mt_choice_run *choice)
{
    struct mt_ask *ask = choice->ask;
    struct mt_text_out *text = &choice->text;

    *text = (struct mt_text_out){.stops = ask->stops, .stops_n = ask->stops_n, .fn = on_text};
    if (ask->job->kind == MT_JOB_CHAT) {
        bool is_known = ask->tmpl_out.think_start != NULL && *ask->tmpl_out.think_start != '\0';
        text->think_start = is_known ? mt_str_of(ask->tmpl_out.think_start) : MT_STR("<think>");
        text->think_end = is_known ? mt_str_of(ask->tmpl_out.think_end) : MT_STR("</think>");
        if (ask->tmpl_out.is_thinking)
            text->state = MT_TEXT_THINKING;
    }
    if (choice->mode == MT_CALLS_NATIVE) { /* the reader tells thinking apart */
        text->state = MT_TEXT_ANSWER;
        text->think_start = (struct mt_str){NULL, 0};
    }
    mt_text_out_init(text);
}

static uint32_t seed_of(struct mt_worker *w, const struct mt_choice_run *choice)
{
    const struct mt_opt_i64 *seed = &choice->ask->job->sampling.seed;
    return (uint32_t)(seed->has ? (uint64_t)seed->value + choice->index : next_random(w));
}

mt_rc mt_choice__begin(struct mt_worker *w, struct mt_choice_run *choice, struct mt_err *err)
{
    const struct mt_job *job = choice->ask->job;

    choice->batch_at = -1;
    mt_buf_init(&choice->answer, ANSWER_MAX);
    mt_call_out_init(&choice->calls, on_call, NULL);
    MT_TRY(mt_sampler__begin(w, job, seed_of(w, choice), &choice->sampler, err));
    begin_text(choice);
    if (job->call_grammar != NULL) {
        MT_TRY(begin_calls(w, choice, err));
        if (choice->mode == MT_CALLS_NATIVE)
            begin_text(choice);
    } else if (job->grammar != NULL) {
        choice->sampler.grammar = grammar(w, choice, job->grammar, err);
        if (choice->sampler.grammar == NULL)
            return MT_E_INVALID;
        choice->sampler.grammar_is_on = choice->text.state != MT_TEXT_THINKING;
    }
    return MT_OK;
}

void mt_choice__fini(struct mt_worker *w, struct mt_choice_run *choice)
{
    mt_slot__release(w, choice);
    mt_sampler__fini(w, &choice->sampler);
    mt_text_out_fini(&choice->text);
    mt_call_out_fini(&choice->calls);
    mt_buf_fini(&choice->answer);
    mt_free(choice->pending);
    choice->pending = NULL;
    choice->pending_n = choice->pending_cap = 0;
    if (choice->reader != NULL)
        w->ll->tmpl->prompt_free(choice->reader);
    choice->reader = NULL;
    choice->state = MT_CHOICE_DONE;
}

/* --- speaking --- */

static mt_rc feed_reader(struct sink *s, bool is_end, struct mt_err *err)
{
    struct mt_choice_run *choice = s->choice;
    struct mt_str all = mt_buf_str(&choice->answer);
    struct mt_tmpl_text text = {all.at, is_end ? all.len : mt_str_utf8_whole(all)};
    char why[160] = "";

    MT_TRY(mt_buf_check(&choice->answer, "an answer with tools", err));
    if (text.len == 0)
        return MT_OK;
    bool is_read =
        s->w->ll->tmpl->read(choice->reader, text, !is_end, on_delta, s, why, sizeof why);
    if (!is_read && is_end) /* cut off inside a call: what was told stands */
        return MT_OK;
    return MT_OK;
}

/* The first visible character of an answer that may be a tool call decides what it is; thinking
 * may come before. */
static mt_rc decide(struct sink *s, struct mt_str piece, llama_token token, struct mt_err *err)
{
    struct mt_choice_run *choice = s->choice;
    struct mt_str seen;

    mt_buf_add(&choice->answer, piece);
    MT_TRY(mt_buf_check(&choice->answer, "an answer", err));
    seen = mt_str_trim(mt_buf_str(&choice->answer));
    if (seen.len == 0)
        return MT_OK;
    if (seen.at[0] == '{' && mt_text_out_is_empty(&choice->text) &&
        mt_sampler__try_grammar(s->w, &choice->sampler, token)) {
        choice->mode = MT_CALLS_OURS;
        choice->sampler.grammar_is_on = true;
        return mt_call_out_feed(&choice->calls, seen, err);
    }
    MT_TRY(mt_text_out_feed(&choice->text, mt_buf_str(&choice->answer), err));
    mt_buf_clear(&choice->answer);
    if (choice->text.state == MT_TEXT_ANSWER)
        choice->mode = MT_CALLS_NONE;
    return MT_OK;
}

/* Bytes of a token on their way. */
static mt_rc feed(struct sink *s, struct mt_str piece, llama_token token, struct mt_err *err)
{
    struct mt_choice_run *choice = s->choice;
    bool was_thinking = choice->text.state == MT_TEXT_THINKING;

    choice->text.ctx = s;
    choice->calls.ctx = s;
    choice->bytes_n += piece.len;
    if (choice->mode == MT_CALLS_NATIVE) {
        mt_buf_add(&choice->answer, piece);
        return feed_reader(s, false, err);
    }
    if (choice->mode == MT_CALLS_OURS && !was_thinking)
        return mt_call_out_feed(&choice->calls, piece, err);
    if (choice->mode == MT_CALLS_MAYBE && !was_thinking)
        return decide(s, piece, token, err);
    MT_TRY(mt_text_out_feed(&choice->text, piece, err));
    bool has_thought = was_thinking && choice->text.state != MT_TEXT_THINKING;
    if (has_thought && choice->sampler.grammar != NULL && choice->mode != MT_CALLS_MAYBE)
        choice->sampler.grammar_is_on = true;
    return MT_OK;
}

static void finish(struct sink *s, enum mt_finish how)
{
    struct mt_choice_run *choice = s->choice;
    struct mt_chat_event event = {.kind = MT_EVENT_FINISH, .finish = how};
    struct mt_err err;
    mt_rc rc = MT_OK;

    choice->text.ctx = s;
    choice->calls.ctx = s;
    if (choice->mode == MT_CALLS_NATIVE)
        rc = feed_reader(s, true, &err);
    if (rc == MT_OK)
        rc = mt_text_out_finish(&choice->text, &err);
    if (rc < 0)
        choice->is_out_of_memory = true;
    send_text(s->w, choice, (struct mt_str){NULL, 0}, choice->bytes_n);
    if (choice->is_out_of_memory) /* an answer with a hole is none */
        return;
    if (choice->tools_n > 0 && how == MT_FINISH_STOP)
        event.finish = MT_FINISH_TOOL_CALLS;
    if (choice->text.stopped_by.at != NULL && how == MT_FINISH_STOP)
        event.stop_sequence = choice->text.stopped_by;
    send(s->w, choice, &event);
    if (!choice->is_out_of_memory)
        mt_ask__choice_done(s->w, choice);
}

static bool keep_logprob(struct mt_worker *w, struct mt_choice_run *choice, const float *logits,
                         llama_token token, size_t piece_bytes)
{
    const struct mt_job *job = choice->ask->job;

    if (choice->pending_n == choice->pending_cap) {
        size_t cap = choice->pending_cap > 0 ? choice->pending_cap * 2 : 8;
        struct mt_pending_token *grown = mt_realloc(choice->pending, cap, sizeof *grown);
        if (grown == NULL)
            return false;
        choice->pending = grown;
        choice->pending_cap = cap;
    }
    struct mt_pending_token *to = &choice->pending[choice->pending_n++];
    to->end = choice->bytes_n + piece_bytes;
    mt_sampler__logprobs(w, logits, token, job->top_logprobs, to);
    return true;
}

/* Tokens that may still be spoken. */
static int64_t left_of(const struct mt_worker *w, const struct mt_choice_run *choice)
{
    const struct mt_job *job = choice->ask->job;
    int64_t room = w->facts.context_tokens - (int64_t)choice->slot->cells_n;
    int64_t most = job->max_tokens >= 0 ? job->max_tokens - choice->spoken_n : room;

    return most < room ? most : room;
}

/* A bound answer that nears its last token is brought to its end. What a template's own form
 * of calls looks like is not known here. */
static const struct mt_closing *closing_of(const struct mt_worker *w,
                                           const struct mt_choice_run *choice)
{
    int64_t left = left_of(w, choice);
    int64_t margin = (left + choice->spoken_n) / 8;

    if (!choice->sampler.grammar_is_on || choice->mode == MT_CALLS_NATIVE)
        return NULL;
    margin = margin < CLOSING_MIN ? CLOSING_MIN : margin > CLOSING_MAX ? CLOSING_MAX : margin;
    return left <= margin + mt_closing_need(&choice->closing) ? &choice->closing : NULL;
}

void mt_choice__echo(struct mt_worker *w, struct mt_choice_run *choice, struct mt_str text)
{
    struct mt_chat_event event = {.kind = MT_EVENT_TEXT, .text = text};
    send(w, choice, &event);
}

/* No token can follow. */
static mt_rc stuck(struct sink *s, struct mt_err *err)
{
    const struct mt_choice_run *choice = s->choice;

    if (choice->sampler.grammar_is_on && choice->closing.has_begun &&
        mt_closing_need(&choice->closing) == 0) {
        finish(s, MT_FINISH_STOP); /* a vocabulary without an end */
        return MT_OK;
    }
    return MT_FAIL(err, MT_E_CORRUPT, "'%s' has no token that may follow here", s->w->name);
}

static mt_rc speak(struct sink *s, const float *logits, struct mt_err *err)
{
    struct mt_worker *w = s->w;
    struct mt_choice_run *choice = s->choice;
    char text[MT_TOKEN_BYTES_MAX];
    enum mt_call_mode was = choice->mode;
    bool was_bound = choice->sampler.grammar_is_on;
    llama_token token = mt_sampler__choose(w, &choice->sampler, logits, closing_of(w, choice));

    if (token < 0)
        return stuck(s, err);
    if (w->ll->llama_vocab_is_eog(w->vocab, token)) {
        finish(s, MT_FINISH_STOP);
        return MT_OK;
    }
    /* a template's own marks (<tool_call>) may be special tokens: its reader wants to see them,
     * and a grammar has */
    bool with_special = choice->mode == MT_CALLS_NATIVE || was_bound;
    struct mt_str piece = {text, mt_worker__piece(w, token, with_special, text, sizeof text)};
    choice->spoken_n++;
    if (choice->text.state == MT_TEXT_THINKING)
        choice->reasoning_n++;
    bool is_kept = !choice->ask->job->logprobs || choice->mode == MT_CALLS_OURS ||
                   keep_logprob(w, choice, logits, token, piece.len);
    if (!is_kept)
        return MT_FAIL(err, MT_E_NOMEM, "out of memory");
    MT_TRY(feed(s, piece, token, err));
    if (was_bound || (was == MT_CALLS_MAYBE && choice->mode == MT_CALLS_OURS))
        mt_closing_feed(&choice->closing, piece);
    choice->next = token;
    if (choice->text.stopped_by.at != NULL)
        finish(s, MT_FINISH_STOP);
    else if (left_of(w, choice) <= 0)
        finish(s, MT_FINISH_LENGTH);
    return MT_OK;
}

void mt_choice__step(struct mt_worker *w, struct mt_choice_run *choice)
{
    struct sink s = {w, choice};
    struct mt_err err = {0};
    const struct mt_job *job = choice->ask->job;
    const float *logits = w->ll->llama_get_logits_ith(w->ctx, choice->batch_at);
    mt_rc rc = MT_OK;

    choice->batch_at = -1;
    choice->state = MT_CHOICE_SPEAKS;
    if (logits == NULL)
        choice->is_out_of_memory = true;
    else if (job->max_tokens == 0)
        finish(&s, MT_FINISH_LENGTH);
    else
        rc = speak(&s, logits, &err);
    if (choice->is_out_of_memory || rc == MT_E_NOMEM)
        mt_ask__fail(w, choice->ask, &mt_job_out_of_memory);
    else if (rc < 0)
        mt_ask__fail_err(w, choice->ask, &err);
}
