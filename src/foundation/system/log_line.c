/* SPDX-License-Identifier: Apache-2.0 */
/* Every field is written whole or, when a text is long, cut with "..." inside its quotes; TAIL
 * bytes are kept free for what closes a field and the line. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log_priv.h"

enum { TAIL = 16, NUMBER_MAX = 32 };

static size_t room(const struct mt_log_line *line)
{
    size_t end = sizeof line->at - TAIL;

    return line->len < end ? end - line->len : 0;
}

static void put(struct mt_log_line *line, const char *text, size_t n)
{
    memcpy(line->at + line->len, text, n);
    line->len += n;
}

static void put_cstr(struct mt_log_line *line, const char *text)
{
    put(line, text, strlen(text));
}

static const char *short_escape(char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

/* Escape as in JSON, which suits logfmt as well; a byte that is not printable ASCII and no part
 * of UTF-8 becomes U+FFFD, so a line is always valid UTF-8. Returns the bytes of text it took.
 */
static size_t escape_one(struct mt_str text, char out[8], size_t *out_n)
{
    unsigned char c = (unsigned char)text.at[0];
    const char *short_form = short_escape(text.at[0]);

    if (short_form != NULL) {
        *out_n = 2;
        memcpy(out, short_form, 2);
        return 1;
    }
    if (c < 0x20 || c == 0x7f) {
        *out_n = (size_t)snprintf(out, 8, "\\u%04x", c);
        return 1;
    }
    for (size_t n = 1; n <= 4 && n <= text.len; n++) {
        if (mt_str_is_utf8((struct mt_str){text.at, n})) {
            memcpy(out, text.at, n);
            *out_n = n;
            return n;
        }
    }
    *out_n = 3;
    memcpy(out, "\xef\xbf\xbd", 3);
    return 1;
}

static void put_quoted(struct mt_log_line *line, struct mt_str text)
{
    put(line, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        char part[8];
        size_t part_n;
        size_t taken = escape_one(mt_str_sub(text, i, text.len), part, &part_n);
        if (room(line) < part_n) {
            put(line, "...", 3); /* from the tail's bytes */
            break;
        }
        put(line, part, part_n);
        i += taken;
    }
    put(line, "\"", 1);
}

static bool is_bare(struct mt_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return text.len > 0 && text.len < 200;
}

static void put_number(struct mt_log_line *line, const struct mt_log_field *field)
{
    char text[NUMBER_MAX];

    if (field->kind == MT_LOG_KIND_F64 && field->f64 - field->f64 != 0) /* not finite */
        snprintf(text, sizeof text, "null");
    else if (field->kind == MT_LOG_KIND_F64)
        snprintf(text, sizeof text, "%.9g", field->f64);
    else
        snprintf(text, sizeof text, "%lld", (long long)field->i64);
    put_cstr(line, text);
}

void mt_log__field(struct mt_log_line *line, const struct mt_log_field *field)
{
    size_t name_len = strlen(field->name);
    bool is_json = line->format == MT_LOG_JSON;

    if (room(line) < name_len + 8 + NUMBER_MAX ||
        (!is_json && is_bare(field->str) && room(line) < name_len + 8 + field->str.len))
        return; /* the line is full */
    put_cstr(line, is_json ? ",\"" : " ");
    put(line, field->name, name_len);
    put_cstr(line, is_json ? "\":" : "=");
    switch (field->kind) {
    case MT_LOG_KIND_STR:
        if (!is_json && is_bare(field->str))
            put(line, field->str.at, field->str.len);
        else
            put_quoted(line, field->str);
        return;
    case MT_LOG_KIND_BOOL:
        put_cstr(line, field->i64 != 0 ? "true" : "false");
        return;
    case MT_LOG_KIND_I64:
    case MT_LOG_KIND_F64:
        put_number(line, field);
        return;
    }
}

void mt_log__begin(struct mt_log_line *line, enum mt_log_format format, int64_t wall_ms,
                   enum mt_log_level level, const char *module, const char *event)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    char stamp[40] = "-";

    if (gmtime_r(&seconds, &utc) != NULL) {
        size_t n = strftime(stamp, sizeof stamp - 8, "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(stamp + n, sizeof stamp - n, ".%03dZ", (int)(wall_ms % 1000));
    }
    line->format = format;
    snprintf(line->at, sizeof line->at / 2,
             format == MT_LOG_JSON
                 ? "{\"ts\":\"%s\",\"level\":\"%s\",\"module\":\"%s\",\"event\":\"%s\""
                 : "%s %s %s %s",
             stamp, mt_log_level_name(level), module, event);
    line->len = strnlen(line->at, sizeof line->at / 2);
}

void mt_log__end(struct mt_log_line *line)
{
    put_cstr(line, line->format == MT_LOG_JSON ? "}\n" : "\n");
}
