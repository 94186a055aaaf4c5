/* SPDX-License-Identifier: Apache-2.0 */
/* wire/frames.h - messages in a byte stream: server-sent events and newline-delimited JSON.
 *
 * The reader takes bytes as they arrive, cut anywhere, and hands out whole frames. SSE follows
 * the WHATWG "event stream" rules (CR, LF or CRLF; comments; several data lines joined by LF; a
 * BOM at the start) with one freedom of the field: the stream's last event counts even without
 * its blank line. As a CR may be half of a CRLF, a blank line that ends in CR is complete with
 * the byte behind it. NDJSON skips blank lines. Bounded: a frame over the maximum fails the
 * stream. Pure. */
#ifndef MT_WIRE_FRAMES_H
#define MT_WIRE_FRAMES_H

#include "base/buf.h"

enum mt_framing {
    MT_FRAMING_WHOLE, /* the whole body is one frame */
    MT_FRAMING_SSE,
    MT_FRAMING_NDJSON,
};

struct mt_frame {
    struct mt_str event; /* SSE event name, empty if none */
    struct mt_str data;  /* payload; MT_BUF_SLACK readable bytes follow */
    struct mt_str raw;   /* the frame's bytes as they came, terminator included */
};

/** Called once per frame; the frame dies on return. A failure stops the reader and is returned.
 */
typedef mt_rc mt_frame_fn(void *ctx, const struct mt_frame *frame, struct mt_err *err);

struct mt_frames {
    enum mt_framing framing;
    struct mt_buf pending_; /* the beginning of the next frame */
    struct mt_buf data_;    /* joined data lines of one event; its maximum is a frame's */
    size_t scanned_;        /* bytes of pending_ known to end no line */
    bool is_begun_;         /* the first frame, which may open with a BOM, is over */
};

/** @param frame_max  largest frame [bytes] */
void mt_frames_init(struct mt_frames *frames, enum mt_framing framing, size_t frame_max);
void mt_frames_fini(struct mt_frames *frames);

/** Take bytes; fn is called for each frame that they complete.
 *  @return MT_OK, MT_E_TOOBIG, MT_E_NOMEM, or what fn returned */
mt_rc mt_frames_feed(struct mt_frames *frames, struct mt_str bytes, mt_frame_fn *fn, void *ctx,
                     struct mt_err *err);

/** The stream ended: hand out what is left, if it is a frame. */
mt_rc mt_frames_finish(struct mt_frames *frames, mt_frame_fn *fn, void *ctx,
                       struct mt_err *err);

/** Bytes waiting for the rest of their frame. */
size_t mt_frames_pending(const struct mt_frames *frames);

/** Begin / end an SSE event around data written in between ("event: NAME\ndata: " .. "\n\n").
 *  name may be NULL. The data written must hold no line break (JSON from mt_jw has none). */
void mt_sse_begin(struct mt_buf *out, const char *name);
void mt_sse_end(struct mt_buf *out);

/** A comment line, for keep-alive: ": text\n\n". */
void mt_sse_comment(struct mt_buf *out, const char *text);

#endif
