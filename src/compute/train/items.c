/* SPDX-License-Identifier: Apache-2.0 */
#include "train/items.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "mix.h"
#include "train/vocab.h"

enum { CHAT_TOKENS = 3 }; /* of a dialogue, besides prompt and answer (train/vocab.h) */

struct part {
    struct mt_items_part from;
    uint64_t below; /* a draw of 32 bits under this, and not under the one before, is its own */
};

struct mt_items {
    enum mt_split split;
    uint64_t seed;
    uint64_t position;
    uint32_t tokens_max, items_max;
    struct part parts[MT_ITEMS_PARTS_MAX];
    int32_t *tokens, *targets; /* [tokens_max] */
    uint32_t *starts;          /* [items_max + 1] */
};

static mt_rc check_pairs(const struct mt_items_part *part, uint32_t tokens_max,
                         struct mt_err *err)
{
    if (part->pairs_n == 0)
        return MT_FAIL(err, MT_E_INVALID, "mixture: a part of no pairs");
    for (size_t i = 0; i < part->pairs_n; i++) {
        size_t prompt = part->pairs[i].prompt.len;
        size_t answer = part->pairs[i].answer.len;
        if (prompt > tokens_max || answer > tokens_max ||
            prompt + answer + CHAT_TOKENS > tokens_max)
            return MT_FAIL(err, MT_E_INVALID,
                           "pair %zu: %zu and %zu bytes, expected to fit a batch of %u tokens",
                           i, prompt, answer, tokens_max);
    }
    return MT_OK;
}

static mt_rc check_part(const struct mt_items_part *part, uint32_t tokens_max,
                        struct mt_err *err)
{
    if (!(part->share > 0) || !(part->share < 1e9))
        return MT_FAIL(err, MT_E_INVALID, "mixture: share %g, expected above 0 and below 1e9",
                       part->share);
    if (part->pairs != NULL)
        return check_pairs(part, tokens_max, err);
    if ((unsigned)part->skill >= MT_SKILLS_N || (unsigned)part->difficulty >= MT_DIFFICULTIES_N)
        return MT_FAIL(err, MT_E_INVALID, "mixture: skill %d, difficulty %d: not known",
                       (int)part->skill, (int)part->difficulty);
    return MT_OK;
}

static mt_rc check(const struct mt_items_opts *opts, struct mt_err *err)
{
    if (opts->tokens_max < MT_ITEMS_TOKENS_MIN || opts->tokens_max > MT_ITEMS_TOKENS_MAX)
        return MT_FAIL(err, MT_E_INVALID, "batch of %u tokens, expected %d to %d",
                       opts->tokens_max, MT_ITEMS_TOKENS_MIN, MT_ITEMS_TOKENS_MAX);
    if ((unsigned)opts->split > MT_SPLIT_TEST)
        return MT_FAIL(err, MT_E_INVALID, "split %d: not known", (int)opts->split);
    if (opts->parts_n == 0 || opts->parts_n > MT_ITEMS_PARTS_MAX)
        return MT_FAIL(err, MT_E_INVALID, "mixture: %u parts, expected 1 to %d", opts->parts_n,
                       MT_ITEMS_PARTS_MAX);
    for (uint32_t i = 0; i < opts->parts_n; i++)
        MT_TRY(check_part(&opts->parts[i], opts->tokens_max, err));
    return MT_OK;
}

static void set_parts(struct mt_items *items, const struct mt_items_opts *opts)
{
    double sum = 0;
    double so_far = 0;

    for (uint32_t i = 0; i < opts->parts_n; i++)
        sum += opts->parts[i].share;
    for (uint32_t i = 0; i < opts->parts_n; i++) {
        so_far += opts->parts[i].share;
        items->parts[i] =
            (struct part){opts->parts[i], (uint64_t)(so_far / sum * 4294967296.0)};
    }
    items->parts[opts->parts_n - 1].below = UINT64_C(1) << 32; /* whatever was rounded */
}

mt_rc mt_items_new(const struct mt_items_opts *opts, struct mt_items **out, struct mt_err *err)
{
    MT_TRY(check(opts, err));
    MT_CLEANUP(mt_items_freep) struct mt_items *items = mt_alloc(1, sizeof *items);
    if (items == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "stream of items");
    items->split = opts->split;
    items->seed = opts->seed;
    items->tokens_max = opts->tokens_max;
    /* no item has fewer than two tokens */
    items->items_max = opts->tokens_max / 2;
    if (opts->items_max > 0 && opts->items_max < items->items_max)
        items->items_max = opts->items_max;
    set_parts(items, opts);
    items->tokens = mt_alloc(items->tokens_max, sizeof *items->tokens);
    items->targets = mt_alloc(items->tokens_max, sizeof *items->targets);
    items->starts = mt_alloc((size_t)items->items_max + 1, sizeof *items->starts);
    if (items->tokens == NULL || items->targets == NULL || items->starts == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "batch of %u tokens", items->tokens_max);
    *out = MT_MOVE(items);
    return MT_OK;
}

void mt_items_free(struct mt_items *items)
{
    if (items == NULL)
        return;
    mt_free(items->tokens);
    mt_free(items->targets);
    mt_free(items->starts);
    mt_free(items);
}

void mt_items_freep(struct mt_items **items)
{
    mt_items_free(*items);
    *items = NULL;
}

static const struct mt_items_part *pick(const struct mt_items *items, uint64_t *seed)
{
    uint64_t chance = mt_train__mix(mt_train__mix(items->seed) ^ items->position);
    const struct part *part = items->parts;

    while ((chance >> 32) >= part->below)
        part++;
    *seed = mt_train__mix(chance);
    return &part->from;
}

void mt_items_draw(struct mt_items *items, struct mt_item *out)
{
    uint64_t seed = 0;
    const struct mt_items_part *part = pick(items, &seed);

    MT_ASSERT(part->pairs == NULL);
    mt_item_make(part->skill, part->difficulty, items->split, seed, out);
    items->position++;
}

/* Without moving on; a made item lies in *room. */
static struct mt_data_pair peek(const struct mt_items *items, struct mt_item *room)
{
    uint64_t seed = 0;
    const struct mt_items_part *part = pick(items, &seed);

    if (part->pairs != NULL)
        return part->pairs[seed % part->pairs_n];
    mt_item_make(part->skill, part->difficulty, items->split, seed, room);
    return (struct mt_data_pair){mt_str_of(room->prompt), mt_str_of(room->answer)};
}

/* Tokens of the whole dialogue; *prompt_n of them are not the model's to say. 0: no room. */
static uint32_t write_tokens(struct mt_data_pair pair, int32_t *tokens, uint32_t max,
                             uint32_t *prompt_n)
{
    *prompt_n = mt_vocab_prompt(pair.prompt, tokens, max);
    if (*prompt_n == 0)
        return 0;
    uint32_t answer_n = mt_vocab_answer(pair.answer, tokens + *prompt_n, max - *prompt_n);
    return answer_n == 0 ? 0 : *prompt_n + answer_n;
}

/* One more sequence at `at`. Its last token is only ever a target, and makes place for the
 * next. @return its tokens, or 0 */
static uint32_t add_pair(struct mt_items *items, struct mt_data_pair pair, uint32_t at)
{
    int32_t *tokens = items->tokens + at;
    int32_t *targets = items->targets + at;
    uint32_t prompt_n = 0;
    uint32_t n = write_tokens(pair, tokens, items->tokens_max - at, &prompt_n);

    if (n == 0)
        return 0;
    for (uint32_t i = 0; i + 1 < n; i++)
        targets[i] = i + 1 < prompt_n ? -1 : tokens[i + 1];
    return n - 1;
}

void mt_items_next(struct mt_items *items, struct mt_batch *out)
{
    struct mt_item room;
    uint32_t at = 0;
    uint32_t n = 0;

    while (n < items->items_max) {
        uint32_t added = add_pair(items, peek(items, &room), at);
        if (added == 0)
            break; /* it opens the next batch */
        items->position++;
        items->starts[n++] = at;
        at += added;
    }
    MT_ASSERT(n > 0);
    items->starts[n] = at;
    *out = (struct mt_batch){.tokens = items->tokens,
                             .targets = items->targets,
                             .starts = items->starts,
                             .sequences_n = n,
                             .tokens_n = at};
}

uint64_t mt_items_position(const struct mt_items *items)
{
    return items->position;
}

void mt_items_seek(struct mt_items *items, uint64_t position)
{
    items->position = position;
}
