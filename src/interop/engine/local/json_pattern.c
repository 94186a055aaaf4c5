/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions and integer ranges as GBNF, for strings and numbers of a JSON schema.
 *
 * Patterns: literals, ., classes, \d \w \s and escapes, groups, |, ? * + {m,n}, anchors at both
 * ends (a missing one lets text stand there, bounded). The characters stand inside a JSON
 * string, so those that need an escape there are refused or left out of classes. Pure. */
#include <string.h>

#include "json_grammar.h"

enum { GROUPS_MAX = 16, FREE_MAX = 16 };

struct pattern {
    const char *at, *end;
    struct mt_buf *out;
    unsigned depth;
    bool is_wrong;
};

static void fail(struct pattern *p)
{
    p->is_wrong = true;
    p->at = p->end;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* A character of a GBNF literal or class. */
static void add_char(struct pattern *p, char c)
{
    unsigned char byte = (unsigned char)c;

    if (c == '"' || c == '\\' || byte < 0x20) {
        fail(p); /* would need an escape in the JSON string */
        return;
    }
    if (is_one_of(c, "[]^-"))
        mt_buf_addf(p->out, "\\x%02X", (unsigned)byte);
    else
        mt_buf_add_char(p->out, c);
}

static const char *class_of_escape(char c)
{
    switch (c) {
    case 'd':
        return "0-9";
    case 'w':
        return "a-zA-Z0-9_";
    case 's':
        return " ";
    default:
        return NULL;
    }
}

static void add_escape(struct pattern *p, bool in_class)
{
    const char *class = class_of_escape(*p->at);

    if (class != NULL)
        mt_buf_addf(p->out, in_class ? "%s" : "[%s]", class);
    else if (is_one_of(*p->at, ".-+*?()[]{}|^$/ :@#%&=,_~!")) {
        mt_buf_add_cstr(p->out, in_class ? "" : "[");
        add_char(p, *p->at);
        mt_buf_add_cstr(p->out, in_class ? "" : "]");
    } else
        fail(p);
    p->at++;
}

static void add_class(struct pattern *p)
{
    bool is_first = true;

    mt_buf_add_char(p->out, '[');
    if (p->at < p->end && *p->at == '^') {
        mt_buf_add_cstr(p->out, "^\"\\\\\\x00-\\x1F");
        p->at++;
    }
    for (; p->at < p->end && (*p->at != ']' || is_first); is_first = false) {
        char c = *p->at++;
        bool is_range = c == '-' && !is_first && p->at < p->end && *p->at != ']';
        if (c == '\\' && p->at < p->end)
            add_escape(p, true);
        else if (is_range)
            mt_buf_add_char(p->out, '-');
        else
            add_char(p, c);
    }
    if (p->at >= p->end) {
        fail(p);
        return;
    }
    p->at++;
    mt_buf_add_char(p->out, ']');
}

static bool take_number(struct pattern *p, unsigned *out)
{
    const char *begin = p->at;

    *out = 0;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9' && *out <= MT_GRAMMAR_REPEAT_MAX)
        *out = *out * 10 + (unsigned)(*p->at++ - '0');
    return p->at > begin && *out <= MT_GRAMMAR_REPEAT_MAX;
}

static void add_braces(struct pattern *p)
{
    unsigned min = 0;
    unsigned max = 0;

    if (!take_number(p, &min)) {
        fail(p);
        return;
    }
    mt_buf_addf(p->out, "{%u", min);
    if (p->at < p->end && *p->at == ',') {
        p->at++;
        mt_buf_add_char(p->out, ',');
        if (take_number(p, &max))
            mt_buf_addf(p->out, "%u", max);
    }
    if (p->at >= p->end || *p->at != '}' || (max > 0 && max < min)) {
        fail(p);
        return;
    }
    p->at++;
    mt_buf_add_char(p->out, '}');
}

static void add_quantifier(struct pattern *p)
{
    if (p->at >= p->end)
        return;
    if (*p->at == '{') {
        p->at++;
        add_braces(p);
    } else if (is_one_of(*p->at, "?*+")) {
        mt_buf_add_char(p->out, *p->at++);
    } else {
        return;
    }
    if (p->at < p->end && is_one_of(*p->at, "?+*{"))
        fail(p); /* lazy and possessive ones */
}

static void add_alternatives(struct pattern *p);

static void add_group(struct pattern *p)
{
    if (p->end - p->at >= 2 && p->at[0] == '?' && p->at[1] == ':')
        p->at += 2;
    else if (p->at < p->end && *p->at == '?')
        fail(p); /* looking around, names */
    if (++p->depth > GROUPS_MAX)
        fail(p);
    mt_buf_add_char(p->out, '(');
    add_alternatives(p);
    if (p->at >= p->end) {
        fail(p);
        return;
    }
    p->at++;
    p->depth--;
    mt_buf_add_char(p->out, ')');
}

static void add_atom(struct pattern *p)
{
    char c = *p->at++;

    mt_buf_add_char(p->out, ' ');
    if (c == '(')
        add_group(p);
    else if (c == '[')
        add_class(p);
    else if (c == '.')
        mt_buf_add_cstr(p->out, "[^\"\\\\\\x00-\\x1F]");
    else if (c == '\\' && p->at < p->end)
        add_escape(p, false);
    else if (is_one_of(c, "^$*+?{}\\])") || (unsigned char)c >= 0x80)
        fail(p);
    else {
        mt_buf_add_char(p->out, '[');
        add_char(p, c);
        mt_buf_add_char(p->out, ']');
    }
    add_quantifier(p);
}

/* Up to the closing bracket of the group, which is left, or the end. */
static void add_alternatives(struct pattern *p)
{
    bool is_empty = true;

    while (p->at < p->end && *p->at != ')') {
        if (*p->at == '|') {
            if (is_empty)
                mt_buf_add_cstr(p->out, " \"\"");
            mt_buf_add_cstr(p->out, " |");
            p->at++;
            is_empty = true;
        } else {
            add_atom(p);
            is_empty = false;
        }
    }
    if (is_empty)
        mt_buf_add_cstr(p->out, " \"\"");
}

static bool ends_with_anchor(struct mt_str pattern)
{
    if (pattern.len == 0 || pattern.at[pattern.len - 1] != '$')
        return false;
    return pattern.len < 2 || pattern.at[pattern.len - 2] != '\\';
}

bool mt_grammar__pattern(struct mt_str pattern, struct mt_buf *out)
{
    bool is_left = mt_str_starts(pattern, MT_STR("^"));
    bool is_right = ends_with_anchor(pattern);
    size_t was = out->len;
    struct pattern p = {
        .at = pattern.at + is_left, .end = pattern.at + pattern.len - is_right, .out = out};

    if (p.at > p.end)
        return false;
    if (!is_left)
        mt_buf_addf(out, "[^\"\\\\\\x00-\\x1F]{0,%d} ", FREE_MAX);
    mt_buf_add_char(out, '(');
    add_alternatives(&p);
    mt_buf_add_char(out, ')');
    if (!is_right)
        mt_buf_addf(out, " [^\"\\\\\\x00-\\x1F]{0,%d}", FREE_MAX);
    if (!p.is_wrong && p.at == p.end)
        return true;
    if (out->rc == MT_OK)
        mt_buf_cut(out, was);
    return false;
}

/* --- integer ranges --- */

enum { DIGITS_MAX = 20 };

static void add_digits(struct mt_buf *out, unsigned n)
{
    if (n > 0)
        mt_buf_addf(out, " [0-9]{%u}", n);
}

/* Numbers from a to b, both of n digits, as alternatives. */
static void add_same_length(const char *a, const char *b, unsigned n, struct mt_buf *out)
{
    if (n == 0) {
        mt_buf_add_cstr(out, " \"\"");
        return;
    }
    if (a[0] == b[0]) {
        mt_buf_addf(out, " [%c] (", a[0]);
        add_same_length(a + 1, b + 1, n - 1, out);
        mt_buf_add_char(out, ')');
        return;
    }
    char low = a[0];
    char high = b[0];
    const char *nines = "99999999999999999999";
    const char *zeros = "00000000000000000000";

    if (memcmp(a + 1, zeros, n - 1) != 0) {
        mt_buf_addf(out, " [%c] (", low++);
        add_same_length(a + 1, nines, n - 1, out);
        mt_buf_add_cstr(out, low <= high ? ") |" : ")");
    }
    bool is_ragged = memcmp(b + 1, nines, n - 1) != 0;
    char last = is_ragged ? (char)(high - 1) : high;
    if (low <= last) {
        mt_buf_addf(out, " [%c-%c]", low, last);
        add_digits(out, n - 1);
        mt_buf_add_cstr(out, is_ragged ? " |" : "");
    }
    if (is_ragged) {
        mt_buf_addf(out, " [%c] (", high);
        add_same_length(zeros, b + 1, n - 1, out);
        mt_buf_add_char(out, ')');
    }
}

static void digits_of(uint64_t value, char out[DIGITS_MAX + 1], unsigned *n)
{
    *n = 0;
    for (uint64_t rest = value; rest > 0 || *n == 0; rest /= 10)
        (*n)++;
    for (unsigned i = *n; i > 0; i--, value /= 10)
        out[i - 1] = (char)('0' + value % 10);
    out[*n] = '\0';
}

static void add_unsigned(uint64_t min, uint64_t max, struct mt_buf *out)
{
    char a[DIGITS_MAX + 1];
    char b[DIGITS_MAX + 1];
    unsigned a_n;
    unsigned b_n;

    for (;;) {
        digits_of(min, a, &a_n);
        digits_of(max, b, &b_n);
        if (a_n == b_n)
            break;
        uint64_t top = 9;
        for (unsigned i = 1; i < a_n; i++)
            top = top * 10 + 9;
        char nines[DIGITS_MAX + 1];
        unsigned n;
        digits_of(top, nines, &n);
        add_same_length(a, nines, a_n, out);
        mt_buf_add_cstr(out, " |");
        min = top + 1;
    }
    add_same_length(a, b, a_n, out);
}

void mt_grammar__range(int64_t min, int64_t max, struct mt_buf *out)
{
    mt_buf_add_char(out, '(');
    if (min < 0) {
        int64_t top = max < 0 ? max : -1;
        mt_buf_add_cstr(out, " [-] (");
        add_unsigned((uint64_t)-top, (uint64_t) - (min + 1) + 1, out);
        mt_buf_add_char(out, ')');
    }
    if (max >= 0) {
        mt_buf_add_cstr(out, min < 0 ? " |" : "");
        add_unsigned(min < 0 ? 0 : (uint64_t)min, (uint64_t)max, out);
    }
    mt_buf_add_cstr(out, " )");
}
