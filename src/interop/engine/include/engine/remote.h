/* SPDX-License-Identifier: Apache-2.0 */
/* engine/remote.h - models behind an HTTP endpoint, in any dialect that can be an upstream.
 *
 * Thread rule: the loop's. */
#ifndef MT_ENGINE_REMOTE_H
#define MT_ENGINE_REMOTE_H

#include "engine/engine.h"

struct mt_http_client;
struct mt_loop;

struct mt_remote_header {
    struct mt_str name, value;
};

struct mt_remote_opts {
    struct mt_str name; /* for error texts */
    enum mt_dialect
        dialect;           /* OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, GEMINI or OLLAMA_CHAT */
    struct mt_str url;     /* base; a "/v1" or "/v1beta" at its end may be there or not */
    struct mt_str api_key; /* secret; or empty */
    const struct mt_remote_header *headers; /* added to every request */
    size_t headers_n;
    struct mt_str ca_file;      /* PEM, instead of the system's authorities; empty = those */
    int64_t connect_timeout_ms; /* 0 = 5 s */
    int64_t first_timeout_ms;   /* 0 = 5 min */
    int64_t idle_timeout_ms;    /* 0 = 2 min */
    size_t answer_bytes_max;    /* 0 = 64 MiB */
};

/** The options are copied. scratch is shared by all engines of the loop. */
mt_rc mt_remote_open(struct mt_http_client *client, struct mt_chat_scratch *scratch,
                     const struct mt_remote_opts *opts, struct mt_engine **out,
                     struct mt_err *err);

/** Join a base URL and a path, without doubling a version segment that both have. Pure. */
void mt_remote_url(struct mt_str base, struct mt_str path, struct mt_buf *out);

#endif
