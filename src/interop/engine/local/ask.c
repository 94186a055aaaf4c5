/* SPDX-License-Identifier: Apache-2.0 */
/* A job in work: its prompts as tokens, its choices, its beginning and its one end. */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "worker_priv.h"

enum { TOKENS_MAX = 1 << 24, CHOICES_MAX = 256 };

/* --- prompts --- */

mt_rc mt_worker__tokenize(struct mt_worker *w, struct mt_str text, bool with_special,
                          bool with_bos, struct mt_prompt *out, struct mt_err *err)
{
    size_t cap = text.len + 8;
    const char *at = text.at != NULL ? text.at : "";

    if (cap > TOKENS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "prompt: %zu bytes, at most %d", text.len, TOKENS_MAX);
    llama_token *tokens = mt_alloc(cap, sizeof *tokens);
    if (tokens == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a prompt of %zu bytes", text.len);
    int32_t n = w->ll->llama_tokenize(w->vocab, at, (int32_t)text.len, tokens, (int32_t)cap,
                                      with_bos, with_special);
    if (n < 0) {
        mt_free(tokens);
        return MT_FAIL(err, MT_E_INVALID, "prompt: this model's tokenizer cannot read it");
    }
    *out = (struct mt_prompt){.tokens = tokens, .n = (size_t)n};
    return MT_OK;
}

static void prompt_fini(struct mt_prompt *prompt)
{
    mt_free(prompt->tokens);
}

static bool begins_with(const struct mt_prompt *prompt, const struct mt_prompt *with)
{
    return prompt->n >= with->n &&
           memcmp(prompt->tokens, with->tokens, with->n * sizeof *with->tokens) == 0;
}

/* Tokens of what stands behind a cut. Some tokenizers put a space before the first word of what
 * they are given: they are given a line break before it, whose tokens are left out. */
static mt_rc tokenize_rest(struct mt_worker *w, struct mt_str text, struct mt_prompt *to,
                           struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf behind = MT_BUF_INIT(TOKENS_MAX);
    MT_CLEANUP(prompt_fini) struct mt_prompt start = {.n = 0};
    MT_CLEANUP(prompt_fini) struct mt_prompt rest = {.n = 0};

    if (w->ll->llama_vocab_type(w->vocab) == LLAMA_VOCAB_TYPE_SPM) {
        mt_buf_add_char(&behind, '\n');
        mt_buf_add(&behind, text);
        MT_TRY(mt_buf_check(&behind, "prompt", err));
        MT_TRY(mt_worker__tokenize(w, MT_STR("\n"), true, false, &start, err));
        MT_TRY(mt_worker__tokenize(w, mt_buf_str(&behind), true, false, &rest, err));
    }
    if (start.n == 0 || !begins_with(&rest, &start)) {
        prompt_fini(&rest);
        rest = (struct mt_prompt){.n = 0};
        start.n = 0;
        MT_TRY(mt_worker__tokenize(w, text, true, false, &rest, err));
    }
    memcpy(to->tokens + to->n, rest.tokens + start.n, (rest.n - start.n) * sizeof *to->tokens);
    to->n += rest.n - start.n;
    return MT_OK;
}

mt_rc mt_worker__tokenize_chat(struct mt_worker *w, const struct mt_tmpl_out *shown,
                               struct mt_prompt *out, struct mt_err *err)
{
    MT_CLEANUP(prompt_fini) struct mt_prompt all = {.n = 0};
    MT_CLEANUP(prompt_fini) struct mt_prompt first = {.n = 0};
    struct mt_str text = {shown->prompt.at, shown->prompt.len};
    const size_t *cuts = shown->cuts;
    size_t n = shown->cuts_n;

    if (n == 0)
        return mt_worker__tokenize(w, text, true, true, out, err);
    MT_TRY(mt_worker__tokenize(w, mt_str_sub(text, 0, cuts[0]), true, true, &first, err));
    all.tokens = mt_alloc(first.n + text.len + (n + 1) * 8, sizeof *all.tokens);
    if (all.tokens == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a prompt of %zu bytes", text.len);
    memcpy(all.tokens, first.tokens, first.n * sizeof *first.tokens);
    all.n = first.n;
    for (size_t i = 0; i < n; i++) {
        size_t end = i + 1 < n ? cuts[i + 1] : text.len;
        MT_TRY(tokenize_rest(w, mt_str_sub(text, cuts[i], end), &all, err));
    }
    *out = all;
    all.tokens = NULL;
    return MT_OK;
}

mt_rc mt_worker__render(struct mt_worker *w, struct mt_job *job, struct mt_tmpl_prompt **tmpl,
                        struct mt_tmpl_out *out, struct mt_err *err)
{
    bool is_native = job->call_grammar == NULL || w->caps.has_tools;
    struct mt_str json = is_native ? job->messages_json : job->plain_json;
    struct mt_tmpl_in in = {
        .messages_json = {json.at, json.len},
        .plain = job->plain,
        .plain_n = job->plain_n,
        .tools_required = job->tools == MT_JOB_TOOLS_FORCED,
        .tools_parallel = job->tools_parallel,
        .no_thinking = job->no_thinking,
        .effort = {job->effort.at, job->effort.len},
    };
    char why[192] = "";

    if (is_native)
        in.tools_json = (struct mt_tmpl_text){job->tools_json.at, job->tools_json.len};
    pthread_mutex_lock(&w->tmpl_lock);
    *tmpl = w->ll->tmpl->render(w->tmpl, &in, out, why, sizeof why);
    pthread_mutex_unlock(&w->tmpl_lock);
    if (*tmpl == NULL)
        return MT_FAIL(err, MT_E_INVALID, "the model's chat template refuses the messages: %s",
                       why);
    return MT_OK;
}

static mt_rc add_part(struct mt_worker *w, struct mt_prompt *to, llama_token mark,
                      struct mt_str text, struct mt_err *err)
{
    struct mt_prompt part;

    MT_TRY(mt_worker__tokenize(w, text, false, false, &part, err));
    to->tokens[to->n++] = mark;
    memcpy(to->tokens + to->n, part.tokens, part.n * sizeof *part.tokens);
    to->n += part.n;
    mt_free(part.tokens);
    return MT_OK;
}

/* Prompt and suffix around a gap, in the order the model was taught. */
static mt_rc make_infill(struct mt_worker *w, const struct mt_job *job, struct mt_str prompt,
                         struct mt_prompt *out, struct mt_err *err)
{
    llama_token prefix = w->ll->llama_vocab_fim_pre(w->vocab);
    llama_token suffix = w->ll->llama_vocab_fim_suf(w->vocab);
    llama_token middle = w->ll->llama_vocab_fim_mid(w->vocab);

    if (prefix < 0 || suffix < 0 || middle < 0)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "suffix: this model cannot fill gaps");
    out->tokens = mt_alloc(prompt.len + job->suffix.len + 24, sizeof *out->tokens);
    if (out->tokens == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a prompt");
    if (w->ll->llama_vocab_get_add_bos(w->vocab))
        out->tokens[out->n++] = w->ll->llama_vocab_bos(w->vocab);
    MT_TRY(add_part(w, out, prefix, prompt, err));
    MT_TRY(add_part(w, out, suffix, job->suffix, err));
    out->tokens[out->n++] = middle;
    return MT_OK;
}

static mt_rc make_prompts(struct mt_worker *w, struct mt_ask *ask, struct mt_err *err)
{
    struct mt_job *job = ask->job;

    if (job->kind == MT_JOB_CHAT) {
        MT_TRY(mt_worker__render(w, job, &ask->tmpl, &ask->tmpl_out, err));
        return mt_worker__tokenize_chat(w, &ask->tmpl_out, &ask->prompts[0], err);
    }
    /* a prompt without a template brings its own marks, as all servers of the dialect read it
     */
    for (size_t i = 0; i < ask->prompts_n; i++) {
        bool is_gap = job->suffix.len > 0;
        MT_TRY(is_gap ? make_infill(w, job, job->prompts[i], &ask->prompts[i], err)
                      : mt_worker__tokenize(w, job->prompts[i], true, true, &ask->prompts[i],
                                            err));
    }
    return MT_OK;
}

static mt_rc check_lengths(struct mt_worker *w, struct mt_ask *ask, struct mt_err *err)
{
    for (size_t i = 0; i < ask->prompts_n; i++) {
        struct mt_prompt *prompt = &ask->prompts[i];
        if (prompt->n == 0) { /* something has to be there to go on from */
            llama_token bos = w->ll->llama_vocab_bos(w->vocab);
            prompt->tokens[prompt->n++] = bos >= 0 ? bos : 0;
        }
        if (prompt->n >= (size_t)w->facts.context_tokens)
            return MT_FAIL(err, MT_E_TOOBIG,
                           "the prompt has %zu tokens, the context of '%s' holds %lld",
                           prompt->n, w->name, (long long)w->facts.context_tokens);
    }
    return MT_OK;
}

static mt_rc make_stops(struct mt_ask *ask, struct mt_err *err)
{
    const struct mt_chat_sampling *s = &ask->job->sampling;
    size_t n = s->stop_n + ask->tmpl_out.stops_n;

    ask->stops = mt_alloc(n + 1, sizeof *ask->stops);
    if (ask->stops == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "stop sequences");
    for (size_t i = 0; i < s->stop_n; i++)
        ask->stops[ask->stops_n++] = s->stop[i];
    for (size_t i = 0; i < ask->tmpl_out.stops_n; i++)
        ask->stops[ask->stops_n++] = mt_str_of(ask->tmpl_out.stops[i]);
    return MT_OK;
}

static mt_rc make_choices(struct mt_worker *w, struct mt_ask *ask, struct mt_err *err)
{
    size_t n = ask->prompts_n * ask->job->n;

    if (n > CHOICES_MAX)
        return MT_FAIL(err, MT_E_INVALID, "prompts times n: at most %d, found %zu", CHOICES_MAX,
                       n);
    ask->choices = mt_alloc(n, sizeof *ask->choices);
    if (ask->choices == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "choices");
    ask->choices_n = n;
    for (size_t i = 0; i < n; i++) {
        struct mt_choice_run *choice = &ask->choices[i];
        choice->ask = ask;
        choice->index = (unsigned)i;
        choice->prompt = i / ask->job->n;
        MT_TRY(mt_choice__begin(w, choice, err));
        ask->open_n++;
    }
    return MT_OK;
}

static mt_rc prepare(struct mt_worker *w, struct mt_ask *ask, struct mt_err *err)
{
    struct mt_job *job = ask->job;

    if (job->kind == MT_JOB_LOAD)
        return MT_OK;
    ask->prompts_n = job->kind == MT_JOB_CHAT ? 1 : job->prompts_n;
    ask->prompts = mt_alloc(ask->prompts_n, sizeof *ask->prompts);
    if (ask->prompts == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "prompts");
    if (job->kind == MT_JOB_EMBED)
        return mt_worker__embed_context(w, err);
    if (w->ctx == NULL)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "'%s' embeds texts, it does not answer", w->name);
    MT_TRY(make_prompts(w, ask, err));
    MT_TRY(check_lengths(w, ask, err));
    MT_TRY(make_stops(ask, err));
    return make_choices(w, ask, err);
}

/* --- life --- */

static void end(struct mt_worker *w, struct mt_ask *ask, const struct mt_chat_error *error,
                const struct mt_embed_answer *embed)
{
    if (ask->is_failed)
        return;
    struct mt_piece *piece = mt_piece_last(ask->job, error, embed);
    ask->is_failed = true; /* nothing more is sent */
    if (piece != NULL)
        piece->was_sent = ask->is_begun;
    mt_outbox_add(w->outbox, piece);
}

void mt_ask__fail(struct mt_worker *w, struct mt_ask *ask, const struct mt_chat_error *error)
{
    end(w, ask, error, NULL);
}

void mt_ask__fail_err(struct mt_worker *w, struct mt_ask *ask, const struct mt_err *err)
{
    struct mt_chat_error error = {
        .kind = err->rc == MT_E_TOOBIG ? MT_CHAT_ERR_CONTEXT : mt_chat_error_kind_of(err->rc),
        .message = mt_str_of(err->text),
        .retry_after_ms = -1,
    };

    if (error.kind == MT_CHAT_ERR_CONTEXT)
        error.code = MT_STR("context_length_exceeded");
    mt_ask__fail(w, ask, &error);
}

static struct mt_usage usage_of(const struct mt_worker *w, const struct mt_ask *ask)
{
    struct mt_usage usage = {.load_ns = ask->load_ns};
    int64_t now = mt_worker__now_ns();

    (void)w;
    for (size_t i = 0; i < ask->prompts_n; i++) {
        usage.input_tokens += (int64_t)ask->prompts[i].n;
        usage.cached_tokens += (int64_t)ask->prompts[i].cached_n;
    }
    for (size_t i = 0; i < ask->choices_n; i++) {
        usage.output_tokens += ask->choices[i].spoken_n;
        usage.reasoning_tokens += ask->choices[i].reasoning_n;
    }
    usage.prompt_ns = (ask->first_ns > 0 ? ask->first_ns : now) - ask->begun_ns;
    usage.eval_ns = ask->first_ns > 0 ? now - ask->first_ns : 0;
    return usage;
}

static void send(struct mt_worker *w, struct mt_ask *ask, struct mt_chat_event event)
{
    struct mt_piece *piece = ask->is_failed ? NULL : mt_piece_of(ask->job, &event);

    mt_outbox_add(w->outbox, piece);
    if (piece == NULL)
        mt_ask__fail(w, ask, &mt_job_out_of_memory);
}

void mt_ask__started(struct mt_worker *w, struct mt_ask *ask)
{
    if (ask->is_begun)
        return;
    ask->is_begun = true;
    send(w, ask,
         (struct mt_chat_event){
             .kind = MT_EVENT_START, .model = ask->job->model, .usage = usage_of(w, ask)});
    for (size_t i = 0; ask->job->echo && i < ask->choices_n; i++)
        mt_choice__echo(w, &ask->choices[i], ask->job->prompts[ask->choices[i].prompt]);
}

void mt_ask__choice_done(struct mt_worker *w, struct mt_choice_run *choice)
{
    struct mt_ask *ask = choice->ask;

    mt_choice__fini(w, choice);
    if (--ask->open_n > 0)
        return;
    send(w, ask, (struct mt_chat_event){.kind = MT_EVENT_USAGE, .usage = usage_of(w, ask)});
    send(w, ask, (struct mt_chat_event){.kind = MT_EVENT_END});
    end(w, ask, NULL, NULL);
}

static void answer_load(struct mt_worker *w, struct mt_ask *ask)
{
    enum mt_finish finish = ask->job->is_unload ? MT_FINISH_UNLOADED : MT_FINISH_LOADED;

    mt_ask__started(w, ask);
    send(w, ask, (struct mt_chat_event){.kind = MT_EVENT_FINISH, .finish = finish});
    send(w, ask, (struct mt_chat_event){.kind = MT_EVENT_USAGE, .usage = usage_of(w, ask)});
    send(w, ask, (struct mt_chat_event){.kind = MT_EVENT_END});
    end(w, ask, NULL, NULL);
}

void mt_ask__begin(struct mt_worker *w, struct mt_job *job)
{
    struct mt_err err = {0};
    struct mt_ask *ask = mt_alloc(1, sizeof *ask);

    if (ask == NULL) { /* no room for a word about it either */
        mt_outbox_add(w->outbox, mt_piece_last(job, &mt_job_out_of_memory, NULL));
        return;
    }
    ask->job = job;
    ask->begun_ns = mt_worker__now_ns();
    ask->load_ns = job->posted_ns < w->loaded_at_ns ? w->facts.load_ns : 0;
    struct mt_ask **at = &w->asks;
    while (*at != NULL)
        at = &(*at)->next;
    *at = ask;
    if (!atomic_load(&job->is_canceled) && prepare(w, ask, &err) < 0)
        mt_ask__fail_err(w, ask, &err);
    else if (job->kind == MT_JOB_LOAD)
        answer_load(w, ask);
}

static void ask_free(struct mt_worker *w, struct mt_ask *ask)
{
    for (size_t i = 0; i < ask->choices_n; i++)
        if (ask->choices[i].ask != NULL)
            mt_choice__fini(w, &ask->choices[i]);
    for (size_t i = 0; i < ask->prompts_n && ask->prompts != NULL; i++)
        mt_free(ask->prompts[i].tokens);
    if (ask->tmpl != NULL)
        w->ll->tmpl->prompt_free(ask->tmpl);
    mt_free(ask->choices);
    mt_free(ask->prompts);
    mt_free(ask->stops);
    mt_free(ask->vectors);
    mt_free(ask);
}

void mt_ask__sweep(struct mt_worker *w)
{
    struct mt_ask **at = &w->asks;

    while (*at != NULL) {
        struct mt_ask *ask = *at;
        bool is_canceled = atomic_load(&ask->job->is_canceled);
        if (is_canceled && !ask->is_failed)
            end(w, ask, NULL, NULL); /* heard by nobody: lets go of the job */
        if (!ask->is_failed) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        ask_free(w, ask);
    }
}
