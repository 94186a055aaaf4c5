/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics as a strict reader of Prometheus' text format 0.0.4 sees it. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

/* A family is open from its HELP line to the next one's. */
struct reader {
    char name[128], type[32];
    char seen[64][128]; /* families that are over: none comes twice */
    size_t seen_n;
    double last_bucket;
    size_t samples_n;
};

static bool is_name_char(char c, bool is_first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!is_first && c >= '0' && c <= '9');
}

static struct mt_str take_name(struct mt_str *line)
{
    size_t n = 0;

    while (n < line->len && is_name_char(line->at[n], n == 0))
        n++;
    struct mt_str name = mt_str_sub(*line, 0, n);
    *line = mt_str_sub(*line, n, line->len);
    return name;
}

/* {name="value",...}: only \\, \" and \n may be escaped. */
static bool take_labels(struct mt_str *line)
{
    if (line->len == 0 || line->at[0] != '{')
        return true;
    do {
        *line = mt_str_sub(*line, 1, line->len);
        if (take_name(line).len == 0 || !mt_str_starts(*line, MT_STR("=\"")))
            return false;
        size_t i = 2;
        while (i < line->len && line->at[i] != '"') {
            if (line->at[i] == '\\' &&
                (++i >= line->len || strchr("\\\"n", line->at[i]) == NULL))
                return false;
            i++;
        }
        *line = mt_str_sub(*line, i + 1, line->len);
    } while (line->len > 0 && line->at[0] == ',');
    bool is_closed = line->len > 0 && line->at[0] == '}';
    *line = mt_str_sub(*line, 1, line->len);
    return is_closed;
}

static bool belongs(const struct reader *r, struct mt_str name)
{
    static const char *const parts[] = {"_bucket", "_sum", "_count"};
    struct mt_str family = mt_str_of(r->name);

    if (mt_str_eq(name, family))
        return strcmp(r->type, "histogram") != 0;
    for (size_t i = 0; i < 3; i++) {
        if (mt_str_starts(name, family) &&
            mt_str_is(mt_str_sub(name, family.len, name.len), parts[i]))
            return strcmp(r->type, "histogram") == 0;
    }
    return false;
}

static bool read_sample(struct reader *r, struct mt_str line)
{
    struct mt_str name = take_name(&line);
    double value;

    if (!belongs(r, name) || !take_labels(&line) || line.len < 2 || line.at[0] != ' ')
        return false;
    if (!mt_str_to_f64(mt_str_sub(line, 1, line.len), &value) || value < 0)
        return false;
    if (mt_str_ends(name, MT_STR("_bucket"))) { /* they add up */
        if (value < r->last_bucket)
            return false;
        r->last_bucket = value;
    }
    if (mt_str_ends(name, MT_STR("_count")) && strcmp(r->type, "histogram") == 0) {
        if (value != r->last_bucket)
            return false;
        r->last_bucket = 0;
    }
    r->samples_n++;
    return true;
}

static bool read_line(struct reader *r, struct mt_str line)
{
    if (!mt_str_starts(line, MT_STR("# ")))
        return read_sample(r, line);
    line = mt_str_sub(line, 2, line.len);
    struct mt_str word = mt_str_take(&line, ' ');
    struct mt_str name = mt_str_take(&line, ' ');
    if (mt_str_is(word, "HELP")) {
        for (size_t i = 0; i < r->seen_n; i++) {
            if (mt_str_is(name, r->seen[i]))
                return false;
        }
        snprintf(r->seen[r->seen_n++], 128, "%.*s", MT_STR_ARG(name));
        snprintf(r->name, sizeof r->name, "%.*s", MT_STR_ARG(name));
        return line.len > 0;
    }
    snprintf(r->type, sizeof r->type, "%.*s", MT_STR_ARG(line));
    return mt_str_is(word, "TYPE") && mt_str_is(name, r->name) &&
           (mt_str_is(line, "counter") || mt_str_is(line, "gauge") ||
            mt_str_is(line, "histogram"));
}

static size_t read_all(struct mt_str text)
{
    struct reader r = {.samples_n = 0};

    assert_true(mt_str_ends(text, MT_STR("\n")));
    while (text.len > 0) {
        struct mt_str line = mt_str_take(&text, '\n');
        if (!read_line(&r, line))
            fail_msg("not understood: %.*s", MT_STR_ARG(line));
    }
    return r.samples_n;
}

static bool has(const struct mt_buf *text, const char *what)
{
    return mt_str_find(mt_buf_str(text), mt_str_of(what)) < text->len;
}

static void counters_are_written_as_prometheus_reads_them(void **state)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 16);
    struct metrics metrics = {.input_tokens = 0};
    struct mt_ledger_row row = {.outcome = MT_OUTCOME_OK,
                                .input_n = 10,
                                .output_n = 20,
                                .cached_n = 4,
                                .cost_usd_nano = 1500,
                                .ttft_us = 900,
                                .duration_us = 70 * 1000000};

    (void)state;
    metrics_write(&metrics, &text);
    size_t empty_n = read_all(mt_buf_str(&text));
    metrics_request(&metrics, MT_DIALECT_ANTHROPIC, &row);
    row.outcome = MT_OUTCOME_CLIENT_GONE;
    row.ttft_us = -1; /* never sent a byte */
    metrics_request(&metrics, MT_DIALECT_ANTHROPIC, &row);
    mt_buf_clear(&text);
    metrics_write(&metrics, &text);
    assert_int_equal(read_all(mt_buf_str(&text)), empty_n + 2);
    assert_true(has(&text, "motet_requests_total{dialect=\"anthropic\",outcome=\"ok\"} 1\n"));
    assert_true(has(&text, "{dialect=\"anthropic\",outcome=\"client_gone\"} 1\n"));
    assert_true(has(&text, "motet_tokens_total{kind=\"output\"} 40\n"));
    assert_true(has(&text, "motet_cost_usd_total 0.000003000\n"));
    assert_true(has(&text, "motet_first_byte_seconds_bucket{le=\"0.001\"} 1\n"));
    assert_true(has(&text, "motet_first_byte_seconds_count 1\n"));
    assert_true(has(&text, "motet_request_seconds_bucket{le=\"60\"} 0\n"));
    assert_true(has(&text, "motet_request_seconds_bucket{le=\"+Inf\"} 2\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_written_as_prometheus_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
