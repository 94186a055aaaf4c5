/* SPDX-License-Identifier: Apache-2.0 */
/* Look up what was told, and say "unknown" of what was not. Both tell in the same way, so that
 * only the names decide which of them a prompt is. */
#include <string.h>

#include "base/assert.h"
#include "skill_priv.h"

enum { NAME_MAX = 8, PAIRS_MAX = 8, VALUE_LETTERS = 3 };

static const char unknown[] = "unknown";

static char draw_letter(struct mt_draw *draw, bool is_vowel)
{
    static const char vowels[] = "aeiou";
    static const char others[] = "bcdfghjklmnpqrstvwxyz";

    return is_vowel ? vowels[mt_draw__below(draw, sizeof vowels - 1)]
                    : others[mt_draw__below(draw, sizeof others - 1)];
}

/* Names can be spoken: every second letter is a vowel. */
static void draw_name(struct mt_draw *draw, uint32_t len, char *to)
{
    MT_ASSERT(len < NAME_MAX);
    for (uint32_t i = 0; i < len; i++)
        to[i] = draw_letter(draw, i % 2 == 1);
    to[len] = '\0';
}

/* The same name but for one letter. */
static void draw_near(struct mt_draw *draw, const char *name, char *to)
{
    size_t len = strlen(name);
    uint32_t at = mt_draw__below(draw, (uint32_t)len);

    memcpy(to, name, len + 1);
    while (to[at] == name[at])
        to[at] = draw_letter(draw, at % 2 == 1);
}

static bool is_same(const char *a, const char *b)
{
    return mt_str_eq(mt_str_of(a), mt_str_of(b));
}

static bool has(char (*names)[NAME_MAX], uint32_t n, const char *wanted)
{
    for (uint32_t i = 0; i < n; i++) {
        if (is_same(names[i], wanted))
            return true;
    }
    return false;
}

/* Number or word, whatever the neighbours are. */
static void draw_value(struct mt_draw *draw, char *to, size_t max)
{
    if (mt_draw__below(draw, 2) == 0) {
        mt_skill__print(to, max, "%u", mt_draw__below(draw, 100));
        return;
    }
    for (size_t i = 0; i < VALUE_LETTERS; i++)
        to[i] = (char)('a' + (int)mt_draw__below(draw, 26));
    to[VALUE_LETTERS] = '\0';
}

/* n different names, none of them the one that will be asked for. When hard, half of the time
 * one of them differs from that in one letter only. */
static void draw_others(struct mt_draw *draw, const struct mt_item *item, const char *asked,
                        char (*names)[NAME_MAX], uint32_t n)
{
    bool has_near = item->difficulty == MT_HARD && mt_draw__below(draw, 2) == 0;
    uint32_t near_at = has_near ? mt_draw__below(draw, n) : n;

    for (uint32_t i = 0; i < n;) {
        if (i == near_at)
            draw_near(draw, asked, names[i]);
        else
            draw_name(draw, (uint32_t)strlen(asked), names[i]);
        if (!has(names, i, names[i]) && !is_same(names[i], asked))
            i++;
    }
}

/* "who is bob?" and nothing told at all. */
static void make_question(struct mt_draw *draw, const char *name, struct mt_item *out)
{
    static const char *const questions[] = {"who is", "where is", "how old is"};

    mt_skill__print(out->prompt, sizeof out->prompt, "%s %s?",
                    questions[mt_draw__below(draw, MT_ARRAY_LEN(questions))], name);
}

/* Write what is told, name by name, and the question; the value of the name that is asked for
 * becomes the answer. */
static void tell(struct mt_draw *draw, char (*names)[NAME_MAX], uint32_t n, const char *asked,
                 struct mt_item *out)
{
    size_t at = 0;

    for (uint32_t i = 0; i < n; i++) {
        char value[MT_ITEM_ANSWER_MAX];
        draw_value(draw, value, sizeof value);
        if (is_same(names[i], asked))
            memcpy(out->answer, value, sizeof value);
        mt_skill__print(out->prompt + at, sizeof out->prompt - at, "%s=%s ", names[i], value);
        at += strlen(out->prompt + at);
    }
    mt_skill__print(out->prompt + at, sizeof out->prompt - at, "%s?", asked);
}

void mt_skill__make_told(struct mt_draw *draw, const struct mt_grade *grade,
                         struct mt_item *out)
{
    bool is_known = out->skill == MT_SKILL_LOOKUP;
    uint32_t n = mt_draw__between(draw, grade->a.low, grade->a.high);
    char names[PAIRS_MAX][NAME_MAX];
    char asked[NAME_MAX];

    MT_ASSERT(n >= 2 && n <= PAIRS_MAX);
    draw_name(draw, mt_draw__between(draw, grade->b.low, grade->b.high), asked);
    memcpy(out->answer, unknown, sizeof unknown);
    if (!is_known && mt_draw__below(draw, 4) == 0) {
        make_question(draw, asked, out);
        return;
    }
    draw_others(draw, out, asked, names, is_known ? n - 1 : n);
    if (is_known) {
        uint32_t at = mt_draw__below(draw, n);
        memcpy(names[n - 1], names[at], NAME_MAX);
        memcpy(names[at], asked, NAME_MAX);
    }
    tell(draw, names, n, asked, out);
}
