/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences and what is cached in them. A slot's cells say which tokens its sequence holds; a
 * new prompt takes the free slot that begins as it does, or a copy of another slot's beginning.
 * Invariant: cells_n tokens stand at positions 0 .. cells_n-1 of the sequence. */
#include <string.h>

#include "base/assert.h"
#include "worker_priv.h"

enum { COPY_GAIN_MIN = 32 /* tokens that make a copy between sequences worth its while */ };

static size_t common_prefix(const struct mt_slot *slot, const struct mt_prompt *prompt)
{
    size_t most = slot->cells_n < prompt->n ? slot->cells_n : prompt->n;
    size_t n = 0;

    while (n < most && slot->cells[n] == prompt->tokens[n])
        n++;
    return n;
}

void mt_slot__cut(struct mt_worker *w, struct mt_slot *slot, size_t n)
{
    llama_memory_t memory = w->ll->llama_get_memory(w->ctx);

    MT_ASSERT(n <= slot->cells_n);
    if (n > 0 && w->ll->llama_memory_seq_rm(memory, slot->seq, (llama_pos)n, -1)) {
        slot->cells_n = n;
        return;
    }
    (void)w->ll->llama_memory_seq_rm(memory, slot->seq, -1, -1);
    slot->cells_n = 0;
}

/* Best free slot: the longest prefix, else the one longest unused. */
static struct mt_slot *best_free(struct mt_worker *w, const struct mt_prompt *prompt,
                                 size_t *prefix)
{
    struct mt_slot *best = NULL;

    *prefix = 0;
    for (size_t i = 0; i < w->slots_n; i++) {
        struct mt_slot *slot = &w->slots[i];
        if (slot->choice != NULL)
            continue;
        size_t n = common_prefix(slot, prompt);
        bool is_better =
            best == NULL || n > *prefix || (n == *prefix && slot->used_at < best->used_at);
        if (is_better) {
            best = slot;
            *prefix = n;
        }
    }
    return best;
}

static struct mt_slot *oldest_free(struct mt_worker *w, const struct mt_slot *not_this)
{
    struct mt_slot *best = NULL;

    for (size_t i = 0; i < w->slots_n; i++) {
        struct mt_slot *slot = &w->slots[i];
        if (slot->choice == NULL && slot != not_this &&
            (best == NULL || slot->used_at < best->used_at))
            best = slot;
    }
    return best;
}

static struct mt_slot *best_source(struct mt_worker *w, const struct mt_prompt *prompt,
                                   size_t *prefix)
{
    struct mt_slot *best = NULL;

    *prefix = 0;
    for (size_t i = 0; i < w->slots_n; i++) {
        size_t n = common_prefix(&w->slots[i], prompt);
        if (w->slots[i].choice != NULL && n > *prefix) {
            best = &w->slots[i];
            *prefix = n;
        }
    }
    return best;
}

static void copy_cells(struct mt_worker *w, const struct mt_slot *from, struct mt_slot *to,
                       size_t n)
{
    llama_memory_t memory = w->ll->llama_get_memory(w->ctx);

    (void)w->ll->llama_memory_seq_rm(memory, to->seq, -1, -1);
    w->ll->llama_memory_seq_cp(memory, from->seq, to->seq, -1, -1);
    memcpy(to->cells, from->cells, from->cells_n * sizeof *to->cells);
    to->cells_n = from->cells_n;
    mt_slot__cut(w, to, n);
}

bool mt_slot__assign(struct mt_worker *w, struct mt_choice_run *choice)
{
    struct mt_prompt *prompt = &choice->ask->prompts[choice->prompt];
    size_t own = 0;
    size_t other = 0;
    struct mt_slot *slot = best_free(w, prompt, &own);

    if (slot == NULL)
        return false;
    struct mt_slot *source = w->can_cut ? best_source(w, prompt, &other) : NULL;
    if (source != NULL && other >= own + COPY_GAIN_MIN) {
        struct mt_slot *spare = oldest_free(w, own >= COPY_GAIN_MIN ? slot : NULL);
        slot = spare != NULL ? spare : slot; /* keep a good prefix for its own conversation */
        copy_cells(w, source, slot, other);
        own = other;
    }
    size_t keep = own < prompt->n ? own : prompt->n - 1; /* one is decoded for its logits */
    if (keep < slot->cells_n)
        mt_slot__cut(w, slot, w->can_cut ? keep : 0);
    if (!prompt->is_read)
        prompt->cached_n = slot->cells_n;
    slot->choice = choice;
    slot->used_at = w->step_n;
    choice->slot = slot;
    return true;
}

void mt_slot__release(struct mt_worker *w, struct mt_choice_run *choice)
{
    struct mt_slot *slot = choice->slot;

    if (slot == NULL)
        return;
    slot->used_at = w->step_n;
    slot->choice = NULL;
    choice->slot = NULL;
    if (!w->can_cut)
        mt_slot__cut(w, slot, 0);
}
