/* SPDX-License-Identifier: Apache-2.0 */
/* Joins account, journal and table. The thread belongs to a pool of one job that ends with the
 * ledger; the table is its alone from then on. */
#include "ledger/ledger.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "journal_priv.h"
#include "row_priv.h"
#include "store_priv.h"
#include "system/env.h"
#include "system/file.h"
#include "system/pool.h"

enum {
    JOURNAL_DEFAULT = 8 * 1024 * 1024,
    JOURNAL_MIN = 128 * 1024,
    JOURNAL_MAX = 1024 * 1024 * 1024,
    PAGE = 4096,
    SYNC_DEFAULT_MS = 50,
    RETRY_MS = 1000,
};

/* A file by name, and which one it was when it was opened. */
struct named_file {
    char *path; /* owned */
    dev_t device;
    ino_t inode;
};

struct mt_ledger {
    struct mt_ledger_opts opts; /* limits and dir are not kept */
    struct mt_env *env;
    struct mt_account *account;
    struct mt_journal *journal;
    struct mt_store *store;
    struct mt_pool *pool;
    pthread_mutex_t id_lock;
    struct mt_id_gen ids;
    _Atomic int64_t rows_n, trouble_n;
    struct named_file files[2]; /* journal, database */
};

/* ---- its files ---- */

static mt_rc remember(struct named_file *file, struct mt_err *err)
{
    struct stat found;

    if (stat(file->path, &found) != 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "'%s'", file->path);
    file->device = found.st_dev;
    file->inode = found.st_ino;
    return MT_OK;
}

static bool is_there(const struct named_file *file)
{
    struct stat found;

    return stat(file->path, &found) == 0 && found.st_dev == file->device &&
           found.st_ino == file->inode;
}

/* NULL when all is well. */
static const char *lost_file(const struct mt_ledger *l)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(l->files); i++) {
        if (!is_there(&l->files[i]))
            return l->files[i].path;
    }
    return NULL;
}

bool mt_ledger_is_lost(struct mt_ledger *l)
{
    return lost_file(l) != NULL;
}

/* ---- the thread ---- */

static void tell_trouble(struct mt_ledger *l, const struct mt_err *trouble)
{
    atomic_fetch_add(&l->trouble_n, 1);
    if (l->opts.on_trouble != NULL)
        l->opts.on_trouble(l->opts.arg, trouble);
}

static void sync_journal(struct mt_ledger *l)
{
    const char *lost = lost_file(l);
    struct mt_err trouble = {0};
    uint64_t synced = 0;

    if (lost != NULL) {
        (void)MT_FAIL(&trouble, MT_E_NOTFOUND,
                      "'%s' was deleted or replaced: what this node accounts for is lost when "
                      "it ends; start it anew",
                      lost);
        tell_trouble(l, &trouble);
    } else if (mt_journal__sync(l->journal, &synced, &trouble) != MT_OK)
        tell_trouble(l, &trouble); /* what is not synced is not acknowledged as such */
    else if (l->opts.on_synced != NULL)
        l->opts.on_synced(l->opts.arg, synced);
}

/* One batch after the other, with a sync between them: a long backlog does not hold up the sync
 * of what comes in meanwhile. */
static bool drain(struct mt_ledger *l)
{
    struct mt_journal_cursor cursor = mt_journal__pending(l->journal);
    struct mt_err trouble = {0};

    while (cursor.at < cursor.end) {
        int64_t n = 0;
        if (mt_store__drain(l->store, l->journal, &cursor, &n, &trouble) != MT_OK) {
            tell_trouble(l, &trouble);
            return false;
        }
        if (n == 0) { /* only if somebody else writes to the file */
            cursor.at = cursor.end;
            (void)MT_FAIL(&trouble, MT_E_CORRUPT, "journal: records damaged while running");
            tell_trouble(l, &trouble);
        }
        mt_journal__drained(l->journal, &cursor);
        if (cursor.at < cursor.end)
            sync_journal(l);
        atomic_store(&l->rows_n, mt_store__rows_n(l->store));
    }
    return true;
}

/* A few old rows per turn, so that no turn takes long. */
static bool prune(struct mt_ledger *l)
{
    struct mt_err trouble = {0};

    if (l->opts.keep_days <= 0)
        return true;
    int64_t oldest_ms = mt_env_now_wall_ms(l->env) - l->opts.keep_days * 86400000;
    if (mt_store__prune(l->store, oldest_ms, &trouble) == MT_OK)
        return true;
    tell_trouble(l, &trouble);
    return false;
}

static void work(void *arg)
{
    struct mt_ledger *l = arg;
    int64_t retry_at_ms = 0; /* monotonic; 0 = the database takes what it is given */

    /* half of the promise to gather, the other half for the sync itself */
    while (mt_journal__wait_work(l->journal, l->opts.sync_ms / 2,
                                 retry_at_ms > 0 ? RETRY_MS : 0)) {
        int64_t now_ms = mt_env_now_mono_ns(l->env) / 1000000;
        sync_journal(l);
        if (now_ms < retry_at_ms)
            continue;
        retry_at_ms = drain(l) && prune(l) ? 0 : now_ms + RETRY_MS;
    }
    sync_journal(l);
    (void)drain(l); /* what does not get into the table stays in the journal */
}

/* ---- requests ---- */

static struct mt_id next_id(struct mt_ledger *l, int64_t now_ms)
{
    pthread_mutex_lock(&l->id_lock);
    struct mt_id id = mt_id_next(&l->ids, now_ms);
    pthread_mutex_unlock(&l->id_lock);
    return id;
}

static struct mt_ledger_row row_of_ask(const struct mt_ledger_ask *ask,
                                       const struct mt_ledger_entry *entry)
{
    return (struct mt_ledger_row){
        .receipt = mt_id_str(&entry->receipt),
        .request_id = ask->request_id,
        .key = ask->most.key,
        .dialect = ask->dialect,
        .kind = ask->kind,
        .model_asked = ask->model_asked,
        .model_served = ask->most.model,
        .outcome = MT_OUTCOME_INTERRUPTED,
        .started_at_ms = entry->started_at_ms,
        .http_status = -1,
        .input_n = ask->input_n,
        .own_input_n = ask->input_n,
        .own_output_n = -1,
        .estimated = MT_ESTIMATED_INPUT | MT_ESTIMATED_OUTPUT | MT_ESTIMATED_COST,
        .cost_usd_nano = ask->input_cost_usd_nano,
        .ttft_us = -1,
        .duration_us = -1,
    };
}

static mt_rc write_reserved(struct mt_ledger *l, const struct mt_ledger_ask *ask,
                            struct mt_ledger_entry *entry, struct mt_err *err)
{
    struct mt_ledger_row row = row_of_ask(ask, entry);
    char bytes[MT_ROW_BYTES_MAX];
    struct mt_journal_new record = {
        .kind = MT_JOURNAL_RESERVED,
        .body = {bytes, mt_row__encode(&row, MT_ROW_TRIMMED, bytes)},
    };

    return mt_journal__append(l->journal, &record, &entry->seq, err);
}

mt_rc mt_ledger_begin(struct mt_ledger *l, const struct mt_ledger_ask *ask,
                      struct mt_ledger_entry *out, struct mt_limit_hit *hit, struct mt_err *err)
{
    struct mt_ledger_entry entry = {.started_at_ms = mt_env_now_wall_ms(l->env)};

    MT_TRY(
        mt_account_reserve(l->account, entry.started_at_ms, &ask->most, &entry.hold, hit, err));
    entry.receipt = next_id(l, entry.started_at_ms);
    mt_rc rc = write_reserved(l, ask, &entry, err);
    if (rc != MT_OK) {
        mt_account_release(l->account, entry.started_at_ms, &entry.hold);
        return rc;
    }
    *out = entry;
    return MT_OK;
}

static void write_progress(struct mt_ledger *l, const struct mt_ledger_entry *entry,
                           int64_t output_n, int64_t cost_usd_nano)
{
    struct mt_journal_progress p = {.output_n = output_n, .cost_usd_nano = cost_usd_nano};
    struct mt_journal_new record = {
        .kind = MT_JOURNAL_PROGRESS, .ref = entry->seq, .body = {(const char *)&p, sizeof p}};
    uint64_t seq;

    memcpy(p.receipt, entry->receipt.text, MT_ID_LEN);
    (void)mt_journal__append(l->journal, &record, &seq, NULL); /* of use only after a crash */
}

mt_rc mt_ledger_extend(struct mt_ledger *l, struct mt_ledger_entry *entry,
                       int64_t more_tokens_n, int64_t more_cost_usd_nano, int64_t output_n,
                       int64_t cost_usd_nano, struct mt_limit_hit *hit, struct mt_err *err)
{
    MT_ASSERT(entry->seq != 0);
    write_progress(l, entry, output_n, cost_usd_nano);
    return mt_account_extend(l->account, mt_env_now_wall_ms(l->env), &entry->hold,
                             more_tokens_n, more_cost_usd_nano, hit, err);
}

static mt_rc write_settled(struct mt_ledger *l, const struct mt_ledger_row *row, uint64_t ref,
                           uint64_t *seq, struct mt_err *err)
{
    char whole[MT_ROW_BYTES_MAX];
    char small[MT_ROW_BYTES_MAX];
    struct mt_journal_new record = {
        .kind = MT_JOURNAL_SETTLED,
        .ref = ref,
        .body = {whole, mt_row__encode(row, MT_ROW_WHOLE, whole)},
        .small = {small, ref != 0 ? mt_row__encode(row, MT_ROW_TRIMMED, small) : 0},
    };

    return mt_journal__append(l->journal, &record, seq, err);
}

static int64_t tokens_of(const struct mt_ledger_row *row)
{
    return mt_ledger_add(row->input_n > 0 ? row->input_n : 0,
                         row->output_n > 0 ? row->output_n : 0);
}

uint64_t mt_ledger_end(struct mt_ledger *l, struct mt_ledger_entry *entry,
                       const struct mt_ledger_row *row)
{
    struct mt_ledger_row full = *row;
    uint64_t seq = 0;

    if (entry->seq == 0)
        return 0;
    full.receipt = mt_id_str(&entry->receipt);
    full.started_at_ms = entry->started_at_ms;
    mt_account_settle(l->account, mt_env_now_wall_ms(l->env), &entry->hold, tokens_of(row),
                      row->cost_usd_nano);
    mt_rc rc = write_settled(l, &full, entry->seq, &seq, NULL);
    MT_ASSERT(rc == MT_OK); /* its room was kept by begin */
    *entry = (struct mt_ledger_entry){.seq = 0};
    return seq;
}

mt_rc mt_ledger_note(struct mt_ledger *l, const struct mt_ledger_row *row,
                     struct mt_id *receipt, uint64_t *seq, struct mt_err *err)
{
    struct mt_ledger_row full = *row;
    struct mt_id id = {{0}};
    uint64_t own_seq = 0;

    if (full.started_at_ms == 0)
        full.started_at_ms = mt_env_now_wall_ms(l->env);
    if (full.receipt.len == 0) {
        id = next_id(l, full.started_at_ms);
        full.receipt = mt_id_str(&id);
    } else if (mt_id_is_valid(full.receipt)) {
        memcpy(id.text, full.receipt.at, MT_ID_LEN);
    } else {
        return MT_FAIL(err, MT_E_INVALID, "ledger: a row with a receipt that is none");
    }
    MT_TRY(write_settled(l, &full, 0, &own_seq, err));
    if (receipt != NULL)
        *receipt = id;
    if (seq != NULL)
        *seq = own_seq;
    return MT_OK;
}

mt_rc mt_ledger_wait(struct mt_ledger *l, uint64_t seq, int64_t timeout_ms, struct mt_err *err)
{
    return mt_journal__wait(l->journal, MT_JOURNAL_SYNCED, seq, timeout_ms, err);
}

mt_rc mt_ledger_flush(struct mt_ledger *l, int64_t timeout_ms, struct mt_err *err)
{
    return mt_journal__wait(l->journal, MT_JOURNAL_DRAINED, 0, timeout_ms, err);
}

struct mt_account *mt_ledger_account(struct mt_ledger *l)
{
    return l->account;
}

void mt_ledger_stats(struct mt_ledger *l, struct mt_ledger_stats *out)
{
    struct mt_journal_state state = mt_journal__state(l->journal);

    *out = (struct mt_ledger_stats){
        .open_n = state.open_n,
        .records_n = state.records_n,
        .rows_n = atomic_load(&l->rows_n),
        .busy_n = state.busy_n,
        .trimmed_n = state.small_n,
        .trouble_n = atomic_load(&l->trouble_n),
        .backlog_bytes = state.backlog_bytes,
    };
}

/* ---- open and close ---- */

static mt_rc replay(struct mt_ledger *l, struct mt_ledger_report *report, struct mt_err *err)
{
    struct mt_journal_cursor cursor = mt_journal__recover(l->journal);

    for (int64_t n = 1; n > 0; report->replayed_n += n)
        MT_TRY(mt_store__drain(l->store, l->journal, &cursor, &n, err));
    report->damaged_bytes = (int64_t)cursor.damaged;
    MT_TRY(mt_store__interrupt_open(l->store, &report->interrupted_n, err));
    return mt_journal__restart(l->journal, cursor.seq, err);
}

static void draw(void *env, void *to, size_t n)
{
    mt_env_random(env, to, n);
}

static mt_rc open_files(struct mt_ledger *l, const struct mt_ledger_opts *opts,
                        struct mt_err *err)
{
    size_t bytes = opts->journal_bytes > 0 ? opts->journal_bytes : JOURNAL_DEFAULT;

    l->files[0].path = mt_path_join(opts->dir, "ledger.journal");
    l->files[1].path = mt_path_join(opts->dir, MT_STORE_FILE);
    if (l->files[0].path == NULL || l->files[1].path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "ledger");
    if (bytes < JOURNAL_MIN || bytes > JOURNAL_MAX)
        return MT_FAIL(err, MT_E_INVALID, "journal of %zu bytes: expected %d to %d", bytes,
                       JOURNAL_MIN, JOURNAL_MAX);
    MT_TRY(mt_store__open(l->files[1].path, &l->store, err));
    MT_TRY(mt_journal__open(l->files[0].path, bytes / PAGE * PAGE, &l->journal, err));
    for (size_t i = 0; i < MT_ARRAY_LEN(l->files); i++)
        MT_TRY(remember(&l->files[i], err));
    return mt_dir_sync(opts->dir, err);
}

static mt_rc start(struct mt_ledger *l, const struct mt_ledger_opts *opts,
                   struct mt_ledger_report *report, struct mt_err *err)
{
    MT_TRY(mt_account_new(opts->limits, opts->limits_n, &l->account, err));
    MT_TRY(open_files(l, opts, err));
    MT_TRY(replay(l, report, err));
    MT_TRY(mt_store__restore(l->store, l->account, mt_env_now_wall_ms(l->env), err));
    MT_TRY(mt_pool_new("motet-ledger", 1, &l->pool, err));
    return mt_pool_post(l->pool, work, l, err);
}

static void closep(struct mt_ledger **ledger)
{
    mt_ledger_close(*ledger);
}

mt_rc mt_ledger_open(const struct mt_ledger_opts *opts, struct mt_ledger **out,
                     struct mt_ledger_report *report, struct mt_err *err)
{
    MT_CLEANUP(closep) struct mt_ledger *l = mt_alloc(1, sizeof *l);
    struct mt_ledger_report found = {0};

    if (l == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "ledger");
    l->opts = *opts;
    l->opts.sync_ms = opts->sync_ms > 0 ? opts->sync_ms : SYNC_DEFAULT_MS;
    l->env = opts->env != NULL ? opts->env : mt_env_real();
    pthread_mutex_init(&l->id_lock, NULL);
    mt_id_gen_init(&l->ids, draw, l->env);
    mt_rc rc = start(l, opts, &found, err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "ledger in '%s'", opts->dir);
    if (report != NULL)
        *report = found;
    *out = MT_MOVE(l);
    return MT_OK;
}

void mt_ledger_close(struct mt_ledger *l)
{
    if (l == NULL)
        return;
    if (l->pool != NULL)
        mt_journal__stop(l->journal);
    mt_pool_free(l->pool);
    mt_journal__close(l->journal);
    mt_store__close(l->store);
    mt_account_free(l->account);
    for (size_t i = 0; i < MT_ARRAY_LEN(l->files); i++)
        mt_free(l->files[i].path);
    pthread_mutex_destroy(&l->id_lock);
    mt_free(l);
}
