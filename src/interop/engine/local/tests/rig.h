/* SPDX-License-Identifier: Apache-2.0 */
/* A loop, a local engine with the bootstrap model, and calls that wait for their answer.
 */
#ifndef MT_LOCAL_TESTS_RIG_H
#define MT_LOCAL_TESTS_RIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "engine/local.h"

enum { RIG_CALLS_MAX = 64, RIG_CHOICES_MAX = 8, RIG_LOGPROBS_MAX = 256 };

struct rig {
    struct mt_loop *loop;
    struct mt_engine *engine;
    struct mt_timer *watchdog;
    unsigned open_n; /* calls that have not ended */
    int64_t total_timeout_ms, first_timeout_ms;
};

struct rig_choice {
    struct mt_buf text, reasoning, args, names; /* names: one per line */
    enum mt_finish finish;
    char stop[64];
    unsigned calls_n;
};

/* One answer, gathered. */
struct rig_call {
    struct rig *rig;
    struct mt_engine_run *run; /* NULL when over */
    struct rig_choice choices[RIG_CHOICES_MAX];
    struct mt_usage start, usage;
    unsigned events_n, texts_n;
    bool has_start, has_end, is_over, is_ok;
    enum mt_chat_error_kind error;
    char message[256];
    float logprobs[RIG_LOGPROBS_MAX], entropies[RIG_LOGPROBS_MAX], top_sums[RIG_LOGPROBS_MAX];
    size_t logprobs_n;
    char tokens[1024];
    float *vectors; /* of an embedding; owned */
    size_t n, dims;
    /* what to do on the way: cancel or pause at the n-th event (0 = never) */
    unsigned cancel_at, pause_at, fail_at;
};

/* Model file "tests/data/bootstrap.gguf" under the name "lab"; fields of model and opts may be
 * set. */
void rig_open(struct rig *rig, struct mt_local_model model, struct mt_local_opts opts);
void rig_close(struct rig *rig);

void rig_call_init(struct rig_call *call, struct rig *rig);
void rig_call_fini(struct rig_call *call);

/* A conversation of one user message; greedy. */
struct rig_ask {
    struct mt_chat_request request;
    struct mt_chat_message messages[8];
    struct mt_chat_part parts[8];
    struct mt_arena arena;
};
void rig_say(struct rig_ask *ask, enum mt_chat_role role, const char *text);

mt_rc rig_start(struct rig *rig, struct rig_call *call, const struct mt_chat_request *request,
                struct mt_err *err);
/* Run the loop until no call is open. */
void rig_wait(struct rig *rig);
/* Start, wait. */
void rig_run(struct rig *rig, struct rig_call *call, const struct mt_chat_request *request);
/* Run the loop until the condition holds. */
void rig_until(struct rig *rig, bool (*is_so)(void *ctx), void *ctx);

void rig_embed(struct rig *rig, struct rig_call *call, const struct mt_embed_request *request);

/* Is the engine's thread idle for a new answer? Asks something short and checks it. */
const char *rig_text(const struct rig_call *call);

#endif
