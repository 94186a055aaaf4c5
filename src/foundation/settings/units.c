/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with units: "250ms", "64MiB", "10k", "0.25USD". Pure.
 *
 * A value is digits, perhaps a point and digits, and a unit. It is exact: what does not come
 * out as a whole number of the unit stored is refused, never rounded. */
#include "units.h"

#include <string.h>

#include "base/assert.h"
#include "settings/table.h"

/* The first unit is the one that nothing is written in. */
static const struct unit duration_units[] = {
    {"s", 1000}, {"ms", 1}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 86400000}, {NULL, 0},
};
static const struct unit byte_units[] = {
    {"B", 1},
    {"KiB", 1024},
    {"MiB", 1024 * 1024},
    {"GiB", 1024 * 1024 * 1024},
    {"TiB", (int64_t)1024 * 1024 * 1024 * 1024},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1000 * 1000},
    {"GB", 1000 * 1000 * 1000},
    {"TB", (int64_t)1000 * 1000 * 1000 * 1000},
    {NULL, 0},
};
static const struct unit count_units[] = {
    {"", 1}, {"k", 1000}, {"M", 1000 * 1000}, {"G", 1000 * 1000 * 1000}, {NULL, 0}};
static const struct unit nano_units[] = {{"USD", 1000 * 1000 * 1000}, {NULL, 0}};
static const struct unit micro_units[] = {{"USD", 1000 * 1000}, {NULL, 0}};

const struct unit_kind mt_settings__duration = {"duration", "250ms, 10s, 5m, 1h or 7d",
                                                duration_units};
const struct unit_kind mt_settings__bytes = {"size", "64MiB, 512KiB or 1GB", byte_units};
const struct unit_kind mt_settings__count = {"count", "10, 10k or 2M", count_units};
const struct unit_kind mt_settings__money = {"money amount", "2.50USD", nano_units};
const struct unit_kind mt_settings__price = {"price", "0.25USD", micro_units};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits of text before and behind the point as one whole number, and how many are behind.
 * What follows them stays in *text. */
static bool take_decimal(struct mt_str *text, int64_t *digits, unsigned *behind_n)
{
    size_t i = 0;
    size_t point = text->len;

    *digits = 0;
    for (; i < text->len; i++) {
        if (text->at[i] == '.' && point == text->len && i > 0) {
            point = i;
            continue;
        }
        if (!is_digit(text->at[i]))
            break;
        if (__builtin_mul_overflow(*digits, 10, digits) ||
            __builtin_add_overflow(*digits, text->at[i] - '0', digits))
            return false;
    }
    if (i == 0 || i == point + 1) /* nothing, or nothing behind the point */
        return false;
    *behind_n = point < i ? (unsigned)(i - point - 1) : 0;
    *text = mt_str_sub(*text, i, text->len);
    return true;
}

static const struct unit *find_unit(const struct unit *units, struct mt_str name)
{
    for (; units->name != NULL; units++) {
        if (mt_str_is(name, units->name))
            return units;
    }
    return NULL;
}

static bool unit_read(const struct unit_kind *kind, struct mt_str text, int64_t *out)
{
    int64_t value;
    unsigned behind_n;

    if (!take_decimal(&text, &value, &behind_n))
        return false;
    const struct unit *unit = find_unit(kind->units, text);
    if (unit == NULL)
        return false;
    int64_t scale = unit->scale;
    for (; behind_n > 0 && scale % 10 == 0; behind_n--)
        scale /= 10;
    for (; behind_n > 0; behind_n--) { /* the scale has no more tens: the digits must */
        if (value % 10 == 0)
            value /= 10;
        else if (scale % 2 == 0 && value % 5 == 0) {
            scale /= 2;
            value /= 5;
        } else if (scale % 5 == 0 && value % 2 == 0) {
            scale /= 5;
            value /= 2;
        } else {
            return false;
        }
    }
    if (__builtin_mul_overflow(value, scale, &value))
        return false;
    *out = value;
    return true;
}

static void write_whole(const struct unit_kind *kind, int64_t value, struct mt_buf *out)
{
    const struct unit *best = NULL;

    for (const struct unit *unit = kind->units; unit->name != NULL; unit++) {
        if (value % unit->scale == 0 && (best == NULL || unit->scale > best->scale) &&
            (value != 0 || best == NULL))
            best = unit;
    }
    MT_ASSERT(best != NULL); /* every kind has a unit of 1 */
    mt_buf_addf(out, "%lld%s", (long long)(value / best->scale), best->name);
}

/* One unit, the rest behind the point. */
static void write_decimal(const struct unit *unit, int64_t value, struct mt_buf *out)
{
    int64_t rest = value % unit->scale;

    mt_buf_add_i64(out, value / unit->scale);
    if (rest > 0)
        mt_buf_add_char(out, '.');
    for (int64_t place = unit->scale / 10; rest > 0; place /= 10) {
        mt_buf_add_char(out, (char)('0' + rest / place));
        rest %= place;
    }
    mt_buf_add_cstr(out, unit->name);
}

void mt_settings__unit_write(const struct unit_kind *kind, int64_t value, struct mt_buf *out)
{
    if (value < 0)
        mt_buf_add_i64(out, value);
    else if (kind->units[1].name == NULL)
        write_decimal(&kind->units[0], value, out);
    else
        write_whole(kind, value, out);
}

static mt_rc refuse(const struct unit_kind *kind, struct mt_str text, struct mt_err *err)
{
    return MT_FAIL(err, MT_E_INVALID, "expected a %s such as %s, found '%.*s'", kind->name,
                   kind->examples, (int)(text.len > 60 ? 60 : text.len),
                   text.at != NULL ? text.at : "");
}

mt_rc mt_settings__unit_parse(const struct unit_kind *kind, struct mt_str text, int64_t *out,
                              struct mt_err *err)
{
    return unit_read(kind, text, out) ? MT_OK : refuse(kind, text, err);
}

mt_rc mt_settings_duration(struct mt_str text, int64_t *out_ms, struct mt_err *err)
{
    return mt_settings__unit_parse(&mt_settings__duration, text, out_ms, err);
}

mt_rc mt_settings_money(struct mt_str text, int64_t *out_usd_nano, struct mt_err *err)
{
    return mt_settings__unit_parse(&mt_settings__money, text, out_usd_nano, err);
}
