/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows go into the next wave, and which token comes out of it.
 *
 * Slots:
 *   S1  A slot without an item is in the free list, and only such a slot.
 *   S2  Of a slot's item, cells [0, fed_n) are in the cache; fed_n < tokens_n between waves,
 *       fed_n == tokens_n - 1 once the prompt is read.
 *   S3  At most one slot's prompt is read in parts: the next item is let in behind it.
 * By S3 the cells that an item's prompt has in common with the item before it are in the cache,
 * or written in the same wave, when it is let in. The slot of the item before it is taken when
 * it is free, so nobody else can have written over those cells. */
#include "train/decode.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "wave.h"

enum { NONE = UINT32_MAX };

struct slot {
    struct mt_decode_item *item; /* NULL: free */
    uint32_t index;              /* of the item in this call */
    uint32_t fed_n;              /* tokens whose cells are in the cache */
    uint32_t tokens_max;
};

struct mt_decoder {
    struct mt_wave wave;
    struct slot *slots; /* [wave.slots_n] */
    uint32_t *free;     /* [wave.slots_n] a stack */
    uint32_t free_n;
    bool *is_forbidden;   /* [vocab_n] */
    float *probabilities; /* [logits_step] not normed */
};

/* One call. */
struct run {
    struct mt_decoder *d;
    const struct mt_decode_opts *opts;
    struct mt_decode_item *items;
    uint32_t items_n;
    uint32_t next;     /* item to be let in */
    uint32_t previous; /* slot of the last one that was let in, or NONE */
    const struct mt_decode_item *previous_item;
};

static void decoder_freep(struct mt_decoder **decoder)
{
    mt_decoder_free(*decoder);
}

mt_rc mt_decoder_new(const struct mt_shape *shape, uint32_t sequences_max, uint32_t length_max,
                     struct mt_decoder **out, struct mt_err *err)
{
    MT_TRY(mt_shape_check(shape, err));
    if (sequences_max < 1 || sequences_max > MT_DECODE_SEQUENCES_MAX)
        return MT_FAIL(err, MT_E_INVALID, "sequences_max: expected 1 to %d, found %u",
                       MT_DECODE_SEQUENCES_MAX, (unsigned)sequences_max);
    if (length_max < 1 || length_max > shape->context_n)
        return MT_FAIL(err, MT_E_INVALID, "length_max: expected 1 to %u, found %u",
                       (unsigned)shape->context_n, (unsigned)length_max);
    MT_CLEANUP(decoder_freep) struct mt_decoder *d = mt_alloc(1, sizeof *d);
    if (d == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "decoder");
    MT_TRY(mt_train__wave_init(&d->wave, shape, sequences_max, length_max, err));
    d->slots = mt_alloc(sequences_max, sizeof *d->slots);
    d->free = mt_alloc(sequences_max, sizeof *d->free);
    d->is_forbidden = mt_alloc(shape->vocab_n, sizeof *d->is_forbidden);
    d->probabilities = mt_alloc(d->wave.logits_step, sizeof *d->probabilities);
    if (d->slots == NULL || d->free == NULL || d->is_forbidden == NULL ||
        d->probabilities == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "decoder");
    for (uint32_t i = sequences_max; i > 0; i--)
        d->free[d->free_n++] = i - 1;
    *out = MT_MOVE(d);
    return MT_OK;
}

void mt_decoder_free(struct mt_decoder *decoder)
{
    if (decoder == NULL)
        return;
    mt_train__wave_fini(&decoder->wave);
    mt_free(decoder->slots);
    mt_free(decoder->free);
    mt_free(decoder->is_forbidden);
    mt_free(decoder->probabilities);
    mt_free(decoder);
}

/* --- what goes into a wave --- */

/* Rows for the slot's tokens that are not in the cache, as many as there is room for. */
static void add_rows(struct mt_wave *wave, uint32_t slot_id, struct slot *slot)
{
    const struct mt_decode_item *item = slot->item;

    while (slot->fed_n < item->tokens_n && wave->rows_n < wave->rows_max) {
        wave->rows[wave->rows_n++] =
            (struct mt_wave_row){.slot = slot_id,
                                 .position = slot->fed_n,
                                 .token = item->tokens[slot->fed_n],
                                 .is_wanted = slot->fed_n + 1 == item->tokens_n};
        slot->fed_n++;
    }
}

static uint32_t take_slot(struct run *run)
{
    struct mt_decoder *d = run->d;

    for (uint32_t i = 0; i < d->free_n; i++)
        if (d->free[i] == run->previous) {
            d->free[i] = d->free[--d->free_n];
            return run->previous;
        }
    return d->free[--d->free_n];
}

/* Tokens that the prompt has in common with the one before; its last is always fed anew, for
 * its logits. */
static uint32_t common_n(const struct run *run, const struct mt_decode_item *item)
{
    const struct mt_decode_item *before = run->previous_item;
    uint32_t n = 0;

    if (before == NULL)
        return 0;
    while (n + 1 < item->prompt_n && n < before->prompt_n &&
           item->prompt[n] == before->prompt[n])
        n++;
    return n;
}

static void begin_item(struct mt_decode_item *item, uint32_t tokens_max)
{
    memcpy(item->tokens, item->prompt, item->prompt_n * sizeof *item->tokens);
    item->tokens_n = item->prompt_n;
    item->is_ended = false;
    if (item->logps != NULL)
        memset(item->logps, 0, tokens_max * sizeof *item->logps);
    if (item->entropies != NULL)
        memset(item->entropies, 0, tokens_max * sizeof *item->entropies);
}

/* @return its slot, or NONE: it is done already, there is no room for a token */
static uint32_t let_in(struct run *run)
{
    struct mt_decoder *d = run->d;
    uint32_t index = run->next++;
    struct mt_decode_item *item = &run->items[index];
    uint32_t length_max = d->wave.length_max;

    MT_ASSERT(item->prompt_n > 0 && item->prompt_n <= length_max);
    uint32_t room = length_max - item->prompt_n;
    uint32_t new_max = run->opts->new_tokens_max < room ? run->opts->new_tokens_max : room;
    begin_item(item, item->prompt_n + new_max);
    if (new_max == 0)
        return NONE;
    uint32_t slot_id = take_slot(run);
    uint32_t common = common_n(run, item);
    if (common > 0 && slot_id != run->previous)
        d->wave.copies[d->wave.copies_n++] =
            (struct mt_wave_copy){.from = run->previous, .to = slot_id, .cells_n = common};
    d->slots[slot_id] = (struct slot){
        .item = item, .index = index, .fed_n = common, .tokens_max = item->prompt_n + new_max};
    run->previous = slot_id;
    run->previous_item = item;
    return slot_id;
}

static void fill_wave(struct run *run)
{
    struct mt_decoder *d = run->d;
    struct mt_wave *wave = &d->wave;
    bool is_in_parts = false;

    wave->rows_n = 0;
    wave->copies_n = 0;
    for (uint32_t i = 0; i < wave->slots_n; i++) /* a row each, but for one prompt in parts */
        if (d->slots[i].item != NULL && i != run->previous)
            add_rows(wave, i, &d->slots[i]);
    if (run->previous != NONE && d->slots[run->previous].item != NULL) {
        struct slot *last = &d->slots[run->previous];
        add_rows(wave, run->previous, last);
        is_in_parts = last->fed_n < last->item->tokens_n;
    }
    while (!is_in_parts && run->next < run->items_n && d->free_n > 0 &&
           wave->rows_n < wave->rows_max) {
        uint32_t slot_id = let_in(run);
        if (slot_id == NONE)
            continue;
        add_rows(wave, slot_id, &d->slots[slot_id]);
        is_in_parts = d->slots[slot_id].fed_n < d->slots[slot_id].item->tokens_n;
    }
}

/* --- what comes out --- */

/* Uniform in [0, 1), a function of its arguments: splitmix64 of each in turn.
 * @source Steele, Lea and Flood 2014 */
static double chance(uint64_t seed, uint64_t item, uint64_t nth)
{
    const uint64_t parts[] = {seed, item, nth};
    uint64_t z = 0;

    for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++) {
        z = (z ^ parts[i]) + 0x9E3779B97F4A7C15U;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
        z ^= z >> 31;
    }
    return (double)(z >> 11) * 0x1p-53;
}

/* The likeliest token that is allowed; the first of equals. */
static int32_t likeliest(const struct mt_decoder *d, const float *logits)
{
    int32_t best = -1;

    for (int32_t i = 0; i < (int32_t)d->wave.shape.vocab_n; i++)
        if (!d->is_forbidden[i] && (best < 0 || logits[i] > logits[best]))
            best = i;
    MT_ASSERT(best >= 0);
    return best;
}

/* e^((logit - top) / temperature) of every token. */
static void exponentials(struct mt_decoder *d, const float *logits, float top,
                         float temperature)
{
    uint32_t n = d->wave.shape.vocab_n;
    float by = 1.0F / temperature;

    for (uint32_t i = 0; i < n; i++)
        d->probabilities[i] = (logits[i] - top) * by;
    d->wave.ops->exp(d->probabilities, d->probabilities, n);
}

static int32_t draw(struct mt_decoder *d, const float *logits, int32_t top, float temperature,
                    double u)
{
    uint32_t n = d->wave.shape.vocab_n;
    int32_t token = top;
    double sum = 0;

    exponentials(d, logits, logits[top], temperature);
    for (uint32_t i = 0; i < n; i++)
        sum += d->is_forbidden[i] ? 0.0 : (double)d->probabilities[i];
    double left = u * sum;
    for (uint32_t i = 0; i < n; i++) {
        if (d->is_forbidden[i] || d->probabilities[i] <= 0)
            continue;
        token = (int32_t)i; /* the last one with a chance, should rounding leave a rest */
        left -= (double)d->probabilities[i];
        if (left < 0)
            break;
    }
    return token;
}

/* Of the whole distribution at temperature 1. */
static void measure(struct mt_decoder *d, const float *logits, int32_t token,
                    struct mt_decode_item *item)
{
    uint32_t n = d->wave.shape.vocab_n;
    uint32_t at = item->tokens_n;
    float top = logits[0];
    double sum = 0;
    double weighted = 0;

    for (uint32_t i = 1; i < n; i++)
        top = logits[i] > top ? logits[i] : top;
    exponentials(d, logits, top, 1.0F);
    for (uint32_t i = 0; i < n; i++) {
        sum += (double)d->probabilities[i];
        weighted += (double)(d->probabilities[i] * (logits[i] - top));
    }
    if (item->logps != NULL)
        item->logps[at] = (float)((double)(logits[token] - top) - log(sum));
    if (item->entropies != NULL)
        item->entropies[at] = (float)(log(sum) - weighted / sum);
}

static void take_token(struct run *run, uint32_t slot_id, const float *logits)
{
    struct mt_decoder *d = run->d;
    struct slot *slot = &d->slots[slot_id];
    struct mt_decode_item *item = slot->item;
    int32_t token = likeliest(d, logits);

    if (run->opts->temperature > 0)
        token = draw(d, logits, token, run->opts->temperature,
                     chance(run->opts->seed, slot->index, item->tokens_n - item->prompt_n));
    if (item->logps != NULL || item->entropies != NULL)
        measure(d, logits, token, item);
    item->tokens[item->tokens_n++] = token;
    item->is_ended = token == run->opts->end_token;
    if (item->is_ended || item->tokens_n == slot->tokens_max) {
        slot->item = NULL;
        d->free[d->free_n++] = slot_id;
    }
}

static void set_forbidden(struct mt_decoder *d, const struct mt_decode_opts *opts)
{
    memset(d->is_forbidden, 0, d->wave.shape.vocab_n * sizeof *d->is_forbidden);
    for (uint32_t i = 0; i < opts->forbidden_n; i++) {
        MT_ASSERT(opts->forbidden[i] >= 0 &&
                  (uint32_t)opts->forbidden[i] < d->wave.shape.vocab_n);
        d->is_forbidden[opts->forbidden[i]] = true;
    }
}

void mt_decoder_run(struct mt_decoder *decoder, const float *params,
                    struct mt_decode_item *items, uint32_t items_n,
                    const struct mt_decode_opts *opts)
{
    struct mt_wave *wave = &decoder->wave;
    struct run run = {
        .d = decoder, .opts = opts, .items = items, .items_n = items_n, .previous = NONE};

    set_forbidden(decoder, opts);
    for (;;) {
        uint32_t wanted_n = 0;

        fill_wave(&run);
        if (wave->rows_n == 0)
            break;
        mt_train__wave_run(wave, params);
        for (uint32_t i = 0; i < wave->rows_n; i++)
            if (wave->rows[i].is_wanted)
                take_token(&run, wave->rows[i].slot,
                           wave->logits + (size_t)wanted_n++ * wave->logits_step);
    }
    MT_ASSERT(decoder->free_n == wave->slots_n);
}
