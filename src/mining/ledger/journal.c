/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, appending, syncing; the layout is drawn in journal_layout_priv.h. */
#include "journal_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "journal_layout_priv.h"

static uint64_t record_check(const struct mt_journal_raw *record)
{
    return mt_checksum(mt_journal__bytes(&record->magic, sizeof *record - sizeof record->check),
                       2);
}

static uint64_t body_check(struct mt_str body)
{
    return mt_checksum(body, 3);
}

enum { SCANNED = 128 * 1024 };

/* ---- reading ---- */

/* Pages of a stretch leave this process's memory; the file keeps them. */
static void forget_pages(const struct mt_journal *j, uint64_t from, uint64_t to)
{
    const uintptr_t mask = ~(uintptr_t)(MT_JOURNAL_HEAD - 1);

    while (from < to) {
        size_t left = j->area - from % j->area;
        size_t n = to - from < left ? (size_t)(to - from) : left;
        char *at = mt_journal__ring(j, from);
        size_t skip = (((uintptr_t)at + ~mask) & mask) - (uintptr_t)at;
        size_t whole = n > skip ? (n - skip) & mask : 0;
        if (whole > 0)
            (void)madvise(at + skip, whole, MADV_DONTNEED); /* advice: failing is harmless */
        from += n;
    }
}

enum origin { FOUND, OURS };

/* The record at a position, if there is a valid one. Bodies that this process wrote are not
 * checked again. */
static bool read_record(const struct mt_journal *j, uint64_t position, enum origin origin,
                        struct mt_journal_raw *out)
{
    size_t room = j->area - position % j->area;
    const char *at = mt_journal__ring(j, position);

    memcpy(out, at, sizeof *out); /* room is at least MT_JOURNAL_ALIGN */
    if (out->magic != MT_JOURNAL_MAGIC || out->check != record_check(out))
        return false;
    if (out->size > room || out->size % MT_JOURNAL_ALIGN != 0 || out->size < sizeof *out ||
        out->body_len > out->size - sizeof *out || out->kind < MT_JOURNAL_PAD ||
        out->kind > MT_JOURNAL_SETTLED)
        return false;
    return origin == OURS || out->kind == MT_JOURNAL_PAD ||
           out->body_check == body_check(mt_journal__bytes(at + sizeof *out, out->body_len));
}

bool mt_journal__next(const struct mt_journal *j, struct mt_journal_cursor *c,
                      struct mt_journal_record *out)
{
    struct mt_journal_raw record;

    while (c->at < c->end) {
        uint64_t at = c->at;
        if (!read_record(j, at, c->is_ours_ ? OURS : FOUND, &record) || record.seq <= c->seq) {
            c->at += MT_JOURNAL_ALIGN;
            c->skipped_ += MT_JOURNAL_ALIGN;
            if (c->at % SCANNED == 0) /* a search through the whole file stays small */
                forget_pages(j, c->at - SCANNED, c->at);
            continue;
        }
        c->at += record.size;
        c->seq = record.seq;
        c->damaged += c->skipped_;
        c->skipped_ = 0;
        if (record.kind == MT_JOURNAL_PAD)
            continue;
        *out = (struct mt_journal_record){
            .kind = (enum mt_journal_kind)record.kind,
            .seq = record.seq,
            .ref = record.ref,
            .body = {mt_journal__ring(j, at) + sizeof record, record.body_len},
        };
        return true;
    }
    return false;
}

/* Without a valid slot the walk begins at the oldest record there is; the ring's order makes
 * all others follow it. */
static uint64_t oldest(const struct mt_journal *j)
{
    uint64_t found = 0;
    uint64_t seq = UINT64_MAX;
    struct mt_journal_raw record;

    for (uint64_t at = 0; at < j->area; at += MT_JOURNAL_ALIGN) {
        if (read_record(j, at, FOUND, &record) && record.seq < seq) {
            seq = record.seq;
            found = at;
        }
        if (at % SCANNED == 0)
            forget_pages(j, at > SCANNED ? at - SCANNED : 0, at);
    }
    return found;
}

struct mt_journal_cursor mt_journal__recover(struct mt_journal *j)
{
    bool has_slot = j->slot.turn > 0;
    uint64_t at = has_slot ? j->slot.at : oldest(j);

    return (struct mt_journal_cursor){
        .at = at, .end = at + j->area, .seq = has_slot ? j->slot.seq : 0};
}

struct mt_journal_cursor mt_journal__pending(struct mt_journal *j)
{
    pthread_mutex_lock(&j->lock);
    struct mt_journal_cursor c = {
        .at = j->drained_at, .end = j->tail, .seq = j->drained_seq, .is_ours_ = true};
    pthread_mutex_unlock(&j->lock);
    return c;
}

/* ---- writing ---- */

static size_t size_for(size_t body_len)
{
    return (sizeof(struct mt_journal_raw) + body_len + MT_JOURNAL_ALIGN - 1) /
           MT_JOURNAL_ALIGN * MT_JOURNAL_ALIGN;
}

static void put_record(struct mt_journal *j, struct mt_journal_raw record, struct mt_str body)
{
    char *to = mt_journal__ring(j, j->tail);

    record.magic = MT_JOURNAL_MAGIC;
    record.seq = ++j->seq;
    record.check = record_check(&record);
    if (body.len > 0)
        memcpy(to + sizeof record, body.at, body.len);
    memcpy(to, &record, sizeof record);
    j->tail += record.size;
}

/* Bytes of the area's end that a record of this size cannot use. */
static size_t pad_for(const struct mt_journal *j, size_t size)
{
    size_t left = j->area - j->tail % j->area;

    return size <= left ? 0 : left;
}

static bool has_room(const struct mt_journal *j, size_t body_len, uint64_t promised_n)
{
    size_t size = size_for(body_len);
    uint64_t wanted =
        pad_for(j, size) + size + promised_n * MT_JOURNAL_SETTLE_ROOM + MT_JOURNAL_RECORD_MAX;

    return wanted <= j->area - (j->tail - j->head);
}

static void append(struct mt_journal *j, const struct mt_journal_new *new, struct mt_str body,
                   uint64_t check)
{
    size_t size = size_for(body.len);
    size_t pad = pad_for(j, size);

    if (pad > 0)
        put_record(j, (struct mt_journal_raw){.kind = MT_JOURNAL_PAD, .size = (uint32_t)pad},
                   mt_journal__bytes(NULL, 0));
    put_record(j,
               (struct mt_journal_raw){.kind = (uint16_t) new->kind,
                                       .size = (uint32_t)size,
                                       .body_len = (uint32_t)body.len,
                                       .ref = new->ref,
                                       .body_check = check},
               body);
    j->records_n++;
    bool is_urgent = j->tail - j->head > j->area / 4;
    if (!j->is_dirty || (is_urgent && !j->is_urgent))
        pthread_cond_signal(&j->work);
    j->is_dirty = true;
    j->is_urgent |= is_urgent;
    MT_ASSERT(j->tail - j->head <= j->area);
}

/* Under the lock; check is that of the whole body, made outside it. */
static bool try_append(struct mt_journal *j, const struct mt_journal_new *new, uint64_t check)
{
    bool is_settling = new->kind == MT_JOURNAL_SETTLED &&new->ref != 0;
    uint64_t promised_n =
        j->open_n + (new->kind == MT_JOURNAL_RESERVED) - (is_settling ? 1 : 0);

    MT_ASSERT(!is_settling || j->open_n > 0);
    if (has_room(j, new->body.len, promised_n)) {
        append(j, new, new->body, check);
    } else if (is_settling) { /* promised when it was reserved */
        append(j, new, new->small, body_check(new->small));
        j->small_n++;
    } else {
        j->busy_n += new->kind != MT_JOURNAL_PROGRESS;
        return false;
    }
    j->open_n = promised_n;
    return true;
}

mt_rc mt_journal__append(struct mt_journal *j, const struct mt_journal_new *new, uint64_t *seq,
                         struct mt_err *err)
{
    MT_ASSERT(size_for(new->body.len) <= MT_JOURNAL_RECORD_MAX &&
              new->small.len <= MT_ROW_TRIMMED_MAX);
    uint64_t check = body_check(new->body);

    pthread_mutex_lock(&j->lock);
    bool is_done = try_append(j, new, check);
    if (is_done)
        *seq = j->seq;
    pthread_mutex_unlock(&j->lock);
    if (!is_done)
        return MT_FAIL(err, MT_E_BUSY,
                       "journal: its %zu bytes are full, the database is behind", j->area);
    return MT_OK;
}

/* ---- the thread that drains ---- */

mt_rc mt_journal__sync(struct mt_journal *j, uint64_t *synced, struct mt_err *err)
{
    pthread_mutex_lock(&j->lock);
    uint64_t seq = j->seq;
    uint64_t from = j->head;
    uint64_t free_to = j->drained_at; /* its slot is written, and synced now */
    pthread_mutex_unlock(&j->lock);
    if (fdatasync(j->fd) != 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "journal: sync");
    pthread_mutex_lock(&j->lock);
    j->synced_seq = seq;
    j->head = free_to;
    pthread_cond_broadcast(&j->done);
    pthread_mutex_unlock(&j->lock);
    forget_pages(j, from, free_to);
    *synced = seq;
    return MT_OK;
}

void mt_journal__drained(struct mt_journal *j, const struct mt_journal_cursor *c)
{
    mt_journal__write_slot(j, c->at, c->seq);
    pthread_mutex_lock(&j->lock);
    j->drained_at = c->at;
    j->drained_seq = c->seq;
    j->is_dirty = true; /* the slot */
    pthread_cond_broadcast(&j->done);
    pthread_mutex_unlock(&j->lock);
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec when;

    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += (time_t)(ms / 1000);
    when.tv_nsec += (long)(ms % 1000) * 1000000;
    if (when.tv_nsec >= 1000000000) {
        when.tv_nsec -= 1000000000;
        when.tv_sec++;
    }
    return when;
}

bool mt_journal__wait_work(struct mt_journal *j, int64_t gather_ms, int64_t retry_ms)
{
    struct timespec when = in_ms(retry_ms);
    int timed_out = 0;

    pthread_mutex_lock(&j->lock);
    while (!j->is_dirty && !j->is_stopping && timed_out == 0)
        timed_out = retry_ms > 0 ? pthread_cond_timedwait(&j->work, &j->lock, &when)
                                 : pthread_cond_wait(&j->work, &j->lock);
    when = in_ms(gather_ms);
    timed_out = 0;
    while ((!j->is_urgent || retry_ms > 0) && !j->is_stopping && timed_out == 0)
        timed_out = pthread_cond_timedwait(&j->work, &j->lock, &when);
    j->is_dirty = false;
    j->is_urgent = false;
    bool goes_on = !j->is_stopping;
    pthread_mutex_unlock(&j->lock);
    return goes_on;
}

void mt_journal__stop(struct mt_journal *j)
{
    pthread_mutex_lock(&j->lock);
    j->is_stopping = true;
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
}

mt_rc mt_journal__wait(struct mt_journal *j, enum mt_journal_until until, uint64_t seq,
                       int64_t timeout_ms, struct mt_err *err)
{
    const uint64_t *reached = until == MT_JOURNAL_SYNCED ? &j->synced_seq : &j->drained_seq;
    struct timespec when = in_ms(timeout_ms);
    int failed = 0;

    pthread_mutex_lock(&j->lock);
    if (seq == 0)
        seq = j->seq;
    while (*reached < seq && failed == 0) {
        j->is_urgent = true;
        pthread_cond_signal(&j->work);
        failed = pthread_cond_timedwait(&j->done, &j->lock, &when);
    }
    bool is_reached = *reached >= seq;
    pthread_mutex_unlock(&j->lock);
    if (!is_reached)
        return MT_FAIL(err, MT_E_TIMEOUT, "journal: not %s within %lld ms",
                       until == MT_JOURNAL_SYNCED ? "on disk" : "in the database",
                       (long long)timeout_ms);
    return MT_OK;
}

struct mt_journal_state mt_journal__state(struct mt_journal *j)
{
    pthread_mutex_lock(&j->lock);
    struct mt_journal_state state = {
        .open_n = (int64_t)j->open_n,
        .records_n = j->records_n,
        .busy_n = j->busy_n,
        .small_n = j->small_n,
        .backlog_bytes = (int64_t)(j->tail - j->drained_at),
    };
    pthread_mutex_unlock(&j->lock);
    return state;
}
