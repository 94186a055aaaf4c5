/* SPDX-License-Identifier: Apache-2.0 */
/* train/embed.h - an embedder: a model whose state behind a text's last token says what the
 * text is.
 *
 * A text is its bytes and one end token (MT_TOKEN_END), no chat; llama.cpp makes the same
 * tokens of a file that mt_model_write() wrote for an embedder, and pools the last. Only that
 * token has a target: probabilities over labels (embed_labels.c), which the output has to find
 * linearly in the state behind the final norm. That state is the vector.
 * One thread at a time per object. */
#ifndef MT_TRAIN_EMBED_H
#define MT_TRAIN_EMBED_H

#include "train/items.h"
#include "train/shape.h"

/** Bytes and end token; a text that is too long is cut as the node cuts it: no end token.
 *  @param max at least 1
 *  @return tokens written, at least 1 */
uint32_t mt_embed_tokens(struct mt_str text, int32_t *tokens, uint32_t max);

/* ---------------------------------------------------------------- batches to learn from */

struct mt_embed_room; /* of one batch */

/** @param tokens_max of a batch, at least MT_ITEMS_TOKENS_MIN
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_embed_room_new(uint32_t tokens_max, struct mt_embed_room **out, struct mt_err *err);
void mt_embed_room_free(struct mt_embed_room *room); /* NULL is allowed */

/** The next items of a stream (of skills only), as many as fit, with the probabilities of their
 *  labels. A target itself is the label of the skill, the likeliest of them: it is right when
 *  the skill is. Lives until the next call. */
void mt_embed_next(struct mt_embed_room *room, struct mt_items *items, struct mt_batch *out);

/* ---------------------------------------------------------------- vectors */

struct mt_embedder;

/** @param params [params_n]; borrowed
 *  @return MT_OK, MT_E_INVALID (another vocabulary), MT_E_NOMEM, MT_E_NOTFOUND (no OpenBLAS) */
mt_rc mt_embedder_new(const struct mt_shape *shape, const float *params,
                      struct mt_embedder **out, struct mt_err *err);
void mt_embedder_free(struct mt_embedder *embedder); /* NULL is allowed */
void mt_embedder_freep(struct mt_embedder **embedder);

/** Vectors of length 1, as the node's endpoint gives them.
 *  @param vectors out: [n x the shape's width] */
void mt_embedder_run(struct mt_embedder *embedder, const struct mt_str *texts, uint32_t n,
                     float *vectors);

#endif
