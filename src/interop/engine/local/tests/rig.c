/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/loop.h"

/* Only for what hangs: a thousand answers take 7 s of an idle core, under sanitizers. */
enum { WATCHDOG_MS = 100000 };

static void on_watchdog(void *arg)
{
    (void)arg;
    fprintf(stderr, "local engine: no answer within %d s\n", WATCHDOG_MS / 1000);
    abort(); /* a test may not hang */
}

void rig_open(struct rig *rig, struct mt_local_model model, struct mt_local_opts opts)
{
    struct mt_err err = {0};

    *rig = (struct rig){.loop = NULL};
    if (model.name.len == 0)
        model.name = MT_STR("lab");
    if (model.path.len == 0)
        model.path = MT_STR(MT_SOURCE_DIR "/tests/data/bootstrap.gguf");
    opts.models = &model;
    opts.models_n = 1;
    opts.threads = 1;
    assert_int_equal(mt_loop_new(&rig->loop, &err), MT_OK);
    assert_int_equal(mt_timer_new(rig->loop, on_watchdog, rig, &rig->watchdog, &err), MT_OK);
    if (mt_local_open(rig->loop, &opts, &rig->engine, &err) < 0)
        fail_msg("open: %s", err.text);
}

void rig_close(struct rig *rig)
{
    if (rig->engine != NULL)
        rig->engine->ops->close(rig->engine);
    mt_timer_free(rig->watchdog);
    mt_loop_free(rig->loop);
    *rig = (struct rig){.loop = NULL};
}

void rig_call_init(struct rig_call *call, struct rig *rig)
{
    *call = (struct rig_call){.rig = rig};
    for (size_t i = 0; i < RIG_CHOICES_MAX; i++) {
        mt_buf_init(&call->choices[i].text, 1 << 20);
        mt_buf_init(&call->choices[i].reasoning, 1 << 20);
        mt_buf_init(&call->choices[i].args, 1 << 20);
        mt_buf_init(&call->choices[i].names, 1 << 20);
    }
}

void rig_call_fini(struct rig_call *call)
{
    for (size_t i = 0; i < RIG_CHOICES_MAX; i++) {
        mt_buf_fini(&call->choices[i].text);
        mt_buf_fini(&call->choices[i].reasoning);
        mt_buf_fini(&call->choices[i].args);
        mt_buf_fini(&call->choices[i].names);
    }
    free(call->vectors);
    call->vectors = NULL;
}

void rig_say(struct rig_ask *ask, enum mt_chat_role role, const char *text)
{
    struct mt_chat_request *r = &ask->request;
    size_t n = r->messages_n++;

    assert_true(n < MT_ARRAY_LEN(ask->messages));
    ask->parts[n] = (struct mt_chat_part){.kind = MT_PART_TEXT, .text = mt_str_of(text)};
    ask->messages[n] =
        (struct mt_chat_message){.role = role, .parts = &ask->parts[n], .parts_n = 1};
    r->messages = ask->messages;
    if (!r->sampling.temperature.has)
        r->sampling.temperature = (struct mt_opt_f64){true, 0};
}

static void note_logprobs(struct rig_call *call, const struct mt_chat_event *e)
{
    for (size_t i = 0; i < e->logprobs_n && call->logprobs_n < RIG_LOGPROBS_MAX; i++) {
        const struct mt_token_logprob *p = &e->logprobs[i];
        size_t n = call->logprobs_n++;
        call->logprobs[n] = p->logprob;
        call->entropies[n] = p->entropy;
        for (size_t k = 0; k < p->top_n; k++)
            call->top_sums[n] += __builtin_expf(p->top[k].logprob);
        strncat(call->tokens, p->token.at,
                p->token.len < sizeof call->tokens - strlen(call->tokens) - 1 ? p->token.len
                                                                              : 0);
    }
}

static void note(struct rig_call *call, const struct mt_chat_event *e)
{
    struct rig_choice *c = &call->choices[e->choice];

    assert_true(e->choice < RIG_CHOICES_MAX);
    call->has_start = call->has_start || e->kind == MT_EVENT_START;
    call->has_end = call->has_end || e->kind == MT_EVENT_END;
    if (e->kind == MT_EVENT_START)
        call->start = e->usage;
    if (e->kind == MT_EVENT_USAGE)
        call->usage = e->usage;
    if (e->kind == MT_EVENT_TEXT) {
        call->texts_n++;
        assert_true(mt_str_is_utf8(e->text));
        mt_buf_add(&c->text, e->text);
        note_logprobs(call, e);
    }
    if (e->kind == MT_EVENT_REASONING)
        mt_buf_add(&c->reasoning, e->text);
    if (e->kind == MT_EVENT_TOOL_CALL) {
        assert_int_equal(e->tool, c->calls_n++);
        assert_true(e->id.len > 0);
        mt_buf_add(&c->names, e->name);
        mt_buf_add_char(&c->names, '\n');
    }
    if (e->kind == MT_EVENT_TOOL_ARGS)
        mt_buf_add(&c->args, e->text);
    if (e->kind == MT_EVENT_FINISH) {
        c->finish = e->finish;
        snprintf(c->stop, sizeof c->stop, "%.*s", MT_STR_ARG(e->stop_sequence));
    }
}

static void over(struct rig_call *call)
{
    call->run = NULL;
    call->is_over = true;
    if (--call->rig->open_n == 0)
        mt_loop_stop(call->rig->loop);
}

static mt_rc on_event(void *ctx, const struct mt_chat_event *event, struct mt_err *err)
{
    struct rig_call *call = ctx;

    assert_false(call->is_over);
    assert_true(call->has_start || event->kind == MT_EVENT_START);
    note(call, event);
    call->events_n++;
    if (call->events_n == call->cancel_at) {
        call->rig->engine->ops->cancel(call->run);
        over(call);
    } else if (call->events_n == call->fail_at) {
        over(call);
        return MT_FAIL(err, MT_E_IO, "the sink gave up");
    } else if (call->events_n == call->pause_at) {
        call->rig->engine->ops->pause(call->run);
        mt_loop_stop(call->rig->loop);
    }
    return MT_OK;
}

static void note_end(struct rig_call *call, const struct mt_engine_end *end)
{
    assert_false(call->is_over);
    call->is_ok = end->is_ok;
    if (end->error != NULL) {
        call->error = end->error->kind;
        snprintf(call->message, sizeof call->message, "%.*s", MT_STR_ARG(end->error->message));
    }
    over(call);
}

static void on_end(void *ctx, const struct mt_engine_end *end)
{
    note_end(ctx, end);
}

static const struct mt_engine_sink_ops sink = {.on_event = on_event, .on_end = on_end};

mt_rc rig_start(struct rig *rig, struct rig_call *call, const struct mt_chat_request *request,
                struct mt_err *err)
{
    struct mt_engine_call how = {.lane = MT_LANE_EVENTS,
                                 .request = request,
                                 .model =
                                     request->model.len > 0 ? request->model : MT_STR("lab"),
                                 .total_timeout_ms = rig->total_timeout_ms,
                                 .first_timeout_ms = rig->first_timeout_ms,
                                 .sink = &sink,
                                 .sink_ctx = call};

    MT_TRY(rig->engine->ops->start(rig->engine, &how, &call->run, err));
    assert_int_equal(call->events_n, 0); /* nothing is delivered inside start */
    rig->open_n++;
    return MT_OK;
}

void rig_wait(struct rig *rig)
{
    if (rig->open_n == 0)
        return;
    mt_timer_start(rig->watchdog, WATCHDOG_MS);
    mt_loop_run(rig->loop);
    mt_timer_stop(rig->watchdog);
}

void rig_run(struct rig *rig, struct rig_call *call, const struct mt_chat_request *request)
{
    struct mt_err err = {0};

    rig_call_init(call, rig);
    if (rig_start(rig, call, request, &err) < 0) { /* as if it had come on a later turn */
        call->is_over = true;
        call->error = MT_CHAT_ERR_INTERNAL;
        snprintf(call->message, sizeof call->message, "%s", err.text);
        return;
    }
    rig_wait(rig);
}

struct until {
    struct rig *rig;
    struct mt_timer *timer;
    bool (*is_so)(void *ctx);
    void *ctx;
};

static void look(void *arg)
{
    struct until *until = arg;

    if (until->is_so(until->ctx))
        mt_loop_stop(until->rig->loop);
    else
        mt_timer_start(until->timer, 1);
}

void rig_until(struct rig *rig, bool (*is_so)(void *ctx), void *ctx)
{
    struct until until = {.rig = rig, .is_so = is_so, .ctx = ctx};

    assert_int_equal(mt_timer_new(rig->loop, look, &until, &until.timer, NULL), MT_OK);
    mt_timer_start(until.timer, 0);
    mt_timer_start(rig->watchdog, WATCHDOG_MS);
    mt_loop_run(rig->loop);
    mt_timer_stop(rig->watchdog);
    mt_timer_free(until.timer);
}

static void on_embed(void *ctx, const struct mt_embed_answer *answer,
                     const struct mt_engine_end *end)
{
    struct rig_call *call = ctx;

    if (answer != NULL) {
        call->n = answer->n;
        call->dims = answer->dims;
        call->usage = answer->usage;
        call->vectors = malloc(answer->n * answer->dims * sizeof *call->vectors);
        memcpy(call->vectors, answer->values, answer->n * answer->dims * sizeof *call->vectors);
    }
    note_end(call, end);
}

void rig_embed(struct rig *rig, struct rig_call *call, const struct mt_embed_request *request)
{
    struct mt_err err = {0};
    struct mt_engine_embed_call how = {
        .request = request, .model = MT_STR("lab"), .on_embed = on_embed, .ctx = call};

    rig_call_init(call, rig);
    if (rig->engine->ops->embed(rig->engine, &how, &call->run, &err) < 0)
        fail_msg("embed: %s", err.text);
    rig->open_n++;
    rig_wait(rig);
}

const char *rig_text(const struct rig_call *call)
{
    return call->choices[0].text.at != NULL ? call->choices[0].text.at : "";
}
