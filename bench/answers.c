/* SPDX-License-Identifier: Apache-2.0 */
/* answers.c - see answers.h. */
#include "answers.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { PROMPT_TOKENS = 205, EVENT_BYTES_MAX = TEXT_ADD_BYTES_MAX };

/* One event as one HTTP chunk, the way providers send them. */
__attribute__((format(printf, 2, 3))) static void chunk_add(struct text *t, const char *format,
                                                            ...)
{
    char event[EVENT_BYTES_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(event, sizeof event, format, args);
    va_end(args);
    assert(n > 0 && n < EVENT_BYTES_MAX);
    text_add(t, "%x\r\n", (unsigned)n);
    text_add_bytes(t, event, (size_t)n);
    text_add(t, "\r\n");
}

void answer_json(const char *status, const char *extra, const char *body, struct text *out)
{
    text_add(out,
             "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
             status, extra, strlen(body));
    text_add_bytes(out, body, strlen(body));
}

/* The whole answers. Each has the words "mock answer", which the load driver looks for. */
#define SENTENCE "mock answer: the quick brown fox jumps over the lazy dog and back again."
static void whole_body(enum dialect dialect, int tokens_n, struct text *out)
{
    switch (dialect) {
    case DIALECT_OPENAI:
        text_add(out,
                 "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":"
                 "1760000000,\"model\":\"mock\",\"choices\":[{\"index\":0,\"message\":{"
                 "\"role\":\"assistant\",\"content\":\"" SENTENCE "\"},\"logprobs\":null,"
                 "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":%d,"
                 "\"completion_tokens\":%d,\"total_tokens\":%d}}",
                 PROMPT_TOKENS, tokens_n, PROMPT_TOKENS + tokens_n);
        break;
    case DIALECT_ANTHROPIC:
        text_add(out,
                 "{\"id\":\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\","
                 "\"model\":\"mock\",\"content\":[{\"type\":\"text\",\"text\":\"" SENTENCE
                 "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
                 "\"usage\":{\"input_tokens\":%d,\"output_tokens\":%d}}",
                 PROMPT_TOKENS, tokens_n);
        break;
    case DIALECT_OLLAMA:
        text_add(out,
                 "{\"model\":\"mock\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{"
                 "\"role\":\"assistant\",\"content\":\"" SENTENCE "\"},\"done\":true,"
                 "\"done_reason\":\"stop\",\"total_duration\":1000000,\"load_duration\":1000,"
                 "\"prompt_eval_count\":%d,\"prompt_eval_duration\":1000,\"eval_count\":%d,"
                 "\"eval_duration\":1000}",
                 PROMPT_TOKENS, tokens_n);
        break;
    case DIALECT_GEMINI:
    case DIALECT_GEMINI_ARRAY:
        text_add(out,
                 "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":"
                 "\"" SENTENCE "\"}]},\"finishReason\":\"STOP\",\"index\":0}],"
                 "\"usageMetadata\":{\"promptTokenCount\":%d,\"candidatesTokenCount\":%d,"
                 "\"totalTokenCount\":%d},\"modelVersion\":\"mock\"}",
                 PROMPT_TOKENS, tokens_n, PROMPT_TOKENS + tokens_n);
        break;
    }
}

void answer_whole(enum dialect dialect, int tokens_n, struct text *out)
{
    struct text body = {0};

    whole_body(dialect, tokens_n, &body);
    text_add_bytes(&body, "", 1);
    answer_json("200 OK", "", body.at, out);
    free(body.at);
}

static const char *const stream_type[DIALECT_COUNT] = {
    [DIALECT_OPENAI] = "text/event-stream",      [DIALECT_ANTHROPIC] = "text/event-stream",
    [DIALECT_OLLAMA] = "application/x-ndjson",   [DIALECT_GEMINI] = "text/event-stream",
    [DIALECT_GEMINI_ARRAY] = "application/json",
};

void answer_stream_begin(const struct stream_opts *opts, struct text *out)
{
    text_add(out,
             "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-cache\r\n"
             "Transfer-Encoding: chunked\r\n\r\n",
             stream_type[opts->dialect]);
    if (opts->dialect != DIALECT_ANTHROPIC)
        return;
    chunk_add(out,
              "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
              "\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock\","
              "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"
              "\"input_tokens\":%d,\"output_tokens\":1}}}\n\n",
              PROMPT_TOKENS);
    chunk_add(out, "event: content_block_start\ndata: {\"type\":\"content_block_start\","
                   "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
}

#define OPENAI_CHUNK                                                                    \
    "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":" \
    "1760000000,\"model\":\"mock\",\"choices\":"

static void openai_token(const struct stream_opts *opts, int seq, const char *word,
                         struct text *out)
{
    chunk_add(out,
              OPENAI_CHUNK "[{\"index\":0,\"delta\":{%s\"content\":\"%s\"},"
                           "\"finish_reason\":null}]%s}\n\n",
              seq == 0 ? "\"role\":\"assistant\"," : "", word,
              opts->with_usage ? ",\"usage\":null" : "");
}

static void gemini_token(const char *before, const char *word, const char *after,
                         struct text *out)
{
    chunk_add(out,
              "%s{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":"
              "\"%s\"}]},\"index\":0}],\"modelVersion\":\"mock\"}%s",
              before, word, after);
}

void answer_stream_token(const struct stream_opts *opts, int seq, int64_t now_us,
                         struct text *out)
{
    char word[64];

    snprintf(word, sizeof word, " w%04d@%016lld", seq % 10000, (long long)now_us);
    switch (opts->dialect) {
    case DIALECT_OPENAI:
        openai_token(opts, seq, word, out);
        break;
    case DIALECT_ANTHROPIC:
        chunk_add(out,
                  "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                  "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n",
                  word);
        break;
    case DIALECT_OLLAMA:
        chunk_add(out,
                  "{\"model\":\"mock\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{"
                  "\"role\":\"assistant\",\"content\":\"%s\"},\"done\":false}\n",
                  word);
        break;
    case DIALECT_GEMINI:
        gemini_token("data: ", word, "\r\n\r\n", out);
        break;
    case DIALECT_GEMINI_ARRAY:
        gemini_token(seq == 0 ? "[" : ",\r\n", word, "", out);
        break;
    }
}

static void openai_end(const struct stream_opts *opts, struct text *out)
{
    chunk_add(out,
              OPENAI_CHUNK "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]%s}\n\n",
              opts->with_usage ? ",\"usage\":null" : "");
    if (opts->with_usage)
        chunk_add(out,
                  OPENAI_CHUNK "[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,"
                               "\"total_tokens\":%d}}\n\n",
                  PROMPT_TOKENS, opts->tokens_n, PROMPT_TOKENS + opts->tokens_n);
    chunk_add(out, "data: [DONE]\n\n");
}

static void anthropic_end(const struct stream_opts *opts, struct text *out)
{
    chunk_add(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
                   "\"index\":0}\n\n");
    chunk_add(out,
              "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
              "\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{"
              "\"output_tokens\":%d}}\n\n",
              opts->tokens_n);
    chunk_add(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static void gemini_end(const struct stream_opts *opts, const char *before, const char *after,
                       struct text *out)
{
    chunk_add(
        out,
        "%s{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"\"}]},"
        "\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{"
        "\"promptTokenCount\":%d,\"candidatesTokenCount\":%d,\"totalTokenCount\":%d},"
        "\"modelVersion\":\"mock\"}%s",
        before, PROMPT_TOKENS, opts->tokens_n, PROMPT_TOKENS + opts->tokens_n, after);
}

void answer_stream_end(const struct stream_opts *opts, struct text *out)
{
    switch (opts->dialect) {
    case DIALECT_OPENAI:
        openai_end(opts, out);
        break;
    case DIALECT_ANTHROPIC:
        anthropic_end(opts, out);
        break;
    case DIALECT_OLLAMA:
        chunk_add(out,
                  "{\"model\":\"mock\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{"
                  "\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":"
                  "\"stop\",\"total_duration\":1000000,\"load_duration\":1000,"
                  "\"prompt_eval_count\":%d,\"prompt_eval_duration\":1000,\"eval_count\":%d,"
                  "\"eval_duration\":1000}\n",
                  PROMPT_TOKENS, opts->tokens_n);
        break;
    case DIALECT_GEMINI:
        gemini_end(opts, "data: ", "\r\n\r\n", out);
        break;
    case DIALECT_GEMINI_ARRAY:
        gemini_end(opts, opts->tokens_n == 0 ? "[" : ",\r\n", "]", out);
        break;
    }
    text_add(out, "0\r\n\r\n");
}
