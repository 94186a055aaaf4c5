/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a job as they are: there, of the right content, of the promised kind. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/gguf.h"
#include "job_priv.h"
#include "system/file.h"

enum { PIECE_BYTES = 64 * 1024, HEADER_MAX = 256 << 20 };

static mt_rc add_all(int fd, struct mt_sha256 *sha, int64_t *bytes, struct mt_err *err)
{
    for (;;) {
        char piece[PIECE_BYTES];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return MT_FAIL_SYS(err, MT_E_IO, errno, "read");
        if (n == 0)
            return MT_OK;
        mt_sha256_add(sha, (struct mt_str){piece, (size_t)n});
        *bytes += n;
    }
}

static mt_rc see_fd(int fd, struct mt_job__seen *out, struct mt_err *err)
{
    struct mt_job__seen seen = {.is_known = true};
    struct mt_sha256 sha;
    struct stat info;

    if (fstat(fd, &info) != 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "stat");
    if (!S_ISREG(info.st_mode))
        return MT_FAIL(err, MT_E_INVALID, "not a regular file");
    mt_sha256_begin(&sha);
    MT_TRY(add_all(fd, &sha, &seen.bytes, err));
    seen.digest = mt_sha256_end(&sha);
    *out = seen;
    return MT_OK;
}

mt_rc mt_job__see(const char *path, struct mt_job__seen *out, struct mt_err *err)
{
    /* A pipe that nobody writes to would hold an open without it. */
    MT_CLEANUP(mt_fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "file '%s'", path);
    mt_rc rc = see_fd(fd, out, err);
    return rc == MT_OK ? rc : mt_err_wrap(err, rc, "file '%s'", path);
}

/* ------------------------------------------------------------------ what it reads */

/* The place in front, the code as it was: a file that is not there is not found. */
static mt_rc blame_file(const struct mt_job__whole *whole, const struct mt_job__input *input,
                        mt_rc rc, const struct mt_err *why, struct mt_err *err)
{
    struct mt_err placed = {0};

    (void)mt_settings_blame(&whole->reader, input->path_key, input->path_origin, &placed, "%s",
                            why->text);
    return MT_FAIL(err, rc, "%s", placed.text);
}

static mt_rc check_digest(const struct mt_job__whole *whole, const struct mt_job__input *input,
                          const struct mt_job__seen *seen, struct mt_err *err)
{
    char found[MT_DIGEST_HEX + 1];
    struct mt_digest expected;

    if (input->file->sha256.len == 0)
        return MT_OK;
    if (mt_digest_from_hex(input->file->sha256, &expected) &&
        mt_digest_eq(&expected, &seen->digest))
        return MT_OK;
    mt_digest_hex(&seen->digest, found);
    return mt_settings_blame(&whole->reader, input->sha256_key, input->sha256_origin, err,
                             "'%.*s' is another file, with %s",
                             MT_STR_ARG(mt_job__base_name(input->file->path)), found);
}

mt_rc mt_job__check_inputs(struct mt_job__under_way *way, struct mt_err *err)
{
    const struct mt_job__whole *whole = way->whole;

    for (size_t i = 0; i < whole->inputs_n; i++) {
        const struct mt_job__input *input = &whole->inputs[i];
        MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(input->file->path);
        struct mt_err why = {0};

        if (path == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "files of the job");
        mt_rc rc = mt_job__see(path, &way->inputs[i], &why);
        if (rc != MT_OK)
            return blame_file(whole, input, rc, &why, err);
        MT_TRY(check_digest(whole, input, &way->inputs[i], err));
    }
    return MT_OK;
}

/* ------------------------------------------------------------------ what comes out */

static mt_rc check_kind(const struct mt_job__whole *whole, const struct mt_gguf *gguf,
                        struct mt_err *err)
{
    bool is_adapter = mt_str_is(gguf->type, "adapter") && mt_str_is(gguf->adapter_type, "lora");
    bool is_model =
        (gguf->type.len == 0 || mt_str_is(gguf->type, "model")) && gguf->adapter_type.len == 0;
    const char *found = is_adapter ? "an adapter" : is_model ? "a model" : "something else";

    if (gguf->parameters_n == 0)
        return mt_job__blame(whole, "output.path", err, "the file has no tensors");
    if (whole->job.kind == MT_JOB_MODEL ? !is_model : !is_adapter)
        return mt_job__blame(whole, "output.kind", err, "expected %s, found %s",
                             whole->job.kind == MT_JOB_MODEL ? "a model" : "an adapter", found);
    return MT_OK;
}

mt_rc mt_job__check_output(struct mt_job__under_way *way, const char *path, struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(HEADER_MAX);
    struct mt_job__seen seen;
    struct mt_gguf gguf;
    struct stat info;

    if (lstat(path, &info) != 0)
        return MT_FAIL(err, MT_E_NOTFOUND, "output '%.*s': the trainer wrote none",
                       MT_STR_ARG(way->whole->job.output_path));
    if (!S_ISREG(info.st_mode)) /* nor a link: it would take its target with it */
        return MT_FAIL(err, MT_E_INVALID, "output '%.*s': not a regular file",
                       MT_STR_ARG(way->whole->job.output_path));
    mt_rc rc = mt_gguf_read(path, &arena, &gguf, err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "output");
    MT_TRY(check_kind(way->whole, &gguf, err));
    MT_TRY(mt_job__see(path, &seen, err));
    way->output = seen;
    return MT_OK;
}
