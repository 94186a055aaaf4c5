/* SPDX-License-Identifier: Apache-2.0 */
/* train/job.h - a training told so that it runs here as it would elsewhere: every file that it
 * reads, what trains, what it may take, the one file that comes out.
 *
 * A manifest is a YAML file read by one table of keys, as recipes are (docs/jobs.md). What
 * trains is a recipe, or another program: a command line, files in, a GGUF file out. Immutable
 * once read; any thread. */
#ifndef MT_TRAIN_JOB_H
#define MT_TRAIN_JOB_H

#include "train/run.h"

enum mt_job_kind { MT_JOB_MODEL, MT_JOB_ADAPTER };

struct mt_job_file {
    struct mt_str path;
    struct mt_str sha256; /* 64 hexadecimal digits; empty: any content */
};

struct mt_job {
    struct mt_str text; /* as it was read */
    struct mt_str name;
    struct mt_job_file base, recipe; /* an empty path: none */
    const struct mt_job_file *data, *files;
    size_t data_n, files_n;
    const struct mt_str *trainer; /* words with placeholders; none when there is a recipe */
    size_t trainer_n;
    int64_t time_ms;
    int64_t memory_bytes, disk_bytes; /* 0: not bounded */
    struct mt_str output_path;        /* below the folder that the job writes to */
    enum mt_job_kind kind;
};

/** Read a manifest. Relative paths begin at its folder.
 *  @return MT_OK, MT_E_NOTFOUND, MT_E_INVALID ("FILE:LINE:COLUMN: ..."), MT_E_TOOBIG, MT_E_IO,
 *  MT_E_DENIED, MT_E_NOMEM
 *  @blocks one file read */
mt_rc mt_job_read(const char *file, const struct mt_job **out, struct mt_err *err);

/** The same from a text.
 *  @param name of the text in errors
 *  @param folder that relative paths begin at; empty: they stay as they are */
mt_rc mt_job_parse(struct mt_str text, const char *name, struct mt_str folder,
                   const struct mt_job **out, struct mt_err *err);
void mt_job_free(const struct mt_job *job); /* NULL is allowed */
void mt_job_freep(const struct mt_job **job);

/** All about a key of manifests; NULL: all keys, a line each. @return MT_OK, MT_E_NOTFOUND */
mt_rc mt_job_explain(const char *key, struct mt_buf *out, struct mt_err *err);

/** docs/jobs.md */
void mt_job_reference(struct mt_buf *out);

struct mt_job_opts {
    struct mt_run_opts run; /* folder, threads, clock, who looks on: as for a run */
    int64_t grace_ms;       /* from asking another program to end to killing it; 0 = 10000 */
    const char *version;    /* of motet, for the result; NULL: not said */
    struct mt_buf *result;  /* receives the text of NAME.result.json as well; NULL: nobody */
};

/** Check the files, train, check and publish the output, and last of all write
 *  FOLDER/NAME.result.json, whatever came of it. Files of the job are NAME.lock, and for
 *  another program NAME.log and NAME.work, which is removed when all went well. One job of a
 *  name per folder at a time.
 *
 *  @return MT_OK; MT_E_NOTFOUND, MT_E_INVALID: a file that is not there, that has another
 *  digest, or that the recipe and the manifest do not agree on (the text names key and place);
 *  MT_E_BUDGET: time, memory or disk are used up (what trains by a recipe goes on at its
 *  checkpoint when the same job is given more); MT_E_CANCELED: should_stop said so;
 *  MT_E_UPSTREAM: the other program failed (exit status and last line); MT_E_CORRUPT,
 *  MT_E_INVALID: the output is no GGUF file, or of the other kind; MT_E_BUSY: the job runs
 *  already; what mt_run() says
 *  @blocks until the end */
mt_rc mt_job_run(const struct mt_job *job, const struct mt_job_opts *opts, struct mt_err *err);

#endif
