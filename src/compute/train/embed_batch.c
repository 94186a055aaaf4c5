/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "embed_labels.h"
#include "train/embed.h"
#include "train/vocab.h"

enum { TOKENS_MIN = 4 }; /* of an item: no prompt has fewer than three bytes */

struct mt_embed_room {
    uint32_t tokens_max, items_max;
    int32_t *tokens, *targets; /* [tokens_max] */
    uint32_t *starts;          /* [items_max + 1] */
    float *soft;               /* [items_max x MT_VOCAB_N] */
};

uint32_t mt_embed_tokens(struct mt_str text, int32_t *tokens, uint32_t max)
{
    uint32_t n = 0;

    MT_ASSERT(max > 0);
    while (n < max && n < text.len) {
        tokens[n] = MT_TOKEN_BYTE0 + (unsigned char)text.at[n];
        n++;
    }
    if (n < max)
        tokens[n++] = MT_TOKEN_END;
    return n;
}

static void room_freep(struct mt_embed_room **room)
{
    mt_embed_room_free(*room);
}

mt_rc mt_embed_room_new(uint32_t tokens_max, struct mt_embed_room **out, struct mt_err *err)
{
    MT_CLEANUP(room_freep) struct mt_embed_room *room = mt_alloc(1, sizeof *room);

    MT_ASSERT(tokens_max >= MT_ITEMS_TOKENS_MIN);
    if (room == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "batch of texts");
    room->tokens_max = tokens_max;
    room->items_max = tokens_max / TOKENS_MIN;
    room->tokens = mt_alloc(tokens_max, sizeof *room->tokens);
    room->targets = mt_alloc(tokens_max, sizeof *room->targets);
    room->starts = mt_alloc((size_t)room->items_max + 1, sizeof *room->starts);
    room->soft = mt_alloc((size_t)room->items_max * MT_VOCAB_N, sizeof *room->soft);
    if (room->tokens == NULL || room->targets == NULL || room->starts == NULL ||
        room->soft == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "batch of %u tokens of texts", tokens_max);
    *out = MT_MOVE(room);
    return MT_OK;
}

void mt_embed_room_free(struct mt_embed_room *room)
{
    if (room == NULL)
        return;
    mt_free(room->tokens);
    mt_free(room->targets);
    mt_free(room->starts);
    mt_free(room->soft);
    mt_free(room);
}

/* One more text as sequence number n, from position `at` on. @return its tokens; 0: no room */
static uint32_t add_item(struct mt_embed_room *room, const struct mt_item *item, uint32_t n,
                         uint32_t at)
{
    struct mt_str text = mt_str_of(item->prompt);
    uint32_t tokens_n = (uint32_t)text.len + 1;

    MT_ASSERT(tokens_n >= TOKENS_MIN);
    if (tokens_n > room->tokens_max - at)
        return 0;
    (void)mt_embed_tokens(text, room->tokens + at, tokens_n);
    for (uint32_t i = 0; i + 1 < tokens_n; i++)
        room->targets[at + i] = -1;
    room->targets[at + tokens_n - 1] = mt_train__embed_skill(item->skill);
    mt_train__embed_label(item, room->soft + (size_t)n * MT_VOCAB_N);
    return tokens_n;
}

void mt_embed_next(struct mt_embed_room *room, struct mt_items *items, struct mt_batch *out)
{
    uint32_t at = 0;
    uint32_t n = 0;

    while (n < room->items_max) {
        uint64_t position = mt_items_position(items);
        struct mt_item item;

        mt_items_draw(items, &item);
        uint32_t added = add_item(room, &item, n, at);
        if (added == 0) {
            mt_items_seek(items, position); /* it opens the next batch */
            break;
        }
        room->starts[n++] = at;
        at += added;
    }
    MT_ASSERT(n > 0);
    room->starts[n] = at;
    *out = (struct mt_batch){.tokens = room->tokens,
                             .targets = room->targets,
                             .soft = room->soft,
                             .starts = room->starts,
                             .sequences_n = n,
                             .tokens_n = at};
}
