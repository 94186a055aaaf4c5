/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "client.h"
#include "prompt.h"
#include "system/file.h"

static char home[] = "/tmp/motet-cli-XXXXXX";
static char home_entry[64];

static int make_home(void **state)
{
    (void)state;
    if (mkdtemp(home) == NULL || setenv("MOTET_HOME", home, 1) != 0)
        return -1;
    (void)snprintf(home_entry, sizeof home_entry, "MOTET_HOME=%s", home);
    return 0;
}

static int remove_home(void **state)
{
    (void)state;
    return rmdir(home);
}

/* One run of the program, with what it printed. */
struct ran {
    int exit_code;
    char *out, *err;
};

static struct ran run(const char *input, const char *const *words)
{
    struct ran ran = {0};
    size_t out_n, err_n;
    char *environment[] = {home_entry, (char *)(uintptr_t) "MOTET_HOST=127.0.0.1:1", NULL};
    char *argv[16] = {(char *)(uintptr_t) "motet"};
    int argc = 1;
    FILE *in = tmpfile();
    struct cli cli = {.in = in,
                      .out = open_memstream(&ran.out, &out_n),
                      .err = open_memstream(&ran.err, &err_n),
                      .environment = environment,
                      .program = "motet"};

    assert_non_null(in);
    assert_true(fputs(input, in) >= 0);
    rewind(in);
    for (; *words != NULL; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    ran.exit_code = cli_main(&cli, argc, argv);
    (void)fclose(in);
    (void)fclose(cli.out);
    (void)fclose(cli.err);
    return ran;
}

#define RUN(...) run("", (const char *const[]){__VA_ARGS__, NULL})

static void ran_fini(struct ran *ran)
{
    free(ran->out); /* their heap */
    free(ran->err);
}

/* ------------------------------------------------------------------ words */

static void wrong_words_are_named_and_end_it(void **state)
{
    (void)state;
    static const struct {
        const char *words[6];
        const char *want;
    } rows[] = {
        {{"aks"}, "unknown command 'aks', did you mean 'ask'?"},
        {{"serve"}, "unknown command 'serve', did you mean 'up'?"},
        {{"frobnicate"}, "unknown command 'frobnicate' (see 'motet help')"},
        {{"ask", "--modle", "x"}, "ask: unknown option '--modle', did you mean '--model'?"},
        {{"ask", "--zzzzzzzzzzz"},
         "ask: unknown option '--zzzzzzzzzzz' (see 'motet help ask')"},
        {{"ask", "-q"}, "ask: unknown option '-q'"},
        {{"ask", "--model"}, "ask: option '--model' needs a value"},
        {{"ask", "--json=yes"}, "ask: option '--json' takes no value"},
        {{"ask", "--stream", "--no-stream", "x"}, "ask: --stream and --no-stream exclude"},
        {{"ask"}, "ask: expected a prompt"},
        {{"show"}, "show: expected MODEL"},
        {{"show", "a", "b"}, "show: unexpected 'b'"},
        {{"ls", "a"}, "ls: unexpected 'a'"},
        {{"stop"}, "stop: expected either a model or --node"},
        {{"stop", "m", "--node"}, "stop: expected either a model or --node"},
        {{"up", "--lisen", "x"}, "up: unknown option '--lisen', did you mean '--listen'?"},
        {{"up", "--cache.ttk", "x"}, "did you mean '--cache.ttl'?"},
        {{"up", "--cache.ttl", "7"}, "--cache.ttl: expected a duration"},
        {{"up", "--listen", "0.0.0.0:1"}, "--listen: other machines could reach it"},
        {{"config", "sow"},
         "config: expected show, check, explain, sample or path, found 'sow'"},
        {{"config", "show", "x"}, "config: unexpected 'x'"},
        {{"config", "explain", "lisen"}, "unknown key 'lisen', did you mean 'listen'?"},
        {{"config", "check", "/no/such"}, "/no/such"},
        {{"key", "old"}, "key: expected new or list, found 'old'"},
        {{"key", "new"}, "key new: expected a NAME"},
        {{"key", "new", "a b"}, "key: expected a name of letters"},
        {{"usage", "--by", "moon"}, "usage: --by: expected model, key or day, found 'moon'"},
        {{"usage", "--days", "0"}, "usage: --days: expected 1 to 36500, found '0'"},
        {{"completion", "tcsh"}, "completion: expected bash, zsh or fish, found 'tcsh'"},
        {{"help", "nothing"}, "help: unknown command 'nothing'"},
        {{"train"}, "train: expected --recipe FILE, --job FILE, --card FILE or --explain"},
        {{"train", "-r", "a", "--card", "b"}, "train: expected --recipe FILE, --job FILE,"},
        {{"train", "-r", "a", "--job", "b"}, "train: expected --recipe FILE, --job FILE,"},
        {{"train", "--job", "/no/such.yaml"}, "/no/such.yaml"},
        {{"train", "--explain", "job.budgt"}, "unknown key 'budgt', did you mean 'budget'?"},
        {{"train", "-r", "/no/such.yaml"}, "/no/such.yaml"},
        {{"train", "-r", "a", "b"}, "train: unexpected 'b'"},
        {{"train", "-ra", "--fresh", "--resume"},
         "train: expected --resume or --fresh, not both"},
        {{"train", "-r", "a", "-t", "0"}, "train: --threads: expected 1 to 64, found '0'"},
        {{"train", "--card", "a", "-n", "x"}, "train: --items: expected 1 to 10000, found 'x'"},
        {{"train", "--explain", "train.stepz"}, "did you mean 'train.steps'?"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct ran ran = run("", rows[i].words);

        mt_check_row(rows[i].want, ran.exit_code != 0);
        if (strstr(ran.err, rows[i].want) == NULL)
            fail_msg("row '%s': '%s'", rows[i].want, ran.err);
        mt_check_row(rows[i].want, ran.out[0] == '\0'); /* no dump of help */
        mt_check_row(rows[i].want, strchr(ran.err, '\n')[1] == '\0');
        ran_fini(&ran);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void options_are_read_in_every_form(void **state)
{
    (void)state;
    char *words[] = {(char *)(uintptr_t) "-m",     (char *)(uintptr_t) "one",
                     (char *)(uintptr_t) "what",   (char *)(uintptr_t) "--system=be kind",
                     (char *)(uintptr_t) "--json", (char *)(uintptr_t) "-",
                     (char *)(uintptr_t) "-n5",    (char *)(uintptr_t) "-t=0.5",
                     (char *)(uintptr_t) "--",     (char *)(uintptr_t) "--model",
                     (char *)(uintptr_t) "-x"};
    struct cli_args args;

    assert_int_equal(cli_parse(cli_cmd_find("ask"), MT_ARRAY_LEN(words), words, &args, NULL),
                     MT_OK);
    assert_string_equal(cli_value(&args, "model"), "one");
    assert_string_equal(cli_value(&args, "system"), "be kind");
    assert_string_equal(cli_value(&args, "max-tokens"), "5");
    assert_string_equal(cli_value(&args, "temperature"), "0.5");
    assert_true(cli_has(&args, "json"));
    assert_false(cli_has(&args, "no-stream"));
    assert_int_equal(args.rest_n, 4);
    assert_string_equal(args.rest[0], "what");
    assert_string_equal(args.rest[2], "--model");
    cli_args_fini(&args);
    assert_int_equal(mt_alloc_live, 0);
}

static void keys_of_the_configuration_are_options_of_up(void **state)
{
    (void)state;
    char *words[] = {(char *)(uintptr_t) "--listen", (char *)(uintptr_t) "127.0.0.1:0",
                     (char *)(uintptr_t) "--cache.enabled",
                     (char *)(uintptr_t) "--cache.ttl=2h"};
    struct cli_args args;

    assert_int_equal(cli_parse(cli_cmd_find("up"), MT_ARRAY_LEN(words), words, &args, NULL),
                     MT_OK);
    assert_int_equal(args.flags_n, 3);
    assert_string_equal(args.flags[0].key, "listen");
    assert_string_equal(args.flags[1].value, "true");
    assert_string_equal(args.flags[2].value, "2h");
    cli_args_fini(&args);
}

static void parsing_survives_any_oom(void **state)
{
    (void)state;
    char *words[] = {(char *)(uintptr_t) "a", (char *)(uintptr_t) "b"};
    struct cli_args args;

    mt_alloc_fail_after = 0;
    assert_int_equal(cli_parse(cli_cmd_find("ask"), 2, words, &args, NULL), MT_E_NOMEM);
    mt_alloc_fail_after = -1;
    assert_int_equal(mt_alloc_live, 0);
}

/* ------------------------------------------------------------------ help */

static void every_command_explains_itself(void **state)
{
    (void)state;
    for (size_t i = 0; cli_cmds[i] != NULL; i++) {
        const struct cli_cmd *cmd = cli_cmds[i];
        struct ran help = RUN("help", cmd->name);
        struct ran flag = RUN(cmd->name, "--help");
        char usage[64];

        (void)snprintf(usage, sizeof usage, "usage: motet %s", cmd->name);
        mt_check_row(cmd->name, help.exit_code == 0 && flag.exit_code == 0);
        mt_check_row(cmd->name, strcmp(help.out, flag.out) == 0);
        mt_check_row(cmd->name, strstr(help.out, usage) != NULL);
        mt_check_row(cmd->name, strstr(help.out, "examples:\n  ") != NULL);
        mt_check_row(cmd->name, cmd->rest_min <= cmd->rest_max);
        mt_check_row(cmd->name, cmd->summary[strlen(cmd->summary) - 1] != '.');
        for (const struct cli_opt *opt = cmd->opts; opt != NULL && opt->name != NULL; opt++) {
            mt_check_row(opt->name, strstr(help.out, opt->help) != NULL);
            mt_check_row(opt->name, opt - cmd->opts < CLI_OPTS_MAX);
        }
        ran_fini(&help);
        ran_fini(&flag);
    }
}

static void help_alone_lists_every_command(void **state)
{
    (void)state;
    struct ran ran = run("", (const char *const[]){NULL});

    assert_int_equal(ran.exit_code, 0);
    for (size_t i = 0; cli_cmds[i] != NULL; i++)
        mt_check_row(cli_cmds[i]->name, strstr(ran.out, cli_cmds[i]->summary) != NULL);
    ran_fini(&ran);
}

static void completion_knows_every_command_and_option(void **state)
{
    (void)state;
    static const char *const shells[] = {"bash", "zsh", "fish"};

    for (size_t i = 0; i < MT_ARRAY_LEN(shells); i++) {
        struct ran ran = RUN("completion", shells[i]);
        mt_check_row(shells[i], ran.exit_code == 0);
        for (size_t j = 0; cli_cmds[j] != NULL; j++)
            mt_check_row(shells[i], strstr(ran.out, cli_cmds[j]->name) != NULL);
        mt_check_row(shells[i], strstr(ran.out, "max-tokens") != NULL);
        ran_fini(&ran);
    }
}

static void the_manual_page_is_current(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf kept = MT_BUF_INIT(CLI_TEXT_MAX);
    struct ran ran = RUN("help", "--man");

    assert_int_equal(mt_file_read(MT_SOURCE_DIR "/docs/motet.1", CLI_TEXT_MAX, &kept, NULL),
                     MT_OK);
    assert_string_equal(ran.out,
                        mt_buf_cstr(&kept)); /* else: motet help --man > docs/motet.1 */
    ran_fini(&ran);
}

static void the_page_of_the_api_is_current(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf kept = MT_BUF_INIT(CLI_TEXT_MAX);
    struct ran ran = RUN("routes", "--markdown");

    assert_int_equal(mt_file_read(MT_SOURCE_DIR "/docs/api.md", CLI_TEXT_MAX, &kept, NULL),
                     MT_OK);
    if (!mt_str_ends(mt_buf_str(&kept), mt_str_of(ran.out)))
        fail_msg("docs/api.md does not end with:\n%s", ran.out);
    ran_fini(&ran);
}

/* ------------------------------------------------------------------ without a node */

static void without_a_node_it_says_what_to_type(void **state)
{
    (void)state;
    static const char *const rows[][4] = {
        {"ls"},
        {"ps"},
        {"show", "m"},
        {"stop", "m"},
        {"stop", "--node"},
        {"run", "m", "hello"},
        {"ask", "hello"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct ran ran = run("", rows[i]);
        mt_check_row(rows[i][0], ran.exit_code == mt_rc_exit_code(MT_E_UPSTREAM));
        if (strcmp(ran.err,
                   "motet: no node answers at http://127.0.0.1:1; start one with: motet "
                   "up\n") != 0)
            fail_msg("row '%s': '%s'", rows[i][0], ran.err);
        ran_fini(&ran);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void without_accounts_it_says_so(void **state)
{
    (void)state;
    static const char *const rows[] = {"explain", "usage"};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct ran ran = RUN(rows[i]);
        mt_check_row(rows[i], ran.exit_code == mt_rc_exit_code(MT_E_NOTFOUND));
        mt_check_row(rows[i], strstr(ran.err, "no node has run here yet (motet up)") != NULL);
        ran_fini(&ran);
    }
}

static void data_goes_to_stdout_and_talk_to_stderr(void **state)
{
    (void)state;
    static const struct {
        const char *words[5];
        const char *out, *err; /* what each begins with */
    } rows[] = {
        {{"version"}, "motet ", ""},
        {{"version", "--json"}, "{\"version\":\"", ""},
        {{"key", "new", "ada"}, "mk-", "motet: this is the only time"},
        {{"key", "new", "ada", "--json"}, "{\"name\":\"ada\",\"key\":\"mk-", ""},
        {{"key", "list"}, "", "motet: no keys are set"},
        {{"key", "list", "--json"}, "[]\n", ""},
        {{"config", "show"}, "listen: 127.0.0.1:7700\n", ""},
        {{"config", "show", "--json"}, "{\"listen\":\"127.0.0.1:7700\"", ""},
        {{"config", "show", "--origin"}, "listen: 127.0.0.1:7700  # default\n", ""},
        {{"config", "sample"}, "# motet.yaml", ""},
        {{"config", "explain", "cache.ttl"}, "cache.ttl\n", ""},
        {{"config", "explain", "--markdown"}, "# Configuration\n", ""},
        {{"train", "--explain", "train.rate_max"}, "train.rate_max\n", ""},
        {{"train", "--markdown"}, "# Recipes\n", ""},
        {{"train", "--explain", "job.budget.time"}, "budget.time\n", ""},
        {{"train", "--explain", "job"}, "name ", ""},
        {{"train", "--markdown", "job"}, "# Jobs\n", ""},
        {{"config", "check"}, "", "motet: there is no file, and the defaults are fine\n"},
        {{"config", "path"}, "/tmp/motet-cli-", "motet: it is not there"},
        {{"routes"}, "POST   /v1/chat/completions", ""},
        {{"routes", "--json"}, "[{\"method\":\"POST\",\"path\":\"/v1/chat", ""},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct ran ran = run("", rows[i].words);
        mt_check_row(rows[i].out, ran.exit_code == 0);
        if (strstr(ran.out, rows[i].out) != ran.out || strstr(ran.err, rows[i].err) != ran.err)
            fail_msg("row '%s': '%s' '%s'", rows[i].out, ran.out, ran.err);
        mt_check_row(rows[i].out, rows[i].err[0] != '\0' || ran.err[0] == '\0');
        ran_fini(&ran);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void the_node_is_where_the_host_says(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {
        {"localhost", "http://localhost:7700"},
        {"localhost:8000", "http://localhost:8000"},
        {"http://shed:1", "http://shed:1"},
        {"https://shed", "https://shed:7700"},
        {"http://shed:1/", "http://shed:1"},
        {"0.0.0.0:7", "http://127.0.0.1:7"},
        {"[::1]:7", "http://[::1]:7"},
        {"http://[::]:7", "http://[::1]:7"},
        {"", NULL},
        {":7", NULL},
        {"shed:", NULL},
        {"shed:0", NULL},
        {"shed:70000", NULL},
        {"shed:7/v1", NULL},
        {"u@shed", NULL},
        {"a b", NULL},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        char url[CLIENT_URL_MAX] = "";
        mt_rc rc = client_url(mt_str_of(rows[i].text), url, NULL);

        mt_check_row(rows[i].text, rc == (rows[i].want != NULL ? MT_OK : MT_E_INVALID));
        mt_check_row(rows[i].text, rows[i].want == NULL || strcmp(url, rows[i].want) == 0);
    }
}

static void a_prompt_is_made_of_words_and_a_pipe(void **state)
{
    (void)state;
    static const struct {
        const char *words[3];
        size_t n;
        const char *input, *want;
    } rows[] = {
        {{"upper", "motet"}, 2, "", "upper motet"},
        {{"Review:"}, 1, "line 1\nline 2\n\n", "Review:\n\nline 1\nline 2"},
        {{0}, 0, "only this\r\n", "only this"},
        {{0}, 0, "\n", ""},
        {{0}, 0, "\xff", NULL},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(1 << 20);
        FILE *in = tmpfile();
        struct cli cli = {.in = in};

        assert_non_null(in);
        assert_true(fputs(rows[i].input, in) >= 0);
        rewind(in);
        mt_rc rc = prompt_read(&cli, rows[i].words, rows[i].n, &out, NULL);
        mt_check_row(rows[i].input, rc == (rows[i].want != NULL ? MT_OK : MT_E_INVALID));
        mt_check_row(rows[i].input,
                     rows[i].want == NULL || strcmp(mt_buf_cstr(&out), rows[i].want) == 0);
        (void)fclose(in);
    }
}

/* ------------------------------------------------------------------ numbers and tables */

static void numbers_are_short(void **state)
{
    (void)state;
    static const struct {
        void (*add)(struct mt_buf *out, int64_t value);
        int64_t value;
        const char *want;
    } rows[] = {
        {cli_add_size, 999, "999 B"},        {cli_add_size, 1500, "1.5 kB"},
        {cli_add_size, 775000, "775 kB"},    {cli_add_size, 4200000000, "4.2 GB"},
        {cli_add_count, 9999, "9999"},       {cli_add_count, 12300, "12.3k"},
        {cli_add_count, 2000000, "2.0M"},    {cli_add_money, 0, "$0"},
        {cli_add_money, 50, "$0.000000050"}, {cli_add_money, 1500000000, "$1.5000"},
        {cli_add_us, 900, "900 us"},         {cli_add_us, 1500, "1.5 ms"},
        {cli_add_us, 2500000, "2.50 s"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(64);
        rows[i].add(&out, rows[i].value);
        mt_check_row(rows[i].want, strcmp(mt_buf_cstr(&out), rows[i].want) == 0);
    }
}

static void tables_align_and_disarm_what_they_show(void **state)
{
    (void)state;
    MT_CLEANUP(cli_table_fini) struct cli_table table;
    char *text = NULL;
    size_t n;
    struct cli cli = {.out = open_memstream(&text, &n)};

    cli_table_init(&table, 3, 1u << 1);
    cli_cell_cstr(&table, "NAME");
    cli_cell_cstr(&table, "N");
    cli_cell_cstr(&table, "WHAT");
    cli_cell_cstr(&table, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    cli_cell_cstr(&table, "100");
    cli_cell_cstr(&table, "\033[2J");
    assert_int_equal(cli_table_put(&cli, &table, NULL), MT_OK);
    (void)fclose(cli.out);
    assert_string_equal(text, "NAME      N   WHAT\n"
                              "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9   100   ?[2J\n");
    free(text); /* their heap */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_words_are_named_and_end_it),
        cmocka_unit_test(options_are_read_in_every_form),
        cmocka_unit_test(keys_of_the_configuration_are_options_of_up),
        cmocka_unit_test(parsing_survives_any_oom),
        cmocka_unit_test(every_command_explains_itself),
        cmocka_unit_test(help_alone_lists_every_command),
        cmocka_unit_test(completion_knows_every_command_and_option),
        cmocka_unit_test(the_manual_page_is_current),
        cmocka_unit_test(the_page_of_the_api_is_current),
        cmocka_unit_test(without_a_node_it_says_what_to_type),
        cmocka_unit_test(without_accounts_it_says_so),
        cmocka_unit_test(data_goes_to_stdout_and_talk_to_stderr),
        cmocka_unit_test(the_node_is_where_the_host_says),
        cmocka_unit_test(a_prompt_is_made_of_words_and_a_pipe),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(tables_align_and_disarm_what_they_show),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
