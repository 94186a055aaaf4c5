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
#ifndef MT_LEDGER_JOURNAL_LAYOUT_PRIV_H
#define MT_LEDGER_JOURNAL_LAYOUT_PRIV_H

#include <pthread.h>

#include "crypto/digest.h"
#include "journal_priv.h"
#include "row_priv.h"

enum {
    MT_JOURNAL_HEAD = 4096,
    MT_JOURNAL_SLOT = 1024,
    MT_JOURNAL_ALIGN = 64,
    MT_JOURNAL_MAGIC = 0x544d4a52,
    MT_JOURNAL_RECORD_MAX = 8192,
    MT_JOURNAL_SETTLE_ROOM =
        1280, /* a trimmed settlement with its head, rounded up, and some */
};

struct mt_journal_head {
    char magic[8];
    uint64_t area;
    uint64_t check;
};

struct mt_journal_slot {
    uint64_t check;
    uint64_t turn;
    uint64_t at;
    uint64_t seq;
};

struct mt_journal_raw {
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

_Static_assert(sizeof(struct mt_journal_raw) == 48, "as drawn");
_Static_assert(sizeof(struct mt_journal_raw) + MT_ROW_BYTES_MAX + MT_JOURNAL_ALIGN <=
                   MT_JOURNAL_RECORD_MAX,
               "a row fits");
_Static_assert(sizeof(struct mt_journal_raw) + MT_ROW_TRIMMED_MAX + MT_JOURNAL_ALIGN <=
                   MT_JOURNAL_SETTLE_ROOM,
               "it fits");

struct mt_journal {
    int fd;
    char *map;
    size_t area;
    size_t wanted;               /* area after the restart */
    struct mt_journal_slot slot; /* the newest written */
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

static inline struct mt_str mt_journal__bytes(const void *at, size_t n)
{
    return (struct mt_str){at, n};
}

/** Where a position is in memory. */
static inline char *mt_journal__ring(const struct mt_journal *journal, uint64_t position)
{
    return journal->map + MT_JOURNAL_HEAD + position % journal->area;
}

/** Note in the file that everything before a position is in the database. */
void mt_journal__write_slot(struct mt_journal *journal, uint64_t at, uint64_t seq);

#endif
