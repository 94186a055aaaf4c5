/* SPDX-License-Identifier: Apache-2.0 */
/* One value: from its text, into and out of its struct, to its text. Pure. */
#include <string.h>

#include "settings/table.h"

#include "units.h"

enum { SHOWN_MAX = 60 };

static int shown(struct mt_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

static const struct unit_kind *unit_of(enum mt_settings_type type)
{
    switch (type) {
    case MT_SETTINGS_COUNT:
        return &mt_settings__count;
    case MT_SETTINGS_DURATION:
        return &mt_settings__duration;
    case MT_SETTINGS_BYTES:
        return &mt_settings__bytes;
    case MT_SETTINGS_MONEY:
        return &mt_settings__money;
    case MT_SETTINGS_PRICE:
        return &mt_settings__price;
    case MT_SETTINGS_TEXT:
    case MT_SETTINGS_PATH:
    case MT_SETTINGS_LISTEN:
    case MT_SETTINGS_BOOL:
    case MT_SETTINGS_NUMBER:
    case MT_SETTINGS_WORD:
    case MT_SETTINGS_TEXTS:
    case MT_SETTINGS_HEADERS:
    case MT_SETTINGS_ITEMS:
        break;
    }
    return NULL;
}

static const struct mt_settings_word *word_find(const struct mt_settings_word *words,
                                                struct mt_str text)
{
    for (; words != NULL && words->name != NULL; words++) {
        if (mt_str_is(text, words->name))
            return words;
    }
    return NULL;
}

static const char *word_of(const struct mt_settings_word *words, int64_t value)
{
    for (; words != NULL && words->name != NULL; words++) {
        if (words->value == value)
            return words->name;
    }
    return NULL;
}

/* "expected one of a, b, c, found 'x'" */
static mt_rc refuse_word(const struct mt_settings_key *key, struct mt_str text,
                         struct mt_err *err)
{
    struct mt_buf names = MT_BUF_INIT(128);

    for (size_t i = 0; key->choices != NULL && key->choices[i] != NULL; i++)
        mt_buf_addf(&names, "%s%s", i > 0 ? ", " : "", key->choices[i]);
    for (size_t i = 0; key->words != NULL && key->words[i].name != NULL; i++)
        mt_buf_addf(&names, "%s%s", i > 0 ? ", " : "", key->words[i].name);
    mt_rc rc = mt_buf_check(&names, "words", err);
    if (rc == MT_OK)
        rc = MT_FAIL(err, MT_E_INVALID, "expected one of %s, found '%.*s'", mt_buf_cstr(&names),
                     shown(text), text.at != NULL ? text.at : "");
    mt_buf_fini(&names);
    return rc;
}

static mt_rc refuse_range(const struct mt_settings_key *key, struct mt_str text,
                          struct mt_err *err)
{
    struct mt_buf low = MT_BUF_INIT(64);
    struct mt_buf high = MT_BUF_INIT(64);

    mt_settings__unit_write(unit_of(key->type), key->min, &low);
    mt_settings__unit_write(unit_of(key->type), key->max, &high);
    mt_rc rc = MT_FAIL(err, MT_E_INVALID, "expected %s to %s, found '%.*s'", mt_buf_cstr(&low),
                       mt_buf_cstr(&high), shown(text), text.at);
    mt_buf_fini(&low);
    mt_buf_fini(&high);
    return rc;
}

static mt_rc parse_units(const struct mt_settings_key *key, struct mt_str text, int64_t *out,
                         struct mt_err *err)
{
    const struct mt_settings_word *word = word_find(key->words, text);
    int64_t value;

    if (word == NULL) {
        MT_TRY(mt_settings__unit_parse(unit_of(key->type), text, &value, err));
        if (value < key->min || value > key->max)
            return refuse_range(key, text, err);
    }
    *out = word != NULL ? word->value : value;
    return MT_OK;
}

static mt_rc parse_bool(struct mt_str text, bool *out, struct mt_err *err)
{
    static const char *const yes[] = {"true", "yes", "on"};
    static const char *const no[] = {"false", "no", "off"};

    for (size_t i = 0; i < MT_ARRAY_LEN(yes); i++) {
        if (mt_str_is(text, yes[i]) || mt_str_is(text, no[i])) {
            *out = mt_str_is(text, yes[i]);
            return MT_OK;
        }
    }
    return MT_FAIL(err, MT_E_INVALID, "expected true or false, found '%.*s'", shown(text),
                   text.at != NULL ? text.at : "");
}

/* "127.0.0.1:7700", "[::1]:7700", "localhost:0" */
static mt_rc parse_listen(struct mt_str text, union mt_settings_value *out, struct mt_err *err)
{
    size_t colon = text.len;
    int64_t port = 0;

    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    struct mt_str host = mt_str_sub(text, 0, colon > 0 ? colon - 1 : 0);
    bool is_port = mt_str_to_i64(mt_str_sub(text, colon, text.len), 0, UINT16_MAX, &port);
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        host = mt_str_sub(host, 1, host.len - 1);
    else if (mt_str_find_char(host, ':') < host.len) /* IPv6 without brackets: which part? */
        host.len = 0;
    if (!is_port || host.len == 0 || host.len > 255)
        return MT_FAIL(err, MT_E_INVALID,
                       "expected HOST:PORT such as 127.0.0.1:7700 or [::1]:7700, found '%.*s'",
                       shown(text), text.at != NULL ? text.at : "");
    out->text = host;
    out->port = (uint16_t)port;
    return MT_OK;
}

static mt_rc parse_number(const struct mt_settings_key *key, struct mt_str text, double *out,
                          struct mt_err *err)
{
    double value;

    if (!mt_str_to_f64(text, &value) || value < (double)key->min || value > (double)key->max)
        return MT_FAIL(err, MT_E_INVALID, "expected a number, %lld to %lld, found '%.*s'",
                       (long long)key->min, (long long)key->max, shown(text),
                       text.at != NULL ? text.at : "");
    *out = value;
    return MT_OK;
}

static bool is_printable(struct mt_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f)
            return false;
    }
    return true;
}

static mt_rc parse_text(const struct mt_settings_key *key, struct mt_str text,
                        struct mt_str *out, struct mt_err *err)
{
    enum { TEXT_MAX = 8192 };

    if (text.len > TEXT_MAX)
        return MT_FAIL(err, MT_E_INVALID, "expected at most %d bytes, found %zu", TEXT_MAX,
                       text.len);
    if (!is_printable(text) || !mt_str_is_utf8(text))
        return MT_FAIL(err, MT_E_INVALID, "expected text without control characters");
    if (text.len == 0 && (key->flags & MT_SETTINGS_REQUIRED) != 0)
        return MT_FAIL(err, MT_E_INVALID, "expected a text, found nothing");
    for (size_t i = 0; key->choices != NULL; i++) {
        if (key->choices[i] == NULL)
            return refuse_word(key, text, err);
        if (mt_str_is(text, key->choices[i]))
            break;
    }
    *out = text;
    return MT_OK;
}

static mt_rc parse_word(const struct mt_settings_key *key, struct mt_str text, int64_t *out,
                        struct mt_err *err)
{
    const struct mt_settings_word *word = word_find(key->words, text);

    if (word == NULL)
        return refuse_word(key, text, err);
    *out = word->value;
    return MT_OK;
}

mt_rc mt_settings_parse(const struct mt_settings_key *key, struct mt_str text,
                        union mt_settings_value *out, struct mt_err *err)
{
    switch (key->type) {
    case MT_SETTINGS_TEXT:
    case MT_SETTINGS_PATH:
        return parse_text(key, text, &out->text, err);
    case MT_SETTINGS_LISTEN:
        return parse_listen(text, out, err);
    case MT_SETTINGS_BOOL:
        return parse_bool(text, &out->is_true, err);
    case MT_SETTINGS_NUMBER:
        return parse_number(key, text, &out->real, err);
    case MT_SETTINGS_WORD:
        return parse_word(key, text, &out->number, err);
    case MT_SETTINGS_COUNT:
    case MT_SETTINGS_DURATION:
    case MT_SETTINGS_BYTES:
    case MT_SETTINGS_MONEY:
    case MT_SETTINGS_PRICE:
        return parse_units(key, text, &out->number, err);
    case MT_SETTINGS_TEXTS:
    case MT_SETTINGS_HEADERS:
    case MT_SETTINGS_ITEMS:
        break;
    }
    return MT_FAIL(err, MT_E_INVALID, "expected a list, which only the file can give");
}

/* Which member of the union a type uses, and how large it is in the struct. */
static size_t place(const struct mt_settings_key *key, union mt_settings_value *value,
                    void **in)
{
    switch (key->type) {
    case MT_SETTINGS_TEXT:
    case MT_SETTINGS_PATH:
    case MT_SETTINGS_LISTEN:
        *in = &value->text;
        return sizeof value->text;
    case MT_SETTINGS_BOOL:
        *in = &value->is_true;
        return sizeof value->is_true;
    case MT_SETTINGS_NUMBER:
        *in = &value->real;
        return sizeof value->real;
    case MT_SETTINGS_WORD:
    case MT_SETTINGS_COUNT:
    case MT_SETTINGS_DURATION:
    case MT_SETTINGS_BYTES:
    case MT_SETTINGS_MONEY:
    case MT_SETTINGS_PRICE:
    case MT_SETTINGS_TEXTS:
    case MT_SETTINGS_HEADERS:
    case MT_SETTINGS_ITEMS:
        break;
    }
    *in = &value->number;
    return sizeof value->number;
}

void mt_settings_put(const struct mt_settings_key *key, void *object,
                     const union mt_settings_value *value)
{
    union mt_settings_value copy = *value;
    void *from;
    size_t n = place(key, &copy, &from);

    if (key->type == MT_SETTINGS_WORD) {
        int word = (int)copy.number;
        memcpy((char *)object + key->at, &word, sizeof word);
        return;
    }
    memcpy((char *)object + key->at, from, n);
    if (key->type == MT_SETTINGS_LISTEN)
        memcpy((char *)object + key->n_at, &copy.port, sizeof copy.port);
}

union mt_settings_value mt_settings_get(const struct mt_settings_key *key, const void *object)
{
    union mt_settings_value value = {0};
    void *to;
    size_t n = place(key, &value, &to);

    if (key->type == MT_SETTINGS_WORD) {
        int word;
        memcpy(&word, (const char *)object + key->at, sizeof word);
        value.number = word;
        return value;
    }
    memcpy(to, (const char *)object + key->at, n);
    if (key->type == MT_SETTINGS_LISTEN)
        memcpy(&value.port, (const char *)object + key->n_at, sizeof value.port);
    return value;
}

void mt_settings_put_list(const struct mt_settings_key *key, void *object,
                          struct mt_settings_list list)
{
    memcpy((char *)object + key->at, &list.at, sizeof list.at);
    memcpy((char *)object + key->n_at, &list.n, sizeof list.n);
}

struct mt_settings_list mt_settings_get_list(const struct mt_settings_key *key,
                                             const void *object)
{
    struct mt_settings_list list;

    memcpy(&list.at, (const char *)object + key->at, sizeof list.at);
    memcpy(&list.n, (const char *)object + key->n_at, sizeof list.n);
    return list;
}

mt_rc mt_settings_defaults(const struct mt_settings_group *group, void *object,
                           struct mt_err *err)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];
        union mt_settings_value value = {0};

        if (key->initial == NULL)
            continue;
        MT_TRY(mt_settings_parse(key, mt_str_of(key->initial), &value, err));
        mt_settings_put(key, object, &value);
    }
    return MT_OK;
}

static void format_listen(const union mt_settings_value *value, struct mt_buf *out)
{
    bool is_v6 = mt_str_find_char(value->text, ':') < value->text.len;

    mt_buf_addf(out, is_v6 ? "[%.*s]:%u" : "%.*s:%u", MT_STR_ARG(value->text),
                (unsigned)value->port);
}

void mt_settings_format(const struct mt_settings_key *key, const union mt_settings_value *value,
                        struct mt_buf *out)
{
    switch (key->type) {
    case MT_SETTINGS_TEXT:
    case MT_SETTINGS_PATH:
        mt_buf_add(out, value->text);
        return;
    case MT_SETTINGS_LISTEN:
        format_listen(value, out);
        return;
    case MT_SETTINGS_BOOL:
        mt_buf_add_cstr(out, value->is_true ? "true" : "false");
        return;
    case MT_SETTINGS_NUMBER:
        mt_buf_addf(out, "%.15g", value->real);
        return;
    case MT_SETTINGS_WORD:
    case MT_SETTINGS_COUNT:
    case MT_SETTINGS_DURATION:
    case MT_SETTINGS_BYTES:
    case MT_SETTINGS_MONEY:
    case MT_SETTINGS_PRICE:
        break;
    case MT_SETTINGS_TEXTS:
    case MT_SETTINGS_HEADERS:
    case MT_SETTINGS_ITEMS:
        return;
    }
    const char *word = word_of(key->words, value->number);
    if (word != NULL)
        mt_buf_add_cstr(out, word);
    else
        mt_settings__unit_write(unit_of(key->type), value->number, out);
}

static const char *kind_of(enum mt_settings_type type)
{
    switch (type) {
    case MT_SETTINGS_TEXT:
        return "text";
    case MT_SETTINGS_PATH:
        return "path";
    case MT_SETTINGS_LISTEN:
        return "HOST:PORT";
    case MT_SETTINGS_BOOL:
        return "true or false";
    case MT_SETTINGS_COUNT:
        return "count";
    case MT_SETTINGS_NUMBER:
        return "number";
    case MT_SETTINGS_DURATION:
        return "duration";
    case MT_SETTINGS_BYTES:
        return "size";
    case MT_SETTINGS_MONEY:
        return "money";
    case MT_SETTINGS_PRICE:
        return "price";
    case MT_SETTINGS_WORD:
        return "word";
    case MT_SETTINGS_TEXTS:
        return "list of texts";
    case MT_SETTINGS_HEADERS:
        return "names and texts";
    case MT_SETTINGS_ITEMS:
        return "list";
    }
    return "?";
}

static void describe_words(const struct mt_settings_key *key, struct mt_buf *out)
{
    const char *between = key->type == MT_SETTINGS_WORD ? "" : " or ";

    for (size_t i = 0; key->words != NULL && key->words[i].name != NULL; i++) {
        mt_buf_addf(out, "%s`%s`", between, key->words[i].name);
        between = ", ";
    }
    for (size_t i = 0; key->choices != NULL && key->choices[i] != NULL; i++)
        mt_buf_addf(out, "%s`%s`", i > 0 ? ", " : "", key->choices[i]);
}

void mt_settings_describe(const struct mt_settings_key *key, struct mt_buf *out)
{
    const struct unit_kind *unit = unit_of(key->type);

    if (key->type != MT_SETTINGS_WORD && key->choices == NULL)
        mt_buf_add_cstr(out, kind_of(key->type));
    if (unit != NULL) {
        mt_buf_add_cstr(out, ", ");
        mt_settings__unit_write(unit, key->min, out);
        mt_buf_add_cstr(out, " to ");
        mt_settings__unit_write(unit, key->max, out);
    } else if (key->type == MT_SETTINGS_NUMBER) {
        mt_buf_addf(out, ", %lld to %lld", (long long)key->min, (long long)key->max);
    } else if (key->max > 0) {
        mt_buf_addf(out, ", at most %lld", (long long)key->max);
    }
    describe_words(key, out);
}
