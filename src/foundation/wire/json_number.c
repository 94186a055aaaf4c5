/* SPDX-License-Identifier: Apache-2.0 */
/* JSON numbers: their grammar, and their value as integer or double. */
#include <string.h>

#include "json_priv.h"
#include "wire/json.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t skip_digits(struct mt_str text, size_t at)
{
    while (at < text.len && is_digit(text.at[at]))
        at++;
    return at;
}

bool mt_wire__number_check(struct mt_str text)
{
    size_t from = text.len > 0 && text.at[0] == '-' ? 1 : 0;
    size_t at = skip_digits(text, from);

    if (at == from || (text.at[from] == '0' && at > from + 1))
        return false;
    if (at < text.len && text.at[at] == '.') {
        from = at + 1;
        at = skip_digits(text, from);
        if (at == from)
            return false;
    }
    if (at < text.len && (text.at[at] == 'e' || text.at[at] == 'E')) {
        from = at + 1;
        if (from < text.len && (text.at[from] == '+' || text.at[from] == '-'))
            from++;
        at = skip_digits(text, from);
        if (at == from)
            return false;
    }
    return at == text.len;
}

/* A number is sign, digits and power: digits * 10^power, the point taken out of the digits. */
struct decimal {
    struct mt_str whole;    /* digits before the point */
    struct mt_str fraction; /* and behind it, trailing zeros cut */
    int64_t exponent;       /* as written; a monstrous one is cut, its sense stays */
    bool is_negative;
};

static int64_t exponent_of(struct mt_str text)
{
    bool is_negative = text.len > 0 && text.at[0] == '-';
    int64_t value = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (is_digit(text.at[i]) && value < ((int64_t)1 << 40))
            value = value * 10 + (text.at[i] - '0');
    }
    return is_negative ? -value : value;
}

static struct decimal decimal_of(struct mt_str text)
{
    struct decimal d = {.is_negative = text.at[0] == '-'};
    size_t from = d.is_negative ? 1 : 0;
    size_t at = skip_digits(text, from);

    d.whole = mt_str_sub(text, from, at);
    if (at < text.len && text.at[at] == '.') {
        from = at + 1;
        at = skip_digits(text, from);
        d.fraction = mt_str_sub(text, from, at);
        while (d.fraction.len > 0 && d.fraction.at[d.fraction.len - 1] == '0')
            d.fraction.len--;
    }
    if (at < text.len)
        d.exponent = exponent_of(mt_str_sub(text, at + 1, text.len));
    return d;
}

static char digit_at(const struct decimal *d, size_t i)
{
    return i < d->whole.len ? d->whole.at[i] : d->fraction.at[i - d->whole.len];
}

/* Append one digit; false when the value leaves int64. */
static bool push_digit(const struct decimal *d, char digit, int64_t *value)
{
    int64_t step = d->is_negative ? '0' - digit : digit - '0';

    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, step, value);
}

/* The value, if it is integral and fits. */
static bool decimal_to_i64(const struct decimal *d, int64_t *out)
{
    int64_t digits_n = (int64_t)(d->whole.len + d->fraction.len);
    int64_t point = (int64_t)d->whole.len + d->exponent; /* digits before the point */
    int64_t value = 0;

    for (int64_t i = 0; i < digits_n; i++) {
        char digit = digit_at(d, (size_t)i);
        if (i >= point && digit != '0')
            return false;
        if (i < point && !push_digit(d, digit, &value))
            return false;
    }
    for (int64_t i = digits_n; i < point && value != 0; i++) { /* overflows within 19 rounds */
        if (!push_digit(d, '0', &value))
            return false;
    }
    *out = value;
    return true;
}

bool mt_json_i64(const struct mt_json *value, int64_t min, int64_t max, int64_t *out)
{
    int64_t found;

    if (mt_json_type(value) != MT_JSON_NUMBER)
        return false;
    if (!mt_str_to_i64(mt_json_raw(value), INT64_MIN, INT64_MAX, &found)) {
        struct decimal d = decimal_of(mt_json_raw(value));
        if (!decimal_to_i64(&d, &found))
            return false;
    }
    if (found < min || found > max)
        return false;
    *out = found;
    return true;
}

/* Where the first digit that counts stands, as power of ten, is below one: the number is. */
static bool is_below_one(const struct decimal *d)
{
    size_t digits_n = d->whole.len + d->fraction.len;
    size_t zeros = 0;

    while (zeros < digits_n && digit_at(d, zeros) == '0')
        zeros++;
    return (int64_t)d->whole.len - (int64_t)zeros + d->exponent <= 0;
}

bool mt_json_f64(const struct mt_json *value, double *out)
{
    double found = 0;

    if (mt_json_type(value) != MT_JSON_NUMBER)
        return false;
    enum mt_wire__double_rc rc = mt_wire__double_read(mt_json_raw(value), &found);
    if (rc == MT_WIRE__DOUBLE_RANGE) {
        struct decimal d = decimal_of(mt_json_raw(value));
        if (!is_below_one(&d))
            return false;
        found = d.is_negative ? -0.0 : 0.0;
    }
    if (rc == MT_WIRE__DOUBLE_BAD)
        return false;
    *out = found;
    return true;
}
