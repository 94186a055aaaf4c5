/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and numbers of a schema. */
#include "json_grammar_priv.h"

static const char *format_pattern(const struct mt_json *node)
{
    static const struct {
        const char *name, *pattern;
    } table[] = {
        {"date", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"},
        {"time", "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-][0-9]{2}:[0-9]{2})$"},
        {"date-time", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])"
                      ":[0-5][0-9]:[0-5][0-9](Z|[+-][0-9]{2}:[0-9]{2})$"},
        {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    };
    const struct mt_json *format = mt_json_get(node, "format");

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++)
        if (mt_json_is(format, table[i].name))
            return table[i].pattern;
    return NULL;
}

static bool add_pattern(struct mt_schema *g, const struct mt_json *node, struct mt_buf *body)
{
    const char *known = format_pattern(node);
    struct mt_str pattern = mt_str_of(known);
    size_t was = body->len;

    if (known == NULL && !mt_json_str(mt_json_get(node, "pattern"), g->arena, &pattern))
        return false;
    mt_buf_add_cstr(body, " [\"] ");
    if (mt_grammar__pattern(pattern, body)) {
        mt_buf_add_cstr(body, " [\"]");
        return true;
    }
    if (body->rc == MT_OK)
        mt_buf_cut(body, was);
    mt_chat_note(g->notes, "schema pattern '%.*s' is not enforced", MT_STR_ARG(pattern));
    return false;
}

void mt_schema__string(struct mt_schema *g, const struct mt_json *node, struct mt_buf *body)
{
    int64_t min = 0;
    int64_t max = g->bounds->string_max;

    if (add_pattern(g, node, body))
        return;
    bool has_min = mt_schema__count(node, "minLength", &min);
    if (mt_schema__count(node, "maxLength", &max) && max == 0) {
        mt_buf_add_cstr(body, " \"\\\"\\\"\"");
        return;
    }
    if (max > MT_GRAMMAR_REPEAT_MAX)
        max = 0; /* no repetition of that size: the end of the answer bounds it */
    if (min > MT_GRAMMAR_REPEAT_MAX || (has_min && max > 0 && max < min))
        min = max;
    mt_buf_add_cstr(body, " [\"] char");
    mt_schema__repeat(body, (unsigned)min, (unsigned)max);
    mt_buf_add_cstr(body, " [\"]");
}

static int64_t clamp_f64(double value)
{
    const double most = 999999999999999.0;
    return (int64_t)(value > most ? most : value < -most ? -most : value);
}

static bool integer_range(const struct mt_json *node, int64_t *min, int64_t *max)
{
    static const struct {
        const char *key;
        bool is_min, is_strict;
    } table[] = {{"minimum", true, false},
                 {"exclusiveMinimum", true, true},
                 {"maximum", false, false},
                 {"exclusiveMaximum", false, true}};
    bool has = false;

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        double number;
        if (!mt_json_f64(mt_json_get(node, table[i].key), &number))
            continue;
        int64_t whole = clamp_f64(number);
        has = true;
        if (table[i].is_min) {
            whole += (double)whole < number || (table[i].is_strict && (double)whole == number);
            *min = whole > *min ? whole : *min;
        } else {
            whole -= (double)whole > number || (table[i].is_strict && (double)whole == number);
            *max = whole < *max ? whole : *max;
        }
    }
    return has;
}

mt_rc mt_schema__integer(const struct mt_json *node, struct mt_buf *body, struct mt_err *err)
{
    int64_t min = -999999999999999;
    int64_t max = 999999999999999;

    mt_buf_add_char(body, ' ');
    if (!integer_range(node, &min, &max)) {
        mt_buf_add_cstr(body, "integer");
        return MT_OK;
    }
    if (min > max)
        return MT_FAIL(err, MT_E_INVALID, "schema: no integer lies between %lld and %lld",
                       (long long)min, (long long)max);
    mt_grammar__range(min, max, body);
    return MT_OK;
}

void mt_schema__number(struct mt_schema *g, const struct mt_json *node, struct mt_buf *body)
{
    double min;
    bool is_positive = mt_json_f64(mt_json_get(node, "minimum"), &min) && min >= 0;

    if (mt_json_get(node, "maximum") != NULL || (mt_json_get(node, "minimum") && !is_positive))
        mt_chat_note(g->notes, "schema: a range of a fractional number is not enforced");
    mt_buf_add_cstr(body, is_positive ? " decimal" : " number");
}
