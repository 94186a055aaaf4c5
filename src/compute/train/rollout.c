/* SPDX-License-Identifier: Apache-2.0 */
#include "train/rollout.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "team.h"
#include "train/net.h"

struct mt_rollout {
    struct mt_rollout_opts opts;
    uint32_t length_max; /* of a prompt and its answer */
    uint32_t traces_all_n;
    unsigned threads_n;
    struct mt_team *team;
    struct mt_decoder *decoders[MT_TEAM_THREADS_MAX]; /* one for each thread */
    const float *params;                              /* of the draw in hand */
    struct mt_decode_opts draw;
    int32_t *prompts;             /* [prompts_n x prompt_max] */
    uint32_t *prompt_ns;          /* [prompts_n] */
    int32_t *drawn;               /* [traces_all_n x length_max] */
    float *logps;                 /* the same */
    struct mt_decode_item *items; /* [traces_all_n] */
    float *advantages;            /* [traces_all_n] */
    uint32_t *last_n;             /* [traces_all_n] tokens that have it, from the end */
    /* the batch; as long as all traces together */
    int32_t *tokens, *targets;
    float *weights;
    float *ref_logps;
    uint32_t *starts;
    uint32_t *of; /* [traces_all_n] which trace a sequence of the batch is */
};

uint32_t mt_rollout_tokens_max(const struct mt_rollout_opts *opts)
{
    return opts->prompts_n * opts->traces_n * (opts->prompt_max + opts->new_max) +
           opts->lessons_max;
}

void mt_rollout_free(struct mt_rollout *r)
{
    if (r == NULL)
        return;
    mt_team_free(r->team);
    for (unsigned i = 0; i < MT_TEAM_THREADS_MAX; i++)
        mt_decoder_free(r->decoders[i]);
    mt_free(r->prompts);
    mt_free(r->prompt_ns);
    mt_free(r->drawn);
    mt_free(r->logps);
    mt_free(r->items);
    mt_free(r->advantages);
    mt_free(r->last_n);
    mt_free(r->tokens);
    mt_free(r->targets);
    mt_free(r->weights);
    mt_free(r->ref_logps);
    mt_free(r->starts);
    mt_free(r->of);
    mt_free(r);
}

static mt_rc check_opts(const struct mt_shape *shape, const struct mt_rollout_opts *opts,
                        struct mt_err *err)
{
    enum { TRACES_MAX = 1 << 16 };

    if (opts->prompts_n == 0 || opts->traces_n == 0 ||
        (uint64_t)opts->prompts_n * opts->traces_n > TRACES_MAX)
        return MT_FAIL(err, MT_E_INVALID, "rollout: %u prompts of %u traces: expected 1 to %d",
                       opts->prompts_n, opts->traces_n, TRACES_MAX);
    if (opts->prompt_max == 0 || opts->new_max == 0 ||
        (uint64_t)opts->prompt_max + opts->new_max > shape->context_n)
        return MT_FAIL(err, MT_E_INVALID,
                       "rollout: prompts of %u and answers of %u tokens: expected at most %u "
                       "together",
                       opts->prompt_max, opts->new_max, shape->context_n);
    return MT_OK;
}

static bool get_memory(struct mt_rollout *r)
{
    const struct mt_rollout_opts *opts = &r->opts;
    size_t all = mt_rollout_tokens_max(opts);

    r->prompts = mt_alloc((size_t)opts->prompts_n * opts->prompt_max, sizeof *r->prompts);
    r->prompt_ns = mt_alloc(opts->prompts_n, sizeof *r->prompt_ns);
    r->drawn = mt_alloc(all, sizeof *r->drawn);
    r->logps = mt_alloc(all, sizeof *r->logps);
    r->items = mt_alloc(r->traces_all_n, sizeof *r->items);
    r->advantages = mt_alloc(r->traces_all_n, sizeof *r->advantages);
    r->last_n = mt_alloc(r->traces_all_n, sizeof *r->last_n);
    r->tokens = mt_alloc(all, sizeof *r->tokens);
    r->targets = mt_alloc(all, sizeof *r->targets);
    r->weights = mt_alloc(all, sizeof *r->weights);
    r->ref_logps = mt_alloc(all, sizeof *r->ref_logps);
    r->starts = mt_alloc(r->traces_all_n + opts->lessons_max + 1, sizeof *r->starts);
    r->of = mt_alloc(r->traces_all_n, sizeof *r->of);
    return r->prompts != NULL && r->prompt_ns != NULL && r->drawn != NULL && r->logps != NULL &&
           r->items != NULL && r->advantages != NULL && r->last_n != NULL &&
           r->tokens != NULL && r->targets != NULL && r->weights != NULL &&
           r->ref_logps != NULL && r->starts != NULL && r->of != NULL;
}

static void free_rollout(struct mt_rollout **rollout)
{
    mt_rollout_free(*rollout);
}

/* No more threads than prompts: what prompts have in common is drawn once on each. */
static mt_rc open_decoders(struct mt_rollout *r, const struct mt_shape *shape,
                           struct mt_err *err)
{
    unsigned wanted = r->opts.threads_n > 0 ? r->opts.threads_n : 1;

    r->threads_n = wanted < r->opts.prompts_n ? wanted : r->opts.prompts_n;
    if (r->threads_n > MT_TEAM_THREADS_MAX)
        r->threads_n = MT_TEAM_THREADS_MAX;
    for (unsigned i = 0; i < r->threads_n; i++)
        MT_TRY(mt_decoder_new(shape, r->traces_all_n / r->threads_n + r->opts.traces_n,
                              r->length_max, &r->decoders[i], err));
    return mt_team_new(r->threads_n, &r->team, err);
}

mt_rc mt_rollout_new(const struct mt_shape *shape, const struct mt_rollout_opts *opts,
                     struct mt_rollout **out, struct mt_err *err)
{
    MT_TRY(check_opts(shape, opts, err));
    MT_CLEANUP(free_rollout) struct mt_rollout *r = mt_alloc(1, sizeof *r);

    if (r == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "rollout");
    r->opts = *opts;
    r->length_max = opts->prompt_max + opts->new_max;
    r->traces_all_n = opts->prompts_n * opts->traces_n;
    if (!get_memory(r))
        return MT_FAIL(err, MT_E_NOMEM, "rollout: no memory for %u traces", r->traces_all_n);
    MT_TRY(open_decoders(r, shape, err));
    *out = MT_MOVE(r);
    return MT_OK;
}

int32_t *mt_rollout_prompt(struct mt_rollout *r, uint32_t i, uint32_t **n)
{
    *n = &r->prompt_ns[i];
    return &r->prompts[(size_t)i * r->opts.prompt_max];
}

/* Whole prompts for each member. */
static void draw_part(void *arg, unsigned member)
{
    struct mt_rollout *r = arg;
    uint32_t first = r->opts.prompts_n * member / r->threads_n * r->opts.traces_n;
    uint32_t end = r->opts.prompts_n * (member + 1) / r->threads_n * r->opts.traces_n;
    struct mt_decode_opts opts = r->draw;

    opts.seed ^= (uint64_t)member << 48; /* item i of a call draws by the seed and i */
    mt_decoder_run(r->decoders[member], r->params, &r->items[first], end - first, &opts);
}

/* Trace k before anything was said. */
static struct mt_decode_item *begin_trace(struct mt_rollout *r, uint32_t k)
{
    uint32_t i = k / r->opts.traces_n;

    r->items[k] = (struct mt_decode_item){
        .prompt = &r->prompts[(size_t)i * r->opts.prompt_max],
        .prompt_n = r->prompt_ns[i],
        .tokens = &r->drawn[(size_t)k * r->length_max],
        .logps = &r->logps[(size_t)k * r->length_max],
    };
    r->last_n[k] = r->length_max;
    return &r->items[k];
}

void mt_rollout_draw(struct mt_rollout *r, const float *params,
                     const struct mt_decode_opts *opts)
{
    for (uint32_t k = 0; k < r->traces_all_n; k++)
        (void)begin_trace(r, k);
    r->params = params;
    r->draw = *opts;
    mt_team_run(r->team, draw_part, r);
    memset(r->advantages, 0, r->traces_all_n * sizeof *r->advantages);
}

struct mt_trace mt_rollout_trace(const struct mt_rollout *r, uint32_t i, uint32_t j)
{
    const struct mt_decode_item *item = &r->items[i * r->opts.traces_n + j];

    return (struct mt_trace){item->tokens + item->prompt_n, item->tokens_n - item->prompt_n,
                             item->is_ended};
}

bool mt_rollout_put_before_end(struct mt_rollout *r, uint32_t i, uint32_t j, int32_t token)
{
    struct mt_decode_item *item = &r->items[i * r->opts.traces_n + j];

    if (!item->is_ended || item->tokens_n == r->length_max)
        return false;
    item->tokens[item->tokens_n] = item->tokens[item->tokens_n - 1];
    item->tokens[item->tokens_n - 1] = token;
    item->tokens_n++;
    return true;
}

void mt_rollout_weigh_last(struct mt_rollout *r, uint32_t i, uint32_t j, uint32_t n)
{
    r->last_n[i * r->opts.traces_n + j] = n;
}

void mt_rollout_put(struct mt_rollout *r, uint32_t i, uint32_t j, const struct mt_trace *trace)
{
    uint32_t k = i * r->opts.traces_n + j;
    struct mt_decode_item *item = begin_trace(r, k);

    MT_ASSERT(trace->tokens_n <= r->opts.new_max);
    memcpy(item->tokens, item->prompt, item->prompt_n * sizeof *item->tokens);
    memcpy(item->tokens + item->prompt_n, trace->tokens,
           trace->tokens_n * sizeof *item->tokens);
    item->tokens_n = item->prompt_n + trace->tokens_n;
    item->is_ended = trace->is_ended;
    r->advantages[k] = 0;
}

float *mt_rollout_advantages(struct mt_rollout *r, uint32_t i)
{
    return &r->advantages[(size_t)i * r->opts.traces_n];
}

/* One trace behind the others: position t predicts token t + 1 where that was drawn. */
static void add_trace(struct mt_rollout *r, uint32_t k, uint32_t at)
{
    const struct mt_decode_item *item = &r->items[k];

    for (uint32_t t = 0; t + 1 < item->tokens_n; t++) {
        bool is_drawn = t + 1 >= item->prompt_n;
        bool is_weighed = is_drawn && item->tokens_n - (t + 1) <= r->last_n[k];

        r->tokens[at + t] = item->tokens[t];
        r->targets[at + t] = is_drawn ? item->tokens[t + 1] : -1;
        r->weights[at + t] = is_weighed ? r->advantages[k] : 0;
    }
}

/* Pull towards the reference. Its ln p stand in the order of the targets. */
static void add_pull(struct mt_rollout *r, uint32_t traces_n, double kl)
{
    enum { RATIO_MAX = 20 }; /* of one token; beyond it the estimate only adds noise */
    uint32_t target = 0;

    for (uint32_t i = 0; i < traces_n; i++) {
        const struct mt_decode_item *item = &r->items[r->of[i]];

        for (uint32_t t = 0; t + 1 < item->tokens_n; t++) {
            if (t + 1 < item->prompt_n)
                continue;
            double ratio = exp((double)r->ref_logps[target++] - (double)item->logps[t + 1]);

            ratio = ratio > RATIO_MAX ? RATIO_MAX : ratio;
            r->weights[r->starts[i] + t] += (float)(kl * (ratio - 1));
        }
    }
}

void mt_rollout_batch(struct mt_rollout *r, double kl, const float *ref, struct mt_net *net,
                      struct mt_batch *out)
{
    uint32_t traces_n = 0;
    uint32_t at = 0;
    uint64_t drawn_n = 0;

    for (uint32_t k = 0; k < r->traces_all_n; k++) {
        drawn_n += r->items[k].tokens_n - r->items[k].prompt_n;
        if (kl == 0 && r->advantages[k] == 0)
            continue;
        r->of[traces_n] = k;
        r->starts[traces_n++] = at;
        add_trace(r, k, at);
        at += r->items[k].tokens_n - 1;
    }
    r->starts[traces_n] = at;
    *out = (struct mt_batch){.tokens = r->tokens,
                             .targets = r->targets,
                             .weights = r->weights,
                             .starts = r->starts,
                             .sequences_n = traces_n,
                             .tokens_n = at,
                             .divisor = (double)drawn_n};
    if (kl == 0 || at == 0)
        return;
    struct mt_net_sum sum;

    mt_net_forward(net, ref, out, NULL, r->ref_logps, &sum);
    add_pull(r, traces_n, kl);
}

void mt_rollout_add(struct mt_rollout *r, const struct mt_batch *lessons,
                    struct mt_batch *batch)
{
    uint32_t at = batch->tokens_n;
    uint32_t n = lessons->tokens_n;

    MT_ASSERT(n <= r->opts.lessons_max && batch->tokens == r->tokens);
    memcpy(r->tokens + at, lessons->tokens, n * sizeof *r->tokens);
    memcpy(r->targets + at, lessons->targets, n * sizeof *r->targets);
    for (uint32_t i = 0; i < n; i++)
        r->weights[at + i] = lessons->targets[i] >= 0 ? 1 : 0;
    for (uint32_t i = 0; i <= lessons->sequences_n; i++)
        r->starts[batch->sequences_n + i] = at + lessons->starts[i];
    batch->sequences_n += lessons->sequences_n;
    batch->tokens_n += n;
}
