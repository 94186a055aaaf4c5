/* SPDX-License-Identifier: Apache-2.0 */
#include "train/card.h"

#include "wire/json_writer.h"

/* By a model, or by a chain. */
static mt_rc measure(struct mt_card *card, const struct mt_asker *asker,
                     const struct mt_chain *chain, uint32_t items_n, struct mt_err *err)
{
    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++) {
            const struct mt_exam exam = {(enum mt_skill)skill, (enum mt_difficulty)difficulty,
                                         MT_SPLIT_TEST, items_n};
            struct mt_score *score = &card->scores[skill][difficulty];

            MT_TRY(chain != NULL ? mt_exam_ask_chain(&exam, chain, score, err)
                                 : mt_exam_ask(&exam, asker, score, err));
        }
    }
    return MT_OK;
}

mt_rc mt_card_measure(struct mt_card *card, const struct mt_asker *asker, uint32_t items_n,
                      struct mt_err *err)
{
    return measure(card, asker, NULL, items_n, err);
}

mt_rc mt_card_measure_chain(struct mt_card *card, const struct mt_chain *chain,
                            uint32_t items_n, struct mt_err *err)
{
    return measure(card, NULL, chain, items_n, err);
}

struct mt_score mt_card_one_step(const struct mt_card *card, enum mt_difficulty difficulty)
{
    struct mt_score sum = {0};

    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        if (mt_skill_info((enum mt_skill)skill)->steps_n > 1)
            continue;
        sum.items_n += card->scores[skill][difficulty].items_n;
        sum.right_n += card->scores[skill][difficulty].right_n;
    }
    return sum;
}

struct shares {
    double share, low, high;
};

static struct shares shares_of(struct mt_score score)
{
    struct shares shares = {0};

    if (score.items_n > 0)
        shares.share = (double)score.right_n / (double)score.items_n;
    mt_wilson(score.right_n, score.items_n, &shares.low, &shares.high);
    return shares;
}

/* What a score lets us say, with 95 % confidence; the order is that of the page. */
enum claim { CLAIM_RELIABLE, CLAIM_UNSURE, CLAIM_MOSTLY_WRONG, CLAIM_CANNOT, CLAIM_NONE };

static const struct {
    enum claim claim;
    const char *words;
} claims[] = {
    {CLAIM_CANNOT, "Cannot (right less than one time in five)"},
    {CLAIM_MOSTLY_WRONG, "Mostly wrong (right less than half of the time)"},
    {CLAIM_UNSURE, "Not to be relied on (wrong more than one time in ten, or not shown to be "
                   "better)"},
    {CLAIM_RELIABLE, "Reliable (right nine times in ten or more)"},
};

static enum claim claim_of(struct mt_score score)
{
    struct shares shares = shares_of(score);

    if (score.items_n == 0)
        return CLAIM_NONE;
    if (shares.high < 0.2)
        return CLAIM_CANNOT;
    if (shares.high < 0.5)
        return CLAIM_MOSTLY_WRONG;
    return shares.low < 0.9 ? CLAIM_UNSURE : CLAIM_RELIABLE;
}

/* "multiply (middle, hard), sort (hard)"; nothing when no score allows the claim. */
static void add_claim(const struct mt_card *card, size_t row, struct mt_buf *out)
{
    bool is_first = true;

    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        bool is_open = false;
        for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++) {
            if (claim_of(card->scores[skill][difficulty]) != claims[row].claim)
                continue;
            if (is_first)
                mt_buf_addf(out, "- %s: ", claims[row].words);
            else if (!is_open)
                mt_buf_add_cstr(out, ", ");
            if (!is_open)
                mt_buf_addf(out, "%s (", mt_skill_info((enum mt_skill)skill)->name);
            mt_buf_addf(out, "%s%s", is_open ? ", " : "",
                        mt_difficulty_name((enum mt_difficulty)difficulty));
            is_open = true;
            is_first = false;
        }
        if (is_open)
            mt_buf_add_char(out, ')');
    }
    if (!is_first)
        mt_buf_add_cstr(out, ".\n");
}

static void add_score(struct mt_score score, struct mt_buf *out)
{
    struct shares shares = shares_of(score);

    if (score.items_n == 0) {
        mt_buf_add_cstr(out, " - |");
        return;
    }
    mt_buf_addf(out, " %.1f %% (%.1f-%.1f), %u |", 100 * shares.share, 100 * shares.low,
                100 * shares.high, score.items_n);
}

static void add_table(const struct mt_card *card, struct mt_buf *out)
{
    mt_buf_add_cstr(out, "| skill | easy | middle | hard |\n|---|---|---|---|\n");
    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        mt_buf_addf(out, "| %s |", mt_skill_info((enum mt_skill)skill)->name);
        for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++)
            add_score(card->scores[skill][difficulty], out);
        mt_buf_add_char(out, '\n');
    }
    mt_buf_add_cstr(out, "| **one step** |");
    for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++)
        add_score(mt_card_one_step(card, (enum mt_difficulty)difficulty), out);
    mt_buf_add_char(out, '\n');
}

static void add_members(const struct mt_card *card, struct mt_buf *out)
{
    for (size_t i = 0; i < card->members_n; i++) {
        const struct mt_card_member *member = &card->members[i];

        mt_buf_addf(out, "- %.*s, %llu parameters: %.*s\n", MT_STR_ARG(member->model),
                    (unsigned long long)member->params_n, MT_STR_ARG(member->skills));
    }
}

static void add_figures(const struct mt_card *card, struct mt_buf *out)
{
    const struct mt_shape *shape = &card->shape;

    if (card->members_n > 0) {
        add_members(card, out);
        return;
    }

    mt_buf_addf(out, "- Parameters: %llu\n", (unsigned long long)mt_shape_params_n(shape));
    mt_buf_addf(out,
                "- Shape: llama, %u layers, width %u, feed-forward %u, %u heads of %u (%u for "
                "keys and values), RoPE base %g, context %u, %u tokens, %s output\n",
                shape->layers_n, shape->width, shape->ff_width, shape->heads_n,
                shape->head_width, shape->kv_heads_n, (double)shape->rope_base,
                shape->context_n, shape->vocab_n, shape->is_tied ? "tied" : "untied");
    mt_buf_addf(out, "- Trained: %llu steps, %llu tokens, %.0f s, data seed %llu\n",
                (unsigned long long)card->steps_n, (unsigned long long)card->tokens_n,
                card->wall_s, (unsigned long long)card->data_seed);
}

void mt_card_markdown(const struct mt_card *card, struct mt_buf *out)
{
    mt_buf_addf(out, "# %.*s\n\n", MT_STR_ARG(card->name));
    if (card->about.len > 0)
        mt_buf_addf(out, "%.*s\n\n", MT_STR_ARG(card->about));
    add_figures(card, out);
    mt_buf_addf(out,
                "\n## How often it is right\n\nExact answers on the test split, %s likeliest "
                "tokens: share, 95 %% interval (Wilson), items. No prompt was trained on.\n\n",
                card->members_n > 0 ? "step by step, its members'" : "its");
    add_table(card, out);
    mt_buf_add_cstr(out, "\n## What it can and cannot do\n\nEach with 95 % confidence:\n\n");
    for (size_t i = 0; i < MT_ARRAY_LEN(claims); i++)
        add_claim(card, i, out);
    mt_card_help_markdown(card, out);
}

static void write_shape(const struct mt_shape *shape, struct mt_jw *w)
{
    mt_jw_key(w, "shape");
    mt_jw_object(w);
    mt_jw_ki64(w, "vocab", shape->vocab_n);
    mt_jw_ki64(w, "context", shape->context_n);
    mt_jw_ki64(w, "layers", shape->layers_n);
    mt_jw_ki64(w, "width", shape->width);
    mt_jw_ki64(w, "ff_width", shape->ff_width);
    mt_jw_ki64(w, "heads", shape->heads_n);
    mt_jw_ki64(w, "kv_heads", shape->kv_heads_n);
    mt_jw_ki64(w, "head_width", shape->head_width);
    mt_jw_key(w, "rope_base");
    mt_jw_f32(w, shape->rope_base);
    mt_jw_kbool(w, "tied", shape->is_tied);
    mt_jw_end(w);
}

static void write_score(const char *skill, enum mt_difficulty difficulty, struct mt_score score,
                        struct mt_jw *w)
{
    struct shares shares = shares_of(score);

    if (score.items_n == 0)
        return;
    mt_jw_object(w);
    mt_jw_kcstr(w, "skill", skill);
    mt_jw_kcstr(w, "difficulty", mt_difficulty_name(difficulty));
    mt_jw_ki64(w, "items", score.items_n);
    mt_jw_ki64(w, "right", score.right_n);
    mt_jw_kf64(w, "accuracy", shares.share);
    mt_jw_kf64(w, "low", shares.low);
    mt_jw_kf64(w, "high", shares.high);
    mt_jw_end(w);
}

/* Seeds and counts beyond 2^63 do not come about. */
static void write_count(const char *key, uint64_t count, struct mt_jw *w)
{
    mt_jw_ki64(w, key, count < INT64_MAX ? (int64_t)count : INT64_MAX);
}

static void write_model(const struct mt_card *card, struct mt_jw *w)
{
    write_count("parameters", mt_shape_params_n(&card->shape), w);
    write_shape(&card->shape, w);
    write_count("data_seed", card->data_seed, w);
    write_count("steps", card->steps_n, w);
    write_count("tokens", card->tokens_n, w);
    mt_jw_kf64(w, "wall_s", card->wall_s);
}

static void write_members(const struct mt_card *card, struct mt_jw *w)
{
    mt_jw_key(w, "members");
    mt_jw_array(w);
    for (size_t i = 0; i < card->members_n; i++) {
        mt_jw_object(w);
        mt_jw_kstr(w, "model", card->members[i].model);
        mt_jw_kstr(w, "skills", card->members[i].skills);
        write_count("parameters", card->members[i].params_n, w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

void mt_card_json(const struct mt_card *card, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "name", card->name);
    mt_jw_kstr(&w, "about", card->about);
    if (card->members_n > 0)
        write_members(card, &w);
    else
        write_model(card, &w);
    mt_jw_kcstr(&w, "split", "test");
    mt_jw_kf64(&w, "confidence", 0.95);
    mt_jw_key(&w, "scores");
    mt_jw_array(&w);
    for (unsigned i = 0; i < MT_SKILLS_N * MT_DIFFICULTIES_N; i++) {
        enum mt_skill skill = (enum mt_skill)(i / MT_DIFFICULTIES_N);
        enum mt_difficulty difficulty = (enum mt_difficulty)(i % MT_DIFFICULTIES_N);
        write_score(mt_skill_info(skill)->name, difficulty, card->scores[skill][difficulty],
                    &w);
    }
    for (unsigned i = 0; i < MT_DIFFICULTIES_N; i++)
        write_score("one_step", (enum mt_difficulty)i,
                    mt_card_one_step(card, (enum mt_difficulty)i), &w);
    mt_jw_end(&w);
    mt_card_help_json(card, &w);
    mt_jw_end(&w);
}
