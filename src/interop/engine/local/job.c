/* SPDX-License-Identifier: Apache-2.0 */
/* Requests made into jobs, and answers into pieces. */
#include "job.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "chat/codec.h"

enum { JOB_BYTES_MAX = 256 << 20, BIAS_MAX = 1024 };

struct mt_job *mt_job_new(void)
{
    struct mt_job *job = mt_alloc(1, sizeof *job);

    if (job == NULL)
        return NULL;
    job->spare = mt_alloc(1, sizeof *job->spare);
    if (job->spare == NULL) {
        mt_free(job);
        return NULL;
    }
    atomic_init(&job->refs, 1);
    mt_arena_init(&job->arena, JOB_BYTES_MAX);
    job->n = 1;
    job->max_tokens = -1;
    return job;
}

void mt_job_unref(struct mt_job *job)
{
    if (job == NULL || atomic_fetch_sub(&job->refs, 1) > 1)
        return;
    mt_arena_fini(&job->arena);
    mt_free(job->spare);
    mt_free(job);
}

static void job_unrefp(struct mt_job **job)
{
    mt_job_unref(*job);
}

/* --- pieces: one block of memory, the texts behind the struct --- */

static size_t event_bytes(const struct mt_chat_event *e)
{
    size_t n = e->text.len + e->id.len + e->name.len + e->model.len + e->stop_sequence.len;

    n += e->logprobs_n * sizeof *e->logprobs;
    for (size_t i = 0; i < e->logprobs_n; i++) {
        n += e->logprobs[i].token.len + e->logprobs[i].top_n * sizeof *e->logprobs[i].top;
        n += 2 * sizeof(void *); /* alignment */
        for (size_t k = 0; k < e->logprobs[i].top_n; k++)
            n += e->logprobs[i].top[k].token.len;
    }
    return n + 2 * sizeof(void *);
}

static void *bump(char **at, const void *from, size_t n)
{
    char *to = *at;

    if (n > 0)
        memcpy(to, from, n);
    *at += n;
    return to;
}

static void *bump_aligned(char **at, const void *from, size_t n)
{
    *at += -(uintptr_t)*at % sizeof(void *);
    return bump(at, from, n);
}

static void bump_str(char **at, struct mt_str *text)
{
    text->at = bump(at, text->at, text->len);
}

static void copy_logprobs(char **at, struct mt_chat_event *e)
{
    struct mt_token_logprob *list =
        bump_aligned(at, e->logprobs, e->logprobs_n * sizeof *e->logprobs);

    for (size_t i = 0; i < e->logprobs_n; i++) {
        struct mt_token_top *top =
            bump_aligned(at, list[i].top, list[i].top_n * sizeof *list[i].top);
        for (size_t k = 0; k < list[i].top_n; k++)
            bump_str(at, &top[k].token);
        list[i].top = top;
        bump_str(at, &list[i].token);
    }
    e->logprobs = list;
}

static struct mt_piece *piece_new(struct mt_job *job, size_t tail)
{
    struct mt_piece *piece = mt_alloc(1, sizeof *piece + tail);

    if (piece != NULL)
        piece->job = job;
    return piece;
}

struct mt_piece *mt_piece_of(struct mt_job *job, const struct mt_chat_event *event)
{
    struct mt_piece *piece = piece_new(job, event_bytes(event));

    if (piece == NULL)
        return NULL;
    char *at = (char *)(piece + 1);
    piece->event = *event;
    if (event->logprobs_n > 0)
        copy_logprobs(&at, &piece->event);
    bump_str(&at, &piece->event.text);
    bump_str(&at, &piece->event.id);
    bump_str(&at, &piece->event.name);
    bump_str(&at, &piece->event.model);
    bump_str(&at, &piece->event.stop_sequence);
    return piece;
}

const struct mt_chat_error mt_job_out_of_memory = {
    .kind = MT_CHAT_ERR_INTERNAL,
    .message = MT_STR_INIT("out of memory"),
    .retry_after_ms = -1,
};

static struct mt_piece *take_spare(struct mt_job *job)
{
    struct mt_piece *piece = job != NULL ? job->spare : NULL;

    if (piece == NULL)
        return NULL;
    job->spare = NULL;
    *piece = (struct mt_piece){
        .job = job, .is_last = true, .has_error = true, .error = mt_job_out_of_memory};
    return piece;
}

struct mt_piece *mt_piece_last(struct mt_job *job, const struct mt_chat_error *error,
                               const struct mt_embed_answer *embed)
{
    size_t floats = embed != NULL ? embed->n * embed->dims * sizeof *embed->values : 0;
    size_t texts = error != NULL ? error->message.len + error->code.len + error->param.len : 0;
    struct mt_piece *piece = piece_new(job, floats + texts);

    if (piece == NULL)
        return take_spare(job);
    char *at = (char *)(piece + 1);
    piece->is_last = true;
    if (embed != NULL) {
        piece->embed = *embed;
        piece->embed.values = bump(&at, embed->values, floats);
    }
    if (error != NULL) {
        piece->has_error = true;
        piece->error = *error;
        bump_str(&at, &piece->error.message);
        bump_str(&at, &piece->error.code);
        bump_str(&at, &piece->error.param);
    }
    return piece;
}

void mt_piece_drop(struct mt_piece *piece)
{
    struct mt_job *job = piece->is_last ? piece->job : NULL;

    mt_free(piece);
    mt_job_unref(job);
}

/* --- requests --- */

static mt_rc copy(struct mt_job *job, struct mt_str from, struct mt_str *to, struct mt_err *err)
{
    *to = mt_arena_str(&job->arena, from);
    return to->at != NULL ? MT_OK : mt_arena_fail(&job->arena, err);
}

static mt_rc copy_list(struct mt_job *job, const struct mt_str *from, size_t n,
                       struct mt_err *err)
{
    job->prompts = mt_arena_get(&job->arena, n > 0 ? n : 1, sizeof *job->prompts);
    if (job->prompts == NULL)
        return mt_arena_fail(&job->arena, err);
    for (size_t i = 0; i < n; i++)
        MT_TRY(copy(job, from[i], &job->prompts[i], err));
    job->prompts_n = n;
    return MT_OK;
}

/* Refuse a hosted tool and anything that is no text. */
static mt_rc check_parts(const struct mt_chat_part *parts, size_t n, struct mt_err *err)
{
    static const char *const refused[] = {
        [MT_PART_IMAGE] = "images", [MT_PART_AUDIO] = "audio", [MT_PART_FILE] = "files"};

    for (size_t i = 0; i < n; i++) {
        size_t kind = (size_t)parts[i].kind;
        if (kind < MT_ARRAY_LEN(refused) && refused[kind] != NULL)
            return MT_FAIL(err, MT_E_UNSUPPORTED, "a local model cannot take %s",
                           refused[kind]);
        MT_TRY(check_parts(parts[i].parts, parts[i].parts_n, err));
    }
    return MT_OK;
}

static mt_rc check_request(const struct mt_chat_request *r, struct mt_err *err)
{
    for (size_t i = 0; i < r->messages_n; i++)
        MT_TRY(check_parts(r->messages[i].parts, r->messages[i].parts_n, err));
    for (size_t i = 0; i < r->tools_n; i++)
        if (r->tools[i].hosted_type.len > 0)
            return MT_FAIL(err, MT_E_UNSUPPORTED, "a local model has no hosted tool '%.*s'",
                           MT_STR_ARG(r->tools[i].hosted_type));
    if (r->n > MT_CHAT_CHOICES_MAX)
        return MT_FAIL(err, MT_E_INVALID, "n: at most %d, found %u", MT_CHAT_CHOICES_MAX, r->n);
    if (r->kind == MT_CHAT_COMPLETION && r->prompts_n == 0)
        return MT_FAIL(err, MT_E_INVALID, "prompt: expected a text");
    if (r->kind == MT_CHAT_CONVERSATION && r->messages_n == 0)
        return MT_FAIL(err, MT_E_INVALID, "messages: expected at least one");
    return MT_OK;
}

static mt_rc check_sampling(const struct mt_chat_sampling *s, struct mt_err *err)
{
    const struct {
        const char *name;
        struct mt_opt_f64 value;
        double min, max;
    } table[] = {
        {"temperature", s->temperature, 0, 100},
        {"top_p", s->top_p, 0, 1},
        {"min_p", s->min_p, 0, 1},
        {"typical_p", s->typical_p, 0, 1},
        {"frequency_penalty", s->frequency_penalty, -2, 2},
        {"presence_penalty", s->presence_penalty, -2, 2},
        {"repeat_penalty", s->repeat_penalty, 0.01, 100},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++)
        if (table[i].value.has &&
            !(table[i].value.value >= table[i].min && table[i].value.value <= table[i].max))
            return MT_FAIL(err, MT_E_INVALID, "%s: expected %g to %g, found %g", table[i].name,
                           table[i].min, table[i].max, table[i].value.value);
    return MT_OK;
}

static mt_rc read_bias(struct mt_job *job, struct mt_str json, struct mt_err *err)
{
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 20);
    const struct mt_json *root;

    if (json.len == 0)
        return MT_OK;
    mt_buf_add(&text, json);
    MT_TRY(mt_buf_check(&text, "logit_bias", err));
    MT_TRY(mt_json_doc_new(&doc, err));
    MT_TRY(mt_json_parse(doc, mt_buf_str(&text), &root, err));
    size_t n = mt_json_count(root);
    if (mt_json_type(root) != MT_JSON_OBJECT || n > BIAS_MAX)
        return MT_FAIL(err, MT_E_INVALID, "logit_bias: expected an object of at most %d tokens",
                       BIAS_MAX);
    job->bias = mt_arena_get(&job->arena, n + 1, sizeof *job->bias);
    if (job->bias == NULL)
        return mt_arena_fail(&job->arena, err);
    for (const struct mt_json *v = mt_json_first(root); v != NULL; v = mt_json_next(v)) {
        int64_t token;
        double bias;
        if (!mt_str_to_i64(mt_json_key(v), 0, INT32_MAX, &token) || !mt_json_f64(v, &bias) ||
            bias < -100 || bias > 100)
            return MT_FAIL(err, MT_E_INVALID,
                           "logit_bias: expected token numbers with -100 to 100");
        job->bias[job->bias_n++] = (struct mt_logit_bias){(int32_t)token, (float)bias};
    }
    return MT_OK;
}

static mt_rc read_sampling(const struct mt_chat_request *r, struct mt_job *job,
                           struct mt_err *err)
{
    MT_TRY(check_sampling(&r->sampling, err));
    job->sampling = r->sampling;
    job->sampling.logit_bias_json = (struct mt_str){NULL, 0};
    job->sampling.stop_n = 0;
    for (size_t i = 0; i < r->sampling.stop_n; i++)
        if (r->sampling.stop[i].len > 0)
            MT_TRY(copy(job, r->sampling.stop[i], &job->sampling.stop[job->sampling.stop_n++],
                        err));
    job->logprobs = r->logprobs;
    job->top_logprobs =
        r->top_logprobs < MT_CHAT_TOP_LOGPROBS_MAX ? r->top_logprobs : MT_CHAT_TOP_LOGPROBS_MAX;
    return read_bias(job, r->sampling.logit_bias_json, err);
}

static mt_rc keep_grammar(struct mt_job *job, const struct mt_buf *text, const char **out,
                          struct mt_err *err)
{
    struct mt_str kept;

    MT_TRY(copy(job, mt_buf_str(text), &kept, err));
    *out = kept.at;
    return MT_OK;
}

static mt_rc make_grammar(const struct mt_chat_request *r, struct mt_job *job,
                          const struct mt_grammar_bounds *bounds, struct mt_chat_notes *notes,
                          struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);

    if (r->format == MT_FORMAT_TEXT)
        return MT_OK;
    if (r->format == MT_FORMAT_SCHEMA && r->schema_json.len > 0)
        MT_TRY(mt_grammar_schema(r->schema_json, bounds, &text, notes, err));
    else
        MT_TRY(mt_grammar_object(bounds, &text, err));
    return keep_grammar(job, &text, &job->grammar, err);
}

static mt_rc make_call_grammar(const struct mt_chat_request *r, struct mt_job *job,
                               const struct mt_grammar_bounds *bounds,
                               struct mt_chat_notes *notes, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    struct mt_grammar_tools tools = {
        .tools = r->tools,
        .tools_n = r->tools_n,
        .is_parallel = r->parallel_tools == MT_YES,
    };

    bool is_forced = r->tool_choice == MT_TOOLS_REQUIRED || r->tool_choice == MT_TOOLS_NAMED;
    if (is_forced && r->tools_n == 0)
        return MT_FAIL(err, MT_E_INVALID, "tool_choice: there are no tools to choose from");
    if (r->tools_n == 0 || r->tool_choice == MT_TOOLS_NONE)
        return MT_OK;
    if (r->tool_choice == MT_TOOLS_NAMED)
        tools.only = r->tool_choice_name;
    job->tools = is_forced ? MT_JOB_TOOLS_FORCED : MT_JOB_TOOLS_AUTO;
    job->tools_parallel = tools.is_parallel;
    MT_TRY(mt_grammar_calls(&tools, bounds, &text, notes, err));
    return keep_grammar(job, &text, &job->call_grammar, err);
}

static struct mt_str effort_name(enum mt_chat_effort effort)
{
    switch (effort) {
    case MT_EFFORT_UNSAID:
    case MT_EFFORT_NONE:
        return (struct mt_str){NULL, 0};
    case MT_EFFORT_MINIMAL:
    case MT_EFFORT_LOW:
        return MT_STR("low");
    case MT_EFFORT_MEDIUM:
        return MT_STR("medium");
    case MT_EFFORT_HIGH:
    case MT_EFFORT_XHIGH:
        return MT_STR("high");
    }
    return (struct mt_str){NULL, 0};
}

static mt_rc fill(const struct mt_chat_request *r, struct mt_job *job, int64_t context_tokens,
                  struct mt_chat_notes *notes, struct mt_err *err)
{
    int64_t room = r->max_tokens.has ? r->max_tokens.value : context_tokens / 2;
    struct mt_grammar_bounds bounds = mt_grammar_bounds_for(room > 0 ? room : -1);

    job->kind = r->kind == MT_CHAT_COMPLETION ? MT_JOB_COMPLETION : MT_JOB_CHAT;
    job->n = r->n > 1 ? r->n : 1;
    job->max_tokens = r->max_tokens.has && r->max_tokens.value >= 0 ? r->max_tokens.value : -1;
    job->echo = r->echo;
    job->no_thinking = r->effort == MT_EFFORT_NONE ||
                       (r->reasoning_budget.has && r->reasoning_budget.value == 0);
    job->hides_reasoning = r->include_reasoning == MT_NO;
    job->effort = effort_name(r->effort);
    MT_TRY(read_sampling(r, job, err));
    MT_TRY(make_grammar(r, job, &bounds, notes, err));
    if (job->kind == MT_JOB_COMPLETION) {
        MT_TRY(copy(job, r->suffix, &job->suffix, err));
        return copy_list(job, r->prompts, r->prompts_n, err);
    }
    MT_TRY(make_call_grammar(r, job, &bounds, notes, err));
    if (job->call_grammar != NULL && job->grammar != NULL) {
        mt_chat_note(notes, "response_format does not bind an answer that may call tools");
        job->grammar = NULL;
    }
    return mt_job__messages(r, job, err);
}

/* What only tunes and means nothing here. */
static void note_losses(const struct mt_chat_request *r, struct mt_chat_notes *notes)
{
    bool has_names = false;

    for (size_t i = 0; i < r->messages_n; i++)
        has_names |= r->messages[i].name.len > 0 && r->messages[i].role != MT_ROLE_TOOL;
    if (has_names)
        mt_chat_note(notes, "names of messages: not shown to a local model");
    for (size_t i = 0; i < r->extras_n; i++)
        mt_chat_note(notes, "%.*s: not known to a local model", MT_STR_ARG(r->extras[i].key));
}

mt_rc mt_job_of_request(const struct mt_chat_request *request, struct mt_str model,
                        int64_t context_tokens, struct mt_chat_notes *notes,
                        struct mt_job **out, struct mt_err *err)
{
    MT_CLEANUP(job_unrefp) struct mt_job *job = NULL;

    if (!request->is_load_only)
        MT_TRY(check_request(request, err));
    job = mt_job_new();
    if (job == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a request");
    MT_TRY(copy(job, model, &job->model, err));
    job->kind = MT_JOB_LOAD;
    job->is_unload =
        request->is_load_only && request->keep_alive_s.has && request->keep_alive_s.value == 0;
    note_losses(request, notes);
    if (!request->is_load_only)
        MT_TRY(fill(request, job, context_tokens, notes, err));
    *out = MT_MOVE(job);
    return MT_OK;
}

mt_rc mt_job_of_embed(const struct mt_embed_request *request, struct mt_str model,
                      struct mt_chat_notes *notes, struct mt_job **out, struct mt_err *err)
{
    MT_CLEANUP(job_unrefp) struct mt_job *job = NULL;

    if (request->inputs_n == 0)
        return MT_FAIL(err, MT_E_INVALID, "input: expected at least one text");
    if (request->task.len > 0)
        mt_chat_note(notes, "taskType does not change what a local model answers");
    job = mt_job_new();
    if (job == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a request");
    job->kind = MT_JOB_EMBED;
    job->truncate = request->truncate;
    if (request->dimensions.has && request->dimensions.value > 0)
        job->dims = (size_t)request->dimensions.value;
    MT_TRY(copy(job, model, &job->model, err));
    MT_TRY(copy_list(job, request->inputs, request->inputs_n, err));
    *out = MT_MOVE(job);
    return MT_OK;
}
