/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mt_str mt_str_of(const char *text)
{
    return (struct mt_str){text, text != NULL ? strlen(text) : 0};
}

bool mt_str_eq(struct mt_str a, struct mt_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool mt_str_is(struct mt_str a, const char *text)
{
    return mt_str_eq(a, mt_str_of(text));
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool mt_str_ieq(struct mt_str a, struct mt_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    }
    return true;
}

bool mt_str_starts(struct mt_str text, struct mt_str prefix)
{
    return text.len >= prefix.len && mt_str_eq((struct mt_str){text.at, prefix.len}, prefix);
}

bool mt_str_ends(struct mt_str text, struct mt_str suffix)
{
    return text.len >= suffix.len &&
           mt_str_eq((struct mt_str){text.at + (text.len - suffix.len), suffix.len}, suffix);
}

size_t mt_str_find(struct mt_str text, struct mt_str needle)
{
    if (needle.len == 0)
        return 0;
    if (text.len < needle.len)
        return text.len;
    const char *at = memmem(text.at, text.len, needle.at, needle.len);

    return at != NULL ? (size_t)(at - text.at) : text.len;
}

size_t mt_str_find_char(struct mt_str text, char wanted)
{
    const char *at = text.len > 0 ? memchr(text.at, wanted, text.len) : NULL;

    return at != NULL ? (size_t)(at - text.at) : text.len;
}

struct mt_str mt_str_sub(struct mt_str text, size_t from, size_t to)
{
    if (to > text.len)
        to = text.len;
    if (from > to)
        from = to;
    if (text.at == NULL)
        return text;
    return (struct mt_str){text.at + from, to - from};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct mt_str mt_str_trim(struct mt_str text)
{
    size_t from = 0;
    size_t to = text.len;

    while (from < to && is_space(text.at[from]))
        from++;
    while (to > from && is_space(text.at[to - 1]))
        to--;
    return mt_str_sub(text, from, to);
}

struct mt_str mt_str_take(struct mt_str *text, char separator)
{
    size_t at = mt_str_find_char(*text, separator);
    struct mt_str head = mt_str_sub(*text, 0, at);

    *text = mt_str_sub(*text, at < text->len ? at + 1 : at, text->len);
    return head;
}

bool mt_str_to_i64(struct mt_str text, int64_t min, int64_t max, int64_t *out)
{
    bool is_negative = text.len > 0 && text.at[0] == '-';
    size_t i = is_negative ? 1 : 0;
    int64_t value = 0;

    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        int64_t digit = text.at[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, is_negative ? -digit : digit, &value))
            return false;
    }
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

bool mt_str_to_f64(struct mt_str text, double *out)
{
    char copy[64]; /* strtod needs a terminator; no sensible number is longer */
    char *end;

    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    for (size_t i = 0; i < text.len; i++) { /* digits only: no hex, nan, inf or leading space */
        char c = text.at[i];
        if (!((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' ||
              c == 'E'))
            return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    double value = strtod(copy, &end); /* the program never leaves the "C" locale */
    if (end != copy + text.len || !isfinite(value))
        return false;
    *out = value;
    return true;
}

uint64_t mt_str_hash(struct mt_str text, uint64_t seed)
{
    uint64_t hash = 14695981039346656037u ^ seed;

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * 1099511628211u;
    return hash ^ (hash >> 29);
}

unsigned mt_str_distance(struct mt_str a, struct mt_str b, unsigned max)
{
    enum { TEXT_MAX = 64 };
    unsigned row[TEXT_MAX + 1];

    if (a.len > TEXT_MAX || b.len > TEXT_MAX)
        return max + 1;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned replaced = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            unsigned shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = replaced < shorter + 1 ? replaced : shorter + 1;
        }
    }
    return row[b.len] > max ? max + 1 : row[b.len];
}

/* Length a UTF-8 sequence claims by its first byte; 0 for a byte that cannot begin one. */
static size_t utf8_claims(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if (first >= 0xE0 && first <= 0xEF)
        return 3;
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

static bool utf8_one(const unsigned char *at, size_t left, size_t *taken)
{
    size_t n = utf8_claims(at[0]);

    if (n == 0 || n > left)
        return false;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return false;
    }
    *taken = n;
    return !((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
             (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F));
}

bool mt_str_is_utf8(struct mt_str text)
{
    size_t taken = 0;

    for (size_t i = 0; i < text.len; i += taken) {
        if (!utf8_one((const unsigned char *)text.at + i, text.len - i, &taken))
            return false;
    }
    return true;
}

size_t mt_str_utf8_whole(struct mt_str text)
{
    for (size_t back = 1; back <= 3 && back <= text.len; back++) {
        unsigned char c = (unsigned char)text.at[text.len - back];
        if ((c & 0xC0) != 0x80)
            return utf8_claims(c) > back ? text.len - back : text.len;
    }
    return text.len;
}
