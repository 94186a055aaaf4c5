/* SPDX-License-Identifier: Apache-2.0 */
/* The file, in the byte order of the machine:
 *
 *   0     char[8] "MTJRNL1\n"   u64 area [bytes]   u64 checksum of these
 *   1024  slot 0: u64 checksum of the rest   u64 turn   u64 position   u64 seq
 *   2048  slot 1: the same; the valid one with the larger turn counts
 *   4096  area: records, each at a multiple of 64
 *
 * A record:
 *
 *   0   u64 checksum of bytes 8..47   u32 magic   u16 kind   u16 zero
 *   16  u32 size, a multiple of 64    u32 bytes of the body
 *   24  u64 seq   u64 ref   u64 checksum of the body
 *   48  body
 *
 * A killed process leaves the pages to the kernel, so a record whose append returned is there.
 * A power cut may leave any mixture of pages newer than the last sync: every record proves
 * itself, sequence numbers only grow, and what the slot says was drained is not read again. */
#include "journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "crypto/digest.h"
#include "row_priv.h"
#include "system/file.h"

enum {
    HEAD_BYTES = 4096,
    SLOT_AT = 1024,
    ALIGN = 64,
    RECORD_MAGIC = 0x544d4a52,
    RECORD_MAX = 8192,
    SETTLE_ROOM = 1024, /* a trimmed settlement with its head, rounded up, and some */
    ZERO_BYTES = 64 * 1024,
};

struct file_head {
    char magic[8];
    uint64_t area;
    uint64_t check;
};

struct slot {
    uint64_t check;
    uint64_t turn;
    uint64_t at;
    uint64_t seq;
};

struct record {
    uint64_t check;
    uint32_t magic;
    uint16_t kind;
    uint16_t zero;
    uint32_t size;
    uint32_t body_len;
    uint64_t seq;
    uint64_t ref;
    uint64_t body_check;
};

_Static_assert(sizeof(struct record) == 48, "as drawn");
_Static_assert(sizeof(struct record) + MT_ROW_BYTES_MAX + ALIGN <= RECORD_MAX, "a row fits");
_Static_assert(sizeof(struct record) + MT_ROW_TRIMMED_MAX + ALIGN <= SETTLE_ROOM, "it fits");

struct mt_journal {
    int fd;
    char *map;
    size_t area;
    size_t wanted;    /* area after the restart */
    struct slot slot; /* the newest written */
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the thread that drains */
    pthread_cond_t done; /* for those who wait for it */
    uint64_t head, tail; /* positions */
    uint64_t seq, synced_seq, drained_seq;
    uint64_t drained_at; /* free after the next sync */
    uint64_t open_n;
    bool is_dirty, is_urgent, is_stopping;
    int64_t records_n, busy_n, small_n;
};

static const char file_magic[8] = {'M', 'T', 'J', 'R', 'N', 'L', '1', '\n'};

static struct mt_str bytes_of(const void *at, size_t n)
{
    return (struct mt_str){at, n};
}

static uint64_t slot_check(const struct slot *slot)
{
    return mt_checksum(bytes_of(&slot->turn, sizeof *slot - sizeof slot->check), 1);
}

static uint64_t record_check(const struct record *record)
{
    return mt_checksum(bytes_of(&record->magic, sizeof *record - sizeof record->check), 2);
}

static uint64_t body_check(struct mt_str body)
{
    return mt_checksum(body, 3);
}

static char *ring_at(const struct mt_journal *j, uint64_t position)
{
    return j->map + HEAD_BYTES + position % j->area;
}

/* ---- reading ---- */

/* The record at a position, if there is a valid one. */
static bool read_record(const struct mt_journal *j, uint64_t position, struct record *out)
{
    size_t room = j->area - position % j->area;
    const char *at = ring_at(j, position);

    memcpy(out, at, sizeof *out); /* room is at least ALIGN */
    if (out->magic != RECORD_MAGIC || out->check != record_check(out))
        return false;
    if (out->size > room || out->size % ALIGN != 0 || out->size < sizeof *out ||
        out->body_len > out->size - sizeof *out || out->kind < MT_JOURNAL_PAD ||
        out->kind > MT_JOURNAL_SETTLED)
        return false;
    return out->kind == MT_JOURNAL_PAD ||
           out->body_check == body_check(bytes_of(at + sizeof *out, out->body_len));
}

bool mt_journal__next(const struct mt_journal *j, struct mt_journal_cursor *c,
                      struct mt_journal_record *out)
{
    struct record record;

    while (c->at < c->end) {
        uint64_t at = c->at;
        if (!read_record(j, at, &record) || record.seq <= c->seq) {
            c->at += ALIGN;
            c->skipped_ += ALIGN;
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
            .body = {ring_at(j, at) + sizeof record, record.body_len},
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
    struct record record;

    for (uint64_t at = 0; at < j->area; at += ALIGN) {
        if (read_record(j, at, &record) && record.seq < seq) {
            seq = record.seq;
            found = at;
        }
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
    struct mt_journal_cursor c = {.at = j->drained_at, .end = j->tail, .seq = j->drained_seq};
    pthread_mutex_unlock(&j->lock);
    return c;
}

/* ---- writing ---- */

static void write_slot(struct mt_journal *j, uint64_t at, uint64_t seq)
{
    j->slot.turn++;
    j->slot.at = at;
    j->slot.seq = seq;
    j->slot.check = slot_check(&j->slot);
    memcpy(j->map + SLOT_AT * (1 + j->slot.turn % 2), &j->slot, sizeof j->slot);
}

static size_t size_for(size_t body_len)
{
    return (sizeof(struct record) + body_len + ALIGN - 1) / ALIGN * ALIGN;
}

static void put_record(struct mt_journal *j, struct record record, struct mt_str body)
{
    char *to = ring_at(j, j->tail);

    record.magic = RECORD_MAGIC;
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
    uint64_t wanted = pad_for(j, size) + size + promised_n * SETTLE_ROOM + RECORD_MAX;

    return wanted <= j->area - (j->tail - j->head);
}

static void append(struct mt_journal *j, const struct mt_journal_new *new, struct mt_str body,
                   uint64_t check)
{
    size_t size = size_for(body.len);
    size_t pad = pad_for(j, size);

    if (pad > 0)
        put_record(j, (struct record){.kind = MT_JOURNAL_PAD, .size = (uint32_t)pad},
                   bytes_of(NULL, 0));
    put_record(j,
               (struct record){.kind = (uint16_t) new->kind,
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
    MT_ASSERT(size_for(new->body.len) <= RECORD_MAX && new->small.len <= MT_ROW_TRIMMED_MAX);
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

/* Pages of a drained stretch leave this process's memory; the file keeps them. */
static void forget_pages(const struct mt_journal *j, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t left = j->area - from % j->area;
        size_t n = to - from < left ? (size_t)(to - from) : left;
        uintptr_t begin =
            ((uintptr_t)ring_at(j, from) + HEAD_BYTES - 1) & ~(uintptr_t)(HEAD_BYTES - 1);
        uintptr_t end = ((uintptr_t)ring_at(j, from) + n) & ~(uintptr_t)(HEAD_BYTES - 1);
        if (begin < end)
            (void)madvise(ring_at(j, from) + (begin - (uintptr_t)ring_at(j, from)), end - begin,
                          MADV_DONTNEED);
        from += n;
    }
}

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
    write_slot(j, c->at, c->seq);
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

/* ---- open and close ---- */

/* Real zeros, because writing to a hole of a full disk would kill the process (SIGBUS). */
static mt_rc fill_zeros(int fd, uint64_t from, uint64_t to, struct mt_err *err)
{
    static const char zeros[ZERO_BYTES];

    while (from < to) {
        size_t n = to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        ssize_t put = pwrite(fd, zeros, n, (off_t)from);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
            return MT_FAIL(err, MT_E_IO, "journal: disk full, %llu bytes needed",
                           (unsigned long long)(to - from));
        if (put < 0)
            return MT_FAIL_SYS(err, MT_E_IO, errno, "journal: write");
        from += (uint64_t)put;
    }
    return MT_OK;
}

static void read_slots(struct mt_journal *j)
{
    for (size_t i = 0; i < 2; i++) {
        struct slot slot;
        memcpy(&slot, j->map + SLOT_AT * (1 + i), sizeof slot);
        if (slot.turn > j->slot.turn && slot.check == slot_check(&slot) && slot.at % ALIGN == 0)
            j->slot = slot;
    }
}

static void write_head(struct mt_journal *j)
{
    struct file_head head = {.area = j->area};

    memcpy(head.magic, file_magic, sizeof head.magic);
    head.check = mt_checksum(bytes_of(&head, sizeof head - sizeof head.check), 4);
    memcpy(j->map, &head, sizeof head);
}

/* The area an existing file was laid out for; whole pages of what is there when its head is
 * damaged; 0 when there is nothing. */
static size_t area_found(int fd, uint64_t file_bytes)
{
    struct file_head head;

    if (file_bytes <= HEAD_BYTES)
        return 0;
    if (pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head &&
        memcmp(head.magic, file_magic, sizeof head.magic) == 0 &&
        head.check == mt_checksum(bytes_of(&head, sizeof head - sizeof head.check), 4) &&
        head.area % HEAD_BYTES == 0 && head.area > 0 && head.area <= ((uint64_t)1 << 30))
        return (size_t)head.area;
    uint64_t pages = (file_bytes - 1) / HEAD_BYTES; /* what is cut off is zeros again */
    return pages <= ((uint64_t)1 << 30) / HEAD_BYTES ? (size_t)pages * HEAD_BYTES : 0;
}

static mt_rc map_file(struct mt_journal *j, size_t area, struct mt_err *err)
{
    void *map = mmap(NULL, HEAD_BYTES + area, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);

    if (map == MAP_FAILED)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "journal: map %zu bytes", area);
    j->map = map;
    j->area = area;
    return MT_OK;
}

static void unmap(struct mt_journal *j)
{
    if (j->map != NULL)
        munmap(j->map, HEAD_BYTES + j->area);
    j->map = NULL;
}

static void closep(struct mt_journal **journal)
{
    mt_journal__close(*journal);
}

static void init_locks(struct mt_journal *j)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->work, &monotonic);
    pthread_cond_init(&j->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

mt_rc mt_journal__open(const char *path, size_t area_bytes, struct mt_journal **out,
                       struct mt_err *err)
{
    MT_ASSERT(area_bytes % HEAD_BYTES == 0 && area_bytes >= 16 * RECORD_MAX);
    MT_CLEANUP(closep) struct mt_journal *j = mt_alloc(1, sizeof *j);
    struct stat found;

    if (j == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "journal");
    j->fd = -1;
    j->wanted = area_bytes;
    init_locks(j);
    j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->fd < 0 || fstat(j->fd, &found) != 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "journal '%s'", path);
    size_t area = area_found(j->fd, (uint64_t)found.st_size);
    if (area == 0)
        area = area_bytes;
    MT_TRY(fill_zeros(j->fd, (uint64_t)found.st_size, HEAD_BYTES + area, err));
    MT_TRY(map_file(j, area, err));
    read_slots(j);
    *out = MT_MOVE(j);
    return MT_OK;
}

/* The content is not needed any more; the first page with the slots stays. */
static mt_rc resize(struct mt_journal *j, struct mt_err *err)
{
    unmap(j);
    if (ftruncate(j->fd, HEAD_BYTES) != 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "journal: resize");
    MT_TRY(fill_zeros(j->fd, HEAD_BYTES, HEAD_BYTES + j->wanted, err));
    return map_file(j, j->wanted, err);
}

mt_rc mt_journal__restart(struct mt_journal *j, uint64_t last_seq, struct mt_err *err)
{
    uint64_t synced;

    if (j->area != j->wanted)
        MT_TRY(resize(j, err));
    j->seq = last_seq > j->slot.seq ? last_seq : j->slot.seq;
    j->tail = (j->slot.at / j->area + 2) * j->area; /* beyond all positions of before */
    j->head = j->drained_at = j->tail;
    j->drained_seq = j->seq;
    write_head(j);
    write_slot(j, j->tail, j->seq);
    return mt_journal__sync(j, &synced, err);
}

void mt_journal__close(struct mt_journal *j)
{
    if (j == NULL)
        return;
    unmap(j);
    mt_fd_closep(&j->fd);
    pthread_cond_destroy(&j->done);
    pthread_cond_destroy(&j->work);
    pthread_mutex_destroy(&j->lock);
    mt_free(j);
}
