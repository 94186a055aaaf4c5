/* SPDX-License-Identifier: Apache-2.0 */
/* The fast lane: the endpoint's bytes go to the client as they are and are only metered. */
#include <string.h>

#include "gateway_priv.h"

static void on_head(void *ctx, int status, struct mt_str content_type, bool is_stream)
{
    struct leg *leg = ctx;
    struct ask *ask = leg->ask;

    (void)status; /* 2xx: others come as failures */
    if (ask->winner == NULL) {
        ask->winner = leg;
        ask_stop_other_legs(ask, leg);
    }
    ask->is_forward_stream = is_stream;
    ask->content_type = mt_arena_str(&ask->s->arena, content_type);
}

static const char *content_type_of(const struct ask *ask)
{
    return ask->content_type.len > 0 ? ask->content_type.at : "application/json";
}

static void fail_leg(struct leg *leg, const char *text)
{
    const struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_UPSTREAM, .message = mt_str_of(text), .retry_after_ms = -1};
    const struct mt_engine_end end = {.error = &error, .was_sent = true};

    ask_leg_failed(leg, &end);
}

/* Of a whole answer. One that is too long is not read to its end. */
static void add_piece(struct leg *leg, struct mt_str bytes)
{
    struct ask *ask = leg->ask;
    struct mt_err err = {0};

    mt_buf_add(&ask->whole, bytes);
    if (mt_buf_check(&ask->whole, "answer", &err) == MT_OK)
        return;
    ask_engine(ask, leg->target)->ops->cancel(MT_MOVE(leg->run));
    fail_leg(leg, err.text);
}

/* From here on nothing can be asked again, so nobody needs the request any more. */
static void begin(struct ask *ask)
{
    ask_begin_bytes(ask, content_type_of(ask));
    ask->body = (struct mt_str){NULL, 0};
    mt_buf_fini(&ask->s->body);
}

static void on_frame(void *ctx, const struct mt_frame *frame)
{
    struct leg *leg = ctx;
    struct ask *ask = leg->ask;
    struct mt_gateway *gw = ask->s->gw;

    if (!ask->is_forward_stream) {
        add_piece(leg, frame->raw);
        return;
    }
    mt_arena_clear(gw->scratch.arena);
    enum mt_meter_verdict verdict =
        ask->codec->meter_frame(&ask->meter, frame, ask->peek.stream_usage, &gw->scratch);
    ask->own_tokens = ask->meter.deltas_n;
    if (verdict == MT_METER_HIDE)
        return;
    if (!ask->s->is_answered)
        begin(ask);
    if (!ask->is_answering &&
        ask->request == NULL) { /* nothing is tried again: the body has served */
        gateway_freed(gw, ask->s->body.len);
        mt_buf_fini(&ask->s->body);
        ask->body = (struct mt_str){NULL, 0};
    }
    ask->is_answering = true;
    ask->frames_n++;
    ask_send_raw(ask, verdict == MT_METER_REPLACE ? ask->meter.replacement : frame->raw);
}

static void take_meter(struct ask *ask)
{
    if (ask->meter.has_usage) {
        ask->usage = ask->meter.usage;
        ask->has_usage = true;
        return;
    }
    ask->usage = (struct mt_usage){
        .input_tokens = ask->reply.input_tokens,
        .output_tokens = ask->own_tokens,
        .is_estimate = true,
    };
    ask->has_usage = true;
}

static void end_stream(struct leg *leg)
{
    struct ask *ask = leg->ask;

    if (!ask->meter.is_finished && !ask->meter.has_error) {
        fail_leg(leg, "the endpoint's stream ended before the answer was complete");
        return;
    }
    if (!ask->s->is_answered)
        ask_begin_bytes(ask, content_type_of(ask));
    take_meter(ask);
    ask_leg_ok(leg);
    ask_finish(ask, ask->meter.has_error ? MT_OUTCOME_UPSTREAM_ERROR : MT_OUTCOME_OK, 200);
    mt_http_finish(ask->s->x);
}

static void end_whole(struct leg *leg)
{
    struct ask *ask = leg->ask;
    struct session *s = ask->s;
    const struct mt_json *root;
    struct mt_err err = {0};

    if (mt_buf_check(&ask->whole, "answer", &err) != MT_OK ||
        gateway_parse(s->gw, mt_buf_str(&ask->whole), &root, &err) != MT_OK) {
        fail_leg(leg, err.text);
        return;
    }
    ask->codec->meter_answer(&ask->meter, root);
    ask->own_tokens = (int64_t)ask->whole.len / 4;
    take_meter(ask);
    ask_leg_ok(leg);
    ask_whole_headers(ask);
    ask_finish(ask, ask->meter.has_error ? MT_OUTCOME_UPSTREAM_ERROR : MT_OUTCOME_OK, 200);
    bill_cost_header(s);
    session_conclude(s, content_type_of(ask), &ask->whole);
}

static void on_end(void *ctx, const struct mt_engine_end *end)
{
    struct leg *leg = ctx;

    leg->run = NULL;
    if (!end->is_ok) {
        ask_leg_failed(leg, end); /* what was sent on counts as far as it was metered */
    } else if (leg->ask->is_forward_stream) {
        end_stream(leg);
    } else {
        end_whole(leg);
    }
}

const struct mt_engine_sink_ops forward_sink = {
    .on_head = on_head, .on_frame = on_frame, .on_end = on_end};
