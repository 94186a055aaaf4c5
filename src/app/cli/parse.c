/* SPDX-License-Identifier: Apache-2.0 */
/* From words to options and arguments, by the command's table. */
#include "cli.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

const struct cli_cmd *cli_cmd_find(const char *name)
{
    for (size_t i = 0; cli_cmds[i] != NULL; i++) {
        if (strcmp(cli_cmds[i]->name, name) == 0)
            return cli_cmds[i];
    }
    return NULL;
}

/* A word being read as an option. */
struct word {
    struct mt_str name; /* without dashes */
    const char *value;  /* behind '=', or NULL */
    bool is_letter;
};

static struct word split(const char *text)
{
    struct word word = {.is_letter = text[1] != '-'};
    struct mt_str rest = mt_str_of(text + (word.is_letter ? 1 : 2));
    size_t at = mt_str_find_char(rest, '=');

    if (word.is_letter && at != 1) { /* -n5, as -n 5 */
        word.name = mt_str_sub(rest, 0, 1);
        word.value = rest.len > 1 ? rest.at + 1 : NULL;
        return word;
    }

    word.name = mt_str_sub(rest, 0, at);
    if (at < rest.len)
        word.value = rest.at + at + 1;
    return word;
}

static const struct cli_opt *opt_find(const struct cli_cmd *cmd, const struct word *word)
{
    for (const struct cli_opt *opt = cmd->opts; opt != NULL && opt->name != NULL; opt++) {
        if (word->is_letter ? word->name.len == 1 && word->name.at[0] == opt->letter
                            : mt_str_is(word->name, opt->name))
            return opt;
    }
    return NULL;
}

static bool key_find(const struct cli_cmd *cmd, const struct word *word,
                     struct mt_config_option *out)
{
    for (size_t i = 0; cmd->takes_config_keys && mt_config_option(i, out); i++) {
        if (!word->is_letter && mt_str_is(word->name, out->name))
            return true;
    }
    return false;
}

static void nearer(const char *name, const struct word *word, unsigned *best,
                   const char **found)
{
    unsigned far = mt_str_distance(mt_str_of(name), word->name, *best);

    if (far < *best) {
        *best = far;
        *found = name;
    }
}

static mt_rc refuse(const struct cli_cmd *cmd, const char *text, const struct word *word,
                    struct mt_err *err)
{
    struct mt_config_option key;
    const char *found = NULL;
    unsigned best = 4;

    for (const struct cli_opt *opt = cmd->opts; opt != NULL && opt->name != NULL; opt++)
        nearer(opt->name, word, &best, &found);
    for (size_t i = 0; cmd->takes_config_keys && mt_config_option(i, &key); i++)
        nearer(key.name, word, &best, &found);
    if (found != NULL && !word->is_letter)
        return MT_FAIL(err, MT_E_INVALID, "%s: unknown option '%s', did you mean '--%s'?",
                       cmd->name, text, found);
    return MT_FAIL(err, MT_E_INVALID, "%s: unknown option '%s' (see 'motet help %s')",
                   cmd->name, text, cmd->name);
}

/* The value of an option: behind '=', or the next word. */
static mt_rc take_value(const struct cli_cmd *cmd, const struct word *word, size_t n,
                        char *const *words, size_t *at, const char **out, struct mt_err *err)
{
    if (word->value != NULL) {
        *out = word->value;
        return MT_OK;
    }
    if (*at + 1 >= n)
        return MT_FAIL(err, MT_E_INVALID, "%s: option '%s' needs a value", cmd->name,
                       words[*at]);
    *out = words[++*at];
    return MT_OK;
}

static mt_rc take_key(struct cli_args *out, const struct mt_config_option *key,
                      const struct word *word, size_t n, char *const *words, size_t *at,
                      struct mt_err *err)
{
    const char *value = "true";

    if (out->flags_n == CLI_FLAGS_MAX)
        return MT_FAIL(err, MT_E_INVALID, "%s: more than %d keys", out->cmd->name,
                       CLI_FLAGS_MAX);
    if (!key->is_bool || word->value != NULL)
        MT_TRY(take_value(out->cmd, word, n, words, at, &value, err));
    out->flags[out->flags_n++] = (struct mt_config_flag){key->name, value};
    return MT_OK;
}

static mt_rc take_option(struct cli_args *out, size_t n, char *const *words, size_t *at,
                         struct mt_err *err)
{
    const struct cli_cmd *cmd = out->cmd;
    const char *text = words[*at];
    const struct word word = split(text);
    const struct cli_opt *opt = opt_find(cmd, &word);
    struct mt_config_option key;
    const char *value = "";

    if (opt == NULL && key_find(cmd, &word, &key))
        return take_key(out, &key, &word, n, words, at, err);
    if (opt == NULL)
        return refuse(cmd, text, &word, err);
    if (opt->value != NULL)
        MT_TRY(take_value(cmd, &word, n, words, at, &value, err));
    else if (word.value != NULL)
        return MT_FAIL(err, MT_E_INVALID, "%s: option '--%s' takes no value", cmd->name,
                       opt->name);
    out->values[opt - cmd->opts] = value;
    return MT_OK;
}

static mt_rc check_rest(const struct cli_args *args, struct mt_err *err)
{
    const struct cli_cmd *cmd = args->cmd;

    if (args->rest_n < cmd->rest_min)
        return MT_FAIL(err, MT_E_INVALID, "%s: expected %s (see 'motet help %s')", cmd->name,
                       cmd->args, cmd->name);
    if (args->rest_n > cmd->rest_max)
        return MT_FAIL(err, MT_E_INVALID, "%s: unexpected '%s' (see 'motet help %s')",
                       cmd->name, args->rest[cmd->rest_max], cmd->name);
    return MT_OK;
}

mt_rc cli_parse(const struct cli_cmd *cmd, size_t n, char *const *words, struct cli_args *out,
                struct mt_err *err)
{
    bool is_rest = false;

    *out = (struct cli_args){.cmd = cmd, .rest = mt_alloc(n + 1, sizeof *out->rest)};
    if (out->rest == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%s", cmd->name);
    for (size_t i = 0; i < n; i++) {
        const char *text = words[i];
        if (!is_rest && strcmp(text, "--") == 0) {
            is_rest = true;
        } else if (!is_rest && text[0] == '-' && text[1] != '\0') {
            mt_rc rc = take_option(out, n, words, &i, err);
            if (rc != MT_OK)
                return rc;
        } else {
            out->rest[out->rest_n++] = text;
        }
    }
    return check_rest(out, err);
}

void cli_args_fini(struct cli_args *args)
{
    mt_free(args->rest);
    args->rest = NULL;
    args->rest_n = 0;
}

const char *cli_value(const struct cli_args *args, const char *name)
{
    const struct cli_opt *opt = args->cmd->opts;

    while (opt->name != NULL && strcmp(opt->name, name) != 0)
        opt++;
    MT_ASSERT(opt->name != NULL);
    return args->values[opt - args->cmd->opts];
}

bool cli_has(const struct cli_args *args, const char *name)
{
    return cli_value(args, name) != NULL;
}
