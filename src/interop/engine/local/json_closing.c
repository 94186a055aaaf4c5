/* SPDX-License-Identifier: Apache-2.0 */
#include "json_closing.h"

#include <string.h>

#include "base/err.h"

static void feed_one(struct mt_closing *c, char byte)
{
    if (c->is_escaped) {
        c->is_escaped = false;
    } else if (c->in_string) {
        c->in_string = byte != '"';
        c->is_escaped = byte == '\\';
    } else if (byte == '"') {
        c->in_string = true;
    } else if (byte == '{' || byte == '[') {
        c->depth++;
    } else if ((byte == '}' || byte == ']') && c->depth > 0) {
        c->depth--;
    }
}

void mt_closing_feed(struct mt_closing *closing, struct mt_str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        feed_one(closing, bytes.at[i]);
    closing->has_begun = closing->has_begun || bytes.len > 0;
}

unsigned mt_closing_need(const struct mt_closing *closing)
{
    return closing->depth + (closing->in_string ? 1 : 0);
}

/* What may stand where a value ends or begins: the shortest way on first. */
static unsigned rank(char byte)
{
    static const char *const ranks[] = {"}]", ",:", "0123456789", "ntf", "\"", "[", "{", "-"};
    unsigned n = 0;

    while (n < MT_ARRAY_LEN(ranks) && strchr(ranks[n], byte) == NULL)
        n++;
    return n;
}

enum { RANKS = 16 };

unsigned mt_closing_cost(const struct mt_closing *closing, struct mt_str bytes)
{
    struct mt_closing after = *closing;

    mt_closing_feed(&after, bytes);
    bool is_inside = closing->in_string || bytes.len == 0 || bytes.at[0] == '\0';
    return mt_closing_need(&after) * RANKS + (is_inside ? 0 : rank(bytes.at[0]));
}
