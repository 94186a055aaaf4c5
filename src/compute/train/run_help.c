/* SPDX-License-Identifier: Apache-2.0 */
/* The card of a model that asks for help: it and its siblings of other limits, beside
 * thresholds, all on the same items. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "run_priv.h"
#include "train/card.h"

struct run_help {
    const struct mt_recipe *recipe;
    const struct mt_run_opts *opts;
    struct mt_run__paper test, validation;
    struct mt_attempt *helper_test, *helper_validation;
};

void mt_run__paper_fini(struct mt_run__paper *paper)
{
    mt_free(paper->items);
}

static void run_help_fini(struct run_help *h)
{
    mt_run__paper_fini(&h->test);
    mt_run__paper_fini(&h->validation);
    mt_free(h->helper_test);
    mt_free(h->helper_validation);
}

static bool is_new(const uint64_t *marks, uint32_t n, uint64_t mark)
{
    for (uint32_t i = 0; i < n; i++) {
        if (marks[i] == mark)
            return false;
    }
    return true;
}

mt_rc mt_run__paper_write(const struct mt_recipe *recipe, enum mt_split split, uint32_t n,
                          struct mt_run__paper *out, struct mt_err *err)
{
    enum { DRAWS_PER_ITEM = 4 };
    MT_CLEANUP(mt_freep) uint64_t *marks = mt_alloc(n, sizeof *marks);
    struct mt_items *stream = NULL;

    out->items = mt_alloc(n, sizeof *out->items);
    if (marks == NULL || out->items == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "card of %u items", n);
    MT_TRY(mt_run__items(recipe, split, &stream, err));
    for (uint64_t draw = 0; out->n < n && draw < (uint64_t)n * DRAWS_PER_ITEM; draw++) {
        struct mt_item *item = &out->items[out->n];

        mt_items_draw(stream, item);
        marks[out->n] = mt_str_hash(mt_str_of(item->prompt), 0);
        out->n += is_new(marks, out->n, marks[out->n]);
    }
    mt_items_free(stream);
    return MT_OK;
}

/* Owned: what the model of a file makes of a paper. */
static mt_rc try_paper(const struct run_help *h, const char *key, const char *path,
                       const struct mt_run__paper *paper, struct mt_attempt **out,
                       struct mt_err *err)
{
    MT_CLEANUP(mt_freep) float *params = NULL;
    MT_CLEANUP(mt_freep) struct mt_attempt *attempts = mt_alloc(paper->n, sizeof *attempts);
    MT_CLEANUP(mt_attempter_freep) struct mt_attempter *attempter = NULL;
    struct mt_shape shape;

    if (attempts == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%s", key);
    mt_rc rc = mt_model_read(path, &shape, &params, h->opts->library_dir, err);
    if (rc == MT_OK)
        rc = mt_attempter_new(&shape, params, &attempter, err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "%s", key);
    mt_attempter_try(attempter, paper->items, paper->n, attempts);
    *out = MT_MOVE(attempts);
    return MT_OK;
}

static mt_rc try_file(const struct run_help *h, const char *key, struct mt_str file,
                      const struct mt_run__paper *paper, struct mt_attempt **out,
                      struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(file);

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%s", key);
    return try_paper(h, key, path, paper, out, err);
}

/* The threshold's model on both papers. */
struct other {
    struct mt_attempt *test, *validation;
};

static void other_fini(struct other *other)
{
    mt_free(other->test);
    mt_free(other->validation);
}

static mt_rc try_other(const struct run_help *h, const char *key, struct mt_str file,
                       struct other *out, struct mt_err *err)
{
    if (file.len == 0)
        return MT_OK;
    MT_TRY(try_file(h, key, file, &h->test, &out->test, err));
    return try_file(h, key, file, &h->validation, &out->validation, err);
}

static mt_rc compare(const struct run_help *h, const struct mt_attempt *router,
                     const struct other *other, struct mt_help_gain *out, struct mt_err *err)
{
    const struct mt_help_sheet asks = {router, h->helper_test, h->test.n};
    const struct mt_help_sheet test = {other->test, h->helper_test, h->test.n};
    const struct mt_help_sheet before = {other->validation, h->helper_validation,
                                         h->validation.n};

    return mt_help_compare(&asks, &test, &before, out, err);
}

static mt_rc measure_router(const struct run_help *h, const struct mt_attempt *router,
                            const struct other *plain, const struct other *alone,
                            struct mt_card_help *row, struct mt_err *err)
{
    const struct mt_help_sheet sheet = {router, h->helper_test, h->test.n};

    row->score = mt_help_score(&sheet);
    row->has_alone = alone->test != NULL;
    MT_TRY(compare(h, router, plain, &row->over_plain, err));
    return row->has_alone ? compare(h, router, alone, &row->over_alone, err) : MT_OK;
}

static int by_limit(const void *a, const void *b)
{
    double x = ((const struct mt_card_help *)a)->limit,
           y = ((const struct mt_card_help *)b)->limit;

    return x < y ? -1 : x > y;
}

/* The model itself, then those of other limits. */
static mt_rc measure_all(const struct run_help *h, const char *own, struct mt_card_help *rows,
                         struct mt_err *err)
{
    const struct mt_recipe *recipe = h->recipe;
    MT_CLEANUP(other_fini) struct other plain = {NULL, NULL};
    MT_CLEANUP(other_fini) struct other alone = {NULL, NULL};

    MT_TRY(try_other(h, "base", recipe->base, &plain, err));
    MT_TRY(try_other(h, "card.alone", recipe->card_alone, &alone, err));
    for (size_t i = 0; i <= recipe->limits_n; i++) {
        MT_CLEANUP(mt_freep) struct mt_attempt *router = NULL;

        rows[i].limit = i == 0 ? recipe->help_limit : recipe->limits[i - 1].limit;
        if (i == 0)
            MT_TRY(try_paper(h, "card", own, &h->test, &router, err));
        else
            MT_TRY(try_file(h, "card.limits", recipe->limits[i - 1].model, &h->test, &router,
                            err));
        MT_TRY(measure_router(h, router, &plain, &alone, &rows[i], err));
    }
    qsort(rows, recipe->limits_n + 1, sizeof *rows, by_limit);
    return MT_OK;
}

mt_rc mt_run__measure_help(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                           const char *own, struct mt_card *card, struct mt_card_help *rows,
                           struct mt_err *err)
{
    uint32_t n = (uint32_t)recipe->help_items;
    MT_CLEANUP(run_help_fini) struct run_help h = {.recipe = recipe, .opts = opts};

    MT_TRY(mt_run__paper_write(recipe, MT_SPLIT_TEST, n, &h.test, err));
    MT_TRY(mt_run__paper_write(recipe, MT_SPLIT_VALIDATION, n, &h.validation, err));
    if (h.test.n < 2 || h.validation.n < 2)
        return MT_FAIL(err, MT_E_INVALID, "card: the recipe's data has too few prompts");
    MT_TRY(try_file(&h, "reinforce.helper", recipe->helper, &h.test, &h.helper_test, err));
    MT_TRY(try_file(&h, "reinforce.helper", recipe->helper, &h.validation, &h.helper_validation,
                    err));
    MT_TRY(measure_all(&h, own, rows, err));
    card->help = rows;
    card->help_n = recipe->limits_n + 1;
    card->help_items_n = h.test.n;
    return MT_OK;
}
