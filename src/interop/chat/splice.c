/* SPDX-License-Identifier: Apache-2.0 */
/* The members that stay are copied in runs as long as possible, so a body with one edit costs
 * about one copy. Between two members stands exactly one comma, whatever white space is there;
 * a member brings the separator in front of it along unless it has become the first. */
#include "chat/splice.h"

#include "base/assert.h"

enum { EDITS_MAX = 16 };

struct run {
    const char *from;
    const char *to;
    struct mt_buf *out;
};

static void flush(struct run *run)
{
    mt_buf_add(run->out, (struct mt_str){run->from, (size_t)(run->to - run->from)});
    run->from = run->to;
}

static void copy(struct run *run, const char *from, const char *to)
{
    if (run->to != from) {
        flush(run);
        run->from = from;
    }
    run->to = to;
}

static const struct mt_splice *find_edit(const struct mt_splice *edits, size_t n,
                                         const struct mt_json *member)
{
    for (size_t i = 0; i < n; i++) {
        if (mt_json_key_is(member, edits[i].key))
            return &edits[i];
    }
    return NULL;
}

static const char *end_of(const struct mt_json *value)
{
    struct mt_str raw = mt_json_raw(value);

    return raw.at + raw.len;
}

/* One member: kept, replaced or left out. */
static bool put(struct run *run, const struct mt_json *member, const struct mt_splice *edit,
                const char *from, bool is_done)
{
    if (edit == NULL) {
        copy(run, from, end_of(member));
        return true;
    }
    if (edit->raw.len == 0 || is_done)
        return false;
    copy(run, from, mt_json_raw(member).at);
    flush(run);
    mt_buf_add(run->out, edit->raw);
    run->from = run->to = end_of(member);
    return true;
}

void mt_splice(const struct mt_json *object, struct mt_str text, const struct mt_splice *edits,
               size_t edits_n, struct mt_buf *out)
{
    struct mt_str raw = mt_json_raw(object);
    struct run run = {raw.at, raw.at + 1, out};
    const char *before = raw.at + 1; /* end of the member in front, or of the brace */
    unsigned done = 0;               /* edits whose member has been met */
    bool has_members = false;

    MT_ASSERT(mt_json_type(object) == MT_JSON_OBJECT && edits_n <= EDITS_MAX);
    MT_ASSERT(raw.at >= text.at && raw.at + raw.len <= text.at + text.len);
    for (const struct mt_json *member = mt_json_first(object); member != NULL;
         member = mt_json_next(member)) {
        const struct mt_splice *edit = find_edit(edits, edits_n, member);
        unsigned bit = edit != NULL ? 1u << (edit - edits) : 0;
        bool is_first = before == raw.at + 1;
        const char *from = has_members || is_first ? before : mt_json_key(member).at - 1;

        if (put(&run, member, edit, from, (done & bit) != 0))
            has_members = true;
        done |= bit;
        before = end_of(member);
    }
    flush(&run);
    for (size_t i = 0; i < edits_n; i++) {
        if ((done & (1u << i)) != 0 || edits[i].only_replace || edits[i].raw.len == 0)
            continue;
        mt_buf_add_cstr(out, has_members ? ",\"" : "\"");
        mt_buf_add_cstr(out, edits[i].key);
        mt_buf_add_cstr(out, "\":");
        mt_buf_add(out, edits[i].raw);
        has_members = true;
    }
    mt_buf_add(out, (struct mt_str){before, (size_t)(raw.at + raw.len - before)});
}
