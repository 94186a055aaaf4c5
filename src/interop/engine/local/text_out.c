/* SPDX-License-Identifier: Apache-2.0 */
#include "text_out.h"

#include <string.h>

#include "base/assert.h"

enum { HELD_MAX = 1 << 20 };

static const struct mt_str replacement = MT_STR_INIT("\xEF\xBF\xBD");

/* Bytes of the character that text begins with; 0: none is valid there. */
static size_t char_bytes(struct mt_str text)
{
    for (size_t n = 1; n <= 4 && n <= text.len; n++)
        if (mt_str_is_utf8(mt_str_sub(text, 0, n)))
            return n;
    return 0;
}

static struct mt_str cleaned(struct mt_text_out *out, struct mt_str text)
{
    if (mt_str_is_utf8(text))
        return text;
    mt_buf_clear(&out->clean_);
    while (text.len > 0) {
        size_t n = char_bytes(text);
        mt_buf_add(&out->clean_, n > 0 ? mt_str_sub(text, 0, n) : replacement);
        text = mt_str_sub(text, n > 0 ? n : 1, text.len);
    }
    return mt_buf_str(&out->clean_);
}

/* Give the first n held bytes away; as text or (is_shown = false) into nothing. */
static void settle(struct mt_text_out *out, size_t n, bool is_shown)
{
    struct mt_str text = mt_str_sub(mt_buf_str(&out->held_), 0, n);

    if (n == 0)
        return;
    out->settled_ += n;
    if (is_shown)
        out->fn(out->ctx, out->state == MT_TEXT_THINKING, cleaned(out, text), out->settled_);
    mt_buf_consume(&out->held_, n);
}

/* Length of the longest end of text that begins pattern without being all of it. */
static size_t partial(struct mt_str text, struct mt_str pattern)
{
    size_t most = pattern.len > 0 ? pattern.len - 1 : 0;

    for (size_t n = text.len < most ? text.len : most; n > 0; n--)
        if (memcmp(text.at + text.len - n, pattern.at, n) == 0)
            return n;
    return 0;
}

static size_t blank_bytes(struct mt_str text)
{
    size_t n = 0;
    while (n < text.len && strchr(" \t\r\n", text.at[n]) != NULL && text.at[n] != '\0')
        n++;
    return n;
}

/* Each step: true when the state changed and the rest is to be looked at again. */
static bool step_begin(struct mt_text_out *out, bool is_end)
{
    struct mt_str text = mt_buf_str(&out->held_);
    size_t blank = blank_bytes(text);
    struct mt_str rest = mt_str_sub(text, blank, text.len);

    if (out->think_start.len > 0 && mt_str_starts(rest, out->think_start)) {
        settle(out, blank + out->think_start.len, false);
        out->state = MT_TEXT_THINKING;
        return true;
    }
    if (out->think_start.len > 0 && !is_end && mt_str_starts(out->think_start, rest))
        return false; /* it may still become one */
    out->state = MT_TEXT_ANSWER;
    return true;
}

static bool step_thinking(struct mt_text_out *out, bool is_end)
{
    struct mt_str text = mt_buf_str(&out->held_);
    size_t at = mt_str_find(text, out->think_end);

    if (out->think_end.len > 0 && at < text.len) {
        settle(out, at, true);
        settle(out, out->think_end.len, false);
        out->state = MT_TEXT_AFTER;
        return true;
    }
    size_t n = is_end ? text.len : text.len - partial(text, out->think_end);
    settle(out, is_end ? n : mt_str_utf8_whole(mt_str_sub(text, 0, n)), true);
    return false;
}

static bool step_after(struct mt_text_out *out)
{
    struct mt_str text = mt_buf_str(&out->held_);
    size_t blank = blank_bytes(text);

    settle(out, blank, false);
    if (blank < text.len)
        out->state = MT_TEXT_ANSWER;
    return blank < text.len;
}

static bool step_answer(struct mt_text_out *out, bool is_end)
{
    struct mt_str text = mt_buf_str(&out->held_);
    size_t first = text.len;
    size_t hold = 0;

    for (size_t i = 0; i < out->stops_n; i++) {
        size_t at = mt_str_find(text, out->stops[i]);
        if (at < first) {
            first = at;
            out->stopped_by = out->stops[i];
        }
        size_t n = partial(text, out->stops[i]);
        hold = n > hold ? n : hold;
    }
    if (out->stopped_by.at != NULL || is_end) {
        settle(out, first, true);
        return false;
    }
    settle(out, mt_str_utf8_whole(mt_str_sub(text, 0, text.len - hold)), true);
    return false;
}

static void run(struct mt_text_out *out, bool is_end)
{
    bool again = true;

    while (again) {
        switch (out->state) {
        case MT_TEXT_BEGIN:
            again = step_begin(out, is_end);
            break;
        case MT_TEXT_THINKING:
            again = step_thinking(out, is_end);
            break;
        case MT_TEXT_AFTER:
            again = step_after(out);
            break;
        case MT_TEXT_ANSWER:
            again = step_answer(out, is_end);
            break;
        }
    }
}

void mt_text_out_init(struct mt_text_out *out)
{
    mt_buf_init(&out->held_, HELD_MAX);
    mt_buf_init(&out->clean_, 3 * (size_t)HELD_MAX);
    if (out->state == MT_TEXT_BEGIN && out->think_start.len == 0)
        out->state = MT_TEXT_ANSWER;
}

void mt_text_out_fini(struct mt_text_out *out)
{
    mt_buf_fini(&out->held_);
    mt_buf_fini(&out->clean_);
}

mt_rc mt_text_out_feed(struct mt_text_out *out, struct mt_str bytes, struct mt_err *err)
{
    if (out->stopped_by.at != NULL)
        return MT_OK;
    mt_buf_add(&out->held_, bytes);
    MT_TRY(mt_buf_check(&out->held_, "text of an answer", err));
    run(out, false);
    return mt_buf_check(&out->clean_, "text of an answer", err);
}

mt_rc mt_text_out_finish(struct mt_text_out *out, struct mt_err *err)
{
    if (out->stopped_by.at == NULL)
        run(out, true);
    return mt_buf_check(&out->clean_, "text of an answer", err);
}

bool mt_text_out_is_empty(const struct mt_text_out *out)
{
    return out->held_.len == 0;
}

/* --- tool calls --- */

static const struct mt_str call_head = MT_STR_INIT("{\"name\":\"");
static const struct mt_str call_middle = MT_STR_INIT(",\"arguments\":");

void mt_call_out_init(struct mt_call_out *out, mt_call_fn *fn, void *ctx)
{
    *out = (struct mt_call_out){.fn = fn, .ctx = ctx};
    mt_buf_init(&out->name_, 4096);
}

void mt_call_out_fini(struct mt_call_out *out)
{
    mt_buf_fini(&out->name_);
}

static void end_name(struct mt_call_out *out)
{
    out->fn(out->ctx, MT_CALL_NAME, out->calls_n++, mt_buf_str(&out->name_));
    mt_buf_clear(&out->name_);
    out->state_ = CALL_MIDDLE;
    out->matched_ = 0;
}

/* One character of the arguments. @return is it their last? */
static bool ends_args(struct mt_call_out *out, char c)
{
    if (out->in_string_) {
        bool ends = c == '"' && !out->is_escaped_;
        out->is_escaped_ = c == '\\' && !out->is_escaped_;
        out->in_string_ = !ends;
        return false;
    }
    out->in_string_ = c == '"';
    out->depth_ += c == '{' || c == '[';
    if (c != '}' && c != ']')
        return false;
    if (out->depth_ > 0)
        out->depth_--;
    return out->depth_ == 0;
}

/* Pass over a fixed text. @return is it complete? Its bytes are what the grammar allows. */
static bool matches(struct mt_call_out *out, struct mt_str text)
{
    if (++out->matched_ < text.len)
        return false;
    out->matched_ = 0;
    return true;
}

static void add(struct mt_call_out *out, char c, size_t at, size_t *args_from,
                struct mt_str all)
{
    switch (out->state_) {
    case CALL_HEAD:
        if (matches(out, call_head))
            out->state_ = CALL_NAME;
        break;
    case CALL_NAME:
        if (c == '"' && !out->is_escaped_)
            end_name(out);
        else if (c != '\\' || out->is_escaped_)
            mt_buf_add_char(&out->name_, c);
        out->is_escaped_ = c == '\\' && !out->is_escaped_;
        break;
    case CALL_MIDDLE:
        if (matches(out, call_middle)) {
            out->state_ = CALL_ARGS;
            *args_from = at + 1;
        }
        break;
    case CALL_ARGS:
        if (ends_args(out, c)) {
            out->fn(out->ctx, MT_CALL_ARGS, out->calls_n - 1,
                    mt_str_sub(all, *args_from, at + 1));
            out->state_ = CALL_TAIL;
        }
        break;
    case CALL_TAIL: /* the closing brace, and a line break when another call follows */
        if (c == '\n')
            out->state_ = CALL_HEAD;
        break;
    }
}

mt_rc mt_call_out_feed(struct mt_call_out *out, struct mt_str bytes, struct mt_err *err)
{
    size_t args_from = 0;

    for (size_t i = 0; i < bytes.len; i++)
        add(out, bytes.at[i], i, &args_from, bytes);
    if (out->state_ == CALL_ARGS && args_from < bytes.len)
        out->fn(out->ctx, MT_CALL_ARGS, out->calls_n - 1,
                mt_str_sub(bytes, args_from, bytes.len));
    return mt_buf_check(&out->name_, "name of a tool", err);
}
