/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants: depth_ <= MT_JW_DEPTH_MAX; level 0 is the text itself and takes one value; bits
 * of levels deeper than depth_ mean nothing. */
#include "wire/json_writer.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "json_priv.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

static uint64_t level_bit(const struct mt_jw *w)
{
    return (uint64_t)1 << w->depth_;
}

/* Is there a quote, a backslash or a control character among eight bytes? */
static bool has_special(const char *at)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t bytes;

    memcpy(&bytes, at, sizeof bytes);
    uint64_t quote = bytes ^ (ones * '"');
    uint64_t backslash = bytes ^ (ones * '\\');
    uint64_t found = (bytes - ones * ' ') & ~bytes; /* below space */

    found |= ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash); /* zero bytes */
    return (found & (ones * 0x80)) != 0;
}

/* Bytes in front of the first one to escape. */
static size_t plain_prefix(struct mt_str text)
{
    size_t at = 0;

    while (at + sizeof(uint64_t) <= text.len && !has_special(text.at + at))
        at += sizeof(uint64_t);
    while (at < text.len && (unsigned char)text.at[at] >= ' ' && text.at[at] != '"' &&
           text.at[at] != '\\')
        at++;
    return at;
}

static void escape_one(struct mt_buf *buf, char c)
{
    static const char letters[' '] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

    if (c == '"' || c == '\\')
        mt_buf_add(buf, (struct mt_str){(char[]){'\\', c}, 2});
    else if (letters[(unsigned char)c] != '\0')
        mt_buf_add(buf, (struct mt_str){(char[]){'\\', letters[(unsigned char)c]}, 2});
    else
        mt_buf_addf(buf, "\\u%04x", (unsigned)c);
}

static void escape_utf8(struct mt_buf *buf, struct mt_str text)
{
    while (text.len > 0) {
        size_t plain = plain_prefix(text);
        mt_buf_add(buf, mt_str_sub(text, 0, plain));
        if (plain < text.len)
            escape_one(buf, text.at[plain++]);
        text = mt_str_sub(text, plain, text.len);
    }
}

void mt_json_escape(struct mt_buf *buf, struct mt_str text)
{
    if (mt_wire__is_utf8(text)) {
        escape_utf8(buf, text);
        return;
    }
    while (text.len > 0) {
        size_t good = mt_wire__utf8_prefix(text);
        escape_utf8(buf, mt_str_sub(text, 0, good));
        if (good < text.len) {
            mt_buf_add_cstr(buf, replacement);
            good++;
        }
        text = mt_str_sub(text, good, text.len);
    }
}

void mt_jw_begin(struct mt_jw *w, struct mt_buf *buf)
{
    *w = (struct mt_jw){.buf = buf};
}

/* A comma, unless it is the first item of its level. */
static void separate(struct mt_jw *w)
{
    if ((w->has_items_ & level_bit(w)) != 0)
        mt_buf_add_char(w->buf, ',');
    w->has_items_ |= level_bit(w);
}

/* What stands in front of every value. */
static void begin_value(struct mt_jw *w)
{
    bool in_object = (w->is_object_ & level_bit(w)) != 0;

    MT_ASSERT(in_object == w->after_key_);
    MT_ASSERT(w->depth_ > 0 || w->has_items_ == 0);
    if (!w->after_key_)
        separate(w);
    w->after_key_ = false;
}

static void open_level(struct mt_jw *w, char bracket)
{
    begin_value(w);
    MT_ASSERT(w->depth_ < MT_JW_DEPTH_MAX);
    mt_buf_add_char(w->buf, bracket);
    w->depth_++;
    w->has_items_ &= ~level_bit(w);
    w->is_object_ &= ~level_bit(w);
}

void mt_jw_object(struct mt_jw *w)
{
    open_level(w, '{');
    w->is_object_ |= level_bit(w);
}

void mt_jw_array(struct mt_jw *w)
{
    open_level(w, '[');
}

void mt_jw_end(struct mt_jw *w)
{
    MT_ASSERT(w->depth_ > 0 && !w->after_key_);
    mt_buf_add_char(w->buf, (w->is_object_ & level_bit(w)) != 0 ? '}' : ']');
    w->depth_--;
}

static void begin_key(struct mt_jw *w)
{
    MT_ASSERT((w->is_object_ & level_bit(w)) != 0 && !w->after_key_);
    separate(w);
    w->after_key_ = true;
}

void mt_jw_key(struct mt_jw *w, const char *key)
{
    struct mt_str text = mt_str_of(key);

    MT_DEBUG_ASSERT(plain_prefix(text) == text.len);
    begin_key(w);
    mt_buf_add_char(w->buf, '"');
    mt_buf_add(w->buf, text);
    mt_buf_add(w->buf, MT_STR("\":"));
}

void mt_jw_key_str(struct mt_jw *w, struct mt_str key)
{
    begin_key(w);
    mt_buf_add_char(w->buf, '"');
    mt_json_escape(w->buf, key);
    mt_buf_add(w->buf, MT_STR("\":"));
}

void mt_jw_str(struct mt_jw *w, struct mt_str text)
{
    begin_value(w);
    mt_buf_add_char(w->buf, '"');
    mt_json_escape(w->buf, text);
    mt_buf_add_char(w->buf, '"');
}

void mt_jw_cstr(struct mt_jw *w, const char *text)
{
    if (text == NULL)
        mt_jw_null(w);
    else
        mt_jw_str(w, mt_str_of(text));
}

void mt_jw_i64(struct mt_jw *w, int64_t value)
{
    begin_value(w);
    mt_buf_add_i64(w->buf, value);
}

void mt_jw_f64(struct mt_jw *w, double value)
{
    const double exact_max = 9007199254740992.0; /* 2^53: integers below are written as such */
    char digits[MT_WIRE__DOUBLE_MAX];

    if (!isfinite(value)) {
        mt_jw_null(w);
    } else if (fabs(value) < exact_max && trunc(value) == value) {
        mt_jw_i64(w, (int64_t)value);
    } else {
        begin_value(w);
        mt_buf_add(w->buf, (struct mt_str){digits, mt_wire__double_write(value, digits)});
    }
}

void mt_jw_f32(struct mt_jw *w, float value)
{
    char digits[MT_WIRE__DOUBLE_MAX];

    if (!isfinite(value)) {
        mt_jw_null(w);
        return;
    }
    begin_value(w);
    mt_buf_add(w->buf, (struct mt_str){digits, mt_wire__float_write(value, digits)});
}

void mt_jw_bool(struct mt_jw *w, bool value)
{
    begin_value(w);
    mt_buf_add_cstr(w->buf, value ? "true" : "false");
}

void mt_jw_null(struct mt_jw *w)
{
    begin_value(w);
    mt_buf_add(w->buf, MT_STR("null"));
}

void mt_jw_raw(struct mt_jw *w, struct mt_str json)
{
    begin_value(w);
    mt_buf_add(w->buf, json.len > 0 ? json : MT_STR("null"));
}

void mt_jw_kstr(struct mt_jw *w, const char *key, struct mt_str text)
{
    mt_jw_key(w, key);
    mt_jw_str(w, text);
}

void mt_jw_kcstr(struct mt_jw *w, const char *key, const char *text)
{
    mt_jw_key(w, key);
    mt_jw_cstr(w, text);
}

void mt_jw_ki64(struct mt_jw *w, const char *key, int64_t value)
{
    mt_jw_key(w, key);
    mt_jw_i64(w, value);
}

void mt_jw_kf64(struct mt_jw *w, const char *key, double value)
{
    mt_jw_key(w, key);
    mt_jw_f64(w, value);
}

void mt_jw_kbool(struct mt_jw *w, const char *key, bool value)
{
    mt_jw_key(w, key);
    mt_jw_bool(w, value);
}

void mt_jw_kraw(struct mt_jw *w, const char *key, struct mt_str json)
{
    mt_jw_key(w, key);
    mt_jw_raw(w, json);
}
