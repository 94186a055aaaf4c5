/* SPDX-License-Identifier: Apache-2.0 */
/* Chat in the terminal: Ctrl-C ends an answer, Ctrl-D the conversation. */
#include <string.h>

#include "chat.h"
#include "commands.h"
#include "interrupt.h"
#include "line.h"
#include "prompt.h"

static const char help_text[] =
    "  /set system TEXT         words for the model that are no question\n"
    "  /set OPTION NUMBER       temperature, num_predict, seed, top_p, ...\n"
    "  /set verbose             figures behind every answer; /set quiet ends it\n"
    "  /show                    model and settings\n"
    "  /clear                   forget what was said\n"
    "  /bye                     end (also Ctrl-D)\n"
    "  \"\"\"                      begins and ends a text of several lines\n";

/* What a line asked the loop to do. */
enum step { STEP_ASK, STEP_NEXT, STEP_END };

static void say_error(const struct chat *chat, const struct mt_err *err)
{
    (void)fprintf(chat->client->cli->err, "motet: %s\n", err->text);
}

static void set(struct chat *chat, struct mt_str rest)
{
    struct mt_str name = mt_str_take(&rest, ' ');
    struct mt_str value = mt_str_trim(rest);
    char option[64];
    char text[64];
    struct mt_err err = {0};

    if (mt_str_is(name, "verbose") || mt_str_is(name, "quiet")) {
        chat->is_verbose = mt_str_is(name, "verbose");
    } else if (mt_str_is(name, "system")) {
        mt_buf_clear(&chat->system);
        mt_buf_add(&chat->system, value);
    } else if (name.len == 0 || name.len >= sizeof option || value.len >= sizeof text) {
        (void)fputs(help_text, chat->client->cli->err);
    } else {
        (void)snprintf(option, sizeof option, "%.*s", MT_STR_ARG(name));
        (void)snprintf(text, sizeof text, "%.*s", MT_STR_ARG(value));
        if (chat_option(chat, option, text, &err) != MT_OK)
            say_error(chat, &err);
    }
}

static void show(const struct chat *chat)
{
    FILE *to = chat->client->cli->err;

    (void)fprintf(to, "  model    %s\n", chat->model);
    (void)fprintf(to, "  system   %.*s\n", MT_STR_ARG(mt_buf_str(&chat->system)));
    (void)fprintf(to, "  options  %.*s\n", MT_STR_ARG(mt_buf_str(&chat->options)));
}

static enum step command(struct chat *chat, struct mt_str line)
{
    struct mt_str rest = mt_str_trim(line);
    struct mt_str name = mt_str_take(&rest, ' ');

    if (mt_str_is(name, "/bye") || mt_str_is(name, "/exit") || mt_str_is(name, "/quit"))
        return STEP_END;
    if (mt_str_is(name, "/clear"))
        chat_clear(chat);
    else if (mt_str_is(name, "/set"))
        set(chat, mt_str_trim(rest));
    else if (mt_str_is(name, "/show"))
        show(chat);
    else if (mt_str_is(name, "/help") || mt_str_is(name, "/?"))
        (void)fputs(help_text, chat->client->cli->err);
    else
        (void)fprintf(chat->client->cli->err,
                      "motet: unknown command '%.*s' (/help lists them)\n", MT_STR_ARG(name));
    return STEP_NEXT;
}

/* The rest of a text that begins with three quotes. */
static mt_rc read_block(struct line *line, struct mt_buf *text, struct mt_err *err)
{
    static const struct mt_str quotes = MT_STR_INIT("\"\"\"");

    mt_buf_consume(text, quotes.len);
    while (!mt_str_ends(mt_buf_str(text), quotes)) {
        mt_buf_add_char(text, '\n');
        MT_TRY(line_read(line, "... ", text, err));
    }
    mt_buf_cut(text, text->len - quotes.len);
    return MT_OK;
}

static mt_rc read_prompt(struct chat *chat, struct line *line, struct mt_buf *text,
                         enum step *step, struct mt_err *err)
{
    *step = STEP_NEXT;
    mt_buf_clear(text);
    MT_TRY(line_read(line, ">>> ", text, err));
    struct mt_str typed = mt_str_trim(mt_buf_str(text));
    if (typed.len == 0)
        return MT_OK;
    if (mt_str_starts(typed, MT_STR("/"))) {
        *step = command(chat, typed);
        return MT_OK;
    }
    if (mt_str_starts(mt_buf_str(text), MT_STR("\"\"\"")))
        MT_TRY(read_block(line, text, err));
    *step = STEP_ASK;
    return MT_OK;
}

/* What was typed cannot end the conversation, only /bye, Ctrl-D, or a node that has gone. */
static mt_rc turn(struct chat *chat, struct line *line, struct mt_buf *text, bool *is_over,
                  struct mt_err *err)
{
    struct mt_err why = {0};
    enum step step;
    mt_rc rc = read_prompt(chat, line, text, &step, &why);

    if (rc == MT_E_CANCELED) {
        (void)fputs("(Ctrl-D or /bye ends)\n", chat->client->cli->err);
        return MT_OK;
    }
    *is_over = rc != MT_OK || step == STEP_END;
    if (rc == MT_E_NOTFOUND) {
        (void)fputc('\n', chat->client->cli->out);
        return MT_OK;
    }
    if (rc == MT_OK && step == STEP_ASK) {
        rc = chat_ask(chat, mt_buf_str(text), &why);
        if (rc == MT_E_CANCELED)
            return MT_OK;
        if (rc != MT_OK && rc != MT_E_IO && rc != MT_E_NOMEM) {
            say_error(chat, &why);
            return MT_OK;
        }
    }
    if (rc != MT_OK && err != NULL)
        *err = why;
    return rc;
}

static mt_rc converse(struct cli *cli, struct chat *chat, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(CHAT_HISTORY_MAX);
    struct line *line = NULL;
    bool is_over = false;
    mt_rc rc = MT_OK;
    sigset_t old;

    MT_TRY(line_open(cli, &line, err));
    interrupt_hold(&old);
    (void)fprintf(cli->err, "%s (/help lists commands)\n", chat->model);
    while (!is_over && rc == MT_OK)
        rc = turn(chat, line, &text, &is_over, err);
    line_close(line);
    interrupt_restore(&old);
    return rc;
}

static mt_rc once(struct cli *cli, const struct cli_args *args, struct chat *chat,
                  struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf prompt = MT_BUF_INIT(CHAT_HISTORY_MAX);
    size_t words_n = args->rest_n > 0 ? args->rest_n - 1 : 0;

    MT_TRY(prompt_read(cli, args->rest + (args->rest_n > 0 ? 1 : 0), words_n, &prompt, err));
    if (prompt.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "run: expected a prompt, found nothing");
    return chat_ask(chat, mt_buf_str(&prompt), err);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(client_fini) struct client client = {0};
    MT_CLEANUP(chat_fini) struct chat chat = {0};
    const char *system = cli_value(args, "system");

    MT_TRY(client_open(cli, args, &client, err));
    MT_TRY(chat_open(&client, args->rest_n > 0 ? args->rest[0] : NULL, &chat, err));
    if (system != NULL)
        mt_buf_add_cstr(&chat.system, system);
    if (cli_has(args, "temperature"))
        MT_TRY(chat_option(&chat, "temperature", cli_value(args, "temperature"), err));
    chat.is_verbose = cli_has(args, "verbose");
    if (args->rest_n > 1 || !cli->is_in_tty)
        return once(cli, args, &chat, err);
    return converse(cli, &chat, err);
}

static const struct cli_opt opts[] = {
    {"system", 's', "TEXT", "words for the model that are no question"},
    {"temperature", 't', "NUMBER", "0: always the likeliest word"},
    {"verbose", 'v', NULL, "tokens, times, route and receipt behind every answer"},
    CLI_OPT_CONFIG,
    {0},
};

const struct cli_cmd cli_cmd_run = {
    .name = "run",
    .args = "[MODEL] [PROMPT...]",
    .summary = "chat with a model in the terminal",
    .more = "Ctrl-C stops the answer, Ctrl-D ends the conversation, /help lists its commands. "
            "With\n"
            "a prompt, or with one through a pipe, it answers once and ends.\n",
    .examples = "motet run\n"
                "motet run lab-mini \"upper motet\"\n"
                "motet run openai/gpt-5 < question.txt\n",
    .opts = opts,
    .rest_max = (size_t)-1,
    .run = run,
};
