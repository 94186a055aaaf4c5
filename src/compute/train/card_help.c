/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a card about asking for help: the curve over limits. */
#include "train/card.h"
#include "wire/json_writer.h"

static const char *const doubts[MT_DOUBTS_N] = {
    [MT_DOUBT_MEAN] = "mean entropy",
    [MT_DOUBT_MOST] = "greatest entropy",
    [MT_DOUBT_SUM] = "summed entropy",
};

static void add_gain(const struct mt_help_gain *gain, struct mt_buf *out)
{
    mt_buf_addf(out, " %.1f %% (%s) | %+.1f (%+.1f to %+.1f) |", 100 * gain->right,
                doubts[gain->doubt], 100 * gain->gain, 100 * gain->low, 100 * gain->high);
}

static void add_row(const struct mt_card_help *row, struct mt_buf *out)
{
    mt_buf_addf(out, "| %.0f %% | %.1f %% | %.1f %% |", 100 * row->limit,
                100 * row->score.asked, 100 * row->score.right);
    add_gain(&row->over_plain, out);
    if (row->has_alone)
        add_gain(&row->over_alone, out);
    else
        mt_buf_add_cstr(out, " - | - |");
    mt_buf_add_char(out, '\n');
}

void mt_card_help_markdown(const struct mt_card *card, struct mt_buf *out)
{
    if (card->help_n == 0)
        return;
    mt_buf_addf(
        out,
        "\n## Asking for help\n\nOn %u different prompts of the test split, in the "
        "mixture that it was trained on. Beside it, at the same number of questions to "
        "the same helper, what is handed over by a threshold on entropy: of the model it "
        "was made from, and of that model trained as long without help (the kind of "
        "entropy that did best on the validation split). Gains in percentage points, "
        "with 95 %% intervals of the paired differences.\n\n"
        "| limit | asked | right | plain, by threshold | gain | trained without help, by "
        "threshold | gain |\n|---|---|---|---|---|---|---|\n",
        card->help_items_n);
    for (size_t i = 0; i < card->help_n; i++)
        add_row(&card->help[i], out);
}

static void write_gain(const char *key, const struct mt_help_gain *gain, struct mt_jw *w)
{
    mt_jw_key(w, key);
    mt_jw_object(w);
    mt_jw_kcstr(w, "threshold_on", doubts[gain->doubt]);
    mt_jw_kf64(w, "right", gain->right);
    mt_jw_kf64(w, "gain", gain->gain);
    mt_jw_kf64(w, "low", gain->low);
    mt_jw_kf64(w, "high", gain->high);
    mt_jw_end(w);
}

void mt_card_help_json(const struct mt_card *card, struct mt_jw *w)
{
    if (card->help_n == 0)
        return;
    mt_jw_ki64(w, "help_items", card->help_items_n);
    mt_jw_key(w, "help");
    mt_jw_array(w);
    for (size_t i = 0; i < card->help_n; i++) {
        const struct mt_card_help *row = &card->help[i];

        mt_jw_object(w);
        mt_jw_kf64(w, "limit", row->limit);
        mt_jw_kf64(w, "asked", row->score.asked);
        mt_jw_kf64(w, "right", row->score.right);
        write_gain("plain", &row->over_plain, w);
        if (row->has_alone)
            write_gain("alone", &row->over_alone, w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}
