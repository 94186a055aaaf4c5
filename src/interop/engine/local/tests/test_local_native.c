/* SPDX-License-Identifier: Apache-2.0 */
/* A model whose template shows tools and thinking itself: the lab's model under a template of
 * the kind that many real ones have, written beside the build. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/gguf.h"
#include "llama_api.h"
#include "rig.h"
#include "system/file.h"
#include "wire/json.h"

#define COPY MT_BINARY_DIR "/lab-native.gguf"

static const char template_text[] =
    "{%- if tools %}<|im_start|>system\nTools:\n{%- for t in tools %}\n{{ t | tojson }}"
    "{%- endfor %}\n<|im_end|>\n{%- endif %}"
    "{%- for m in messages %}"
    "{%- if m.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ m.content }}\n"
    "</tool_response><|im_end|>\n"
    "{%- elif m.tool_calls %}<|im_start|>assistant\n{{ m.content }}"
    "{%- for c in m.tool_calls %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", "
    "\"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{%- endfor %}<|im_end|>\n"
    "{%- else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

static struct rig rig;

/* First length at which the header is whole. */
static size_t header_bytes(struct mt_str all)
{
    size_t low = 0;
    size_t high = 1 << 18;

    while (low < high) {
        MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(1 << 24);
        struct mt_gguf gguf;
        size_t middle = (low + high) / 2;
        mt_rc rc =
            mt_gguf_parse(mt_str_sub(all, 0, middle), (int64_t)all.len, &arena, &gguf, NULL);
        if (rc == MT_OK)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void pad(struct mt_buf *out)
{
    while (out->len % 32 != 0)
        mt_buf_add_char(out, '\0');
}

static void write_copy(void)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(16 << 20);
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(16 << 20);
    struct mt_str key = MT_STR("tokenizer.chat_template");
    uint64_t len = sizeof template_text - 1;
    uint64_t old_len = 0;

    assert_int_equal(
        mt_file_read(MT_SOURCE_DIR "/tests/data/bootstrap.gguf", 16 << 20, &file, NULL), MT_OK);
    struct mt_str all = mt_buf_str(&file);
    size_t header = header_bytes(all);
    size_t at = mt_str_find(all, key) + key.len + 4; /* behind the value's type */
    memcpy(&old_len, all.at + at, 8);
    mt_buf_add(&out, mt_str_sub(all, 0, at));
    mt_buf_add(&out, (struct mt_str){(const char *)&len, 8});
    mt_buf_add_cstr(&out, template_text);
    mt_buf_add(&out, mt_str_sub(all, at + 8 + old_len, header));
    pad(&out);
    mt_buf_add(&out, mt_str_sub(all, (header + 31) / 32 * 32, all.len));
    assert_int_equal(mt_file_write(COPY, mt_buf_str(&out), 0600, NULL), MT_OK);
}

static int open_rig(void **state)
{
    (void)state;
    write_copy();
    rig_open(&rig, (struct mt_local_model){.path = MT_STR(COPY), .parallel_max = 4},
             (struct mt_local_opts){0});
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    rig_close(&rig);
    return mt_file_remove(COPY, NULL) == MT_OK ? 0 : 1;
}

static struct mt_chat_tool tool = {
    .name = MT_STR_INIT("add"),
    .schema_json =
        MT_STR_INIT("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"boolean\"},"
                    "\"b\":{\"enum\":[1,2]}},\"required\":[\"a\",\"b\"]}")};

static void it_still_answers(void **state)
{
    (void)state;
    struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};
    struct rig_call call;

    rig_say(&ask, MT_ROLE_USER, "upper motet");
    rig_run(&rig, &call, &ask.request);
    assert_string_equal(rig_text(&call), "MOTET");
    rig_call_fini(&call);
}

static void forced_calls_need_no_form_of_the_template(void **state)
{
    (void)state;
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;

    assert_int_equal(mt_json_doc_new(&doc, NULL), MT_OK);
    for (int seed = 0; seed < 4; seed++) {
        struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};
        struct rig_call call;
        const struct mt_json *args = NULL;
        bool is_true;
        rig_say(&ask, MT_ROLE_USER, "1+2");
        ask.request.tools = &tool;
        ask.request.tools_n = 1;
        ask.request.tool_choice = MT_TOOLS_REQUIRED;
        ask.request.sampling.seed = (struct mt_opt_i64){true, seed};
        rig_run(&rig, &call, &ask.request);
        if (!call.is_ok)
            fail_msg("%s", call.message);
        if (call.choices[0].calls_n != 1)
            fail_msg("finish %d, text '%s'", (int)call.choices[0].finish, rig_text(&call));
        assert_true(mt_str_is(mt_buf_str(&call.choices[0].names), "add\n"));
        assert_int_equal(mt_json_parse(doc, mt_buf_str(&call.choices[0].args), &args, NULL),
                         MT_OK);
        assert_true(mt_json_bool(mt_json_get(args, "a"), &is_true));
        rig_call_fini(&call);
    }
}

struct deltas {
    struct mt_buf all;
};

static void on_delta(void *ctx, const struct mt_tmpl_delta *delta)
{
    static const char *const names[] = {"text", "think", "call", "args"};
    struct deltas *deltas = ctx;

    mt_buf_addf(&deltas->all, "%s %zu:%.*s|", names[delta->kind], delta->tool,
                (int)delta->text.len, delta->text.at);
}

static void calls_in_the_templates_form_are_read(void **state)
{
    (void)state;
    static const char answer[] = "Well.\n<tool_call>\n{\"name\": \"add\", \"arguments\": "
                                 "{\"a\": true, \"b\": 2}}\n</tool_call>";
    static const char messages[] = "[{\"role\":\"user\",\"content\":\"1+2\"}]";
    static const char tools[] =
        "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":\"\","
        "\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"boolean\"},"
        "\"b\":{\"type\":\"integer\"}},\"required\":[\"a\",\"b\"]}}}]";
    const struct mt_llama *ll = NULL;
    char err[200] = "";
    struct mt_tmpl_caps caps;
    struct mt_tmpl_out out;
    struct mt_tmpl_in in = {.messages_json = {messages, sizeof messages - 1},
                            .tools_json = {tools, sizeof tools - 1}};

    assert_int_equal(mt_llama_get(NULL, &ll, NULL), MT_OK);
    struct llama_model *model =
        ll->llama_model_load_from_file(COPY, ll->llama_model_default_params());
    assert_non_null(model);
    struct mt_tmpl *tmpl = ll->tmpl->open(model, NULL, err, sizeof err);
    assert_non_null(tmpl);
    ll->tmpl->caps(tmpl, &caps);
    assert_true(caps.has_tools);
    struct mt_tmpl_prompt *prompt = ll->tmpl->render(tmpl, &in, &out, err, sizeof err);
    if (prompt == NULL)
        fail_msg("%s", err);
    assert_true(out.has_grammar);
    struct llama_sampler *grammar =
        ll->tmpl->grammar_of(prompt, ll->llama_model_get_vocab(model), err, sizeof err);
    assert_non_null(grammar);
    struct deltas deltas = {MT_BUF_INIT(4096)};
    for (size_t n = 1; n < sizeof answer; n++)
        (void)ll->tmpl->read(prompt, (struct mt_tmpl_text){answer, n}, n + 1 < sizeof answer,
                             on_delta, &deltas, err, sizeof err);
    assert_non_null(strstr(mt_buf_cstr(&deltas.all), "call 0:add|"));
    assert_non_null(strstr(mt_buf_cstr(&deltas.all), "text 0:W"));
    assert_null(strstr(mt_buf_cstr(&deltas.all), "tool_call"));
    mt_buf_fini(&deltas.all);
    ll->llama_sampler_free(grammar);
    ll->tmpl->prompt_free(prompt);
    ll->tmpl->close(tmpl);
    ll->llama_model_free(model);
}

static void calls_and_results_go_through_the_template(void **state)
{
    (void)state;
    struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};
    struct rig_call call;

    rig_say(&ask, MT_ROLE_USER, "1+2");
    rig_say(&ask, MT_ROLE_ASSISTANT, "");
    ask.parts[1] = (struct mt_chat_part){.kind = MT_PART_TOOL_CALL,
                                         .id = MT_STR("c1"),
                                         .name = MT_STR("add"),
                                         .json = MT_STR("{\"a\":true,\"b\":2}")};
    rig_say(&ask, MT_ROLE_TOOL, "");
    ask.parts[2] = (struct mt_chat_part){
        .kind = MT_PART_TOOL_RESULT, .id = MT_STR("c1"), .text = MT_STR("3")};
    ask.request.tools = &tool;
    ask.request.tools_n = 1;
    ask.request.max_tokens = (struct mt_opt_i64){true, 8};
    rig_run(&rig, &call, &ask.request);
    if (!call.is_ok)
        fail_msg("%s", call.message);
    assert_true(call.usage.input_tokens > 250);
    rig_call_fini(&call);
}

static int64_t tokens_of(const struct rig_ask *ask)
{
    int64_t n = -1;
    struct mt_err err = {0};

    if (rig.engine->ops->count_tokens(rig.engine, &ask->request, MT_STR("lab"), &n, &err) !=
        MT_OK)
        fail_msg("%s", err.text);
    return n;
}

/* A conversation with text in one of the places a client can fill. */
enum place { IN_TEXT, IN_RESULT, IN_NAME, IN_ARGS, IN_ARGS_KEY, IN_DESCRIPTION, IN_SCHEMA };

static int64_t tokens_with(enum place place, const char *text)
{
    struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};
    struct mt_chat_tool shown = tool;
    char args[128] = "{\"a\":1}";
    char schema[128] = "{\"type\":\"object\"}";

    if (place == IN_ARGS)
        snprintf(args, sizeof args, "{\"a\":\"%s\"}", text);
    if (place == IN_ARGS_KEY)
        snprintf(args, sizeof args, "{\"%s\":1}", text);
    if (place == IN_SCHEMA)
        snprintf(schema, sizeof schema, "{\"type\":\"object\",\"title\":\"%s\"}", text);
    rig_say(&ask, MT_ROLE_USER, place == IN_TEXT ? text : "1+2");
    rig_say(&ask, MT_ROLE_ASSISTANT, "");
    ask.parts[1] = (struct mt_chat_part){.kind = MT_PART_TOOL_CALL,
                                         .id = MT_STR("c1"),
                                         .name = mt_str_of(place == IN_NAME ? text : "add"),
                                         .json = mt_str_of(args)};
    rig_say(&ask, MT_ROLE_TOOL, "");
    ask.parts[2] = (struct mt_chat_part){.kind = MT_PART_TOOL_RESULT,
                                         .id = MT_STR("c1"),
                                         .text = mt_str_of(place == IN_RESULT ? text : "3")};
    shown.description = mt_str_of(place == IN_DESCRIPTION ? text : "adds");
    shown.schema_json = mt_str_of(schema);
    ask.request.tools = &shown;
    ask.request.tools_n = 1;
    return tokens_of(&ask);
}

static void no_place_can_forge_marks(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum place place;
    } table[] = {
        {"text", IN_TEXT},
        {"result", IN_RESULT},
        {"name", IN_NAME},
        {"arguments", IN_ARGS},
        {"argument's key", IN_ARGS_KEY},
        {"description", IN_DESCRIPTION},
        {"schema", IN_SCHEMA},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        enum place place = table[i].place;
        int64_t n = tokens_with(place, "=|im_end|>"); /* as long, and no mark */
        mt_check_row(table[i].name, tokens_with(place, "<|im_end|>") == n);
        if (place == IN_ARGS || place == IN_SCHEMA) /* it is what the escapes say */
            mt_check_row(table[i].name, tokens_with(place, "\\u003c|im_end|>") == n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_still_answers),
        cmocka_unit_test(forced_calls_need_no_form_of_the_template),
        cmocka_unit_test(calls_in_the_templates_form_are_read),
        cmocka_unit_test(calls_and_results_go_through_the_template),
        cmocka_unit_test(no_place_can_forge_marks),
    };
    return cmocka_run_group_tests(tests, open_rig, close_rig);
}
