/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a GGUF file's header from disk: as much of the beginning as the parser asks for. Read,
 * not mapped: a file that shrinks meanwhile is an error, not a SIGBUS. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "engine/gguf.h"
#include "system/file.h"

enum { FIRST_BYTES = 256 << 10 };

static mt_rc read_until(int fd, size_t want, struct mt_buf *head, struct mt_err *err)
{
    while (head->len < want) {
        char *to = mt_buf_reserve(head, want - head->len);
        if (to == NULL)
            return mt_buf_check(head, "GGUF header", err);
        ssize_t n = read(fd, to, want - head->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return MT_FAIL_SYS(err, MT_E_IO, errno, "read");
        if (n == 0)
            return MT_FAIL(err, MT_E_IO, "the file shrank while it was read");
        mt_buf_grew(head, (size_t)n);
    }
    return MT_OK;
}

static mt_rc keep(struct mt_arena *arena, struct mt_gguf *gguf, struct mt_err *err)
{
    struct mt_str *const texts[] = {
        &gguf->architecture,  &gguf->name,         &gguf->licence, &gguf->tokenizer,
        &gguf->chat_template, &gguf->adapter_type, &gguf->type};

    for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
        *texts[i] = mt_arena_str(arena, *texts[i]);
        if (texts[i]->at == NULL)
            return mt_arena_fail(arena, err);
    }
    return MT_OK;
}

static mt_rc read_fd(int fd, struct mt_arena *arena, struct mt_gguf *out, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf head = MT_BUF_INIT(MT_GGUF_HEADER_MAX);
    struct stat info;

    if (fstat(fd, &info) != 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "stat");
    if (!S_ISREG(info.st_mode))
        return MT_FAIL(err, MT_E_INVALID, "not a regular file");
    size_t most = info.st_size < MT_GGUF_HEADER_MAX ? (size_t)info.st_size : MT_GGUF_HEADER_MAX;
    for (size_t want = FIRST_BYTES;; want *= 4) {
        struct mt_gguf gguf;

        want = want < most ? want : most;
        MT_TRY(read_until(fd, want, &head, err));
        mt_rc rc = mt_gguf_parse(mt_buf_str(&head), info.st_size, arena, &gguf, err);
        if (rc == MT_E_TOOBIG && want < most)
            continue;
        if (rc == MT_E_TOOBIG)
            return MT_FAIL(err, MT_E_CORRUPT,
                           "GGUF file is cut off inside its header (%zu bytes)", head.len);
        MT_TRY(rc);
        MT_TRY(keep(arena, &gguf, err));
        *out = gguf;
        return MT_OK;
    }
}

mt_rc mt_gguf_read(const char *path, struct mt_arena *arena, struct mt_gguf *out,
                   struct mt_err *err)
{
    MT_CLEANUP(mt_fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "model file '%s'", path);
    mt_rc rc = read_fd(fd, arena, out, err);
    if (rc < 0)
        return mt_err_wrap(err, rc, "model file '%s'", path);
    return MT_OK;
}
