/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of each feature in each upstream dialect: carried, carried with a warning, or
 * refused by name; never dropped in silence. docs/dialects.md holds the table this prints. */
#include "chat_fixture.h"

#include <stdlib.h>

enum { PAGE_MAX = 64 * 1024, BODY_MAX = 4096 };

static const struct column {
    const char *name;
    enum mt_dialect dialect;
} columns[] = {
    {"openai", MT_DIALECT_OPENAI_CHAT},  {"openai-responses", MT_DIALECT_OPENAI_RESPONSES},
    {"anthropic", MT_DIALECT_ANTHROPIC}, {"gemini", MT_DIALECT_GEMINI},
    {"ollama", MT_DIALECT_OLLAMA_CHAT},
};

#define USER(parts) "\"messages\":[{\"role\":\"user\",\"content\":[" parts "]}]"
#define HELLO       "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define SCHEMA      "{\"type\":\"object\",\"properties\":{\"zz7\":{\"type\":\"string\"}}}"
#define TOOL                                                                           \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"zz7\",\"parameters\":" \
    "{\"type\":\"object\",\"properties\":{}}}}]"
#define TURNS(call, result)                                                                   \
    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"                         \
    "\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","                     \
    "\"function\":" call "}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":" result \
    "}]"

/* mark: text that the upstream's body must hold when the feature is carried; NULL: none can be
 * named, the dialects write it in words of their own. */
static const struct feature {
    const char *name;
    enum mt_dialect from;
    const char *body; /* without the braces around it */
    const char *mark;
} features[] = {
    {"text", MT_DIALECT_OPENAI_CHAT, USER("{\"type\":\"text\",\"text\":\"zz7\"}"), "zz7"},
    {"system message", MT_DIALECT_OPENAI_CHAT,
     "\"messages\":[{\"role\":\"system\",\"content\":\"zz7\"},{\"role\":\"user\",\"content\":"
     "\"hi\"}]",
     "zz7"},
    {"system message in the middle", MT_DIALECT_OPENAI_CHAT,
     "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"system\",\"content\":"
     "\"zz7\"},{\"role\":\"user\",\"content\":\"go\"}]",
     "zz7"},
    {"name of a message", MT_DIALECT_OPENAI_CHAT,
     "\"messages\":[{\"role\":\"user\",\"name\":\"zz7\",\"content\":\"hi\"}]", "zz7"},
    {"image, bytes", MT_DIALECT_OPENAI_CHAT,
     USER(
         "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,enp6Nw==\"}}"),
     "enp6Nw=="},
    {"image, URL", MT_DIALECT_OPENAI_CHAT,
     USER("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.org/zz7.png\"}}"), "zz7"},
    {"audio, bytes", MT_DIALECT_OPENAI_CHAT,
     USER("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"enp6Nw==\",\"format\":"
          "\"wav\"}}"),
     "enp6Nw=="},
    {"PDF, bytes", MT_DIALECT_OPENAI_CHAT,
     USER("{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
          "\"data:application/pdf;base64,enp6Nw==\"}}"),
     "enp6Nw=="},
    {"PDF, URL", MT_DIALECT_ANTHROPIC,
     "\"max_tokens\":9," USER("{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":"
                              "\"https://e.org/zz7.pdf\"}}"),
     "zz7"},
    {"file of a provider", MT_DIALECT_OPENAI_CHAT,
     USER("{\"type\":\"file\",\"file\":{\"file_id\":\"zz7\"}}"), "zz7"},
    {"tools", MT_DIALECT_OPENAI_CHAT, HELLO "," TOOL, "zz7"},
    {"tool_choice: required", MT_DIALECT_OPENAI_CHAT,
     "\"max_tokens\":9," HELLO "," TOOL ",\"tool_choice\":\"required\"", NULL},
    {"tool_choice: one by name", MT_DIALECT_OPENAI_CHAT,
     HELLO "," TOOL ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"zz7\"}}",
     "zz7"},
    {"parallel_tool_calls: false", MT_DIALECT_OPENAI_CHAT,
     HELLO "," TOOL ",\"parallel_tool_calls\":false", "parallel_tool"},
    {"tool call and result", MT_DIALECT_OPENAI_CHAT,
     TURNS("{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}", "\"zz7\""), "zz7"},
    {"image in a tool result", MT_DIALECT_ANTHROPIC,
     "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
     "\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":"
     "{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c1\","
     "\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
     "\"image/png\",\"data\":\"enp6Nw==\"}}]}]}]",
     "enp6Nw=="},
    {"failed tool result", MT_DIALECT_ANTHROPIC,
     "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
     "\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":"
     "{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c1\","
     "\"is_error\":true,\"content\":\"zz7\"}]}]",
     "zz7"},
    {"tool run by the provider", MT_DIALECT_ANTHROPIC,
     "\"max_tokens\":9," HELLO ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":"
     "\"web_search\"}]",
     "web_search"},
    {"JSON object output", MT_DIALECT_OPENAI_CHAT,
     HELLO ",\"response_format\":{\"type\":\"json_object\"}", "json"},
    {"JSON schema output", MT_DIALECT_OPENAI_CHAT,
     HELLO ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
           "\"schema\":" SCHEMA "}}",
     "zz7"},
    {"n (several answers)", MT_DIALECT_OPENAI_CHAT, HELLO ",\"n\":3", "3"},
    {"logprobs", MT_DIALECT_OPENAI_CHAT, HELLO ",\"logprobs\":true,\"top_logprobs\":3", "3"},
    {"temperature", MT_DIALECT_OPENAI_CHAT, HELLO ",\"temperature\":0.625", "0.625"},
    {"temperature above 1", MT_DIALECT_OPENAI_CHAT, HELLO ",\"temperature\":1.625", "1.625"},
    {"top_p", MT_DIALECT_OPENAI_CHAT, HELLO ",\"top_p\":0.625", "0.625"},
    {"top_k", MT_DIALECT_ANTHROPIC, "\"max_tokens\":9," HELLO ",\"top_k\":77", "77"},
    {"min_p", MT_DIALECT_OPENAI_CHAT, HELLO ",\"min_p\":0.625", "0.625"},
    {"frequency_penalty", MT_DIALECT_OPENAI_CHAT, HELLO ",\"frequency_penalty\":0.625",
     "0.625"},
    {"presence_penalty", MT_DIALECT_OPENAI_CHAT, HELLO ",\"presence_penalty\":0.625", "0.625"},
    {"repeat_penalty", MT_DIALECT_OLLAMA_CHAT, HELLO ",\"options\":{\"repeat_penalty\":1.125}",
     "1.125"},
    {"logit_bias", MT_DIALECT_OPENAI_CHAT, HELLO ",\"logit_bias\":{\"77\":5}", "77"},
    {"seed", MT_DIALECT_OPENAI_CHAT, HELLO ",\"seed\":777", "777"},
    {"stop", MT_DIALECT_OPENAI_CHAT, HELLO ",\"stop\":[\"zz7\"]", "zz7"},
    {"max_tokens", MT_DIALECT_OPENAI_CHAT, HELLO ",\"max_tokens\":777", "777"},
    {"no max_tokens", MT_DIALECT_OPENAI_CHAT, HELLO, NULL},
    {"reasoning effort", MT_DIALECT_OPENAI_CHAT,
     "\"max_tokens\":20000," HELLO ",\"reasoning_effort\":\"high\"", NULL},
    {"reasoning budget", MT_DIALECT_ANTHROPIC,
     "\"max_tokens\":9000," HELLO ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}",
     NULL},
    {"reasoning of earlier turns", MT_DIALECT_ANTHROPIC,
     "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
     "\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"zz7\",\"signature\":"
     "\"s\"},{\"type\":\"text\",\"text\":\"a\"}]},{\"role\":\"user\",\"content\":\"go\"}]",
     "zz7"},
    {"cache_control", MT_DIALECT_ANTHROPIC,
     "\"max_tokens\":9," USER("{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":"
                              "\"ephemeral\"}}"),
     "ephemeral"},
    {"end user", MT_DIALECT_OPENAI_CHAT, HELLO ",\"user\":\"zz7\"", "zz7"},
    {"metadata", MT_DIALECT_OPENAI_CHAT, HELLO ",\"metadata\":{\"zz7\":\"a\"}", "zz7"},
    {"service_tier", MT_DIALECT_OPENAI_CHAT, HELLO ",\"service_tier\":\"flex\"", "flex"},
    {"keep_alive", MT_DIALECT_OLLAMA_CHAT, HELLO ",\"keep_alive\":777", "777"},
    {"plain completion", MT_DIALECT_OPENAI_COMPLETIONS, "\"prompt\":\"zz7\"", "zz7"},
    {"completion with a suffix", MT_DIALECT_OPENAI_COMPLETIONS,
     "\"prompt\":\"a\",\"suffix\":\"zz7\"", "zz7"},
    {"a field nobody knows", MT_DIALECT_OPENAI_CHAT, HELLO ",\"frobnicate\":\"zz7\"", "zz7"},
};

/* A cell of a Markdown table, and of the list below it. */
struct page {
    struct mt_buf table, said;
    size_t silent_n;
};

static const char *outcome(struct fixture *f, const struct feature *feature,
                           const struct mt_chat_request *request, const struct column *column)
{
    mt_buf_clear(&f->notes.text);
    mt_rc rc = fixture_encode(f, mt_chat_codec(column->dialect), request, "target-model");

    if (rc == MT_E_UNSUPPORTED || rc == MT_E_INVALID)
        return "refused";
    assert_int_equal(rc, MT_OK);
    if (f->notes.text.len > 0)
        return "warned";
    if (feature->mark == NULL ||
        mt_str_find(mt_buf_str(&f->out), mt_str_of(feature->mark)) < f->out.len)
        return "yes";
    return "DROPPED";
}

static void fill_row(struct fixture *f, const struct feature *feature, struct page *page)
{
    struct mt_chat_request request;
    char body[BODY_MAX];

    /* Anthropic wants a limit; the row of its own says what happens without one. */
    bool needs_limit = feature->mark != NULL && strstr(feature->body, "max_tokens") == NULL &&
                       feature->from == MT_DIALECT_OPENAI_CHAT;
    (void)snprintf(body, sizeof body, "{\"model\":\"m\",%s%s}",
                   needs_limit ? "\"max_tokens\":9," : "", feature->body);
    if (fixture_decode(f, mt_chat_codec(feature->from), body, &request) != MT_OK)
        fail_msg("%s: %s", feature->name, f->err.text);
    mt_buf_addf(&page->table, "| %s |", feature->name);
    for (size_t i = 0; i < MT_ARRAY_LEN(columns); i++) {
        const char *what = outcome(f, feature, &request, &columns[i]);
        mt_buf_addf(&page->table, " %s |", what);
        if (what[0] == 'r')
            mt_buf_addf(&page->said, "* %s -> %s, refused: `%s`\n", feature->name,
                        columns[i].name, f->err.text);
        if (what[0] == 'w')
            mt_buf_addf(&page->said, "* %s -> %s: `%s`\n", feature->name, columns[i].name,
                        mt_buf_cstr(&f->notes.text));
        if (what[0] == 'D') {
            page->silent_n++;
            print_error("%s is dropped in silence on the way to %s: %s\n", feature->name,
                        columns[i].name, mt_buf_cstr(&f->out));
        }
    }
    mt_buf_add_char(&page->table, '\n');
}

static void write_page(struct page *page)
{
    struct fixture f;

    fixture_init(&f);
    mt_buf_add_cstr(&page->table, "| |");
    for (size_t i = 0; i < MT_ARRAY_LEN(columns); i++)
        mt_buf_addf(&page->table, " %s |", columns[i].name);
    mt_buf_add_cstr(&page->table, "\n|---|");
    for (size_t i = 0; i < MT_ARRAY_LEN(columns); i++)
        mt_buf_add_cstr(&page->table, "---|");
    mt_buf_add_char(&page->table, '\n');
    for (size_t i = 0; i < MT_ARRAY_LEN(features); i++)
        fill_row(&f, &features[i], page);
    mt_buf_add_cstr(&page->table, "\n## What is said\n\n");
    mt_buf_add(&page->table, mt_buf_str(&page->said));
    fixture_fini(&f);
}

/* Read by hand: chat has no door to the file system. */
static void read_kept(struct mt_buf *out)
{
    char piece[4096];
    FILE *file = fopen(MT_SOURCE_DIR "/docs/dialects.md", "r");
    size_t n;

    assert_non_null(file);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        mt_buf_add(out, (struct mt_str){piece, n});
    (void)fclose(file);
}

static void nothing_is_dropped_in_silence_and_the_page_says_so(void **state)
{
    (void)state;
    struct page page = {.silent_n = 0};
    struct mt_buf kept = MT_BUF_INIT(PAGE_MAX);

    mt_buf_init(&page.table, PAGE_MAX);
    mt_buf_init(&page.said, PAGE_MAX);
    write_page(&page);
    assert_int_equal(page.table.rc, MT_OK);
    if (getenv("MOTET_PRINT_DIALECTS") != NULL) /* to renew the page */
        (void)fputs(mt_buf_cstr(&page.table), stdout);
    assert_int_equal(page.silent_n, 0);
    read_kept(&kept);
    if (!mt_str_ends(mt_buf_str(&kept), mt_buf_str(&page.table)))
        fail_msg("docs/dialects.md does not end with:\n%s", mt_buf_cstr(&page.table));
    mt_buf_fini(&kept);
    mt_buf_fini(&page.table);
    mt_buf_fini(&page.said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_dropped_in_silence_and_the_page_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
