/* SPDX-License-Identifier: Apache-2.0 */
#include "train/embed_card.h"

#include "wire/json_writer.h"

static const char *const questions[MT_EMBED_QUESTIONS_N] = {"skill", "skill and difficulty",
                                                            "answered rightly"};
static const char *const probes[MT_PROBE_WAYS_N] = {"ridge", "centroid"};

static bool is_learned(const struct mt_embed_card *card, const struct mt_embed_report *report)
{
    return (report->skills & ~card->learned) == 0;
}

/* ------------------------------------------------------------------ for people */

static void add_figures(const struct mt_embed_card *card, struct mt_buf *out)
{
    const struct mt_shape *shape = &card->shape;

    mt_buf_addf(out, "- Parameters: %llu\n", (unsigned long long)mt_shape_params_n(shape));
    mt_buf_addf(out,
                "- Shape: llama, %u layers, width %u, feed-forward %u, %u heads of %u (%u for "
                "keys and values), context %u, %u tokens, %s output; a text is its bytes and "
                "an end token, whose state is the vector\n",
                shape->layers_n, shape->width, shape->ff_width, shape->heads_n,
                shape->head_width, shape->kv_heads_n, shape->context_n, shape->vocab_n,
                shape->is_tied ? "tied" : "untied");
    if (card->steps_n > 0)
        mt_buf_addf(out, "- Trained: %llu steps, %llu tokens, %.0f s, data seed %llu\n",
                    (unsigned long long)card->steps_n, (unsigned long long)card->tokens_n,
                    card->wall_s, (unsigned long long)card->data_seed);
}

static void add_skills(uint32_t skills, struct mt_buf *out)
{
    const char *between = "";

    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        if ((skills >> skill & 1) == 0)
            continue;
        mt_buf_addf(out, "%s%s", between, mt_skill_info((enum mt_skill)skill)->name);
        between = ", ";
    }
}

static void add_score(const struct mt_embed_score *score, struct mt_buf *out)
{
    const struct mt_paired *paired = &score->paired;

    mt_buf_addf(out,
                "| %s | %u | %s | %u | %.1f %% | %.1f %% (%s) | %+.1f (%+.1f to %+.1f) | %+.1f "
                "to %+.1f |\n",
                questions[score->question], score->classes_n, probes[score->probe],
                score->examples_n, 100 * score->ours, 100 * score->theirs, score->their_way,
                100 * paired->gain, 100 * paired->low, 100 * paired->high,
                100 * paired->gain_min, 100 * paired->gain_max);
}

static void add_report(const struct mt_embed_card *card, const struct mt_embed_report *report,
                       struct mt_buf *out)
{
    mt_buf_add_cstr(out, is_learned(card, report) ? "\n### Skills it learned from\n\n"
                                                  : "\n### Skills it never saw\n\n");
    add_skills(report->skills, out);
    mt_buf_addf(out, "; %u items.\n\n", report->scores[0].items_n);
    mt_buf_addf(
        out,
        "| told apart | classes | probe | examples | %.*s | n-grams (their way) | gain, "
        "points (95 %%) | over draws |\n|---|---|---|---|---|---|---|---|\n",
        MT_STR_ARG(card->name));
    for (uint32_t i = 0; i < report->scores_n; i++)
        add_score(&report->scores[i], out);
}

/* Not shown, with 95 % confidence, to be told from other grades nine times in ten. */
static bool is_weak(struct mt_score score)
{
    double low, high;

    mt_wilson(score.right_n, score.items_n, &low, &high);
    return score.items_n > 0 && high < 0.9;
}

static void add_weak(const struct mt_embed_report *report, struct mt_buf *out)
{
    const char *between = "- Told from the others less than nine times in ten, with 95 % "
                          "confidence (ridge, most examples): ";
    bool is_any = false;

    for (unsigned i = 0; i < MT_SKILLS_N * MT_DIFFICULTIES_N; i++) {
        enum mt_skill skill = (enum mt_skill)(i / MT_DIFFICULTIES_N);
        enum mt_difficulty difficulty = (enum mt_difficulty)(i % MT_DIFFICULTIES_N);
        struct mt_score score = report->grades[skill][difficulty];

        if (!is_weak(score))
            continue;
        mt_buf_addf(out, "%s%s %s (%.0f %%)", between, mt_skill_info(skill)->name,
                    mt_difficulty_name(difficulty), 100.0 * score.right_n / score.items_n);
        between = ", ";
        is_any = true;
    }
    if (is_any)
        mt_buf_add_cstr(out, ".\n");
}

/* Where n-grams are as good, or better, nobody needs the model. */
static void add_no_gain(const struct mt_embed_card *card, const struct mt_embed_report *report,
                        struct mt_buf *out)
{
    const char *of = is_learned(card, report) ? "" : ", of skills it never saw";

    for (uint32_t i = 0; i < report->scores_n; i++) {
        const struct mt_embed_score *score = &report->scores[i];

        if (score->paired.low > 0)
            continue;
        mt_buf_addf(out, "- %s: %s with %u examples, %s%s.\n",
                    score->paired.high < 0 ? "Worse than n-grams"
                                           : "Not shown to be better than n-grams",
                    questions[score->question], score->examples_n, probes[score->probe], of);
    }
}

void mt_embed_card_markdown(const struct mt_embed_card *card, struct mt_buf *out)
{
    mt_buf_addf(out, "# %.*s\n\n", MT_STR_ARG(card->name));
    if (card->about.len > 0)
        mt_buf_addf(out, "%.*s\n\n", MT_STR_ARG(card->about));
    add_figures(card, out);
    mt_buf_addf(
        out,
        "\n## What its vectors tell, next to hashed n-grams\n\nA linear probe learns from some "
        "labelled examples per class of the train split and names the class of the test "
        "split's items: share right, mean over %d draws of the examples. Both sides get the "
        "same examples and items; the gain is paired, its interval the bootstrap's over items "
        "and draws. N-grams are those of 1 to 4 bytes and words in %d buckets; their "
        "weighting, "
        "and the ridge of both sides, are the best of the validation split.\n",
        MT_EMBED_DRAWS, 4096);
    if (card->answerer.len > 0)
        mt_buf_addf(out, "\n\"Answered rightly\" foretells `%.*s`.\n",
                    MT_STR_ARG(card->answerer));
    for (uint32_t i = 0; i < card->reports_n; i++)
        add_report(card, &card->reports[i], out);
    mt_buf_add_cstr(out,
                    "\n## What it cannot do\n\n- It knows the curriculum's tasks and their "
                    "forms, no language: of other texts its vectors say little.\n");
    for (uint32_t i = 0; i < card->reports_n; i++) {
        add_weak(&card->reports[i], out);
        add_no_gain(card, &card->reports[i], out);
    }
}

/* ------------------------------------------------------------------ for programs */

static void write_count(const char *key, uint64_t count, struct mt_jw *w)
{
    mt_jw_ki64(w, key, count < INT64_MAX ? (int64_t)count : INT64_MAX);
}

static void write_skills(const char *key, uint32_t skills, struct mt_jw *w)
{
    mt_jw_key(w, key);
    mt_jw_array(w);
    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        if ((skills >> skill & 1) != 0)
            mt_jw_cstr(w, mt_skill_info((enum mt_skill)skill)->name);
    }
    mt_jw_end(w);
}

static void write_score(const struct mt_embed_score *score, struct mt_jw *w)
{
    mt_jw_object(w);
    mt_jw_kcstr(w, "question", questions[score->question]);
    mt_jw_kcstr(w, "probe", probes[score->probe]);
    mt_jw_ki64(w, "examples", score->examples_n);
    mt_jw_ki64(w, "classes", score->classes_n);
    mt_jw_ki64(w, "items", score->items_n);
    mt_jw_kf64(w, "ours", score->ours);
    mt_jw_kf64(w, "ngrams", score->theirs);
    mt_jw_kcstr(w, "ngrams_way", score->their_way);
    mt_jw_kf64(w, "gain", score->paired.gain);
    mt_jw_kf64(w, "low", score->paired.low);
    mt_jw_kf64(w, "high", score->paired.high);
    mt_jw_kf64(w, "gain_min", score->paired.gain_min);
    mt_jw_kf64(w, "gain_max", score->paired.gain_max);
    mt_jw_end(w);
}

static void write_report(const struct mt_embed_report *report, struct mt_jw *w)
{
    mt_jw_object(w);
    write_skills("skills", report->skills, w);
    mt_jw_key(w, "scores");
    mt_jw_array(w);
    for (uint32_t i = 0; i < report->scores_n; i++)
        write_score(&report->scores[i], w);
    mt_jw_end(w);
    mt_jw_end(w);
}

void mt_embed_card_json(const struct mt_embed_card *card, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "name", card->name);
    mt_jw_kstr(&w, "about", card->about);
    write_count("parameters", mt_shape_params_n(&card->shape), &w);
    write_count("width", card->shape.width, &w);
    write_count("data_seed", card->data_seed, &w);
    write_count("steps", card->steps_n, &w);
    write_count("tokens", card->tokens_n, &w);
    mt_jw_kf64(&w, "wall_s", card->wall_s);
    write_skills("learned", card->learned, &w);
    if (card->answerer.len > 0)
        mt_jw_kstr(&w, "answerer", card->answerer);
    mt_jw_kcstr(&w, "split", "test");
    mt_jw_kf64(&w, "confidence", 0.95);
    mt_jw_ki64(&w, "draws", MT_EMBED_DRAWS);
    mt_jw_key(&w, "reports");
    mt_jw_array(&w);
    for (uint32_t i = 0; i < card->reports_n; i++)
        write_report(&card->reports[i], &w);
    mt_jw_end(&w);
    mt_jw_end(&w);
}
