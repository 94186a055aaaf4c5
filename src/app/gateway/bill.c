/* SPDX-License-Identifier: Apache-2.0 */
#include "bill.h"

#include <stdio.h>

#include "gateway_priv.h"

enum { EXTEND_STEP = 512, HOLD_LEAST = 16, ATTEMPTS_MAX = 4000 };

/* ------------------------------------------------------------------ prices */

bool bill_price(const struct session *s, const struct mt_route_target *target,
                struct mt_ledger_price *out)
{
    const struct mt_config_price *price = board_price(s->board, target);

    *out = (struct mt_ledger_price){0};
    if (price == NULL)
        return false;
    *out = (struct mt_ledger_price){
        .input_usd_micro = price->input_usd_micro,
        .output_usd_micro = price->output_usd_micro,
        .cached_usd_micro = price->cached_usd_micro,
        .cache_write_usd_micro = price->cache_write_usd_micro,
        .request_usd_micro = price->request_usd_micro,
    };
    return true;
}

static int64_t cost(const struct mt_ledger_price *price, int64_t input_n, int64_t output_n)
{
    const struct mt_ledger_tokens tokens = {.input_n = input_n, .output_n = output_n};

    return mt_ledger_cost(price, &tokens);
}

/* The reservation must hold whoever of the plan answers: take each price at its highest. */
static void dearest(struct session *s)
{
    const struct mt_route_plan *plan = &s->ask->plan;
    struct mt_ledger_price price;
    struct mt_ledger_price *most = &s->bill.price;

    for (size_t i = 0; i < plan->n; i++) {
        if (!bill_price(s, &plan->targets[i], &price))
            continue;
        s->bill.has_price = true;
        if (price.input_usd_micro > most->input_usd_micro)
            most->input_usd_micro = price.input_usd_micro;
        if (price.cached_usd_micro > most->input_usd_micro)
            most->input_usd_micro = price.cached_usd_micro;
        if (price.cache_write_usd_micro > most->input_usd_micro)
            most->input_usd_micro = price.cache_write_usd_micro;
        if (price.output_usd_micro > most->output_usd_micro)
            most->output_usd_micro = price.output_usd_micro;
        if (price.request_usd_micro > most->request_usd_micro)
            most->request_usd_micro = price.request_usd_micro;
    }
}

/* ------------------------------------------------------------------ limits */

static bool limits_bite(const struct mt_config_limits *limits)
{
    for (size_t i = 0; i < limits->n; i++) {
        if (limits->at[i].tokens > 0 || limits->at[i].money_usd_nano > 0)
            return true;
    }
    return false;
}

/* Does a model that leads to any of the targets have limits? */
static bool models_bite(const struct session *s)
{
    const struct mt_route_plan *plan = &s->ask->plan;

    for (size_t i = 0; i < plan->n; i++) {
        const struct mt_route_path *path = &plan->targets[i].path;
        for (size_t j = 0; j < path->n; j++) {
            if (limits_bite(&s->board->config->models[path->models[j]].limits))
                return true;
        }
    }
    return false;
}

bool bill_is_limited(const struct session *s)
{

    return s->ask->cost_max_usd_nano > 0 || limits_bite(&s->board->config->limits) ||
           (s->key->config != NULL && limits_bite(&s->key->config->limits)) || models_bite(s);
}

static void explain_hit(struct session *s, const struct mt_limit_hit *hit,
                        struct mt_chat_error *why)
{
    bool is_money = hit->kind == MT_LIMIT_MONEY;
    char whose[300];

    if (hit->key.len > 0 && hit->model.len > 0)
        snprintf(whose, sizeof whose, "key '%.*s' on model '%.*s'", MT_STR_ARG(hit->key),
                 MT_STR_ARG(hit->model));
    else if (hit->key.len > 0)
        snprintf(whose, sizeof whose, "key '%.*s'", MT_STR_ARG(hit->key));
    else if (hit->model.len > 0)
        snprintf(whose, sizeof whose, "model '%.*s'", MT_STR_ARG(hit->model));
    else
        snprintf(whose, sizeof whose, "this node");
    *why = (struct mt_chat_error){
        .kind = is_money ? MT_CHAT_ERR_BUDGET : MT_CHAT_ERR_RATE_LIMIT,
        .retry_after_ms = hit->retry_after_ms,
        .is_final = is_money || hit->retry_after_ms < 0,
    };
    if (is_money)
        why->message = mt_arena_printf(
            &s->arena, "budget of %s per %s: %.6f of %.6f USD are spent or held, %.6f asked",
            whose, mt_limit_window_name(hit->window), (double)(hit->used + hit->held) / 1e9,
            (double)hit->max / 1e9, (double)hit->asked / 1e9);
    else
        why->message = mt_arena_printf(
            &s->arena, "limit of %s: %lld %s per %s, %lld used or held, %lld asked", whose,
            (long long)hit->max, mt_limit_kind_name(hit->kind),
            mt_limit_window_name(hit->window), (long long)(hit->used + hit->held),
            (long long)hit->asked);
}

/* The caller's own limit must hold the input and, where the answer is bounded, all of it. */
static mt_rc check_own_limit(struct session *s, int64_t least, struct mt_chat_error *why,
                             struct mt_err *err)
{
    int64_t max = s->ask->cost_max_usd_nano;

    if (max == 0 || least <= max)
        return MT_OK;
    *why = (struct mt_chat_error){
        .kind = MT_CHAT_ERR_BUDGET, .retry_after_ms = -1, .is_final = true};
    why->message = mt_arena_printf(&s->arena,
                                   "max-cost of this request: %.9f USD allowed, at least "
                                   "%.9f needed",
                                   (double)max / 1e9, (double)least / 1e9);
    return MT_FAIL(err, MT_E_BUDGET, "max-cost of this request");
}

/* What is left may be less than what is held at first: a stream that can be cut begins with
 * what there is. */
static bool may_hold_less(const struct session *s, mt_rc rc, const struct mt_limit_hit *hit,
                          int64_t output_n)
{
    bool is_spent = rc == MT_E_BUDGET || rc == MT_E_RATE_LIMITED;

    return is_spent && hit->kind != MT_LIMIT_REQUESTS && s->bill.may_cut &&
           s->ask->peek.stream && output_n >= 2 * HOLD_LEAST;
}

mt_rc bill_reserve(struct session *s, int64_t input_n, int64_t output_n, bool is_bounded,
                   struct mt_chat_error *why, struct mt_err *err)
{
    struct bill *bill = &s->bill;
    const struct mt_route_target *first = &s->ask->plan.targets[0];
    struct mt_limit_hit hit = {0};

    if (s->board->config->strict_sync && mt_ledger_is_lost(s->gw->deps.ledger))
        return MT_FAIL(err, MT_E_BUSY, "%s", SESSION_LOST);
    dearest(s);
    bill->is_limited = bill_is_limited(s);
    bill->may_cut = bill->is_limited && !is_bounded;
    bill->model_asked = s->ask->peek.model;
    bill->model_served = s->ask->policy_of != NULL
                             ? s->ask->policy_of->name
                             : board_counted_name(s->board, first, &s->arena);
    struct mt_ledger_ask ask = {
        .most = {.key = s->key->name,
                 .model = bill->model_served,
                 .tokens_n = input_n + output_n,
                 .cost_usd_nano = cost(&bill->price, input_n, output_n)},
        .request_id = s->request_id,
        .dialect = mt_str_of(mt_chat_codec(s->route->dialect)->name),
        .kind = bill->kind,
        .model_asked = bill->model_asked,
        .input_n = input_n,
        .input_cost_usd_nano = cost(&bill->price, input_n, 0),
    };
    int64_t own_max = s->ask->cost_max_usd_nano;
    while (!is_bounded && own_max > 0 && output_n > 1 && ask.most.cost_usd_nano > own_max) {
        output_n /= 2;
        ask.most.tokens_n = input_n + output_n;
        ask.most.cost_usd_nano = cost(&bill->price, input_n, output_n);
    }
    int64_t least = is_bounded ? ask.most.cost_usd_nano : ask.input_cost_usd_nano;
    MT_TRY(check_own_limit(s, least, why, err));
    mt_rc rc = mt_ledger_begin(s->gw->deps.ledger, &ask, &bill->entry, &hit, err);
    while (rc < 0 && may_hold_less(s, rc, &hit, output_n)) {
        output_n /= 2;
        ask.most.tokens_n = input_n + output_n;
        ask.most.cost_usd_nano = cost(&bill->price, input_n, output_n);
        rc = mt_ledger_begin(s->gw->deps.ledger, &ask, &bill->entry, &hit, err);
    }
    if (rc == MT_E_RATE_LIMITED || rc == MT_E_BUDGET)
        explain_hit(s, &hit, why);
    if (rc < 0)
        return rc;
    bill->is_reserved = true;
    bill->held_output_n = output_n;
    s->receipt = bill->entry.receipt;
    if (s->request_id.len == 0)
        s->request_id = mt_id_str(&s->receipt);
    return MT_OK;
}

/* ------------------------------------------------------------------ behind an alias */

/* Names of the models that lead to a target, but for the one that is reserved for. */
static size_t models_behind(const struct session *s, size_t target,
                            struct mt_str out[MT_ACCOUNT_PART_MODELS])
{
    const struct mt_route_path *path = &s->ask->plan.targets[target].path;
    size_t n = 0;

    for (size_t i = 1; i < path->n; i++) /* the first is the plan's own model */
        out[n++] = s->board->config->models[path->models[i]].name;
    return n;
}

/* A stream that has not begun may start with less, also here. */
static bool may_join_with_less(const struct session *s, mt_rc rc,
                               const struct mt_limit_hit *hit, int64_t output_n)
{
    return !s->ask->is_answering && may_hold_less(s, rc, hit, output_n);
}

static void explain_refusal(struct session *s, const struct mt_limit_hit *hit,
                            const struct mt_err *err, struct mt_chat_error *why)
{
    if (err->rc == MT_E_RATE_LIMITED || err->rc == MT_E_BUDGET) {
        explain_hit(s, hit, why);
        return;
    }
    *why = (struct mt_chat_error){
        .kind = mt_chat_error_kind_of(err->rc),
        .message = mt_arena_str(&s->arena, mt_str_of(err->text)),
        .retry_after_ms = -1,
    };
}

/* Most plans have nobody behind their targets: room for parts is got with the first. */
static struct mt_account_part *part_of(struct session *s, size_t target)
{
    struct bill *bill = &s->bill;

    if (bill->parts == NULL)
        bill->parts = mt_arena_get(&s->arena, s->ask->plan.n, sizeof *bill->parts);
    return bill->parts == NULL ? NULL : &bill->parts[target].part;
}

bool bill_join(struct session *s, size_t target, struct mt_chat_error *why)
{
    _Static_assert(MT_ROUTE_PATH_MAX - 1 <= MT_ACCOUNT_PART_MODELS, "a whole path joins");
    struct bill *bill = &s->bill;
    struct mt_account *account = mt_ledger_account(s->gw->deps.ledger);
    int64_t now_ms = mt_env_now_wall_ms(s->gw->deps.env);
    int64_t output_n = bill->held_output_n;
    int64_t input_n = s->ask->reply.input_tokens;
    struct mt_str models[MT_ACCOUNT_PART_MODELS];
    struct mt_account_join join = {
        .key = s->key->name,
        .models = models,
        .models_n = models_behind(s, target, models),
        .tokens_n = bill->entry.hold.tokens_n,
        .cost_usd_nano = bill->entry.hold.cost_usd_nano,
    };
    struct mt_limit_hit hit = {0};
    struct mt_err err = {0};

    if (join.models_n == 0)
        return true;
    struct mt_account_part *part = part_of(s, target);
    if (part != NULL && part->is_held)
        return true;
    mt_rc rc = part == NULL ? MT_FAIL(&err, MT_E_NOMEM, "no memory for the request")
                            : mt_account_join(account, now_ms, &bill->entry.hold, part, &join,
                                              &hit, &err);
    while (rc < 0 && may_join_with_less(s, rc, &hit, output_n)) {
        output_n /= 2;
        join.tokens_n = input_n + output_n;
        join.cost_usd_nano = cost(&bill->price, input_n, output_n);
        rc = mt_account_join(account, now_ms, &bill->entry.hold, part, &join, &hit, &err);
    }
    if (rc < 0)
        explain_refusal(s, &hit, &err, why);
    else
        bill->held_output_n = output_n;
    return rc == MT_OK;
}

void bill_unjoin(struct session *s, size_t target)
{
    if (s->bill.parts == NULL)
        return;
    mt_account_unjoin(mt_ledger_account(s->gw->deps.ledger),
                      mt_env_now_wall_ms(s->gw->deps.env), &s->bill.entry.hold,
                      &s->bill.parts[target].part);
}

static void leave(struct session *s, size_t target, int64_t tokens_n, int64_t cost_usd_nano)
{
    struct bill_part *part = s->bill.parts == NULL ? NULL : &s->bill.parts[target];

    if (part == NULL || !part->part.is_held)
        return;
    mt_account_leave(mt_ledger_account(s->gw->deps.ledger), mt_env_now_wall_ms(s->gw->deps.env),
                     &s->bill.entry.hold, &part->part, tokens_n, cost_usd_nano);
    part->tokens_n += tokens_n;
    part->cost_usd_nano = mt_ledger_add(part->cost_usd_nano, cost_usd_nano);
}

void bill_leave(struct session *s, size_t target)
{
    leave(s, target, 0, 0);
}

bool bill_allows(struct session *s, int64_t output_n)
{
    struct bill *bill = &s->bill;
    int64_t max = s->ask->cost_max_usd_nano;
    int64_t input_n = s->ask->reply.input_tokens + bill->lost_input_n;

    output_n += bill->lost_output_n;
    if (max > 0 && cost(&bill->price, input_n, output_n) > max)
        return false;
    if (output_n <= bill->held_output_n)
        return true;
    int64_t step = output_n - bill->held_output_n;
    if (step < EXTEND_STEP)
        step = EXTEND_STEP;
    while (mt_ledger_extend(s->gw->deps.ledger, &bill->entry, step, cost(&bill->price, 0, step),
                            output_n, cost(&bill->price, input_n, output_n), NULL,
                            NULL) != MT_OK) {
        if (step <= output_n - bill->held_output_n)
            return false;
        step = output_n - bill->held_output_n; /* not a whole step, but what is needed now */
    }
    bill->held_output_n += step;
    return true;
}

/* ------------------------------------------------------------------ the row */

void bill_attempt(const struct leg *leg, const struct mt_chat_error *error, const char *result)
{
    struct session *s = leg->ask->s;
    struct bill *bill = &s->bill;
    struct mt_jw w;

    if (bill->attempts.len + 600 > ATTEMPTS_MAX)
        return; /* the first ones tell the story */
    if (bill->attempts.max == 0)
        mt_buf_init(&bill->attempts, ATTEMPTS_MAX);
    mt_buf_add_char(&bill->attempts, bill->attempts.len == 0 ? '[' : ',');
    mt_jw_begin(&w, &bill->attempts);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "target",
               board_target_name(s->board, &leg->ask->plan.targets[leg->target], &s->arena));
    mt_jw_kcstr(&w, "lane", leg->lane == MT_LANE_FORWARD ? "forward" : "events");
    mt_jw_ki64(&w, "us", (mt_loop_clock_ns() - leg->began_ns) / 1000);
    mt_jw_kcstr(&w, "result", error != NULL ? mt_chat_error_code(error->kind) : result);
    if (error != NULL) {
        mt_jw_ki64(&w, "status", error->http_status);
        mt_jw_kstr(&w, "error", mt_str_sub(error->message, 0, 200));
    }
    mt_jw_end(&w);
}

void bill_error_text(struct session *s, struct mt_str text)
{
    s->bill.error = mt_arena_str(&s->arena, mt_str_sub(text, 0, 500));
}

/* Who answered, or would have. */
static const struct mt_route_target *served_by(const struct ask *ask)
{
    size_t target = ask->winner != NULL ? ask->winner->target : ask->attempt.target;

    return target < ask->plan.n ? &ask->plan.targets[target] : NULL;
}

/* What the present target did: as it says, else as far as we counted. */
static struct mt_usage usage_so_far(const struct ask *ask)
{
    struct mt_usage usage = ask->usage;
    bool has_worked = ask->is_answering || ask->own_tokens > 0;

    if (ask->has_usage || !has_worked)
        return usage;
    if (ask->meter.has_usage) /* the beginning of its account has passed by */
        usage = ask->meter.usage;
    if (usage.input_tokens == 0)
        usage.input_tokens = ask->reply.input_tokens;
    if (usage.output_tokens < ask->own_tokens)
        usage.output_tokens = ask->own_tokens;
    usage.is_estimate = true;
    return usage;
}

static int64_t usage_cost(const struct session *s, const struct mt_route_target *target,
                          const struct mt_usage *usage)
{
    struct mt_ledger_price price;
    const struct mt_ledger_tokens tokens = {
        .input_n = usage->input_tokens,
        .output_n = usage->output_tokens,
        .cached_n = usage->cached_tokens,
        .cache_write_n = usage->cache_write_tokens,
        .reasoning_n = usage->reasoning_tokens,
    };

    if (target == NULL || usage->input_tokens + usage->output_tokens == 0 ||
        !bill_price(s, target, &price))
        return 0;
    return mt_ledger_cost(&price, &tokens);
}

void bill_lost(const struct leg *leg)
{
    struct ask *ask = leg->ask;
    struct bill *bill = &ask->s->bill;
    struct mt_usage usage = usage_so_far(ask);

    bill->lost_input_n += usage.input_tokens;
    bill->lost_output_n += usage.output_tokens;
    int64_t money = usage_cost(ask->s, &ask->plan.targets[leg->target], &usage);
    bill->lost_cost_usd_nano = mt_ledger_add(bill->lost_cost_usd_nano, money);
    leave(ask->s, leg->target, usage.input_tokens + usage.output_tokens, money);
}

static void fill_usage(const struct session *s, struct mt_ledger_row *row,
                       enum mt_outcome outcome)
{
    const struct ask *ask = s->ask;
    const struct bill *bill = &s->bill;
    struct mt_usage usage = usage_so_far(ask);

    if (outcome == MT_OUTCOME_CACHE_HIT)
        usage = (struct mt_usage){0};
    row->own_input_n = ask->reply.input_tokens + bill->lost_input_n;
    row->own_output_n = ask->own_tokens + bill->lost_output_n;
    row->input_n = usage.input_tokens + bill->lost_input_n;
    row->output_n = usage.output_tokens + bill->lost_output_n;
    row->cached_n = usage.cached_tokens;
    row->cache_write_n = usage.cache_write_tokens;
    row->reasoning_n = usage.reasoning_tokens;
    row->estimated = usage.is_estimate ? MT_ESTIMATED_INPUT | MT_ESTIMATED_OUTPUT : 0;
    row->cost_usd_nano =
        mt_ledger_add(bill->lost_cost_usd_nano, usage_cost(s, served_by(ask), &usage));
}

static void fill_ask(struct session *s, struct mt_ledger_row *row, enum mt_outcome outcome)
{
    const struct ask *ask = s->ask;
    const struct mt_route_target *target = served_by(ask);

    if (target != NULL)
        row->endpoint = target->endpoint == MT_ROUTE_LOCAL
                            ? MT_STR("local")
                            : s->board->endpoints[target->endpoint].name;
    if (s->bill.attempts.len > 0)
        mt_buf_add_char(&s->bill.attempts, ']');
    row->attempts = s->bill.attempts.len > 0 ? mt_buf_str(&s->bill.attempts) : MT_STR("[]");
    row->warnings = mt_buf_str(&ask->notes.text);
    row->model_asked = s->bill.model_asked.len > 0 ? s->bill.model_asked : ask->peek.model;
    fill_usage(s, row, outcome);
}

/* Every target's models part with the request: the one that answered has what it spent. The
 * text of them is for the row. */
static struct mt_str settle_parts(struct session *s, const struct mt_ledger_row *row)
{
    struct bill *bill = &s->bill;
    const struct mt_route_plan *plan = &s->ask->plan;
    const struct mt_route_target *served = served_by(s->ask);
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(MT_ROW_PARTS_MAX);
    struct mt_str models[MT_ACCOUNT_PART_MODELS];

    for (size_t i = 0; bill->parts != NULL && i < plan->n; i++) {
        const struct bill_part *part = &bill->parts[i];
        if (&plan->targets[i] == served)
            leave(s, i, row->input_n + row->output_n - bill->lost_input_n - bill->lost_output_n,
                  row->cost_usd_nano - bill->lost_cost_usd_nano);
        else
            leave(s, i, 0, 0);
        if (!part->part.is_counted)
            continue;
        size_t n = models_behind(s, i, models);
        for (size_t j = 0; j < n; j++)
            (void)mt_row_add_part(
                &text, &(struct mt_row_part){models[j], part->tokens_n, part->cost_usd_nano});
    }
    return mt_arena_str(&s->arena, mt_buf_str(&text));
}

void bill_settle(struct session *s, enum mt_outcome outcome, int status)
{
    struct bill *bill = &s->bill;
    int64_t now_ns = mt_loop_clock_ns();
    struct mt_ledger_row row = {
        .request_id = s->request_id,
        .key = s->key != NULL ? s->key->name : MT_STR(""),
        .dialect = mt_str_of(mt_chat_codec(s->route->dialect)->name),
        .kind = bill->kind,
        .model_served = bill->model_served,
        .error = bill->error,
        .outcome = outcome,
        .http_status = status,
        .ttft_us = s->first_byte_ns > 0 ? (s->first_byte_ns - s->began_ns) / 1000 : -1,
        .duration_us = (now_ns - s->began_ns) / 1000,
    };

    MT_ASSERT(!bill->is_settled);
    bill->is_settled = true;
    if (s->ask != NULL)
        fill_ask(s, &row, outcome);
    if (s->ask != NULL && bill->is_reserved)
        row.parts = settle_parts(s, &row);
    if (bill->is_reserved && outcome == MT_OUTCOME_REJECTED && bill->attempts.len == 0)
        mt_account_release(mt_ledger_account(s->gw->deps.ledger),
                           mt_env_now_wall_ms(s->gw->deps.env),
                           &bill->entry.hold); /* nobody was asked: it does not count */
    if (bill->is_reserved)
        s->settled_seq = mt_ledger_end(s->gw->deps.ledger, &bill->entry, &row);
    else if (mt_ledger_note(s->gw->deps.ledger, &row, &s->receipt, &s->settled_seq, NULL) !=
             MT_OK)
        mt_log(s->gw->deps.log, MT_LOG_ERROR, "gateway", "row_lost",
               MT_LOG_CSTR("outcome", mt_outcome_name(outcome)));
    bill->cost_usd_nano = row.cost_usd_nano;
    metrics_request(&s->gw->metrics, s->route->dialect, &row);
    mt_log(s->gw->deps.log, MT_LOG_DEBUG, "gateway", "request_done",
           MT_LOG_STR("id", s->request_id), MT_LOG_STR("receipt", mt_id_str(&s->receipt)),
           MT_LOG_STR("key", row.key), MT_LOG_STR("dialect", row.dialect),
           MT_LOG_STR("model", row.model_asked), MT_LOG_STR("endpoint", row.endpoint),
           MT_LOG_CSTR("outcome", mt_outcome_name(outcome)), MT_LOG_I64("status", status),
           MT_LOG_I64("input", row.input_n), MT_LOG_I64("output", row.output_n),
           MT_LOG_I64("cost_usd_nano", row.cost_usd_nano), MT_LOG_I64("us", row.duration_us));
}

void bill_cost_header(struct session *s)
{
    char text[48];

    if (!s->bill.is_settled)
        return;
    int n = snprintf(text, sizeof text, "%.9f", (double)s->bill.cost_usd_nano / 1e9);
    mt_http_set_header(s->x, "x-motet-cost", (struct mt_str){text, (size_t)n});
}

void bill_fini(struct session *s)
{
    mt_buf_fini(&s->bill.attempts);
}
