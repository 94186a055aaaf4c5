/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "system/file.h"
#include "train/merge.h"
#include "train/recipe.h"
#include "train/vocab.h"

#define SHAPE  "shape: {layers: 2, width: 32, ff: 64, heads: 2}\n"
#define DATA   "data: [{skill: all}]\n"
#define OUT    "outputs: [{path: m.gguf}]\n"
#define PAIR   "outputs: [{path: m.gguf}, {path: n.gguf}]\n"
#define TEAM   "name: a\nkind: cooperate\ncooperate: {a: x, b: y}\n"
#define LENGTH "train: {steps: 10}\n"

static mt_rc parse(const char *text, const struct mt_recipe **out, struct mt_err *err)
{
    return mt_recipe_parse(mt_str_of(text), "r.yaml", MT_STR("/lab"), out, err);
}

/* ------------------------------------------------------------------ recipes */

static void a_recipe_fills_every_section(void **state)
{
    (void)state;
    static const char text[] =
        "name: lab-x\n"
        "kind: distill\n"
        "seed: 7\n"
        "shape: {layers: 3, width: 96, ff: 256, heads: 6, kv_heads: 2, context: 512}\n"
        "data:\n"
        "  - {skill: one_step, share: 3}\n"
        "  - {skill: two*, difficulty: easy}\n"
        "  - {file: own.jsonl, share: 0.5}\n"
        "train: {batch: 8k, tokens: 2M, rate_max: 0.002, rate_min: 0.0002, warmup: 50}\n"
        "distill: {teacher: big.gguf, temperature: 2, share: 0.5}\n"
        "outputs: [{path: a/b.gguf, type: q8_0}, {path: c.gguf, type: f32}]\n"
        "card: {path: c.md}\n";
    const struct mt_recipe *r = NULL;
    struct mt_err err = {0};

    if (parse(text, &r, &err) != MT_OK)
        fail_msg("%s", err.text);
    assert_int_equal(r->kind, MT_RECIPE_DISTILL);
    assert_true(mt_str_is(r->teacher, "/lab/big.gguf"));
    assert_true(mt_str_is(r->data[2].file, "/lab/own.jsonl"));
    assert_true(r->data_n == 3 && r->data[0].share == 3 && r->data[1].difficulty == MT_EASY);
    assert_true(mt_recipe_names(r->data[0].skill, MT_SKILL_ADD));
    assert_false(mt_recipe_names(r->data[0].skill, MT_SKILL_TWO_STEPS));
    assert_true(mt_recipe_names(r->data[1].skill, MT_SKILL_TWO_STEPS));
    assert_false(mt_recipe_names(r->data[1].skill, MT_SKILL_COPY));
    assert_true(r->batch_tokens == 8000 && r->tokens == 2000000 && r->steps == 0);
    assert_true(r->outputs_n == 2 && r->outputs[0].type == MT_MODEL_Q8_0);
    assert_true(mt_str_is(r->outputs[0].path, "a/b.gguf")); /* below the folder of the run */
    struct mt_shape shape = mt_recipe_shape(r);
    assert_true(shape.vocab_n == MT_VOCAB_N && shape.head_width == 16 && shape.is_tied);
    assert_true(shape.kv_heads_n == 2 && shape.context_n == 512);
    mt_recipe_free(r);
    assert_int_equal(mt_alloc_live, 0);
}

static void every_mistake_names_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "r.yaml:1:1: recipe without 'name'"},
        {"name: a\nshpe: {layers: 2}\n",
         "r.yaml:2:1: unknown key 'shpe', did you mean 'shape'?"},
        {"name: a\ntrain: {stepz: 2}\n",
         "r.yaml:2:9: unknown key 'train.stepz', did you mean 'train.steps'?"},
        {"name: a\nkind: pray\n", "r.yaml:2:7: kind: expected one of pretrain, distill, "
                                  "reinforce, cooperate, merge, chain, embed, found 'pray'"},
        {"name: a\nkind: embed\n" OUT LENGTH SHAPE, "r.yaml:1:1: embed without 'data'"},
        {"name: a\nkind: embed\n" SHAPE OUT LENGTH "data: [{skill: add}, {file: x}]\n",
         "r.yaml:6:23: file: an embedder learns from skills only"},
        {"name: a\n" SHAPE DATA OUT LENGTH "embed: {answerer: a}\n",
         "r.yaml:6:9: embed.answerer: a recipe of kind 'pretrain' has no such key"},
        {"name: a\nkind: embed\n" SHAPE DATA OUT LENGTH "distill: {teacher: a}\n",
         "r.yaml:7:11: distill.teacher: a recipe of kind 'embed' has no such key"},
        {"name: a\n" SHAPE DATA LENGTH, "r.yaml:1:1: pretrain without 'outputs'"},
        {"name: a\n" SHAPE OUT LENGTH, "r.yaml:1:1: pretrain without 'data'"},
        {"name: a\n" DATA OUT LENGTH, "r.yaml:1:1: pretrain without 'shape.layers'"},
        {"name: a\n" SHAPE DATA OUT,
         "r.yaml:1:1: pretrain without 'train.steps' or 'train.tokens' or 'train.time'"},
        {"name: a\n" SHAPE DATA OUT "train: {steps: 5, time: 1m}\n",
         "r.yaml:5:19: train.time: expected one of train.steps, train.tokens and train.time"},
        {"name: a\n" SHAPE DATA OUT "train: {steps: 5, rate_min: 0.1}\n",
         "r.yaml:5:19: train.rate_min: expected at most train.rate_max"},
        {"name: a\n" SHAPE DATA OUT LENGTH "distill: {teacher: a}\n",
         "r.yaml:6:11: distill.teacher: a recipe of kind 'pretrain' has no such key"},
        {"name: a\nkind: distill\n" SHAPE DATA OUT LENGTH,
         "r.yaml:1:1: distill without 'distill.teacher'"},
        {"name: a\nkind: merge\n" OUT "merge: {a: x}\n", "r.yaml:1:1: merge without 'merge.b'"},
        {"name: a\nkind: merge\n" OUT "merge: {a: x, b: y}\n" DATA,
         "r.yaml:5:1: data: a recipe of kind 'merge' has no such key"},
        {"name: a\nkind: reinforce\n" DATA OUT LENGTH, "r.yaml:1:1: reinforce without 'base'"},
        {"name: a\nkind: reinforce\nbase: b\n" DATA OUT "train: {steps: 5, batch: 4k}\n",
         "r.yaml:6:19: train.batch: a recipe of kind 'reinforce' has train.steps, "},
        {"name: a\nkind: reinforce\nbase: b\n" OUT LENGTH "data: [{file: x}]\n",
         "r.yaml:6:9: file: a recipe of kind 'reinforce' has skills only"},
        {"name: a\nkind: reinforce\nbase: b\n" DATA OUT LENGTH "reinforce: {help_worth: 1}\n",
         "r.yaml:7:13: reinforce.help_worth: expected above 0 and below 1"},
        {"name: a\nkind: reinforce\nbase: b\n" DATA OUT LENGTH "reinforce: {kl: 0}\n",
         "r.yaml:7:13: reinforce.kl: expected above 0"},
        {"name: a\nkind: reinforce\nbase: b\n" DATA OUT LENGTH
         "reinforce: {prompts: 4k, traces: 8}\n",
         "r.yaml:7:13: reinforce.prompts: expected at most 8192 traces in a step"},
        {"name: a\n" SHAPE DATA OUT LENGTH "card: {alone: b}\n",
         "r.yaml:6:8: card.alone: a recipe of kind 'pretrain' has no such key"},
        {"name: a\nkind: chain\n" OUT, "r.yaml:1:1: chain without 'chain'"},
        {"name: a\nkind: chain\nchain: [{skills: add, model: b}]\n",
         "r.yaml:1:1: chain without 'card.path'"},
        {"name: a\nkind: chain\nchain: [{skills: add subtrct, model: b}]\ncard: {path: c}\n",
         "r.yaml:3:1: chain: skill 'subtrct': not known, the nearest is 'subtract'"},
        {"name: a\nkind: cooperate\n" DATA PAIR LENGTH "cooperate: {a: x}\n",
         "r.yaml:1:1: cooperate without 'cooperate.b'"},
        {TEAM DATA OUT LENGTH,
         "r.yaml:5:1: outputs: expected two, the first agent's and the second's"},
        {TEAM DATA PAIR "train: {steps: 5, batch: 1k}\n",
         "r.yaml:6:19: train.batch: a recipe of kind 'cooperate' has train.steps, "
         "cooperate.prompts and cooperate.traces"},
        {TEAM PAIR LENGTH "data: [{file: x}]\n",
         "r.yaml:6:9: file: a recipe of kind 'cooperate' has skills only"},
        {TEAM DATA PAIR LENGTH "base: x\n",
         "r.yaml:7:1: base: a recipe of kind 'cooperate' has no such key"},
        {TEAM DATA PAIR LENGTH "card: {alone_a: x}\n",
         "r.yaml:7:8: card.alone_a: expected card.alone_a and card.alone_b, or neither"},
        {TEAM DATA PAIR LENGTH "card: {items: 5}\n",
         "r.yaml:7:8: card.items: a recipe of kind 'cooperate' has no such key"},
        {"name: a\nkind: cooperate\ncooperate: {a: x, b: y, kl: 0}\n" DATA PAIR LENGTH,
         "r.yaml:3:25: cooperate.kl: expected above 0"},
        {"name: a\nkind: cooperate\ncooperate: {a: x, b: y, prompts: 1024}\n" DATA PAIR LENGTH,
         "r.yaml:3:25: cooperate.prompts: expected at most 2048 traces in a turn"},
        {"name: a\n" SHAPE DATA OUT LENGTH "cooperate: {alone: true}\n",
         "r.yaml:6:13: cooperate.alone: a recipe of kind 'pretrain' has no such key"},
        {"name: a\nbase: b.gguf\n" SHAPE DATA OUT LENGTH,
         "r.yaml:3:9: shape.layers: the base has a shape already"},
        {"name: a\nshape: {layers: 2, width: 32, ff: 64, heads: 3, head_width: 7}\n" DATA OUT
             LENGTH,
         "r.yaml:2:9: shape.layers: "},
        {"name: a\n" SHAPE OUT LENGTH "data: [{skill: ad}]\n",
         "r.yaml:5:9: skill: skill 'ad': not known, the nearest is 'add'"},
        {"name: a\n" SHAPE OUT LENGTH "data: [{skill: copy upper ad}]\n",
         "r.yaml:5:9: skill: skill 'ad': not known, the nearest is 'add'"},
        {"name: a\n" SHAPE OUT LENGTH "data: [{skill: add, file: x}]\n",
         "r.yaml:5:9: skill: expected either a skill or a file"},
        {"name: a\n" SHAPE OUT LENGTH "data: [{share: 1}]\n",
         "r.yaml:5:1: skill: expected either a skill or a file"},
        {"name: a\n" SHAPE OUT LENGTH "data: [{file: x, difficulty: easy}]\n",
         "r.yaml:5:18: difficulty: a file has none"},
        {"name: a\n" SHAPE OUT LENGTH "data: [{skill: add, share: 0}]\n",
         "r.yaml:5:1: data: expected a share above 0"},
        {"name: ../a\n" SHAPE DATA OUT LENGTH,
         "r.yaml:1:1: name: expected what can be a file's name"},
        {"name: a\n" SHAPE DATA LENGTH "outputs: [{path: ../m.gguf}]\n",
         "r.yaml:5:1: outputs: expected paths below the folder of the run"},
        {"name: a\n" SHAPE DATA LENGTH OUT "card: {path: /c.md}\n",
         "r.yaml:6:8: card.path: expected a path below the folder of the run"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_recipe *r = NULL;
        struct mt_err err = {0};

        if (parse(rows[i].text, &r, &err) != MT_E_INVALID ||
            strncmp(err.text, rows[i].want, strlen(rows[i].want)) != 0)
            fail_msg("row '%s': '%s', expected '%s'", rows[i].text, err.text, rows[i].want);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void only_what_changes_the_weights_tells_recipes_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"name: b\ndescription: x\n" SHAPE DATA LENGTH
         "outputs: [{path: o.gguf, type: f32}]\nvalidation: {every: 3}\n",
         ""},
        {"name: a\nseed: 2\n" SHAPE "data: [{skill: add}]\n" OUT "train: {steps: 11}\n",
         "seed, data, train.steps"},
    };
    const struct mt_recipe *old = NULL;

    assert_int_equal(parse("name: a\n" SHAPE DATA OUT LENGTH, &old, NULL), MT_OK);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_recipe *now = NULL;
        struct mt_buf names = MT_BUF_INIT(1024);

        assert_int_equal(parse(rows[i].text, &now, NULL), MT_OK);
        mt_recipe_differ(old, now, &names);
        assert_string_equal(mt_buf_cstr(&names), rows[i].want);
        mt_buf_fini(&names);
        mt_recipe_free(now);
    }
    mt_recipe_free(old);
}

static void reading_survives_any_oom(void **state)
{
    (void)state;

    for (long nth = 0;; nth++) {
        const struct mt_recipe *r = NULL;
        struct mt_err err = {0};

        mt_alloc_fail_after = nth;
        mt_rc rc = parse("name: a\n" SHAPE DATA OUT LENGTH, &r, &err);
        mt_alloc_fail_after = -1;
        mt_recipe_free(r);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 2);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

static void the_committed_page_is_current(void **state)
{
    (void)state;
    struct mt_buf kept = MT_BUF_INIT(1 << 20);
    struct mt_buf made = MT_BUF_INIT(1 << 20);

    assert_int_equal(mt_file_read(MT_SOURCE_DIR "/docs/recipes.md", 1 << 20, &kept, NULL),
                     MT_OK);
    mt_recipe_reference(&made);
    assert_string_equal(mt_buf_cstr(&kept), mt_buf_cstr(&made));
    mt_buf_fini(&kept);
    mt_buf_fini(&made);
}

static void the_labs_recipes_are_valid(void **state)
{
    (void)state;
    static const char *const names[] = {"pico", "embed", "embed-unseen", "team", "team-alone"};

    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
        const struct mt_recipe *r = NULL;
        struct mt_err err = {0};
        char path[512];

        (void)snprintf(path, sizeof path, "%s/lab/recipes/%s.yaml", MT_SOURCE_DIR, names[i]);
        if (mt_recipe_read(path, &r, &err) != MT_OK)
            fail_msg("%s", err.text);
        mt_recipe_free(r);
    }
}

/* ------------------------------------------------------------------ merging */

static const struct mt_shape small = {.vocab_n = 8,
                                      .context_n = 16,
                                      .layers_n = 1,
                                      .width = 8,
                                      .ff_width = 8,
                                      .heads_n = 2,
                                      .kv_heads_n = 1,
                                      .head_width = 4,
                                      .rope_base = 10000,
                                      .norm_eps = 1e-5f,
                                      .is_tied = true};

static double length(const float *at, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)at[i] * (double)at[i];
    return sqrt(sum);
}

static void a_merge_begins_at_a_and_ends_at_b(void **state)
{
    (void)state;
    size_t n = (size_t)mt_shape_params_n(&small);
    float *a = mt_alloc(n, sizeof *a);
    float *b = mt_alloc(n, sizeof *b);
    float *out = mt_alloc(n, sizeof *out);

    mt_shape_init(&small, 1, a);
    mt_shape_init(&small, 2, b);
    for (int way = MT_MERGE_LINEAR; way <= MT_MERGE_SPHERICAL; way++) {
        for (size_t i = 0; i < 2; i++) {
            const float *want = i == 0 ? a : b;
            mt_merge(&small, a, b, (enum mt_recipe_way)way, (double)i, out);
            for (size_t j = 0; j < n; j++)
                assert_true(fabsf(out[j] - want[j]) < 1e-6f);
        }
    }
    /* in the middle of two that point elsewhere, only the arc keeps the length */
    size_t embd_n = (size_t)small.vocab_n * small.width;
    size_t at = mt_shape_plan(&small).embd;
    double whole = (length(a + at, embd_n) + length(b + at, embd_n)) / 2;
    mt_merge(&small, a, b, MT_MERGE_LINEAR, 0.5, out);
    assert_true(length(out + at, embd_n) < 0.85 * whole);
    mt_merge(&small, a, b, MT_MERGE_SPHERICAL, 0.5, out);
    assert_true(fabs(length(out + at, embd_n) / whole - 1) < 0.05);
    /* norms of both models are 1 everywhere and point the same way: the line */
    assert_true(fabsf(out[mt_shape_plan(&small).out_norm] - 1) < 1e-6f);
    mt_free(a);
    mt_free(b);
    mt_free(out);
}

static void models_of_other_shapes_are_not_merged(void **state)
{
    (void)state;
    struct mt_shape other = small;
    struct mt_err err = {0};

    assert_int_equal(mt_merge_check(&small, &other, &err), MT_OK);
    other.ff_width = 16;
    assert_int_equal(mt_merge_check(&small, &other, &err), MT_E_INVALID);
    assert_string_equal(err.text, "expected ff 8 as the other model, found 16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recipe_fills_every_section),
        cmocka_unit_test(every_mistake_names_its_place),
        cmocka_unit_test(only_what_changes_the_weights_tells_recipes_apart),
        cmocka_unit_test(reading_survives_any_oom),
        cmocka_unit_test(the_committed_page_is_current),
        cmocka_unit_test(the_labs_recipes_are_valid),
        cmocka_unit_test(a_merge_begins_at_a_and_ends_at_b),
        cmocka_unit_test(models_of_other_shapes_are_not_merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
