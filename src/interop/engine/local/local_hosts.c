/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: a worker each, from the first request for a model until its thread has ended and the
 * last of its runs too. An entry's keep-alive counts while its host has no runs. */
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "local_priv.h"

enum {
    PARALLEL_DEFAULT = 16,
    QUEUE_DEFAULT = 512,
    KV_BYTES = 2 /* f16 */,
    PARAMETERS_PER_THREAD = 8000000,
};

static const int64_t kv_token_most = (int64_t)1 << 32; /* bytes: far beyond any model */

/* Cores, not their second threads: those share the units that multiply matrices. */
static unsigned physical_cores(void)
{
    cpu_set_t set;
    unsigned cores = 0;
    unsigned cpus = 0;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char path[96];
        unsigned first = cpu;
        if (!CPU_ISSET(cpu, &set))
            continue;
        cpus++;
        snprintf(path, sizeof path,
                 "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
        FILE *file = fopen(path, "re");
        if (file != NULL && fscanf(file, "%u", &first) != 1)
            first = cpu;
        if (file != NULL)
            fclose(file);
        cores += first == cpu || first >= CPU_SETSIZE || !CPU_ISSET(first, &set);
    }
    return cores > 0 ? cores : cpus > 0 ? cpus : 1;
}

/* Threads that a model is worth. Each step of a graph ends with all threads waiting for each
 * other: a small model is done sooner than that takes, and on a busy machine the waiting costs
 * a hundred times the work. */
static unsigned threads_for(const struct mt_local_entry *entry)
{
    unsigned most = entry->local->threads > 0 ? entry->local->threads : physical_cores();
    int64_t worth = 1 + entry->gguf.parameters_n / PARAMETERS_PER_THREAD;

    return worth < (int64_t)most ? (unsigned)worth : most;
}

static void host_free(struct mt_host *host)
{
    struct mt_host **at = &host->local->hosts;

    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    mt_worker_free(host->worker);
    mt_free(host);
}

/* A header can claim anything: bounded, so that its product with contexts and slots is a
 * number. */
static int64_t kv_token_bytes(const struct mt_gguf *gguf)
{
    int64_t n = 2 * KV_BYTES;
    bool is_beyond = __builtin_mul_overflow(n, gguf->layers_n, &n) ||
                     __builtin_mul_overflow(n, gguf->heads_kv_n, &n) ||
                     __builtin_mul_overflow(n, gguf->head_dims, &n);

    return is_beyond || n > kv_token_most ? kv_token_most : n;
}

static struct mt_worker_opts worker_opts(struct mt_local_entry *entry, struct mt_host *host)
{
    struct mt_local *local = entry->local;
    unsigned parallel = entry->config.parallel_max;
    int64_t context = mt_entry__context(entry);

    parallel = parallel > 0 ? parallel : PARALLEL_DEFAULT;
    return (struct mt_worker_opts){
        .library_dir = local->library_dir,
        .name = entry->name,
        .path = entry->path,
        .lora_path = entry->lora_path,
        .lora_scale = entry->config.lora_scale,
        .context_tokens = context < MT_LOCAL_CONTEXT_MAX ? context : MT_LOCAL_CONTEXT_MAX,
        .parallel_max = parallel < MT_LOCAL_PARALLEL_MAX ? parallel : MT_LOCAL_PARALLEL_MAX,
        .threads = threads_for(entry),
        .queue_max = local->queue_max > 0 ? local->queue_max : QUEUE_DEFAULT,
        .gpu_layers = entry->config.gpu_layers,
        .kv_token_bytes = kv_token_bytes(&entry->gguf),
        .loop = local->loop,
        .on_pieces = mt_local__on_pieces,
        .ctx = host,
    };
}

static mt_rc host_new(struct mt_local_entry *entry, bool is_empty, struct mt_host **out,
                      struct mt_err *err)
{
    struct mt_host *host = mt_alloc(1, sizeof *host);

    if (host == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "model '%s'", entry->name);
    struct mt_worker_opts opts = worker_opts(entry, host);
    opts.is_empty = is_empty;
    mt_rc rc = mt_worker_start(&opts, &host->worker, err);
    if (rc < 0) {
        mt_free(host);
        return rc;
    }
    host->local = entry->local;
    host->next = entry->local->hosts;
    entry->local->hosts = host;
    *out = host;
    return MT_OK;
}

mt_rc mt_entry__host(struct mt_local_entry *entry, struct mt_host **out, struct mt_err *err)
{
    MT_TRY(mt_entry__card(entry, err));
    if (entry->host == NULL) {
        MT_TRY(host_new(entry, false, &entry->host, err));
        entry->host->entry = entry;
    }
    *out = entry->host;
    return MT_OK;
}

mt_rc mt_entry__empty_host(struct mt_local_entry *entry, struct mt_host **out,
                           struct mt_err *err)
{
    return host_new(entry, true, out, err);
}

static void tell_waiters(struct mt_host *host, const struct mt_chat_error *error)
{
    while (host->waiters != NULL) {
        struct mt_waiter *waiter = host->waiters;
        host->waiters = waiter->next;
        waiter->done(waiter->ctx, error);
        mt_free(waiter);
    }
}

static int64_t wall_s(void)
{
    return (int64_t)time(NULL);
}

static int64_t expiry_s(const struct mt_local_entry *entry)
{
    return wall_s() + (entry->keep_alive_ms + 999) / 1000;
}

int64_t mt_host__expires_at_s(const struct mt_host *host)
{
    const struct mt_local_entry *entry = host->entry;
    bool is_in_use = host->runs_n > 0 && entry->keep_alive_ms >= 0;

    return is_in_use ? expiry_s(entry) : entry->expires_at_s;
}

void mt_host__start_keep_alive(struct mt_host *host)
{
    struct mt_local_entry *entry = host->entry;

    if (entry == NULL || host->runs_n > 0 || !host->is_loaded || entry->keep_alive_ms < 0)
        return;
    entry->expires_at_s = expiry_s(entry);
    mt_timer_start(entry->timer, entry->keep_alive_ms);
}

void mt_host__run_begins(struct mt_host *host, struct mt_opt_i64 keep_alive_s)
{
    host->runs_n++;
    if (host->entry == NULL)
        return;
    mt_timer_stop(host->entry->timer);
    host->entry->expires_at_s = 0;
    if (keep_alive_s.has)
        host->entry->keep_alive_ms = keep_alive_s.value < 0 ? -1
                                     : keep_alive_s.value < INT32_MAX
                                         ? keep_alive_s.value * 1000
                                         : -1;
}

void mt_host__run_ends(struct mt_host *host)
{
    MT_ASSERT(host->runs_n > 0);
    host->runs_n--;
    if (host->is_ended && host->runs_n == 0)
        host_free(host);
    else
        mt_host__start_keep_alive(host);
}

void mt_host__on_loaded(struct mt_host *host)
{
    host->is_loaded = true;
    mt_host__start_keep_alive(host);
    tell_waiters(host, NULL);
}

void mt_host__on_ended(struct mt_host *host, const struct mt_chat_error *error)
{
    if (host->entry != NULL) /* it failed to load: the next request tries anew */
        host->entry->host = NULL;
    host->entry = NULL;
    host->is_ended = true;
    tell_waiters(host, error);
    if (host->runs_n == 0)
        host_free(host);
}

void mt_entry__unload(struct mt_local_entry *entry)
{
    struct mt_host *host = entry->host;

    mt_timer_stop(entry->timer);
    entry->expires_at_s = 0;
    entry->keep_alive_ms = entry->config.keep_alive_ms != 0 ? entry->config.keep_alive_ms
                                                            : MT_KEEP_ALIVE_DEFAULT_MS;
    if (host == NULL)
        return;
    entry->host = NULL; /* a new request loads it anew */
    host->entry = NULL;
    mt_worker_finish(host->worker);
}
