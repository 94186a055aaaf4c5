/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a journal: made, mapped, its head and slots. */
#include "journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "journal_layout_priv.h"
#include "system/file.h"

enum { ZERO_BYTES = 64 * 1024 };

static const char file_magic[8] = {'M', 'T', 'J', 'R', 'N', 'L', '1', '\n'};

static uint64_t slot_check(const struct mt_journal_slot *slot)
{
    return mt_checksum(mt_journal__bytes(&slot->turn, sizeof *slot - sizeof slot->check), 1);
}

void mt_journal__write_slot(struct mt_journal *j, uint64_t at, uint64_t seq)
{
    j->slot.turn++;
    j->slot.at = at;
    j->slot.seq = seq;
    j->slot.check = slot_check(&j->slot);
    memcpy(j->map + MT_JOURNAL_SLOT * (1 + j->slot.turn % 2), &j->slot, sizeof j->slot);
}

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
        struct mt_journal_slot slot;
        memcpy(&slot, j->map + MT_JOURNAL_SLOT * (1 + i), sizeof slot);
        if (slot.turn > j->slot.turn && slot.check == slot_check(&slot) &&
            slot.at % MT_JOURNAL_ALIGN == 0)
            j->slot = slot;
    }
}

static void write_head(struct mt_journal *j)
{
    struct mt_journal_head head = {.area = j->area};

    memcpy(head.magic, file_magic, sizeof head.magic);
    head.check = mt_checksum(mt_journal__bytes(&head, sizeof head - sizeof head.check), 4);
    memcpy(j->map, &head, sizeof head);
}

/* The area an existing file was laid out for; whole pages of what is there when its head is
 * damaged; 0 when there is nothing. */
static size_t area_found(int fd, uint64_t file_bytes)
{
    struct mt_journal_head head;

    if (file_bytes <= MT_JOURNAL_HEAD)
        return 0;
    if (pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head &&
        memcmp(head.magic, file_magic, sizeof head.magic) == 0 &&
        head.check ==
            mt_checksum(mt_journal__bytes(&head, sizeof head - sizeof head.check), 4) &&
        head.area % MT_JOURNAL_HEAD == 0 && head.area > 0 && head.area <= ((uint64_t)1 << 30))
        return (size_t)head.area;
    uint64_t pages = (file_bytes - 1) / MT_JOURNAL_HEAD; /* what is cut off is zeros again */
    return pages <= ((uint64_t)1 << 30) / MT_JOURNAL_HEAD ? (size_t)pages * MT_JOURNAL_HEAD : 0;
}

static mt_rc map_file(struct mt_journal *j, size_t area, struct mt_err *err)
{
    void *map =
        mmap(NULL, MT_JOURNAL_HEAD + area, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);

    if (map == MAP_FAILED)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "journal: map %zu bytes", area);
    j->map = map;
    j->area = area;
    return MT_OK;
}

static void unmap(struct mt_journal *j)
{
    if (j->map != NULL)
        munmap(j->map, MT_JOURNAL_HEAD + j->area);
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
    MT_ASSERT(area_bytes % MT_JOURNAL_HEAD == 0 && area_bytes >= 16 * MT_JOURNAL_RECORD_MAX);
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
    if (flock(j->fd, LOCK_EX | LOCK_NB) != 0) /* until it is closed, by us or by our end */
        return MT_FAIL(err, MT_E_BUSY, "journal '%s': another process has it open", path);
    size_t area = area_found(j->fd, (uint64_t)found.st_size);
    if (area == 0)
        area = area_bytes;
    MT_TRY(fill_zeros(j->fd, (uint64_t)found.st_size, MT_JOURNAL_HEAD + area, err));
    MT_TRY(map_file(j, area, err));
    read_slots(j);
    *out = MT_MOVE(j);
    return MT_OK;
}

/* The content is not needed any more; the first page with the slots stays. */
static mt_rc resize(struct mt_journal *j, struct mt_err *err)
{
    unmap(j);
    if (ftruncate(j->fd, MT_JOURNAL_HEAD) != 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "journal: resize");
    MT_TRY(fill_zeros(j->fd, MT_JOURNAL_HEAD, MT_JOURNAL_HEAD + j->wanted, err));
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
    mt_journal__write_slot(j, j->tail, j->seq);
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
