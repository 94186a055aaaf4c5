/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical events on their way to the client: metered, kept if they must be, encoded in the
 * client's dialect as a stream or as one whole answer. */
#include "gateway_priv.h"

enum { BYTES_PER_TOKEN = 4, LAST_BYTES_MAX = 64 * 1024 * 1024, OUT_KEEP_BYTES = 256 * 1024 };

static bool is_content(enum mt_event_kind kind)
{
    switch (kind) {
    case MT_EVENT_TEXT:
    case MT_EVENT_REASONING:
    case MT_EVENT_SIGNATURE:
    case MT_EVENT_REFUSAL:
    case MT_EVENT_MEDIA:
    case MT_EVENT_TOOL_CALL:
    case MT_EVENT_TOOL_ARGS:
    case MT_EVENT_FINISH:
        return true;
    case MT_EVENT_START:
    case MT_EVENT_USAGE:
    case MT_EVENT_END:
    case MT_EVENT_ERROR:
    case MT_EVENT_PING:
        return false;
    }
    return false;
}

/* ------------------------------------------------------------------ the stream */

static void answer_headers(struct ask *ask)
{
    struct session *s = ask->s;
    size_t target = ask->winner != NULL ? ask->winner->target : 0;

    session_common_headers(s);
    if (ask->winner != NULL)
        mt_http_set_header(s->x, "x-motet-route",
                           board_target_name(s->board, &ask->plan.targets[target], &s->arena));
    if (ask->notes.text.len > 0)
        mt_http_set_header(s->x, "x-motet-warning", mt_buf_str(&ask->notes.text));
    if (ask->is_from_cache)
        mt_http_set_header(s->x, "x-motet-cache", MT_STR("hit"));
}

static void push(struct ask *ask, struct mt_str bytes)
{
    struct session *s = ask->s;

    if (bytes.len == 0)
        return;
    s->last_sent_ms = mt_loop_now_ms(s->gw->deps.loop);
    if (mt_http_send(s->x, bytes) != MT_HTTP_PAUSE)
        return;
    s->is_paused = true; /* whoever runs now, even when another one was told before */
    if (ask->winner != NULL && ask->winner->run != NULL)
        ask_engine(ask, ask->winner->target)->ops->pause(ask->winner->run);
}

void ask_send_raw(struct ask *ask, struct mt_str bytes)
{
    push(ask, bytes);
}

void ask_send_event(struct ask *ask, const struct mt_chat_event *event)
{
    struct mt_buf *out = &ask->s->gw->out;

    mt_buf_clear(out);
    ask->codec->encode_event(ask->encoder, event, out);
    if (mt_buf_check(out, "event", NULL) == MT_OK)
        push(ask, mt_buf_str(out));
    else
        mt_http_abort(ask->s->x); /* the client must not take a torn stream for a whole one */
    if (out->len > OUT_KEEP_BYTES)
        mt_buf_fini(out); /* one huge event is no reason to hold as much for ever */
}

void ask_whole_headers(struct ask *ask)
{
    answer_headers(ask);
    ask->s->is_answered = true;
    ask->s->first_byte_ns = mt_loop_clock_ns();
}

/* The status line and what every stream begins with. */
void ask_begin_bytes(struct ask *ask, const char *content_type)
{
    struct session *s = ask->s;

    answer_headers(ask);
    mt_http_set_header(s->x, "cache-control", MT_STR("no-cache"));
    mt_http_begin(s->x, 200, content_type);
    s->is_answered = true;
    s->is_streaming = true;
    s->first_byte_ns = mt_loop_clock_ns();
    s->last_sent_ms = mt_loop_now_ms(s->gw->deps.loop);
}

mt_rc ask_begin_stream(struct ask *ask, struct mt_err *err)
{
    struct mt_chat_event start = {.kind = MT_EVENT_START};

    MT_TRY(ask->codec->encoder_new(&ask->reply, &ask->s->arena, &ask->encoder, err));
    ask_begin_bytes(ask, ask_stream_content_type(ask));
    start.id = ask->reply.id;
    start.model = ask->reply.model;
    start.usage.input_tokens = ask->reply.input_tokens;
    ask_send_event(ask, &start);
    return MT_OK;
}

void ask_stream_error(struct ask *ask, const struct mt_chat_error *error)
{
    const struct mt_chat_event event = {.kind = MT_EVENT_ERROR, .error = error};

    ask->reply.events_sent_n = ask->frames_n;
    if (ask->s->is_streaming) {
        if (ask->encoder == NULL && /* FORWARD lane: only its way to fail is needed */
            ask->codec->encoder_new(&ask->reply, &ask->s->arena, &ask->encoder, NULL) !=
                MT_OK) {
            mt_http_abort(ask->s->x);
            return;
        }
        ask_send_event(ask, &event);
        mt_http_finish(ask->s->x);
    }
}

/* ------------------------------------------------------------------ metering */

static struct mt_usage own_usage(const struct ask *ask)
{
    return (struct mt_usage){
        .input_tokens = ask->reply.input_tokens,
        .output_tokens = ask->own_tokens,
        .is_estimate = true,
    };
}

static void count_content(struct ask *ask, const struct mt_chat_event *event)
{
    int64_t by_bytes;

    ask->text_bytes += (int64_t)event->text.len;
    if (event->kind == MT_EVENT_FINISH || event->kind == MT_EVENT_SIGNATURE)
        return;
    ask->own_tokens += event->logprobs_n > 0 ? (int64_t)event->logprobs_n : 1;
    by_bytes = ask->text_bytes / BYTES_PER_TOKEN;
    if (by_bytes > ask->own_tokens)
        ask->own_tokens = by_bytes;
}

/* The budget is spent: stop the work upstream and end the answer as if it had reached its
 * maximum of tokens. */
static void cut(struct ask *ask)
{
    unsigned n = ask->peek.n > 1 ? ask->peek.n : 1;
    struct mt_chat_event event = {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_BUDGET};

    ask_stop_other_legs(ask, NULL);
    for (unsigned i = 0; i < n; i++) {
        event.choice = i;
        (void)ask_keep(ask, &event,
                       NULL); /* what cannot be kept is missing from a stored answer */
    }
    ask->was_cut = true;
    ask_end_ok(ask);
}

/* Keep and send one event. */
mt_rc ask_keep(struct ask *ask, const struct mt_chat_event *event, struct mt_err *err)
{
    if (ask->is_taping)
        mt_tape_record(&ask->tape, event);
    if (ask->collector != NULL)
        MT_TRY(mt_collector_add(ask->collector, event, err));
    if (ask->peek.stream)
        ask_send_event(ask, event);
    return MT_OK;
}

static void note_usage(struct ask *ask, struct mt_usage usage)
{
    ask->usage = usage;
    ask->has_usage = true;
}

mt_rc ask_deliver(struct ask *ask, const struct mt_chat_event *event, struct mt_err *err)
{
    if (event->kind == MT_EVENT_START) {
        if (event->usage.input_tokens > 0)
            ask->reply.input_tokens = event->usage.input_tokens;
        return MT_OK;
    }
    if (event->kind == MT_EVENT_USAGE)
        note_usage(ask, event->usage);
    if (!is_content(event->kind))
        return MT_OK; /* usage and the end are told by ask_end_ok */
    ask->is_answering = ask->peek.stream;
    if (ask->peek.stream && !ask->s->is_answered)
        MT_TRY(ask_begin_stream(ask, err));
    int64_t tokens = ask->own_tokens;
    count_content(ask, event);
    if (event->kind != MT_EVENT_TEXT || event->choice > 0)
        ask->is_beyond_text = true;
    else if (ask->policy.can_continue)
        mt_buf_add(&ask->said, event->text);
    if (ask->said.rc != MT_OK)
        ask->is_beyond_text = true; /* nobody could be told all of it */
    if (ask->s->bill.may_cut && !bill_allows(ask->s, ask->own_tokens)) {
        ask->own_tokens = tokens; /* this piece is beyond the budget: nobody gets it */
        cut(ask);
        return MT_FAIL(err, MT_E_BUDGET, "the budget is spent");
    }
    return ask_keep(ask, event, err);
}

/* ------------------------------------------------------------------ the end */

static void end_whole(struct ask *ask)
{
    struct session *s = ask->s;
    const struct mt_chat_answer *answer;
    struct mt_err err = {0};
    MT_CLEANUP(mt_buf_fini)
    struct mt_buf body = MT_BUF_INIT((size_t)s->board->config->answer_bytes_max);

    if (mt_collector_answer(ask->collector, &answer, &err) == MT_OK) {
        struct mt_chat_answer whole = *answer;
        whole.usage = ask->usage;
        ask->codec->encode_answer(&ask->reply, &whole, &body);
    }
    if (err.rc == MT_OK)
        (void)mt_buf_check(&body, "answer", &err);
    if (err.rc < 0) {
        const struct mt_chat_error error = {.kind = mt_chat_error_kind_of(err.rc),
                                            .message = mt_str_of(err.text),
                                            .retry_after_ms = -1};
        ask_fail(ask, &error);
        return;
    }
    responses_keep(ask, mt_buf_str(&body));
    ask_whole_headers(ask);
    ask_finish(ask,
               ask->was_cut         ? MT_OUTCOME_BUDGET_CUT
               : ask->is_from_cache ? MT_OUTCOME_CACHE_HIT
                                    : MT_OUTCOME_OK,
               200);
    bill_cost_header(s);
    session_conclude(s, "application/json", &body);
}

static void keep_stored_stream(struct ask *ask)
{
    const struct mt_chat_answer *answer;
    MT_CLEANUP(mt_buf_fini)
    struct mt_buf body = MT_BUF_INIT((size_t)ask->s->board->config->answer_bytes_max);

    if (!ask->is_stored || mt_collector_answer(ask->collector, &answer, NULL) != MT_OK)
        return;
    struct mt_chat_answer whole = *answer;
    whole.usage = ask->usage;
    ask->codec->encode_answer(&ask->reply, &whole, &body);
    if (mt_buf_check(&body, "answer", NULL) == MT_OK)
        responses_keep(ask, mt_buf_str(&body));
}

static void end_stream(struct ask *ask)
{
    const struct mt_chat_event usage = {.kind = MT_EVENT_USAGE, .usage = ask->usage};
    const struct mt_chat_event end = {.kind = MT_EVENT_END};
    struct mt_buf last;
    struct mt_err err = {0};

    if (!ask->s->is_answered && ask_begin_stream(ask, &err) != MT_OK) {
        const struct mt_chat_error error = {
            .kind = MT_CHAT_ERR_INTERNAL, .message = mt_str_of(err.text), .retry_after_ms = -1};
        ask_fail(ask, &error);
        return;
    }
    keep_stored_stream(ask);
    ask_send_event(ask, &usage);
    ask_finish(ask,
               ask->was_cut         ? MT_OUTCOME_BUDGET_CUT
               : ask->is_from_cache ? MT_OUTCOME_CACHE_HIT
                                    : MT_OUTCOME_OK,
               200);
    mt_buf_init(&last, LAST_BYTES_MAX);
    ask->codec->encode_event(ask->encoder, &end, &last);
    if (mt_buf_check(&last, "event", NULL) == MT_OK)
        session_conclude(ask->s, NULL, &last);
    else
        mt_http_abort(ask->s->x);
    mt_buf_fini(&last);
}

void ask_end_ok(struct ask *ask)
{
    if (!ask->has_usage)
        note_usage(ask, own_usage(ask));
    cache_keep(ask);
    if (ask->peek.stream)
        end_stream(ask);
    else
        end_whole(ask);
}

/* ------------------------------------------------------------------ the sink */

/* Two legs may run: what they say before an answer concerns the one that will win. */
static void note_early(struct leg *leg, const struct mt_chat_event *event)
{
    if (event->kind == MT_EVENT_START && event->usage.input_tokens > 0)
        leg->input_tokens = event->usage.input_tokens;
    if (event->kind != MT_EVENT_USAGE)
        return;
    leg->usage = event->usage;
    leg->has_usage = true;
}

static void win(struct leg *leg)
{
    struct ask *ask = leg->ask;

    ask->winner = leg;
    ask_stop_other_legs(ask, leg);
    if (leg->input_tokens > 0)
        ask->reply.input_tokens = leg->input_tokens;
    if (leg->has_usage)
        note_usage(ask, leg->usage);
}

static mt_rc on_event(void *ctx, const struct mt_chat_event *event, struct mt_err *err)
{
    struct leg *leg = ctx;
    struct ask *ask = leg->ask;

    if (ask->winner == NULL && !is_content(event->kind)) {
        note_early(leg, event);
        return MT_OK;
    }
    if (ask->winner == NULL)
        win(leg);
    mt_rc rc = ask_deliver(ask, event, err);
    if (rc == MT_OK || ask->is_over)
        return rc;
    const struct mt_chat_error error = {.kind = mt_chat_error_kind_of(rc),
                                        .message =
                                            mt_str_of(err != NULL ? err->text : "failed"),
                                        .retry_after_ms = -1};
    leg->run = NULL; /* refusing an event cancels the run */
    ask_leg_drop(leg);
    ask_fail(ask, &error);
    return rc;
}

static void on_end(void *ctx, const struct mt_engine_end *end)
{
    struct leg *leg = ctx;
    struct ask *ask = leg->ask;

    leg->run = NULL;
    if (!end->is_ok) {
        ask_leg_failed(leg, end);
        return;
    }
    if (ask->winner == NULL)
        win(leg);
    ask_leg_ok(leg);
    ask_end_ok(ask);
}

const struct mt_engine_sink_ops events_sink = {.on_event = on_event, .on_end = on_end};
