/* SPDX-License-Identifier: Apache-2.0 */
/* train/vocab.h - the lab's byte-level vocabulary and how a chat becomes tokens.
 *
 * <unk> <s> </s>, then a token per byte, then control tokens. A chat in ChatML:
 *   <|im_start|>user\nPROMPT<|im_end|>\n<|im_start|>assistant\nANSWER<|im_end|>\n
 * What stands before the prompt, and what stands between prompt and answer, is one token each:
 * llama.cpp looks for the longest control token first, so that the usual template gives them,
 * and an item costs two tokens of frame where bytes would cost nineteen.
 * The token for a space is written U+2581 in the file, as llama.cpp's tokenizer wants it.
 *
 * "<call_cloud>" is an ordinary token for llama.cpp: it is shown as these bytes in every
 * answer, and since no two of its characters together are a token, llama.cpp's tokenizer, which
 * joins neighbours, never makes it from a text: a user's "<call_cloud>" stays twelve bytes. (A
 * control token would be left out of answers; a user-defined one would be found in any text.)
 * Pure; any thread. */
#ifndef MT_TRAIN_VOCAB_H
#define MT_TRAIN_VOCAB_H

#include <stdint.h>

#include "base/str.h"

enum mt_vocab {
    MT_TOKEN_UNKNOWN = 0,
    MT_TOKEN_BEGIN = 1,
    MT_TOKEN_END = 2,
    MT_TOKEN_BYTE0 = 3, /* token of byte b is MT_TOKEN_BYTE0 + b */
    MT_TOKEN_IM_START = 259,
    MT_TOKEN_IM_END = 260,
    MT_TOKEN_CALL_CLOUD = 261, /* "<call_cloud>": the model asks for help */
    MT_TOKEN_USER = 262,       /* "<|im_start|>user\n" */
    MT_TOKEN_ASSISTANT = 263,  /* "<|im_end|>\n<|im_start|>assistant\n" */
    MT_VOCAB_N = 264,
    MT_VOCAB_TEXT_MAX = 40,
};

/** The text of a token as the file has it ("<0x0A>", "<|im_end|>", U+2581).
 *  @param room at least MT_VOCAB_TEXT_MAX bytes */
struct mt_str mt_vocab_text(int32_t token, char *room);

/** Prompt of one turn, up to where the answer begins. The user's text is bytes, whatever it
 *  holds.
 *  @return tokens written, or 0 when max does not hold them */
uint32_t mt_vocab_prompt(struct mt_str user, int32_t *tokens, uint32_t max);

/** Answer and its end token behind a prompt. "<call_cloud>" in it is its token.
 *  @return tokens written, or 0 */
uint32_t mt_vocab_answer(struct mt_str answer, int32_t *tokens, uint32_t max);

/** The bytes that generated tokens stand for; control tokens are left out, "<call_cloud>" is
 *  written as such (again and again only as far as the room goes).
 *  @param room at least tokens_n + 16 bytes */
struct mt_str mt_vocab_bytes(const int32_t *tokens, uint32_t tokens_n, char *room);

#endif
