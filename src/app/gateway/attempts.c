/* SPDX-License-Identifier: Apache-2.0 */
/* The attempts of an ask: which engine next, in which lane, after how long; hedging; giving up.
 */
#include "gateway_priv.h"

enum { FORWARD_SLACK = 256 }; /* a longer model name, usage asked for */

/* ------------------------------------------------------------------ targets */

struct mt_engine *ask_engine(const struct ask *ask, size_t target)
{
    const struct board *board = ask->s->board;
    int endpoint = ask->plan.targets[target].endpoint;

    return endpoint == MT_ROUTE_LOCAL ? board->local : board->endpoints[endpoint].engine;
}

static struct board_endpoint *endpoint_of(const struct ask *ask, size_t target)
{
    int endpoint = ask->plan.targets[target].endpoint;

    return endpoint == MT_ROUTE_LOCAL ? NULL : &ask->s->board->endpoints[endpoint];
}

/* Bytes pass unread when both sides speak the same dialect and nothing of ours has to look into
 * the answer: no cut that a budget may need, no cache, no stream that may continue elsewhere.
 */
enum mt_lane ask_lane_for(const struct ask *ask, size_t target)
{
    const struct board_endpoint *endpoint = endpoint_of(ask, target);

    if (endpoint == NULL || endpoint->dialect != ask->codec->dialect ||
        ask->codec->forward_body == NULL || ask->peek.needs_canonical)
        return MT_LANE_EVENTS;
    if (ask->policy.can_continue || ask->is_taping || ask->is_stored)
        return MT_LANE_EVENTS;
    if (ask->encoder != NULL) /* a ping has begun the answer in our words */
        return MT_LANE_EVENTS;
    bool must_look =
        ask->s->bill.may_cut || (ask->peek.stream && ask->s->board->config->strict_sync);

    return must_look ? MT_LANE_EVENTS : MT_LANE_FORWARD;
}

/* ------------------------------------------------------------------ legs */

struct leg *ask_leg_take(struct ask *ask, size_t target)
{
    for (size_t i = 0; i < ASK_LEGS; i++) {
        struct leg *leg = &ask->legs[i];
        if (leg->is_in_use)
            continue;
        *leg = (struct leg){.ask = ask, .target = target, .is_in_use = true};
        leg->lane = ask_lane_for(ask, target);
        leg->began_ns = mt_loop_clock_ns();
        if (endpoint_of(ask, target) != NULL) {
            endpoint_of(ask, target)->active_n++;
            endpoint_of(ask, target)->tries_n++;
        }
        return leg;
    }
    mt_assert_fail("an ask has a free leg", __FILE__, __LINE__);
}

static void leg_release(struct leg *leg)
{
    struct board_endpoint *endpoint = endpoint_of(leg->ask, leg->target);

    if (endpoint != NULL)
        endpoint->active_n--;
    leg->run = NULL;
    leg->is_in_use = false;
}

void ask_stop_other_legs(struct ask *ask, const struct leg *winner)
{
    for (size_t i = 0; i < ASK_LEGS; i++) {
        struct leg *leg = &ask->legs[i];
        if (leg == winner || !leg->is_in_use)
            continue;
        struct mt_engine_run *run = leg->run;
        ask_leg_drop(leg);
        if (run != NULL)
            ask_engine(ask, leg->target)->ops->cancel(run);
    }
}

static size_t legs_n(const struct ask *ask)
{
    size_t n = 0;

    for (size_t i = 0; i < ASK_LEGS; i++)
        n += ask->legs[i].is_in_use;
    return n;
}

int64_t ask_left_ms(const struct ask *ask)
{
    int64_t left =
        mt_attempt_left_ms(&ask->attempt, &ask->policy, mt_loop_now_ms(ask->s->gw->deps.loop));

    return left == INT64_MAX ? 0 : left > 0 ? left : 1;
}

static mt_rc make_forward(struct ask *ask, size_t target, struct mt_err *err)
{
    const struct mt_json *root;
    struct mt_str model = ask->plan.targets[target].model;

    MT_TRY(ask_root(ask, &root, err));
    mt_buf_clear(&ask->forward_body);
    (void)mt_buf_reserve(&ask->forward_body, ask->body.len + FORWARD_SLACK);
    mt_buf_clear(&ask->forward_path);
    ask->codec->forward_body(root, ask->body, model, &ask->forward_body);
    ask->codec->forward_path(&ask->peek, model, &ask->forward_path);
    MT_TRY(mt_buf_check(&ask->forward_body, "request", err));
    return mt_buf_check(&ask->forward_path, "path", err);
}

static mt_rc leg_start(struct leg *leg, struct mt_err *err)
{
    struct ask *ask = leg->ask;
    struct mt_engine *engine = ask_engine(ask, leg->target);

    if (engine == NULL)
        return MT_FAIL(
            err, MT_E_NOTFOUND,
            "local models cannot run here: llama.cpp was not found when motet was built");
    if (leg->lane == MT_LANE_FORWARD)
        MT_TRY(make_forward(ask, leg->target, err));
    else
        MT_TRY(ask_decode(ask, err));
    const struct mt_engine_call call = {
        .lane = leg->lane,
        .request = ask->request,
        .model = ask->plan.targets[leg->target].model,
        .forward_body = &ask->forward_body,
        .forward_path = mt_buf_str(&ask->forward_path),
        .caller_headers = ask->caller_headers,
        .is_stream = ask->peek.stream,
        .request_id = ask->s->request_id,
        .total_timeout_ms = ask_left_ms(ask),
        .notes = &ask->notes,
        .sink = leg->lane == MT_LANE_FORWARD ? &forward_sink : &events_sink,
        .sink_ctx = leg,
    };
    return engine->ops->start(engine, &call, &leg->run, err);
}

/* ------------------------------------------------------------------ trying */

static void act_on(struct ask *ask, const struct mt_attempt_next *next);

static void keep_error(struct ask *ask, const struct mt_chat_error *error)
{
    struct mt_arena *arena = &ask->s->arena;

    ask->is_limit = false;
    ask->last_error = *error;
    ask->last_error.message = mt_arena_str(arena, error->message);
    ask->last_error.code = mt_arena_str(arena, error->code);
    ask->last_error.param = mt_arena_str(arena, error->param);
}

/* One attempt is under way, has said nothing, and there is somebody else to ask. */
static bool may_hedge(const struct ask *ask)
{
    return legs_n(ask) == 1 && ask->winner == NULL &&
           ask->attempt.target + 1 < ask->attempt.targets_n;
}

static void retry_now(void *arg)
{
    struct ask *ask = arg;

    if (!ask->is_hedge_armed) {
        ask_begin_attempt(ask, ask->attempt.target);
        return;
    }
    ask->is_hedge_armed = false;
    if (may_hedge(ask)) {
        struct mt_attempt_next next = mt_attempt_skip(&ask->attempt);
        act_on(ask, &next);
    }
}

static mt_rc wait_ms(struct ask *ask, int64_t ms, struct mt_err *err)
{
    if (ask->retry == NULL)
        MT_TRY(mt_timer_new(ask->s->gw->deps.loop, retry_now, ask, &ask->retry, err));
    mt_timer_start(ask->retry, ms);
    return MT_OK;
}

static void arm_hedge(struct ask *ask)
{
    int64_t after_ms = ask->policy_of != NULL ? ask->policy_of->hedge_after_ms : 0;

    if (after_ms > 0 && may_hedge(ask))
        ask->is_hedge_armed = wait_ms(ask, after_ms, NULL) == MT_OK;
}

static void resting(struct ask *ask, const struct board_endpoint *endpoint)
{
    int64_t now_ms = mt_loop_now_ms(ask->s->gw->deps.loop);
    struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_OVERLOADED,
        .retry_after_ms = mt_breaker_wait_ms(&endpoint->breaker, now_ms),
    };

    error.message =
        mt_arena_printf(&ask->s->arena, "endpoint '%.*s' keeps failing and is left alone",
                        MT_STR_ARG(endpoint->name));
    keep_error(ask, &error);
}

/* A limit of the models behind the target says no. Of several, the caller hears of the one
 * that lets go first. */
static void over_limit(struct ask *ask, const struct mt_chat_error *why)
{
    int64_t before_ms = ask->is_limit ? ask->last_error.retry_after_ms : -1;

    if (before_ms < 0 || (why->retry_after_ms >= 0 && why->retry_after_ms < before_ms))
        keep_error(ask, why);
    ask->is_limit = true;
}

/* Has the endpoint room, and is it well? */
static bool endpoint_takes(struct ask *ask, size_t target)
{
    struct board_endpoint *endpoint = endpoint_of(ask, target);

    if (endpoint == NULL)
        return true;
    const struct mt_config *config = ask->s->board->config;
    const struct mt_breaker_policy policy = {config->breaker_failures, config->breaker_open_ms};

    if (endpoint->config->concurrent_max > 0 &&
        endpoint->active_n >= endpoint->config->concurrent_max) {
        struct mt_chat_error error = {.kind = MT_CHAT_ERR_OVERLOADED, .retry_after_ms = 1000};
        error.message = mt_arena_printf(
            &ask->s->arena, "endpoint '%.*s' has its limit of %lld requests",
            MT_STR_ARG(endpoint->name), (long long)endpoint->config->concurrent_max);
        keep_error(ask, &error);
        return false;
    }
    if (mt_breaker_pass(&endpoint->breaker, &policy, mt_loop_now_ms(ask->s->gw->deps.loop)))
        return true;
    resting(ask, endpoint);
    return false;
}

bool ask_may_pass(struct ask *ask, size_t target)
{
    struct mt_chat_error why = {.retry_after_ms = -1};

    if (!bill_join(ask->s, target, &why)) {
        over_limit(ask, &why);
        return false;
    }
    if (endpoint_takes(ask, target))
        return true;
    bill_unjoin(ask->s, target);
    return false;
}

void ask_begin_attempt(struct ask *ask, size_t target)
{
    struct mt_err err = {0};

    if (!ask_may_pass(ask, target)) {
        struct mt_attempt_next next = mt_attempt_skip(&ask->attempt);
        act_on(ask, &next);
        return;
    }
    struct leg *leg = ask_leg_take(ask, target);
    mt_rc rc = leg_start(leg, &err);
    if (rc == MT_OK) {
        arm_hedge(ask);
        return;
    }
    const struct mt_chat_error error = {
        .kind = mt_chat_error_kind_of(rc),
        .message = mt_str_of(err.text),
        .retry_after_ms = rc == MT_E_BUSY ? 1000 : -1,
    };
    const struct mt_engine_end end = {.error = &error};
    bill_unjoin(ask->s, target);
    ask_leg_failed(leg, &end);
}

/* ------------------------------------------------------------------ failing */

static enum mt_attempt_verdict verdict_of(enum mt_chat_error_kind kind)
{
    switch (kind) {
    case MT_CHAT_ERR_INVALID:
    case MT_CHAT_ERR_CANCELED:
        return MT_FAILED_REQUEST;
    case MT_CHAT_ERR_UNSUPPORTED:
    case MT_CHAT_ERR_CONTEXT:
    case MT_CHAT_ERR_AUTH:
    case MT_CHAT_ERR_BUDGET:
    case MT_CHAT_ERR_PERMISSION:
    case MT_CHAT_ERR_NOT_FOUND:
    case MT_CHAT_ERR_TOO_LARGE:
        return MT_FAILED_TARGET;
    case MT_CHAT_ERR_RATE_LIMIT:
    case MT_CHAT_ERR_INTERNAL:
    case MT_CHAT_ERR_UPSTREAM:
    case MT_CHAT_ERR_OVERLOADED:
    case MT_CHAT_ERR_TIMEOUT:
        return MT_FAILED_TRANSIENT;
    }
    return MT_FAILED_TRANSIENT;
}

static void tell_breaker(struct ask *ask, struct board_endpoint *endpoint,
                         const struct mt_chat_error *error)
{
    const struct mt_config *config = ask->s->board->config;
    const struct mt_breaker_policy policy = {config->breaker_failures, config->breaker_open_ms};
    bool is_its_fault =
        verdict_of(error->kind) == MT_FAILED_TRANSIENT && error->kind != MT_CHAT_ERR_RATE_LIMIT;

    if (!is_its_fault) {
        mt_breaker_success(&endpoint->breaker); /* it answers: that is what the breaker asks */
        return;
    }
    endpoint->failures_n++;
    mt_breaker_failure(&endpoint->breaker, &policy, mt_loop_now_ms(ask->s->gw->deps.loop),
                       error->retry_after_ms);
}

/* What the client is told when nothing is left to try. A key or an account of the node that an
 * endpoint refuses is not the client's: what was said about it stands in the ledger alone. */
void ask_give_up(struct ask *ask)
{
    struct mt_chat_error error = ask->last_error;

    if (ask->is_limit) {
        ask_fail(ask, &error);
        return;
    }
    if (error.kind == MT_CHAT_ERR_AUTH || error.kind == MT_CHAT_ERR_PERMISSION ||
        error.kind == MT_CHAT_ERR_BUDGET)
        error = (struct mt_chat_error){
            .kind = MT_CHAT_ERR_UPSTREAM,
            .message = error.kind == MT_CHAT_ERR_BUDGET
                           ? MT_STR("the endpoint refused this node's account")
                           : MT_STR("the endpoint refused this node's key"),
            .retry_after_ms = -1,
        };
    error.is_final = true;
    ask_fail(ask, &error);
}

/* The client has seen a part: let the next target go on from there. */
static void continue_from_said(struct ask *ask)
{
    struct mt_chat_request *request = ask->request;
    size_t n = request->messages_n - ask->is_continued;
    struct mt_chat_message *messages = mt_arena_get(&ask->s->arena, n + 1, sizeof *messages);
    struct mt_chat_part *part = mt_arena_get(&ask->s->arena, 1, sizeof *part);

    if (messages == NULL || part == NULL)
        return; /* the next target then begins anew; the text repeats, nothing is lost */
    for (size_t i = 0; i < n; i++)
        messages[i] = request->messages[i];
    part->kind = MT_PART_TEXT;
    part->text = mt_arena_str(&ask->s->arena, mt_buf_str(&ask->said));
    messages[n] =
        (struct mt_chat_message){.role = MT_ROLE_ASSISTANT, .parts = part, .parts_n = 1};
    request->messages = messages;
    request->messages_n = n + 1;
    ask->is_continued = true;
    mt_chat_note(&ask->notes, "the answer continues at another model after a failure");
}

/* What we know of the last target's work. */
static void forget_meters(struct ask *ask)
{
    ask->winner = NULL;
    ask->usage = (struct mt_usage){0};
    ask->has_usage = false;
    ask->meter = (struct mt_chat_meter){0};
    ask->own_tokens = 0;
    ask->text_bytes = 0;
}

/* The client has seen nothing of the attempt that failed: neither may the next answer. */
static mt_rc forget_answer(struct ask *ask, struct mt_err *err)
{
    forget_meters(ask);
    mt_buf_clear(&ask->whole);
    mt_buf_clear(&ask->tape);
    mt_buf_clear(&ask->said);
    mt_buf_clear(&ask->notes.text);
    ask->is_beyond_text = false;
    if (ask->collector == NULL)
        return MT_OK;
    mt_collector_free(MT_MOVE(ask->collector));
    return mt_collector_new((size_t)ask->s->board->config->answer_bytes_max, &ask->collector,
                            err);
}

static void act_on(struct ask *ask, const struct mt_attempt_next *next)
{
    struct mt_err err = {0};

    switch (next->act) {
    case MT_ATTEMPT_GIVE_UP:
        if (legs_n(ask) == 0)
            ask_give_up(ask);
        return;
    case MT_ATTEMPT_CONTINUE:
        forget_meters(ask);
        continue_from_said(ask);
        break;
    case MT_ATTEMPT_TRY:
        if (legs_n(ask) == 0 && forget_answer(ask, &err) != MT_OK) {
            ask_fail_rc(ask, &err);
            return;
        }
        break;
    }
    if (next->after_ms == 0) {
        ask_begin_attempt(ask, next->target);
        return;
    }
    ask->is_hedge_armed = false;
    if (wait_ms(ask, next->after_ms, &err) != MT_OK)
        ask_give_up(ask);
}

/* Book a failed attempt. */
static void leg_lost(struct leg *leg, const struct mt_chat_error *error)
{
    struct ask *ask = leg->ask;
    struct board_endpoint *endpoint = endpoint_of(ask, leg->target);

    bill_attempt(leg, error, NULL);
    if (endpoint != NULL)
        tell_breaker(ask, endpoint, error);
    leg_release(leg);
    keep_error(ask, error);
}

bool ask_leg_lost(struct leg *leg, const struct mt_chat_error *error)
{
    struct ask *ask = leg->ask;

    leg_lost(leg, error);
    if (verdict_of(error->kind) != MT_FAILED_REQUEST &&
        mt_attempt_skip(&ask->attempt).act == MT_ATTEMPT_TRY) {
        bill_leave(ask->s, leg->target);
        return true;
    }
    ask_give_up(ask);
    return false;
}

void ask_leg_failed(struct leg *leg, const struct mt_engine_end *end)
{
    struct ask *ask = leg->ask;
    struct session *s = ask->s;
    const struct mt_attempt_failure failure = {
        .verdict = verdict_of(end->error->kind),
        .retry_after_ms = end->error->retry_after_ms,
        .is_answering = ask->is_answering,
    };
    uint64_t random = 0;

    leg_lost(leg, end->error);
    if (legs_n(ask) > 0) {
        bill_leave(s, leg->target);
        return; /* the hedge, or the one it hedges, is still trying */
    }
    mt_env_random(s->gw->deps.env, &random, sizeof random);
    if (ask->is_beyond_text)
        ask->policy.can_continue = false;
    struct mt_attempt_next next = mt_attempt_failed(&ask->attempt, &ask->policy, &failure,
                                                    mt_loop_now_ms(s->gw->deps.loop), random);
    if (next.act == MT_ATTEMPT_CONTINUE)
        bill_lost(leg);
    else if (next.act == MT_ATTEMPT_TRY)
        bill_leave(s, leg->target);
    act_on(ask, &next);
}

void ask_leg_drop(struct leg *leg)
{
    struct board_endpoint *endpoint = endpoint_of(leg->ask, leg->target);

    bill_attempt(leg, NULL, "stopped");
    if (leg != leg->ask->winner)
        bill_leave(leg->ask->s, leg->target);
    if (endpoint != NULL)
        mt_breaker_forget(&endpoint->breaker);
    leg_release(leg);
}

void ask_leg_ok(struct leg *leg)
{
    struct board_endpoint *endpoint = endpoint_of(leg->ask, leg->target);

    bill_attempt(leg, NULL, "ok");
    if (endpoint != NULL)
        mt_breaker_success(&endpoint->breaker);
    leg_release(leg);
}
