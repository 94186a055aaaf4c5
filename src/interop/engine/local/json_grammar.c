/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schema to GBNF. Every schema node becomes a rule "rN"; rules are written to the output
 * as they are finished, so a rule's body is built in a buffer of its own. References are
 * written last, each once. Invariant: a rule that is named is written before the end, or the
 * call fails. */
#include "json_grammar_priv.h"
#include "wire/json_writer.h"

const char *mt_schema__space(const struct mt_schema *g)
{
    return g->bounds->is_compact ? "" : " ws";
}

void mt_schema__repeat(struct mt_buf *out, unsigned min, unsigned max)
{
    if (max > 0)
        mt_buf_addf(out, "{%u,%u}", min, max);
    else if (min > 0)
        mt_buf_addf(out, "{%u,}", min);
    else
        mt_buf_add_char(out, '*');
}

void mt_schema__literal(struct mt_buf *out, struct mt_str text)
{
    mt_buf_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '"' || c == '\\')
            mt_buf_add_char(out, '\\');
        if (c == '\n' || c == '\r' || c == '\t')
            mt_buf_addf(out, "\\x%02X", (unsigned)c);
        else
            mt_buf_add_char(out, c);
    }
    mt_buf_add_char(out, '"');
}

unsigned mt_schema__free_depth(const struct mt_schema *g)
{
    return g->bounds->depth_max > 0 ? g->bounds->depth_max : MT_SCHEMA_DEPTH_DEFAULT;
}

mt_rc mt_schema__new_rule(struct mt_schema *g, unsigned *rule, struct mt_err *err)
{
    if (g->rules_n >= MT_SCHEMA_RULES_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "schema: more than %d parts", MT_SCHEMA_RULES_MAX);
    *rule = g->rules_n++;
    return MT_OK;
}

mt_rc mt_schema__write_rule(struct mt_schema *g, unsigned rule, const struct mt_buf *body,
                            struct mt_err *err)
{
    MT_TRY(mt_buf_check(body, "grammar", err));
    mt_buf_addf(g->out, "r%u ::=", rule);
    mt_buf_add(g->out, mt_buf_str(body));
    mt_buf_add_char(g->out, '\n');
    return mt_buf_check(g->out, "grammar", err);
}

bool mt_schema__count(const struct mt_json *node, const char *key, int64_t *out)
{
    return mt_json_i64(mt_json_get(node, key), 0, INT32_MAX, out);
}

/* The rules that all grammars share, and free JSON down to the depth. */
static void add_common(const struct mt_schema *g)
{
    struct mt_buf *out = g->out;

    mt_buf_add_cstr(out, "ws ::= \" \"?\n"
                         "char ::= [^\"\\\\\\x00-\\x1F\\x7F] | \"\\\\\" [\"\\\\/bfnrt]\n");
    mt_buf_addf(out, "integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,%d})\n",
                MT_SCHEMA_INTEGER_DIGITS - 1);
    mt_buf_addf(out, "decimal ::= (\"0\" | [1-9] [0-9]{0,%d}) (\".\" [0-9]{1,6})?\n",
                MT_SCHEMA_INTEGER_DIGITS - 1);
    mt_buf_add_cstr(out, "number ::= \"-\"? decimal\nstring ::= [\"] char");
    mt_schema__repeat(out, 0, g->bounds->string_max);
    mt_buf_add_cstr(out,
                    " [\"]\nvalue0 ::= string | number | \"true\" | \"false\" | \"null\"\n");
    for (unsigned d = 1; d <= mt_schema__free_depth(g); d++) {
        const char *s = mt_schema__space(g);
        mt_buf_addf(
            out,
            "object%u ::= \"{\"%s (string \":\"%s value%u (\",\"%s string \":\"%s value%u)", d,
            s, s, d - 1, s, s, d - 1);
        mt_schema__repeat(out, 0, g->bounds->items_max);
        mt_buf_addf(out, ")?%s \"}\"\narray%u ::= \"[\"%s (value%u (\",\"%s value%u)", s, d, s,
                    d - 1, s, d - 1);
        mt_schema__repeat(out, 0, g->bounds->items_max);
        mt_buf_addf(out, ")?%s \"]\"\nvalue%u ::= value0 | object%u | array%u\n", s, d, d, d);
    }
}

struct mt_grammar_bounds mt_grammar_bounds_for(int64_t tokens)
{
    if (tokens < 0 || tokens >= 1024)
        return (struct mt_grammar_bounds){0};
    return (struct mt_grammar_bounds){
        .string_max = tokens < 64 ? 8 : (unsigned)tokens / 8,
        .items_max = 4,
        .depth_max = 2,
        .is_compact = true,
    };
}

mt_rc mt_grammar_object(const struct mt_grammar_bounds *bounds, struct mt_buf *out,
                        struct mt_err *err)
{
    struct mt_schema g = {.bounds = bounds, .out = out};

    add_common(&g);
    mt_buf_addf(out, "root ::= object%u\n", mt_schema__free_depth(&g));
    return mt_buf_check(out, "grammar", err);
}

struct schema_text {
    struct mt_buf text; /* with the slack that the parser wants */
    struct mt_json_doc *doc;
    const struct mt_json *root;
};

static void schema_fini(struct schema_text *schema)
{
    mt_json_doc_free(schema->doc);
    mt_buf_fini(&schema->text);
}

static mt_rc schema_read(struct schema_text *schema, struct mt_str json, struct mt_err *err)
{
    mt_buf_init(&schema->text, MT_GRAMMAR_BYTES_MAX);
    mt_buf_add(&schema->text, json);
    MT_TRY(mt_buf_check(&schema->text, "schema", err));
    MT_TRY(mt_json_doc_new(&schema->doc, err));
    mt_rc rc = mt_json_parse(schema->doc, mt_buf_str(&schema->text), &schema->root, err);
    if (rc < 0)
        return mt_err_wrap(err, rc, "schema");
    return MT_OK;
}

/* Rules of one schema; its root's number comes back. */
static mt_rc add_schema(struct mt_schema *g, struct mt_str json, unsigned *rule,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(MT_GRAMMAR_BYTES_MAX);
    MT_CLEANUP(schema_fini) struct schema_text schema = {.doc = NULL};

    MT_TRY(schema_read(&schema, json, err));
    g->arena = &arena;
    g->root = schema.root;
    g->refs_n = g->refs_done = 0; /* references are this schema's own */
    MT_TRY(mt_schema__node(g, schema.root, 0, rule, err));
    mt_rc rc = mt_schema__finish_refs(g, err);
    g->arena = NULL;
    g->root = NULL;
    return rc;
}

mt_rc mt_grammar_schema(struct mt_str schema_json, const struct mt_grammar_bounds *bounds,
                        struct mt_buf *out, struct mt_chat_notes *notes, struct mt_err *err)
{
    struct mt_schema g = {.bounds = bounds, .out = out, .notes = notes};
    unsigned rule;

    add_common(&g);
    MT_TRY(add_schema(&g, schema_json, &rule, err));
    mt_buf_addf(out, "root ::= r%u\n", rule);
    return mt_buf_check(out, "grammar", err);
}

static mt_rc add_call(struct mt_schema *g, const struct mt_chat_tool *tool, size_t nth,
                      struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf head = MT_BUF_INIT(4096);
    unsigned rule;

    struct mt_str schema = tool->schema_json.len > 0
                               ? tool->schema_json
                               : MT_STR("{\"type\":\"object\",\"additionalProperties\":false}");
    mt_rc rc = add_schema(g, schema, &rule, err);
    if (rc < 0)
        return mt_err_wrap(err, rc, "tool '%.*s'", MT_STR_ARG(tool->name));
    mt_buf_add_cstr(&head, "{\"name\":\"");
    mt_json_escape(&head, tool->name);
    mt_buf_add_cstr(&head, "\",\"arguments\":");
    MT_TRY(mt_buf_check(&head, "tool name", err));
    mt_buf_addf(g->out, "call%zu ::= ", nth);
    mt_schema__literal(g->out, mt_buf_str(&head));
    mt_buf_addf(g->out, " r%u \"}\"\n", rule);
    return MT_OK;
}

mt_rc mt_grammar_calls(const struct mt_grammar_tools *tools,
                       const struct mt_grammar_bounds *bounds, struct mt_buf *out,
                       struct mt_chat_notes *notes, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf calls = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    struct mt_schema g = {.bounds = bounds, .out = out, .notes = notes};

    add_common(&g);
    for (size_t i = 0; i < tools->tools_n; i++) {
        if (tools->only.len > 0 && !mt_str_eq(tools->tools[i].name, tools->only))
            continue;
        MT_TRY(add_call(&g, &tools->tools[i], i, err));
        mt_buf_addf(&calls, "%s call%zu", calls.len > 0 ? " |" : "", i);
    }
    if (calls.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "tool_choice: no tool is named '%.*s'",
                       MT_STR_ARG(tools->only));
    mt_buf_addf(out, "call ::=%s\n", mt_buf_cstr(&calls));
    mt_buf_add_cstr(out, tools->is_parallel ? "root ::= call ([\\n] call){0,7}\n"
                                            : "root ::= call\n");
    MT_TRY(mt_buf_check(&calls, "grammar", err));
    return mt_buf_check(out, "grammar", err);
}
