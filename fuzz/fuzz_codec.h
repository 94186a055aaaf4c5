/* SPDX-License-Identifier: Apache-2.0 */
/* A codec under any input, in both roles. The first byte says what the rest is: a request, an
 * endpoint's stream, its whole answer, its error body, a body for the fast lane.
 *
 * Whatever is taken is written again for every dialect, and what is written must be JSON, frame
 * by frame where it is a stream. */
#ifndef MT_FUZZ_CODEC_H
#define MT_FUZZ_CODEC_H

#include "base/alloc.h"
#include "base/assert.h"
#include "chat/codec.h"
#include "chat/collect.h"

enum { FUZZ_MEMORY_MAX = 1 << 22 };

struct fuzz_codec {
    const struct mt_chat_codec *codec;
    struct mt_json_doc *doc;
    struct mt_arena arena;       /* of the request or the stream */
    struct mt_arena frame_arena; /* of one frame */
    struct mt_buf text;          /* the input, with slack behind it */
    struct mt_buf out;
    struct mt_buf path;
    struct mt_chat_notes notes;
    void *encoders[MT_DIALECT_COUNT]; /* the stream is written for clients as it is read */
    struct mt_buf streams[MT_DIALECT_COUNT];
    struct mt_collector *collector;
    void *decoder;
    struct mt_chat_meter meter;
};

static inline void fuzz_is_json(struct fuzz_codec *z)
{
    const struct mt_json *root = NULL;
    struct mt_err err;

    MT_ASSERT(z->out.rc != MT_OK ||
              mt_json_parse(z->doc, mt_buf_str(&z->out), &root, &err) == MT_OK);
}

static inline const struct mt_json *fuzz_parse(struct fuzz_codec *z)
{
    const struct mt_json *root = NULL;

    return mt_json_parse(z->doc, mt_buf_str(&z->text), &root, NULL) == MT_OK ? root : NULL;
}

static inline void fuzz_request(struct fuzz_codec *z)
{
    struct mt_chat_request request = {.arena = &z->arena};
    struct mt_chat_route route = {.model = MT_STR("m"), .stream = true};
    struct mt_err err;

    if (fuzz_parse(z) == NULL ||
        z->codec->decode_request(fuzz_parse(z), &route, &request, &err) != MT_OK)
        return;
    for (int d = 0; d < MT_DIALECT_COUNT; d++) {
        const struct mt_chat_codec *target = mt_chat_codec((enum mt_dialect)d);
        mt_buf_clear(&z->out);
        mt_buf_clear(&z->path);
        if (target->encode_request != NULL &&
            target->encode_request(&request, MT_STR("m"), &z->out, &z->path, &z->notes, &err) ==
                MT_OK)
            fuzz_is_json(z);
    }
}

static inline mt_rc fuzz_event(void *ctx, const struct mt_chat_event *event, struct mt_err *err)
{
    struct fuzz_codec *z = ctx;

    for (int d = 0; d < MT_DIALECT_COUNT; d++)
        mt_chat_codec((enum mt_dialect)d)->encode_event(z->encoders[d], event, &z->streams[d]);
    if (event->kind == MT_EVENT_ERROR)
        return MT_OK;
    return mt_collector_add(z->collector, event, err);
}

static inline mt_rc fuzz_frame(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct fuzz_codec *z = ctx;
    struct mt_chat_scratch scratch = {z->doc, &z->frame_arena};

    mt_arena_clear(&z->frame_arena);
    (void)z->codec->meter_frame(&z->meter, frame, true, &scratch);
    return z->codec->decode_frame(z->decoder, frame, &scratch, fuzz_event, z, err);
}

/* A frame that was written for a client. */
static inline mt_rc fuzz_frame_out(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct fuzz_codec *z = ctx;
    const struct mt_json *root = NULL;

    (void)err;
    MT_ASSERT(frame->data.len == 0 || mt_str_is(frame->data, "[DONE]") ||
              mt_json_parse(z->doc, frame->data, &root, NULL) == MT_OK);
    return MT_OK;
}

static inline void fuzz_streams_out(struct fuzz_codec *z)
{
    for (int d = 0; d < MT_DIALECT_COUNT; d++) {
        struct mt_frames frames;
        if (z->streams[d].rc != MT_OK)
            continue;
        mt_frames_init(&frames, mt_chat_codec((enum mt_dialect)d)->stream_framing,
                       FUZZ_MEMORY_MAX);
        MT_ASSERT(mt_frames_feed(&frames, mt_buf_str(&z->streams[d]), fuzz_frame_out, z,
                                 NULL) == MT_OK);
        MT_ASSERT(mt_frames_finish(&frames, fuzz_frame_out, z, NULL) == MT_OK);
        mt_frames_fini(&frames);
    }
}

static inline void fuzz_answer_out(struct fuzz_codec *z, const struct mt_chat_reply *reply)
{
    const struct mt_chat_answer *answer = NULL;

    if (mt_collector_answer(z->collector, &answer, NULL) != MT_OK)
        return;
    for (int d = 0; d < MT_DIALECT_COUNT; d++) {
        mt_buf_clear(&z->out);
        mt_chat_codec((enum mt_dialect)d)->encode_answer(reply, answer, &z->out);
        fuzz_is_json(z);
    }
}

static inline void fuzz_stream(struct fuzz_codec *z, const struct mt_chat_reply *reply)
{
    struct mt_frames frames;

    mt_frames_init(&frames, z->codec->stream_framing, 1 << 20);
    mt_rc rc = mt_frames_feed(&frames, mt_buf_str(&z->text), fuzz_frame, z, NULL);
    if (rc == MT_OK)
        rc = mt_frames_finish(&frames, fuzz_frame, z, NULL);
    if (rc == MT_OK)
        rc = z->codec->decode_end(z->decoder, fuzz_event, z, NULL);
    mt_frames_fini(&frames);
    fuzz_streams_out(z);
    if (rc == MT_OK)
        fuzz_answer_out(z, reply);
}

static inline void fuzz_answer(struct fuzz_codec *z, const struct mt_chat_reply *reply)
{
    const struct mt_json *root = fuzz_parse(z);

    if (root == NULL)
        return;
    z->codec->meter_answer(&z->meter, root);
    if (z->codec->decode_answer(root, &z->arena, fuzz_event, z, NULL) == MT_OK)
        fuzz_answer_out(z, reply);
}

static inline void fuzz_error(struct fuzz_codec *z)
{
    struct mt_chat_scratch scratch = {z->doc, &z->frame_arena};
    struct mt_chat_error error;

    z->codec->decode_error(400, mt_buf_str(&z->text), &scratch, &error);
    MT_ASSERT(error.message.len > 0);
    z->codec->encode_error(&error, &z->out);
    fuzz_is_json(z);
}

static inline void fuzz_lane(struct fuzz_codec *z)
{
    const struct mt_json *root = fuzz_parse(z);
    struct mt_chat_route route = {.model = MT_STR("m"), .stream = true};
    struct mt_chat_peek peek = {.n = 0};

    if (root == NULL || z->codec->peek(root, &route, &z->arena, &peek, NULL) != MT_OK)
        return;
    z->codec->forward_body(root, mt_buf_str(&z->text), MT_STR("m"), &z->out);
    fuzz_is_json(z);
}

static inline int fuzz_codec(const struct mt_chat_codec *codec, const uint8_t *data,
                             size_t size)
{
    struct mt_chat_request request = {.model = MT_STR("m")};
    struct mt_chat_reply reply = {.request = &request,
                                  .id = MT_STR("0123456789abcdefghjkmnpqrs"),
                                  .model = MT_STR("m"),
                                  .route = {.alt_sse = true}};
    struct fuzz_codec z = {.codec = codec};

    if (size < 1)
        return 0;
    mt_arena_init(&z.arena, FUZZ_MEMORY_MAX);
    mt_arena_init(&z.frame_arena, FUZZ_MEMORY_MAX);
    mt_buf_init(&z.text, FUZZ_MEMORY_MAX);
    mt_buf_init(&z.out, FUZZ_MEMORY_MAX);
    mt_buf_init(&z.path, FUZZ_MEMORY_MAX);
    mt_chat_notes_init(&z.notes);
    mt_buf_add(&z.text, (struct mt_str){(const char *)data + 1, size - 1});
    MT_ASSERT(mt_json_doc_new(&z.doc, NULL) == MT_OK);
    MT_ASSERT(mt_collector_new(FUZZ_MEMORY_MAX, &z.collector, NULL) == MT_OK);
    MT_ASSERT(codec->decoder_new(&z.arena, &z.decoder, NULL) == MT_OK);
    for (int d = 0; d < MT_DIALECT_COUNT; d++) {
        mt_buf_init(&z.streams[d], FUZZ_MEMORY_MAX);
        MT_ASSERT(mt_chat_codec((enum mt_dialect)d)
                      ->encoder_new(&reply, &z.arena, &z.encoders[d], NULL) == MT_OK);
    }
    switch (data[0] % 5) {
    case 0:
        fuzz_request(&z);
        break;
    case 1:
        fuzz_stream(&z, &reply);
        break;
    case 2:
        fuzz_answer(&z, &reply);
        break;
    case 3:
        fuzz_error(&z);
        break;
    default:
        fuzz_lane(&z);
        break;
    }
    for (int d = 0; d < MT_DIALECT_COUNT; d++)
        mt_buf_fini(&z.streams[d]);
    mt_collector_free(z.collector);
    mt_json_doc_free(z.doc);
    mt_chat_notes_fini(&z.notes);
    mt_buf_fini(&z.path);
    mt_buf_fini(&z.out);
    mt_buf_fini(&z.text);
    mt_arena_fini(&z.frame_arena);
    mt_arena_fini(&z.arena);
    MT_ASSERT(mt_alloc_live == 0);
    return 0;
}

#endif
