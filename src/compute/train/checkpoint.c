/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint, in the byte order of the machine (little-endian):
 *
 *   0    char[8] "MTTRAIN\n"   u32 version 1   u32 bytes of the state
 *   16   u64 parameters        u64 steps done
 *   32   u32 vocab_n, context_n, layers_n, width, ff_width, heads_n, kv_heads_n, head_width,
 *        is_tied               f32 rope_base, norm_eps   u32 optimizer (0 AdamW, 1 Muon)
 *   80   f64 beta1, beta2: with the optimizer, what the moments mean
 *   96   u64 checksum of bytes 0..95
 *   104  f32 parameters, means, squares; one behind the other
 *        the caller's state
 *        SHA-256 of all before
 *
 * The head proves itself, so that its sizes can be trusted before the rest is read; a reader
 * replaces nothing before the digest was right. What a later step also depends on but does not
 * need the past (rates, clip, decay, threads) is the caller's to repeat. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "crypto/digest.h"
#include "system/file.h"
#include "trainer_priv.h"

enum {
    VERSION = 1,
    PIECE_BYTES = 1 << 20, /* digested while the processor still has it */
    ARRAYS_N = 3,
};
static const char magic[8] = {'M', 'T', 'T', 'R', 'A', 'I', 'N', '\n'};

struct head {
    char magic[8];
    uint32_t version;
    uint32_t state_bytes;
    uint64_t params_n;
    uint64_t steps_done;
    uint32_t vocab_n, context_n, layers_n, width, ff_width, heads_n, kv_heads_n, head_width;
    uint32_t is_tied;
    float rope_base, norm_eps;
    uint32_t optimizer;
    double beta1, beta2;
    uint64_t check;
};
_Static_assert(sizeof(struct head) == 104, "the head is drawn above");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

static uint64_t check_of(const struct head *head)
{
    return mt_checksum((struct mt_str){(const char *)head, offsetof(struct head, check)}, 0);
}

static struct head head_of(const struct mt_trainer *t, size_t state_bytes)
{
    const struct mt_shape *shape = &t->opts.shape;
    struct head head = {
        .version = VERSION,
        .state_bytes = (uint32_t)state_bytes,
        .params_n = t->params_n,
        .steps_done = t->steps_done,
        .vocab_n = shape->vocab_n,
        .context_n = shape->context_n,
        .layers_n = shape->layers_n,
        .width = shape->width,
        .ff_width = shape->ff_width,
        .heads_n = shape->heads_n,
        .kv_heads_n = shape->kv_heads_n,
        .head_width = shape->head_width,
        .is_tied = shape->is_tied,
        .rope_base = shape->rope_base,
        .norm_eps = shape->norm_eps,
        .optimizer = (uint32_t)t->opts.optimizer,
        .beta1 = t->opts.beta1,
        .beta2 = t->opts.beta2,
    };

    memcpy(head.magic, magic, sizeof magic);
    head.check = check_of(&head);
    return head;
}

/* ---- out --------------------------------------------------------------------------- */

struct writer {
    struct mt_draft *draft;
    struct mt_sha256 sha;
};

static mt_rc put(struct writer *w, const void *from, size_t n, struct mt_err *err)
{
    struct mt_str rest = {from, n};

    while (rest.len > 0) {
        struct mt_str piece = mt_str_sub(rest, 0, PIECE_BYTES);
        mt_sha256_add(&w->sha, piece);
        MT_TRY(mt_draft_add(w->draft, piece, err));
        rest = mt_str_sub(rest, piece.len, rest.len);
    }
    return MT_OK;
}

static mt_rc put_all(struct writer *w, const struct mt_trainer *t, struct mt_str state,
                     struct mt_err *err)
{
    const float *const arrays[ARRAYS_N] = {t->params, t->mean, t->square};
    struct head head = head_of(t, state.len);

    mt_sha256_begin(&w->sha);
    MT_TRY(put(w, &head, sizeof head, err));
    for (int i = 0; i < ARRAYS_N; i++)
        MT_TRY(put(w, arrays[i], (size_t)t->params_n * sizeof(float), err));
    MT_TRY(put(w, state.at, state.len, err));
    struct mt_digest digest = mt_sha256_end(&w->sha);
    return mt_draft_add(w->draft, (struct mt_str){(char *)digest.at, sizeof digest.at}, err);
}

static void draft_freep(struct mt_draft **draft)
{
    mt_draft_free(*draft);
}

mt_rc mt_trainer_save(const struct mt_trainer *trainer, const char *path, struct mt_str state,
                      struct mt_err *err)
{
    MT_CLEANUP(draft_freep) struct mt_draft *draft = NULL;

    MT_ASSERT(state.len <= MT_TRAINER_STATE_MAX);
    MT_TRY(mt_draft_new(path, 0644, &draft, err));
    struct writer writer = {.draft = draft};
    MT_TRY(put_all(&writer, trainer, state, err));
    return mt_draft_publish(draft, err);
}

/* ---- in ---------------------------------------------------------------------------- */

struct reader {
    const char *path;
    int fd;
    uint64_t size;
    struct mt_sha256 sha;
};

static mt_rc corrupt(const struct reader *r, const char *what, struct mt_err *err)
{
    return MT_FAIL(err, MT_E_CORRUPT, "checkpoint '%s': %s", r->path, what);
}

static mt_rc open_it(struct reader *r, struct mt_err *err)
{
    struct stat found;

    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (r->fd < 0 || fstat(r->fd, &found) != 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "checkpoint '%s'", r->path);
    if (!S_ISREG(found.st_mode))
        return corrupt(r, "is not a file", err);
    r->size = (uint64_t)found.st_size;
    mt_sha256_begin(&r->sha);
    return MT_OK;
}

static mt_rc get(struct reader *r, void *to, size_t n, struct mt_err *err)
{
    char *at = to;

    while (n > 0) {
        ssize_t got = read(r->fd, at, n < PIECE_BYTES ? n : PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return MT_FAIL_SYS(err, MT_E_IO, errno, "read checkpoint '%s'", r->path);
        if (got == 0)
            return corrupt(r, "ends too early", err);
        mt_sha256_add(&r->sha, (struct mt_str){at, (size_t)got});
        at += got;
        n -= (size_t)got;
    }
    return MT_OK;
}

static mt_rc get_head(struct reader *r, struct head *head, struct mt_err *err)
{
    if (r->size < sizeof *head)
        return corrupt(r, "ends within its head", err);
    MT_TRY(get(r, head, sizeof *head, err));
    if (memcmp(head->magic, magic, sizeof magic) != 0)
        return corrupt(r, "is none (it begins with other bytes)", err);
    if (head->version != VERSION)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "checkpoint '%s': version %u, expected %d",
                       r->path, head->version, VERSION);
    if (head->check != check_of(head))
        return corrupt(r, "its head is damaged", err);
    return MT_OK;
}

/* Is it of a trainer like this one? */
static mt_rc compare(const struct reader *r, const struct head *has, const struct head *want,
                     struct mt_err *err)
{
    const struct {
        const char *name;
        double has, want;
    } rows[] = {
        {"tokens in the vocabulary", has->vocab_n, want->vocab_n},
        {"context", has->context_n, want->context_n},
        {"layers", has->layers_n, want->layers_n},
        {"width", has->width, want->width},
        {"feed-forward width", has->ff_width, want->ff_width},
        {"heads", has->heads_n, want->heads_n},
        {"key-value heads", has->kv_heads_n, want->kv_heads_n},
        {"head width", has->head_width, want->head_width},
        {"tied output", has->is_tied, want->is_tied},
        {"rotation base", (double)has->rope_base, (double)want->rope_base},
        {"norm epsilon", (double)has->norm_eps, (double)want->norm_eps},
        {"parameters", (double)has->params_n, (double)want->params_n},
        {"optimizer", has->optimizer, want->optimizer},
        {"beta1", has->beta1, want->beta1},
        {"beta2", has->beta2, want->beta2},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        if (rows[i].has != rows[i].want)
            return MT_FAIL(err, MT_E_INVALID, "checkpoint '%s': %s %g, expected %g", r->path,
                           rows[i].name, rows[i].has, rows[i].want);
    return MT_OK;
}

static mt_rc check_size(const struct reader *r, const struct head *head, struct mt_err *err)
{
    uint64_t expected = sizeof *head + head->params_n * ARRAYS_N * sizeof(float) +
                        head->state_bytes + MT_DIGEST_BYTES;
    char found[64];

    if (head->state_bytes <= MT_TRAINER_STATE_MAX && r->size == expected)
        return MT_OK;
    snprintf(found, sizeof found, "%llu bytes, expected %llu", (unsigned long long)r->size,
             (unsigned long long)expected);
    return corrupt(r, found, err);
}

static mt_rc get_digest(struct reader *r, struct mt_err *err)
{
    struct mt_sha256 before = r->sha;
    struct mt_digest computed = mt_sha256_end(&before);
    struct mt_digest found;

    MT_TRY(get(r, &found, sizeof found, err));
    if (!mt_digest_eq(&computed, &found))
        return corrupt(r, "its digest does not fit, it is damaged", err);
    return MT_OK;
}

/* The three arrays into floats, the state behind what buf has. */
static mt_rc get_body(struct reader *r, const struct head *head, float *floats,
                      struct mt_buf *buf, struct mt_err *err)
{
    MT_TRY(get(r, floats, (size_t)head->params_n * ARRAYS_N * sizeof *floats, err));
    char *at = mt_buf_reserve(buf, head->state_bytes);
    MT_TRY(mt_buf_check(buf, "state of a checkpoint", err));
    MT_TRY(get(r, at, head->state_bytes, err));
    mt_buf_grew(buf, head->state_bytes);
    return get_digest(r, err);
}

static mt_rc load(struct mt_trainer *t, struct reader *r, struct mt_buf *state,
                  struct mt_err *err)
{
    struct head head;
    struct head expected = head_of(t, 0);
    size_t n = (size_t)t->params_n;

    MT_TRY(open_it(r, err));
    MT_TRY(get_head(r, &head, err));
    MT_TRY(compare(r, &head, &expected, err));
    MT_TRY(check_size(r, &head, err));
    MT_CLEANUP(mt_freep) float *floats = mt_alloc(ARRAYS_N * n, sizeof *floats);
    if (floats == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "read checkpoint '%s'", r->path);
    MT_TRY(get_body(r, &head, floats, state, err));
    memcpy(t->params, floats, n * sizeof *floats);
    memcpy(t->mean, floats + n, n * sizeof *floats);
    memcpy(t->square, floats + 2 * n, n * sizeof *floats);
    t->steps_done = head.steps_done;
    return MT_OK;
}

mt_rc mt_trainer_load(struct mt_trainer *trainer, const char *path, struct mt_buf *state,
                      struct mt_err *err)
{
    struct reader reader = {.path = path, .fd = -1};
    size_t before = state->len;

    mt_rc rc = load(trainer, &reader, state, err);
    if (rc != MT_OK)
        mt_buf_cut(state, before);
    mt_fd_closep(&reader.fd);
    return rc;
}
