/* SPDX-License-Identifier: Apache-2.0 */
/* A question to models, from its body to the first attempt, and its end.
 *
 * Invariants: once is_over, no leg runs and no timer waits; the bill is settled before that. */
#include "gateway_priv.h"
#include "settings/table.h"

enum {
    FORWARD_BODY_SLACK = 4096,
    ASSUMED_OUTPUT_TOKENS = 1024, /* held at first when the caller names no maximum */
    ASSUMED_WHOLE_TOKENS = 8192,  /* the same for an answer that cannot be cut on its way */
};

/* ------------------------------------------------------------------ end */

static void stop_everything(struct ask *ask)
{
    ask_stop_other_legs(ask, NULL);
    if (ask->s->gw->parsed_for == ask)
        ask->s->gw->parsed_for = NULL;
    if (ask->retry != NULL)
        mt_timer_free(MT_MOVE(ask->retry));
}

void ask_finish(struct ask *ask, enum mt_outcome outcome, int status)
{
    struct session *s = ask->s;

    MT_ASSERT(!ask->is_over);
    stop_everything(ask);
    ask->is_over = true;
    bill_settle(s, outcome, status);
}

void ask_free(struct ask *ask)
{
    if (!ask->is_over)
        ask_finish(ask, MT_OUTCOME_INTERRUPTED, 0);
    stop_everything(ask);
    mt_chat_notes_fini(&ask->notes);
    mt_buf_fini(&ask->forward_body);
    mt_buf_fini(&ask->forward_path);
    mt_buf_fini(&ask->whole);
    mt_buf_fini(&ask->tape);
    mt_buf_fini(&ask->said);
    mt_collector_free(ask->collector);
}

void ask_client_gone(struct ask *ask)
{
    if (ask->is_over)
        return;
    if (ask->s->gw->is_closing) /* it is us who leave */
        ask_finish(ask, MT_OUTCOME_INTERRUPTED, 0);
    else
        ask_finish(ask, MT_OUTCOME_CLIENT_GONE, 499);
}

void ask_resume(struct ask *ask)
{
    struct leg *leg = ask->winner;

    if (leg != NULL && leg->run != NULL)
        ask_engine(ask, leg->target)->ops->resume(leg->run);
}

/* Nobody was asked yet: whatever it is, the request was refused. */
static enum mt_outcome outcome_of(const struct ask *ask, const struct mt_chat_error *error)
{
    if (ask->s->bill.attempts.len == 0)
        return MT_OUTCOME_REJECTED;
    switch (error->kind) {
    case MT_CHAT_ERR_INVALID:
    case MT_CHAT_ERR_UNSUPPORTED:
    case MT_CHAT_ERR_CONTEXT:
    case MT_CHAT_ERR_TOO_LARGE:
    case MT_CHAT_ERR_AUTH:
    case MT_CHAT_ERR_PERMISSION:
    case MT_CHAT_ERR_NOT_FOUND:
    case MT_CHAT_ERR_BUDGET:
        return MT_OUTCOME_REJECTED;
    case MT_CHAT_ERR_CANCELED:
        return MT_OUTCOME_CLIENT_GONE;
    case MT_CHAT_ERR_INTERNAL:
        return MT_OUTCOME_INTERNAL;
    case MT_CHAT_ERR_TIMEOUT:
        return MT_OUTCOME_TIMEOUT;
    case MT_CHAT_ERR_RATE_LIMIT:
    case MT_CHAT_ERR_UPSTREAM:
    case MT_CHAT_ERR_OVERLOADED:
        break;
    }
    return MT_OUTCOME_UPSTREAM_ERROR;
}

/* The last word of an ask that failed. */
void ask_fail(struct ask *ask, const struct mt_chat_error *error)
{
    struct session *s = ask->s;
    int status = mt_chat_codec(s->route->dialect)->error_status(error);

    bill_error_text(s, error->message);
    if (s->is_gone) {
        ask_finish(ask, MT_OUTCOME_CLIENT_GONE, 499);
        return;
    }
    if (s->is_answered) {
        ask_stream_error(ask, error);
        ask_finish(ask, outcome_of(ask, error), 200);
        return;
    }
    ask_finish(ask, outcome_of(ask, error), status);
    session_fail(s, error);
}

void ask_interrupt(struct ask *ask)
{
    const struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_OVERLOADED,
        .message = MT_STR("the node is ending"),
        .retry_after_ms = -1,
    };
    struct session *s = ask->s;

    if (ask->is_over || s->is_gone)
        return;
    bill_error_text(s, error.message);
    bool is_answered = s->is_answered;
    if (is_answered)
        ask_stream_error(ask, &error);
    ask_finish(ask, MT_OUTCOME_INTERRUPTED,
               is_answered ? 200 : mt_chat_codec(s->route->dialect)->error_status(&error));
    if (!is_answered)
        session_fail(s, &error);
}

void ask_fail_rc(struct ask *ask, const struct mt_err *err)
{
    struct mt_chat_error error = {
        .kind = mt_chat_error_kind_of(err->rc),
        .message = mt_str_of(err->text),
        .retry_after_ms = -1,
    };
    if (err->rc == MT_E_NOTFOUND && ask->plan.n == 0) /* clients of OpenAI look for it */
        error.code = MT_STR("model_not_found");
    ask_fail(ask, &error);
}

/* ------------------------------------------------------------------ begin */

mt_rc ask_root(struct ask *ask, const struct mt_json **root, struct mt_err *err)
{
    struct mt_gateway *gw = ask->s->gw;

    if (gw->parsed_for == ask) { /* nothing else has been read since */
        *root = gw->parsed_root;
        return MT_OK;
    }
    MT_TRY(gateway_parse(gw, ask->body, root, err));
    gw->parsed_for = ask;
    gw->parsed_root = *root;
    return MT_OK;
}

mt_rc ask_decode(struct ask *ask, struct mt_err *err)
{
    const struct mt_json *root;

    if (ask->request != NULL)
        return MT_OK;
    MT_TRY(ask_root(ask, &root, err));
    struct mt_chat_request *request = mt_arena_get(&ask->s->arena, 1, sizeof *request);
    if (request == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for the request");
    request->arena = &ask->s->arena;
    MT_TRY(ask->codec->decode_request(root, &ask->url, request, err));
    ask->request = request;
    ask->reply.request = request;
    return MT_OK;
}

static void set_policy(struct ask *ask)
{
    const struct mt_config *config = ask->s->board->config;
    const struct mt_config_model *model = board_model(ask->s->board, &ask->plan);

    ask->policy_of = model;
    ask->policy = (struct mt_attempt_policy){
        .retries = 2, .base_ms = config->retry_base_ms, .cap_ms = config->retry_cap_ms};
    if (model == NULL)
        return;
    ask->policy.retries = (unsigned)model->retries;
    ask->policy.total_timeout_ms = model->total_timeout_ms;
    ask->policy.can_continue = model->continue_stream;
}

/* A limit of this request alone: from its header, else from the motet object of the body. */
static struct mt_str own_limit(const struct ask *ask, const char *header, struct mt_str in_body)
{
    struct mt_str text = mt_http_header(ask->s->x, header);

    return text.len > 0 ? text : in_body;
}

static mt_rc read_limits(struct ask *ask, struct mt_err *err)
{
    struct mt_str latency = own_limit(ask, "x-motet-max-latency", ask->max_latency);
    struct mt_str cost = own_limit(ask, "x-motet-max-cost", ask->max_cost);
    int64_t limit_ms;
    mt_rc rc = MT_OK;

    if (latency.len > 0) {
        rc = mt_settings_duration(latency, &limit_ms, err);
        if (rc == MT_OK && limit_ms <= 0)
            rc = MT_FAIL(err, MT_E_INVALID, "expected more than nothing");
        if (rc < 0)
            return mt_err_wrap(err, rc, "max-latency");
        if (ask->policy.total_timeout_ms == 0 || limit_ms < ask->policy.total_timeout_ms)
            ask->policy.total_timeout_ms = limit_ms;
    }
    if (cost.len > 0) {
        rc = mt_settings_money(cost, &ask->cost_max_usd_nano, err);
        if (rc == MT_OK && ask->cost_max_usd_nano <= 0)
            rc = MT_FAIL(err, MT_E_INVALID, "expected more than nothing");
        if (rc < 0)
            return mt_err_wrap(err, rc, "max-cost");
    }
    return MT_OK;
}

/* A stream is cut when its budget is spent; a whole answer has to be told beforehand. */
static void bound_whole(struct ask *ask)
{
    int64_t choices = ask->peek.n > 1 ? ask->peek.n : 1;
    int64_t max = ask->s->bill.held_output_n / choices;

    ask->request->max_tokens = (struct mt_opt_i64){true, max > 0 ? max : 1};
    mt_chat_note(&ask->notes,
                 "the answer is held to %lld tokens: a limit applies and the request "
                 "names no maximum",
                 (long long)ask->request->max_tokens.value);
}

/* Hold what the request may cost. Where the bytes can go to an endpoint of the same dialect and
 * no limit looks at tokens, the body's length is estimate enough; otherwise it is read. */
static mt_rc reserve(struct ask *ask, struct mt_chat_error *why, struct mt_err *err)
{
    struct session *s = ask->s;
    int64_t input = (int64_t)ask->body.len / 4 + 1;
    bool is_bounded = ask->peek.max_tokens.has && ask->peek.max_tokens.value >= 0;
    int64_t assumed = ask->peek.stream ? ASSUMED_OUTPUT_TOKENS : ASSUMED_WHOLE_TOKENS;
    int64_t output = is_bounded ? ask->peek.max_tokens.value : assumed;

    if (bill_is_limited(s) || ask_lane_for(ask, 0) == MT_LANE_EVENTS) {
        MT_TRY(ask_decode(ask, err));
        input = mt_engine_estimate_tokens(ask->request);
    }
    if (ask->peek.n > 1)
        output *= ask->peek.n;
    ask->reply.input_tokens = input;
    MT_TRY(bill_reserve(s, input, output, is_bounded, why, err));
    if (s->bill.may_cut && !ask->peek.stream)
        bound_whole(ask);
    return MT_OK;
}

static void fill_reply(struct ask *ask)
{
    struct session *s = ask->s;
    int64_t now_ms = mt_env_now_wall_ms(s->gw->deps.env);

    ask->reply.route = ask->url;
    ask->reply.id = mt_id_str(&s->receipt);
    ask->reply.model = ask->peek.model;
    ask->reply.created_at_s = now_ms / 1000;
    ask->reply.created_at_ns = now_ms % 1000 * 1000000;
    ask->reply.is_stored = ask->is_stored;
}

/* Headers of the caller that an endpoint of the same dialect should see. Those that name an
 * account (openai-organization) do not belong to the node's key. */
static void keep_caller_headers(struct ask *ask)
{
    static const char *const names[] = {"anthropic-beta", "anthropic-version", "openai-beta"};
    struct mt_str lines = {NULL, 0};

    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
        struct mt_str value = mt_http_header(ask->s->x, names[i]);
        if (value.len > 0)
            lines = mt_arena_printf(&ask->s->arena, "%.*s%s: %.*s\n", MT_STR_ARG(lines),
                                    names[i], MT_STR_ARG(value));
    }
    ask->caller_headers = lines;
}

static mt_rc peek(struct ask *ask, struct mt_err *err)
{
    struct session *s = ask->s;
    const struct mt_json *root;

    MT_TRY(session_json(s, ask->body, &root, err));
    s->gw->parsed_for = ask;
    s->gw->parsed_root = root;
    MT_TRY(ask->codec->peek(root, &ask->url, &s->arena, &ask->peek, err));
    if (ask->peek.model.len == 0)
        ask->peek.model = s->board->table.default_model;
    ask->peek.model = mt_arena_str(&s->arena, ask->peek.model); /* outlives the body */
    if (ask->peek.model.at == NULL)
        return mt_arena_fail(&s->arena, err);
    const struct mt_json *motet = mt_json_get(root, "motet");
    (void)mt_json_str(mt_json_get(motet, "max_latency"), &s->arena, &ask->max_latency);
    (void)mt_json_str(mt_json_get(motet, "max_cost"), &s->arena, &ask->max_cost);
    return MT_OK;
}

mt_rc ask_plan(struct ask *ask, struct mt_err *err)
{
    struct session *s = ask->s;

    MT_TRY(mt_route_resolve(&s->board->table, ask->peek.model, &ask->plan, err));
    if (!board_key_may_use(s->key, ask->peek.model))
        return MT_FAIL(err, MT_E_DENIED, "this API key may not use model '%.*s'",
                       MT_STR_ARG(ask->peek.model));
    set_policy(ask);
    MT_TRY(read_limits(ask, err));
    mt_attempt_init(&ask->attempt, ask->plan.n, mt_loop_now_ms(s->gw->deps.loop));
    return MT_OK;
}

/* Answers that must be gathered: whole ones, and streams that are stored. */
static mt_rc prepare_answer(struct ask *ask, struct mt_err *err)
{
    size_t max = (size_t)ask->s->board->config->answer_bytes_max;

    mt_buf_init(&ask->whole, max);
    mt_buf_init(&ask->said, max);
    if (!ask->peek.stream || ask->is_stored)
        MT_TRY(mt_collector_new(max, &ask->collector, err));
    return MT_OK;
}

void ask_run(struct ask *ask, struct mt_str body)
{
    struct mt_err err = {0};
    struct mt_chat_error why = {.retry_after_ms = -1};

    ask->body = body;
    mt_chat_notes_init(&ask->notes);
    mt_buf_init(&ask->forward_path, 4096);
    mt_buf_init(&ask->forward_body, body.len + FORWARD_BODY_SLACK);
    mt_rc rc = peek(ask, &err);
    if (rc == MT_OK)
        rc = ask_plan(ask, &err);
    if (rc == MT_OK)
        rc = reserve(ask, &why, &err);
    if (rc == MT_OK)
        rc = prepare_answer(ask, &err);
    if (rc < 0) {
        if (why.message.len > 0)
            ask_fail(ask, &why);
        else
            ask_fail_rc(ask, &err);
        return;
    }
    keep_caller_headers(ask);
    fill_reply(ask);
    if (cache_answers(ask))
        return;
    if (ask->peek.stream)
        gateway_tick(ask->s->gw);
    ask->s->last_sent_ms = mt_loop_now_ms(ask->s->gw->deps.loop);

    ask_begin_attempt(ask, 0);
}

struct ask *ask_new(struct session *s)
{
    static const struct mt_chat_request unread; /* what encoders see of one never decoded */
    struct ask *ask = mt_arena_get(&s->arena, 1, sizeof *ask);

    if (ask == NULL)
        return NULL;
    ask->s = s;
    ask->codec = mt_chat_codec(s->route->dialect);
    ask->reply.request = &unread;
    s->ask = ask;
    return ask;
}

void handle_chat(struct session *s)
{
    struct mt_err err = {0};

    session_count(s, "chat");
    struct ask *ask = ask_new(s);
    if (ask == NULL) {
        (void)MT_FAIL(&err, MT_E_NOMEM, "no memory for the request");
        session_fail_rc(s, &err);
        return;
    }
    if (s->route->dialect == MT_DIALECT_OPENAI_RESPONSES)
        responses_run(ask);
    else
        ask_run(ask, mt_buf_str(&s->body));
}
