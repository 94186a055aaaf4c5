/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - counters and histograms for GET /metrics (Prometheus text format 0.0.4).
 *
 * Thread rule: the loop's. */
#ifndef MT_GATEWAY_METRICS_H
#define MT_GATEWAY_METRICS_H

#include "base/buf.h"
#include "chat/request.h"
#include "ledger/row.h"

enum { METRICS_BUCKETS = 14, METRICS_OUTCOMES = 9 };

struct histogram {
    int64_t counts[METRICS_BUCKETS + 1]; /* the last one: above all bounds */
    double sum_s;
};

struct metrics {
    int64_t requests[MT_DIALECT_COUNT][METRICS_OUTCOMES];
    int64_t input_tokens, output_tokens, cached_tokens;
    int64_t cost_usd_nano;
    struct histogram ttft, duration;
};

void metrics_request(struct metrics *metrics, enum mt_dialect dialect,
                     const struct mt_ledger_row *row);

/** One sample line: name{labels} value. labels may be NULL. */
void metrics_sample(struct mt_buf *out, const char *name, const char *labels, int64_t value);
void metrics_head(struct mt_buf *out, const char *name, const char *type, const char *help);
void metrics_write(const struct metrics *metrics, struct mt_buf *out);

#endif
