/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one file and one `const struct cli_cmd` per command.
 *
 * Help, the man page and completion come from these tables. Data goes to out, talk to err; the
 * exit code is that of the failure (base/err.h). One thread. */
#ifndef MT_CLI_H
#define MT_CLI_H

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

enum { CLI_OPTS_MAX = 16, CLI_FLAGS_MAX = 64, CLI_TEXT_MAX = 1024 * 1024 };

struct cli { /* the world as a command sees it */
    FILE *in, *out, *err;
    bool is_in_tty, is_out_tty, is_err_tty;
    char *const *environment;
    const char *program;
};

struct cli_opt {
    const char *name;  /* "model": --model */
    char letter;       /* -m; 0: none */
    const char *value; /* what it takes, for help; NULL: it is a switch */
    const char *help;
};

struct cli_cmd;

struct cli_args {
    const struct cli_cmd *cmd;
    const char *values[CLI_OPTS_MAX]; /* as cmd->opts; NULL: not given; "" for a switch */
    const char **rest;                /* what is no option */
    size_t rest_n;
    struct mt_config_flag flags[CLI_FLAGS_MAX]; /* keys of the configuration */
    size_t flags_n;
};

typedef mt_rc cli_run_fn(struct cli *cli, const struct cli_args *args, struct mt_err *err);

struct cli_cmd {
    const char *name;
    const char *args;    /* "[MODEL] [PROMPT...]" */
    const char *summary; /* one line */
    const char *more;    /* a paragraph, or NULL; lines end in \n */
    const char *examples;
    const struct cli_opt *opts; /* ended by a NULL name; NULL: none */
    size_t rest_min, rest_max;
    bool takes_config_keys; /* every scalar key is an option */
    cli_run_fn *run;
};

/** All commands, in the order of the help; ended by NULL. */
extern const struct cli_cmd *const cli_cmds[];

const struct cli_cmd *cli_cmd_find(const char *name);

/** Read the words behind the command's name.
 *  @return MT_OK, MT_E_INVALID (names the word and the nearest option), MT_E_NOMEM */
mt_rc cli_parse(const struct cli_cmd *cmd, size_t n, char *const *words, struct cli_args *out,
                struct mt_err *err);
void cli_args_fini(struct cli_args *args);

/** The value of an option of the command's table, NULL when not given; and: was it given? */
const char *cli_value(const struct cli_args *args, const char *name);
bool cli_has(const struct cli_args *args, const char *name);

/** Value of a variable of the environment; NULL when it is not there or empty. */
const char *cli_variable(const struct cli *cli, const char *name);

/** The whole program: argv with its name. @return the exit code */
int cli_main(struct cli *cli, int argc, char *const *argv);

/* ---------------------------------------------------------------- words (help.c) */

void cli_help_all(struct mt_buf *out);
void cli_help(const struct cli_cmd *cmd, struct mt_buf *out);
void cli_man(struct mt_buf *out); /* roff, section 1 */

/** Completion for "bash", "zsh" or "fish". @return MT_OK, MT_E_INVALID */
mt_rc cli_completion(const char *shell, struct mt_buf *out, struct mt_err *err);

/* ---------------------------------------------------------------- output (print.c) */

/** Write a buffer to out, as far as it could be written. @return MT_OK, MT_E_IO, MT_E_NOMEM */
mt_rc cli_put(struct cli *cli, const struct mt_buf *text, struct mt_err *err);

/** The failure to report when out did not take everything. */
mt_rc cli_put_failed(struct mt_err *err);

/** "1.5 GB", "12 k", "$0.0012", "3.2 s", "2 hours ago" appended. */
void cli_add_size(struct mt_buf *out, int64_t bytes);
void cli_add_count(struct mt_buf *out, int64_t n);
void cli_add_money(struct mt_buf *out, int64_t usd_nano);
void cli_add_us(struct mt_buf *out, int64_t us);

/** A table: cells are added row by row; written with columns as wide as needed. */
enum { CLI_COLUMNS_MAX = 8, CLI_TABLE_MAX = 4 * 1024 * 1024 };
struct cli_table {
    struct mt_buf text; /* cells, each ended by NUL */
    size_t columns_n;
    unsigned right; /* bits of columns that are numbers */
};
void cli_table_init(struct cli_table *table, size_t columns_n, unsigned right);
void cli_table_fini(struct cli_table *table);
void cli_cell(struct cli_table *table, struct mt_str text);
void cli_cell_cstr(struct cli_table *table, const char *text);
mt_rc cli_table_put(struct cli *cli, const struct cli_table *table, struct mt_err *err);

/* ---------------------------------------------------------------- configuration (settings.c)
 */

/** --config of the command, else $MOTET_CONFIG, else NULL. */
const char *cli_config_file(const struct cli *cli, const struct cli_args *args);

/** The configuration of the command, without what is found around it and without the API keys
 * of endpoints, which may be readable for the node alone. */
mt_rc cli_config(struct cli *cli, const struct cli_args *args, const struct mt_config **out,
                 struct mt_err *err);

/** Owned path in the data folder; NULL when out of memory. */
char *cli_data_path(const struct mt_config *config, const char *name);

/* Options that many commands share. */
#define CLI_OPT_CONFIG                                        \
    {                                                         \
        "config", 'c', "FILE", "read this configuration file" \
    }
#define CLI_OPT_JSON                  \
    {                                 \
        "json", 0, NULL, "print JSON" \
    }

#endif
