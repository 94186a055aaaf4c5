/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's step: one token for every choice that speaks, prompt tokens for those that read,
 * in one batch. */
#include <string.h>

#include "worker_priv.h"

enum {
    SHARE_ALONE = MT_UBATCH_TOKENS, /* while nobody speaks who would have to wait */
    STEP_TARGET_MS = 100, /* of prompt tokens beside speaking ones: about this long, */
    STRETCH_MAX = 10,     /* or so many times as long where many wait for few */
};

static void put(struct mt_worker *w, struct mt_choice_run *choice, llama_token token,
                bool wants_logits)
{
    struct llama_batch *b = &w->batch;
    int32_t at = b->n_tokens++;

    b->token[at] = token;
    b->pos[at] = (llama_pos)(choice->slot->cells_n + choice->taken++);
    b->n_seq_id[at] = 1;
    b->seq_id[at][0] = choice->slot->seq;
    b->logits[at] = wants_logits;
    if (wants_logits)
        choice->batch_at = at;
}

static void put_prompt(struct mt_worker *w, struct mt_choice_run *choice, size_t *share)
{
    const struct mt_prompt *prompt = &choice->ask->prompts[choice->prompt];
    size_t left = prompt->n - choice->slot->cells_n;
    size_t n = left < *share ? left : *share;

    *share -= n;
    for (size_t i = 0; i < n; i++)
        put(w, choice, prompt->tokens[choice->slot->cells_n + i], i + 1 == left);
}

/* Another choice is reading the same prompt: its sequence can be copied soon. */
static bool has_reading_sibling(const struct mt_choice_run *choice)
{
    const struct mt_ask *ask = choice->ask;

    for (size_t i = 0; i < ask->choices_n; i++)
        if (ask->choices[i].state == MT_CHOICE_PROMPT &&
            ask->choices[i].prompt == choice->prompt)
            return true;
    return false;
}

static void assign_slots(struct mt_worker *w)
{
    for (struct mt_ask *ask = w->asks; ask != NULL; ask = ask->next)
        for (size_t i = 0; i < ask->choices_n && !ask->is_failed; i++) {
            struct mt_choice_run *choice = &ask->choices[i];
            if (choice->state != MT_CHOICE_WAITS || has_reading_sibling(choice))
                continue;
            if (!mt_slot__assign(w, choice))
                return;
            choice->state = MT_CHOICE_PROMPT;
            mt_ask__started(w, ask);
        }
}

static bool may_go_on(const struct mt_choice_run *choice)
{
    const struct mt_job *job = choice->ask->job;
    bool is_held = atomic_load(&job->is_paused) && atomic_load(&job->held_n) >= MT_JOB_HELD_MAX;

    return !is_held && !atomic_load(&job->is_canceled);
}

/* Those who speak wait for a step that reads prompts, those who read gain by it, and large
 * steps use the machine better: the more read beside the fewer who speak, the longer it may
 * take. */
static size_t stretch(const struct mt_worker *w)
{
    size_t readers_n = 0;

    for (size_t i = 0; i < w->slots_n; i++) {
        const struct mt_choice_run *choice = w->slots[i].choice;
        readers_n += choice != NULL && choice->state == MT_CHOICE_PROMPT && may_go_on(choice);
    }
    size_t times = 1 + (STRETCH_MAX - 2) * readers_n / w->speakers_n;
    return times < STRETCH_MAX ? times : STRETCH_MAX;
}

static size_t share_of_step(struct mt_worker *w)
{
    size_t most = MT_BATCH_TOKENS - w->slots_n;

    if (w->speakers_n == 0)
        return SHARE_ALONE;
    w->stretch = stretch(w);
    return w->share * w->stretch < most ? w->share * w->stretch : most;
}

static void fill_batch(struct mt_worker *w)
{
    size_t share;

    w->batch.n_tokens = 0;
    for (size_t i = 0; i < w->slots_n; i++) {
        struct mt_choice_run *choice = w->slots[i].choice;
        if (choice == NULL)
            continue;
        choice->taken = 0;
        if (choice->state == MT_CHOICE_SPEAKS && may_go_on(choice))
            put(w, choice, choice->next, true);
    }
    w->speakers_n = (size_t)w->batch.n_tokens;
    share = share_of_step(w);
    for (size_t i = 0; i < w->slots_n && share > 0; i++) {
        /* a different one comes first each time, so that a long prompt does not starve others
         */
        struct mt_choice_run *choice = w->slots[(i + w->step_n) % w->slots_n].choice;
        if (choice != NULL && choice->state == MT_CHOICE_PROMPT && may_go_on(choice))
            put_prompt(w, choice, &share);
    }
}

/* Prompt tokens beside speaking sequences follow the machine: more while steps are short, fewer
 * when they are long. */
static void adapt_share(struct mt_worker *w, int64_t took_ns)
{
    size_t most = MT_BATCH_TOKENS - w->slots_n;
    size_t prompt_n = (size_t)w->batch.n_tokens - w->speakers_n;

    if (w->speakers_n == 0 || prompt_n == 0)
        return;
    int64_t target_ns = STEP_TARGET_MS * 1000000LL * (int64_t)w->stretch;
    if (took_ns < target_ns / 2 && prompt_n >= w->share * w->stretch)
        w->share = w->share * 2 < most ? w->share * 2 : most;
    else if (took_ns > target_ns * 2 && w->share > MT_SHARE_MIN)
        w->share /= 2;
}

static void note_cells(struct mt_choice_run *choice)
{
    struct mt_slot *slot = choice->slot;
    struct mt_prompt *prompt = &choice->ask->prompts[choice->prompt];

    if (choice->state == MT_CHOICE_SPEAKS)
        slot->cells[slot->cells_n] = choice->next;
    else
        memcpy(slot->cells + slot->cells_n, prompt->tokens + slot->cells_n,
               choice->taken * sizeof *slot->cells);
    slot->cells_n += choice->taken;
    choice->taken = 0;
    prompt->is_read = prompt->is_read || slot->cells_n >= prompt->n;
}

/* The batch was not (wholly) computed: the sequences go back to where they were. */
static void undo(struct mt_worker *w, int32_t rc)
{
    static const struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_INTERNAL,
        .message = MT_STR_INIT("llama.cpp could not compute the answer"),
        .retry_after_ms = -1,
    };

    for (size_t i = 0; i < w->slots_n; i++) {
        struct mt_choice_run *choice = w->slots[i].choice;
        if (choice == NULL || choice->taken == 0)
            continue;
        size_t had_n = w->slots[i].cells_n;
        mt_slot__cut(w, &w->slots[i], had_n);
        choice->taken = 0;
        choice->batch_at = -1;
        /* 2: aborted, because nobody waits any more. A sequence that could not go back (a
         * recurrent state) can read its prompt again, but not what it had said. */
        bool is_lost = w->slots[i].cells_n < had_n && choice->state == MT_CHOICE_SPEAKS;
        if (rc != 2 || is_lost)
            mt_ask__fail(w, choice->ask, &error);
    }
}

static void take_logits(struct mt_worker *w, int64_t now_ns)
{
    for (size_t i = 0; i < w->slots_n; i++) {
        struct mt_choice_run *choice = w->slots[i].choice;
        if (choice == NULL || choice->taken == 0)
            continue;
        note_cells(choice);
        if (choice->batch_at < 0 || choice->ask->is_failed)
            continue;
        if (choice->ask->first_ns == 0)
            choice->ask->first_ns = now_ns;
        mt_choice__step(w, choice);
    }
}

static void step_embeddings(struct mt_worker *w)
{
    for (struct mt_ask *ask = w->asks; ask != NULL; ask = ask->next)
        if (ask->job->kind == MT_JOB_EMBED && !ask->is_failed) {
            mt_embed__step(w, ask);
            return;
        }
}

static bool has_embeddings(const struct mt_worker *w)
{
    for (const struct mt_ask *ask = w->asks; ask != NULL; ask = ask->next)
        if (ask->job->kind == MT_JOB_EMBED && !ask->is_failed)
            return true;
    return false;
}

bool mt_worker__step(struct mt_worker *w)
{
    bool has_embedded = has_embeddings(w);

    step_embeddings(w);
    if (w->ctx == NULL)
        return has_embedded;
    assign_slots(w);
    fill_batch(w);
    if (w->batch.n_tokens == 0)
        return has_embedded;
    w->step_n++;
    int64_t begun = mt_worker__now_ns();
    int32_t rc = w->ll->llama_decode(w->ctx, w->batch);
    int64_t now = mt_worker__now_ns();
    if (rc != 0) {
        undo(w, rc);
        return true;
    }
    adapt_share(w, now - begun);
    take_logits(w, now);
    return true;
}
