/* SPDX-License-Identifier: Apache-2.0 */
/* API keys of this node: made here, kept in the configuration as hashes. */
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "crypto/key.h"
#include "wire/json_writer.h"

static mt_rc check_name(struct mt_str name, struct mt_err *err)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || (c != '\0' && strchr("-_.@", c) != NULL);
        if (!is_plain)
            name.len = 0;
    }
    if (name.len == 0 || name.len > 64)
        return MT_FAIL(err, MT_E_INVALID,
                       "key: expected a name of letters, digits, '-', '_', '.' and '@'");
    return MT_OK;
}

static mt_rc put_new(struct cli *cli, const struct cli_args *args, struct mt_str key,
                     struct mt_err *err)
{
    struct mt_buf out = MT_BUF_INIT(4096);
    char stored[MT_KEY_STORED_LEN + 1];
    struct mt_jw w;

    mt_key_stored(key, stored);
    if (cli_has(args, "json")) {
        mt_jw_begin(&w, &out);
        mt_jw_object(&w);
        mt_jw_kcstr(&w, "name", args->rest[1]);
        mt_jw_kstr(&w, "key", key);
        mt_jw_kcstr(&w, "hash", stored);
        mt_jw_end(&w);
        mt_buf_add_char(&out, '\n');
    } else {
        (void)fputs("motet: this is the only time the key is shown\n", cli->err);
        mt_buf_addf(&out, "%.*s\n", MT_STR_ARG(key));
        (void)fprintf(cli->err,
                      "motet: add to the configuration ('motet config path' says where):\n"
                      "keys:\n  - name: %s\n    hash: %s\n",
                      args->rest[1], stored);
    }
    mt_rc rc = cli_put(cli, &out, err);
    if (out.len > 0)
        mt_wipe(out.at, out.len);
    mt_buf_fini(&out);
    return rc;
}

static mt_rc new_key(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    uint8_t entropy[MT_KEY_ENTROPY];
    struct mt_secret key = {0};

    if (args->rest_n != 2)
        return MT_FAIL(err, MT_E_INVALID, "key new: expected a NAME");
    MT_TRY(check_name(mt_str_of(args->rest[1]), err));
    mt_random_bytes(entropy, sizeof entropy);
    mt_rc rc = mt_key_make(entropy, &key, err);
    mt_wipe(entropy, sizeof entropy);
    if (rc == MT_OK)
        rc = put_new(cli, args, mt_secret_view(&key), err);
    mt_secret_fini(&key);
    return rc;
}

static void add_limits(struct mt_buf *out, const struct mt_config_limits *limits)
{
    static const char *const per[] = {"second", "minute", "hour", "day", "month", "ever"};

    for (size_t i = 0; i < limits->n; i++) {
        const struct mt_config_limit *limit = &limits->at[i];
        mt_buf_add_cstr(out, i > 0 ? ", " : "");
        if (limit->requests > 0)
            mt_buf_addf(out, "%lld requests ", (long long)limit->requests);
        if (limit->tokens > 0)
            mt_buf_addf(out, "%lld tokens ", (long long)limit->tokens);
        if (limit->money_usd_nano > 0) {
            cli_add_money(out, limit->money_usd_nano);
            mt_buf_add_char(out, ' ');
        }
        mt_buf_addf(out, "per %s", per[limit->per]);
    }
}

static mt_rc put_json(struct cli *cli, const struct mt_config *config, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);
    struct mt_jw w;

    mt_jw_begin(&w, &out);
    mt_jw_array(&w);
    for (size_t i = 0; i < config->keys_n; i++) {
        const struct mt_config_key *key = &config->keys[i];
        mt_jw_object(&w);
        mt_jw_kstr(&w, "name", key->name);
        mt_jw_kstr(&w, "hash", key->hash);
        mt_jw_key(&w, "models");
        mt_jw_array(&w);
        for (size_t j = 0; j < key->models.n; j++)
            mt_jw_str(&w, key->models.at[j]);
        mt_jw_end(&w);
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
    mt_buf_add_char(&out, '\n');
    return cli_put(cli, &out, err);
}

static mt_rc put_table(struct cli *cli, const struct mt_config *config, struct mt_err *err)
{
    MT_CLEANUP(cli_table_fini) struct cli_table table;

    cli_table_init(&table, 3, 0);
    cli_cell_cstr(&table, "NAME");
    cli_cell_cstr(&table, "MODELS");
    cli_cell_cstr(&table, "LIMITS");
    for (size_t i = 0; i < config->keys_n; i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf models = MT_BUF_INIT(64 * 1024);
        MT_CLEANUP(mt_buf_fini) struct mt_buf limits = MT_BUF_INIT(64 * 1024);
        const struct mt_config_key *key = &config->keys[i];

        for (size_t j = 0; j < key->models.n; j++)
            mt_buf_addf(&models, "%s%.*s", j > 0 ? ", " : "", MT_STR_ARG(key->models.at[j]));
        add_limits(&limits, &key->limits);
        cli_cell(&table, key->name);
        cli_cell(&table, models.len > 0 ? mt_buf_str(&models) : MT_STR("all"));
        cli_cell(&table, limits.len > 0 ? mt_buf_str(&limits) : MT_STR("none"));
    }
    return cli_table_put(cli, &table, err);
}

static mt_rc list(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_config_unrefp) const struct mt_config *config = NULL;

    if (args->rest_n != 1)
        return MT_FAIL(err, MT_E_INVALID, "key list: unexpected '%s'", args->rest[1]);
    MT_TRY(cli_config(cli, args, &config, err));
    if (cli_has(args, "json"))
        return put_json(cli, config, err);
    if (config->keys_n == 0) {
        (void)fputs("motet: no keys are set: everybody on this machine may ask\n", cli->err);
        return MT_OK;
    }
    return put_table(cli, config, err);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    if (strcmp(args->rest[0], "new") == 0)
        return new_key(cli, args, err);
    if (strcmp(args->rest[0], "list") == 0 || strcmp(args->rest[0], "ls") == 0)
        return list(cli, args, err);
    return MT_FAIL(err, MT_E_INVALID, "key: expected new or list, found '%s'", args->rest[0]);
}

static const struct cli_opt opts[] = {CLI_OPT_JSON, CLI_OPT_CONFIG, {0}};

const struct cli_cmd cli_cmd_key = {
    .name = "key",
    .args = "new NAME|list",
    .summary = "make an API key, list those that are set",
    .more = "A new key goes to standard output, once; only its hash belongs into the file.\n",
    .examples = "motet key new laptop\nmotet key list\n",
    .opts = opts,
    .rest_min = 1,
    .rest_max = 2,
    .run = run,
};
