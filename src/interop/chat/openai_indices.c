/* SPDX-License-Identifier: Apache-2.0 */
/* Tool deltas whose index is missing, 0 for all, or does not begin at 0, as some endpoints that
 * speak OpenAI's dialect send them: clients take the index for a place in a list. The fast lane
 * puts the right one in and leaves all other bytes alone. Calls are told apart by their ids; a
 * delta without one belongs to the newest call of its index, or without an index to the newest.
 *
 * Only the first choice is looked after, and MT_METER_CALLS_MAX calls of it. */
#include <stdio.h>

#include "chat/splice.h"
#include "openai_priv.h"

enum { NO_INDEX = -1, DIGITS_MAX = 24, FRAME_MORE = 4096 };

static int64_t given_index(const struct mt_json *call)
{
    int64_t index;

    return mt_json_i64(mt_json_get(call, "index"), 0, INT32_MAX, &index) ? index : NO_INDEX;
}

/* The call of the list that a delta belongs to; a new id begins a call. NO_INDEX: no such. */
static int64_t place_of(struct mt_chat_meter *meter, const struct mt_json *call, int64_t given)
{
    struct mt_str id = mt_json_raw(mt_json_get(call, "id"));
    bool has_id = id.len > 2 && id.at[0] == '"';
    uint64_t hash = has_id ? mt_str_hash(id, 0) : 0;

    for (unsigned i = meter->calls_n; i-- > 0;) {
        const struct mt_meter_call *seen = &meter->calls[i];
        if (has_id ? seen->id_hash == hash : given == NO_INDEX || seen->given == given)
            return i;
    }
    if (!has_id || meter->calls_n == MT_METER_CALLS_MAX)
        return NO_INDEX;
    meter->calls[meter->calls_n] = (struct mt_meter_call){hash, given};
    return meter->calls_n++;
}

static void add_range(struct mt_buf *out, const char *from, const char *to)
{
    mt_buf_add(out, (struct mt_str){from, (size_t)(to - from)});
}

/* The frame's data with right indices; false when they are right as they are. */
static bool rewrite(struct mt_chat_meter *meter, const struct mt_json *calls,
                    struct mt_str data, struct mt_buf *out)
{
    const char *done = data.at;
    bool is_changed = false;

    for (const struct mt_json *c = mt_json_first(calls); c != NULL; c = mt_json_next(c)) {
        int64_t given = given_index(c);
        int64_t place = place_of(meter, c, given);
        struct mt_str raw = mt_json_raw(c);
        char digits[DIGITS_MAX];

        if (place == NO_INDEX || place == given)
            continue;
        int n = snprintf(digits, sizeof digits, "%lld", (long long)place);
        const struct mt_splice edit = {"index", {digits, (size_t)n}, false};
        add_range(out, done, raw.at);
        mt_splice(c, raw, &edit, 1, out);
        done = raw.at + raw.len;
        is_changed = true;
    }
    add_range(out, done, data.at + data.len);
    return is_changed;
}

bool mt_openai__right_indices(struct mt_chat_meter *meter, struct mt_str data,
                              struct mt_chat_scratch *scratch)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(data.len * 2 + FRAME_MORE);
    const struct mt_json *body;

    if (mt_json_parse(scratch->doc, data, &body, NULL) != MT_OK)
        return false;
    const struct mt_json *choice = mt_json_first(mt_json_get(body, "choices"));
    int64_t number = 0;
    (void)mt_json_i64(mt_json_get(choice, "index"), 0, INT32_MAX, &number);
    const struct mt_json *calls = mt_json_get(mt_json_get(choice, "delta"), "tool_calls");
    if (number != 0 || mt_json_type(calls) != MT_JSON_ARRAY)
        return false;
    mt_buf_add(&out, MT_STR("data: "));
    bool is_changed = rewrite(meter, calls, data, &out);
    mt_buf_add(&out, MT_STR("\n\n"));
    if (!is_changed || out.rc != MT_OK)
        return false;
    meter->replacement = mt_arena_str(scratch->arena, mt_buf_str(&out));
    return meter->replacement.len > 0;
}
