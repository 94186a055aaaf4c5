/* SPDX-License-Identifier: Apache-2.0 */
/* A side's vectors of all pools are made way by way, as all ways together would take a lot of
 * memory: once to choose on the validation split, and once more to answer the test. */
#include "train/embed_exam.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "embed_pool.h"

enum { POOL_ITEMS_MAX = 96, EXAMPLES_MAX = 32, CLASSES_MAX = MT_SKILLS_N * MT_DIFFICULTIES_N };

const uint32_t mt_embed_examples[MT_EMBED_EXAMPLES_N] = {8, EXAMPLES_MAX};
static const double lambdas[] = {3e-5, 3e-4, 3e-3, 3e-2, 0.3, 3};

/* What a side chose for one score. */
struct choice {
    uint32_t way;
    double lambda;
    double share; /* right, on the validation split */
};

struct side {
    const struct mt_embed_side *from;
    struct choice choices[MT_EMBED_SCORES_MAX];
    bool *is_right; /* [scores_n x MT_EMBED_DRAWS x test.n] */
};

struct hall {
    const struct mt_embed_exam *exam;
    struct embed_pool train, validation, test;
    struct side ours, theirs;
    struct mt_embed_score *scores;
    uint32_t scores_n;
    /* of one probe */
    uint32_t *picked, *named; /* [the longest pool] */
    uint32_t classes[CLASSES_MAX * EXAMPLES_MAX];
    uint32_t counts[CLASSES_MAX];
};

/* Vectors of two pools, in one way. */
struct vectors {
    uint32_t width;
    float *train, *asked;
    float *labelled; /* of the examples */
};

static void vectors_fini(struct vectors *vectors)
{
    mt_free(vectors->train);
    mt_free(vectors->asked);
    mt_free(vectors->labelled);
}

static mt_rc vectors_init(struct vectors *vectors, const struct mt_features *features,
                          const struct embed_pool *train, const struct embed_pool *asked,
                          struct mt_err *err)
{
    vectors->width = features->width;
    vectors->train = mt_alloc((size_t)train->n * features->width, sizeof(float));
    vectors->asked = mt_alloc((size_t)asked->n * features->width, sizeof(float));
    vectors->labelled =
        mt_alloc((size_t)CLASSES_MAX * EXAMPLES_MAX * features->width, sizeof(float));
    if (vectors->train == NULL || vectors->asked == NULL || vectors->labelled == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "vectors of %u texts", train->n + asked->n);
    features->fill(features->context, train->texts, train->n, vectors->train);
    features->fill(features->context, asked->texts, asked->n, vectors->asked);
    return MT_OK;
}

/* ------------------------------------------------------------------ one probe */

struct round {
    const struct mt_embed_score *score;
    double lambda;
    uint32_t draw; /* of examples */
    const struct vectors *vectors;
    const struct embed_pool *asked; /* whose vectors are those asked */
};

static struct mt_labelled label(struct hall *hall, const struct round *round)
{
    const struct embed_quiz quiz = {hall->exam, round->score->question, &hall->train};
    const struct vectors *vectors = round->vectors;
    size_t row = vectors->width;
    uint32_t n = mt_train__pick(&quiz, round->score->examples_n, round->draw, hall->counts,
                                hall->picked);

    for (uint32_t i = 0; i < n; i++) {
        hall->classes[i] = mt_train__class_of(&quiz, hall->picked[i]);
        memcpy(vectors->labelled + i * row, vectors->train + hall->picked[i] * row,
               row * sizeof(float));
    }
    return (struct mt_labelled){vectors->labelled, hall->classes, n, vectors->width};
}

/* Learn from a draw of examples and name what is asked.
 *  @param is_right out: [asked->n] or NULL */
static mt_rc answer(struct hall *hall, const struct round *round, bool *is_right, double *share,
                    struct mt_err *err)
{
    const struct mt_embed_score *score = round->score;
    const struct mt_probe_opts opts = {score->probe, score->classes_n, round->lambda};
    const struct embed_quiz quiz = {hall->exam, score->question, round->asked};
    const struct mt_labelled examples = label(hall, round);
    MT_CLEANUP(mt_probe_freep) struct mt_probe *probe = NULL;
    uint32_t right_n = 0;

    MT_TRY(mt_probe_new(&opts, &examples, &probe, err));
    MT_TRY(mt_probe_name(probe, round->vectors->asked, round->asked->n, hall->named, err));
    for (uint32_t i = 0; i < round->asked->n; i++) {
        bool is = hall->named[i] == mt_train__class_of(&quiz, i);

        right_n += is;
        if (is_right != NULL)
            is_right[i] = is;
    }
    *share = (double)right_n / round->asked->n;
    return MT_OK;
}

/* ------------------------------------------------------------------ choosing, answering */

static mt_rc choose_of_way(struct hall *hall, struct side *side, uint32_t way,
                           const struct vectors *vectors, struct mt_err *err)
{
    for (uint32_t s = 0; s < hall->scores_n; s++) {
        bool is_ridge = hall->scores[s].probe == MT_PROBE_RIDGE;

        for (size_t i = 0; i < (is_ridge ? MT_ARRAY_LEN(lambdas) : 1); i++) {
            struct choice choice = {.way = way, .lambda = lambdas[i]};
            const struct round round = {&hall->scores[s], choice.lambda, MT_EMBED_DRAWS,
                                        vectors, &hall->validation};

            MT_TRY(answer(hall, &round, NULL, &choice.share, err));
            if (choice.share > side->choices[s].share)
                side->choices[s] = choice;
        }
    }
    return MT_OK;
}

static mt_rc choose(struct hall *hall, struct side *side, struct mt_err *err)
{
    for (uint32_t s = 0; s < hall->scores_n; s++)
        side->choices[s] = (struct choice){0, lambdas[0], 0};
    for (uint32_t way = 0; way < side->from->ways_n; way++) {
        MT_CLEANUP(vectors_fini) struct vectors vectors = {.width = 0};

        MT_TRY(vectors_init(&vectors, &side->from->ways[way], &hall->train, &hall->validation,
                            err));
        MT_TRY(choose_of_way(hall, side, way, &vectors, err));
    }
    return MT_OK;
}

static bool is_chosen(const struct hall *hall, const struct side *side, uint32_t way)
{
    for (uint32_t s = 0; s < hall->scores_n; s++) {
        if (side->choices[s].way == way)
            return true;
    }
    return false;
}

static mt_rc sit_way(struct hall *hall, struct side *side, uint32_t way, struct mt_err *err)
{
    MT_CLEANUP(vectors_fini) struct vectors vectors = {.width = 0};

    if (!is_chosen(hall, side, way))
        return MT_OK;
    MT_TRY(vectors_init(&vectors, &side->from->ways[way], &hall->train, &hall->test, err));
    for (uint32_t s = 0; s < hall->scores_n; s++) {
        for (uint32_t draw = 0; side->choices[s].way == way && draw < MT_EMBED_DRAWS; draw++) {
            const struct round round = {&hall->scores[s], side->choices[s].lambda, draw,
                                        &vectors, &hall->test};
            bool *is_right =
                side->is_right + ((size_t)s * MT_EMBED_DRAWS + draw) * hall->test.n;
            double share;

            MT_TRY(answer(hall, &round, is_right, &share, err));
        }
    }
    return MT_OK;
}

static mt_rc sit(struct hall *hall, struct side *side, struct mt_err *err)
{
    side->is_right = mt_alloc((size_t)hall->scores_n * MT_EMBED_DRAWS * hall->test.n, 1);
    if (side->is_right == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "answers to %u items", hall->test.n);
    MT_TRY(choose(hall, side, err));
    for (uint32_t way = 0; way < side->from->ways_n; way++)
        MT_TRY(sit_way(hall, side, way, err));
    return MT_OK;
}

/* ------------------------------------------------------------------ the report */

static void list_scores(struct hall *hall)
{
    uint32_t n = 0;

    for (unsigned question = 0; question < MT_EMBED_QUESTIONS_N; question++) {
        if (question == MT_EMBED_ANSWERED && hall->exam->answerer == NULL)
            continue;
        for (unsigned i = 0; i < MT_EMBED_EXAMPLES_N * MT_PROBE_WAYS_N; i++)
            hall->scores[n++] = (struct mt_embed_score){
                .question = (enum mt_embed_question)question,
                .probe = (enum mt_probe_way)(i % MT_PROBE_WAYS_N),
                .examples_n = mt_embed_examples[i / MT_PROBE_WAYS_N],
                .classes_n = mt_train__classes_n(hall->exam, (enum mt_embed_question)question),
                .items_n = hall->test.n,
            };
    }
    hall->scores_n = n;
}

static double share_of(const bool *is_right, size_t n)
{
    size_t right_n = 0;

    for (size_t i = 0; i < n; i++)
        right_n += is_right[i];
    return (double)right_n / (double)n;
}

static mt_rc compare(struct hall *hall, struct mt_err *err)
{
    size_t row = (size_t)MT_EMBED_DRAWS * hall->test.n;

    for (uint32_t s = 0; s < hall->scores_n; s++) {
        struct mt_embed_score *score = &hall->scores[s];
        const bool *ours = hall->ours.is_right + s * row;
        const bool *theirs = hall->theirs.is_right + s * row;

        score->ours = share_of(ours, row);
        score->theirs = share_of(theirs, row);
        score->their_way = hall->theirs.from->ways[hall->theirs.choices[s].way].way;
        MT_TRY(mt_paired_gain(ours, theirs, MT_EMBED_DRAWS, hall->test.n, &score->paired, err));
    }
    return MT_OK;
}

static void count_grades(const struct hall *hall, struct mt_embed_report *out)
{
    for (uint32_t s = 0; s < hall->scores_n; s++) {
        const struct mt_embed_score *score = &hall->scores[s];
        const bool *is_right = hall->ours.is_right + (size_t)s * MT_EMBED_DRAWS * hall->test.n;

        if (score->question != MT_EMBED_GRADE || score->probe != MT_PROBE_RIDGE ||
            score->examples_n != mt_embed_examples[MT_EMBED_EXAMPLES_N - 1])
            continue;
        for (uint32_t i = 0; i < hall->test.n; i++) {
            const struct mt_item *item = &hall->test.items[i];
            struct mt_score *grade = &out->grades[item->skill][item->difficulty];

            grade->items_n++;
            grade->right_n += is_right[i];
        }
    }
}

static void hall_freep(struct hall **hall)
{
    if (*hall == NULL)
        return;
    mt_train__pool_fini(&(*hall)->train);
    mt_train__pool_fini(&(*hall)->validation);
    mt_train__pool_fini(&(*hall)->test);
    mt_free((*hall)->ours.is_right);
    mt_free((*hall)->theirs.is_right);
    mt_free((*hall)->picked);
    mt_free((*hall)->named);
    mt_free(*hall);
}

static mt_rc open_hall(struct hall *hall, struct mt_err *err)
{
    uint32_t items_n = hall->exam->items_n > 0 ? hall->exam->items_n : MT_EMBED_ITEMS;

    MT_ASSERT(__builtin_popcount(hall->exam->skills) >= 2 && items_n <= MT_EMBED_ITEMS_MAX);
    /* a short exam is one of few examples, too */
    uint32_t pool_n = 2 * items_n < POOL_ITEMS_MAX ? 2 * items_n : POOL_ITEMS_MAX;
    MT_TRY(mt_train__pool_new(hall->exam, MT_SPLIT_TRAIN, pool_n, &hall->train, err));
    MT_TRY(
        mt_train__pool_new(hall->exam, MT_SPLIT_VALIDATION, items_n, &hall->validation, err));
    MT_TRY(mt_train__pool_new(hall->exam, MT_SPLIT_TEST, items_n, &hall->test, err));
    uint32_t asked_n = hall->test.n > hall->validation.n ? hall->test.n : hall->validation.n;
    hall->picked = mt_alloc(hall->train.n, sizeof *hall->picked);
    hall->named = mt_alloc(asked_n, sizeof *hall->named);
    if (hall->picked == NULL || hall->named == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "exam of %u items", hall->test.n);
    list_scores(hall);
    return MT_OK;
}

mt_rc mt_embed_exam(const struct mt_embed_exam *exam, struct mt_embed_report *out,
                    struct mt_err *err)
{
    struct mt_embed_report report = {.skills = exam->skills};
    MT_CLEANUP(hall_freep) struct hall *hall = mt_alloc(1, sizeof *hall);

    if (hall == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "exam");
    hall->exam = exam;
    hall->scores = report.scores;
    hall->ours.from = &exam->ours;
    hall->theirs.from = &exam->theirs;
    MT_TRY(open_hall(hall, err));
    MT_TRY(sit(hall, &hall->ours, err));
    MT_TRY(sit(hall, &hall->theirs, err));
    MT_TRY(compare(hall, err));
    report.scores_n = hall->scores_n;
    count_grades(hall, &report);
    *out = report;
    return MT_OK;
}
