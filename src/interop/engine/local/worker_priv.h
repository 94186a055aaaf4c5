/* SPDX-License-Identifier: Apache-2.0 */
/* worker_priv.h - what the files of a worker share. All of it is the worker thread's, but what
 * the lock guards.
 *
 *   worker.c        its life: begin, thread, end
 *   worker_mail.c   jobs that wait
 *   worker_step.c   one batch
 *   worker_load.c   model and contexts: load, unload
 *   worker_slots.c  sequences and their cached prefixes
 *   worker_embed.c  embeddings
 *   ask.c           a job's prompts and choices: begin, end, usage
 *   choice.c        one choice: tokens into events
 *   sampler.c       logits into a token, logprobs
 */
#ifndef MT_LOCAL_WORKER_PRIV_H
#define MT_LOCAL_WORKER_PRIV_H

#include <pthread.h>

#include "json_closing.h"
#include "llama_api.h"
#include "outbox.h"
#include "text_out.h"
#include "worker.h"

enum {
    MT_SLOTS_MAX = 256,
    MT_BATCH_TOKENS = 2048,
    MT_UBATCH_TOKENS = 512,
    MT_SHARE_MIN = 64, /* fewer prompt tokens use the machine badly */
    MT_TOKEN_BYTES_MAX = 512,
    MT_PIECE_BYTES = 32,       /* of a token's text in logprobs */
    MT_HELD_PIECES_MAX = 4096, /* of a job that the loop has not taken: then it waits */
};

struct mt_sampler {
    struct llama_sampler *chain;   /* NULL: the greatest logit */
    struct llama_sampler *grammar; /* NULL: none */
    bool grammar_is_on;
};

/* A sequence of the context and the tokens that stand in its cache. */
struct mt_slot {
    llama_seq_id seq;
    llama_token *cells; /* context_tokens of them */
    size_t cells_n;
    struct mt_choice_run *choice; /* NULL: free */
    uint64_t used_at;             /* step of the last use */
};

enum mt_choice_state {
    MT_CHOICE_WAITS,  /* for a slot, or for the sibling that reads the same prompt */
    MT_CHOICE_PROMPT, /* reading the prompt */
    MT_CHOICE_SPEAKS,
    MT_CHOICE_DONE,
};

enum mt_call_mode {
    MT_CALLS_NONE,
    MT_CALLS_MAYBE, /* the answer's first character decides */
    MT_CALLS_OURS,  /* our own form, by grammar */
    MT_CALLS_NATIVE /* the template's form, read by its reader */
};

/* A token whose text is not settled yet. */
struct mt_pending_token {
    uint64_t end; /* bytes of the choice's output up to and with it */
    struct mt_token_logprob logprob;
    struct mt_token_top top[MT_CHAT_TOP_LOGPROBS_MAX];
    char texts[(MT_CHAT_TOP_LOGPROBS_MAX + 1) * MT_PIECE_BYTES]; /* its own, then the top's */
};

struct mt_choice_run {
    struct mt_ask *ask;
    unsigned index; /* of the answer's choices */
    size_t prompt;  /* which of the ask's prompts */
    enum mt_choice_state state;
    struct mt_slot *slot;
    int32_t batch_at; /* index of its logits in the batch; -1: none */
    llama_token next; /* chosen, not decoded yet */
    size_t taken;     /* tokens put into the present batch */
    int64_t spoken_n; /* tokens of the answer */
    int64_t reasoning_n;
    uint64_t bytes_n; /* of output */
    struct mt_sampler sampler;
    struct mt_closing closing; /* of what the grammar binds */
    struct mt_text_out text;
    struct mt_call_out calls;
    enum mt_call_mode mode;
    struct mt_tmpl_prompt *reader; /* NATIVE */
    struct mt_buf answer;          /* NATIVE: all of it; MAYBE: its beginning */
    unsigned tools_n;
    enum mt_finish finish;
    struct mt_pending_token *pending; /* ring of tokens with logprobs, oldest first */
    size_t pending_n, pending_cap;
    bool is_out_of_memory;
};

struct mt_prompt {
    llama_token *tokens;
    size_t n;
    size_t cached_n;
    bool is_read; /* some choice has it in its sequence */
};

/* A job in work. */
struct mt_ask {
    struct mt_job *job;
    struct mt_ask *next;
    struct mt_prompt *prompts;
    size_t prompts_n;
    struct mt_choice_run *choices;
    size_t choices_n;
    size_t open_n; /* choices not done */
    bool is_begun, is_failed;
    int64_t begun_ns, first_ns;
    int64_t load_ns;
    struct mt_tmpl_prompt *tmpl; /* of a chat: tags and stops live there */
    struct mt_tmpl_out tmpl_out;
    struct mt_str *stops; /* the job's and the template's */
    size_t stops_n;
    /* EMBED */
    float *vectors;
    size_t embedded_n;
};

struct mt_worker {
    struct mt_worker_opts opts;
    char *name, *path, *lora_path;
    pthread_t thread;

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct mt_job *mail_head, *mail_tail;
    size_t mail_n;
    struct mt_err end; /* why the thread ended by itself; or MT_OK */
    bool is_finishing;
    bool is_poked; /* there is news: mail, flags of jobs, the end */

    struct mt_outbox *outbox;
    struct mt_piece *loaded_word, *last_word; /* kept ready: no memory may be left for them */
    _Atomic bool is_aborted;
    _Atomic bool is_ready; /* vocab and tmpl may be used by the loop, under tmpl_lock */
    pthread_mutex_t tmpl_lock;

    const struct mt_llama *ll;
    struct llama_model *model;
    struct llama_adapter_lora *adapter; /* NULL: none */
    struct llama_context *ctx;
    struct llama_context *embed_ctx; /* made on first use */
    const struct llama_vocab *vocab;
    struct mt_tmpl *tmpl;
    struct mt_tmpl_caps caps;
    struct mt_worker_facts facts;
    int64_t loaded_at_ns;
    int32_t vocab_n;
    bool can_cut; /* the cache can forget the end of a sequence */

    struct llama_batch batch;
    llama_token_data *candidates; /* vocab_n of them */
    struct mt_slot *slots;
    size_t slots_n;
    struct mt_ask *asks; /* in the order they came */
    uint64_t step_n;
    const struct mt_ask *embedding; /* its text is being computed now; NULL: none */
    size_t speakers_n;              /* tokens of speaking sequences in the present batch */
    size_t share;                   /* prompt tokens per step, so that a step stays short */
    size_t stretch;                 /* how many times as long the present step may take */
    uint64_t random;
};

/* worker.c */
int64_t mt_worker__now_ns(void);

/* worker_mail.c */
struct mt_job *mt_mail__take(struct mt_worker *w); /* NULL: none waits */
/** Jobs that were cancelled while they waited make room for others. */
void mt_mail__sweep(struct mt_worker *w);
/** Sleep until there is news; a while only when the loop must be looked after. */
void mt_mail__wait(struct mt_worker *w, bool must_poll);
bool mt_mail__is_over(struct mt_worker *w);

/* worker_step.c */
/** @return was there anything to do? */
bool mt_worker__step(struct mt_worker *w);

/* worker_load.c: on failure all is given back */
mt_rc mt_worker__load(struct mt_worker *w, struct mt_err *err);
void mt_worker__unload(struct mt_worker *w);
mt_rc mt_worker__embed_context(struct mt_worker *w, struct mt_err *err);

/* worker_slots.c */
/** Give the choice a free slot with as much of its prompt cached as can be had; false: none is
 * free. */
bool mt_slot__assign(struct mt_worker *w, struct mt_choice_run *choice);
void mt_slot__release(struct mt_worker *w, struct mt_choice_run *choice);
/** Forget what stands behind the first n tokens. */
void mt_slot__cut(struct mt_worker *w, struct mt_slot *slot, size_t n);

/* ask.c */
/** Take a job in; it fails alone, with its last piece sent. */
void mt_ask__begin(struct mt_worker *w, struct mt_job *job);
/** Fail, or end well when error is NULL. The ask is freed by mt_ask__sweep. */
void mt_ask__fail(struct mt_worker *w, struct mt_ask *ask, const struct mt_chat_error *error);
void mt_ask__fail_err(struct mt_worker *w, struct mt_ask *ask, const struct mt_err *err);
void mt_ask__choice_done(struct mt_worker *w, struct mt_choice_run *choice);
void mt_ask__sweep(struct mt_worker *w); /* drop what is done, failed or cancelled */
void mt_ask__started(struct mt_worker *w, struct mt_ask *ask); /* sends START once */
mt_rc mt_worker__tokenize(struct mt_worker *w, struct mt_str text, bool with_special,
                          bool with_bos, struct mt_prompt *out, struct mt_err *err);
/** Tokens of a rendered conversation: the template's marks are control tokens, the same words
 * in a client's texts are not. */
mt_rc mt_worker__tokenize_chat(struct mt_worker *w, const struct mt_tmpl_out *shown,
                               struct mt_prompt *out, struct mt_err *err);
/** Prompts of a job; tmpl and tmpl_out as in struct mt_ask (chat). */
mt_rc mt_worker__render(struct mt_worker *w, struct mt_job *job, struct mt_tmpl_prompt **tmpl,
                        struct mt_tmpl_out *out, struct mt_err *err);

/* choice.c */
mt_rc mt_choice__begin(struct mt_worker *w, struct mt_choice_run *choice, struct mt_err *err);
void mt_choice__fini(struct mt_worker *w, struct mt_choice_run *choice);
/** The logits of the choice are there: choose, give out, end when it is over. */
void mt_choice__step(struct mt_worker *w, struct mt_choice_run *choice);
void mt_choice__echo(struct mt_worker *w, struct mt_choice_run *choice, struct mt_str text);

/* sampler.c */
mt_rc mt_sampler__begin(struct mt_worker *w, const struct mt_job *job, uint32_t seed,
                        struct mt_sampler *out, struct mt_err *err);
void mt_sampler__fini(struct mt_worker *w, struct mt_sampler *sampler);
/** @param closing  where a bound text stands that must come to its end now; NULL: no hurry
 *  @return a token, or -1: the grammar allows nothing any more */
llama_token mt_sampler__choose(struct mt_worker *w, struct mt_sampler *sampler,
                               const float *logits, const struct mt_closing *closing);
/** Does the grammar take this token now? It is told of it when it does. */
bool mt_sampler__try_grammar(struct mt_worker *w, struct mt_sampler *sampler,
                             llama_token token);
/** Log probability of a token, entropy and the most probable ones. */
void mt_sampler__logprobs(struct mt_worker *w, const float *logits, llama_token token,
                          unsigned top_n, struct mt_pending_token *out);
size_t mt_worker__piece(struct mt_worker *w, llama_token token, bool with_special, char *to,
                        size_t size);

/* worker_embed.c */
/** Work on an embedding job: one batch of it. */
void mt_embed__step(struct mt_worker *w, struct mt_ask *ask);

#endif
