/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the remote engine share. */
#ifndef MT_ENGINE_REMOTE_PRIV_H
#define MT_ENGINE_REMOTE_PRIV_H

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/secret.h"
#include "engine/remote.h"
#include "net/http_client.h"
#include "wire/frames.h"

enum {
    REMOTE_HEADERS_MAX = 32,
    REMOTE_ERROR_BODY_MAX = 64 * 1024,
    REMOTE_REQUEST_MAX = 256 * 1024 * 1024,
    REMOTE_STREAM_RECEIVE = 2048, /* tokens come one by one, in many streams at once */
    REMOTE_FRAME_MAX = 16 * 1024 * 1024,
    REMOTE_DECODER_MAX = 64 * 1024 * 1024,
};

struct remote {
    struct mt_engine base;
    struct mt_http_client *client;
    struct mt_chat_scratch *scratch;
    const struct mt_chat_codec *codec;
    char *name;
    char *url;
    char *ca_file;         /* NULL = the system's authorities */
    struct mt_secret auth; /* the whole value of the auth header; empty without a key */
    const char *auth_header;
    struct mt_http_header headers[REMOTE_HEADERS_MAX]; /* sent with every request */
    char *owned[REMOTE_HEADERS_MAX * 2];               /* strings behind the configured ones */
    size_t headers_n;
    size_t owned_n;
    int64_t connect_timeout_ms, first_timeout_ms, idle_timeout_ms;
    size_t answer_bytes_max;
    struct mt_engine_run *runs; /* in flight */
};

/* One attempt. Freed when finished or cancelled; when that happens inside one of its own
 * callbacks (depth > 0), at their end. */
struct mt_engine_run {
    struct remote *remote;
    struct mt_engine_run *prev, *next;
    struct mt_http_call *call;
    struct mt_engine_call chat;
    struct mt_engine_embed_call embed;
    bool is_embed;
    bool is_dead;
    bool is_error; /* the status is not 2xx: body holds the error */
    bool has_head;
    bool is_complete; /* the decoder has said END */
    unsigned depth;
    int status;
    enum mt_framing framing;
    struct mt_buf request; /* body sent */
    struct mt_buf body;    /* whole answer, or error body */
    struct mt_frames frames;
    bool has_frames;
    struct mt_arena arena; /* the decoder's */
    void *decoder;
};

/* remote_run.c */
struct mt_engine_run *remote__run_new(struct remote *remote);
void remote__run_free(struct mt_engine_run *run);
mt_rc remote__run_send(struct mt_engine_run *run, struct mt_str path, struct mt_str body,
                       struct mt_err *err);
void remote__cancel(struct mt_engine_run *run);
void remote__pause(struct mt_engine_run *run);
void remote__resume(struct mt_engine_run *run);

/* remote_embed.c */
mt_rc remote__embed(struct mt_engine *engine, const struct mt_engine_embed_call *call,
                    struct mt_engine_run **out, struct mt_err *err);
void remote__embed_done(struct mt_engine_run *run, const struct mt_chat_error *error);

#endif
