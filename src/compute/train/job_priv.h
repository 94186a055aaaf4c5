/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a job share: the table, the manifest with the places of its values, and a
 * job under way. */
#ifndef MT_TRAIN_JOB_PRIV_H
#define MT_TRAIN_JOB_PRIV_H

#include "base/arena.h"
#include "crypto/digest.h"
#include "settings/read.h"
#include "train/job.h"

enum {
    MT_JOB__DATA_MAX = 64,
    MT_JOB__FILES_MAX = 64,
    MT_JOB__WORDS_MAX = 256,
    MT_JOB__INPUTS_MAX = 2 + MT_JOB__DATA_MAX + MT_JOB__FILES_MAX,
};

extern const struct mt_settings_group mt_job__root;
extern const struct mt_settings_group mt_job__file; /* of data and files */

/* ---------------------------------------------------------------- the manifest (job.c) */

/* A file that the job reads, and the keys that told of it. */
struct mt_job__input {
    const char *key; /* "base", "recipe", "data", "files" */
    const struct mt_job_file *file;
    const struct mt_settings_key *path_key, *sha256_key;
    const struct mt_settings_origin *path_origin, *sha256_origin;
};

struct mt_job__whole {
    struct mt_job job; /* first: the public pointer is one to here */
    struct mt_arena arena;
    struct mt_settings_reader reader;
    struct mt_settings_origin *origins;
    struct mt_job__input inputs[MT_JOB__INPUTS_MAX];
    size_t inputs_n;
};

const struct mt_job__whole *mt_job__whole_of(const struct mt_job *job);

/** An error about a key of the root, with its place. @return MT_E_INVALID */
mt_rc mt_job__blame(const struct mt_job__whole *whole, const char *key, struct mt_err *err,
                    const char *format, ...) MT_PRINTF(4, 5);

/** What is behind the last '/'. */
struct mt_str mt_job__base_name(struct mt_str path);

/** The input of that base name, but for the recipe; NULL: none. */
const struct mt_job__input *mt_job__find_input(const struct mt_job__whole *whole,
                                               struct mt_str base_name);

/* ---------------------------------------------------------------- words (job_words.c) */

/* What placeholders stand for. */
struct mt_job__places {
    struct mt_str base, output, work, threads;
    const struct mt_str *data;
    size_t data_n;
};

/** Every placeholder of the trainer's words is known and has something to stand for.
 *  @return MT_OK, MT_E_INVALID */
mt_rc mt_job__words_check(const struct mt_job *job, struct mt_err *err);

/** The words that the program begins with, ended by NULL; they live in the arena.
 *  @return MT_OK, MT_E_NOMEM, MT_E_TOOBIG */
mt_rc mt_job__words(const struct mt_job *job, const struct mt_job__places *places,
                    struct mt_arena *arena, const char *const **out, struct mt_err *err);

/* ---------------------------------------------------------------- under way */

struct mt_job__seen { /* of a file, when it was looked at */
    bool is_known;
    struct mt_digest digest;
    int64_t bytes;
};

struct mt_job__under_way {
    const struct mt_job__whole *whole;
    const struct mt_job_opts *opts;
    struct mt_arena arena;
    char *folder; /* whole path of opts->run.folder */
    int64_t began_ns;
    struct mt_job__seen inputs[MT_JOB__INPUTS_MAX]; /* as whole->inputs */
    struct mt_job__seen output;
    int64_t earlier_ms; /* that a recipe's run took in sessions before this one */
    int64_t cpu_ms;
    uint64_t step, steps, tokens; /* 0: not known */
    bool has_ended;               /* another program has */
    int exit_status, signal;
};

int64_t mt_job__now_ns(const struct mt_job__under_way *way);

/** Owned path "FOLDER/NAMEend" of a file of the job; NULL when out of memory. */
char *mt_job__path(const struct mt_job__under_way *way, const char *end);

/** "budget: WHAT of 30m is used up" and the words behind it. @return MT_E_BUDGET */
mt_rc mt_job__used_up(const struct mt_job__under_way *way, const char *what, struct mt_err *err,
                      const char *format, ...) MT_PRINTF(4, 5);

/** Digest and length of a file. @return MT_OK, MT_E_NOTFOUND, MT_E_INVALID (no regular file),
 *  MT_E_DENIED, MT_E_IO */
mt_rc mt_job__see(const char *path, struct mt_job__seen *out, struct mt_err *err);

/** Every input is there and has the digest that the manifest gives. */
mt_rc mt_job__check_inputs(struct mt_job__under_way *way, struct mt_err *err);

/** A file is what the manifest promises; way->output knows it then. */
mt_rc mt_job__check_output(struct mt_job__under_way *way, const char *path, struct mt_err *err);

/** Train by the recipe, or by another program. The output is checked and has its name. */
mt_rc mt_job__own(struct mt_job__under_way *way, struct mt_err *err);
mt_rc mt_job__external(struct mt_job__under_way *way, struct mt_err *err);

/** The result as a line of JSON. @param why of a failure */
void mt_job__result(const struct mt_job__under_way *way, mt_rc rc, const struct mt_err *why,
                    struct mt_buf *out);

#endif
