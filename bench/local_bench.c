/* SPDX-License-Identifier: Apache-2.0 */
/* local_bench LIBRARY_DIR MODEL.gguf [PARALLEL [TOKENS [ROUNDS [bare]]]]: tokens a second of
 * the local engine in-process, beside a bare libllama loop at the same batch, interleaved. One
 * line of JSON per round, and the ratio of the medians. Both greedy, the same prompts, the same
 * number of tokens, prompt reading included. With "bare", the bare loop alone: bench/local.py
 * puts it beside the node as its clients see it, through HTTP. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/local.h"
#include "llama.h"
#include "net/loop.h"

enum { PARALLEL_MAX = 64, ROUNDS_MAX = 15, PROMPT_MAX = 512, ROUND_MAX = 8, BATCH = 8192 };

static const char *directory, *model_path;
static bool is_bare_only;
static int parallel = 16, tokens = 128, rounds = 5, threads;

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "local_bench: %s\n", what);
    exit(1);
}

/* The prompts of bench/local.py: the round in the system's words, the request in the user's. */
static void round_text(int round, char to[ROUND_MAX])
{
    snprintf(to, ROUND_MAX, "%04d", round % 10000);
}

static void prompt_text(int i, char *to, size_t size)
{
    snprintf(to, size, "cut-%06d asks: say something long about voices, and of the next", i);
}

/* --- bare --- */

struct bare {
    struct llama_model *model;
    struct llama_context *ctx;
    const struct llama_vocab *vocab;
    struct llama_batch batch;
};

static void quiet(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)level, (void)text, (void)ctx;
}

static void bare_open(struct bare *b)
{
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(directory);
    llama_backend_init();
    b->model = llama_model_load_from_file(model_path, llama_model_default_params());
    if (b->model == NULL)
        die("cannot load the model");
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = 512 * (uint32_t)parallel;
    params.n_seq_max = (uint32_t)parallel;
    params.n_batch = BATCH;
    params.n_ubatch = 512;
    params.n_threads = params.n_threads_batch = threads;
    params.kv_unified = false;
    b->ctx = llama_init_from_model(b->model, params);
    if (b->ctx == NULL)
        die("no context");
    b->vocab = llama_model_get_vocab(b->model);
    b->batch = llama_batch_init(BATCH, 0, 1);
}

static void bare_put(struct bare *b, llama_token token, int pos, int seq, bool wants_logits)
{
    int at = b->batch.n_tokens++;

    b->batch.token[at] = token;
    b->batch.pos[at] = pos;
    b->batch.n_seq_id[at] = 1;
    b->batch.seq_id[at][0] = seq;
    b->batch.logits[at] = wants_logits;
}

static llama_token greatest(const float *logits, int n)
{
    int best = 0;

    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* The template of random_gguf, written out. */
static int bare_prompt(struct bare *b, int i, int round, llama_token *to)
{
    char number[ROUND_MAX], text[PROMPT_MAX], all[PROMPT_MAX + 128];

    round_text(round, number);
    prompt_text(i, text, sizeof text);
    snprintf(all, sizeof all,
             "<|im_start|>system\n%s<|im_end|>\n<|im_start|>user\n%s<|im_end|>\n"
             "<|im_start|>assistant\n",
             number, text);
    return llama_tokenize(b->vocab, all, (int)strlen(all), to, PROMPT_MAX, true, true);
}

static double bare_round(struct bare *b, int round, int *prompt_n)
{
    int pos[PARALLEL_MAX], at[PARALLEL_MAX];
    llama_token prompt[PROMPT_MAX];
    int n_vocab = llama_vocab_n_tokens(b->vocab);
    double begun = now_s();

    llama_memory_clear(llama_get_memory(b->ctx), true);
    b->batch.n_tokens = 0;
    for (int i = 0; i < parallel; i++) {
        *prompt_n = pos[i] = bare_prompt(b, i, round, prompt);
        for (int k = 0; k < pos[i]; k++)
            bare_put(b, prompt[k], k, i, k == pos[i] - 1);
        at[i] = b->batch.n_tokens - 1;
    }
    for (int step = 0; step < tokens; step++) {
        llama_token next[PARALLEL_MAX];
        if (llama_decode(b->ctx, b->batch) != 0)
            die("decode failed");
        for (int i = 0; i < parallel; i++)
            next[i] = greatest(llama_get_logits_ith(b->ctx, at[i]), n_vocab);
        b->batch.n_tokens = 0;
        for (int i = 0; i < parallel; i++) {
            bare_put(b, next[i], pos[i]++, i, true);
            at[i] = i;
        }
    }
    return (double)tokens * parallel / (now_s() - begun);
}

/* --- engine --- */

static struct mt_loop *loop;
static int open_n;
static int64_t spoken_n;

static mt_rc on_event(void *ctx, const struct mt_chat_event *event, struct mt_err *err)
{
    (void)ctx, (void)err;
    if (event->kind == MT_EVENT_USAGE)
        spoken_n += event->usage.output_tokens;
    return MT_OK;
}

static void on_end(void *ctx, const struct mt_engine_end *end)
{
    (void)ctx;
    if (!end->is_ok)
        die("the engine failed");
    if (--open_n == 0)
        mt_loop_stop(loop);
}

static const struct mt_engine_sink_ops sink = {.on_event = on_event, .on_end = on_end};

struct ask {
    char number[ROUND_MAX], text[PROMPT_MAX];
    struct mt_chat_part parts[2];
    struct mt_chat_message messages[2];
    struct mt_chat_request request;
};

static double engine_round(struct mt_engine *engine, int round)
{
    static struct ask asks[PARALLEL_MAX];
    struct mt_err err = {0};
    double begun = now_s();

    spoken_n = 0;
    for (int i = 0; i < parallel; i++) {
        struct ask *ask = &asks[i];
        struct mt_engine_run *run;
        round_text(round, ask->number);
        prompt_text(i, ask->text, sizeof ask->text);
        ask->parts[0] = (struct mt_chat_part){.text = mt_str_of(ask->number)};
        ask->parts[1] = (struct mt_chat_part){.text = mt_str_of(ask->text)};
        ask->messages[0] =
            (struct mt_chat_message){MT_ROLE_SYSTEM, {NULL, 0}, &ask->parts[0], 1};
        ask->messages[1] = (struct mt_chat_message){MT_ROLE_USER, {NULL, 0}, &ask->parts[1], 1};
        ask->request = (struct mt_chat_request){
            .messages = ask->messages,
            .messages_n = 2,
            .max_tokens = {true, tokens},
            .sampling = {.temperature = {true, 0}},
        };
        struct mt_engine_call call = {
            .request = &ask->request, .model = MT_STR("m"), .sink = &sink};
        if (engine->ops->start(engine, &call, &run, &err) < 0)
            die(err.text);
        open_n++;
    }
    mt_loop_run(loop);
    if (spoken_n != (int64_t)tokens * parallel)
        fprintf(stderr, "local_bench: %lld tokens instead of %d\n", (long long)spoken_n,
                tokens * parallel);
    return (double)spoken_n / (now_s() - begun);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, compare);
    return v[n / 2];
}

static void read_args(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(
            stderr,
            "usage: local_bench LIBRARY_DIR MODEL.gguf [PARALLEL [TOKENS [ROUNDS [bare]]]]\n");
        exit(2);
    }
    directory = argv[1];
    model_path = argv[2];
    parallel = argc > 3 ? atoi(argv[3]) : parallel;
    tokens = argc > 4 ? atoi(argv[4]) : tokens;
    rounds = argc > 5 ? atoi(argv[5]) : rounds;
    is_bare_only = argc > 6 && strcmp(argv[6], "bare") == 0;
    threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (parallel < 1 || parallel > PARALLEL_MAX || tokens < 1 || tokens > 400 || rounds < 1 ||
        rounds > ROUNDS_MAX)
        die("out of range");
}

static void bare_only(struct bare *bare)
{
    int prompt_n = 0;

    (void)bare_round(bare, 100, &prompt_n);
    for (int i = 0; i < rounds; i++) {
        double tps = bare_round(bare, i, &prompt_n);
        printf("{\"round\": %d, \"bare_tps\": %.1f, \"prompt_tokens\": %d}\n", i, tps,
               prompt_n);
    }
}

int main(int argc, char **argv)
{
    double bare_tps[ROUNDS_MAX], engine_tps[ROUNDS_MAX];
    struct mt_engine *engine = NULL;
    struct mt_err err = {0};
    struct bare bare;
    int prompt_n;

    read_args(argc, argv);
    struct mt_local_model model = {.name = MT_STR("m"),
                                   .path = mt_str_of(model_path),
                                   .context_tokens = 512,
                                   .parallel_max = (unsigned)parallel,
                                   .keep_alive_ms = -1};
    struct mt_local_opts opts = {.library_dir = directory,
                                 .threads = (unsigned)threads,
                                 .models = &model,
                                 .models_n = 1};
    bare_open(&bare);
    if (is_bare_only) {
        bare_only(&bare);
        return 0;
    }
    if (mt_loop_new(&loop, &err) < 0 || mt_local_open(loop, &opts, &engine, &err) < 0)
        die(err.text);
    (void)engine_round(engine, 100); /* loads the model */
    (void)bare_round(&bare, 100, &prompt_n);
    for (int i = 0; i < rounds; i++) {
        bare_tps[i] = bare_round(&bare, i, &prompt_n);
        engine_tps[i] = engine_round(engine, i);
        printf("{\"round\": %d, \"bare_tps\": %.1f, \"engine_tps\": %.1f}\n", i, bare_tps[i],
               engine_tps[i]);
        fflush(stdout);
    }
    double b = median(bare_tps, rounds), e = median(engine_tps, rounds);
    printf("{\"parallel\": %d, \"tokens\": %d, \"bare_tps\": %.1f, \"engine_tps\": %.1f, "
           "\"ratio\": %.3f}\n",
           parallel, tokens, b, e, e / b);
    engine->ops->close(engine);
    mt_loop_free(loop);
    return 0;
}
