/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation of a request in the forms that prompts are made from: as OpenAI messages and
 * tools in JSON, for templates that show tools themselves; and flattened, where tools are told
 * in a few words of the system text, calls stand as {"name":...,"arguments":...} and results as
 * words of the user. The few words are few on purpose: contexts can be small. */
#include <string.h>

#include "job.h"
#include "wire/json.h"
#include "wire/json_writer.h"

enum { TEXT_MAX = 64 << 20, SIGNATURE_PROPERTIES_MAX = 64 };

static mt_rc keep(struct mt_job *job, const struct mt_buf *buf, struct mt_str *to,
                  struct mt_err *err)
{
    MT_TRY(mt_buf_check(buf, "messages", err));
    *to = mt_arena_str(&job->arena, mt_buf_str(buf));
    return to->at != NULL ? MT_OK : mt_arena_fail(&job->arena, err);
}

/* Texts of one kind, a line break between them. */
static void add_texts(const struct mt_chat_part *parts, size_t n, enum mt_chat_part_kind kind,
                      struct mt_buf *out)
{
    size_t was = out->len;

    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind != kind || parts[i].text.len == 0)
            continue;
        if (out->len > was)
            mt_buf_add_char(out, '\n');
        mt_buf_add(out, parts[i].text);
    }
}

static bool has_part(const struct mt_chat_message *m, enum mt_chat_part_kind kind)
{
    for (size_t i = 0; i < m->parts_n; i++)
        if (m->parts[i].kind == kind)
            return true;
    return false;
}

static const char *role_name(enum mt_chat_role role)
{
    switch (role) {
    case MT_ROLE_SYSTEM:
    case MT_ROLE_DEVELOPER:
        return "system";
    case MT_ROLE_ASSISTANT:
        return "assistant";
    case MT_ROLE_USER:
    case MT_ROLE_TOOL:
        return "user";
    }
    return "user";
}

/* What a tool result says: its own text, or its parts'. */
static void add_result(const struct mt_chat_part *part, struct mt_buf *out)
{
    mt_buf_add(out, part->text);
    add_texts(part->parts, part->parts_n, MT_PART_TEXT, out);
}

/* The name of the tool whose call has this id. */
static struct mt_str tool_of_call(const struct mt_chat_request *r,
                                  const struct mt_chat_part *result)
{
    if (result->name.len > 0)
        return result->name;
    for (size_t i = 0; i < r->messages_n; i++)
        for (size_t k = 0; k < r->messages[i].parts_n; k++) {
            const struct mt_chat_part *part = &r->messages[i].parts[k];
            if (part->kind == MT_PART_TOOL_CALL && mt_str_eq(part->id, result->id))
                return part->name;
        }
    return MT_STR("tool");
}

/* --- OpenAI shape --- */

static void write_calls(const struct mt_chat_message *m, struct mt_jw *w)
{
    mt_jw_key(w, "tool_calls");
    mt_jw_array(w);
    for (size_t i = 0; i < m->parts_n; i++) {
        const struct mt_chat_part *part = &m->parts[i];
        if (part->kind != MT_PART_TOOL_CALL)
            continue;
        mt_jw_object(w);
        mt_jw_kstr(w, "id", part->id);
        mt_jw_kcstr(w, "type", "function");
        mt_jw_key(w, "function");
        mt_jw_object(w);
        mt_jw_kstr(w, "name", part->name);
        mt_jw_kstr(w, "arguments", part->json.len > 0 ? part->json : MT_STR("{}"));
        mt_jw_end(w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

static void write_results(const struct mt_chat_request *r, const struct mt_chat_message *m,
                          struct mt_jw *w)
{
    for (size_t i = 0; i < m->parts_n; i++) {
        const struct mt_chat_part *part = &m->parts[i];
        if (part->kind != MT_PART_TOOL_RESULT)
            continue;
        MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(TEXT_MAX);
        add_result(part, &text);
        mt_jw_object(w);
        mt_jw_kcstr(w, "role", "tool");
        mt_jw_kstr(w, "tool_call_id", part->id);
        mt_jw_kstr(w, "name", tool_of_call(r, part));
        mt_jw_kstr(w, "content", mt_buf_str(&text));
        mt_jw_end(w);
    }
}

static void write_message(const struct mt_chat_request *r, const struct mt_chat_message *m,
                          struct mt_jw *w)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(TEXT_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf thought = MT_BUF_INIT(TEXT_MAX);
    bool has_calls = has_part(m, MT_PART_TOOL_CALL);

    write_results(r, m, w);
    add_texts(m->parts, m->parts_n, MT_PART_TEXT, &text);
    if (has_part(m, MT_PART_TOOL_RESULT) && text.len == 0)
        return;
    add_texts(m->parts, m->parts_n, MT_PART_REASONING, &thought);
    mt_jw_object(w);
    mt_jw_kcstr(w, "role", role_name(m->role));
    mt_jw_kstr(w, "content", mt_buf_str(&text));
    if (thought.len > 0 && m->role == MT_ROLE_ASSISTANT)
        mt_jw_kstr(w, "reasoning_content", mt_buf_str(&thought));
    if (has_calls)
        write_calls(m, w);
    mt_jw_end(w);
}

static void write_tools(const struct mt_chat_request *r, struct mt_jw *w)
{
    mt_jw_array(w);
    for (size_t i = 0; i < r->tools_n; i++) {
        const struct mt_chat_tool *tool = &r->tools[i];
        if (r->tool_choice == MT_TOOLS_NAMED && !mt_str_eq(tool->name, r->tool_choice_name))
            continue; /* the template knows "required", not names */
        mt_jw_object(w);
        mt_jw_kcstr(w, "type", "function");
        mt_jw_key(w, "function");
        mt_jw_object(w);
        mt_jw_kstr(w, "name", tool->name);
        mt_jw_kstr(w, "description", tool->description);
        mt_jw_kraw(w, "parameters",
                   tool->schema_json.len > 0
                       ? tool->schema_json
                       : MT_STR("{\"type\":\"object\",\"properties\":{}}"));
        mt_jw_end(w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

/* --- flattened --- */

/* "name(a:integer,b:string?)" of a tool; "name" when its schema is no object's. */
static mt_rc add_signature(const struct mt_chat_tool *tool, struct mt_json_doc *doc,
                           struct mt_buf *out, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 20);
    const struct mt_json *schema = NULL;
    size_t n = 0;

    mt_buf_add(&text, tool->schema_json.len > 0 ? tool->schema_json : MT_STR("{}"));
    MT_TRY(mt_buf_check(&text, "tool schema", err));
    MT_TRY(mt_json_parse(doc, mt_buf_str(&text), &schema, err));
    mt_buf_add(out, tool->name);
    mt_buf_add_char(out, '(');
    for (const struct mt_json *p = mt_json_first(mt_json_get(schema, "properties"));
         p != NULL && n < SIGNATURE_PROPERTIES_MAX; p = mt_json_next(p), n++) {
        struct mt_str type = mt_json_raw(mt_json_get(p, "type"));
        mt_buf_add_cstr(out, n > 0 ? "," : "");
        mt_buf_add(out, mt_json_key(p));
        if (type.len > 2 && type.at[0] == '"') {
            mt_buf_add_char(out, ':');
            mt_buf_add(out, mt_str_sub(type, 1, type.len - 1));
        }
    }
    mt_buf_add_char(out, ')');
    if (tool->description.len > 0) {
        mt_buf_add_char(out, ' ');
        mt_buf_add(out, tool->description);
    }
    mt_buf_add_char(out, '\n');
    return MT_OK;
}

static mt_rc add_tool_words(const struct mt_chat_request *r, struct mt_buf *out,
                            struct mt_err *err)
{
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;

    MT_TRY(mt_json_doc_new(&doc, err));
    mt_buf_add_cstr(out, "tools:\n");
    for (size_t i = 0; i < r->tools_n; i++)
        MT_TRY(add_signature(&r->tools[i], doc, out, err));
    mt_buf_add_cstr(out, "to call: {\"name\":...,\"arguments\":{...}}");
    return MT_OK;
}

static void add_flat_calls(const struct mt_chat_message *m, struct mt_buf *out)
{
    for (size_t i = 0; i < m->parts_n; i++) {
        const struct mt_chat_part *part = &m->parts[i];
        if (part->kind != MT_PART_TOOL_CALL)
            continue;
        mt_buf_add_cstr(out, out->len > 0 ? "\n{\"name\":\"" : "{\"name\":\"");
        mt_json_escape(out, part->name);
        mt_buf_add_cstr(out, "\",\"arguments\":");
        mt_buf_add(out, part->json.len > 0 ? part->json : MT_STR("{}"));
        mt_buf_add_char(out, '}');
    }
}

static void add_flat_results(const struct mt_chat_request *r, const struct mt_chat_message *m,
                             struct mt_buf *out)
{
    for (size_t i = 0; i < m->parts_n; i++) {
        const struct mt_chat_part *part = &m->parts[i];
        if (part->kind != MT_PART_TOOL_RESULT)
            continue;
        mt_buf_add_cstr(out, out->len > 0 ? "\n" : "");
        mt_buf_add(out, tool_of_call(r, part));
        mt_buf_add_cstr(out, part->is_error ? " failed: " : ": ");
        add_result(part, out);
    }
}

static mt_rc flatten(const struct mt_chat_request *r, const struct mt_chat_message *m,
                     struct mt_job *job, struct mt_buf *text, struct mt_err *err)
{
    struct mt_str kept;

    add_flat_results(r, m, text);
    if (text->len > 0 && has_part(m, MT_PART_TEXT))
        mt_buf_add_char(text, '\n');
    add_texts(m->parts, m->parts_n, MT_PART_TEXT, text);
    add_flat_calls(m, text);
    MT_TRY(keep(job, text, &kept, err));
    job->plain[job->plain_n++] = (struct mt_tmpl_plain){role_name(m->role), kept.at};
    return MT_OK;
}

static mt_rc make_plain(const struct mt_chat_request *r, struct mt_job *job, struct mt_err *err)
{
    bool has_system = r->messages[0].role == MT_ROLE_SYSTEM;
    struct mt_chat_message none = {.role = MT_ROLE_SYSTEM};
    size_t first = has_system ? 1 : 0;

    job->plain = mt_arena_get(&job->arena, r->messages_n + 1, sizeof *job->plain);
    if (job->plain == NULL)
        return mt_arena_fail(&job->arena, err);
    if (job->call_grammar != NULL || has_system) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(TEXT_MAX);
        MT_CLEANUP(mt_buf_fini) struct mt_buf tools = MT_BUF_INIT(TEXT_MAX);
        if (job->call_grammar != NULL)
            MT_TRY(add_tool_words(r, &tools, err));
        if (has_system)
            add_texts(r->messages[0].parts, r->messages[0].parts_n, MT_PART_TEXT, &text);
        if (text.len > 0 && tools.len > 0)
            mt_buf_add_char(&text, '\n');
        mt_buf_add(&text, mt_buf_str(&tools));
        MT_TRY(flatten(r, &none, job, &text, err));
    }
    for (size_t i = first; i < r->messages_n; i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(TEXT_MAX);
        MT_TRY(flatten(r, &r->messages[i], job, &text, err));
    }
    return MT_OK;
}

static mt_rc make_plain_json(struct mt_job *job, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf json = MT_BUF_INIT(TEXT_MAX);
    struct mt_jw w;

    mt_jw_begin(&w, &json);
    mt_jw_array(&w);
    for (size_t i = 0; i < job->plain_n; i++) {
        mt_jw_object(&w);
        mt_jw_kcstr(&w, "role", job->plain[i].role);
        mt_jw_kcstr(&w, "content", job->plain[i].content);
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
    return keep(job, &json, &job->plain_json, err);
}

mt_rc mt_job__messages(const struct mt_chat_request *r, struct mt_job *job, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf json = MT_BUF_INIT(TEXT_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf tools = MT_BUF_INIT(TEXT_MAX);
    struct mt_jw w;

    mt_jw_begin(&w, &json);
    mt_jw_array(&w);
    for (size_t i = 0; i < r->messages_n; i++)
        write_message(r, &r->messages[i], &w);
    mt_jw_end(&w);
    MT_TRY(keep(job, &json, &job->messages_json, err));
    if (job->call_grammar != NULL) {
        mt_jw_begin(&w, &tools);
        write_tools(r, &w);
        MT_TRY(keep(job, &tools, &job->tools_json, err));
    }
    MT_TRY(make_plain(r, job, err));
    return make_plain_json(job, err);
}
