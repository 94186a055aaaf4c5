/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <stdlib.h>
#include <unistd.h>

#include "ledger/reader.h"

/* ------------------------------------------------------------------ upstreams */

struct up_job {
    struct up_job *next;
    struct upstream *up;
    struct mt_http_exchange *x;
    struct up_act act;
    struct mt_buf body;
    bool is_stream, is_anthropic, is_held, is_endless;
};

static struct upstream *upstream_of(struct rig *rig, struct mt_str path)
{
    assert_true(path.len > 2 && path.at[0] == '/');
    return rig_upstream(rig, path.at[1]);
}

struct upstream *rig_upstream(struct rig *rig, char name)
{
    assert_in_range(name, 'a', 'a' + RIG_UPSTREAMS - 1);
    return &rig->up[name - 'a'];
}

void rig_script(struct rig *rig, char name, const struct up_act *acts, size_t n)
{
    struct upstream *up = rig_upstream(rig, name);

    assert_in_range(n, 1, RIG_ACTS);
    memcpy(up->acts, acts, n * sizeof *acts);
    up->acts_n = n;
    up->asked_n = 0;
}

static void up_headers(void *ctx, struct mt_http_exchange *x)
{
    struct up_job *job = calloc(1, sizeof *job);
    struct rig *rig = ctx;
    struct upstream *up = upstream_of(rig, mt_http_path(x));
    size_t turn = up->asked_n < up->acts_n ? up->asked_n : up->acts_n - 1;
    struct mt_str auth = mt_http_header(x, "authorization");
    struct mt_str beta = mt_http_header(x, "anthropic-beta");

    job->up = up;
    job->x = x;
    job->act = up->acts[turn];
    job->is_anthropic = mt_str_ends(mt_http_path(x), MT_STR("/messages"));
    mt_buf_init(&job->body, 64 << 20);
    snprintf(up->last_headers, sizeof up->last_headers, "%.*s|%.*s", MT_STR_ARG(auth),
             MT_STR_ARG(beta));
    up->asked_n++;
    up->open_n++;
    job->next = rig->jobs;
    rig->jobs = job;
    mt_http_set_user(x, job);
}

static void up_body(void *ctx, struct mt_http_exchange *x, struct mt_str bytes)
{
    struct up_job *job = mt_http_user(x);

    (void)ctx;
    mt_buf_add(&job->body, bytes);
}

static enum mt_http_flow send_text(struct up_job *job, const char *text)
{
    return mt_http_send(job->x, mt_str_of(text));
}

static enum mt_http_flow send_word(struct up_job *job, unsigned i)
{
    char text[256];

    if (job->is_anthropic)
        snprintf(text, sizeof text,
                 "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                 "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"w%u \"}}\n\n",
                 i);
    else
        snprintf(text, sizeof text,
                 "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                 "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"w%u \"},"
                 "\"finish_reason\":null}]}\n\n",
                 i);
    return send_text(job, text);
}

static void begin_stream(struct up_job *job)
{
    mt_http_begin(job->x, 200, "text/event-stream");
    if (job->is_anthropic)
        send_text(job,
                  "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
                  "\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\","
                  "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"
                  "\"input_tokens\":7,\"output_tokens\":1}}}\n\n"
                  "event: content_block_start\ndata: {\"type\":\"content_block_start\","
                  "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    for (unsigned i = 0; i < job->act.words; i++)
        send_word(job, i);
}

static void finish_anthropic_stream(struct up_job *job)
{
    char text[512];

    snprintf(text, sizeof text,
             "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}"
             "\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
             "\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{"
             "\"output_tokens\":%u}}\n\nevent: message_stop\ndata: {\"type\":"
             "\"message_stop\"}\n\n",
             job->act.words);
    send_text(job, text);
    mt_http_finish(job->x);
}

static void send_usage(struct up_job *job)
{
    char text[256];

    if (job->is_anthropic || job->act.no_usage)
        return;
    snprintf(text, sizeof text,
             "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":"
             "\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":%u,"
             "\"total_tokens\":%u}}\n\n",
             job->act.words, job->act.words + 7);
    send_text(job, text);
}

static void finish_openai_stream(struct up_job *job)
{
    send_text(job, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                   "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
                   "\"stop\"}]}\n\n");
    send_usage(job);
    send_text(job, "data: [DONE]\n\n");
    mt_http_finish(job->x);
}

static void answer_whole(struct up_job *job)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(1 << 24);

    if (job->act.body != NULL) {
        mt_http_answer(job->x, 200, job->act.type != NULL ? job->act.type : "application/json",
                       mt_str_of(job->act.body));
        return;
    }
    if (job->is_anthropic)
        mt_buf_add_cstr(&body, "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","
                               "\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"");
    else
        mt_buf_add_cstr(&body, "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,"
                               "\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{"
                               "\"role\":\"assistant\",\"content\":\"");
    for (unsigned i = 0; i < job->act.words; i++)
        mt_buf_addf(&body, "w%u ", i);
    if (job->is_anthropic)
        mt_buf_addf(&body,
                    "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{"
                    "\"input_tokens\":7,\"output_tokens\":%u}}",
                    job->act.words);
    else
        mt_buf_addf(&body,
                    "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,"
                    "\"completion_tokens\":%u,\"total_tokens\":%u}}",
                    job->act.words, job->act.words + 7);
    mt_http_answer(job->x, 200, "application/json", mt_buf_str(&body));
}

static void pour(struct up_job *job)
{
    for (unsigned i = 0; i < 100000; i++) {
        if (send_word(job, i) == MT_HTTP_PAUSE) {
            job->up->paused_n++;
            return;
        }
    }
}

static void perform(struct up_job *job)
{
    struct mt_http_exchange *x = job->x;

    switch (job->act.what) {
    case UP_LATER:
        job->is_held = true;
        return;
    case UP_SILENT:
        return;
    case UP_STATUS:
        if (job->act.retry_after != NULL)
            mt_http_set_header(x, "retry-after", mt_str_of(job->act.retry_after));
        mt_http_answer(x, job->act.status,
                       job->act.type != NULL ? job->act.type : "application/json",
                       mt_str_of(job->act.body != NULL ? job->act.body : "{}"));
        return;
    case UP_WHOLE:
        if (!job->is_stream || job->act.body != NULL) {
            answer_whole(job);
            return;
        }
        begin_stream(job);
        if (job->is_anthropic)
            finish_anthropic_stream(job);
        else
            finish_openai_stream(job);
        return;
    case UP_HALF:
        begin_stream(job);
        return;
    case UP_BROKEN:
        begin_stream(job);
        job->is_held = true; /* rig_release() breaks it: the words have been seen */
        return;
    case UP_CUT:
        begin_stream(job);
        mt_http_finish(x);
        return;
    case UP_ENDLESS:
        begin_stream(job);
        job->is_endless = true;
        pour(job);
        return;
    }
}

void rig_release(struct rig *rig)
{
    for (struct up_job *job = rig->jobs; job != NULL; job = job->next) {
        if (!job->is_held)
            continue;
        job->is_held = false;
        if (job->act.what == UP_BROKEN) {
            mt_http_abort(job->x);
            continue;
        }
        job->act.what = job->act.status != 0 ? UP_STATUS : UP_WHOLE;
        perform(job);
    }
}

static void up_end(void *ctx, struct mt_http_exchange *x)
{
    struct up_job *job = mt_http_user(x);
    struct mt_str body = mt_buf_str(&job->body);

    (void)ctx;
    job->is_stream = mt_str_find(body, MT_STR("\"stream\":true")) < body.len;
    mt_buf_clear(&job->up->last_body);
    mt_buf_add(&job->up->last_body, body);
    perform(job);
}

static void up_drained(void *ctx, struct mt_http_exchange *x)
{
    struct up_job *job = mt_http_user(x);

    (void)ctx;
    job->up->drained_n++;
    if (job->is_endless)
        pour(job);
}

static void up_gone(void *ctx, struct mt_http_exchange *x)
{
    struct up_job *job = mt_http_user(x);

    (void)ctx;
    job->up->gone_n++;
}

static void up_closed(void *ctx, struct mt_http_exchange *x)
{
    struct up_job *job = mt_http_user(x);
    struct rig *rig = ctx;
    struct up_job **at = &rig->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    job->up->open_n--;
    mt_buf_fini(&job->body);
    free(job);
}

static const struct mt_http_server_ops up_ops = {
    .on_headers = up_headers,
    .on_body = up_body,
    .on_request_end = up_end,
    .on_drained = up_drained,
    .on_gone = up_gone,
    .on_closed = up_closed,
};

/* ------------------------------------------------------------------ waiting */

static void on_poll(void *arg)
{
    struct rig *rig = arg;

    if (rig->is_so(rig->is_so_arg))
        mt_loop_stop(rig->loop);
    else
        mt_timer_start(rig->poll, 1);
}

static void on_deadline(void *arg)
{
    struct rig *rig = arg;

    rig->is_late = true;
    mt_loop_stop(rig->loop);
}

void rig_until(struct rig *rig, bool (*is_so)(void *arg), void *arg)
{
    rig->is_so = is_so;
    rig->is_so_arg = arg;
    rig->is_late = false;
    mt_timer_start(rig->poll, 0);
    mt_timer_start(rig->deadline, RIG_DEADLINE_MS);
    mt_loop_run(rig->loop);
    mt_timer_stop(rig->poll);
    mt_timer_stop(rig->deadline);
    if (rig->is_late)
        fail_msg("waited in vain");
}

static bool is_over(void *arg)
{
    return ((struct call *)arg)->is_over;
}

void rig_until_over(struct call *call)
{
    rig_until(call->rig, is_over, call);
}

static bool has_piece(void *arg)
{
    const struct call *call = arg;

    return call->pieces_n > 0 || call->is_over;
}

void rig_until_piece(struct call *call)
{
    rig_until(call->rig, has_piece, call);
    assert_true(call->pieces_n > 0);
}

struct asked {
    const struct upstream *up;
    unsigned n;
};

static bool is_asked(void *arg)
{
    const struct asked *asked = arg;

    return asked->up->asked_n >= asked->n && asked->up->last_body.len > 0;
}

void rig_until_asked(struct rig *rig, char name, unsigned n)
{
    rig_until(rig, is_asked, &(struct asked){rig_upstream(rig, name), n});
}

static bool is_quiet(void *arg)
{
    const struct rig *rig = arg;

    for (size_t i = 0; i < RIG_UPSTREAMS; i++) {
        if (rig->up[i].open_n > 0)
            return false;
    }
    return rig->gw->sessions_n == 0;
}

void rig_until_quiet(struct rig *rig)
{
    rig_until(rig, is_quiet, rig);
}

/* ------------------------------------------------------------------ calling */

static void copy_header(const struct mt_http_call *http, const char *name, char *out,
                        size_t max)
{
    struct mt_str value = mt_http_call_header(http, name);

    snprintf(out, max, "%.*s", MT_STR_ARG(value));
}

static void call_head(void *ctx, struct mt_http_call *http, int status)
{
    struct call *call = ctx;

    call->status = status;
    copy_header(http, "x-motet-receipt", call->receipt, sizeof call->receipt);
    copy_header(http, "x-motet-route", call->route, sizeof call->route);
    copy_header(http, "x-motet-cost", call->cost, sizeof call->cost);
    copy_header(http, "x-motet-warning", call->warning, sizeof call->warning);
    copy_header(http, "x-motet-cache", call->cache, sizeof call->cache);
    copy_header(http, "retry-after", call->retry, sizeof call->retry);
    copy_header(http, "x-should-retry", call->should, sizeof call->should);
    copy_header(http, "content-type", call->type, sizeof call->type);
}

static void call_bytes(void *ctx, struct mt_http_call *http, struct mt_str bytes)
{
    struct call *call = ctx;

    (void)http;
    call->pieces_n++;
    mt_buf_add(&call->body, bytes);
}

static void call_end(void *ctx, struct mt_http_call *http, enum mt_http_end end,
                     const struct mt_err *err)
{
    struct call *call = ctx;

    (void)http;
    (void)err;
    call->http = NULL;
    call->end = end;
    call->is_over = true;
}

static size_t read_headers(const char *lines, struct mt_http_header *out, char names[8][64])
{
    struct mt_str rest = mt_str_of(lines);
    size_t n = 0;

    while (rest.len > 0) {
        struct mt_str line = mt_str_take(&rest, '\n');
        struct mt_str name = mt_str_take(&line, ':');
        snprintf(names[n], 64, "%.*s", MT_STR_ARG(name));
        out[n] = (struct mt_http_header){names[n], mt_str_trim(line)};
        n++;
    }
    return n;
}

void rig_send(struct rig *rig, struct call *call, const char *method, const char *path,
              const char *body, const char *headers)
{
    static const struct mt_http_call_ops ops = {call_head, call_bytes, call_end};
    struct mt_http_header list[8];
    char names[8][64];
    char url[4096];
    struct mt_err err = {0};

    memset(call, 0, sizeof *call);
    call->rig = rig;
    mt_buf_init(&call->body, 64 << 20);
    mt_buf_init(&call->sent, 64 << 20);
    mt_buf_add_cstr(&call->sent, body != NULL ? body : "");
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", mt_gateway_port(rig->gw), path);
    size_t n = read_headers(headers, list, names);
    const struct mt_http_request request = {.method = method,
                                            .url = url,
                                            .headers = list,
                                            .headers_n = n,
                                            .body = mt_buf_str(&call->sent)};
    if (mt_http_request(rig->caller, &request, &ops, call, &call->http, &err) != MT_OK)
        fail_msg("%s", err.text);
}

void rig_chat(struct rig *rig, struct call *call, const char *path, const char *model,
              bool is_stream, const char *extra, const char *headers)
{
    char body[4096];
    bool is_anthropic = strcmp(path, "/v1/messages") == 0;

    snprintf(body, sizeof body,
             "{\"model\":\"%s\",%s\"messages\":[{\"role\":\"user\",\"content\":\"hello "
             "there\"}]%s%s%s}",
             model,
             is_anthropic && (extra == NULL || strstr(extra, "max_tokens") == NULL)
                 ? "\"max_tokens\":50,"
                 : "",
             is_stream ? ",\"stream\":true" : "", extra != NULL ? "," : "",
             extra != NULL ? extra : "");
    rig_send(rig, call, "POST", path, body, headers);
    rig->rows_n++;
}

void rig_leave(struct call *call)
{
    assert_non_null(call->http);
    mt_http_call_cancel(call->http);
    call->http = NULL;
    call->is_over = true;
}

bool call_has(const struct call *call, const char *text)
{
    return mt_str_find(mt_buf_str(&call->body), mt_str_of(text)) < call->body.len;
}

unsigned call_count(const struct call *call, const char *text)
{
    struct mt_str rest = mt_buf_str(&call->body);
    struct mt_str needle = mt_str_of(text);
    unsigned n = 0;

    for (size_t at = mt_str_find(rest, needle); at < rest.len; at = mt_str_find(rest, needle)) {
        rest = mt_str_sub(rest, at + needle.len, rest.len);
        n++;
    }
    return n;
}

void call_fini(struct call *call)
{
    if (call->http != NULL)
        mt_http_call_cancel(call->http);
    mt_buf_fini(&call->body);
    mt_buf_fini(&call->sent);
}

/* ------------------------------------------------------------------ the ledger */

static struct mt_arena row_arena = MT_ARENA_INIT(1 << 20);

static mt_rc keep_row(void *arg, const struct mt_ledger_row *row, struct mt_err *err)
{
    struct mt_ledger_row *out = arg;

    (void)err;
    *out = *row;
    out->receipt = mt_arena_str(&row_arena, row->receipt);
    out->attempts = mt_arena_str(&row_arena, row->attempts);
    out->error = mt_arena_str(&row_arena, row->error);
    out->endpoint = mt_arena_str(&row_arena, row->endpoint);
    out->key = mt_arena_str(&row_arena, row->key);
    return MT_OK;
}

static mt_rc count_row(void *arg, const struct mt_ledger_row *row, struct mt_err *err)
{
    (void)row;
    (void)err;
    ++*(int64_t *)arg;
    return MT_OK;
}

void rig_row(struct rig *rig, const struct call *call, struct mt_ledger_row *out)
{
    struct mt_ledger_reader *reader = NULL;
    struct mt_err err = {0};
    mt_rc rc;

    mt_arena_fini(&row_arena);
    memset(out, 0, sizeof *out);
    assert_int_equal(mt_ledger_flush(rig->ledger, RIG_DEADLINE_MS, &err), MT_OK);
    assert_int_equal(mt_ledger_reader_open(rig->dir, &reader, &err), MT_OK);
    if (call->receipt[0] != '\0')
        rc = mt_ledger_find(reader, mt_str_of(call->receipt), &row_arena, out, &err);
    else
        rc = mt_ledger_recent(reader, MT_STR(""), 1, keep_row, out, &err);
    mt_ledger_reader_close(reader);
    if (rc != MT_OK)
        fail_msg("%s", err.text);
}

static int64_t count_rows(struct rig *rig)
{
    struct mt_ledger_reader *reader = NULL;
    struct mt_err err = {0};
    int64_t n = 0;

    assert_int_equal(mt_ledger_flush(rig->ledger, RIG_DEADLINE_MS, &err), MT_OK);
    assert_int_equal(mt_ledger_reader_open(rig->dir, &reader, &err), MT_OK);
    assert_int_equal(mt_ledger_recent(reader, MT_STR(""), 1000000, count_row, &n, &err), MT_OK);
    mt_ledger_reader_close(reader);
    return n;
}

/* ------------------------------------------------------------------ life */

static void told_synced(void *arg)
{
    struct rig *rig = arg;

    if (rig->gw != NULL && rig->syncs)
        mt_gateway_synced(rig->gw, __atomic_load_n(&rig->synced_seq, __ATOMIC_SEQ_CST));
}

void rig_sync(struct rig *rig)
{
    rig->syncs = true;
    told_synced(rig);
}

static void on_synced(void *arg, uint64_t seq)
{
    struct rig *rig = arg;

    __atomic_store_n(&rig->synced_seq, seq, __ATOMIC_SEQ_CST);
    (void)mt_loop_post(rig->loop, told_synced, rig, NULL);
}

static void on_stop(void *ctx)
{
    ((struct rig *)ctx)->stops_n++;
}

static void on_reload(void *ctx)
{
    ((struct rig *)ctx)->reloads_n++;
}

void rig_open_with(struct rig *rig, const char *yaml, const struct mt_config **out)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 16);
    struct mt_str rest = mt_str_of(yaml);
    char path[128];
    struct mt_err err = {0};

    for (size_t at = mt_str_find(rest, MT_STR("@PORT@")); at < rest.len;
         at = mt_str_find(rest, MT_STR("@PORT@"))) {
        mt_buf_add(&text, mt_str_sub(rest, 0, at));
        mt_buf_addf(&text, "%u", mt_http_server_port(rig->server));
        rest = mt_str_sub(rest, at + 6, rest.len);
    }
    mt_buf_add(&text, rest);
    snprintf(path, sizeof path, "%s/motet.yaml", rig->dir);
    FILE *file = fopen(path, "w");
    fwrite(text.at, 1, text.len, file);
    fclose(file);
    if (mt_config_load(path, NULL, NULL, 0, out, &err) != MT_OK)
        fail_msg("%s", err.text);
}

static void must(mt_rc rc, const struct mt_err *err)
{
    if (rc != MT_OK)
        fail_msg("%s", err->text);
}

void rig_up(struct rig *rig, const char *yaml)
{
    rig_up_with(rig, yaml, &(struct rig_opts){0});
}

void rig_up_with(struct rig *rig, const char *yaml, const struct rig_opts *opts)
{
    const struct mt_config *config = NULL;
    char responses[128];
    struct mt_err err = {0};

    memset(rig, 0, sizeof *rig);
    strcpy(rig->dir, "/tmp/mt-test-gateway-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    rig->syncs = true;
    for (size_t i = 0; i < RIG_UPSTREAMS; i++) {
        rig->up[i].rig = rig;
        mt_buf_init(&rig->up[i].last_body, 64 << 20);
        rig->up[i].acts[0] = (struct up_act){.what = UP_WHOLE, .words = 3};
        rig->up[i].acts_n = 1;
    }
    must(mt_loop_new(&rig->loop, &err), &err);
    must(mt_timer_new(rig->loop, on_poll, rig, &rig->poll, &err), &err);
    must(mt_timer_new(rig->loop, on_deadline, rig, &rig->deadline, &err), &err);
    must(mt_http_client_new(rig->loop, NULL, &rig->client, &err), &err);
    must(mt_http_client_new(rig->loop, NULL, &rig->caller, &err), &err);
    must(mt_http_server_new(rig->loop, &(struct mt_http_server_opts){0}, &up_ops, rig,
                            &rig->server, &err),
         &err);
    const struct mt_ledger_opts ledger = {
        .dir = rig->dir,
        .journal_bytes = opts->journal_bytes,
        .sync_ms = 5,
        .on_synced = on_synced,
        .arg = rig,
    };
    must(mt_ledger_open(&ledger, &rig->ledger, NULL, &err), &err);
    rig_open_with(rig, yaml, &config);
    snprintf(responses, sizeof responses, "%s/responses.db", rig->dir);
    const struct mt_gateway_deps deps = {
        .loop = rig->loop,
        .env = mt_env_real(),
        .client = rig->client,
        .ledger = rig->ledger,
        .responses_path = opts->has_store ? responses : NULL,
        .version = "test",
        .admin_token = MT_STR("admin-token"),
        .on_stop = on_stop,
        .on_reload = on_reload,
        .ctx = rig,
    };
    must(mt_gateway_open(&deps, config, &rig->gw, &err), &err);
    mt_config_unref(config);
}

static void check_account(struct rig *rig)
{
    struct mt_account *account = mt_ledger_account(rig->ledger);
    struct mt_account_used used;
    struct mt_ledger_stats stats;

    mt_account_look(account, mt_env_now_wall_ms(mt_env_real()), MT_STR(""), MT_STR(""),
                    MT_WINDOW_TOTAL, &used);
    for (size_t kind = 0; kind < MT_LIMIT_KINDS; kind++)
        assert_int_equal(used.held[kind], 0);
    mt_ledger_stats(rig->ledger, &stats);
    assert_int_equal(stats.open_n, 0);
    assert_int_equal(count_rows(rig), rig->rows_n);
}

static void remove_dir(const struct rig *rig)
{
    static const char *const names[] = {
        "ledger.db", "ledger.db-wal", "ledger.db-shm",    "ledger.journal",  "motet.yaml",
        "aside",     "responses.db",  "responses.db-wal", "responses.db-shm"};
    char path[128];

    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", rig->dir, names[i]);
        unlink(path);
    }
    rmdir(rig->dir);
}

void rig_down(struct rig *rig)
{
    if (rig->gw != NULL) {
        rig_until_quiet(rig);
        assert_null(rig->gw->sessions);
        for (size_t i = 0; i < rig->gw->board->endpoints_n; i++)
            assert_int_equal(rig->gw->board->endpoints[i].active_n, 0);
        assert_int_equal(rig->gw->board->refs, 1);
        check_account(rig);
        mt_gateway_close(rig->gw);
    }
    rig->gw = NULL;
    mt_http_client_free(rig->caller);
    mt_http_client_free(rig->client);
    mt_http_server_free(rig->server);
    mt_ledger_close(rig->ledger);
    mt_timer_free(rig->poll);
    mt_timer_free(rig->deadline);
    mt_loop_free(rig->loop);
    for (size_t i = 0; i < RIG_UPSTREAMS; i++)
        mt_buf_fini(&rig->up[i].last_body);
    mt_arena_fini(&row_arena);
    remove_dir(rig);
}
