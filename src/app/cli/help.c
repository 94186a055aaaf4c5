/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands for people and shells: help, the man page, completion. */
#include "cli.h"

#include <string.h>

static void add_opt(const struct cli_opt *opt, struct mt_buf *out)
{
    size_t begin = out->len;

    if (opt->letter != '\0')
        mt_buf_addf(out, "  -%c, --%s", opt->letter, opt->name);
    else
        mt_buf_addf(out, "      --%s", opt->name);
    if (opt->value != NULL)
        mt_buf_addf(out, " %s", opt->value);
    size_t width = out->len - begin;
    mt_buf_addf(out, "%*s %s\n", width < 29 ? (int)(29 - width) : 1, "", opt->help);
}

static void add_keys(struct mt_buf *out)
{
    struct mt_config_option key;

    mt_buf_add_cstr(out, "\nkeys of the configuration (see 'motet config explain KEY'):\n");
    for (size_t i = 0; mt_config_option(i, &key); i++) {
        mt_buf_addf(out, "      --%-22s %s", key.name, key.help);
        if (key.initial != NULL)
            mt_buf_addf(out, " [%s]", key.initial);
        mt_buf_add_char(out, '\n');
    }
}

/* Lines of a text, each indented. */
static void add_lines(const char *by, const char *text, struct mt_buf *out)
{
    struct mt_str rest = mt_str_of(text);

    while (rest.len > 0) {
        struct mt_str line = mt_str_take(&rest, '\n');
        mt_buf_addf(out, "%s%.*s\n", by, MT_STR_ARG(line));
    }
}

void cli_help(const struct cli_cmd *cmd, struct mt_buf *out)
{
    mt_buf_addf(out, "motet %s - %s\n\nusage: motet %s%s%s%s\n", cmd->name, cmd->summary,
                cmd->name, cmd->opts != NULL ? " [OPTIONS]" : "",
                cmd->args[0] != '\0' ? " " : "", cmd->args);
    if (cmd->more != NULL) {
        mt_buf_add_char(out, '\n');
        add_lines("", cmd->more, out);
    }
    if (cmd->opts != NULL)
        mt_buf_add_cstr(out, "\noptions:\n");
    for (const struct cli_opt *opt = cmd->opts; opt != NULL && opt->name != NULL; opt++)
        add_opt(opt, out);
    if (cmd->takes_config_keys)
        add_keys(out);
    mt_buf_add_cstr(out, "\nexamples:\n");
    add_lines("  ", cmd->examples, out);
}

void cli_help_all(struct mt_buf *out)
{
    mt_buf_add_cstr(out, "motet - a node of the Internet of LLMs\n\n"
                         "usage: motet COMMAND [OPTIONS] [ARGUMENTS]\n\ncommands:\n");
    for (size_t i = 0; cli_cmds[i] != NULL; i++)
        mt_buf_addf(out, "  %-12s %s\n", cli_cmds[i]->name, cli_cmds[i]->summary);
    mt_buf_add_cstr(out,
                    "\n'motet help COMMAND' says more. Begin with 'motet up' in one terminal "
                    "and\n'motet run' in another.\n");
}

/* ------------------------------------------------------------------ the man page */

/* Text for roff: '\' and '-' escaped, no line begins with a control character. */
static void add_roff(const char *text, struct mt_buf *out)
{
    bool is_begin = true;

    for (; *text != '\0'; text++) {
        if (is_begin && (*text == '.' || *text == '\''))
            mt_buf_add_cstr(out, "\\&");
        if (*text == '-' || *text == '\\')
            mt_buf_add_cstr(out, *text == '-' ? "\\-" : "\\e");
        else
            mt_buf_add_char(out, *text);
        is_begin = *text == '\n';
    }
}

static void man_opt(const struct cli_opt *opt, struct mt_buf *out)
{
    mt_buf_add_cstr(out, ".TP\n\\fB");
    if (opt->letter != '\0')
        mt_buf_addf(out, "\\-%c\\fR, \\fB", opt->letter);
    mt_buf_add_cstr(out, "\\-\\-");
    add_roff(opt->name, out);
    mt_buf_add_cstr(out, "\\fR");
    if (opt->value != NULL)
        mt_buf_addf(out, " \\fI%s\\fR", opt->value);
    mt_buf_add_char(out, '\n');
    add_roff(opt->help, out);
    mt_buf_add_char(out, '\n');
}

static void man_cmd(const struct cli_cmd *cmd, struct mt_buf *out)
{
    mt_buf_addf(out, ".SS motet %s", cmd->name);
    if (cmd->args[0] != '\0')
        mt_buf_add_char(out, ' ');
    add_roff(cmd->args, out);
    mt_buf_add_char(out, '\n');
    add_roff(cmd->summary, out);
    mt_buf_add_cstr(out, ".\n");
    if (cmd->more != NULL) {
        mt_buf_add_cstr(out, ".PP\n");
        add_roff(cmd->more, out);
    }
    for (const struct cli_opt *opt = cmd->opts; opt != NULL && opt->name != NULL; opt++)
        man_opt(opt, out);
    if (cmd->takes_config_keys) {
        mt_buf_add_cstr(out, ".TP\n\\fB\\-\\-\\fIKEY\\fR \\fIVALUE\\fR\n"
                             "any key of the configuration with one value, such as "
                             "\\fB\\-\\-cache.ttl 2h\\fR\n");
    }
    mt_buf_add_cstr(out, ".PP\n.EX\n");
    add_roff(cmd->examples, out);
    mt_buf_add_cstr(out, ".EE\n");
}

static void man_exit_codes(struct mt_buf *out)
{
    mt_buf_add_cstr(out, ".SH EXIT STATUS\n.TP\n0\ndone\n");
#define X(code, number, name, exit_code) \
    mt_buf_addf(out, ".TP\n%d\n" name "\n", (int)(exit_code));
    MT_RC_MAP(X)
#undef X
}

void cli_man(struct mt_buf *out)
{
    mt_buf_add_cstr(out, ".\\\" SPDX-License-Identifier: Apache-2.0\n"
                         ".\\\" Written by 'motet help --man' from the table of commands.\n"
                         ".TH MOTET 1\n.SH NAME\nmotet \\- a node of the Internet of LLMs\n"
                         ".SH SYNOPSIS\n.B motet\n.I COMMAND\n[\\fIOPTIONS\\fR] "
                         "[\\fIARGUMENTS\\fR]\n.SH COMMANDS\n");
    for (size_t i = 0; cli_cmds[i] != NULL; i++)
        man_cmd(cli_cmds[i], out);
    man_exit_codes(out);
    mt_buf_add_cstr(
        out,
        ".SH ENVIRONMENT\n"
        ".TP\nMOTET_HOST\nthe node to talk to (HOST, HOST:PORT or a URL), else the one of the "
        "configuration\n"
        ".TP\nMOTET_API_KEY\nthe key to talk to it with, else the administrator's, which the "
        "node "
        "leaves in its data folder\n"
        ".TP\nMOTET_CONFIG\nthe configuration file\n"
        ".TP\nMOTET_HOME\nthe folder below which configuration, data and locks are kept\n"
        ".TP\nMOTET_\\fIKEY\\fR\nany key of the configuration with one value: MOTET_CACHE_TTL "
        "is "
        "cache.ttl\n"
        ".SH FILES\n~/.config/motet/motet.yaml, ~/.local/share/motet\n");
}

/* ------------------------------------------------------------------ completion */

static void add_names(struct mt_buf *out)
{
    for (size_t i = 0; cli_cmds[i] != NULL; i++)
        mt_buf_addf(out, "%s%s", i > 0 ? " " : "", cli_cmds[i]->name);
}

static void add_opt_names(const struct cli_cmd *cmd, struct mt_buf *out)
{
    struct mt_config_option key;

    for (const struct cli_opt *opt = cmd->opts; opt != NULL && opt->name != NULL; opt++)
        mt_buf_addf(out, "--%s ", opt->name);
    for (size_t i = 0; cmd->takes_config_keys && mt_config_option(i, &key); i++)
        mt_buf_addf(out, "--%s ", key.name);
    mt_buf_add_cstr(out, "--help");
}

static bool takes_model(const struct cli_cmd *cmd)
{
    return strstr(cmd->args, "MODEL") != NULL;
}

static void bash(struct mt_buf *out)
{
    mt_buf_add_cstr(out, "_motet() {\n    local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
                         "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='");
    add_names(out);
    mt_buf_add_cstr(out, "'\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; cli_cmds[i] != NULL; i++) {
        mt_buf_addf(out, "        %s) words='", cli_cmds[i]->name);
        add_opt_names(cli_cmds[i], out);
        mt_buf_add_char(out, '\'');
        if (takes_model(cli_cmds[i]))
            mt_buf_add_cstr(out, "\n            [[ $cur == -* ]] || "
                                 "words=$(motet ls --names 2>/dev/null)");
        mt_buf_add_cstr(out, " ;;\n");
    }
    mt_buf_add_cstr(out, "        esac\n    fi\n"
                         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                         "    [ ${#COMPREPLY[@]} -gt 0 ] || "
                         "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n}\n"
                         "complete -F _motet motet\n");
}

/* Help may hold characters that a shell's single quotes or zsh's brackets do not take. */
static void add_quoted(const char *text, const char *drop, struct mt_buf *out)
{
    for (; *text != '\0'; text++) {
        if (strchr(drop, *text) == NULL)
            mt_buf_add_char(out, *text);
    }
}

static void zsh(struct mt_buf *out)
{
    mt_buf_add_cstr(out, "#compdef motet\n_motet() {\n    local -a commands\n    commands=(\n");
    for (size_t i = 0; cli_cmds[i] != NULL; i++) {
        mt_buf_addf(out, "        '%s:", cli_cmds[i]->name);
        add_quoted(cli_cmds[i]->summary, "':", out);
        mt_buf_add_cstr(out, "'\n");
    }
    mt_buf_add_cstr(out, "    )\n    if (( CURRENT == 2 )); then\n"
                         "        _describe 'command' commands\n        return\n    fi\n"
                         "    case $words[2] in\n");
    for (size_t i = 0; cli_cmds[i] != NULL; i++) {
        mt_buf_addf(out, "    %s)\n        _arguments ", cli_cmds[i]->name);
        for (const struct cli_opt *opt = cli_cmds[i]->opts; opt != NULL && opt->name != NULL;
             opt++) {
            mt_buf_addf(out, "'--%s[", opt->name);
            add_quoted(opt->help, "'[]:", out);
            mt_buf_addf(out, "]%s%s' ", opt->value != NULL ? ":" : "",
                        opt->value != NULL ? opt->value : "");
        }
        mt_buf_add_cstr(out, takes_model(cli_cmds[i])
                                 ? "'*:model:($(motet ls --names 2>/dev/null))' ;;\n"
                                 : "'*:file:_files' ;;\n");
    }
    mt_buf_add_cstr(out, "    esac\n}\n_motet \"$@\"\n");
}

static void fish(struct mt_buf *out)
{
    for (size_t i = 0; cli_cmds[i] != NULL; i++) {
        const struct cli_cmd *cmd = cli_cmds[i];
        mt_buf_addf(out, "complete -c motet -n __fish_use_subcommand -f -a %s -d '", cmd->name);
        add_quoted(cmd->summary, "'", out);
        mt_buf_add_cstr(out, "'\n");
        for (const struct cli_opt *opt = cmd->opts; opt != NULL && opt->name != NULL; opt++) {
            mt_buf_addf(out, "complete -c motet -n '__fish_seen_subcommand_from %s' -l %s",
                        cmd->name, opt->name);
            if (opt->letter != '\0')
                mt_buf_addf(out, " -s %c", opt->letter);
            mt_buf_addf(out, "%s -d '", opt->value != NULL ? " -r" : "");
            add_quoted(opt->help, "'", out);
            mt_buf_add_cstr(out, "'\n");
        }
        if (takes_model(cmd))
            mt_buf_addf(out,
                        "complete -c motet -n '__fish_seen_subcommand_from %s' -f "
                        "-a '(motet ls --names 2>/dev/null)'\n",
                        cmd->name);
    }
}

mt_rc cli_completion(const char *shell, struct mt_buf *out, struct mt_err *err)
{
    static const struct {
        const char *name;
        void (*write)(struct mt_buf *out);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

    for (size_t i = 0; i < MT_ARRAY_LEN(shells); i++) {
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].write(out);
            return MT_OK;
        }
    }
    return MT_FAIL(err, MT_E_INVALID, "completion: expected bash, zsh or fish, found '%s'",
                   shell);
}
