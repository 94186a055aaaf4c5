/* SPDX-License-Identifier: Apache-2.0 */
/* Labels are tokens, since the output is over tokens: those of bytes that no task of the
 * curriculum has. A family of labels shares a mass, and one label of each family is true, so
 * the one softmax over all of them learns what a softmax per family would. The bytes of the
 * text, and the pairs of their kinds, are families as well, whose mass is spread over the text:
 * what tells one text from another stays in the vector where no other label asks for it, which
 * is what skills that were never seen live on. */
#include "embed_labels.h"

#include <string.h>

#include "base/assert.h"
#include "base/attr.h"
#include "train/vocab.h"

enum {
    HIGH_N = 128, /* labels that are bytes from 0x80 on; the next are bytes below 0x20 */
    LENGTHS_N = 16,
    LONGS_N = 20,
    LONG_STEP = 4,
    WORDS_N = 8,
    ANSWER_KINDS_N = 4,
    BYTE_KINDS_N = 8,
    FAMILY_LABELS_N =
        3 * MT_SKILLS_N + MT_DIFFICULTIES_N + LENGTHS_N + LONGS_N + WORDS_N + ANSWER_KINDS_N,
};
_Static_assert(FAMILY_LABELS_N + BYTE_KINDS_N * BYTE_KINDS_N <= HIGH_N + ' ',
               "every label is a byte's token");

static int32_t token_of(uint32_t label)
{
    return MT_TOKEN_BYTE0 + (int32_t)(label < HIGH_N ? HIGH_N + label : label - HIGH_N);
}

static uint32_t skill_of(const struct mt_item *item)
{
    return (uint32_t)item->skill;
}

static uint32_t difficulty_of(const struct mt_item *item)
{
    return (uint32_t)item->difficulty;
}

static uint32_t at_most(size_t value, uint32_t most)
{
    return value < most ? (uint32_t)value : most;
}

static uint32_t answer_length_of(const struct mt_item *item)
{
    return at_most(strlen(item->answer), LENGTHS_N - 1);
}

static uint32_t answer_kind_of(const struct mt_item *item)
{
    char first = item->answer[0];

    if (mt_str_is(mt_str_of(item->answer), "unknown"))
        return 0;
    if (first >= '0' && first <= '9')
        return 1;
    return first >= 'a' ? 2 : 3;
}

static uint32_t prompt_length_of(const struct mt_item *item)
{
    return at_most(strlen(item->prompt) / LONG_STEP, LONGS_N - 1);
}

static uint32_t words_of(const struct mt_item *item)
{
    size_t n = 0;

    for (const char *at = item->prompt; *at != '\0'; at++)
        n += *at == ' ';
    return at_most(n, WORDS_N - 1);
}

static uint32_t first_step_of(const struct mt_item *item)
{
    return item->steps_n > 1 ? (uint32_t)item->step_skill[0] : (uint32_t)item->skill;
}

static uint32_t last_step_of(const struct mt_item *item)
{
    return item->steps_n > 1 ? (uint32_t)item->step_skill[item->steps_n - 1]
                             : (uint32_t)item->skill;
}

/* In the order of their labels; the skill's is the greatest mass of a single label. */
static const struct family {
    uint32_t (*of)(const struct mt_item *item);
    uint32_t labels_n;
    float mass;
} families[] = {
    {skill_of, MT_SKILLS_N, 0.2F},        {difficulty_of, MT_DIFFICULTIES_N, 0.12F},
    {answer_length_of, LENGTHS_N, 0.08F}, {answer_kind_of, ANSWER_KINDS_N, 0.04F},
    {prompt_length_of, LONGS_N, 0.06F},   {words_of, WORDS_N, 0.06F},
    {first_step_of, MT_SKILLS_N, 0.04F},  {last_step_of, MT_SKILLS_N, 0.04F},
};
static const float bytes_mass = 0.18F;
static const float pairs_mass = 0.18F;

int32_t mt_train__embed_skill(enum mt_skill skill)
{
    return token_of((uint32_t)skill); /* the first family */
}

static void add_bytes(struct mt_str text, float *row)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];

        MT_ASSERT(byte >= ' ' && byte < HIGH_N); /* else it would be a label */
        row[MT_TOKEN_BYTE0 + byte] += bytes_mass / (float)text.len;
    }
}

static uint32_t kind_of(char byte)
{
    if (byte >= '0' && byte <= '9')
        return 1;
    if (byte >= 'a' && byte <= 'z')
        return 2;
    if (byte >= 'A' && byte <= 'Z')
        return 3;
    switch (byte) {
    case ' ':
        return 4;
    case '=':
        return 5;
    case '?':
        return 6;
    case '+':
    case '-':
    case '*':
        return 7;
    default: /* also before the text and behind it */
        return 0;
    }
}

static void add_pairs(struct mt_str text, float *row)
{
    uint32_t before = 0;

    for (size_t i = 0; i <= text.len; i++) {
        uint32_t kind = i < text.len ? kind_of(text.at[i]) : 0;

        row[token_of(FAMILY_LABELS_N + before * BYTE_KINDS_N + kind)] +=
            pairs_mass / (float)(text.len + 1);
        before = kind;
    }
}

void mt_train__embed_label(const struct mt_item *item, float *row)
{
    uint32_t at = 0;

    memset(row, 0, MT_VOCAB_N * sizeof *row);
    for (size_t i = 0; i < MT_ARRAY_LEN(families); i++) {
        uint32_t label = families[i].of(item);

        MT_ASSERT(label < families[i].labels_n);
        row[token_of(at + label)] = families[i].mass;
        at += families[i].labels_n;
    }
    MT_ASSERT(at == FAMILY_LABELS_N);
    add_bytes(mt_str_of(item->prompt), row);
    add_pairs(mt_str_of(item->prompt), row);
}
