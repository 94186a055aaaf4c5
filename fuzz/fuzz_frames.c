/* SPDX-License-Identifier: Apache-2.0 */
/* However a stream is cut, its frames are the same, up to the same failure.
 * Input: framing, largest frame, seed of the cuts (a byte each), stream. */
#include "base/alloc.h"
#include "base/assert.h"
#include "wire/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 3, NOTES_MAX = 1 << 24 };

static mt_rc note(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct mt_buf *notes = ctx;

    MT_ASSERT(frame->raw.len > 0 && frame->data.len <= frame->raw.len);
    mt_buf_addf(notes, "%zu %zu %zu ", frame->event.len, frame->data.len, frame->raw.len);
    mt_buf_add(notes, frame->event);
    mt_buf_add(notes, frame->data);
    mt_buf_add(notes, frame->raw);
    return mt_buf_check(notes, "notes", err);
}

/* seed 0 feeds all at once, others in pieces of 1 to 16 bytes. */
static mt_rc run(enum mt_framing framing, size_t frame_max, unsigned seed, struct mt_str text,
                 struct mt_buf *notes)
{
    MT_CLEANUP(mt_frames_fini) struct mt_frames frames;

    mt_frames_init(&frames, framing, frame_max);
    while (text.len > 0) {
        size_t n = seed == 0 ? text.len : 1 + (seed >> 4) % 16;
        struct mt_str piece = mt_str_sub(text, 0, n);
        MT_TRY(mt_frames_feed(&frames, piece, note, notes, NULL));
        MT_ASSERT(mt_frames_pending(&frames) <= frame_max);
        text = mt_str_sub(text, piece.len, text.len);
        seed = seed * 1103515245u + (seed != 0) * 12345u;
    }
    return mt_frames_finish(&frames, note, notes, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    struct mt_buf whole = MT_BUF_INIT(NOTES_MAX);
    struct mt_buf cut = MT_BUF_INIT(NOTES_MAX);
    enum mt_framing framing = (enum mt_framing)(data[0] % 3);
    size_t frame_max = (size_t)data[1] * 8;
    struct mt_str text = {(const char *)data + HEAD, size - HEAD};

    mt_rc rc = run(framing, frame_max, 0, text, &whole);
    MT_ASSERT(rc == MT_OK || rc == MT_E_TOOBIG);
    MT_ASSERT(run(framing, frame_max, data[2] + 1u, text, &cut) == rc);
    MT_ASSERT(mt_str_eq(mt_buf_str(&whole), mt_buf_str(&cut)));
    mt_buf_fini(&whole);
    mt_buf_fini(&cut);
    MT_ASSERT(mt_alloc_live == 0);
    return 0;
}
