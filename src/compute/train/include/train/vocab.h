/* SPDX-License-Identifier: Apache-2.0 */
/* train/vocab.h - the lab's byte-level vocabulary and how a chat becomes tokens.
 *
 * <unk> <s> </s>, then a token per byte, then control tokens. A chat in ChatML:
 *   <|im_start|>user\nPROMPT<|im_end|>\n<|im_start|>assistant\nANSWER<|im_end|>\n
 * The token for a space is written U+2581 in the file, as llama.cpp's tokenizer wants it.
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
    MT_VOCAB_N = 262,
};

/** The text of a token as the file has it ("<0x0A>", "<|im_end|>", U+2581).
 *  @param room at least 16 bytes */
struct mt_str mt_vocab_text(int32_t token, char *room);

/** Prompt of one turn, up to where the answer begins.
 *  @return tokens written, or 0 when max does not hold them */
uint32_t mt_vocab_prompt(struct mt_str user, int32_t *tokens, uint32_t max);

/** Answer and its end token behind a prompt. @return tokens written, or 0 */
uint32_t mt_vocab_answer(struct mt_str answer, int32_t *tokens, uint32_t max);

/** The bytes that generated tokens stand for; control tokens are left out, "<call_cloud>" is
 *  written as such. @param room at least tokens_n + 16 bytes */
struct mt_str mt_vocab_bytes(const int32_t *tokens, uint32_t tokens_n, char *room);

#endif
