/* SPDX-License-Identifier: Apache-2.0 */
#include "system/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

void mt_fd_closep(int *fd)
{
    int keep = errno; /* runs between a failure and whoever reads errno */

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = keep;
}

mt_rc mt_rc_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case ENOENT:
    case ENOTDIR:
        return MT_E_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP: /* O_NOFOLLOW met a link */
        return MT_E_DENIED;
    case EEXIST:
        return MT_E_EXISTS;
    case ENOMEM:
        return MT_E_NOMEM;
    case EFBIG:
    case ENAMETOOLONG:
        return MT_E_TOOBIG;
    default:
        return MT_E_IO;
    }
}

static mt_rc fail_io(struct mt_err *err, const char *what, const char *path)
{
    int sys = errno;

    if (sys == ENOSPC || sys == EDQUOT)
        return MT_FAIL(err, MT_E_IO, "%s '%s': disk full", what, path);
    return MT_FAIL_SYS(err, mt_rc_of_errno(sys), sys, "%s '%s'", what, path);
}

/* Append up to max bytes; one more is asked for, to see whether there is more. */
static mt_rc read_all(int fd, const char *path, size_t max, struct mt_buf *out,
                      struct mt_err *err)
{
    size_t before = out->len;

    for (;;) {
        char part[16 * 1024];
        ssize_t got = read(fd, part, sizeof part);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_io(err, "read", path);
        if (got == 0)
            return mt_buf_check(out, path, err);
        if ((size_t)got > max - (out->len - before))
            return MT_FAIL(err, MT_E_TOOBIG, "file '%s': over the limit of %zu bytes", path,
                           max);
        mt_buf_add(out, (struct mt_str){part, (size_t)got});
        MT_TRY(mt_buf_check(out, path, err));
    }
}

mt_rc mt_file_read(const char *path, size_t max, struct mt_buf *out, struct mt_err *err)
{
    MT_CLEANUP(mt_fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t before = out->len;

    if (fd < 0)
        return fail_io(err, "open", path);
    mt_rc rc = read_all(fd, path, max, out, err);
    if (rc != MT_OK)
        mt_buf_cut(out, before);
    return rc;
}

static mt_rc write_all(int fd, struct mt_str content, const char *path, struct mt_err *err)
{
    while (content.len > 0) {
        ssize_t put = write(fd, content.at, content.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_io(err, "write", path);
        content = mt_str_sub(content, (size_t)put, content.len);
    }
    return MT_OK;
}

/* Owned path of the folder a file is in. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return mt_alloc_cstr(MT_STR("."));
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    return mt_alloc_cstr((struct mt_str){path, len});
}

/* What stands complete in temp becomes path, on disk. */
static mt_rc publish(int fd, const char *temp, const char *path, unsigned mode,
                     struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *folder = folder_of(path);

    if (folder == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "write '%s'", path);
    if (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0)
        return fail_io(err, "write", temp);
    if (rename(temp, path) != 0)
        return fail_io(err, "rename to", path);
    return mt_dir_sync(folder, err);
}

mt_rc mt_file_write(const char *path, struct mt_str content, unsigned mode, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *temp = mt_alloc(strlen(path) + 16, 1);

    if (temp == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "write '%s'", path);
    snprintf(temp, strlen(path) + 16, "%s.XXXXXX", path);
    MT_CLEANUP(mt_fd_closep) int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "write", path);
    mt_rc rc = write_all(fd, content, temp, err);
    if (rc == MT_OK)
        rc = publish(fd, temp, path, mode, err);
    if (rc != MT_OK)
        unlink(temp);
    return rc;
}

mt_rc mt_file_publish(const char *from, const char *path, unsigned mode, struct mt_err *err)
{
    MT_CLEANUP(mt_fd_closep) int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return fail_io(err, "open", from);
    return publish(fd, from, path, mode, err);
}

struct mt_draft {
    char *path;
    char *temp; /* a lock on it is held while fd is open */
    unsigned mode;
    int fd;
};

/* Not when somebody published it between our open and our lock, or when we did. */
static bool is_at(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

static mt_rc open_temp(struct mt_draft *draft, struct mt_err *err)
{
    MT_CLEANUP(mt_fd_closep)
    int fd = open(draft->temp, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return fail_io(err, "write", draft->temp);
    bool is_ours = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!is_ours && errno != EWOULDBLOCK)
        return fail_io(err, "lock", draft->temp);
    if (!is_ours || !is_at(fd, draft->temp))
        return MT_FAIL(err, MT_E_BUSY, "write '%s': another process does", draft->temp);
    if (ftruncate(fd, 0) != 0)
        return fail_io(err, "write", draft->temp);
    draft->fd = fd;
    fd = -1;
    return MT_OK;
}

static void draft_freep(struct mt_draft **draft)
{
    mt_draft_free(*draft);
}

mt_rc mt_draft_new(const char *path, unsigned mode, struct mt_draft **out, struct mt_err *err)
{
    MT_CLEANUP(draft_freep) struct mt_draft *draft = mt_alloc(1, sizeof *draft);

    if (draft == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "write '%s'", path);
    draft->fd = -1;
    draft->mode = mode;
    draft->path = mt_alloc_cstr(mt_str_of(path));
    draft->temp = mt_alloc(strlen(path) + 8, 1);
    if (draft->path == NULL || draft->temp == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "write '%s'", path);
    snprintf(draft->temp, strlen(path) + 8, "%s.part", path);
    MT_TRY(open_temp(draft, err));
    *out = MT_MOVE(draft);
    return MT_OK;
}

mt_rc mt_draft_add(struct mt_draft *draft, struct mt_str piece, struct mt_err *err)
{
    return write_all(draft->fd, piece, draft->temp, err);
}

mt_rc mt_draft_publish(struct mt_draft *draft, struct mt_err *err)
{
    return publish(draft->fd, draft->temp, draft->path, draft->mode, err);
}

void mt_draft_free(struct mt_draft *draft)
{
    if (draft == NULL)
        return;
    if (draft->fd >= 0 && is_at(draft->fd, draft->temp))
        unlink(draft->temp);
    mt_fd_closep(&draft->fd);
    mt_free(draft->temp);
    mt_free(draft->path);
    mt_free(draft);
}

mt_rc mt_dir_sync(const char *path, struct mt_err *err)
{
    MT_CLEANUP(mt_fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return fail_io(err, "sync folder", path);
    return MT_OK;
}

static mt_rc make_one(const char *path, struct mt_err *err)
{
    struct stat found;

    if (mkdir(path, 0700) == 0)
        return MT_OK;
    if (errno != EEXIST)
        return fail_io(err, "make folder", path);
    if (stat(path, &found) != 0 || !S_ISDIR(found.st_mode))
        return MT_FAIL(err, MT_E_EXISTS, "make folder '%s': it is there and no folder", path);
    return MT_OK;
}

mt_rc mt_dir_make(const char *path, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *part = mt_alloc_cstr(mt_str_of(path));

    if (part == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "make folder '%s'", path);
    for (char *at = part; *at != '\0'; at++) {
        if (*at != '/' || at == part)
            continue;
        *at = '\0';
        MT_TRY(make_one(part, err));
        *at = '/';
    }
    return make_one(path, err);
}

bool mt_file_exists(const char *path)
{
    struct stat found;

    return stat(path, &found) == 0;
}

mt_rc mt_file_remove(const char *path, struct mt_err *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return fail_io(err, "remove", path);
    return MT_OK;
}
