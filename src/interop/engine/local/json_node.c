/* SPDX-License-Identifier: Apache-2.0 */
/* Any node of a schema: which of its keywords decides, arrays, alternatives, references. */
#include "json_grammar_priv.h"

static mt_rc add_ref(struct mt_schema *g, struct mt_str path, struct mt_buf *body,
                     struct mt_err *err)
{
    for (size_t i = 0; i < g->refs_n; i++)
        if (mt_str_eq(g->refs[i].path, path)) {
            mt_buf_addf(body, " r%u", g->refs[i].rule);
            return MT_OK;
        }
    if (g->refs_n == MT_SCHEMA_REFS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "schema: more than %d references", MT_SCHEMA_REFS_MAX);
    struct mt_schema_ref *ref = &g->refs[g->refs_n];
    ref->path = path;
    MT_TRY(mt_schema__find_ref(g, path, &ref->node, err));
    MT_TRY(mt_schema__new_rule(g, &ref->rule, err));
    g->refs_n++;
    mt_buf_addf(body, " r%u", ref->rule);
    return MT_OK;
}

static mt_rc add_tuple(struct mt_schema *g, const struct mt_json *items, unsigned depth,
                       struct mt_buf *body, struct mt_err *err)
{
    const char *comma = "";

    mt_buf_addf(body, " \"[\"%s", mt_schema__space(g));
    for (const struct mt_json *item = mt_json_first(items); item != NULL;
         item = mt_json_next(item)) {
        unsigned rule;
        MT_TRY(mt_schema__node(g, item, depth + 1, &rule, err));
        if (*comma != '\0')
            mt_buf_addf(body, " \",\"%s", mt_schema__space(g));
        mt_buf_addf(body, " r%u", rule);
        comma = ",";
    }
    mt_buf_addf(body, "%s \"]\"", mt_schema__space(g));
    return MT_OK;
}

static mt_rc add_array(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                       struct mt_buf *body, struct mt_err *err)
{
    const struct mt_json *items = mt_json_get(node, "items");
    int64_t min = 0;
    int64_t max = g->bounds->items_max;
    unsigned rule;

    if (mt_json_first(mt_json_get(node, "prefixItems")) != NULL)
        return add_tuple(g, mt_json_get(node, "prefixItems"), depth, body, err);
    if (mt_json_get(node, "uniqueItems") != NULL)
        mt_chat_note(g->notes, "schema: uniqueItems is not enforced");
    (void)mt_schema__count(node, "minItems", &min);
    bool has_max = mt_schema__count(node, "maxItems", &max);
    if ((has_max && max < min) || min > MT_GRAMMAR_REPEAT_MAX)
        return MT_FAIL(err, MT_E_INVALID, "schema: an array of %lld to %lld items",
                       (long long)min, (long long)max);
    if (!has_max && max > 0 && max < min)
        max = min;
    if (has_max && max == 0) {
        mt_buf_add_cstr(body, " \"[]\"");
        return MT_OK;
    }
    if (max > MT_GRAMMAR_REPEAT_MAX)
        max = 0;
    MT_TRY(mt_schema__node(g, items, depth + 1, &rule, err));
    mt_buf_addf(body, " \"[\"%s%s r%u", mt_schema__space(g), min == 0 ? " (" : "", rule);
    if (max != 1) {
        mt_buf_addf(body, " (\",\"%s r%u)", mt_schema__space(g), rule);
        mt_schema__repeat(body, min > 0 ? (unsigned)min - 1 : 0,
                          max > 0 ? (unsigned)max - 1 : 0);
    }
    mt_buf_addf(body, "%s%s \"]\"", min == 0 ? ")?" : "", mt_schema__space(g));
    return MT_OK;
}

static mt_rc add_choice(struct mt_schema *g, const struct mt_json *list, unsigned depth,
                        struct mt_buf *body, struct mt_err *err)
{
    const char *bar = "";

    if (mt_json_first(list) == NULL)
        return MT_FAIL(err, MT_E_INVALID, "schema: anyOf or oneOf without alternatives");
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item)) {
        unsigned rule;
        MT_TRY(mt_schema__node(g, item, depth + 1, &rule, err));
        mt_buf_addf(body, "%s r%u", bar, rule);
        bar = " |";
    }
    return MT_OK;
}

static mt_rc add_enum(const struct mt_json *list, struct mt_buf *body, struct mt_err *err)
{
    const char *bar = " ";

    if (mt_json_first(list) == NULL)
        return MT_FAIL(err, MT_E_INVALID, "schema: an enum without values");
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item)) {
        mt_buf_add_cstr(body, bar);
        mt_schema__literal(body, mt_json_raw(item));
        bar = " | ";
    }
    return MT_OK;
}

static mt_rc add_typed(struct mt_schema *g, const struct mt_json *node,
                       const struct mt_json *type, unsigned depth, struct mt_buf *body,
                       struct mt_err *err)
{
    if (mt_json_is(type, "object"))
        return mt_schema__object(g, node, depth, body, err);
    if (mt_json_is(type, "array"))
        return add_array(g, node, depth, body, err);
    if (mt_json_is(type, "integer"))
        return mt_schema__integer(node, body, err);
    if (mt_json_is(type, "string"))
        mt_schema__string(g, node, body);
    else if (mt_json_is(type, "number"))
        mt_schema__number(g, node, body);
    else if (mt_json_is(type, "boolean"))
        mt_buf_add_cstr(body, " (\"true\" | \"false\")");
    else if (mt_json_is(type, "null"))
        mt_buf_add_cstr(body, " \"null\"");
    else
        return MT_FAIL(err, MT_E_INVALID, "schema: unknown type %.*s",
                       MT_STR_ARG(mt_str_sub(mt_json_raw(type), 0, 40)));
    return MT_OK;
}

static mt_rc add_types(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                       struct mt_buf *body, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(node, "type");

    if (mt_json_type(type) != MT_JSON_ARRAY)
        return add_typed(g, node, type, depth, body, err);
    if (mt_json_first(type) == NULL)
        return MT_FAIL(err, MT_E_INVALID, "schema: an empty list of types");
    for (const struct mt_json *one = mt_json_first(type); one != NULL;
         one = mt_json_next(one)) {
        if (one != mt_json_first(type))
            mt_buf_add_cstr(body, " |");
        MT_TRY(add_typed(g, node, one, depth, body, err));
    }
    return MT_OK;
}

/* What a schema without a type means: guessed from its other keywords. */
static mt_rc add_untyped(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                         struct mt_buf *body, struct mt_err *err)
{
    if (mt_json_get(node, "properties") != NULL || mt_json_get(node, "allOf") != NULL ||
        mt_json_get(node, "additionalProperties") != NULL)
        return mt_schema__object(g, node, depth, body, err);
    if (mt_json_get(node, "items") != NULL || mt_json_get(node, "prefixItems") != NULL)
        return add_array(g, node, depth, body, err);
    if (mt_json_get(node, "pattern") != NULL || mt_json_get(node, "maxLength") != NULL)
        mt_schema__string(g, node, body);
    else
        mt_buf_addf(body, " value%u", mt_schema__free_depth(g));
    return MT_OK;
}

static mt_rc add_body(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                      struct mt_buf *body, struct mt_err *err)
{
    struct mt_str path;
    const struct mt_json *all = mt_json_get(node, "allOf");

    if (mt_json_str(mt_json_get(node, "$ref"), g->arena, &path))
        return add_ref(g, path, body, err);
    if (mt_json_get(node, "const") != NULL) {
        mt_buf_add_char(body, ' ');
        mt_schema__literal(body, mt_json_raw(mt_json_get(node, "const")));
        return MT_OK;
    }
    if (mt_json_get(node, "enum") != NULL)
        return add_enum(mt_json_get(node, "enum"), body, err);
    if (mt_json_get(node, "anyOf") != NULL)
        return add_choice(g, mt_json_get(node, "anyOf"), depth, body, err);
    if (mt_json_get(node, "oneOf") != NULL)
        return add_choice(g, mt_json_get(node, "oneOf"), depth, body, err);
    if (mt_json_count(all) == 1 && mt_json_get(node, "properties") == NULL)
        return add_choice(g, all, depth, body, err);
    if (mt_json_get(node, "type") != NULL)
        return add_types(g, node, depth, body, err);
    return add_untyped(g, node, depth, body, err);
}

static void note_unknown(struct mt_schema *g, const struct mt_json *node)
{
    static const char *const keys[] = {
        "not",      "if",           "multipleOf", "patternProperties", "dependentRequired",
        "contains", "minProperties"};

    for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++)
        if (mt_json_get(node, keys[i]) != NULL)
            mt_chat_note(g->notes, "schema: %s is not enforced", keys[i]);
}

static mt_rc add_rule(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                      unsigned rule, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    bool can_be_null = false;

    note_unknown(g, node);
    MT_TRY(add_body(g, node, depth, &body, err));
    if (mt_json_bool(mt_json_get(node, "nullable"), &can_be_null) && can_be_null)
        mt_buf_add_cstr(&body, " | \"null\"");
    return mt_schema__write_rule(g, rule, &body, err);
}

mt_rc mt_schema__node(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                      unsigned *rule, struct mt_err *err)
{
    bool is_true;

    if (depth > MT_SCHEMA_NESTING_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "schema: nested deeper than %d",
                       MT_SCHEMA_NESTING_MAX);
    if (node != NULL && mt_json_type(node) != MT_JSON_OBJECT &&
        !(mt_json_bool(node, &is_true) && is_true))
        return MT_FAIL(err, MT_E_INVALID, "schema: expected an object, found %s",
                       mt_json_type_name(mt_json_type(node)));
    MT_TRY(mt_schema__new_rule(g, rule, err));
    return add_rule(g, node, depth, *rule, err);
}

mt_rc mt_schema__finish_refs(struct mt_schema *g, struct mt_err *err)
{
    for (; g->refs_done < g->refs_n; g->refs_done++)
        MT_TRY(add_rule(g, g->refs[g->refs_done].node, 0, g->refs[g->refs_done].rule, err));
    return MT_OK;
}
