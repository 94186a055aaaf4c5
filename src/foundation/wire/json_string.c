/* SPDX-License-Identifier: Apache-2.0 */
/* What stands between the quotes of a JSON string: escapes checked, compared, resolved. */
#include "json_priv.h"

#include <stddef.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { ESCAPE_U_LEN = 6, REPLACEMENT = 0xFFFD }; /* \uXXXX */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The code unit of four hexadecimal digits; -1 when they are none. */
static int32_t hex4(const char *at)
{
    int32_t unit = 0;

    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* What a two-character escape stands for; 0 for an unknown one. */
static char simple_escape(char c)
{
    static const char meaning[128] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };

    return (unsigned char)c < sizeof meaning ? meaning[(unsigned char)c] : '\0';
}

/* Where the next backslash stands, or end. */
static const char *find_escape(const char *at, const char *end)
{
    const char *found = at < end ? memchr(at, '\\', (size_t)(end - at)) : NULL;

    return found != NULL ? found : end;
}

enum { BLOCK = 64 };

/* A bit for each backslash in up to BLOCK bytes. */
static uint64_t find_escapes(const char *at, size_t n)
{
    uint64_t found = 0;

#ifdef __SSE2__
    if (n == BLOCK) {
        const __m128i backslash = _mm_set1_epi8('\\');

        for (int i = 0; i < BLOCK; i += (int)sizeof backslash) {
            __m128i part = _mm_loadu_si128((const void *)(at + i));
            unsigned bits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(part, backslash));
            found |= (uint64_t)bits << i;
        }
        return found;
    }
#endif
    for (size_t i = 0; i < n; i++)
        found |= (uint64_t)(at[i] == '\\') << i;
    return found;
}

static bool is_escape(const char *at, const char *end)
{
    if (end - at >= 2 && simple_escape(at[1]) != '\0')
        return true;
    return end - at >= ESCAPE_U_LEN && at[1] == 'u' && hex4(at + 2) >= 0;
}

/* Prose and code have an escape in every line. Walking from each to the next would wait for one
 * search after the other; a block's are found at once. */
bool mt_wire__escapes_check(struct mt_str text, size_t *bad_at)
{
    const char *end = text.at + text.len;
    uint64_t taken = 0; /* bit 0: the first byte belongs to an escape of the block before */

    for (const char *block = text.at; block < end; block += BLOCK) {
        size_t n = end - block < BLOCK ? (size_t)(end - block) : BLOCK;
        uint64_t left = find_escapes(block, n) & ~taken;

        taken = 0;
        while (left != 0) {
            int i = __builtin_ctzll(left);
            const char *at = block + i;

            if (!is_escape(at, end)) {
                *bad_at = (size_t)(at - text.at);
                return false;
            }
            left &= left - 1;
            if (at[1] == '\\') { /* it is no escape's beginning */
                left &= ~(i < BLOCK - 1 ? (uint64_t)2 << i : 0);
                taken = i == BLOCK - 1;
            }
        }
    }
    return true;
}

static size_t utf8_put(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(lead[n] | code);
    return n;
}

static bool is_high(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Resolve the (checked) escape at *at and step over it; the answer is the bytes written. */
static size_t take_escape(const char **at, const char *end, char out[4])
{
    const char *from = *at;

    if (from[1] != 'u') {
        *at = from + 2;
        out[0] = simple_escape(from[1]);
        return 1;
    }
    int32_t unit = hex4(from + 2);

    *at = from + ESCAPE_U_LEN;
    if (is_high(unit) && end - *at >= ESCAPE_U_LEN && (*at)[0] == '\\' && (*at)[1] == 'u' &&
        is_low(hex4(*at + 2))) {
        int32_t low = hex4(*at + 2);
        *at += ESCAPE_U_LEN;
        return utf8_put((uint32_t)(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), out);
    }
    return utf8_put(is_high(unit) || is_low(unit) ? REPLACEMENT : (uint32_t)unit, out);
}

bool mt_wire__escaped_is(struct mt_str text, struct mt_str plain)
{
    const char *at = text.at;
    const char *end = text.at + text.len;
    char bytes[4];

    while (at < end) {
        const char *escape = find_escape(at, end);
        struct mt_str run = {at, (size_t)(escape - at)};
        at = escape;
        if (run.len == 0)
            run = (struct mt_str){bytes, take_escape(&at, end, bytes)};
        if (!mt_str_starts(plain, run))
            return false;
        plain = mt_str_sub(plain, run.len, plain.len);
    }
    return plain.len == 0;
}

size_t mt_wire__unescape(struct mt_str text, char *out)
{
    const char *at = text.at;
    const char *end = text.at + text.len;
    char *to = out;

    while (at < end) {
        const char *escape = find_escape(at, end);
        memcpy(to, at, (size_t)(escape - at));
        to += escape - at;
        at = escape;
        if (at < end) {
            char bytes[4];
            size_t n = take_escape(&at, end, bytes);
            memcpy(to, bytes, n);
            to += n;
        }
    }
    return (size_t)(to - out);
}

size_t mt_wire__utf8_prefix(struct mt_str text)
{
    size_t at = 0;

    while (at < text.len) {
        size_t n = 1; /* a byte and the continuation bytes that may belong to it */
        if ((text.at[at] & 0x80) != 0) {
            while (n < 4 && at + n < text.len && (text.at[at + n] & 0xC0) == 0x80)
                n++;
            if (!mt_str_is_utf8((struct mt_str){text.at + at, n}))
                return at;
        }
        at += n;
    }
    return at;
}
