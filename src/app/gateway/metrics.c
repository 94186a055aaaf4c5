/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include "base/attr.h"
#include "chat/codec.h"

static const double bounds_s[METRICS_BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                 0.25,  0.5,    1,     2.5,  5,     15,   60};

static void observe(struct histogram *histogram, int64_t us)
{
    double s = (double)us / 1e6;
    size_t i = 0;

    while (i < METRICS_BUCKETS && s > bounds_s[i])
        i++;
    histogram->counts[i]++;
    histogram->sum_s += s;
}

void metrics_request(struct metrics *metrics, enum mt_dialect dialect,
                     const struct mt_ledger_row *row)
{
    metrics->requests[dialect][row->outcome]++;
    metrics->input_tokens += row->input_n;
    metrics->output_tokens += row->output_n;
    metrics->cached_tokens += row->cached_n;
    metrics->cost_usd_nano += row->cost_usd_nano;
    if (row->ttft_us >= 0)
        observe(&metrics->ttft, row->ttft_us);
    observe(&metrics->duration, row->duration_us);
}

void metrics_head(struct mt_buf *out, const char *name, const char *type, const char *help)
{
    mt_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_sample(struct mt_buf *out, const char *name, const char *labels, int64_t value)
{
    if (labels != NULL)
        mt_buf_addf(out, "%s{%s} ", name, labels);
    else
        mt_buf_addf(out, "%s ", name);
    mt_buf_add_i64(out, value);
    mt_buf_add_char(out, '\n');
}

static void write_histogram(const struct histogram *histogram, const char *name,
                            const char *help, struct mt_buf *out)
{
    int64_t sum = 0;

    metrics_head(out, name, "histogram", help);
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        sum += histogram->counts[i];
        mt_buf_addf(out, "%s_bucket{le=\"%g\"} %lld\n", name, bounds_s[i], (long long)sum);
    }
    sum += histogram->counts[METRICS_BUCKETS];
    mt_buf_addf(out, "%s_bucket{le=\"+Inf\"} %lld\n%s_sum %.9g\n%s_count %lld\n", name,
                (long long)sum, name, histogram->sum_s, name, (long long)sum);
}

static void write_requests(const struct metrics *metrics, struct mt_buf *out)
{
    metrics_head(out, "motet_requests_total", "counter", "Requests by dialect and outcome.");
    for (size_t d = 0; d < MT_DIALECT_COUNT; d++) {
        for (size_t o = 0; o < METRICS_OUTCOMES; o++) {
            if (metrics->requests[d][o] > 0)
                mt_buf_addf(out, "motet_requests_total{dialect=\"%s\",outcome=\"%s\"} %lld\n",
                            mt_chat_codec((enum mt_dialect)d)->name,
                            mt_outcome_name((enum mt_outcome)o),
                            (long long)metrics->requests[d][o]);
        }
    }
}

void metrics_write(const struct metrics *metrics, struct mt_buf *out)
{
    write_requests(metrics, out);
    metrics_head(out, "motet_tokens_total", "counter", "Tokens billed.");
    metrics_sample(out, "motet_tokens_total", "kind=\"input\"", metrics->input_tokens);
    metrics_sample(out, "motet_tokens_total", "kind=\"output\"", metrics->output_tokens);
    metrics_sample(out, "motet_tokens_total", "kind=\"cached\"", metrics->cached_tokens);
    metrics_head(out, "motet_cost_usd_total", "counter", "Money spent [USD].");
    mt_buf_addf(out, "motet_cost_usd_total %.9f\n", (double)metrics->cost_usd_nano / 1e9);
    write_histogram(&metrics->ttft, "motet_first_byte_seconds",
                    "Time from the request's first byte to the answer's.", out);
    write_histogram(&metrics->duration, "motet_request_seconds", "Time of whole requests.",
                    out);
}
