/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/frames.h"

/* Writes every frame as "event|data|raw;" so that streams can be told as one string. */
static mt_rc note(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct mt_buf *notes = ctx;
    volatile char slack = 0;

    for (size_t i = 0; i < MT_BUF_SLACK; i++) /* ASan: the slack is there to be read */
        slack = frame->data.at[frame->data.len + i];
    (void)slack;
    mt_buf_add(notes, frame->event);
    mt_buf_add_char(notes, '|');
    mt_buf_add(notes, frame->data);
    mt_buf_add_char(notes, '|');
    mt_buf_add(notes, frame->raw);
    mt_buf_add_char(notes, ';');
    return mt_buf_check(notes, "notes", err);
}

/* Feed text in pieces: [0, cut), [cut, cut + step) and so on; step 0 = all the rest. */
static mt_rc feed_cut(enum mt_framing framing, size_t frame_max, struct mt_str text, size_t cut,
                      size_t step, struct mt_buf *notes, struct mt_err *err)
{
    MT_CLEANUP(mt_frames_fini) struct mt_frames frames;
    size_t at = cut;

    mt_frames_init(&frames, framing, frame_max);
    MT_TRY(mt_frames_feed(&frames, mt_str_sub(text, 0, cut), note, notes, err));
    while (at < text.len) {
        size_t to = step > 0 ? at + step : text.len;
        struct mt_str piece = mt_str_sub(text, at, to);
        MT_CLEANUP(mt_freep) char *copy = mt_alloc_cstr(piece); /* fed bytes need not stay */
        if (copy == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "piece");
        MT_TRY(mt_frames_feed(&frames, (struct mt_str){copy, piece.len}, note, notes, err));
        at = to;
    }
    MT_TRY(mt_frames_finish(&frames, note, notes, err));
    assert_int_equal(mt_frames_pending(&frames), 0);
    return MT_OK;
}

#define SSE    MT_FRAMING_SSE
#define NDJSON MT_FRAMING_NDJSON
#define WHOLE  MT_FRAMING_WHOLE

static const struct stream {
    const char *name;
    enum mt_framing framing;
    const char *text;
    const char *frames;
} streams[] = {
    {"two events", SSE, "data: a\n\ndata:b\n\n", "|a|data: a\n\n;|b|data:b\n\n;"},
    {"named event", SSE, "event: ping\ndata: {}\n\n", "ping|{}|event: ping\ndata: {}\n\n;"},
    {"last name wins", SSE, "event:a\ndata: x\nevent: b\n\n",
     "b|x|event:a\ndata: x\nevent: b\n\n;"},
    {"crlf", SSE, "data: a\r\n\r\ndata: b\r\n\r\n", "|a|data: a\r\n\r\n;|b|data: b\r\n\r\n;"},
    {"cr", SSE, "data: a\r\rdata: b\r\r", "|a|data: a\r\r;|b|data: b\r\r;"},
    {"mixed line ends", SSE, "data: a\n\r\ndata: b\r\n\ndata: c\r\ndata: d\n\r",
     "|a|data: a\n\r\n;|b|data: b\r\n\n;|c\nd|data: c\r\ndata: d\n\r;"},
    {"several data lines", SSE, "data: a\ndata\ndata:  b\n\n",
     "|a\n\n b|data: a\ndata\ndata:  b\n\n;"},
    {"empty data counts", SSE, "data:\n\n", "||data:\n\n;"},
    {"no data, no event", SSE, "event: x\n\nid: 1\nretry: 5\n\ndata: a\n\n", "|a|data: a\n\n;"},
    {"comments", SSE, ": hello\n\n:\ndata: a\n: in between\n\n",
     "|a|:\ndata: a\n: in between\n\n;"},
    {"unknown fields", SSE, "datax: 1\nDATA: 2\n data: 3\ndata: a\n\n",
     "|a|datax: 1\nDATA: 2\n data: 3\ndata: a\n\n;"},
    {"colon in data", SSE, "data: a: b:c\n\n", "|a: b:c|data: a: b:c\n\n;"},
    {"blank lines", SSE, "\n\n\r\ndata: a\n\n\n\n", "|a|data: a\n\n;"},
    {"bom", SSE,
     "\xEF\xBB\xBF"
     "data: a\n\ndata: b\n\n",
     "|a|\xEF\xBB\xBF"
     "data: a\n\n;|b|data: b\n\n;"},
    {"bom before a blank line", SSE, "\xEF\xBB\xBF\ndata: a\n\n",
     "|a|\xEF\xBB\xBF\ndata: a\n\n;"},
    {"bom later is a name", SSE,
     "data: a\n\n\xEF\xBB\xBF"
     "data: b\n\n",
     "|a|data: a\n\n;"},
    {"half a bom", SSE, "\xEF\xBB", ""},
    {"no blank line at the end", SSE, "data: a\n\ndata: b\n", "|a|data: a\n\n;|b|data: b\n;"},
    {"no line end at the end", SSE, "data: a", "|a|data: a;"},
    {"cr at the end", SSE, "data: a\n\r", "|a|data: a\n\r;"},
    {"nothing", SSE, "", ""},
    {"lines", NDJSON, "{\"a\":1}\n[2]\n", "|{\"a\":1}|{\"a\":1}\n;|[2]|[2]\n;"},
    {"lines with cr and blanks", NDJSON, "1\r\n\n \r\n 2 \n3", "|1|1\r\n;|2| 2 \n;|3|3;"},
    {"cr ends no line", NDJSON, "1\r2\n", "|1\r2|1\r2\n;"},
    {"blank rest", NDJSON, "1\n  ", "|1|1\n;"},
    {"whole", WHOLE, "{\n\n}\r\n", "|{\n\n}\r\n|{\n\n}\r\n;"},
    {"whole nothing", WHOLE, "", ""},
};

static void any_cut_gives_the_same_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(streams); i++) {
        const struct stream *row = &streams[i];
        struct mt_str text = mt_str_of(row->text);
        for (size_t cut = 0; cut <= text.len; cut++) {
            for (size_t step = 0; step <= 2; step++) {
                MT_CLEANUP(mt_buf_fini) struct mt_buf notes = MT_BUF_INIT(4096);
                mt_check_row(row->name, feed_cut(row->framing, 100, text, cut, step, &notes,
                                                 NULL) == MT_OK);
                if (strcmp(mt_buf_cstr(&notes), row->frames) != 0)
                    fail_msg("row '%s' cut at %zu: '%s'", row->name, cut, mt_buf_cstr(&notes));
            }
        }
    }
}

static void a_frame_over_the_maximum_fails_wherever_it_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum mt_framing framing;
        size_t max;
        const char *text;
        const char *frames; /* those in front of it */
    } rows[] = {
        {"event", SSE, 10, "data: 1\n\ndata: 1234\n\n", "|1|data: 1\n\n;"},
        {"event of the very size", SSE, 12, "data: 1\n\ndata: 1234\n\nx",
         "|1|data: 1\n\n;|1234|data: 1234\n\n;"},
        {"open event", SSE, 10, "data: 1\n\ndata: 12345", "|1|data: 1\n\n;"},
        {"comment", SSE, 4, ": 123\n\n", ""},
        {"line", NDJSON, 4, "123\n1234\n", "|123|123\n;"},
        {"open line", NDJSON, 4, "12345", ""},
        {"whole", WHOLE, 4, "12345", ""},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_str text = mt_str_of(rows[i].text);
        bool fits = i == 1;
        for (size_t cut = 0; cut <= text.len; cut++) {
            MT_CLEANUP(mt_buf_fini) struct mt_buf notes = MT_BUF_INIT(4096);
            mt_rc rc = feed_cut(rows[i].framing, rows[i].max, text, cut, 1, &notes, NULL);
            mt_check_row(rows[i].name, rc == (fits ? MT_OK : MT_E_TOOBIG));
            mt_check_row(rows[i].name, strcmp(mt_buf_cstr(&notes), rows[i].frames) == 0);
        }
    }
}

static void long_streams_pass_a_small_maximum(void **state)
{
    (void)state;
    enum { EVENTS = 3000 };
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 20);
    MT_CLEANUP(mt_buf_fini) struct mt_buf want = MT_BUF_INIT(1 << 20);
    MT_CLEANUP(mt_buf_fini) struct mt_buf notes = MT_BUF_INIT(1 << 20);

    for (int i = 0; i < EVENTS; i++) {
        mt_buf_addf(&text, "data: event %d\n\n", i);
        mt_buf_addf(&want, "|event %d|data: event %d\n\n;", i, i);
    }
    assert_int_equal(feed_cut(SSE, 32, mt_buf_str(&text), 0, 0, &notes, NULL), MT_OK);
    assert_true(mt_str_eq(mt_buf_str(&want), mt_buf_str(&notes)));
}

static void one_long_event_is_whole(void **state)
{
    (void)state;
    enum { LEN = 300000 };
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 20);
    MT_CLEANUP(mt_buf_fini) struct mt_buf notes = MT_BUF_INIT(1 << 20);
    struct mt_err err = {0};

    mt_buf_add_cstr(&text, "data: ");
    memset(mt_buf_reserve(&text, LEN), 'x', LEN);
    mt_buf_grew(&text, LEN);
    mt_buf_add_cstr(&text, "\n\n");
    assert_int_equal(feed_cut(SSE, LEN + 8, mt_buf_str(&text), 1, 1000, &notes, NULL), MT_OK);
    assert_int_equal(notes.len, 1 + LEN + 1 + LEN + 8 + 1);
    mt_buf_clear(&notes);
    assert_int_equal(feed_cut(SSE, LEN + 7, mt_buf_str(&text), 1, 1000, &notes, &err),
                     MT_E_TOOBIG);
    assert_string_equal(err.text, "frame: over the limit of 300007 bytes");
}

static mt_rc refuse(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    int *calls = ctx;

    (void)frame;
    ++*calls;
    return MT_FAIL(err, MT_E_CANCELED, "enough");
}

static void a_failing_reader_stops_the_stream(void **state)
{
    (void)state;
    MT_CLEANUP(mt_frames_fini) struct mt_frames frames;
    struct mt_err err = {0};
    int calls = 0;

    mt_frames_init(&frames, SSE, 100);
    assert_int_equal(
        mt_frames_feed(&frames, MT_STR("data: 1\n\ndata: 2\n\n"), refuse, &calls, &err),
        MT_E_CANCELED);
    assert_int_equal(calls, 1);
    assert_string_equal(err.text, "enough");
}

static void finished_frames_read_another_stream(void **state)
{
    (void)state;
    MT_CLEANUP(mt_frames_fini) struct mt_frames frames;
    MT_CLEANUP(mt_buf_fini) struct mt_buf notes = MT_BUF_INIT(4096);
    struct mt_str text = MT_STR("\xEF\xBB\xBF"
                                "data: 1\n");

    mt_frames_init(&frames, SSE, 100);
    for (int i = 0; i < 2; i++) {
        mt_buf_clear(&notes);
        assert_int_equal(mt_frames_feed(&frames, text, note, &notes, NULL), MT_OK);
        assert_int_equal(mt_frames_pending(&frames), text.len);
        assert_int_equal(mt_frames_finish(&frames, note, &notes, NULL), MT_OK);
        assert_true(mt_str_starts(mt_buf_str(&notes), MT_STR("|1|")));
    }
}

static void frames_survive_any_failed_allocation(void **state)
{
    (void)state;
    static const enum mt_framing framings[] = {SSE, NDJSON, WHOLE};
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 20);

    for (int i = 0; i < 500; i++)
        mt_buf_addf(&text, "data: line %d\n", i);
    long live = mt_alloc_live;
    for (size_t i = 0; i < MT_ARRAY_LEN(framings); i++) {
        mt_rc rc = MT_E_NOMEM;
        for (long nth = 0; rc != MT_OK; nth++) {
            MT_CLEANUP(mt_buf_fini) struct mt_buf notes = MT_BUF_INIT(1 << 20);
            mt_alloc_fail_after = nth;
            rc = feed_cut(framings[i], 1 << 20, mt_buf_str(&text), 10, 0, &notes, NULL);
            mt_alloc_fail_after = -1;
            assert_true(rc == MT_OK ? nth > 3 : rc == MT_E_NOMEM);
        }
        assert_int_equal(mt_alloc_live, live);
    }
}

static void events_are_written_as_they_are_read(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(4096);
    MT_CLEANUP(mt_buf_fini) struct mt_buf notes = MT_BUF_INIT(4096);

    mt_sse_comment(&out, "keep-alive");
    mt_sse_begin(&out, NULL);
    mt_buf_add_cstr(&out, "{}");
    mt_sse_end(&out);
    mt_sse_begin(&out, "done");
    mt_sse_end(&out);
    assert_string_equal(mt_buf_cstr(&out),
                        ": keep-alive\n\ndata: {}\n\nevent: done\ndata: \n\n");
    assert_int_equal(feed_cut(SSE, 100, mt_buf_str(&out), 0, 0, &notes, NULL), MT_OK);
    assert_string_equal(mt_buf_cstr(&notes), "|{}|data: {}\n\n;done||event: done\ndata: \n\n;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut_gives_the_same_frames),
        cmocka_unit_test(a_frame_over_the_maximum_fails_wherever_it_is_cut),
        cmocka_unit_test(long_streams_pass_a_small_maximum),
        cmocka_unit_test(one_long_event_is_whole),
        cmocka_unit_test(a_failing_reader_stops_the_stream),
        cmocka_unit_test(finished_frames_read_another_stream),
        cmocka_unit_test(frames_survive_any_failed_allocation),
        cmocka_unit_test(events_are_written_as_they_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
