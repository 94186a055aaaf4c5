/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/config.h"
#include "system/file.h"

#define HASH_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char folder[] = "/tmp/motet-config-XXXXXX";
static char file[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(file, sizeof file, "%s/m.yaml", folder);
    return setenv("MOTET_HOME", folder, 1);
}

static int remove_folder(void **state)
{
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/secret", folder);
    (void)unlink(path);
    (void)unlink(file);
    return rmdir(folder);
}

static void write_text(struct mt_str text)
{
    assert_int_equal(mt_file_write(file, text, 0600, NULL), MT_OK);
}

static mt_rc load(const char *yaml, const struct mt_config **out, struct mt_err *err)
{
    static char *const environment[] = {(char *)(uintptr_t) "OPENAI_API_KEY=sk-outside",
                                        (char *)(uintptr_t) "HOME=/home/ada", NULL};

    write_text(mt_str_of(yaml));
    return mt_config_load(file, environment, NULL, 0, out, err);
}

/* ------------------------------------------------------------------ what comes in */

static void defaults_are_those_of_the_manual(void **state)
{
    (void)state;
    const struct mt_config *c = NULL;

    assert_int_equal(mt_config_load(NULL, NULL, NULL, 0, &c, NULL), MT_OK);
    assert_true(mt_str_is(c->listen_host, "127.0.0.1"));
    assert_int_equal(c->listen_port, 7700);
    assert_true(mt_str_ends(c->data_dir, MT_STR("/data")));
    assert_int_equal(c->body_bytes_max, 32 << 20);
    assert_int_equal(c->answer_bytes_max, 64 << 20);
    assert_int_equal(c->connections_max, 10000);
    assert_int_equal(c->header_timeout_ms, 10000);
    assert_int_equal(c->body_timeout_ms, 30000);
    assert_int_equal(c->ping_ms, 10000);
    assert_int_equal(c->drain_ms, 10000);
    assert_int_equal(c->retry_base_ms, 200);
    assert_int_equal(c->retry_cap_ms, 10000);
    assert_int_equal(c->breaker_failures, 5);
    assert_int_equal(c->breaker_open_ms, 30000);
    assert_int_equal(c->cache_ttl_ms, 3600000);
    assert_false(c->cache_enabled);
    assert_true(c->discover);
    assert_int_equal(c->keys_n + c->endpoints_n + c->models_n + c->prices_n, 0);
    mt_config_unref(c);
    assert_int_equal(mt_alloc_live, 0);
}

static const char whole[] =
    "listen: 0.0.0.0:8000\n"
    "cache: {enabled: true, ttl: 90s}\n"
    "server.body_max: 1MiB\n"
    "log:\n"
    "limits: [{requests: 10k, per: hour}]\n"
    "keys:\n"
    "  - name: ada\n"
    "    hash: " HASH_A "\n"
    "    models: ['lab-*', \"gpt-5\"]\n"
    "    limits: [{money: 2.50USD, per: month}, {tokens: 2M, requests: 5, per: minute}]\n"
    "endpoints:\n"
    "  - &shed\n"
    "    name: shed\n"
    "    dialect: ollama\n"
    "    url: http://shed:11434\n"
    "    headers: {X-Team: blue, X-Two: \"b c\"}\n"
    "  - {name: openai, dialect: openai, url: https://api.openai.com, api_key_env: "
    "OPENAI_API_KEY, models: [gpt-5], idle_timeout: 45s}\n"
    "models:\n"
    "  - {name: nano, path: lab/n.gguf, keep_alive: forever, gpu_layers: none, context: 2k}\n"
    "  - {name: smart, targets: [openai/gpt-5, nano], continue_stream: yes, retries: 0}\n"
    "prices:\n"
    "  - {model: 'openai/*', input: 0.25USD, output: 2USD}\n";

static void a_file_fills_every_kind_of_key(void **state)
{
    (void)state;
    const struct mt_config *c = NULL;
    struct mt_err err = {0};

    if (load(whole, &c, &err) != MT_OK)
        fail_msg("%s", err.text);
    assert_true(mt_str_is(c->listen_host, "0.0.0.0"));
    assert_int_equal(c->listen_port, 8000);
    assert_true(c->cache_enabled && c->cache_ttl_ms == 90000);
    assert_int_equal(c->body_bytes_max, 1 << 20);
    assert_true(c->limits.n == 1 && c->limits.at[0].requests == 10000 &&
                c->limits.at[0].per == MT_PER_HOUR);
    assert_int_equal(c->keys_n, 1);
    assert_true(mt_str_is(c->keys[0].models.at[1], "gpt-5"));
    assert_int_equal(c->keys[0].limits.at[0].money_usd_nano, 2500000000);
    assert_int_equal(c->keys[0].limits.at[1].tokens, 2000000);
    assert_int_equal(c->keys[0].limits.at[1].per, MT_PER_MINUTE);
    assert_int_equal(c->endpoints_n, 2);
    assert_true(mt_str_is(c->endpoints[0].headers[1].value, "b c"));
    assert_int_equal(c->endpoints[0].first_timeout_ms, 300000);
    assert_true(mt_str_is(c->endpoints[1].api_key, "sk-outside"));
    assert_int_equal(c->endpoints[1].idle_timeout_ms, 45000);
    assert_true(mt_str_starts(c->models[0].path, MT_STR("/")));
    assert_true(mt_str_ends(c->models[0].path, MT_STR("/lab/n.gguf")));
    assert_true(c->models[0].keep_alive_ms < 0 && c->models[0].gpu_layers < 0);
    assert_int_equal(c->models[0].context_tokens, 2000);
    assert_int_equal(c->models[0].retries, 2);
    assert_true(c->models[1].targets.n == 2 && c->models[1].continue_stream);
    assert_int_equal(c->models[1].retries, 0);
    assert_int_equal(c->prices[0].input_usd_micro, 250000);
    mt_config_unref(c);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_file_that_says_nothing_means_the_defaults(void **state)
{
    (void)state;
    static const char *const rows[] = {"",    "\n",       "# a\n",   "---\n",
                                       "~\n", "cache:\n", "keys:\n", "models: []\n"};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_config *c = NULL;
        struct mt_err err = {0};

        mt_check_row(rows[i], load(rows[i], &c, &err) == MT_OK);
        mt_check_row(rows[i], c->cache_ttl_ms == 3600000);
        mt_config_unref(c);
    }
}

static void anchors_paths_and_key_files_work(void **state)
{
    (void)state;
    const struct mt_config *c = NULL;
    struct mt_err err = {0};
    char path[128];

    (void)snprintf(path, sizeof path, "%s/secret", folder);
    assert_int_equal(mt_file_write(path, MT_STR("sk-inside\n"), 0600, NULL), MT_OK);
    mt_rc rc = load("limits: &l [{requests: 5, per: day}]\n"
                    "keys: [{name: a, hash: " HASH_A ", limits: *l}]\n"
                    "models: [{name: m, path: ~/m.gguf, limits: *l}]\n"
                    "endpoints: [{name: e, dialect: anthropic, url: 'https://e', api_key_file: "
                    "secret}]\n",
                    &c, &err);
    if (rc != MT_OK)
        fail_msg("%s", err.text);
    assert_int_equal(c->keys[0].limits.at[0].requests, 5);
    assert_true(mt_str_is(c->models[0].path, "/home/ada/m.gguf"));
    assert_true(mt_str_is(c->endpoints[0].api_key, "sk-inside"));
    mt_config_unref(c);
}

static void flags_win_over_environment_over_file(void **state)
{
    (void)state;
    const struct mt_config *c = NULL;
    char *const environment[] = {(char *)(uintptr_t) "MOTET_CACHE_TTL=2h",
                                 (char *)(uintptr_t) "MOTET_RETRY_CAP=20s",
                                 (char *)(uintptr_t) "MOTET_PORT_7700_TCP=tcp://1.2.3.4", NULL};
    const struct mt_config_flag flags[] = {{"retry.cap", "30s"}};
    struct mt_buf text = MT_BUF_INIT(1 << 16);

    write_text(MT_STR("cache: {ttl: 1m, size: 2MiB}\nretry: {cap: 1s}\n"));
    assert_int_equal(mt_config_load(file, environment, flags, 1, &c, NULL), MT_OK);
    assert_int_equal(c->cache_ttl_ms, 7200000);
    assert_int_equal(c->cache_bytes_max, 2 << 20);
    assert_int_equal(c->retry_cap_ms, 30000);
    assert_int_equal(mt_config_show(c, MT_CONFIG_YAML, true, &text, NULL), MT_OK);
    assert_non_null(strstr(mt_buf_cstr(&text), "ttl: 2h  # environment, MOTET_CACHE_TTL"));
    assert_non_null(strstr(mt_buf_cstr(&text), "cap: 30s  # flag, --retry.cap"));
    assert_non_null(strstr(mt_buf_cstr(&text), "m.yaml:1\n"));
    assert_non_null(strstr(mt_buf_cstr(&text), "base: 200ms  # default"));
    mt_buf_fini(&text);
    mt_config_unref(c);
}

/* ------------------------------------------------------------------ what is refused */

#define ENDPOINT(rest) "endpoints: [{name: e, dialect: openai, url: 'http://e'" rest "}]\n"

static void every_mistake_names_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *want; /* behind "m.yaml:" */
    } rows[] = {
        {"listne: 1", "1:1: unknown key 'listne', did you mean 'listen'?"},
        {"cahce:\n  ttl: 1s", "1:1: unknown key 'cahce', did you mean 'cache'?"},
        {"cache:\n  tll: 1s", "2:3: unknown key 'cache.tll', did you mean 'cache.ttl'?"},
        {"ttl: 1s", "1:1: unknown key 'ttl', did you mean 'cache.ttl'?"},
        {"zzzzzzzzzz: 1", "1:1: unknown key 'zzzzzzzzzz'"},
        {"cache:\n  ttl: 10", "2:8: cache.ttl: expected a duration such as"},
        {"cache:\n  ttl: 0s", "2:8: cache.ttl: expected 1ms to 366d, found '0s'"},
        {"cache: 5", "1:8: cache: expected a map, found a single value"},
        {"cache: {size: 10}\n", "1:15: cache.size: expected a size such as"},
        {"cache: {size: 1KiB}\n", "cache.entry_max: expected at most cache.size"},
        {"listen: [1]\n", "1:9: listen: expected a single value, found a list"},
        {"listen:\n", "1:8: listen: expected a single value, found nothing"},
        {"listen: 7700\n", "1:9: listen: expected HOST:PORT"},
        {"listen: ::1:7700\n", "1:9: listen: expected HOST:PORT"},
        {"listen: a:99999\n", "1:9: listen: expected HOST:PORT"},
        {"listen: 0.0.0.0:80\n", "1:1: listen: other machines could reach it, and no keys"},
        {"discover: maybe\n", "1:11: discover: expected true or false, found 'maybe'"},
        {"log: {level: loud}\n", "1:7: log.level: expected error, warn"},
        {"tls: {cert: /a}\n", "1:7: tls.cert: expected tls.cert and tls.key together"},
        {"endpoints: [{name: a, dialect: openai, url: 'https://h', ca_file: /no/such}]\n",
         "1:58: ca_file: endpoint 'a': open '/no/such': No such file"},
        {"endpoints: [{name: a, dialect: openai, url: 'https://h', ca_file: /etc/passwd}]\n",
         "1:58: ca_file: endpoint 'a': expected certificates in PEM, found none"},
        {"retry: {base: 20s}\n", "1:9: retry.base: expected at most retry.cap"},
        {"listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n",
         "2:1: listen: given twice, first in line 1"},
        {"cache: {ttl: 1s}\ncache.ttl: 2s\n", "2:1: cache.ttl: given twice, first in line 1"},
        {"cache: {ttl: 1s}\ncache: {size: 2MiB}\n", "2:1: cache: given twice, first in line 1"},
        {"keys: {a: b}\n", "1:7: keys: expected a list, found a map"},
        {"keys: [7]\n", "1:8: key: expected a map, found a single value"},
        {"keys: [{name: a}]\n", "1:8: key without 'hash'"},
        {"keys: [{name: a, hash: x}]\n", "1:18: hash: key 'a': expected sha256:"},
        {"keys: [{name: 'a b', hash: " HASH_A "}]\n", "1:9: name: key 'a b': expected letters"},
        {"keys:\n- {name: a, hash: " HASH_A "}\n- {name: a, hash: " HASH_B "}\n",
         "3:4: name: key 'a': the name is taken"},
        {"keys:\n- {name: a, hash: " HASH_A "}\n- {name: b, hash: " HASH_A "}\n",
         "3:13: hash: key 'b': another one has the same key"},
        {"limits: [{requests: 5}]\n", "1:10: limit without 'per'"},
        {"limits: [{requests: 5, per: week}]\n",
         "1:29: per: expected one of second, minute, hour, day, month, ever, found 'week'"},
        {"limits: [{per: day}]\n", "1:1: limits: node: expected requests, tokens or money"},
        {"limits: [{money: 5, per: day}]\n", "1:18: money: expected a money amount such as"},
        {"limits: [{requests: -1, per: day}]\n", "1:21: requests: expected a count such as"},
        {"endpoints: [{name: e, url: 'http://e'}]\n", "1:13: endpoint without 'dialect'"},
        {"endpoints: [{name: e, dialect: cohere, url: 'http://e'}]\n",
         "1:32: dialect: expected one of openai, openai-responses, anthropic, gemini, ollama"},
        {"endpoints: [{name: e, dialect: openai, url: 'ftp://e'}]\n",
         "1:40: url: endpoint 'e': expected http:// or https://"},
        {"endpoints: [{name: e, dialect: openai, url: 'http://u:p@e'}]\n",
         "1:40: url: endpoint"},
        {ENDPOINT(", api_key_env: NOT_THERE"), "the environment has no NOT_THERE"},
        {ENDPOINT(", api_key_env: sk-the-key-itself"),
         ": api_key_env: expected the name of a variable"},
        {ENDPOINT(", api_key_file: not-there"), "api_key_file: "},
        {ENDPOINT(", api_key: a, api_key_env: OPENAI_API_KEY"),
         "1:69: api_key_env: 'api_key' says the same already"},
        {ENDPOINT(", headers: {'a b': c}"), ": headers: expected a header's name"},
        {ENDPOINT(", headers: {a: [c]}"), "headers: expected a single value, found a list"},
        {ENDPOINT(", models: [a, '']"), "models: expected a text, found nothing"},
        {"models: [{name: m}]\n", "1:11: name: model 'm': expected either a path or targets"},
        {"models: [{name: m, path: /a, targets: [b]}]\n", "1:30: targets: model 'm': expected"},
        {"models: [{name: m, targets: []}]\n", "1:11: name: model 'm': expected either"},
        {"models: [{name: m, targets: [a], lora: /x}]\n", "lora: model 'm': needs a path"},
        {"models: [{name: a, targets: [b]}, {name: b, targets: [a]}]\n",
         "1:20: targets: model 'a': expected names that lead to models, found a circle"},
        {"models: [{name: m, path: /a, gpu_layers: 0}]\n", "gpu_layers: expected 1 to 10k"},
        {"models: [{name: m, path: /a, lora_scale: 1e9}]\n", "lora_scale: expected a number"},
        {"prices: [{model: m, input: 1}]\n", "1:28: input: expected a price such as 0.25USD"},
        {"- a\n", "1:1: expected keys with values, found a list"},
        {"a: b: c\n", "1:5: mapping values are not allowed in this context"},
        {"a: {\n", "2:1: did not find"},
        {"log: !!map {json: true}\n", "1:6: tags are not supported"},
        {"data_dir: !x y\n", "1:11: tags are not supported"},
        {"discover: true\n---\ndiscover: false\n", "2:1: a second document, expected one"},
        {"discover: *nope\n", "1:11: alias of an anchor that is not there"},
        {"keys: &k [*k]\n", "1:11: alias within its own anchor"},
        {"? [a]\n: b\n", "1:3: expected a key, found a list or a map"},
        {"a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "1:19: nested too deep"},
        {"data_dir: \"a\\nb\"\n", "1:11: data_dir: expected text without control characters"},
        {"\xff\n", "byte 0: "},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_config *c = NULL;
        struct mt_err err = {0};
        mt_rc rc = load(rows[i].yaml, &c, &err);

        if (rc != MT_E_INVALID || strstr(err.text, rows[i].want) == NULL || c != NULL)
            fail_msg("row '%s': %s: '%s', expected '%s'", rows[i].yaml, mt_rc_name(rc),
                     err.text, rows[i].want);
        if (rows[i].want[0] >= '1' && rows[i].want[0] <= '9')
            mt_check_row(rows[i].yaml, mt_str_starts(mt_str_of(err.text), mt_str_of(file)));
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void a_command_that_only_asks_needs_no_keys_of_endpoints(void **state)
{
    (void)state;
    const struct mt_config *c = NULL;
    struct mt_err err = {0};

    write_text(
        MT_STR("listen: 127.0.0.1:7\nendpoints:\n"
               "- {name: a, dialect: openai, url: 'http://a', api_key_env: NOT_THERE}\n"
               "- {name: b, dialect: openai, url: 'http://b', api_key_file: not-there}\n"));
    assert_int_equal(mt_config_load(file, NULL, NULL, 0, &c, &err), MT_E_INVALID);
    assert_int_equal(mt_config_load_keyless(file, NULL, NULL, 0, &c, &err), MT_OK);
    assert_int_equal(c->listen_port, 7);
    assert_int_equal(c->endpoints_n, 2);
    mt_config_unref(c);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_file_that_multiplies_itself_is_refused(void **state)
{
    (void)state;
    struct mt_buf text = MT_BUF_INIT(1 << 20);
    const struct mt_config *c = NULL;
    struct mt_err err = {0};

    mt_buf_add_cstr(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 10; i++) {
        mt_buf_addf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++)
            mt_buf_addf(&text, "%s*a%d", j > 0 ? ", " : "", i - 1);
        mt_buf_add_cstr(&text, "]\n");
    }
    assert_int_equal(load(mt_buf_cstr(&text), &c, &err), MT_E_INVALID);
    assert_non_null(strstr(err.text, "too many values, those of aliases counted"));
    mt_buf_clear(&text);
    for (int i = 0; i < (1 << 20) / 8 - 1; i++)
        mt_buf_add_cstr(&text, "#comment");
    mt_buf_add_cstr(&text, "\n");
    assert_int_equal(load(mt_buf_cstr(&text), &c, &err), MT_OK);
    mt_config_unref(c);
    mt_buf_fini(&text);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_file_over_a_mebibyte_is_too_big(void **state)
{
    (void)state;
    static char text[(1 << 20) + 1];
    const struct mt_config *c = NULL;

    memset(text, '#', sizeof text);
    write_text((struct mt_str){text, sizeof text});
    assert_int_equal(mt_config_load(file, NULL, NULL, 0, &c, NULL), MT_E_TOOBIG);
    assert_int_equal(mt_config_load("/no/such/file", NULL, NULL, 0, &c, NULL), MT_E_NOTFOUND);
}

static void slips_in_flags_and_environment_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *variable;
        struct mt_config_flag flag;
        const char *want;
    } rows[] = {
        {"MOTET_LISTN=127.0.0.1:1",
         {0},
         "MOTET_LISTN: unknown name, did you mean MOTET_LISTEN?"},
        {"MOTET_LISTEN=7", {0}, "MOTET_LISTEN: expected HOST:PORT"},
        {"MOTET_LISTEN=0.0.0.0:7", {0}, "MOTET_LISTEN: other machines could reach it"},
        {"MOTET_KEYS=a", {0}, "MOTET_KEYS: a list, which only the file can give"},
        {NULL, {"listne", "x"}, "--listne: unknown key, did you mean --listen?"},
        {NULL, {"qqqqqqqqqqqq", "x"}, "--qqqqqqqqqqqq: unknown key"},
        {NULL, {"keys", "x"}, "--keys: expected a list, which only the file can give"},
        {NULL, {"cache.ttl", "7"}, "--cache.ttl: expected a duration"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_config *c = NULL;
        struct mt_err err = {0};
        char *const environment[] = {(char *)(uintptr_t)rows[i].variable, NULL};
        mt_rc rc = mt_config_load(NULL, environment, &rows[i].flag, rows[i].flag.key != NULL,
                                  &c, &err);

        if (rc != MT_E_INVALID || strstr(err.text, rows[i].want) != err.text)
            fail_msg("row '%s': %s '%s'", rows[i].want, mt_rc_name(rc), err.text);
    }
}

/* ------------------------------------------------------------------ what comes out */

static void what_is_shown_reads_back_the_same(void **state)
{
    (void)state;
    const struct mt_config *c = NULL;
    const struct mt_config *again = NULL;
    struct mt_buf first = MT_BUF_INIT(1 << 16);
    struct mt_buf second = MT_BUF_INIT(1 << 16);
    struct mt_err err = {0};

    assert_int_equal(load(whole, &c, &err), MT_OK);
    assert_int_equal(mt_config_show(c, MT_CONFIG_YAML, false, &first, &err), MT_OK);
    assert_null(strstr(mt_buf_cstr(&first), "sk-outside"));
    assert_null(strstr(mt_buf_cstr(&first), "b c"));
    assert_non_null(strstr(mt_buf_cstr(&first), "api_key: \"(set)\""));
    if (load(mt_buf_cstr(&first), &again, &err) != MT_OK)
        fail_msg("%s in\n%s", err.text, mt_buf_cstr(&first));
    assert_int_equal(mt_config_show(again, MT_CONFIG_YAML, false, &second, &err), MT_OK);
    assert_string_equal(mt_buf_cstr(&first), mt_buf_cstr(&second));
    mt_buf_clear(&first);
    assert_int_equal(mt_config_show(c, MT_CONFIG_JSON, true, &first, &err), MT_OK);
    assert_null(strstr(mt_buf_cstr(&first), "sk-outside"));
    assert_non_null(strstr(mt_buf_cstr(&first), "\"ttl\":{\"value\":\"90s\",\"origin\":\""));
    mt_buf_fini(&first);
    mt_buf_fini(&second);
    mt_config_unref(c);
    mt_config_unref(again);
    assert_int_equal(mt_alloc_live, 0);
}

static void explain_knows_keys_sections_and_items(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *want; /* NULL: not found */
    } rows[] = {
        {"listen", "127.0.0.1:7700"},  {"cache.ttl", "MOTET_CACHE_TTL"},
        {"cache", "cache.entry_max"},  {"endpoints", "api_key_env"},
        {"endpoints.url", "base URL"}, {"lissten", NULL},
        {"endpoints.urk", NULL},       {"keys.limits", "per"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_buf out = MT_BUF_INIT(1 << 16);
        struct mt_err err = {0};
        mt_rc rc = mt_config_explain(rows[i].key, &out, &err);

        mt_check_row(rows[i].key, rc == (rows[i].want != NULL ? MT_OK : MT_E_NOTFOUND));
        mt_check_row(rows[i].key,
                     rows[i].want == NULL || strstr(mt_buf_cstr(&out), rows[i].want) != NULL);
        mt_buf_fini(&out);
    }
}

static void a_model_is_cached_as_the_node_unless_it_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        bool want[2];
    } rows[] = {
        {"models: [{name: a, path: /a}, {name: b, path: /b, cache: true}]", {false, true}},
        {"cache: {enabled: true}\nmodels: [{name: a, path: /a}, {name: b, path: /b, cache: "
         "false}]",
         {true, false}},
    };
    const struct mt_config_model more = {.name = MT_STR("c"), .path = MT_STR("/c")};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_config *c = NULL;
        const struct mt_config *with = NULL;

        assert_int_equal(load(rows[i].yaml, &c, NULL), MT_OK);
        assert_int_equal(mt_config_with_models(c, &more, 1, &with, NULL), MT_OK);
        mt_check_row(rows[i].yaml, with->models[0].cache == rows[i].want[0]);
        mt_check_row(rows[i].yaml, with->models[1].cache == rows[i].want[1]);
        mt_check_row(rows[i].yaml, with->models[2].cache == with->cache_enabled);
        mt_config_unref(c);
        mt_config_unref(with);
    }
}

static void unreloadable_names_what_needs_a_restart(void **state)
{
    (void)state;
    const struct mt_config *a = NULL;
    const struct mt_config *b = NULL;
    struct mt_buf names = MT_BUF_INIT(1024);

    assert_int_equal(load("listen: 127.0.0.1:1\ncache: {ttl: 1s}\n", &a, NULL), MT_OK);
    assert_int_equal(
        load("listen: 127.0.0.1:2\ncache: {ttl: 2s}\nlog: {json: true}\n", &b, NULL), MT_OK);
    mt_config_unreloadable(a, b, &names);
    assert_string_equal(mt_buf_cstr(&names), "listen, log.json");
    mt_buf_fini(&names);
    mt_config_unref(a);
    mt_config_unref(b);
}

static void additions_make_a_new_snapshot_that_outlives_the_old(void **state)
{
    (void)state;
    const struct mt_config *old = NULL;
    const struct mt_config *more = NULL;
    const struct mt_config *both = NULL;
    struct mt_buf text = MT_BUF_INIT(1 << 16);
    char key[] = "sk-found";
    const struct mt_config_endpoint found[] = {
        {.name = MT_STR("e"), .dialect = MT_STR("openai"), .url = MT_STR("http://other")},
        {.name = MT_STR("f"),
         .dialect = MT_STR("openai"),
         .url = MT_STR("http://f"),
         .api_key = mt_str_of(key),
         .is_found = true},
    };
    const struct mt_config_model model = {
        .name = MT_STR("lab"), .path = MT_STR("/lab.gguf"), .context_tokens = 512};

    assert_int_equal(load(ENDPOINT(""), &old, NULL), MT_OK);
    assert_int_equal(mt_config_with_endpoints(old, found, 2, &more, NULL), MT_OK);
    assert_int_equal(mt_config_with_models(more, &model, 1, &both, NULL), MT_OK);
    memset(key, 'x', sizeof key - 1);
    assert_int_equal(old->endpoints_n, 1);
    mt_config_unref(old);
    mt_config_unref(more);
    assert_int_equal(both->endpoints_n, 2);
    assert_true(mt_str_is(both->endpoints[0].url, "http://e"));
    assert_true(mt_str_is(both->endpoints[1].api_key, "sk-found"));
    assert_true(both->endpoints[1].is_found);
    assert_int_equal(both->endpoints[1].connect_timeout_ms, 5000);
    assert_int_equal(both->models_n, 1);
    assert_int_equal(both->models[0].context_tokens, 512);
    assert_int_equal(both->models[0].retries, 2);
    assert_int_equal(mt_config_show(both, MT_CONFIG_YAML, true, &text, NULL), MT_OK);
    mt_buf_fini(&text);
    mt_config_unref(both);
    assert_int_equal(mt_alloc_live, 0);
}

static void loading_survives_any_oom(void **state)
{
    (void)state;
    char *const environment[] = {(char *)(uintptr_t) "OPENAI_API_KEY=sk", NULL};
    struct mt_config_model model = {.name = MT_STR("x"), .path = MT_STR("/x")};

    write_text(mt_str_of(whole));
    for (long nth = 0;; nth++) {
        const struct mt_config *c = NULL;
        const struct mt_config *more = NULL;
        struct mt_err err = {0};

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_config_load(file, environment, NULL, 0, &c, &err);
        if (rc == MT_OK)
            rc = mt_config_with_models(c, &model, 1, &more, &err);
        mt_alloc_fail_after = -1;
        mt_config_unref(c);
        mt_config_unref(more);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 10);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

/* ------------------------------------------------------------------ what is generated */

static void read_source(const char *name, struct mt_buf *out)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", MT_SOURCE_DIR, name);
    assert_int_equal(mt_file_read(path, 1 << 20, out, NULL), MT_OK);
}

static void committed_pages_are_current(void **state)
{
    (void)state;
    struct mt_buf kept = MT_BUF_INIT(1 << 20);
    struct mt_buf made = MT_BUF_INIT(1 << 20);

    read_source("docs/configuration.md", &kept);
    mt_config_reference(&made);
    assert_string_equal(mt_buf_cstr(&kept), mt_buf_cstr(&made));
    mt_buf_clear(&kept);
    mt_buf_clear(&made);
    read_source("examples/motet.yaml", &kept);
    mt_config_sample(&made);
    assert_string_equal(mt_buf_cstr(&kept), mt_buf_cstr(&made));
    mt_buf_fini(&kept);
    mt_buf_fini(&made);
}

/* As it is, and with every line switched on that can be. */
static void the_sample_is_valid_both_ways(void **state)
{
    (void)state;
    struct mt_buf sample = MT_BUF_INIT(1 << 20);
    struct mt_buf on = MT_BUF_INIT(1 << 20);
    const struct mt_config *c = NULL;
    struct mt_err err = {0};

    mt_config_sample(&sample);
    if (load(mt_buf_cstr(&sample), &c, &err) != MT_OK)
        fail_msg("%s", err.text);
    mt_config_unref(c);
    struct mt_str rest = mt_buf_str(&sample);
    while (rest.len > 0) {
        struct mt_str line = mt_str_take(&rest, '\n');
        bool is_off = line.len > 1 && line.at[0] == '#' && line.at[1] != ' ';
        bool is_item = mt_str_starts(line, MT_STR("#  ")); /* "#  key: value" of a list */
        if (mt_str_starts(line, MT_STR("#  cert")) ||
            mt_str_starts(line, MT_STR("#  key: \"")) ||
            mt_str_starts(line, MT_STR("#  library")))
            continue;
        mt_buf_add(&on, is_off || is_item ? mt_str_sub(line, 1, line.len) : line);
        mt_buf_add_char(&on, '\n');
    }
    if (load(mt_buf_cstr(&on), &c, &err) != MT_OK)
        fail_msg("%s in\n%s", err.text, mt_buf_cstr(&on));
    assert_true(c->keys_n == 1 && c->endpoints_n == 1 && c->models_n == 1 && c->prices_n == 1);
    mt_config_unref(c);
    mt_buf_fini(&sample);
    mt_buf_fini(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(a_file_fills_every_kind_of_key),
        cmocka_unit_test(a_file_that_says_nothing_means_the_defaults),
        cmocka_unit_test(anchors_paths_and_key_files_work),
        cmocka_unit_test(flags_win_over_environment_over_file),
        cmocka_unit_test(every_mistake_names_its_place),
        cmocka_unit_test(a_command_that_only_asks_needs_no_keys_of_endpoints),
        cmocka_unit_test(a_file_that_multiplies_itself_is_refused),
        cmocka_unit_test(a_file_over_a_mebibyte_is_too_big),
        cmocka_unit_test(slips_in_flags_and_environment_are_named),
        cmocka_unit_test(what_is_shown_reads_back_the_same),
        cmocka_unit_test(explain_knows_keys_sections_and_items),
        cmocka_unit_test(a_model_is_cached_as_the_node_unless_it_says_so),
        cmocka_unit_test(unreloadable_names_what_needs_a_restart),
        cmocka_unit_test(additions_make_a_new_snapshot_that_outlives_the_old),
        cmocka_unit_test(loading_survives_any_oom),
        cmocka_unit_test(committed_pages_are_current),
        cmocka_unit_test(the_sample_is_valid_both_ways),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
