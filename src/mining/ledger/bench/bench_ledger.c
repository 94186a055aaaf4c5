/* SPDX-License-Identifier: Apache-2.0 */
/* What accounting costs a request, and how fast the table takes rows. Prints one JSON object.
 *
 *   bench_ledger [DIR] [REQUESTS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "ledger/ledger.h"
#include "system/env.h"

enum { ROUNDS = 5 };

static int64_t thread_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t process_cpu_us(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (int64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
           used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;

    return (*x > *y) - (*x < *y);
}

struct figures {
    int64_t *wall_ns; /* per request, sorted */
    int64_t n;
    int64_t cpu_ns;
    int64_t busy_n;
};

static void one_request(struct mt_ledger *ledger, struct figures *f)
{
    const struct mt_ledger_ask ask = {
        .most = {MT_STR("team"), MT_STR("openai/gpt-5"), 1000, 50000},
        .request_id = MT_STR("req-0123456789abcdef"),
        .dialect = MT_STR("openai"),
        .kind = MT_STR("chat"),
        .model_asked = MT_STR("auto"),
        .input_n = 100,
    };
    const struct mt_ledger_row row = {
        .request_id = ask.request_id,
        .key = ask.most.key,
        .dialect = ask.dialect,
        .kind = ask.kind,
        .model_asked = ask.model_asked,
        .model_served = ask.most.model,
        .endpoint = MT_STR("openai"),
        .attempts = MT_STR("[{\"endpoint\":\"openai\",\"status\":200,\"us\":90000}]"),
        .http_status = 200,
        .input_n = 100,
        .output_n = 20,
        .cost_usd_nano = 7000,
        .duration_us = 90000,
    };
    struct mt_ledger_entry entry;

    int64_t began = mt_env_now_mono_ns(mt_env_real());
    if (mt_ledger_begin(ledger, &ask, &entry, NULL, NULL) != MT_OK) {
        f->busy_n++;
        return;
    }
    (void)mt_ledger_end(ledger, &entry, &row);
    f->wall_ns[f->n++] = mt_env_now_mono_ns(mt_env_real()) - began;
}

/* A burst that fits the ring, then the drain: the request's side is measured without waiting
 * for the table's, and the table's with the burst alone. */
static int round_of(struct mt_ledger *ledger, int64_t requests_n, struct figures *f,
                    int64_t *drain_us)
{
    int64_t before = thread_cpu_ns();

    for (int64_t i = 0; i < requests_n; i++)
        one_request(ledger, f);
    f->cpu_ns += thread_cpu_ns() - before;
    int64_t cpu = process_cpu_us();
    if (mt_ledger_flush(ledger, 60000, NULL) != MT_OK)
        return 1;
    *drain_us += process_cpu_us() - cpu;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct mt_limit limits[] = {
        {MT_STR_INIT("team"), MT_STR_INIT(""), MT_LIMIT_MONEY, MT_WINDOW_DAY,
         MT_USD_NANO * 1000},
        {MT_STR_INIT("team"), MT_STR_INIT(""), MT_LIMIT_TOKENS, MT_WINDOW_MINUTE, 1000000000},
        {MT_STR_INIT("*"), MT_STR_INIT(""), MT_LIMIT_REQUESTS, MT_WINDOW_SECOND, 10000000},
    };
    char made[] = "/tmp/mt-bench-ledger-XXXXXX";
    const char *dir = argc > 1 ? argv[1] : mkdtemp(made);
    int64_t requests_n = argc > 2 ? atoll(argv[2]) : 4000;
    struct mt_ledger_opts opts = {
        .dir = dir, .limits = limits, .limits_n = 3, .journal_bytes = 64 << 20};
    struct figures f = {.wall_ns = calloc((size_t)(requests_n * ROUNDS), sizeof(int64_t))};
    struct mt_ledger *ledger = NULL;
    struct mt_err err = {0};
    int64_t drain_us = 0;

    if (dir == NULL || f.wall_ns == NULL || requests_n < 1 ||
        mt_ledger_open(&opts, &ledger, NULL, &err) != MT_OK) {
        fprintf(stderr, "bench_ledger: %s\n", err.text);
        return 1;
    }
    int64_t began = mt_env_now_mono_ns(mt_env_real());
    for (int i = 0; i < ROUNDS; i++)
        if (round_of(ledger, requests_n, &f, &drain_us) != 0)
            return 1;
    double seconds = (double)(mt_env_now_mono_ns(mt_env_real()) - began) / 1e9;
    qsort(f.wall_ns, (size_t)f.n, sizeof *f.wall_ns, by_size);
    printf("{\"requests\": %lld, \"busy\": %lld, \"cpu_ns_per_request\": %lld, "
           "\"wall_ns_p50\": %lld, \"wall_ns_p99\": %lld, \"wall_ns_max\": %lld, "
           "\"drain_cpu_us_per_row\": %.2f, \"rows_per_s_end_to_end\": %.0f}\n",
           (long long)f.n, (long long)f.busy_n, (long long)(f.cpu_ns / f.n),
           (long long)f.wall_ns[f.n / 2], (long long)f.wall_ns[f.n * 99 / 100],
           (long long)f.wall_ns[f.n - 1], (double)drain_us / (double)f.n,
           (double)f.n / seconds);
    mt_ledger_close(ledger);
    free(f.wall_ns);
    return 0;
}
