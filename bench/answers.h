/* SPDX-License-Identifier: Apache-2.0 */
/* answers.h - the bytes a mock model provider sends, in four dialects.
 *
 * A token's text is " wNNNN@TTTTTTTTTTTTTTTT": its number in the stream and the instant it was
 * sent (CLOCK_MONOTONIC in microseconds). It passes unchanged through every gateway and
 * every translation, so the load driver can tell lost, doubled and reordered tokens and
 * how long each was under way without knowing the dialect. */
#ifndef BENCH_ANSWERS_H
#define BENCH_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dialect {
    DIALECT_OPENAI,
    DIALECT_ANTHROPIC,
    DIALECT_OLLAMA,
    DIALECT_GEMINI,       /* alt=sse */
    DIALECT_GEMINI_ARRAY, /* one JSON array, sent element by element */
};
enum { DIALECT_COUNT = DIALECT_GEMINI_ARRAY + 1 };

struct text;

struct stream_opts {
    enum dialect dialect;
    int tokens_n;
    bool with_usage; /* OpenAI: the usage chunk was asked for */
};

/** A whole answer, head and body. */
void answer_whole(enum dialect dialect, int tokens_n, struct text *out);

/** Head of a streamed answer and the events before the first token. */
void answer_stream_begin(const struct stream_opts *opts, struct text *out);

/** One token as one HTTP chunk. @param seq from 0 */
void answer_stream_token(const struct stream_opts *opts, int seq, int64_t now_us,
                         struct text *out);

/** Finish, usage, end marker and the last HTTP chunk. */
void answer_stream_end(const struct stream_opts *opts, struct text *out);

/** An answer with this status and JSON body. @param extra further header lines, or "" */
void answer_json(const char *status, const char *extra, const char *body, struct text *out);

#endif
