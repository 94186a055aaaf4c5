/* SPDX-License-Identifier: Apache-2.0 */
/* Copy, upper, lower, reverse, sort; count. Words are letters drawn evenly: what comes next
 * can be known from the task alone, never from the language. */
#include <string.h>

#include "base/assert.h"
#include "skill_priv.h"

enum { WORD_MAX = 24 };

static void keep(char *word, size_t len)
{
    (void)word;
    (void)len;
}

static void raise_case(char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        word[i] = (char)(word[i] - 'a' + 'A');
}

static void sink_case(char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        word[i] = (char)(word[i] - 'A' + 'a');
}

static void turn_round(char *word, size_t len)
{
    for (size_t i = 0; i < len / 2; i++) {
        char c = word[i];
        word[i] = word[len - 1 - i];
        word[len - 1 - i] = c;
    }
}

static void put_in_order(char *word, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        char c = word[i];
        size_t at = i;
        for (; at > 0 && word[at - 1] > c; at--)
            word[at] = word[at - 1];
        word[at] = c;
    }
}

/* By skill: COPY to SORT. */
static const struct {
    char first; /* of the alphabet that the words are made of */
    void (*apply)(char *word, size_t len);
} rules[] = {
    [MT_SKILL_COPY] = {'a', keep},         [MT_SKILL_UPPER] = {'a', raise_case},
    [MT_SKILL_LOWER] = {'A', sink_case},   [MT_SKILL_REVERSE] = {'a', turn_round},
    [MT_SKILL_SORT] = {'a', put_in_order},
};

static void draw_word(struct mt_draw *draw, char first, size_t len, char *to)
{
    MT_ASSERT(len < WORD_MAX);
    for (size_t i = 0; i < len; i++)
        to[i] = (char)(first + (int)mt_draw__below(draw, 26));
    to[len] = '\0';
}

void mt_skill__make_word(struct mt_draw *draw, const struct mt_grade *grade,
                         struct mt_item *out)
{
    size_t len = mt_draw__between(draw, grade->a.low, grade->a.high);
    char word[WORD_MAX];

    draw_word(draw, rules[out->skill].first, len, word);
    mt_skill__print(out->prompt, sizeof out->prompt, "%s %s", mt_skill_info(out->skill)->name,
                    word);
    rules[out->skill].apply(word, len);
    mt_skill__print(out->answer, sizeof out->answer, "%s", word);
}

bool mt_skill__extend_word(struct mt_draw *draw, const struct mt_item *item,
                           enum mt_skill skill, struct mt_step *out)
{
    size_t len = strlen(item->answer);

    (void)draw;
    for (size_t i = 0; i < len; i++) {
        if (item->answer[i] < rules[skill].first || item->answer[i] >= rules[skill].first + 26)
            return false;
    }
    mt_skill__print(out->prompt, sizeof out->prompt, "%s {}", mt_skill_info(skill)->name);
    memcpy(out->answer, item->answer, len + 1);
    rules[skill].apply(out->answer, len);
    return true;
}

/* The number is drawn first and then put into the word: every count is as likely as the others
 * of its length. */
void mt_skill__make_count(struct mt_draw *draw, const struct mt_grade *grade,
                          struct mt_item *out)
{
    uint32_t len = mt_draw__between(draw, grade->a.low, grade->a.high);
    uint32_t most = grade->b.high < len ? grade->b.high : len;
    uint32_t wanted = mt_draw__between(draw, grade->b.low, most);
    char letter = (char)('a' + (int)mt_draw__below(draw, 26));
    char word[WORD_MAX] = {0};
    uint32_t left = wanted;

    MT_ASSERT(len < WORD_MAX && grade->b.low <= most);
    for (uint32_t i = 0; i < len; i++) {
        if (mt_draw__below(draw, len - i) < left) {
            word[i] = letter;
            left--;
        } else {
            int other = (letter - 'a' + 1 + (int)mt_draw__below(draw, 25)) % 26;
            word[i] = (char)('a' + other);
        }
    }
    mt_skill__print(out->prompt, sizeof out->prompt, "count %c in %s", letter, word);
    mt_skill__print(out->answer, sizeof out->answer, "%u", wanted);
}
