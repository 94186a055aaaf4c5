/* SPDX-License-Identifier: Apache-2.0 */
#include "system/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"

enum { NOTE_MAX = 256 };

struct mt_lock {
    int fd;
};

static int open_lock(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static size_t read_note(int fd, char note[NOTE_MAX])
{
    ssize_t got = pread(fd, note, NOTE_MAX, 0);

    return got > 0 ? mt_str_trim((struct mt_str){note, (size_t)got}).len : 0;
}

static mt_rc tell_busy(int fd, const char *path, struct mt_err *err)
{
    char note[NOTE_MAX];
    size_t len = read_note(fd, note);

    return MT_FAIL(err, MT_E_BUSY, "lock '%s': held by another process%s%.*s", path,
                   len > 0 ? ": " : "", (int)len, note);
}

mt_rc mt_lock_note(struct mt_lock *lock, struct mt_str note, struct mt_err *err)
{
    char line[NOTE_MAX];
    struct mt_str cut = mt_str_sub(note, 0, sizeof line - 1);
    size_t len = 0;

    for (; len < cut.len; len++) /* one line, whatever it was */
        line[len] = (unsigned char)cut.at[len] < ' ' ? ' ' : cut.at[len];
    line[len++] = '\n';
    if (ftruncate(lock->fd, 0) != 0 || pwrite(lock->fd, line, len, 0) != (ssize_t)len)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "lock: writing its note");
    return MT_OK;
}

mt_rc mt_lock_take(const char *path, struct mt_str note, struct mt_lock **out,
                   struct mt_err *err)
{
    MT_CLEANUP(mt_fd_closep) int fd = open_lock(path, O_RDWR | O_CREAT);

    if (fd < 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "lock '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return tell_busy(fd, path, err);
        return MT_FAIL_SYS(err, MT_E_IO, errno, "lock '%s'", path);
    }
    MT_CLEANUP(mt_freep) struct mt_lock *lock = mt_alloc(1, sizeof *lock);
    if (lock == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "lock '%s'", path);
    lock->fd = fd;
    MT_TRY(mt_lock_note(lock, note, err));
    fd = -1;
    *out = MT_MOVE(lock);
    return MT_OK;
}

void mt_lock_free(struct mt_lock *lock)
{
    if (lock == NULL)
        return;
    /* A stale note is harmless: only a held lock is asked for it. The file is not removed: a
     * second process may have it open, and two files of one name would both be locked. */
    (void)!ftruncate(lock->fd, 0);
    close(lock->fd);
    mt_free(lock);
}

bool mt_lock_is_held(const char *path, struct mt_buf *note)
{
    MT_CLEANUP(mt_fd_closep) int fd = open_lock(path, O_RDONLY);

    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return false;
    if (note != NULL) {
        char text[NOTE_MAX];
        mt_buf_add(note, (struct mt_str){text, read_note(fd, text)});
    }
    return true;
}
