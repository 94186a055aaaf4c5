/* SPDX-License-Identifier: Apache-2.0 */
/* Embeddings: an ask whose answer is vectors. Targets are tried in order, without waiting. */
#include "gateway_priv.h"

enum { BYTES_PER_TOKEN = 4 };

struct embed {
    struct ask *ask;
    const struct mt_embed_codec *codec;
    struct mt_embed_request request;
};

static void try_target(struct embed *embed);

static const struct mt_embed_codec *codec_of(const struct session *s)
{
    switch (s->route->dialect) {
    case MT_DIALECT_GEMINI:
        return &mt_embed_gemini;
    case MT_DIALECT_OLLAMA_CHAT:
    case MT_DIALECT_OLLAMA_GENERATE:
        return mt_str_is(mt_http_path(s->x), "/api/embeddings") ? &mt_embed_ollama_legacy
                                                                : &mt_embed_ollama;
    case MT_DIALECT_OPENAI_CHAT:
    case MT_DIALECT_OPENAI_COMPLETIONS:
    case MT_DIALECT_OPENAI_RESPONSES:
    case MT_DIALECT_ANTHROPIC:
        return &mt_embed_openai;
    }
    return &mt_embed_openai;
}

static void answer(struct embed *embed, const struct mt_embed_answer *vectors)
{
    struct ask *ask = embed->ask;
    struct session *s = ask->s;
    struct mt_err err = {0};
    MT_CLEANUP(mt_buf_fini)
    struct mt_buf body = MT_BUF_INIT((size_t)s->board->config->answer_bytes_max);
    struct mt_embed_answer told = *vectors;

    if (told.usage.input_tokens == 0) { /* the endpoint did not say */
        told.usage.input_tokens = ask->reply.input_tokens;
        told.usage.is_estimate = true;
    }
    ask->usage = told.usage;
    ask->has_usage = true;
    embed->codec->encode_answer(&embed->request, &told, ask->peek.model, &body);
    if (mt_buf_check(&body, "answer", &err) != MT_OK) {
        ask_fail_rc(ask, &err);
        return;
    }
    ask_whole_headers(ask);
    ask_finish(ask, MT_OUTCOME_OK, 200);
    bill_cost_header(s);
    session_conclude(s, "application/json", &body);
}

static void on_embed(void *ctx, const struct mt_embed_answer *vectors,
                     const struct mt_engine_end *end)
{
    struct embed *embed = ctx;
    struct ask *ask = embed->ask;
    struct leg *leg = &ask->legs[0];

    leg->run = NULL;
    if (vectors != NULL) {
        ask->winner = leg;
        ask_leg_ok(leg);
        answer(embed, vectors);
        return;
    }
    if (ask_leg_lost(leg, end->error))
        try_target(embed);
}

static mt_rc start(struct embed *embed, struct leg *leg, struct mt_err *err)
{
    struct ask *ask = embed->ask;
    struct mt_engine *engine = ask_engine(ask, leg->target);
    const struct mt_engine_embed_call call = {
        .request = &embed->request,
        .model = ask->plan.targets[leg->target].model,
        .total_timeout_ms = ask_left_ms(ask),
        .notes = &ask->notes,
        .on_embed = on_embed,
        .ctx = embed,
    };
    if (engine == NULL)
        return MT_FAIL(err, MT_E_NOTFOUND,
                       "local models cannot run here: llama.cpp was not found "
                       "when motet was built");
    return engine->ops->embed(engine, &call, &leg->run, err);
}

static void try_target(struct embed *embed)
{
    struct ask *ask = embed->ask;
    struct mt_err err = {0};

    for (;;) {
        if (!ask_may_pass(ask, ask->attempt.target)) {
            if (mt_attempt_skip(&ask->attempt).act == MT_ATTEMPT_TRY)
                continue;
            ask_give_up(ask);
            return;
        }
        struct leg *leg = ask_leg_take(ask, ask->attempt.target);
        mt_rc rc = start(embed, leg, &err);
        if (rc == MT_OK)
            return;
        const struct mt_chat_error error = {.kind = mt_chat_error_kind_of(rc),
                                            .message = mt_str_of(err.text),
                                            .retry_after_ms = -1};
        bill_unjoin(ask->s, leg->target);
        if (!ask_leg_lost(leg, &error))
            return;
    }
}

static mt_rc prepare(struct embed *embed, const struct mt_chat_route *url, struct mt_err *err)
{
    struct ask *ask = embed->ask;
    struct session *s = ask->s;
    const struct mt_json *root;
    struct mt_chat_error why = {.retry_after_ms = -1};
    int64_t bytes = 0;

    ask->body = mt_buf_str(&s->body);
    MT_TRY(session_json(s, ask->body, &root, err));
    embed->request.arena = &s->arena;
    MT_TRY(embed->codec->decode_request(root, url, &embed->request, err));
    ask->peek.model =
        embed->request.model.len > 0 ? embed->request.model : s->board->table.default_model;
    MT_TRY(ask_plan(ask, err));
    for (size_t i = 0; i < embed->request.inputs_n; i++)
        bytes += (int64_t)embed->request.inputs[i].len;
    ask->reply.input_tokens = bytes / BYTES_PER_TOKEN + (int64_t)embed->request.inputs_n;
    mt_rc rc = bill_reserve(s, ask->reply.input_tokens, 0, true, &why, err);
    if (rc < 0 && why.message.len > 0)
        ask->last_error = why; /* says which limit, and for how long */
    return rc;
}

void embed_run(struct session *s, const struct mt_chat_route *url)
{
    struct mt_err err = {0};

    session_count(s, "embeddings");
    struct embed *embed = mt_arena_get(&s->arena, 1, sizeof *embed);
    struct ask *ask = embed != NULL ? ask_new(s) : NULL;
    if (ask == NULL) {
        (void)MT_FAIL(&err, MT_E_NOMEM, "no memory for the request");
        session_fail_rc(s, &err);
        return;
    }
    mt_chat_notes_init(&ask->notes);
    embed->ask = ask;
    embed->codec = codec_of(s);
    if (prepare(embed, url, &err) == MT_OK)
        try_target(embed);
    else if (ask->last_error.message.len > 0)
        ask_fail(ask, &ask->last_error);
    else
        ask_fail_rc(ask, &err);
}

void handle_embed(struct session *s)
{
    embed_run(s, &(struct mt_chat_route){0});
}
