/* SPDX-License-Identifier: Apache-2.0 */
/* The two sides of an embedder's card: its own vectors, and n-grams in all their ways. */
#include <stdio.h>

#include "base/alloc.h"
#include "train/embed.h"
#include "train/embed_card.h"
#include "train/ngrams.h"

enum { KNOWN_PER_CELL = 24, KNOWN_MAX = MT_SKILLS_N * MT_DIFFICULTIES_N * KNOWN_PER_CELL };

/* n-grams in all ways, and the texts that rarity was counted in. */
struct ngrams_side {
    struct mt_ngrams *ngrams[MT_NGRAMS_WAYS_N];
    struct mt_features ways[MT_NGRAMS_WAYS_N];
    struct mt_item *items;
    struct mt_str *texts;
};

static void side_fini(struct ngrams_side *side)
{
    for (size_t i = 0; i < MT_NGRAMS_WAYS_N; i++)
        mt_ngrams_free(side->ngrams[i]);
    mt_free(side->items);
    mt_free(side->texts);
}

static void fill_ngrams(void *context, const struct mt_str *texts, uint32_t n, float *rows)
{
    mt_ngrams_run(context, texts, n, rows);
}

static void fill_embedder(void *context, const struct mt_str *texts, uint32_t n, float *rows)
{
    mt_embedder_run(context, texts, n, rows);
}

static mt_rc know(struct ngrams_side *side, struct mt_err *err)
{
    uint32_t n = 0;

    side->items = mt_alloc(KNOWN_MAX, sizeof *side->items);
    side->texts = mt_alloc(KNOWN_MAX, sizeof *side->texts);
    if (side->items == NULL || side->texts == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "texts of n-grams");
    for (; n < KNOWN_MAX; n++) {
        uint32_t cell = n / KNOWN_PER_CELL;

        mt_item_make((enum mt_skill)(cell / MT_DIFFICULTIES_N),
                     (enum mt_difficulty)(cell % MT_DIFFICULTIES_N), MT_SPLIT_TRAIN, n,
                     &side->items[n]);
        side->texts[n] = mt_str_of(side->items[n].prompt);
    }
    return MT_OK;
}

static mt_rc side_init(struct ngrams_side *side, struct mt_err *err)
{
    static const char *const words[MT_NGRAMS_WAYS_N] = {
        "tf",        "log tf",        "tf-idf",        "log tf-idf",
        "tf+shapes", "log tf+shapes", "tf-idf+shapes", "log tf-idf+shapes"};

    MT_TRY(know(side, err));
    for (unsigned way = 0; way < MT_NGRAMS_WAYS_N; way++) {
        MT_TRY(mt_ngrams_new(way, side->texts, KNOWN_MAX, &side->ngrams[way], err));
        side->ways[way] =
            (struct mt_features){words[way], MT_NGRAMS_N, fill_ngrams, side->ngrams[way]};
    }
    return MT_OK;
}

static mt_rc sit(struct mt_embed_card *card, const struct mt_embed_exam *how, uint32_t skills,
                 struct mt_err *err)
{
    struct mt_embed_exam exam = *how;

    if (__builtin_popcount(skills) < 2)
        return MT_OK;
    exam.skills = skills;
    MT_TRY(mt_embed_exam(&exam, &card->reports[card->reports_n], err));
    card->reports_n++;
    return MT_OK;
}

mt_rc mt_embed_card_measure(struct mt_embed_card *card, const struct mt_embed_card_opts *opts,
                            struct mt_err *err)
{
    MT_CLEANUP(mt_embedder_freep) struct mt_embedder *embedder = NULL;
    MT_CLEANUP(side_fini) struct ngrams_side ngrams = {.items = NULL};

    MT_TRY(mt_embedder_new(&card->shape, opts->params, &embedder, err));
    MT_TRY(side_init(&ngrams, err));
    const struct mt_features ours = {"vectors", card->shape.width, fill_embedder, embedder};
    const struct mt_embed_exam exam = {.items_n = opts->items_n,
                                       .answerer = opts->answerer,
                                       .ours = {&ours, 1},
                                       .theirs = {ngrams.ways, MT_NGRAMS_WAYS_N}};
    card->reports_n = 0;
    MT_TRY(sit(card, &exam, card->learned, err));
    return sit(card, &exam, MT_EMBED_ALL_SKILLS & ~card->learned, err);
}
