/* SPDX-License-Identifier: Apache-2.0 */
/* Two trainers and their checkpoints.
 *
 * One file cannot hold both, and two files are never written at once. So there are two slots of
 * two files, NAME.a0.checkpoint and NAME.b0.checkpoint, then a1 and b1, written in turn: while
 * one slot is being replaced, the other one is whole. Both files of a slot hold the same state;
 * where their steps differ, the process ended between the two. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "run_priv.h"
#include "system/file.h"

enum { STATE_MAX = 8 * 1024 * 1024 };

/* ------------------------------------------------------------------ making one */

static mt_rc read_base(struct mt_run__pair *pair, int a, const char *key, struct mt_str file,
                       struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(file);

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%s", key);
    mt_rc rc =
        mt_model_read(path, &pair->shapes[a], &pair->bases[a], pair->opts->library_dir, err);
    if (rc == MT_OK)
        rc = mt_run__check_output(&pair->shapes[a], &pair->recipe->outputs[a], err);
    return rc == MT_OK ? rc : mt_err_wrap(err, rc, "%s", key);
}

static mt_rc name_files(struct mt_run__pair *pair, struct mt_err *err)
{
    size_t room = pair->recipe->name.len + 32;
    MT_CLEANUP(mt_freep) char *name = mt_alloc(room, 1);

    if (name == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "checkpoint");
    for (int slot = 0; slot < MT_RUN__SLOTS_N; slot++) {
        for (int a = 0; a < MT_COOP_AGENTS; a++) {
            (void)snprintf(name, room, "%.*s.%c%d.checkpoint", MT_STR_ARG(pair->recipe->name),
                           'a' + a, slot);
            pair->paths[slot][a] = mt_path_join(pair->opts->folder, name);
            if (pair->paths[slot][a] == NULL)
                return MT_FAIL(err, MT_E_NOMEM, "checkpoint");
        }
    }
    return MT_OK;
}

mt_rc mt_run__pair_open(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        uint32_t tokens_max, struct mt_run__pair *out, struct mt_err *err)
{
    out->recipe = recipe;
    out->opts = opts;
    out->tokens_max = tokens_max;
    MT_TRY(name_files(out, err));
    if (!mt_file_exists(opts->folder))
        return MT_FAIL(err, MT_E_NOTFOUND, "folder '%s'", opts->folder);
    MT_TRY(read_base(out, 0, "cooperate.a", recipe->team.a, err));
    return read_base(out, 1, "cooperate.b", recipe->team.b, err);
}

void mt_run__pair_close(struct mt_run__pair *pair)
{
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        mt_trainer_free(pair->trainers[a]);
        mt_free(pair->bases[a]);
        for (int slot = 0; slot < MT_RUN__SLOTS_N; slot++)
            mt_free(pair->paths[slot][a]);
    }
    *pair = (struct mt_run__pair){.recipe = NULL};
}

static mt_rc begin(struct mt_run__pair *pair, int a, struct mt_err *err)
{
    const struct mt_recipe *recipe = pair->recipe;
    uint64_t steps = (uint64_t)recipe->steps;
    uint64_t warmup_steps = (uint64_t)recipe->warmup_steps;
    const struct mt_trainer_opts opts = {
        .shape = pair->shapes[a],
        .threads_n = pair->opts->threads_n,
        .tokens_max = pair->tokens_max,
        .rate_max = recipe->rate_max,
        .rate_min = recipe->rate_min,
        .warmup_steps = warmup_steps < steps ? warmup_steps : steps,
        .steps = steps,
        .decay = recipe->decay,
        .clip = recipe->clip,
        .optimizer = recipe->optimizer,
        .precision = recipe->precision,
    };

    mt_trainer_free(MT_MOVE(pair->trainers[a]));
    MT_TRY(mt_trainer_new(&opts, &pair->trainers[a], err));
    memcpy(mt_trainer_params(pair->trainers[a]), pair->bases[a],
           (size_t)mt_shape_params_n(&pair->shapes[a]) * sizeof *pair->bases[a]);
    return MT_OK;
}

mt_rc mt_run__pair_begin(struct mt_run__pair *pair, struct mt_err *err)
{
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        MT_TRY(begin(pair, a, err));
    return MT_OK;
}

/* ------------------------------------------------------------------ checkpoints */

static mt_rc load_one(struct mt_run__pair *pair, int slot, int a, struct mt_run__state *state,
                      struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(STATE_MAX);
    struct mt_err why = {0};

    mt_rc rc = mt_trainer_load(pair->trainers[a], pair->paths[slot][a], &text, &why);
    if (rc == MT_E_INVALID) /* it says so of its shape; that is the recipe's */
        return MT_FAIL(err, MT_E_EXISTS, "it is of another recipe: %s", why.text);
    if (rc == MT_OK)
        rc = mt_run__state_read(mt_buf_str(&text), pair->recipe, state, &why);
    if (rc == MT_E_EXISTS)
        return MT_FAIL(err, rc, "checkpoint '%s' (a fresh run would write over it): %s",
                       pair->paths[slot][a], why.text);
    if (rc != MT_OK && err != NULL)
        *err = why;
    return rc;
}

/* @param is_whole out: both files are there, and of the same step */
static mt_rc peek(struct mt_run__pair *pair, int slot, bool *is_whole,
                  struct mt_run__state *state, struct mt_err *err)
{
    struct mt_run__state states[MT_COOP_AGENTS];

    *is_whole = false;
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        mt_rc rc = load_one(pair, slot, a, &states[a], err);

        if (rc == MT_E_NOTFOUND)
            return MT_OK;
        MT_TRY(rc);
    }
    *is_whole = states[0].position == states[1].position;
    *state = states[0];
    return MT_OK;
}

mt_rc mt_run__pair_find(struct mt_run__pair *pair, int *slot, struct mt_run__state *state,
                        struct mt_err *err)
{
    *slot = -1;
    for (int i = 0; i < MT_RUN__SLOTS_N; i++) {
        struct mt_run__state found;
        bool is_whole;

        MT_TRY(peek(pair, i, &is_whole, &found, err));
        if (!is_whole || (*slot >= 0 && found.position < state->position))
            continue;
        *slot = i;
        *state = found;
    }
    return MT_OK;
}

mt_rc mt_run__pair_load(struct mt_run__pair *pair, int slot, struct mt_err *err)
{
    struct mt_run__state state;

    for (int a = 0; a < MT_COOP_AGENTS; a++)
        MT_TRY(load_one(pair, slot, a, &state, err));
    pair->next_slot = (slot + 1) % MT_RUN__SLOTS_N;
    return MT_OK;
}

mt_rc mt_run__pair_save(struct mt_run__pair *pair, const struct mt_run__state *state,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(STATE_MAX);
    int slot = pair->next_slot;

    mt_run__state_write(state, pair->recipe, &text);
    MT_TRY(mt_buf_check(&text, "checkpoint", err));
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        MT_TRY(
            mt_trainer_save(pair->trainers[a], pair->paths[slot][a], mt_buf_str(&text), err));
    pair->next_slot = (slot + 1) % MT_RUN__SLOTS_N;
    return MT_OK;
}

mt_rc mt_run__pair_forget(struct mt_run__pair *pair, struct mt_err *err)
{
    for (int slot = 0; slot < MT_RUN__SLOTS_N; slot++)
        for (int a = 0; a < MT_COOP_AGENTS; a++)
            MT_TRY(mt_file_remove(pair->paths[slot][a], err));
    pair->next_slot = 0;
    return MT_OK;
}
