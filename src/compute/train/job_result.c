/* SPDX-License-Identifier: Apache-2.0 */
/* What is handed back of a job:
 *
 *   {"format": 1, "job": "tune", "status": "ok", "error": null, "motet": "0.1.0",
 *    "manifest": {"sha256": "...", "bytes": 310},
 *    "inputs": [{"key": "base", "name": "a.gguf", "sha256": "...", "bytes": 9000}, ...],
 *    "output": {"path": "b.gguf", "kind": "model", "sha256": "...", "bytes": 9000},
 *    "wall_s": 12.5, "earlier_s": 0, "cpu_s": 24.1, "step": 24, "steps": 24, "tokens": 12288,
 *    "exit_status": 0, "signal": null}
 *
 * What is not known is null. Names, not paths: those of this machine mean nothing elsewhere. */
#include "job_priv.h"
#include "wire/json_writer.h"

enum { FORMAT = 1 };

static void add_seen(struct mt_jw *w, const struct mt_job__seen *seen)
{
    char hex[MT_DIGEST_HEX + 1];

    mt_digest_hex(&seen->digest, hex);
    mt_jw_kcstr(w, "sha256", seen->is_known ? hex : NULL);
    if (seen->is_known)
        mt_jw_ki64(w, "bytes", seen->bytes);
    else
        mt_jw_kcstr(w, "bytes", NULL);
}

static void add_manifest(struct mt_jw *w, const struct mt_job *job)
{
    const struct mt_job__seen seen = {true, mt_sha256(job->text), (int64_t)job->text.len};

    mt_jw_key(w, "manifest");
    mt_jw_object(w);
    add_seen(w, &seen);
    mt_jw_end(w);
}

static void add_inputs(struct mt_jw *w, const struct mt_job__under_way *way)
{
    mt_jw_key(w, "inputs");
    mt_jw_array(w);
    for (size_t i = 0; i < way->whole->inputs_n; i++) {
        const struct mt_job__input *input = &way->whole->inputs[i];

        mt_jw_object(w);
        mt_jw_kcstr(w, "key", input->key);
        mt_jw_kstr(w, "name", mt_job__base_name(input->file->path));
        add_seen(w, &way->inputs[i]);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

static void add_output(struct mt_jw *w, const struct mt_job__under_way *way)
{
    const struct mt_job *job = &way->whole->job;

    mt_jw_key(w, "output");
    mt_jw_object(w);
    mt_jw_kstr(w, "path", job->output_path);
    mt_jw_kcstr(w, "kind", job->kind == MT_JOB_MODEL ? "model" : "adapter");
    add_seen(w, &way->output);
    mt_jw_end(w);
}

static void add_known(struct mt_jw *w, const char *key, bool is_known, int64_t value)
{
    if (is_known)
        mt_jw_ki64(w, key, value);
    else
        mt_jw_kcstr(w, key, NULL);
}

static void add_work(struct mt_jw *w, const struct mt_job__under_way *way)
{
    int64_t wall_ms = (mt_job__now_ns(way) - way->began_ns) / 1000000;

    mt_jw_kf64(w, "wall_s", (double)wall_ms / 1000);
    mt_jw_kf64(w, "earlier_s", (double)way->earlier_ms / 1000);
    mt_jw_kf64(w, "cpu_s", (double)way->cpu_ms / 1000);
    add_known(w, "step", way->steps > 0, (int64_t)way->step);
    add_known(w, "steps", way->steps > 0, (int64_t)way->steps);
    add_known(w, "tokens", way->steps > 0, (int64_t)way->tokens);
    add_known(w, "exit_status", way->has_ended && way->signal == 0, way->exit_status);
    add_known(w, "signal", way->has_ended && way->signal != 0, way->signal);
}

void mt_job__result(const struct mt_job__under_way *way, mt_rc rc, const struct mt_err *why,
                    struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_ki64(&w, "format", FORMAT);
    mt_jw_kstr(&w, "job", way->whole->job.name);
    mt_jw_kcstr(&w, "status", mt_rc_name(rc));
    mt_jw_kcstr(&w, "error", rc != MT_OK ? why->text : NULL);
    mt_jw_kcstr(&w, "motet", way->opts->version);
    add_manifest(&w, &way->whole->job);
    add_inputs(&w, way);
    add_output(&w, way);
    add_work(&w, way);
    mt_jw_end(&w);
    mt_buf_add_char(out, '\n');
}
