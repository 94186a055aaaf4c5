/* SPDX-License-Identifier: Apache-2.0 */
/* Add, subtract, multiply; compare. Numbers as people write them, never below zero. */
#include "base/assert.h"
#include "skill_priv.h"

enum { DIGITS_MAX = 4, NUMBERS_MAX = 4 };

/* The largest numbers that a later step takes from the step before: beyond lies what the
 * skill's own grades do not ask. */
enum { TERM_MAX = 9999, FACTOR_MAX = 99 };

static uint32_t power_of_ten(uint32_t n)
{
    uint32_t power = 1;

    MT_ASSERT(n <= DIGITS_MAX);
    for (uint32_t i = 0; i < n; i++)
        power *= 10;
    return power;
}

/* Every number of that many digits; 0 has one. */
static uint32_t draw_number(struct mt_draw *draw, struct mt_range digits)
{
    uint32_t n = mt_draw__between(draw, digits.low, digits.high);

    return mt_draw__between(draw, n == 1 ? 0 : power_of_ten(n - 1), power_of_ten(n) - 1);
}

static void swap(uint32_t *x, uint32_t *y)
{
    uint32_t z = *x;
    *x = *y;
    *y = z;
}

static char sign_of(enum mt_skill skill)
{
    return skill == MT_SKILL_ADD ? '+' : skill == MT_SKILL_SUBTRACT ? '-' : '*';
}

static uint32_t compute(enum mt_skill skill, uint32_t x, uint32_t y)
{
    return skill == MT_SKILL_ADD ? x + y : skill == MT_SKILL_SUBTRACT ? x - y : x * y;
}

void mt_skill__make_number(struct mt_draw *draw, const struct mt_grade *grade,
                           struct mt_item *out)
{
    bool is_product = out->skill == MT_SKILL_MULTIPLY;
    uint32_t x = is_product ? mt_draw__between(draw, grade->a.low, grade->a.high)
                            : draw_number(draw, grade->a);
    uint32_t y = is_product ? mt_draw__between(draw, grade->b.low, grade->b.high)
                            : draw_number(draw, grade->b);

    if (out->skill == MT_SKILL_SUBTRACT ? x < y : mt_draw__below(draw, 2) == 1)
        swap(&x, &y);
    mt_skill__print(out->prompt, sizeof out->prompt, "%u%c%u", x, sign_of(out->skill), y);
    mt_skill__print(out->answer, sizeof out->answer, "%u", compute(out->skill, x, y));
}

/* What a later step adds, takes away or multiplies by; false when it does not suit. */
static bool draw_operand(struct mt_draw *draw, enum mt_skill skill,
                         enum mt_difficulty difficulty, uint32_t input, uint32_t *out)
{
    static const struct mt_range digits[MT_DIFFICULTIES_N] = {{1, 1}, {2, 2}, {2, 3}};

    if (skill == MT_SKILL_MULTIPLY) {
        *out = mt_draw__between(draw, 2, 9);
        return input >= 2 && input <= FACTOR_MAX;
    }
    *out = draw_number(draw, digits[difficulty]);
    return *out > 0 && (skill == MT_SKILL_ADD || *out <= input);
}

bool mt_skill__extend_number(struct mt_draw *draw, const struct mt_item *item,
                             enum mt_skill skill, struct mt_step *out)
{
    int64_t input = 0;
    uint32_t operand = 0;

    if (!mt_str_to_i64(mt_str_of(item->answer), 0, TERM_MAX, &input) ||
        !draw_operand(draw, skill, item->difficulty, (uint32_t)input, &operand))
        return false;
    mt_skill__print(out->prompt, sizeof out->prompt, "{}%c%u", sign_of(skill), operand);
    mt_skill__print(out->answer, sizeof out->answer, "%u",
                    compute(skill, (uint32_t)input, operand));
    return true;
}

static bool has(const uint32_t *numbers, uint32_t n, uint32_t wanted)
{
    for (uint32_t i = 0; i < n; i++) {
        if (numbers[i] == wanted)
            return true;
    }
    return false;
}

/* n different numbers. Half of the time they begin with the same digit: whoever looks at the
 * first digits only is found out. */
static void draw_numbers(struct mt_draw *draw, struct mt_range digits, uint32_t *numbers,
                         uint32_t n)
{
    uint32_t lead = mt_draw__below(draw, 2) == 1 ? mt_draw__between(draw, 1, 9) : 0;

    MT_ASSERT(n <= NUMBERS_MAX);
    for (uint32_t i = 0; i < n;) {
        uint32_t number = draw_number(draw, digits);
        uint32_t unit = 1;
        while (number / unit >= 10)
            unit *= 10;
        if (lead > 0 && unit > 1)
            number = lead * unit + number % unit;
        if (!has(numbers, i, number))
            numbers[i++] = number;
    }
}

void mt_skill__make_compare(struct mt_draw *draw, const struct mt_grade *grade,
                            struct mt_item *out)
{
    bool is_max = mt_draw__below(draw, 2) == 1;
    uint32_t n = mt_draw__between(draw, grade->b.low, grade->b.high);
    uint32_t numbers[NUMBERS_MAX] = {0};
    char list[NUMBERS_MAX * (DIGITS_MAX + 1) + 1];
    uint32_t best = 0;
    size_t at = 0;

    draw_numbers(draw, grade->a, numbers, n);
    for (uint32_t i = 0; i < n; i++) {
        if (is_max ? numbers[i] > numbers[best] : numbers[i] < numbers[best])
            best = i;
        mt_skill__print(list + at, sizeof list - at, " %u", numbers[i]);
        while (list[at] != '\0')
            at++;
    }
    mt_skill__print(out->prompt, sizeof out->prompt, "%s%s", is_max ? "max" : "min", list);
    mt_skill__print(out->answer, sizeof out->answer, "%u", numbers[best]);
}
