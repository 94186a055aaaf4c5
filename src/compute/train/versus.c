/* SPDX-License-Identifier: Apache-2.0 */
#include "train/versus.h"

#include "base/alloc.h"
#include "train/exam.h"
#include "train/help_exam.h"
#include "wire/json_writer.h"

/* Of one skill and difficulty; differences of a whole difficulty lie one behind the other. */
struct room {
    struct mt_item *items;
    struct mt_attempt *a, *b;
    double *differences, *all;
    uint32_t all_n;
};

static void room_fini(struct room *room)
{
    mt_free(room->items);
    mt_free(room->a);
    mt_free(room->b);
    mt_free(room->differences);
    mt_free(room->all);
}

static mt_rc room_init(struct room *room, uint32_t n, struct mt_err *err)
{
    room->items = mt_alloc(n, sizeof *room->items);
    room->a = mt_alloc(n, sizeof *room->a);
    room->b = mt_alloc(n, sizeof *room->b);
    room->differences = mt_alloc(n, sizeof *room->differences);
    room->all = mt_alloc((size_t)n * MT_SKILLS_N, sizeof *room->all);
    if (room->items == NULL || room->a == NULL || room->b == NULL ||
        room->differences == NULL || room->all == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "comparison on %u items", n);
    return MT_OK;
}

static void set_interval(struct mt_versus_score *score, const double *differences)
{
    if (score->items_n > 1)
        mt_paired_interval(differences, score->items_n, &score->gain, &score->low,
                           &score->high);
}

static void judge(struct room *room, uint32_t n, bool is_one_step,
                  struct mt_versus_score *score, struct mt_versus_score *sum)
{
    *score = (struct mt_versus_score){.items_n = n};
    for (uint32_t i = 0; i < n; i++) {
        score->a_right_n += room->a[i].is_right;
        score->b_right_n += room->b[i].is_right;
        room->differences[i] = (double)room->a[i].is_right - (double)room->b[i].is_right;
        if (is_one_step)
            room->all[room->all_n++] = room->differences[i];
    }
    set_interval(score, room->differences);
    if (!is_one_step)
        return;
    sum->items_n += n;
    sum->a_right_n += score->a_right_n;
    sum->b_right_n += score->b_right_n;
}

mt_rc mt_versus_ask(struct mt_versus *versus, struct mt_attempter *a, struct mt_attempter *b,
                    uint32_t items_n, struct mt_err *err)
{
    MT_CLEANUP(room_fini) struct room room = {0};
    uint32_t most = items_n > 0 ? items_n : MT_EXAM_ITEMS;

    MT_TRY(room_init(&room, most, err));
    for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++) {
        struct mt_versus_score *sum = &versus->one_step[difficulty];

        *sum = (struct mt_versus_score){0};
        room.all_n = 0;
        for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
            const struct mt_exam exam = {(enum mt_skill)skill, (enum mt_difficulty)difficulty,
                                         MT_SPLIT_TEST, most};
            uint32_t n = 0;

            MT_TRY(mt_exam_write(&exam, room.items, &n, err));
            mt_attempter_try(a, room.items, n, room.a);
            mt_attempter_try(b, room.items, n, room.b);
            judge(&room, n, mt_skill_info((enum mt_skill)skill)->steps_n == 1,
                  &versus->scores[skill][difficulty], sum);
        }
        set_interval(sum, room.all);
    }
    return MT_OK;
}

/* ------------------------------------------------------------------ showing */

static double percent(uint32_t right_n, uint32_t n)
{
    return n > 0 ? 100.0 * right_n / n : 0;
}

static void add_row(const char *skill, const char *difficulty,
                    const struct mt_versus_score *score, struct mt_buf *out)
{
    mt_buf_addf(out, "| %s | %s | %.1f %% | %.1f %% | %+.1f (%+.1f to %+.1f) | %u |\n", skill,
                difficulty, percent(score->a_right_n, score->items_n),
                percent(score->b_right_n, score->items_n), 100 * score->gain, 100 * score->low,
                100 * score->high, score->items_n);
}

void mt_versus_markdown(const struct mt_versus *versus, struct mt_buf *out)
{
    mt_buf_addf(out,
                "| skill | difficulty | %.*s | %.*s | gain (95 %%) | items |\n"
                "|---|---|---|---|---|---|\n",
                MT_STR_ARG(versus->a), MT_STR_ARG(versus->b));
    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++)
        for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++)
            add_row(mt_skill_info((enum mt_skill)skill)->name,
                    mt_difficulty_name((enum mt_difficulty)difficulty),
                    &versus->scores[skill][difficulty], out);
    for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++)
        add_row("**one step**", mt_difficulty_name((enum mt_difficulty)difficulty),
                &versus->one_step[difficulty], out);
}

static void write_row(const char *skill, unsigned difficulty,
                      const struct mt_versus_score *score, struct mt_jw *w)
{
    mt_jw_object(w);
    mt_jw_kcstr(w, "skill", skill);
    mt_jw_kcstr(w, "difficulty", mt_difficulty_name((enum mt_difficulty)difficulty));
    mt_jw_ki64(w, "items", score->items_n);
    mt_jw_ki64(w, "a_right", score->a_right_n);
    mt_jw_ki64(w, "b_right", score->b_right_n);
    mt_jw_kf64(w, "gain", score->gain);
    mt_jw_kf64(w, "low", score->low);
    mt_jw_kf64(w, "high", score->high);
    mt_jw_end(w);
}

void mt_versus_json(const struct mt_versus *versus, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "a", versus->a);
    mt_jw_kstr(&w, "b", versus->b);
    mt_jw_kcstr(&w, "split", "test");
    mt_jw_key(&w, "scores");
    mt_jw_array(&w);
    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++)
        for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++)
            write_row(mt_skill_info((enum mt_skill)skill)->name, difficulty,
                      &versus->scores[skill][difficulty], &w);
    for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++)
        write_row("one_step", difficulty, &versus->one_step[difficulty], &w);
    mt_jw_end(&w);
    mt_jw_end(&w);
}
