/* SPDX-License-Identifier: Apache-2.0 */
/* job.h - one request on its way between the loop and a model's thread.
 *
 * The loop fills a job and posts it to a worker; the worker answers with pieces, in order, the
 * last of which is marked. Both hold a reference; the atomics are all they share while it
 * runs. Everything else is constant after posting, but for run, which is the loop's. */
#ifndef MT_LOCAL_JOB_H
#define MT_LOCAL_JOB_H

#include <stdatomic.h>

#include "chat/answer.h"
#include "chat/request.h"
#include "json_grammar.h"
#include "template.h"

struct mt_engine_run;

enum mt_job_kind { MT_JOB_CHAT, MT_JOB_COMPLETION, MT_JOB_EMBED, MT_JOB_LOAD };

/* A paused answer goes on until so many pieces wait: a slow reader keeps no slot for long. */
enum { MT_JOB_HELD_MAX = 2048 };

enum mt_job_tools {
    MT_JOB_NO_TOOLS,
    MT_JOB_TOOLS_AUTO,
    MT_JOB_TOOLS_FORCED, /* required or named */
};

struct mt_logit_bias {
    int32_t token;
    float bias;
};

struct mt_job {
    _Atomic unsigned refs;
    _Atomic bool is_canceled;
    _Atomic bool is_paused;
    _Atomic unsigned held_n;   /* pieces the loop keeps while it is paused */
    struct mt_engine_run *run; /* loop only; NULL once cancelled */
    struct mt_job *next;       /* in the worker's mailbox */
    struct mt_piece *spare;    /* the last piece when there is no memory for another */
    int64_t posted_ns;

    struct mt_arena arena; /* all that follows lives here */
    enum mt_job_kind kind;
    bool is_unload; /* LOAD that leaves nothing in memory (keep_alive 0) */
    struct mt_str model;

    struct mt_str messages_json; /* as the client gave them, OpenAI shape */
    struct mt_str tools_json;    /* OpenAI shape, or empty */
    struct mt_str plain_json;    /* with tools told in the system text */
    struct mt_tmpl_plain *plain; /* flattened: what a template without tools is shown */
    size_t plain_n;
    enum mt_job_tools tools;
    bool tools_parallel;
    bool no_thinking;
    bool hides_reasoning;
    struct mt_str effort;

    struct mt_str *prompts; /* COMPLETION; EMBED: the inputs */
    size_t prompts_n;
    struct mt_str suffix;
    bool echo;
    bool truncate; /* EMBED */
    size_t dims;   /* EMBED: wanted; 0 = all */

    unsigned n;         /* choices per prompt, >= 1 */
    int64_t max_tokens; /* < 0: to the end of the context */
    bool logprobs;
    unsigned top_logprobs;
    struct mt_chat_sampling sampling;
    struct mt_logit_bias *bias;
    size_t bias_n;
    const char *grammar;      /* of the answer: JSON or schema; NULL = none */
    const char *call_grammar; /* of our own form of tool calls; NULL = no tools */
};

/* A piece of an answer. Its event points into its own tail. */
struct mt_piece {
    struct mt_piece *next;
    struct mt_job *job; /* NULL: of the model itself */
    bool is_last;       /* no more of this job: error says how it ended, if badly */
    bool has_error;
    bool was_sent;
    struct mt_chat_error error;
    struct mt_chat_event event;   /* when neither last nor embed */
    struct mt_embed_answer embed; /* of a last piece of EMBED */
};

struct mt_job *mt_job_new(void);
void mt_job_unref(struct mt_job *job);

/** A piece with a copy of the event; NULL: out of memory. */
struct mt_piece *mt_piece_of(struct mt_job *job, const struct mt_chat_event *event);
/** The last piece; error may be NULL; embed may be NULL, its values are copied. Never NULL for
 * a job: out of memory, it is the piece the job has kept for that, and says so. */
struct mt_piece *mt_piece_last(struct mt_job *job, const struct mt_chat_error *error,
                               const struct mt_embed_answer *embed);
/** Free a piece, and let go of the job with its last one. */
void mt_piece_drop(struct mt_piece *piece);
extern const struct mt_chat_error mt_job_out_of_memory;

/** Fill a job from a request: copies all it needs. What a local model cannot do is refused by
 * name, what only tunes is noted.
 *  @param context_tokens  of the model, 0 if unknown: bounds open-ended JSON
 *  @return MT_OK, MT_E_UNSUPPORTED, MT_E_INVALID, MT_E_TOOBIG, MT_E_NOMEM */
mt_rc mt_job_of_request(const struct mt_chat_request *request, struct mt_str model,
                        int64_t context_tokens, struct mt_chat_notes *notes,
                        struct mt_job **out, struct mt_err *err);
mt_rc mt_job_of_embed(const struct mt_embed_request *request, struct mt_str model,
                      struct mt_chat_notes *notes, struct mt_job **out, struct mt_err *err);

/** Part of the above kept apart: the conversation in its three forms (job_messages.c). */
mt_rc mt_job__messages(const struct mt_chat_request *request, struct mt_job *job,
                       struct mt_err *err);

#endif
