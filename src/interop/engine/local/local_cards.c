/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of models say. A file's header is read once; one that is no model is not read
 * again until it has changed. A large vocabulary takes tens of milliseconds, the largest header
 * allowed some hundred: at a reload, while others are served, headers are read on a thread
 * beside the loop, and a card is short until then. Only a model's first use does not wait. */
#include <sys/stat.h>

#include "base/alloc.h"
#include "local_priv.h"
#include "system/pool.h"

enum { CARD_ARENA_MAX = 256 << 20, READINGS_MAX = 4096 };

/* The header of an entry's file, read by the pool's thread, taken by the loop. */
struct mt_reading {
    struct mt_local_entry *entry;
    struct mt_arena arena;
    struct mt_gguf gguf;
    struct mt_file_mark mark;
    mt_rc rc;
    struct mt_err err;
};

static struct mt_file_mark mark_of(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return (struct mt_file_mark){.bytes = -1};
    return (struct mt_file_mark){.bytes = info.st_size,
                                 .inode = (uint64_t)info.st_ino,
                                 .modified_s = info.st_mtim.tv_sec,
                                 .modified_ns = info.st_mtim.tv_nsec};
}

static bool is_same_mark(const struct mt_file_mark *a, const struct mt_file_mark *b)
{
    return a->bytes == b->bytes && a->inode == b->inode && a->modified_s == b->modified_s &&
           a->modified_ns == b->modified_ns;
}

/* The mark is taken first: a file that changes while it is read is read again. */
static void read_header(struct mt_reading *reading)
{
    const char *path = reading->entry->path;

    reading->mark = mark_of(path);
    reading->rc = mt_gguf_read(path, &reading->arena, &reading->gguf, &reading->err);
}

/* The entry knows its file, or why the file is no model. */
static mt_rc take(struct mt_local_entry *entry, struct mt_reading *reading, struct mt_err *err)
{
    bool is_no_model = reading->rc == MT_E_CORRUPT || reading->rc == MT_E_UNSUPPORTED;

    entry->has_refusal = is_no_model;
    if (is_no_model) {
        entry->refusal = reading->err;
        entry->refused = reading->mark;
    }
    if (reading->rc < 0) {
        if (err != NULL)
            *err = reading->err;
        return reading->rc;
    }
    mt_arena_fini(&entry->arena);
    entry->arena = reading->arena;
    mt_arena_init(&reading->arena, CARD_ARENA_MAX);
    entry->gguf = reading->gguf;
    entry->modified_at_s = reading->mark.modified_s;
    entry->has_card = true;
    return MT_OK;
}

mt_rc mt_entry__card(struct mt_local_entry *entry, struct mt_err *err)
{
    struct mt_reading reading = {.entry = entry};

    if (entry->has_card)
        return MT_OK;
    if (entry->has_refusal) {
        struct mt_file_mark now = mark_of(entry->path);
        if (is_same_mark(&now, &entry->refused)) {
            if (err != NULL)
                *err = entry->refusal;
            return entry->refusal.rc;
        }
    }
    mt_arena_init(&reading.arena, CARD_ARENA_MAX);
    read_header(&reading);
    mt_rc rc = take(entry, &reading, err);
    mt_arena_fini(&reading.arena);
    return rc;
}

/* --- beside the loop --- */

static void reading_free(struct mt_reading *reading)
{
    mt_arena_fini(&reading->arena);
    mt_free(reading);
}

static void on_read(void *arg)
{
    struct mt_reading *reading = arg;
    struct mt_local_entry *entry = reading->entry;

    entry->reading = NULL;
    if (!entry->has_card) /* a first use may have been quicker */
        (void)take(entry, reading, NULL);
    reading_free(reading);
}

static void run_reading(void *arg)
{
    struct mt_reading *reading = arg;

    read_header(reading);
    /* a loop without room for it: the entry reads its file at its first use */
    (void)mt_loop_post(reading->entry->local->loop, on_read, reading, NULL);
}

void mt_entry__read_beside(struct mt_local_entry *entry)
{
    struct mt_local *local = entry->local;

    if (local->readers == NULL &&
        mt_pool_new("motet-headers", READINGS_MAX, &local->readers, NULL) < 0)
        return;
    struct mt_reading *reading = mt_alloc(1, sizeof *reading);
    if (reading == NULL)
        return;
    reading->entry = entry;
    mt_arena_init(&reading->arena, CARD_ARENA_MAX);
    if (mt_pool_post(local->readers, run_reading, reading, NULL) < 0)
        reading_free(reading);
    else
        entry->reading = reading;
}

void mt_local__stop_reading(struct mt_local *local)
{
    mt_pool_free(local->readers);
    local->readers = NULL;
    for (struct mt_local_entry *e = local->entries; e != NULL; e = e->next) {
        if (e->reading == NULL)
            continue;
        mt_loop_unpost(local->loop, on_read, e->reading);
        reading_free(e->reading);
        e->reading = NULL;
    }
}
