/* SPDX-License-Identifier: Apache-2.0 */
/* train/embed_exam.h - how much vectors of texts tell of tasks, next to other vectors.
 *
 * A few labelled examples per class of the train split teach a probe (train/probe.h); it names
 * the class of every item of the test split. Several draws of the examples; the same examples
 * and items for both kinds of vectors, so that their difference is one of pairs. What a side
 * may choose (its way, the ridge) is chosen on the validation split, for each side by itself.
 */
#ifndef MT_TRAIN_EMBED_EXAM_H
#define MT_TRAIN_EMBED_EXAM_H

#include "train/asker.h"
#include "train/exam.h"
#include "train/paired.h"
#include "train/probe.h"

enum mt_embed_question {
    MT_EMBED_SKILL,    /* which skill is it? */
    MT_EMBED_GRADE,    /* which skill and difficulty? */
    MT_EMBED_ANSWERED, /* does a model answer it rightly? */
};
enum { MT_EMBED_QUESTIONS_N = MT_EMBED_ANSWERED + 1 };

enum {
    MT_EMBED_DRAWS = 8,      /* of labelled examples */
    MT_EMBED_EXAMPLES_N = 2, /* how many of them per class: mt_embed_examples[] */
    MT_EMBED_ITEMS = 50,     /* of the test split, per skill and difficulty */
    MT_EMBED_ITEMS_MAX = 1000,
    MT_EMBED_SCORES_MAX = MT_EMBED_QUESTIONS_N * MT_EMBED_EXAMPLES_N * MT_PROBE_WAYS_N,
};
extern const uint32_t mt_embed_examples[MT_EMBED_EXAMPLES_N];

/** One kind of vectors, in one way of making them. */
struct mt_features {
    const char *way; /* shown in cards */
    uint32_t width;
    void (*fill)(void *context, const struct mt_str *texts, uint32_t n, float *rows);
    void *context;
};

/** Vectors of one kind in all its ways; the first is taken where none is better. */
struct mt_embed_side {
    const struct mt_features *ways;
    uint32_t ways_n;
};

struct mt_embed_exam {
    uint32_t skills;  /* a bit per skill that items are of; at least two */
    uint32_t items_n; /* asked per skill and difficulty, 0 = MT_EMBED_ITEMS; no prompt comes
                         twice; examples are of twice as many, at most 96 */
    const struct mt_asker *answerer; /* NULL: MT_EMBED_ANSWERED is not asked */
    struct mt_embed_side ours, theirs;
};

struct mt_embed_score {
    enum mt_embed_question question;
    enum mt_probe_way probe;
    uint32_t examples_n; /* per class, or all of a class that has fewer */
    uint32_t classes_n, items_n;
    double ours, theirs; /* share of right answers, mean over draws */
    struct mt_paired paired;
    const char *their_way; /* what was chosen for them */
};

struct mt_embed_report {
    uint32_t skills;
    struct mt_embed_score scores[MT_EMBED_SCORES_MAX];
    uint32_t scores_n;
    /* MT_EMBED_GRADE with the most examples and a ridge, the first draw: ours, named rightly */
    struct mt_score grades[MT_SKILLS_N][MT_DIFFICULTIES_N];
};

/** @return MT_OK, MT_E_NOMEM, MT_E_NOTFOUND (no OpenBLAS)
 *  @blocks about a minute */
mt_rc mt_embed_exam(const struct mt_embed_exam *exam, struct mt_embed_report *out,
                    struct mt_err *err);

#endif
