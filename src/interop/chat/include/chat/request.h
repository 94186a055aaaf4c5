/* SPDX-License-Identifier: Apache-2.0 */
/* chat/request.h - the universal protocol, asking side: one request that every dialect's
 * request can be read into and written from.
 *
 * A plain tree of borrowed slices: everything in it lives in the request's arena or in the body
 * it was read from, and dies with them. Zero means "not said" for every field. Pure. */
#ifndef MT_CHAT_REQUEST_H
#define MT_CHAT_REQUEST_H

#include "base/arena.h"
#include "base/str.h"

enum mt_dialect {
    MT_DIALECT_OPENAI_CHAT,
    MT_DIALECT_OPENAI_COMPLETIONS,
    MT_DIALECT_OPENAI_RESPONSES,
    MT_DIALECT_ANTHROPIC,
    MT_DIALECT_GEMINI,
    MT_DIALECT_OLLAMA_CHAT,
    MT_DIALECT_OLLAMA_GENERATE,
};
enum { MT_DIALECT_COUNT = MT_DIALECT_OLLAMA_GENERATE + 1 };

enum {
    MT_CHAT_MESSAGES_MAX = 16384,
    MT_CHAT_PARTS_MAX = 65536, /* of one message */
    MT_CHAT_TOOLS_MAX = 1024,
    MT_CHAT_STOPS_MAX = 16,
    MT_CHAT_EXTRAS_MAX = 64,
    MT_CHAT_CHOICES_MAX = 16, /* n */
    MT_CHAT_TOP_LOGPROBS_MAX = 20,
};

/* Numbers that a caller may leave unsaid. */
struct mt_opt_f64 {
    bool has;
    double value;
};
struct mt_opt_i64 {
    bool has;
    int64_t value;
};
enum mt_opt_bool { MT_UNSAID, MT_NO, MT_YES };

enum mt_chat_role {
    MT_ROLE_SYSTEM,
    MT_ROLE_DEVELOPER,
    MT_ROLE_USER,
    MT_ROLE_ASSISTANT,
    MT_ROLE_TOOL
};

enum mt_chat_part_kind {
    MT_PART_TEXT,
    MT_PART_REASONING,   /* an assistant's thinking: text, signature */
    MT_PART_REFUSAL,     /* text */
    MT_PART_IMAGE,       /* media */
    MT_PART_AUDIO,       /* media */
    MT_PART_FILE,        /* media: PDF and other documents */
    MT_PART_TOOL_CALL,   /* id, name, json = arguments: a raw JSON object */
    MT_PART_TOOL_RESULT, /* id, name if known, parts (text, images), is_error */
};

struct mt_chat_media {
    struct mt_str mime;    /* "image/png"; empty if unknown */
    struct mt_str base64;  /* the bytes, standard base64; or empty */
    struct mt_str url;     /* http(s) URL; or empty */
    struct mt_str file_id; /* a provider's file handle; or empty */
    struct mt_str name;    /* file name; or empty */
    struct mt_str detail;  /* OpenAI's "low", "high", "auto"; or empty */
};

struct mt_chat_part {
    enum mt_chat_part_kind kind;
    struct mt_str text;
    struct mt_str
        signature;    /* opaque proof of a REASONING or TOOL_CALL part, for its maker alone */
    bool is_redacted; /* REASONING whose text is hidden: only the signature counts */
    struct mt_chat_media media;
    struct mt_str id;
    struct mt_str name;
    struct mt_str json;
    bool is_error;
    struct mt_chat_part *parts;
    size_t parts_n;
    struct mt_str cache_control; /* raw JSON of Anthropic's mark, empty if none */
};

struct mt_chat_message {
    enum mt_chat_role role;
    struct mt_str name;
    struct mt_chat_part *parts;
    size_t parts_n;
};

struct mt_chat_tool {
    struct mt_str name;
    struct mt_str description;
    struct mt_str schema_json; /* raw JSON schema of the arguments; empty = no arguments */
    enum mt_opt_bool strict;
    struct mt_str
        hosted_type;   /* not empty: run by the provider ("web_search"); raw is all of it */
    struct mt_str raw; /* a hosted tool as it was given, in the dialect it came in */
    struct mt_str cache_control;
};

enum mt_tool_choice {
    MT_TOOLS_UNSAID,
    MT_TOOLS_AUTO,
    MT_TOOLS_NONE,
    MT_TOOLS_REQUIRED,
    MT_TOOLS_NAMED,
};

enum mt_chat_format { MT_FORMAT_TEXT, MT_FORMAT_JSON, MT_FORMAT_SCHEMA };

enum mt_chat_effort {
    MT_EFFORT_UNSAID,
    MT_EFFORT_NONE,
    MT_EFFORT_MINIMAL,
    MT_EFFORT_LOW,
    MT_EFFORT_MEDIUM,
    MT_EFFORT_HIGH,
    MT_EFFORT_XHIGH,
};

struct mt_chat_sampling {
    struct mt_opt_f64 temperature, top_p, min_p, typical_p;
    struct mt_opt_f64 frequency_penalty, presence_penalty, repeat_penalty;
    struct mt_opt_i64 top_k, seed, repeat_last_n;
    struct mt_str stop[MT_CHAT_STOPS_MAX];
    size_t stop_n;
    struct mt_str logit_bias_json; /* raw object, empty if none */
};

/* A field of the body that the canonical model does not hold, kept raw under its dialect. */
struct mt_chat_extra {
    struct mt_str key; /* dotted for nested ones: "options.num_ctx" */
    struct mt_str raw;
    bool is_nested;
};

enum mt_chat_kind {
    MT_CHAT_CONVERSATION,
    MT_CHAT_COMPLETION, /* prompt is continued as it stands, without a chat template */
};

struct mt_chat_request {
    struct mt_arena *arena;  /* where decoders put what they make; set by the caller */
    enum mt_dialect dialect; /* what it was read from */
    enum mt_chat_kind kind;
    struct mt_str model;

    struct mt_chat_message *messages; /* system messages stand where they were */
    size_t messages_n;
    struct mt_str *prompts; /* COMPLETION */
    size_t prompts_n;
    struct mt_str suffix; /* COMPLETION: text after the gap */
    bool echo;            /* COMPLETION: repeat the prompt in the answer */

    struct mt_chat_tool *tools;
    size_t tools_n;
    enum mt_tool_choice tool_choice;
    struct mt_str tool_choice_name;
    enum mt_opt_bool parallel_tools;
    bool legacy_functions; /* OpenAI: asked with "functions", wants "function_call" back */

    enum mt_chat_format format;
    struct mt_str schema_name;
    struct mt_str schema_json; /* raw; with MT_FORMAT_SCHEMA */
    enum mt_opt_bool schema_strict;

    struct mt_chat_sampling sampling;
    struct mt_opt_i64 max_tokens; /* of the answer */
    unsigned n;                   /* choices asked for; 0 and 1 are one */
    bool logprobs;
    unsigned top_logprobs;

    enum mt_chat_effort effort;
    struct mt_opt_i64 reasoning_budget; /* tokens */
    enum mt_opt_bool include_reasoning; /* does the caller want to see the thinking? */

    bool stream;
    bool stream_usage; /* OpenAI's include_usage */
    bool raw_prompt;   /* Ollama's raw: no template */

    struct mt_str user;          /* caller's name for its end user */
    struct mt_str metadata_json; /* raw object */
    struct mt_str service_tier;

    enum mt_opt_bool store; /* Responses */
    struct mt_str previous_response_id;
    struct mt_opt_i64 keep_alive_s; /* Ollama: -1 = for ever, 0 = unload */
    bool is_load_only; /* Ollama: empty messages or prompt: load the model, answer nothing */

    /* limits of this request: the motet object of the body (headers override in the gateway) */
    struct mt_str motet_json; /* raw, empty if none */

    struct mt_chat_extra *extras;
    size_t extras_n;
};

/* Embeddings. */
struct mt_embed_request {
    struct mt_arena *arena;
    struct mt_str model;
    struct mt_str *inputs;
    size_t inputs_n;
    struct mt_opt_i64 dimensions;
    bool base64;        /* OpenAI: encoding_format */
    bool truncate;      /* Ollama: cut inputs that are too long instead of failing */
    bool is_batch;      /* Gemini: batchEmbedContents; Ollama: input was a list */
    struct mt_str task; /* Gemini task type; or empty */
    struct mt_str user;
    struct mt_opt_i64 keep_alive_s;
    struct mt_chat_extra *extras;
    size_t extras_n;
};
enum { MT_EMBED_INPUTS_MAX = 2048 };

#endif
