/* SPDX-License-Identifier: Apache-2.0 */
#include "train/vocab.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/attr.h"

enum { ROOM = 16, FRAME_TOKENS = 2 };

static const struct mt_str call_cloud = MT_STR_INIT("<call_cloud>");

static int32_t token_of(char byte)
{
    return MT_TOKEN_BYTE0 + (unsigned char)byte;
}

static bool is_byte(int32_t token)
{
    return token >= MT_TOKEN_BYTE0 && token < MT_TOKEN_IM_START;
}

struct mt_str mt_vocab_text(int32_t token, char *room)
{
    static const char *const names[] = {
        [MT_TOKEN_UNKNOWN] = "<unk>",
        [MT_TOKEN_BEGIN] = "<s>",
        [MT_TOKEN_END] = "</s>",
        [MT_TOKEN_BYTE0 + ' '] = "\xe2\x96\x81",
        [MT_TOKEN_IM_START] = "<|im_start|>",
        [MT_TOKEN_IM_END] = "<|im_end|>",
        [MT_TOKEN_CALL_CLOUD] = "<call_cloud>",
        [MT_TOKEN_USER] = "<|im_start|>user\n",
        [MT_TOKEN_ASSISTANT] = "<|im_end|>\n<|im_start|>assistant\n",
    };

    MT_ASSERT(token >= 0 && token < MT_VOCAB_N);
    if (names[token] != NULL)
        (void)snprintf(room, MT_VOCAB_TEXT_MAX, "%s", names[token]);
    else
        (void)snprintf(room, MT_VOCAB_TEXT_MAX, "<0x%02X>", (unsigned)(token - MT_TOKEN_BYTE0));
    return mt_str_of(room);
}

uint32_t mt_vocab_prompt(struct mt_str user, int32_t *tokens, uint32_t max)
{
    if (user.len > max || max - user.len < FRAME_TOKENS)
        return 0;
    uint32_t n = 0;
    tokens[n++] = MT_TOKEN_USER;
    for (size_t i = 0; i < user.len; i++)
        tokens[n++] = token_of(user.at[i]);
    tokens[n++] = MT_TOKEN_ASSISTANT;
    return n;
}

uint32_t mt_vocab_answer(struct mt_str answer, int32_t *tokens, uint32_t max)
{
    uint32_t n = 0;

    while (answer.len > 0 && n < max) {
        bool is_call = mt_str_starts(answer, call_cloud);
        tokens[n++] = is_call ? MT_TOKEN_CALL_CLOUD : token_of(answer.at[0]);
        answer = mt_str_sub(answer, is_call ? call_cloud.len : 1, answer.len);
    }
    if (answer.len > 0 || n == max)
        return 0;
    tokens[n++] = MT_TOKEN_IM_END;
    return n;
}

struct mt_str mt_vocab_bytes(const int32_t *tokens, uint32_t tokens_n, char *room)
{
    size_t max = (size_t)tokens_n + ROOM;
    size_t len = 0;

    for (uint32_t i = 0; i < tokens_n; i++) {
        size_t behind = tokens_n - i - 1; /* a byte for each that follows */
        if (is_byte(tokens[i])) {
            room[len++] = (char)(tokens[i] - MT_TOKEN_BYTE0);
        } else if (tokens[i] == MT_TOKEN_CALL_CLOUD && max - len >= call_cloud.len + behind) {
            memcpy(room + len, call_cloud.at, call_cloud.len);
            len += call_cloud.len;
        }
    }
    return (struct mt_str){room, len};
}
