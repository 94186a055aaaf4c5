/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes are taken in pieces, so that what is pending never outgrows a frame and a piece.
 *
 * Invariants: pending_ begins where a frame begins; between calls it holds no whole frame and
 * at most data_.max bytes; a line end that is looked at is whole (see find_end). */
#include "wire/frames.h"

#include <string.h>

enum { PIECE = 4096, STEP = 256 };

static const struct mt_str bom = MT_STR_INIT("\xEF\xBB\xBF");

void mt_frames_init(struct mt_frames *frames, enum mt_framing framing, size_t frame_max)
{
    size_t pending_max = frame_max < SIZE_MAX - PIECE ? frame_max + PIECE : SIZE_MAX;

    *frames = (struct mt_frames){.framing = framing};
    mt_buf_init(&frames->pending_, framing == MT_FRAMING_WHOLE ? frame_max : pending_max);
    mt_buf_init(&frames->data_, frame_max);
}

void mt_frames_fini(struct mt_frames *frames)
{
    mt_buf_fini(&frames->pending_);
    mt_buf_fini(&frames->data_);
    frames->scanned_ = 0;
    frames->is_begun_ = false;
}

size_t mt_frames_pending(const struct mt_frames *frames)
{
    return frames->pending_.len;
}

/* Bytes in front of the first CR or LF. In steps, lest a far LF be sought anew at every CR. */
static size_t line_len(struct mt_str text)
{
    size_t at = 0;
    bool is_over = false;

    while (!is_over && at < text.len) {
        struct mt_str step = mt_str_sub(text, at, at + STEP);
        size_t n = mt_str_find_char(step, '\n');
        n = mt_str_find_char(mt_str_sub(step, 0, n), '\r');
        at += n;
        is_over = n < step.len;
    }
    return at;
}

/* Bytes of the line end at text[at]: CRLF, CR, LF, or none where the text is over. */
static size_t end_len(struct mt_str text, size_t at)
{
    struct mt_str end = mt_str_sub(text, at, at + 2);

    return mt_str_is(end, "\r\n") ? 2 : end.len > 0;
}

/* Where the line that goes on at *from ends; *from moves behind that end. False, and *from at
 * what is to be looked at again, while the end is not there: a CR in last place may be half of
 * a CRLF. */
static bool find_end(enum mt_framing framing, struct mt_str text, size_t *from, size_t *end)
{
    struct mt_str rest = mt_str_sub(text, *from, text.len);
    size_t at = *from;

    at += framing == MT_FRAMING_SSE ? line_len(rest) : mt_str_find_char(rest, '\n');
    if (at == text.len || (text.at[at] == '\r' && at + 1 == text.len)) {
        *from = at;
        return false;
    }
    *end = at;
    *from = at + end_len(text, at);
    return true;
}

/* The line in front of text, taken off with its end; the last one may lack it. */
static struct mt_str take_line(struct mt_str *text)
{
    size_t n = line_len(*text);
    struct mt_str line = mt_str_sub(*text, 0, n);

    *text = mt_str_sub(*text, n + end_len(*text, n), text->len);
    return line;
}

/* Split "field: value"; a line without colon is a field without value. */
static struct mt_str take_field(struct mt_str line, struct mt_str *value)
{
    struct mt_str field = mt_str_take(&line, ':');

    if (line.len > 0 && line.at[0] == ' ')
        line = mt_str_sub(line, 1, line.len);
    *value = line;
    return field;
}

/* One line of data is borrowed where it stands; with the second they are joined in data_. */
static void add_data(struct mt_frames *frames, struct mt_str line, size_t nth,
                     struct mt_str *data)
{
    if (nth == 0) {
        *data = line;
        return;
    }
    if (nth == 1)
        mt_buf_add(&frames->data_, *data);
    mt_buf_add_char(&frames->data_, '\n');
    mt_buf_add(&frames->data_, line);
    *data = mt_buf_str(&frames->data_);
}

/* Read the lines of one event; the answer is the number of data lines. */
static size_t read_event(struct mt_frames *frames, struct mt_str text, struct mt_frame *out)
{
    size_t data_n = 0;

    mt_buf_clear(&frames->data_);
    while (text.len > 0) {
        struct mt_str value;
        struct mt_str field = take_field(take_line(&text), &value);
        if (mt_str_is(field, "event"))
            out->event = value;
        else if (mt_str_is(field, "data"))
            add_data(frames, value, data_n++, &out->data);
    }
    return data_n;
}

static mt_rc emit_sse(struct mt_frames *frames, struct mt_str raw, mt_frame_fn *fn, void *ctx,
                      struct mt_err *err)
{
    struct mt_frame frame = {.raw = raw};
    struct mt_str text = raw;

    if (!frames->is_begun_ && mt_str_starts(raw, bom))
        text = mt_str_sub(raw, bom.len, raw.len);
    frames->is_begun_ = true;
    if (read_event(frames, text, &frame) == 0)
        return MT_OK; /* comments, or an event without data: not for the reader */
    MT_TRY(mt_buf_check(&frames->data_, "frame", err));
    return fn(ctx, &frame, err);
}

static mt_rc emit(struct mt_frames *frames, struct mt_str raw, mt_frame_fn *fn, void *ctx,
                  struct mt_err *err)
{
    struct mt_frame frame = {.data = raw, .raw = raw};

    if (raw.len > frames->data_.max)
        return MT_FAIL(err, MT_E_TOOBIG, "frame: over the limit of %zu bytes",
                       frames->data_.max);
    switch (frames->framing) {
    case MT_FRAMING_WHOLE:
        break;
    case MT_FRAMING_SSE:
        return emit_sse(frames, raw, fn, ctx, err);
    case MT_FRAMING_NDJSON:
        frame.data = mt_str_trim(raw);
        if (frame.data.len == 0)
            return MT_OK;
        break;
    }
    return fn(ctx, &frame, err);
}

/* Hand out all frames that are complete and drop their bytes. */
static mt_rc drain(struct mt_frames *frames, mt_frame_fn *fn, void *ctx, struct mt_err *err)
{
    struct mt_str text = mt_buf_str(&frames->pending_);
    bool is_sse = frames->framing == MT_FRAMING_SSE;
    size_t begin = 0;
    size_t end = 0;
    mt_rc rc = MT_OK;

    while (rc == MT_OK && find_end(frames->framing, text, &frames->scanned_, &end)) {
        bool is_blank = end == begin || text.at[end - 1] == '\n' || text.at[end - 1] == '\r';
        if (is_sse && !is_blank)
            continue;
        rc = emit(frames, mt_str_sub(text, begin, frames->scanned_), fn, ctx, err);
        begin = frames->scanned_;
    }
    mt_buf_consume(&frames->pending_, begin);
    frames->scanned_ -= begin;
    if (rc == MT_OK && frames->pending_.len > frames->data_.max)
        return MT_FAIL(err, MT_E_TOOBIG, "frame: over the limit of %zu bytes",
                       frames->data_.max);
    return rc;
}

mt_rc mt_frames_feed(struct mt_frames *frames, struct mt_str bytes, mt_frame_fn *fn, void *ctx,
                     struct mt_err *err)
{
    if (frames->framing == MT_FRAMING_WHOLE) {
        mt_buf_add(&frames->pending_, bytes);
        return mt_buf_check(&frames->pending_, "frame", err);
    }
    while (bytes.len > 0) {
        struct mt_str piece = mt_str_sub(bytes, 0, PIECE);
        mt_buf_add(&frames->pending_, piece);
        MT_TRY(mt_buf_check(&frames->pending_, "frame", err));
        MT_TRY(drain(frames, fn, ctx, err));
        bytes = mt_str_sub(bytes, piece.len, bytes.len);
    }
    return MT_OK;
}

mt_rc mt_frames_finish(struct mt_frames *frames, mt_frame_fn *fn, void *ctx, struct mt_err *err)
{
    struct mt_str rest = mt_buf_str(&frames->pending_);
    mt_rc rc = rest.len > 0 ? emit(frames, rest, fn, ctx, err) : MT_OK;

    mt_buf_clear(&frames->pending_);
    frames->scanned_ = 0;
    frames->is_begun_ = false;
    return rc;
}

void mt_sse_begin(struct mt_buf *out, const char *name)
{
    if (name != NULL) {
        mt_buf_add(out, MT_STR("event: "));
        mt_buf_add_cstr(out, name);
        mt_buf_add_char(out, '\n');
    }
    mt_buf_add(out, MT_STR("data: "));
}

void mt_sse_end(struct mt_buf *out)
{
    mt_buf_add(out, MT_STR("\n\n"));
}

void mt_sse_comment(struct mt_buf *out, const char *text)
{
    mt_buf_add(out, MT_STR(": "));
    mt_buf_add_cstr(out, text);
    mt_buf_add(out, MT_STR("\n\n"));
}
