/* SPDX-License-Identifier: Apache-2.0 */
/* Chat in the Ollama dialect: NDJSON from the node, text to the terminal. */
#include "chat.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "wire/frames.h"
#include "wire/json.h"
#include "wire/json_writer.h"

enum { FRAME_MAX = 16 * 1024 * 1024, SMALL_MAX = 64 * 1024 };

struct answer { /* one on its way */
    struct chat *chat;
    struct mt_frames frames;
    struct mt_json_doc *doc;
    struct mt_arena arena;
    struct mt_buf text; /* all of it, for the history */
    bool is_thinking;
    bool is_done;
    int64_t input_n, output_n, total_ns, load_ns;
};

static FILE *out_of(const struct answer *answer)
{
    return answer->chat->client->cli->out;
}

static mt_rc print(FILE *to, struct mt_str text, struct mt_err *err)
{
    if (text.len > 0 && (fwrite(text.at, 1, text.len, to) != text.len || fflush(to) != 0))
        return cli_put_failed(err);
    return MT_OK;
}

static bool is_silent(const struct chat *chat)
{
    return chat->is_whole || chat->is_raw;
}

/* Thoughts are shown dim to a person, and to nobody else. */
static mt_rc print_thought(struct answer *answer, struct mt_str thought, struct mt_err *err)
{
    if (thought.len == 0 || is_silent(answer->chat) || !answer->chat->client->cli->is_out_tty)
        return MT_OK;
    if (!answer->is_thinking)
        MT_TRY(print(out_of(answer), MT_STR("\033[2m"), err));
    answer->is_thinking = true;
    return print(out_of(answer), thought, err);
}

static mt_rc print_text(struct answer *answer, struct mt_str text, struct mt_err *err)
{
    if (answer->is_thinking && text.len > 0) {
        answer->is_thinking = false;
        MT_TRY(print(out_of(answer), MT_STR("\033[0m\n\n"), err));
    }
    mt_buf_add(&answer->text, text);
    return is_silent(answer->chat) ? MT_OK : print(out_of(answer), text, err);
}

static void take_figures(struct answer *answer, const struct mt_json *root)
{
    (void)mt_json_i64(mt_json_get(root, "prompt_eval_count"), 0, INT64_MAX, &answer->input_n);
    (void)mt_json_i64(mt_json_get(root, "eval_count"), 0, INT64_MAX, &answer->output_n);
    (void)mt_json_i64(mt_json_get(root, "total_duration"), 0, INT64_MAX, &answer->total_ns);
    (void)mt_json_i64(mt_json_get(root, "load_duration"), 0, INT64_MAX, &answer->load_ns);
    (void)mt_json_bool(mt_json_get(root, "done"), &answer->is_done);
}

static mt_rc on_frame(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct answer *answer = ctx;
    const struct mt_json *root;
    struct mt_str text;

    mt_arena_clear(&answer->arena);
    MT_TRY(mt_json_parse(answer->doc, frame->data, &root, err));
    const struct mt_json *error = mt_json_get(root, "error");
    if (mt_json_str(error, &answer->arena, &text) ||
        mt_json_str(mt_json_get(error, "message"), &answer->arena, &text))
        return MT_FAIL(err, MT_E_UPSTREAM, "%.*s", MT_STR_ARG(text));
    const struct mt_json *message = mt_json_get(root, "message");
    if (mt_json_str(mt_json_get(message, "thinking"), &answer->arena, &text))
        MT_TRY(print_thought(answer, text, err));
    if (mt_json_str(mt_json_get(message, "content"), &answer->arena, &text))
        MT_TRY(print_text(answer, text, err));
    take_figures(answer, root);
    return MT_OK;
}

static mt_rc on_bytes(void *ctx, struct mt_str bytes, struct mt_err *err)
{
    struct answer *answer = ctx;

    if (answer->chat->is_raw)
        MT_TRY(print(out_of(answer), bytes, err));
    /* raw is read too: an error within a stream decides the exit code */
    return mt_frames_feed(&answer->frames, bytes, on_frame, answer, err);
}

/* ------------------------------------------------------------------ the request */

static void add_message(struct mt_buf *out, const char *role, struct mt_str content)
{
    struct mt_jw w;

    if (out->len > 0)
        mt_buf_add_char(out, ',');
    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "role", role);
    mt_jw_kstr(&w, "content", content);
    mt_jw_end(&w);
}

static void write_request(const struct chat *chat, struct mt_buf *out)
{
    mt_buf_add_cstr(out, "{\"model\":\"");
    mt_json_escape(out, mt_str_of(chat->model));
    mt_buf_add_cstr(out, "\",\"messages\":[");
    if (chat->system.len > 0) {
        struct mt_buf system = MT_BUF_INIT(CHAT_HISTORY_MAX);
        add_message(&system, "system", mt_buf_str(&chat->system));
        mt_buf_add(out, mt_buf_str(&system));
        if (system.rc != MT_OK)
            out->rc = system.rc;
        mt_buf_fini(&system);
        mt_buf_add_char(out, ',');
    }
    mt_buf_add(out, mt_buf_str(&chat->messages));
    mt_buf_addf(out, "],\"stream\":%s", chat->is_whole ? "false" : "true");
    if (chat->options.len > 0)
        mt_buf_addf(out, ",\"options\":{%.*s}", MT_STR_ARG(mt_buf_str(&chat->options)));
    mt_buf_add_char(out, '}');
}

static void report(const struct answer *answer, const struct client_info *info)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf line = MT_BUF_INIT(4096);

    mt_buf_addf(&line, "%lld tokens in, %lld out", (long long)answer->input_n,
                (long long)answer->output_n);
    if (answer->total_ns > 0) { /* an endpoint may not say */
        mt_buf_add_cstr(&line, ", ");
        cli_add_us(&line, answer->total_ns / 1000);
        mt_buf_addf(&line, ", %.1f tokens/s",
                    (double)answer->output_n * 1e9 / (double)answer->total_ns);
    }
    if (info->route[0] != '\0')
        mt_buf_addf(&line, "\nroute %s", info->route);
    if (info->cost[0] != '\0')
        mt_buf_addf(&line, ", cost %s", info->cost);
    if (info->receipt[0] != '\0')
        mt_buf_addf(&line, "\nreceipt %s (motet explain %s)", info->receipt, info->receipt);
    (void)fprintf(answer->chat->client->cli->err, "%s\n", mt_buf_cstr(&line));
}

/* Close what was begun on the terminal. */
static mt_rc print_end(struct answer *answer, struct mt_err *err)
{
    const struct chat *chat = answer->chat;

    if (answer->is_thinking)
        MT_TRY(print(out_of(answer), MT_STR("\033[0m"), err));
    if (chat->is_raw) /* NDJSON ends its lines itself */
        return print(out_of(answer), chat->is_whole ? MT_STR("\n") : MT_STR(""), err);
    if (chat->is_whole)
        MT_TRY(print(out_of(answer), mt_buf_str(&answer->text), err));
    return print(out_of(answer), MT_STR("\n"), err);
}

static mt_rc call(struct answer *answer, struct client_info *info, struct mt_err *err)
{
    struct chat *chat = answer->chat;
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(2 * CHAT_HISTORY_MAX);
    char waiting_for[CHAT_NAME_MAX + 32];

    (void)snprintf(waiting_for, sizeof waiting_for, "waiting for %s",
                   chat->model[0] != '\0' ? chat->model : "the model");
    write_request(chat, &body);
    MT_TRY(mt_buf_check(&body, "conversation", err));
    MT_TRY(mt_json_doc_new(&answer->doc, err));
    const struct client_call request = {
        .method = "POST",
        .path = "/api/chat",
        .body = mt_buf_str(&body),
        .waiting_for = waiting_for,
        .can_interrupt = true,
        .on_bytes = on_bytes,
        .ctx = answer,
        .info = info,
    };
    MT_TRY(client_call(chat->client, &request, NULL, err));
    MT_TRY(mt_frames_finish(&answer->frames, on_frame, answer, err));
    return answer->is_done ? MT_OK : MT_FAIL(err, MT_E_UPSTREAM, "the answer is not complete");
}

static mt_rc ask(struct answer *answer, struct mt_err *err)
{
    struct chat *chat = answer->chat;
    struct client_info info = {0};
    mt_rc rc = call(answer, &info, err);

    if (rc == MT_OK || answer->text.len > 0 || rc == MT_E_CANCELED) {
        mt_rc printed = print_end(answer, rc == MT_OK ? err : NULL);
        rc = rc == MT_OK ? printed : rc;
    }
    if (rc == MT_OK && info.warning[0] != '\0')
        (void)fprintf(chat->client->cli->err, "motet: %s\n", info.warning);
    if (rc == MT_OK && chat->is_verbose)
        report(answer, &info);
    return rc;
}

mt_rc chat_ask(struct chat *chat, struct mt_str prompt, struct mt_err *err)
{
    struct answer answer = {.chat = chat};
    size_t before = chat->messages.len;

    mt_frames_init(&answer.frames, MT_FRAMING_NDJSON, FRAME_MAX);
    mt_arena_init(&answer.arena, FRAME_MAX);
    mt_buf_init(&answer.text, CHAT_HISTORY_MAX);
    add_message(&chat->messages, "user", prompt);
    mt_rc rc = mt_buf_check(&chat->messages, "conversation", err);
    if (rc == MT_OK)
        rc = ask(&answer, err);
    if (rc == MT_OK || (rc == MT_E_CANCELED && answer.text.len > 0))
        add_message(&chat->messages, "assistant", mt_buf_str(&answer.text));
    else
        mt_buf_cut(&chat->messages, before);
    if (rc == MT_OK)
        rc = mt_buf_check(&chat->messages, "conversation", err);
    mt_buf_fini(&answer.text);
    mt_arena_fini(&answer.arena);
    mt_frames_fini(&answer.frames);
    mt_json_doc_free(answer.doc);
    return rc;
}

/* ------------------------------------------------------------------ begin and end */

/* The node's default, or its first model. */
static mt_rc find_model(struct client *client, char out[CHAT_NAME_MAX], struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(CLIENT_ANSWER_MAX);
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(SMALL_MAX);
    const struct client_call status = {.method = "GET", .path = "/motet/v1/status"};
    const struct client_call tags = {.method = "GET", .path = "/api/tags"};
    const struct mt_json *root;
    struct mt_str name = {0};

    MT_TRY(mt_json_doc_new(&doc, err));
    MT_TRY(client_call(client, &status, &body, err));
    MT_TRY(mt_json_parse(doc, mt_buf_str(&body), &root, err));
    if (!mt_json_str(mt_json_get(root, "default_model"), &arena, &name) || name.len == 0) {
        mt_buf_clear(&body);
        MT_TRY(client_call(client, &tags, &body, err));
        MT_TRY(mt_json_parse(doc, mt_buf_str(&body), &root, err));
        const struct mt_json *first = mt_json_first(mt_json_get(root, "models"));
        if (!mt_json_str(mt_json_get(first, "name"), &arena, &name) || name.len == 0)
            return MT_FAIL(err, MT_E_NOTFOUND,
                           "the node has no model; add one to its configuration (motet config "
                           "explain models)");
    }
    if (name.len >= CHAT_NAME_MAX)
        return MT_FAIL(err, MT_E_INVALID, "the name of the model is too long");
    (void)snprintf(out, CHAT_NAME_MAX, "%.*s", MT_STR_ARG(name));
    return MT_OK;
}

mt_rc chat_open(struct client *client, const char *model, struct chat *out, struct mt_err *err)
{
    *out = (struct chat){.client = client};
    mt_buf_init(&out->system, CHAT_HISTORY_MAX);
    mt_buf_init(&out->messages, CHAT_HISTORY_MAX);
    mt_buf_init(&out->options, SMALL_MAX);
    if (model == NULL || model[0] == '\0')
        return find_model(client, out->model, err);
    if (strlen(model) >= sizeof out->model)
        return MT_FAIL(err, MT_E_INVALID, "the name of the model is too long");
    (void)snprintf(out->model, sizeof out->model, "%s", model);
    return MT_OK;
}

void chat_fini(struct chat *chat)
{
    mt_buf_fini(&chat->system);
    mt_buf_fini(&chat->messages);
    mt_buf_fini(&chat->options);
}

void chat_clear(struct chat *chat)
{
    mt_buf_clear(&chat->messages);
}

mt_rc chat_option(struct chat *chat, const char *name, const char *value, struct mt_err *err)
{
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(SMALL_MAX);
    const struct mt_json *root;

    MT_TRY(mt_json_doc_new(&doc, err));
    mt_buf_add_cstr(&text, value);
    if (text.len == 0 || mt_json_parse(doc, mt_buf_str(&text), &root, NULL) != MT_OK)
        return MT_FAIL(err, MT_E_INVALID, "%s: expected a number, found '%s'", name, value);
    if (chat->options.len > 0)
        mt_buf_add_char(&chat->options, ',');
    mt_buf_add_char(&chat->options, '"');
    mt_json_escape(&chat->options, mt_str_of(name));
    mt_buf_addf(&chat->options, "\":%s", value);
    return mt_buf_check(&chat->options, "options", err);
}
