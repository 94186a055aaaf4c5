/* SPDX-License-Identifier: Apache-2.0 */
/* lab/lab-embed.gguf scores as its card says: its side of the exam, taken again. */
#include "support/test.h"

#include <math.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "system/file.h"
#include "train/embed.h"
#include "train/embed_card.h"
#include "train/model_file.h"
#include "wire/json.h"

#define CARD  MT_SOURCE_DIR "/lab/lab-embed.json"
#define MODEL MT_SOURCE_DIR "/lab/lab-embed.gguf"

enum { CARD_MAX = 1 << 20 };
/* Another processor adds in another order, and a few items at a border change sides. */
static const double apart_max = 0.01;

static void well(mt_rc rc, const struct mt_err *err)
{
    if (rc != MT_OK)
        fail_msg("%s", err->text);
}

static void fill_embedder(void *context, const struct mt_str *texts, uint32_t n, float *rows)
{
    mt_embedder_run(context, texts, n, rows);
}

/* The other side costs most of an exam; here it is not asked. */
static void fill_nothing(void *context, const struct mt_str *texts, uint32_t n, float *rows)
{
    (void)context;
    (void)texts;
    for (uint32_t i = 0; i < n; i++)
        rows[i] = 0;
}

static void take_again(uint32_t items_n, struct mt_embed_report *out)
{
    MT_CLEANUP(mt_freep) float *params = NULL;
    MT_CLEANUP(mt_embedder_freep) struct mt_embedder *embedder = NULL;
    struct mt_shape shape;
    struct mt_err err = {0};

    well(mt_model_read(MODEL, &shape, &params, NULL, &err), &err);
    well(mt_embedder_new(&shape, params, &embedder, &err), &err);
    const struct mt_features ours = {"vectors", shape.width, fill_embedder, embedder};
    const struct mt_features nothing = {"nothing", 1, fill_nothing, NULL};
    const struct mt_embed_exam exam = {.skills = MT_EMBED_ALL_SKILLS,
                                       .items_n = items_n,
                                       .ours = {&ours, 1},
                                       .theirs = {&nothing, 1}};
    well(mt_embed_exam(&exam, out, &err), &err);
}

/* Items of each skill and difficulty: the recipe says 100, but some have fewer prompts. */
enum { ITEMS = 100 };

static void it_scores_as_its_card_says(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(CARD_MAX);
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    static struct mt_embed_report report;
    const struct mt_json *card;
    struct mt_err err = {0};
    uint32_t n = 0;

    well(mt_file_read(CARD, CARD_MAX, &text, &err), &err);
    well(mt_json_doc_new(&doc, &err), &err);
    well(mt_json_parse(doc, mt_buf_str(&text), &card, &err), &err);
    take_again(ITEMS, &report);
    const struct mt_json *said = mt_json_first(mt_json_get(card, "reports"));
    for (const struct mt_json *line = mt_json_first(mt_json_get(said, "scores"));
         line != NULL && n < report.scores_n; line = mt_json_next(line), n++) {
        const struct mt_embed_score *score = &report.scores[n];
        int64_t items_n = 0;
        double ours = 0;
        double low = 0;

        assert_true(mt_json_i64(mt_json_get(line, "items"), 1, 1 << 20, &items_n));
        assert_true(mt_json_f64(mt_json_get(line, "ours"), &ours));
        assert_true(mt_json_f64(mt_json_get(line, "low"), &low));
        if (items_n != score->items_n || fabs(ours - score->ours) > apart_max)
            fail_msg("score %u: %.4f of %u items, its card says %.4f of %lld", n, score->ours,
                     score->items_n, ours, (long long)items_n);
        assert_true(low > 0); /* the gain over n-grams is shown, by the card's own figures */
    }
    assert_true(n >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_scores_as_its_card_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
