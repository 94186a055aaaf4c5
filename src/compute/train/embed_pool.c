/* SPDX-License-Identifier: Apache-2.0 */
#include "embed_pool.h"

#include <string.h>

#include "base/alloc.h"
#include "splitmix.h"

enum { DRAWS_PER_ITEM = 4 }; /* more draws than that hardly find another prompt */

static bool takes(const struct mt_embed_exam *exam, unsigned skill)
{
    return (exam->skills >> skill & 1) != 0;
}

static bool has_prompt(const struct embed_pool *pool, uint32_t from, const char *prompt)
{
    for (uint32_t i = from; i < pool->n; i++) {
        if (strcmp(pool->items[i].prompt, prompt) == 0)
            return true;
    }
    return false;
}

static void add_cell(struct embed_pool *pool, enum mt_skill skill,
                     enum mt_difficulty difficulty, enum mt_split split, uint32_t per_cell)
{
    uint32_t from = pool->n;

    for (uint64_t seed = 0;
         pool->n - from < per_cell && seed < (uint64_t)per_cell * DRAWS_PER_ITEM; seed++) {
        struct mt_item *item = &pool->items[pool->n];

        mt_item_make(skill, difficulty, split, seed, item);
        if (has_prompt(pool, from, item->prompt))
            continue;
        pool->texts[pool->n++] = mt_str_of(item->prompt);
    }
}

static mt_rc ask(const struct mt_asker *asker, struct embed_pool *pool, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) struct mt_answer *answers = mt_alloc(pool->n, sizeof *answers);

    if (answers == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%u answers", pool->n);
    asker->ask(asker->context, pool->texts, answers, pool->n);
    for (uint32_t i = 0; i < pool->n; i++)
        pool->is_answered[i] =
            mt_item_is_right(&pool->items[i], (struct mt_str){answers[i].text, answers[i].len});
    return MT_OK;
}

void mt_train__pool_fini(struct embed_pool *pool)
{
    mt_free(pool->items);
    mt_free(pool->texts);
    mt_free(pool->is_answered);
    *pool = (struct embed_pool){.n = 0};
}

mt_rc mt_train__pool_new(const struct mt_embed_exam *exam, enum mt_split split,
                         uint32_t per_cell, struct embed_pool *out, struct mt_err *err)
{
    MT_CLEANUP(mt_train__pool_fini) struct embed_pool pool = {.n = 0};
    size_t most = (size_t)__builtin_popcount(exam->skills) * MT_DIFFICULTIES_N * per_cell;

    pool.items = mt_alloc(most, sizeof *pool.items);
    pool.texts = mt_alloc(most, sizeof *pool.texts);
    pool.is_answered = mt_alloc(most, sizeof *pool.is_answered);
    if (pool.items == NULL || pool.texts == NULL || pool.is_answered == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%zu items", most);
    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++)
        for (unsigned difficulty = 0; takes(exam, skill) && difficulty < MT_DIFFICULTIES_N;
             difficulty++)
            add_cell(&pool, (enum mt_skill)skill, (enum mt_difficulty)difficulty, split,
                     per_cell);
    if (exam->answerer != NULL)
        MT_TRY(ask(exam->answerer, &pool, err));
    *out = pool;
    pool = (struct embed_pool){.n = 0}; /* it is the caller's now */
    return MT_OK;
}

/* ------------------------------------------------------------------ classes */

uint32_t mt_train__classes_n(const struct mt_embed_exam *exam, enum mt_embed_question question)
{
    uint32_t skills_n = (uint32_t)__builtin_popcount(exam->skills);

    switch (question) {
    case MT_EMBED_SKILL:
        return skills_n;
    case MT_EMBED_GRADE:
        return skills_n * MT_DIFFICULTIES_N;
    case MT_EMBED_ANSWERED:
        return 2;
    }
    return 0;
}

uint32_t mt_train__class_of(const struct embed_quiz *quiz, uint32_t i)
{
    const struct mt_item *item = &quiz->pool->items[i];
    /* number of the skill among those of the exam */
    uint32_t nth = (uint32_t)__builtin_popcount(quiz->exam->skills & ((1u << item->skill) - 1));

    switch (quiz->question) {
    case MT_EMBED_SKILL:
        return nth;
    case MT_EMBED_GRADE:
        return nth * MT_DIFFICULTIES_N + (uint32_t)item->difficulty;
    case MT_EMBED_ANSWERED:
        return quiz->pool->is_answered[i];
    }
    return 0;
}

/* ------------------------------------------------------------------ labelled examples */

static void shuffle(uint32_t *order, uint32_t n, uint64_t seed)
{
    uint64_t state = seed;

    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = splitmix_below(&state, i);
        uint32_t kept = order[i - 1];

        order[i - 1] = order[j];
        order[j] = kept;
    }
}

uint32_t mt_train__pick(const struct embed_quiz *quiz, uint32_t examples_n, uint32_t draw,
                        uint32_t *counts, uint32_t *picked)
{
    uint32_t n = 0;

    memset(counts, 0, mt_train__classes_n(quiz->exam, quiz->question) * sizeof *counts);
    shuffle(picked, quiz->pool->n, draw + 1);
    for (uint32_t i = 0; i < quiz->pool->n; i++) {
        uint32_t class = mt_train__class_of(quiz, picked[i]);

        if (counts[class]++ < examples_n)
            picked[n++] = picked[i];
    }
    return n;
}
