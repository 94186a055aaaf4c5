/* SPDX-License-Identifier: Apache-2.0 */
/* A job belongs to the pool's thread from post until it is posted back to the loop; only
 * is_wanted is the loop's all the time. */
#include "store.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "net/loop.h"
#include "system/db.h"
#include "system/pool.h"

enum { RECORD_MAX = 64 * 1024 * 1024, QUEUE_MAX = 4096, KEEP_S = 30 * 24 * 3600 };

struct store {
    struct mt_loop *loop;
    struct mt_pool *pool;
    struct mt_db *db; /* the pool's */
};

enum what { STORE_PUT, STORE_GET, STORE_REMOVE };

struct store_job {
    struct store *store;
    enum what what;
    char *id, *key;
    struct mt_buf record;
    int64_t now_s;
    store_fn *fn;
    void *ctx;
    bool is_wanted;
    struct mt_err err;
};

static const char *const schema[] = {
    "CREATE TABLE responses (id TEXT PRIMARY KEY, key TEXT NOT NULL, created_at_s INTEGER NOT "
    "NULL,"
    " record BLOB NOT NULL) STRICT;"
    "CREATE INDEX responses_by_age ON responses (created_at_s);",
};

mt_rc store_open(struct mt_loop *loop, const char *path, struct store **out, struct mt_err *err)
{
    struct store *store = mt_alloc(1, sizeof *store);

    if (store == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for the store of responses");
    store->loop = loop;
    mt_rc rc = mt_db_open(path, NULL, &store->db, err);
    if (rc == MT_OK)
        rc = mt_db_migrate(store->db, schema, MT_ARRAY_LEN(schema), err);
    if (rc == MT_OK)
        rc = mt_pool_new("responses", QUEUE_MAX, &store->pool, err);
    if (rc < 0) {
        store_close(store);
        return mt_err_wrap(err, rc, "'%s'", path);
    }
    *out = store;
    return MT_OK;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    mt_pool_free(store->pool);
    mt_db_close(store->db);
    mt_free(store);
}

static void job_free(struct store_job *job)
{
    mt_free(job->id);
    mt_free(job->key);
    mt_buf_fini(&job->record);
    mt_free(job);
}

/* ------------------------------------------------------------------ on the pool */

static mt_rc put(struct store_job *job, struct mt_err *err)
{
    struct mt_db *db = job->store->db;
    struct mt_stmt *stmt;

    MT_TRY(
        mt_db_prepare(db, "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?)", &stmt, err));
    mt_stmt_bind_str(stmt, 1, mt_str_of(job->id));
    mt_stmt_bind_str(stmt, 2, mt_str_of(job->key));
    mt_stmt_bind_i64(stmt, 3, job->now_s);
    mt_stmt_bind_blob(stmt, 4, mt_buf_str(&job->record));
    MT_TRY(mt_stmt_step(stmt, NULL, err));
    MT_TRY(mt_db_prepare(db, "DELETE FROM responses WHERE created_at_s < ?", &stmt, err));
    mt_stmt_bind_i64(stmt, 1, job->now_s - KEEP_S);
    return mt_stmt_step(stmt, NULL, err);
}

static mt_rc not_found(const struct store_job *job, struct mt_err *err)
{
    return MT_FAIL(err, MT_E_NOTFOUND, "response '%s' is not stored here", job->id);
}

static mt_rc get(struct store_job *job, struct mt_err *err)
{
    struct mt_stmt *stmt;
    bool has_row = false;

    MT_TRY(mt_db_prepare(job->store->db,
                         "SELECT record FROM responses WHERE id = ? AND key = ?", &stmt, err));
    mt_stmt_bind_str(stmt, 1, mt_str_of(job->id));
    mt_stmt_bind_str(stmt, 2, mt_str_of(job->key));
    MT_TRY(mt_stmt_step(stmt, &has_row, err));
    if (!has_row)
        return not_found(job, err);
    mt_buf_add(&job->record, mt_stmt_str(stmt, 0));
    mt_stmt_reset(stmt);
    return mt_buf_check(&job->record, "stored response", err);
}

static mt_rc drop(struct store_job *job, struct mt_err *err)
{
    struct mt_stmt *stmt;

    MT_TRY(mt_db_prepare(job->store->db, "DELETE FROM responses WHERE id = ? AND key = ?",
                         &stmt, err));
    mt_stmt_bind_str(stmt, 1, mt_str_of(job->id));
    mt_stmt_bind_str(stmt, 2, mt_str_of(job->key));
    MT_TRY(mt_stmt_step(stmt, NULL, err));
    return mt_db_changes(job->store->db) > 0 ? MT_OK : not_found(job, err);
}

static void back_on_loop(void *arg)
{
    struct store_job *job = arg;

    if (job->is_wanted)
        job->fn(job->ctx, mt_buf_str(&job->record), job->err.rc < 0 ? &job->err : NULL);
    job_free(job);
}

static void work(void *arg)
{
    struct store_job *job = arg;
    mt_rc rc = MT_OK;

    switch (job->what) {
    case STORE_PUT:
        rc = put(job, &job->err);
        break;
    case STORE_GET:
        rc = get(job, &job->err);
        break;
    case STORE_REMOVE:
        rc = drop(job, &job->err);
        break;
    }
    job->err.rc = rc;
    /* A full mailbox at 65,536 calls: the loop is lost anyway. The job is then never answered,
     * and never freed: a session may still hold it. */
    (void)mt_loop_post(job->store->loop, back_on_loop, job, NULL);
}

/* ------------------------------------------------------------------ on the loop */

static void ignore_end(void *ctx, struct mt_str record, const struct mt_err *err)
{
    (void)ctx;
    (void)record;
    (void)err;
}

static mt_rc post(struct store *store, const struct store_job *what, struct mt_str id,
                  struct mt_str key, struct mt_str record, struct store_job **out,
                  struct mt_err *err)
{
    struct store_job *job = mt_alloc(1, sizeof *job);

    if (job == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "stored response");
    *job = *what;
    job->store = store;
    job->is_wanted = true;
    job->id = mt_alloc_cstr(id);
    job->key = mt_alloc_cstr(key);
    mt_buf_init(&job->record, RECORD_MAX);
    mt_buf_add(&job->record, record);
    mt_rc rc = job->id != NULL && job->key != NULL
                   ? mt_buf_check(&job->record, "stored response", err)
                   : MT_FAIL(err, MT_E_NOMEM, "stored response");
    if (rc == MT_OK)
        rc = mt_pool_post(store->pool, work, job, err);
    if (rc < 0) {
        job_free(job);
        return rc;
    }
    if (out != NULL)
        *out = job;
    return MT_OK;
}

mt_rc store_put(struct store *store, struct mt_str id, struct mt_str key, struct mt_str record,
                int64_t now_s, struct mt_err *err)
{
    const struct store_job what = {.what = STORE_PUT, .now_s = now_s, .fn = ignore_end};

    return post(store, &what, id, key, record, NULL, err);
}

mt_rc store_get(struct store *store, struct mt_str id, struct mt_str key, store_fn *fn,
                void *ctx, struct store_job **out, struct mt_err *err)
{
    const struct store_job what = {.what = STORE_GET, .fn = fn, .ctx = ctx};

    return post(store, &what, id, key, (struct mt_str){NULL, 0}, out, err);
}

mt_rc store_remove(struct store *store, struct mt_str id, struct mt_str key, store_fn *fn,
                   void *ctx, struct store_job **out, struct mt_err *err)
{
    const struct store_job what = {.what = STORE_REMOVE, .fn = fn, .ctx = ctx};

    return post(store, &what, id, key, (struct mt_str){NULL, 0}, out, err);
}

void store_forget(struct store_job *job)
{
    job->is_wanted = false;
}
