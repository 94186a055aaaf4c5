/* SPDX-License-Identifier: Apache-2.0 */
/* From logits to a token. Plain greedy choice reads the logits once; everything else goes
 * through llama.cpp's samplers. A grammar is asked about the chosen token first, and about the
 * whole vocabulary only when it says no: that is rare and a hundred times dearer. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "worker_priv.h"

enum { TOP_K_DEFAULT = 40, PENALTY_LAST_DEFAULT = 64 };
static const double temperature_default = 0.8;
static const double top_p_default = 0.95;
static const double min_p_default = 0.05;

static double or_default(struct mt_opt_f64 value, double other)
{
    return value.has ? value.value : other;
}

static bool is_plain_greedy(const struct mt_job *job)
{
    const struct mt_chat_sampling *s = &job->sampling;

    return or_default(s->temperature, temperature_default) <= 0 && job->bias_n == 0 &&
           or_default(s->frequency_penalty, 0) == 0 &&
           or_default(s->presence_penalty, 0) == 0 && or_default(s->repeat_penalty, 1) == 1;
}

static void add(struct mt_worker *w, struct mt_sampler *out, struct llama_sampler *one)
{
    if (one != NULL)
        w->ll->llama_sampler_chain_add(out->chain, one);
}

static void add_penalties(struct mt_worker *w, const struct mt_job *job, struct mt_sampler *out)
{
    const struct mt_chat_sampling *s = &job->sampling;
    int64_t last = s->repeat_last_n.has ? s->repeat_last_n.value : PENALTY_LAST_DEFAULT;
    double repeat = or_default(s->repeat_penalty, 1);
    double frequency = or_default(s->frequency_penalty, 0);
    double presence = or_default(s->presence_penalty, 0);

    if (last < 0 || last > w->facts.context_tokens)
        last = w->facts.context_tokens;
    if (repeat != 1 || frequency != 0 || presence != 0)
        add(w, out,
            w->ll->llama_sampler_init_penalties(w->vocab_n, (int32_t)last, (float)repeat,
                                                (float)frequency, (float)presence));
}

static void add_bias(struct mt_worker *w, const struct mt_job *job, struct mt_sampler *out)
{
    llama_logit_bias list[1024];
    int32_t n = 0;

    for (size_t i = 0; i < job->bias_n && i < MT_ARRAY_LEN(list); i++)
        if (job->bias[i].token < w->vocab_n)
            list[n++] = (llama_logit_bias){job->bias[i].token, job->bias[i].bias};
    if (n > 0)
        add(w, out, w->ll->llama_sampler_init_logit_bias(w->vocab_n, n, list));
}

static void add_chance(struct mt_worker *w, const struct mt_job *job, uint32_t seed,
                       struct mt_sampler *out)
{
    const struct mt_chat_sampling *s = &job->sampling;
    double temperature = or_default(s->temperature, temperature_default);
    int64_t top_k = s->top_k.has ? s->top_k.value : TOP_K_DEFAULT;
    double top_p = or_default(s->top_p, top_p_default);
    double min_p = or_default(s->min_p, min_p_default);
    double typical = or_default(s->typical_p, 1);

    if (temperature <= 0) {
        add(w, out, w->ll->llama_sampler_init_greedy());
        return;
    }
    if (top_k > 0 && top_k < w->vocab_n)
        add(w, out, w->ll->llama_sampler_init_top_k((int32_t)top_k));
    if (typical < 1)
        add(w, out, w->ll->llama_sampler_init_typical((float)typical, 1));
    if (top_p < 1)
        add(w, out, w->ll->llama_sampler_init_top_p((float)top_p, 1));
    if (min_p > 0)
        add(w, out, w->ll->llama_sampler_init_min_p((float)min_p, 1));
    add(w, out, w->ll->llama_sampler_init_temp((float)temperature));
    add(w, out, w->ll->llama_sampler_init_dist(seed));
}

mt_rc mt_sampler__begin(struct mt_worker *w, const struct mt_job *job, uint32_t seed,
                        struct mt_sampler *out, struct mt_err *err)
{
    *out = (struct mt_sampler){.chain = NULL};
    if (is_plain_greedy(job))
        return MT_OK;
    struct llama_sampler_chain_params params = w->ll->llama_sampler_chain_default_params();
    out->chain = w->ll->llama_sampler_chain_init(params);
    if (out->chain == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "samplers");
    add_bias(w, job, out);
    add_penalties(w, job, out);
    add_chance(w, job, seed, out);
    return MT_OK;
}

void mt_sampler__fini(struct mt_worker *w, struct mt_sampler *sampler)
{
    if (sampler->chain != NULL)
        w->ll->llama_sampler_free(sampler->chain);
    if (sampler->grammar != NULL)
        w->ll->llama_sampler_free(sampler->grammar);
    *sampler = (struct mt_sampler){.chain = NULL};
}

static llama_token greatest(const float *logits, int32_t n)
{
    llama_token best = 0;

    for (llama_token i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static void fill(struct mt_worker *w, const float *logits)
{
    for (llama_token i = 0; i < w->vocab_n; i++)
        w->candidates[i] = (llama_token_data){i, logits[i], 0};
}

/* Choose among the candidates as they stand; -1 when none is possible. */
static llama_token choose_among(struct mt_worker *w, const struct mt_sampler *sampler,
                                llama_token_data_array *list)
{
    if (sampler->chain != NULL)
        w->ll->llama_sampler_apply(sampler->chain, list);
    else
        for (size_t i = 0; i < list->size; i++)
            if (list->selected < 0 || list->data[i].logit > list->data[list->selected].logit)
                list->selected = (int64_t)i;
    if (list->selected < 0 || (size_t)list->selected >= list->size)
        return -1;
    const llama_token_data *best = &list->data[list->selected];
    return isfinite(best->logit) ? best->id : -1;
}

static bool grammar_takes(struct mt_worker *w, const struct mt_sampler *sampler,
                          llama_token token)
{
    llama_token_data one = {token, 1, 0};
    llama_token_data_array list = {&one, 1, -1, false};

    w->ll->llama_sampler_apply(sampler->grammar, &list);
    return isfinite(one.logit);
}

bool mt_sampler__try_grammar(struct mt_worker *w, struct mt_sampler *sampler, llama_token token)
{
    return grammar_takes(w, sampler, token) && w->ll->tmpl->accept(sampler->grammar, token);
}

static llama_token choose_free(struct mt_worker *w, const struct mt_sampler *sampler,
                               const float *logits)
{
    if (sampler->chain == NULL)
        return greatest(logits, w->vocab_n);
    fill(w, logits);
    llama_token_data_array list = {w->candidates, (size_t)w->vocab_n, -1, false};
    return choose_among(w, sampler, &list);
}

static llama_token choose_by_grammar(struct mt_worker *w, const struct mt_sampler *sampler,
                                     const float *logits)
{
    fill(w, logits);
    llama_token_data_array list = {w->candidates, (size_t)w->vocab_n, -1, false};
    w->ll->llama_sampler_apply(sampler->grammar, &list);
    size_t n = 0; /* what is forbidden must not count as most probable, or fill the top k */
    for (size_t i = 0; i < list.size; i++)
        if (isfinite(list.data[i].logit))
            list.data[n++] = list.data[i];
    list.size = n;
    return n > 0 ? choose_among(w, sampler, &list) : -1;
}

/* Of what the grammar allows, the token that brings the text nearest to its end. */
static llama_token choose_nearest(struct mt_worker *w, const struct mt_sampler *sampler,
                                  const float *logits, const struct mt_closing *closing)
{
    const llama_token_data *best = NULL;
    unsigned least = UINT_MAX;

    fill(w, logits);
    llama_token_data_array list = {w->candidates, (size_t)w->vocab_n, -1, false};
    w->ll->llama_sampler_apply(sampler->grammar, &list);
    for (size_t i = 0; i < list.size; i++) {
        const llama_token_data *one = &list.data[i];
        char text[MT_TOKEN_BYTES_MAX];
        if (!isfinite(one->logit))
            continue;
        if (w->ll->llama_vocab_is_eog(w->vocab, one->id))
            return one->id;
        struct mt_str piece = {text, mt_worker__piece(w, one->id, true, text, sizeof text)};
        unsigned cost = mt_closing_cost(closing, piece);
        if (best == NULL || cost < least || (cost == least && one->logit > best->logit)) {
            least = cost;
            best = one;
        }
    }
    return best != NULL ? best->id : -1;
}

llama_token mt_sampler__choose(struct mt_worker *w, struct mt_sampler *sampler,
                               const float *logits, const struct mt_closing *closing)
{
    bool is_bound = sampler->grammar != NULL && sampler->grammar_is_on;
    llama_token token = is_bound && closing != NULL
                            ? choose_nearest(w, sampler, logits, closing)
                            : choose_free(w, sampler, logits);

    if (is_bound && (token < 0 || !grammar_takes(w, sampler, token)))
        token = choose_by_grammar(w, sampler, logits);
    if (token < 0)
        return -1;
    if (is_bound && !w->ll->tmpl->accept(sampler->grammar, token))
        return -1;
    if (sampler->chain != NULL)
        (void)w->ll->tmpl->accept(sampler->chain, token); /* penalties cannot refuse */
    return token;
}

size_t mt_worker__piece(struct mt_worker *w, llama_token token, bool with_special, char *to,
                        size_t size)
{
    int32_t n =
        w->ll->llama_token_to_piece(w->vocab, token, to, (int32_t)size, 0, with_special);
    return n > 0 ? (size_t)n : 0;
}

/* --- log probabilities --- */

struct spread {
    double log_sum; /* of exp(logit) */
    double entropy; /* nats */
};

static struct spread spread_of(const float *logits, int32_t n)
{
    float most = logits[greatest(logits, n)];
    double sum = 0;
    double weighted = 0;

    for (int32_t i = 0; i < n; i++) {
        float d = logits[i] - most;
        float e = expf(d);
        sum += (double)e;
        weighted += (double)(e > 0 ? e * d : 0);
    }
    return (struct spread){(double)most + log(sum), log(sum) - weighted / sum};
}

/* The most probable tokens, by insertion: top_n is at most 20. */
static size_t find_top(const float *logits, int32_t n, unsigned top_n, llama_token *out)
{
    size_t have = 0;

    for (llama_token i = 0; i < n && top_n > 0; i++) {
        if (have == top_n && logits[i] <= logits[out[have - 1]])
            continue;
        size_t at = have < top_n ? have++ : have - 1;
        for (; at > 0 && logits[out[at - 1]] < logits[i]; at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return have;
}

static struct mt_str piece_text(struct mt_worker *w, llama_token token, char **at)
{
    size_t n = mt_worker__piece(w, token, true, *at, MT_PIECE_BYTES);
    struct mt_str text = {*at, n};

    *at += MT_PIECE_BYTES;
    return text;
}

void mt_sampler__logprobs(struct mt_worker *w, const float *logits, llama_token token,
                          unsigned top_n, struct mt_pending_token *out)
{
    struct spread spread = spread_of(logits, w->vocab_n);
    llama_token top[MT_CHAT_TOP_LOGPROBS_MAX];
    size_t n = find_top(logits, w->vocab_n, top_n, top);
    char *at = out->texts;

    out->logprob = (struct mt_token_logprob){
        .token = piece_text(w, token, &at),
        .logprob = (float)((double)logits[token] - spread.log_sum),
        .entropy = (float)(spread.entropy > 0 ? spread.entropy : 0),
        .top_n = n,
    };
    for (size_t i = 0; i < n; i++)
        out->top[i] = (struct mt_token_top){piece_text(w, top[i], &at),
                                            (float)((double)logits[top[i]] - spread.log_sum)};
}
