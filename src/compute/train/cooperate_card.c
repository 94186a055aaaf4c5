/* SPDX-License-Identifier: Apache-2.0 */
/* The card of a team: what it was made of, and what it is worth beside simpler ways to get one
 * answer out of two models. */
#include "train/cooperate_exam.h"
#include "wire/json_writer.h"

const enum mt_coop_way mt_coop_answers[MT_COOP_ANSWERS_N] = {MT_COOP_SECOND,
                                                             MT_COOP_SURER_SECOND};

const struct mt_coop_rival mt_coop_rivals[MT_COOP_RIVALS_N] = {
    {MT_COOP_TOGETHER, MT_COOP_BETTER_FIRST}, {MT_COOP_TOGETHER, MT_COOP_SURER_FIRST},
    {MT_COOP_ALONE, MT_COOP_BETTER_FIRST},    {MT_COOP_ALONE, MT_COOP_SURER_FIRST},
    {MT_COOP_ALONE, MT_COOP_SECOND},          {MT_COOP_ALONE, MT_COOP_SURER_SECOND},
};

static const struct {
    const char *key, *words;
} ways[MT_COOP_WAYS_N] = {
    [MT_COOP_FIRST_A] = {"first_a", "the first agent's first answer"},
    [MT_COOP_FIRST_B] = {"first_b", "the second agent's first answer"},
    [MT_COOP_BETTER_FIRST] = {"better_first", "first answer of the better agent"},
    [MT_COOP_SURER_FIRST] = {"surer_first", "first answer of lower entropy"},
    [MT_COOP_SECOND_A] = {"second_a", "the first agent's second answer"},
    [MT_COOP_SECOND_B] = {"second_b", "the second agent's second answer"},
    [MT_COOP_SECOND] = {"second", "second answers, mean of both agents"},
    [MT_COOP_SURER_SECOND] = {"surer_second", "second answer of lower entropy"},
    [MT_COOP_ONE_FIRST] = {"one_first", "one of the first answers, whichever is right"},
};

static const char *const doubts[MT_DOUBTS_N] = {
    [MT_DOUBT_MEAN] = "mean",
    [MT_DOUBT_MOST] = "greatest",
    [MT_DOUBT_SUM] = "summed",
};

static const struct {
    const char *key, *words;
} pairs[MT_COOP_PAIRS_N] = {
    [MT_COOP_TOGETHER] = {"team", "its own"},
    [MT_COOP_ALONE] = {"alone", "trained alone"},
};

mt_rc mt_coop_card_measure(struct mt_coop_card *card,
                           const struct mt_coop_sheet sheets[MT_COOP_PAIRS_N],
                           struct mt_err *err)
{
    int pairs_n = card->has_alone ? MT_COOP_PAIRS_N : 1;

    card->items_n = sheets[MT_COOP_TOGETHER].items_n;
    for (int pair = 0; pair < pairs_n; pair++) {
        card->choices[pair] = sheets[pair].choice;
        for (unsigned way = 0; way < MT_COOP_WAYS_N; way++)
            card->scores[pair][way] = mt_coop_score(&sheets[pair], (enum mt_coop_way)way);
    }
    for (int answer = 0; answer < MT_COOP_ANSWERS_N; answer++) {
        for (int r = 0; r < MT_COOP_RIVALS_N; r++) {
            const struct mt_coop_rival *rival = &mt_coop_rivals[r];

            if (rival->pair < pairs_n)
                MT_TRY(mt_coop_compare(&sheets[MT_COOP_TOGETHER], mt_coop_answers[answer],
                                       &sheets[rival->pair], rival->way,
                                       &card->gains[answer][r], err));
        }
    }
    return MT_OK;
}

/* ------------------------------------------------------------------ for people */

static void add_figures(const struct mt_coop_card *card, struct mt_buf *out)
{
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        mt_buf_addf(out, "- Agent %c: %.*s, %llu parameters\n", 'A' + a,
                    MT_STR_ARG(card->models[a]), (unsigned long long)card->params_n[a]);
    mt_buf_addf(
        out, "- Trained %s: %llu steps, %llu tokens drawn by both, %.0f s, data seed %llu\n",
        card->is_alone ? "each alone" : "together", (unsigned long long)card->steps_n,
        (unsigned long long)card->tokens_n, card->wall_s, (unsigned long long)card->seed);
}

static void add_scores(const struct mt_coop_card *card, struct mt_buf *out)
{
    mt_buf_addf(out, "| answer | this pair |%s\n|---|---|%s\n",
                card->has_alone ? " trained alone |" : "", card->has_alone ? "---|" : "");
    for (unsigned way = 0; way < MT_COOP_WAYS_N; way++) {
        mt_buf_addf(out, "| %s | %.1f %% |", ways[way].words,
                    100 * card->scores[MT_COOP_TOGETHER][way]);
        if (card->has_alone)
            mt_buf_addf(out, " %.1f %% |", 100 * card->scores[MT_COOP_ALONE][way]);
        mt_buf_add_char(out, '\n');
    }
}

static bool is_measured(const struct mt_coop_card *card, int rival)
{
    return card->has_alone || mt_coop_rivals[rival].pair == MT_COOP_TOGETHER;
}

static void add_gain(const struct mt_coop_gain *gain, struct mt_buf *out)
{
    mt_buf_addf(out, " %+.1f (%+.1f to %+.1f) |", 100 * gain->gain, 100 * gain->low,
                100 * gain->high);
}

static void add_gains(const struct mt_coop_card *card, struct mt_buf *out)
{
    mt_buf_add_cstr(out, "| over | of the pair |");
    for (int answer = 0; answer < MT_COOP_ANSWERS_N; answer++)
        mt_buf_addf(out, " %s |", ways[mt_coop_answers[answer]].words);
    mt_buf_add_cstr(out, "\n|---|---|---|---|\n");
    for (int r = 0; r < MT_COOP_RIVALS_N; r++) {
        if (!is_measured(card, r))
            continue;
        mt_buf_addf(out, "| %s | %s |", ways[mt_coop_rivals[r].way].words,
                    pairs[mt_coop_rivals[r].pair].words);
        for (int answer = 0; answer < MT_COOP_ANSWERS_N; answer++)
            add_gain(&card->gains[answer][r], out);
        mt_buf_add_char(out, '\n');
    }
}

static const char *verdict(const struct mt_coop_gain *gain)
{
    if (gain->low > 0)
        return "better than";
    return gain->high < 0 ? "worse than" : "not shown to differ from";
}

/* Said in words, so that nobody has to find it in the table: is the second turn worth it? */
static void add_verdicts(const struct mt_coop_card *card, int answer, struct mt_buf *out)
{
    mt_buf_addf(out, "\nWith 95 %% confidence %s:\n\n", ways[mt_coop_answers[answer]].words);
    for (int r = 0; r < MT_COOP_RIVALS_N; r++) {
        if (is_measured(card, r))
            mt_buf_addf(out, "- %s the %s (%s).\n", verdict(&card->gains[answer][r]),
                        ways[mt_coop_rivals[r].way].words, pairs[mt_coop_rivals[r].pair].words);
    }
}

void mt_coop_card_markdown(const struct mt_coop_card *card, struct mt_buf *out)
{
    const struct mt_coop_choice *choice = &card->choices[MT_COOP_TOGETHER];

    mt_buf_addf(out, "# %.*s\n\n", MT_STR_ARG(card->name));
    if (card->about.len > 0)
        mt_buf_addf(out, "%.*s\n\n", MT_STR_ARG(card->about));
    add_figures(card, out);
    mt_buf_addf(out,
                "\n## How often it is right\n\nOn %u different prompts of the test split, in "
                "the mixture that it was trained on: both agents answer, each sees the other's "
                "answer, both answer again, with their likeliest tokens. Which agent is the "
                "better one, and which entropy of an answer's tokens tells best (here the %s "
                "one of first and the %s one of second answers), was found on the validation "
                "split.\n\n",
                card->items_n, doubts[choice->doubt[0]], doubts[choice->doubt[1]]);
    add_scores(card, out);
    mt_buf_add_cstr(out,
                    "\n## What the team gains\n\nPercentage points, with 95 % intervals of "
                    "the paired differences.\n\n");
    add_gains(card, out);
    for (int answer = 0; answer < MT_COOP_ANSWERS_N; answer++)
        add_verdicts(card, answer, out);
}

/* ------------------------------------------------------------------ for programs */

/* Counts beyond 2^63 do not come about. */
static void write_count(const char *key, uint64_t count, struct mt_jw *w)
{
    mt_jw_ki64(w, key, count < INT64_MAX ? (int64_t)count : INT64_MAX);
}

static void write_agents(const struct mt_coop_card *card, struct mt_jw *w)
{
    mt_jw_key(w, "agents");
    mt_jw_array(w);
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        mt_jw_object(w);
        mt_jw_kstr(w, "model", card->models[a]);
        write_count("parameters", card->params_n[a], w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

static void write_scores(const struct mt_coop_card *card, int pair, struct mt_jw *w)
{
    const struct mt_coop_choice *choice = &card->choices[pair];

    mt_jw_key(w, pairs[pair].key);
    mt_jw_object(w);
    mt_jw_kcstr(w, "better", choice->better == 0 ? "a" : "b");
    mt_jw_kcstr(w, "first_entropy", doubts[choice->doubt[0]]);
    mt_jw_kcstr(w, "second_entropy", doubts[choice->doubt[1]]);
    for (unsigned way = 0; way < MT_COOP_WAYS_N; way++)
        mt_jw_kf64(w, ways[way].key, card->scores[pair][way]);
    mt_jw_end(w);
}

static void write_gain(const struct mt_coop_card *card, int answer, int rival, struct mt_jw *w)
{
    const struct mt_coop_gain *gain = &card->gains[answer][rival];

    mt_jw_object(w);
    mt_jw_kcstr(w, "answer", ways[mt_coop_answers[answer]].key);
    mt_jw_kcstr(w, "pair", pairs[mt_coop_rivals[rival].pair].key);
    mt_jw_kcstr(w, "over", ways[mt_coop_rivals[rival].way].key);
    mt_jw_kf64(w, "gain", gain->gain);
    mt_jw_kf64(w, "low", gain->low);
    mt_jw_kf64(w, "high", gain->high);
    mt_jw_end(w);
}

static void write_gains(const struct mt_coop_card *card, struct mt_jw *w)
{
    mt_jw_key(w, "gains");
    mt_jw_array(w);
    for (int answer = 0; answer < MT_COOP_ANSWERS_N; answer++)
        for (int r = 0; r < MT_COOP_RIVALS_N; r++)
            if (is_measured(card, r))
                write_gain(card, answer, r, w);
    mt_jw_end(w);
}

void mt_coop_card_json(const struct mt_coop_card *card, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "name", card->name);
    mt_jw_kstr(&w, "about", card->about);
    write_agents(card, &w);
    mt_jw_kbool(&w, "trained_alone", card->is_alone);
    write_count("data_seed", card->seed, &w);
    write_count("steps", card->steps_n, &w);
    write_count("tokens", card->tokens_n, &w);
    mt_jw_kf64(&w, "wall_s", card->wall_s);
    mt_jw_kcstr(&w, "split", "test");
    mt_jw_kf64(&w, "confidence", 0.95);
    write_count("items", card->items_n, &w);
    write_scores(card, MT_COOP_TOGETHER, &w);
    if (card->has_alone)
        write_scores(card, MT_COOP_ALONE, &w);
    write_gains(card, &w);
    mt_jw_end(&w);
}
