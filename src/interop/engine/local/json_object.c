/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of a schema: members in their order, what allOf and references add, maps. */
#include "json_grammar_priv.h"

enum { PROPERTIES_MAX = 256 };

struct property {
    struct mt_str key; /* raw, escapes in it */
    const struct mt_json *schema;
    bool is_required;
};

mt_rc mt_schema__find_ref(struct mt_schema *g, struct mt_str path, const struct mt_json **out,
                          struct mt_err *err)
{
    struct mt_str rest = path;
    const struct mt_json *node = g->root;

    if (!mt_str_starts(path, MT_STR("#")))
        return MT_FAIL(err, MT_E_UNSUPPORTED, "schema: $ref '%.*s' leads outside the schema",
                       MT_STR_ARG(path));
    (void)mt_str_take(&rest, '/');
    while (rest.len > 0 && node != NULL) {
        struct mt_str name = mt_str_take(&rest, '/');
        const struct mt_json *child = mt_json_first(node);
        while (child != NULL && !mt_str_eq(mt_json_key(child), name))
            child = mt_json_next(child);
        node = child;
    }
    if (node == NULL)
        return MT_FAIL(err, MT_E_INVALID, "schema: $ref '%.*s' leads nowhere",
                       MT_STR_ARG(path));
    *out = node;
    return MT_OK;
}

static bool is_required(const struct mt_json *node, struct mt_str raw_key)
{
    for (const struct mt_json *name = mt_json_first(mt_json_get(node, "required"));
         name != NULL; name = mt_json_next(name)) {
        struct mt_str raw = mt_json_raw(name);
        if (raw.len >= 2 && mt_str_eq(mt_str_sub(raw, 1, raw.len - 1), raw_key))
            return true;
    }
    return false;
}

/* Properties of an object and of what its allOf adds; a later one of the same name counts. */
static mt_rc gather(struct mt_schema *g, const struct mt_json *node, struct property *list,
                    size_t *n, unsigned depth, struct mt_err *err)
{
    struct mt_str path;

    if (depth > MT_SCHEMA_NESTING_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "schema: nested deeper than %d",
                       MT_SCHEMA_NESTING_MAX);
    if (++g->gathered_n > MT_SCHEMA_GATHER_MAX) /* the same part, again and again */
        return MT_FAIL(err, MT_E_TOOBIG, "schema: allOf leads to more than %d parts",
                       MT_SCHEMA_GATHER_MAX);
    if (mt_json_str(mt_json_get(node, "$ref"), g->arena, &path)) {
        MT_TRY(mt_schema__find_ref(g, path, &node, err));
        return gather(g, node, list, n, depth + 1, err);
    }
    for (const struct mt_json *p = mt_json_first(mt_json_get(node, "properties")); p != NULL;
         p = mt_json_next(p)) {
        size_t at = 0;
        while (at < *n && !mt_str_eq(list[at].key, mt_json_key(p)))
            at++;
        if (at == PROPERTIES_MAX)
            return MT_FAIL(err, MT_E_TOOBIG, "schema: an object of more than %d properties",
                           PROPERTIES_MAX);
        bool was = at < *n && list[at].is_required;
        list[at] =
            (struct property){mt_json_key(p), p, was || is_required(node, mt_json_key(p))};
        *n += at == *n;
    }
    for (const struct mt_json *part = mt_json_first(mt_json_get(node, "allOf")); part != NULL;
         part = mt_json_next(part))
        MT_TRY(gather(g, part, list, n, depth + 1, err));
    for (size_t i = 0; i < *n; i++)
        list[i].is_required |= is_required(node, list[i].key);
    return MT_OK;
}

static mt_rc add_pair(struct mt_schema *g, const struct property *p, unsigned depth,
                      unsigned *rule, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf key = MT_BUF_INIT(1 << 16);
    unsigned value;

    MT_TRY(mt_schema__node(g, p->schema, depth, &value, err));
    mt_buf_addf(&key, "\"%.*s\":", MT_STR_ARG(p->key));
    MT_TRY(mt_buf_check(&key, "schema: a property's name", err));
    mt_buf_add_char(&body, ' ');
    mt_schema__literal(&body, mt_buf_str(&key));
    mt_buf_addf(&body, "%s r%u", mt_schema__space(g), value);
    MT_TRY(mt_schema__new_rule(g, rule, err));
    return mt_schema__write_rule(g, *rule, &body, err);
}

/* Members in their order. Before the first required one each optional brings its own comma;
 * after it each brings one in front. With none required, any may be the first. */
static mt_rc add_members(struct mt_schema *g, const struct property *list, size_t n,
                         unsigned depth, struct mt_buf *body, struct mt_err *err)
{
    unsigned rules[PROPERTIES_MAX];
    size_t first = n;

    for (size_t i = 0; i < n; i++) {
        MT_TRY(add_pair(g, &list[i], depth + 1, &rules[i], err));
        if (list[i].is_required && first == n)
            first = i;
    }
    if (first < n) {
        for (size_t i = 0; i < first; i++)
            mt_buf_addf(body, " (r%u \",\"%s)?", rules[i], mt_schema__space(g));
        mt_buf_addf(body, " r%u", rules[first]);
        for (size_t i = first + 1; i < n; i++)
            mt_buf_addf(body, " (\",\"%s r%u)%s", mt_schema__space(g), rules[i],
                        list[i].is_required ? "" : "?");
        return MT_OK;
    }
    unsigned rest = 0; /* rule of what may follow after i; written from the back */
    MT_CLEANUP(mt_buf_fini) struct mt_buf any = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    for (size_t i = n; i-- > 0;) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf tail = MT_BUF_INIT(4096);
        mt_buf_addf(&any, "%s r%u", any.len > 0 ? " |" : "", rules[i]);
        if (i + 1 < n)
            mt_buf_addf(&any, " r%u", rest);
        mt_buf_addf(&tail, " (\",\"%s r%u)?", mt_schema__space(g), rules[i]);
        if (i + 1 < n)
            mt_buf_addf(&tail, " r%u", rest);
        MT_TRY(mt_schema__new_rule(g, &rest, err));
        MT_TRY(mt_schema__write_rule(g, rest, &tail, err));
    }
    mt_buf_addf(body, " (%s)?", mt_buf_cstr(&any));
    return mt_buf_check(&any, "grammar", err);
}

static mt_rc add_map(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                     struct mt_buf *body, struct mt_err *err)
{
    const struct mt_json *extra = mt_json_get(node, "additionalProperties");
    unsigned value;
    bool is_open;

    if (mt_json_bool(extra, &is_open) && !is_open) {
        mt_buf_add_cstr(body, " \"{}\"");
        return MT_OK;
    }
    if (mt_json_type(extra) != MT_JSON_OBJECT || mt_json_count(extra) == 0) {
        mt_buf_addf(body, " object%u", mt_schema__free_depth(g));
        return MT_OK;
    }
    MT_TRY(mt_schema__node(g, extra, depth + 1, &value, err));
    mt_buf_addf(body, " \"{\"%s (string \":\"%s r%u (\",\"%s string \":\"%s r%u)",
                mt_schema__space(g), mt_schema__space(g), value, mt_schema__space(g),
                mt_schema__space(g), value);
    mt_schema__repeat(body, 0, g->bounds->items_max);
    mt_buf_addf(body, ")?%s \"}\"", mt_schema__space(g));
    return MT_OK;
}

mt_rc mt_schema__object(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                        struct mt_buf *body, struct mt_err *err)
{
    struct property list[PROPERTIES_MAX];
    size_t n = 0;

    MT_TRY(gather(g, node, list, &n, depth, err));
    if (n == 0)
        return add_map(g, node, depth, body, err);
    mt_buf_addf(body, " \"{\"%s", mt_schema__space(g));
    MT_TRY(add_members(g, list, n, depth, body, err));
    mt_buf_addf(body, "%s \"}\"", mt_schema__space(g));
    return MT_OK;
}
