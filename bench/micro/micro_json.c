/* SPDX-License-Identifier: Apache-2.0 */
/* How long it takes to parse a chat body and read what a gateway reads of it (model, stream,
 * role and content of each message), to write it, and to take it as one SSE frame. Each figure
 * is the fastest of many rounds: what the code costs when nothing disturbs it. */
#include <stdio.h>
#include <time.h>

#include "base/assert.h"
#include "wire/frames.h"
#include "wire/json.h"
#include "wire/json_writer.h"

enum { BODY_MAX = 1 << 20, ROUNDS = 60 };
static const double round_ns = 5e6;

struct bench {
    struct mt_json_doc *doc;
    struct mt_arena arena;
    struct mt_buf body;
    struct mt_buf out;
    size_t messages_n;
    size_t seen_bytes; /* keeps the work from being optimised away */
};

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void write_body(struct mt_buf *out, size_t messages_n)
{
    static const struct mt_str text = MT_STR_INIT(
        "A node keeps a table of its peers and asks the nearest one first.\n"
        "When that fails, \"try the next\" is the rule, and the r\xC3\xA9sum\xC3\xA9 says why. "
        "Latency is measured end to end; the budget of a request is what its owner set. ");
    struct mt_jw w;

    mt_buf_clear(out);
    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "model", "auto/cheap");
    mt_jw_kf64(&w, "temperature", 0.7);
    mt_jw_ki64(&w, "max_tokens", 512);
    mt_jw_kbool(&w, "stream", true);
    mt_jw_key(&w, "messages");
    mt_jw_array(&w);
    for (size_t i = 0; i < messages_n; i++) {
        mt_jw_object(&w);
        mt_jw_kcstr(&w, "role", i % 2 == 0 ? "user" : "assistant");
        mt_jw_kstr(&w, "content", text);
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
    mt_jw_end(&w);
}

static void read_json(struct bench *b)
{
    const struct mt_json *root = NULL;
    struct mt_str text = {0};
    bool is_stream = false;

    mt_arena_clear(&b->arena);
    mt_rc rc = mt_json_parse(b->doc, mt_buf_str(&b->body), &root, NULL);
    MT_ASSERT(rc == MT_OK);
    MT_ASSERT(mt_json_str(mt_json_get(root, "model"), &b->arena, &text));
    MT_ASSERT(mt_json_bool(mt_json_get(root, "stream"), &is_stream) && is_stream);
    const struct mt_json *at = mt_json_first(mt_json_get(root, "messages"));
    for (; at != NULL; at = mt_json_next(at)) {
        MT_ASSERT(mt_json_str(mt_json_get(at, "role"), &b->arena, &text));
        MT_ASSERT(mt_json_str(mt_json_get(at, "content"), &b->arena, &text));
        b->seen_bytes += text.len;
    }
}

static void write_json(struct bench *b)
{
    write_body(&b->out, b->messages_n);
    b->seen_bytes += b->out.len;
}

static mt_rc count_frame(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct bench *b = ctx;

    (void)err;
    b->seen_bytes += frame->data.len;
    return MT_OK;
}

static void read_frame(struct bench *b)
{
    MT_CLEANUP(mt_frames_fini) struct mt_frames frames;

    mt_frames_init(&frames, MT_FRAMING_SSE, BODY_MAX);
    mt_rc rc = mt_frames_feed(&frames, MT_STR("data: "), count_frame, b, NULL);
    if (rc == MT_OK)
        rc = mt_frames_feed(&frames, mt_buf_str(&b->body), count_frame, b, NULL);
    if (rc == MT_OK)
        rc = mt_frames_feed(&frames, MT_STR("\n\n"), count_frame, b, NULL);
    MT_ASSERT(rc == MT_OK && mt_frames_pending(&frames) == 0);
}

static void measure(const char *name, void (*work)(struct bench *), struct bench *b)
{
    double best_ns = 1e18;
    long n = 1;

    for (int i = 0; i < ROUNDS; i++) {
        double begun = now_ns();
        for (long k = 0; k < n; k++)
            work(b);
        double took = (now_ns() - begun) / (double)n;
        if (took < best_ns)
            best_ns = took;
        n = (long)(round_ns / took) + 1;
    }
    printf("%-12s %7zu bytes %10.0f ns %6.2f GB/s\n", name, b->body.len, best_ns,
           (double)b->body.len / best_ns);
}

static void bench_body(struct bench *b, size_t messages_n)
{
    b->messages_n = messages_n;
    write_body(&b->body, messages_n);
    MT_ASSERT(mt_buf_check(&b->body, "body", NULL) == MT_OK);
    measure("json read", read_json, b);
    measure("json write", write_json, b);
    measure("sse frame", read_frame, b);
}

int main(void)
{
    struct bench b = {.arena = MT_ARENA_INIT(BODY_MAX),
                      .body = MT_BUF_INIT(BODY_MAX),
                      .out = MT_BUF_INIT(BODY_MAX)};

    MT_ASSERT(mt_json_doc_new(&b.doc, NULL) == MT_OK);
    bench_body(&b, 4);
    bench_body(&b, 433);
    mt_json_doc_free(b.doc);
    mt_arena_fini(&b.arena);
    mt_buf_fini(&b.body);
    mt_buf_fini(&b.out);
    return b.seen_bytes > 0 ? 0 : 1;
}
