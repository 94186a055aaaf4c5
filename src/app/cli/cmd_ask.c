/* SPDX-License-Identifier: Apache-2.0 */
#include "chat.h"
#include "commands.h"
#include "prompt.h"

static mt_rc ask(struct chat *chat, const struct cli_args *args, struct mt_str prompt,
                 struct mt_err *err)
{
    const char *system = cli_value(args, "system");

    if (system != NULL)
        mt_buf_add_cstr(&chat->system, system);
    if (cli_has(args, "temperature"))
        MT_TRY(chat_option(chat, "temperature", cli_value(args, "temperature"), err));
    if (cli_has(args, "max-tokens"))
        MT_TRY(chat_option(chat, "num_predict", cli_value(args, "max-tokens"), err));
    chat->is_raw = cli_has(args, "json");
    chat->is_whole = cli_has(args, "no-stream") || (chat->is_raw && !cli_has(args, "stream"));
    chat->is_verbose = cli_has(args, "verbose");
    return chat_ask(chat, prompt, err);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf prompt = MT_BUF_INIT(CHAT_HISTORY_MAX);
    MT_CLEANUP(client_fini) struct client client = {0};
    MT_CLEANUP(chat_fini) struct chat chat = {0};

    if (cli_has(args, "stream") && cli_has(args, "no-stream"))
        return MT_FAIL(err, MT_E_INVALID, "ask: --stream and --no-stream exclude each other");
    MT_TRY(prompt_read(cli, args->rest, args->rest_n, &prompt, err));
    if (prompt.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "ask: expected a prompt (see 'motet help ask')");
    MT_TRY(client_open(cli, args, &client, err));
    MT_TRY(chat_open(&client, cli_value(args, "model"), &chat, err));
    return ask(&chat, args, mt_buf_str(&prompt), err);
}

static const struct cli_opt opts[] = {
    {"model", 'm', "NAME", "whom to ask; without it the node's default"},
    {"system", 's', "TEXT", "words for the model that are no question"},
    {"temperature", 't', "NUMBER", "0: always the likeliest word"},
    {"max-tokens", 'n', "NUMBER", "longest answer"},
    {"stream", 0, NULL, "print words as they come (the default without --json)"},
    {"no-stream", 0, NULL, "print the answer when it is complete"},
    {"verbose", 'v', NULL, "tokens, times, route and receipt on standard error"},
    CLI_OPT_JSON,
    CLI_OPT_CONFIG,
    {0},
};

const struct cli_cmd cli_cmd_ask = {
    .name = "ask",
    .args = "[PROMPT...]",
    .summary = "ask once and print the answer",
    .more = "What comes through a pipe is put behind the prompt.\n",
    .examples = "motet ask \"upper motet\"\n"
                "git diff | motet ask --model smart \"Review this change.\"\n"
                "motet ask --json --no-stream \"add 2 3\"\n",
    .opts = opts,
    .rest_max = (size_t)-1,
    .run = run,
};
