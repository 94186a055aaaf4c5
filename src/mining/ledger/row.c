/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a row, numbers in the byte order of the machine (the journal never leaves it):
 *
 *   0    u16 outcome   u16 texts (12)   u16 numbers (13)   u16 zero
 *   8    13 x i64, in the order of mt_row__numbers
 *   112  12 x u16 lengths, in the order of mt_row__texts
 *   136  the texts, one behind the other
 *
 * A row of the first version has 11 texts, and a zero in place of the length of `parts`.
 */
#include "ledger/row.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "row_priv.h"

enum { NUMBERS_AT = 8, LENGTHS_AT = 112, TEXTS_AT = 136 };
enum { ATTEMPTS = 8, PARTS = 11, TEXTS_BEFORE_PARTS = 11 };

#define TEXT(field, bytes)                                     \
    {                                                          \
#field, offsetof(struct mt_ledger_row, field), (bytes) \
    }
const struct mt_row_text mt_row__texts[MT_ROW_TEXTS] = {
    TEXT(receipt, 26),       TEXT(request_id, 64), TEXT(key, 96),
    TEXT(dialect, 16),       TEXT(kind, 16),       TEXT(model_asked, 128),
    TEXT(model_served, 128), TEXT(endpoint, 96),   TEXT(attempts, 4096),
    TEXT(error, 512),        TEXT(warnings, 512),  TEXT(parts, MT_ROW_PARTS_MAX),
};

#define NUMBER(field)                                 \
    {                                                 \
#field, offsetof(struct mt_ledger_row, field) \
    }
const struct mt_row_number mt_row__numbers[MT_ROW_NUMBERS] = {
    NUMBER(started_at_ms), NUMBER(http_status),   NUMBER(input_n),       NUMBER(output_n),
    NUMBER(cached_n),      NUMBER(cache_write_n), NUMBER(reasoning_n),   NUMBER(own_input_n),
    NUMBER(own_output_n),  NUMBER(estimated),     NUMBER(cost_usd_nano), NUMBER(ttft_us),
    NUMBER(duration_us),
};

static const struct {
    enum mt_outcome outcome;
    const char *name;
} outcomes[] = {
#define X(name, number, text) {MT_OUTCOME_##name, text},
    MT_OUTCOME_MAP(X)
#undef X
};

const char *mt_outcome_name(enum mt_outcome outcome)
{
    MT_ASSERT((size_t)outcome < MT_ARRAY_LEN(outcomes));
    return outcomes[outcome].name;
}

bool mt_row__outcome_of(struct mt_str name, enum mt_outcome *out)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(outcomes); i++) {
        if (mt_str_is(name, outcomes[i].name)) {
            *out = outcomes[i].outcome;
            return true;
        }
    }
    return false;
}

struct mt_str *mt_row__text(struct mt_ledger_row *row, size_t i)
{
    return (struct mt_str *)(void *)((char *)row + mt_row__texts[i].offset);
}

int64_t *mt_row__number(struct mt_ledger_row *row, size_t i)
{
    return (int64_t *)(void *)((char *)row + mt_row__numbers[i].offset);
}

/* The text within its maximum, cut at a character; for attempts "null" instead. */
static struct mt_str fit(const struct mt_ledger_row *row, size_t i)
{
    struct mt_str text;

    memcpy(&text, (const char *)row + mt_row__texts[i].offset, sizeof text);
    if (text.len <= mt_row__texts[i].max)
        return text;
    if (i == ATTEMPTS)
        return MT_STR("null");
    text.len = mt_row__texts[i].max;
    text.len = mt_str_utf8_whole(text);
    return text;
}

size_t mt_row__encode(const struct mt_ledger_row *row, enum mt_row_size size,
                      char out[MT_ROW_BYTES_MAX])
{
    const uint16_t head[4] = {(uint16_t)row->outcome, MT_ROW_TEXTS, MT_ROW_NUMBERS, 0};
    uint16_t lengths[MT_ROW_TEXTS] = {0};
    size_t at = TEXTS_AT;

    memcpy(out, head, sizeof head);
    for (size_t i = 0; i < MT_ROW_NUMBERS; i++)
        memcpy(out + NUMBERS_AT + i * sizeof(int64_t),
               (const char *)row + mt_row__numbers[i].offset, sizeof(int64_t));
    for (size_t i = 0; i < MT_ROW_TEXTS; i++) {
        struct mt_str text = fit(row, i);
        if (text.len == 0 || (size == MT_ROW_TRIMMED && i >= ATTEMPTS && i != PARTS))
            continue;
        memcpy(out + at, text.at, text.len);
        at += text.len;
        lengths[i] = (uint16_t)text.len;
    }
    memcpy(out + LENGTHS_AT, lengths, sizeof lengths);
    MT_ASSERT(at <= (size == MT_ROW_TRIMMED ? MT_ROW_TRIMMED_MAX : MT_ROW_BYTES_MAX));
    return at;
}

static bool decode_texts(struct mt_str bytes, const uint16_t *lengths,
                         struct mt_ledger_row *out)
{
    size_t at = TEXTS_AT;

    for (size_t i = 0; i < MT_ROW_TEXTS; i++) {
        if (lengths[i] > mt_row__texts[i].max || lengths[i] > bytes.len - at)
            return false;
        *mt_row__text(out, i) = (struct mt_str){bytes.at + at, lengths[i]};
        at += lengths[i];
    }
    return at == bytes.len;
}

bool mt_row__decode(struct mt_str bytes, struct mt_ledger_row *out)
{
    uint16_t head[4];
    uint16_t lengths[MT_ROW_TEXTS];

    if (bytes.len < TEXTS_AT)
        return false;
    memcpy(head, bytes.at, sizeof head);
    memcpy(lengths, bytes.at + LENGTHS_AT, sizeof lengths);
    if (head[0] >= MT_ARRAY_LEN(outcomes) ||
        (head[1] != MT_ROW_TEXTS && head[1] != TEXTS_BEFORE_PARTS) ||
        head[2] != MT_ROW_NUMBERS || head[3] != 0)
        return false;
    *out = (struct mt_ledger_row){.outcome = (enum mt_outcome)head[0]};
    for (size_t i = 0; i < MT_ROW_NUMBERS; i++)
        memcpy(mt_row__number(out, i), bytes.at + NUMBERS_AT + i * sizeof(int64_t),
               sizeof(int64_t));
    return decode_texts(bytes, lengths, out);
}

void mt_row__add_columns(struct mt_buf *sql)
{
    for (size_t i = 0; i < MT_ROW_TEXTS; i++)
        mt_buf_addf(sql, "%s, ", mt_row__texts[i].column);
    for (size_t i = 0; i < MT_ROW_NUMBERS; i++)
        mt_buf_addf(sql, "%s, ", mt_row__numbers[i].column);
    mt_buf_add_cstr(sql, "outcome");
}

struct mt_str mt_row__model(const struct mt_ledger_row *row)
{
    return row->model_served.len > 0 ? row->model_served : row->model_asked;
}

int64_t mt_row__ended_ms(const struct mt_ledger_row *row)
{
    return row->started_at_ms + (row->duration_us > 0 ? row->duration_us / 1000 : 0);
}

bool mt_row_add_part(struct mt_buf *parts, const struct mt_row_part *part)
{
    char numbers[48];
    int n = snprintf(numbers, sizeof numbers, "%lld %lld ", (long long)part->tokens_n,
                     (long long)part->cost_usd_nano);

    if (parts->len + (size_t)n + part->model.len + 1 > MT_ROW_PARTS_MAX ||
        mt_str_find_char(part->model, '\n') < part->model.len)
        return false;
    mt_buf_add(parts, (struct mt_str){numbers, (size_t)n});
    mt_buf_add(parts, part->model);
    mt_buf_add_char(parts, '\n');
    return true;
}

bool mt_row_next_part(struct mt_str *parts, struct mt_row_part *out)
{
    while (parts->len > 0) {
        struct mt_str line = mt_str_take(parts, '\n');
        struct mt_str tokens = mt_str_take(&line, ' ');
        struct mt_str cost = mt_str_take(&line, ' ');
        if (line.len > 0 && mt_str_to_i64(tokens, 0, INT64_MAX, &out->tokens_n) &&
            mt_str_to_i64(cost, 0, INT64_MAX, &out->cost_usd_nano)) {
            out->model = line;
            return true;
        }
    }
    return false;
}
