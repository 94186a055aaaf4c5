/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schema to GBNF. Every schema node becomes a rule "rN"; rules are written to the output
 * as they are finished, so a rule's body is built in a buffer of its own. References are
 * written last, each once. Invariant: a rule that is named is written before the end, or the
 * call fails. */
#include "json_grammar.h"

#include <stdio.h>

#include "chat/codec.h"
#include "wire/json.h"
#include "wire/json_writer.h"

enum {
    RULES_MAX = 4096,
    REFS_MAX = 256,
    NESTING_MAX = 48,
    PROPERTIES_MAX = 256,
    DEPTH_DEFAULT = 8,
    INTEGER_DIGITS = 15,
};

struct grammar {
    const struct mt_grammar_bounds *bounds;
    const struct mt_json *root;
    struct mt_buf *out;
    struct mt_arena *arena;
    struct mt_chat_notes *notes;
    unsigned rules_n;
    struct ref {
        struct mt_str path;
        const struct mt_json *node;
        unsigned rule;
    } refs[REFS_MAX];
    size_t refs_n;
    size_t refs_done;
};

struct property {
    struct mt_str key; /* raw, escapes in it */
    const struct mt_json *schema;
    bool is_required;
};

static mt_rc add_node(struct grammar *g, const struct mt_json *node, unsigned depth,
                      unsigned *rule, struct mt_err *err);

static const char *space(const struct grammar *g)
{
    return g->bounds->is_compact ? "" : " ws";
}

/* " {min,max}" around something repeated; max 0 = no end. */
static void add_repeat(struct mt_buf *out, unsigned min, unsigned max)
{
    if (max > 0)
        mt_buf_addf(out, "{%u,%u}", min, max);
    else if (min > 0)
        mt_buf_addf(out, "{%u,}", min);
    else
        mt_buf_add_char(out, '*');
}

/* A GBNF literal of these bytes. */
static void add_literal(struct mt_buf *out, struct mt_str text)
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

static mt_rc new_rule(struct grammar *g, unsigned *rule, struct mt_err *err)
{
    if (g->rules_n >= RULES_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "schema: more than %d parts", RULES_MAX);
    *rule = g->rules_n++;
    return MT_OK;
}

static mt_rc write_rule(struct grammar *g, unsigned rule, const struct mt_buf *body,
                        struct mt_err *err)
{
    MT_TRY(mt_buf_check(body, "grammar", err));
    mt_buf_addf(g->out, "r%u ::=", rule);
    mt_buf_add(g->out, mt_buf_str(body));
    mt_buf_add_char(g->out, '\n');
    return mt_buf_check(g->out, "grammar", err);
}

static bool get_count(const struct mt_json *node, const char *key, int64_t *out)
{
    return mt_json_i64(mt_json_get(node, key), 0, INT32_MAX, out);
}

/* --- strings and numbers --- */

static const char *format_pattern(const struct mt_json *node)
{
    static const struct {
        const char *name, *pattern;
    } table[] = {
        {"date", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"},
        {"time", "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-][0-9]{2}:[0-9]{2})$"},
        {"date-time", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])"
                      ":[0-5][0-9]:[0-5][0-9](Z|[+-][0-9]{2}:[0-9]{2})$"},
        {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    };
    const struct mt_json *format = mt_json_get(node, "format");

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++)
        if (mt_json_is(format, table[i].name))
            return table[i].pattern;
    return NULL;
}

static bool add_pattern(struct grammar *g, const struct mt_json *node, struct mt_buf *body)
{
    const char *known = format_pattern(node);
    struct mt_str pattern = mt_str_of(known);
    size_t was = body->len;

    if (known == NULL && !mt_json_str(mt_json_get(node, "pattern"), g->arena, &pattern))
        return false;
    mt_buf_add_cstr(body, " [\"] ");
    if (mt_grammar__pattern(pattern, body)) {
        mt_buf_add_cstr(body, " [\"]");
        return true;
    }
    if (body->rc == MT_OK)
        mt_buf_cut(body, was);
    mt_chat_note(g->notes, "schema pattern '%.*s' is not enforced", MT_STR_ARG(pattern));
    return false;
}

static void add_string(struct grammar *g, const struct mt_json *node, struct mt_buf *body)
{
    int64_t min = 0;
    int64_t max = g->bounds->string_max;

    if (add_pattern(g, node, body))
        return;
    bool has_min = get_count(node, "minLength", &min);
    if (get_count(node, "maxLength", &max) && max == 0) {
        mt_buf_add_cstr(body, " \"\\\"\\\"\"");
        return;
    }
    if (max > MT_GRAMMAR_REPEAT_MAX)
        max = 0; /* no repetition of that size: the end of the answer bounds it */
    if (min > MT_GRAMMAR_REPEAT_MAX || (has_min && max > 0 && max < min))
        min = max;
    mt_buf_add_cstr(body, " [\"] char");
    add_repeat(body, (unsigned)min, (unsigned)max);
    mt_buf_add_cstr(body, " [\"]");
}

static int64_t clamp_f64(double value)
{
    const double most = 999999999999999.0;
    return (int64_t)(value > most ? most : value < -most ? -most : value);
}

static bool integer_range(const struct mt_json *node, int64_t *min, int64_t *max)
{
    static const struct {
        const char *key;
        bool is_min, is_strict;
    } table[] = {{"minimum", true, false},
                 {"exclusiveMinimum", true, true},
                 {"maximum", false, false},
                 {"exclusiveMaximum", false, true}};
    bool has = false;

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        double number;
        if (!mt_json_f64(mt_json_get(node, table[i].key), &number))
            continue;
        int64_t whole = clamp_f64(number);
        has = true;
        if (table[i].is_min) {
            whole += (double)whole < number || (table[i].is_strict && (double)whole == number);
            *min = whole > *min ? whole : *min;
        } else {
            whole -= (double)whole > number || (table[i].is_strict && (double)whole == number);
            *max = whole < *max ? whole : *max;
        }
    }
    return has;
}

static mt_rc add_integer(const struct mt_json *node, struct mt_buf *body, struct mt_err *err)
{
    int64_t min = -999999999999999;
    int64_t max = 999999999999999;

    mt_buf_add_char(body, ' ');
    if (!integer_range(node, &min, &max)) {
        mt_buf_add_cstr(body, "integer");
        return MT_OK;
    }
    if (min > max)
        return MT_FAIL(err, MT_E_INVALID, "schema: no integer lies between %lld and %lld",
                       (long long)min, (long long)max);
    mt_grammar__range(min, max, body);
    return MT_OK;
}

static void add_number(struct grammar *g, const struct mt_json *node, struct mt_buf *body)
{
    double min;
    bool is_positive = mt_json_f64(mt_json_get(node, "minimum"), &min) && min >= 0;

    if (mt_json_get(node, "maximum") != NULL || (mt_json_get(node, "minimum") && !is_positive))
        mt_chat_note(g->notes, "schema: a range of a fractional number is not enforced");
    mt_buf_add_cstr(body, is_positive ? " decimal" : " number");
}

/* --- objects and arrays --- */

static mt_rc find_ref(struct grammar *g, struct mt_str path, const struct mt_json **out,
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

static mt_rc add_ref(struct grammar *g, struct mt_str path, struct mt_buf *body,
                     struct mt_err *err)
{
    for (size_t i = 0; i < g->refs_n; i++)
        if (mt_str_eq(g->refs[i].path, path)) {
            mt_buf_addf(body, " r%u", g->refs[i].rule);
            return MT_OK;
        }
    if (g->refs_n == REFS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "schema: more than %d references", REFS_MAX);
    struct ref *ref = &g->refs[g->refs_n];
    ref->path = path;
    MT_TRY(find_ref(g, path, &ref->node, err));
    MT_TRY(new_rule(g, &ref->rule, err));
    g->refs_n++;
    mt_buf_addf(body, " r%u", ref->rule);
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
static mt_rc gather(struct grammar *g, const struct mt_json *node, struct property *list,
                    size_t *n, unsigned depth, struct mt_err *err)
{
    struct mt_str path;

    if (depth > NESTING_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "schema: nested deeper than %d", NESTING_MAX);
    if (mt_json_str(mt_json_get(node, "$ref"), g->arena, &path)) {
        MT_TRY(find_ref(g, path, &node, err));
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

static mt_rc add_pair(struct grammar *g, const struct property *p, unsigned depth,
                      unsigned *rule, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf key = MT_BUF_INIT(1 << 16);
    unsigned value;

    MT_TRY(add_node(g, p->schema, depth, &value, err));
    mt_buf_addf(&key, "\"%.*s\":", MT_STR_ARG(p->key));
    MT_TRY(mt_buf_check(&key, "schema: a property's name", err));
    mt_buf_add_char(&body, ' ');
    add_literal(&body, mt_buf_str(&key));
    mt_buf_addf(&body, "%s r%u", space(g), value);
    MT_TRY(new_rule(g, rule, err));
    return write_rule(g, *rule, &body, err);
}

/* Members in their order. Before the first required one each optional brings its own comma;
 * after it each brings one in front. With none required, any may be the first. */
static mt_rc add_members(struct grammar *g, const struct property *list, size_t n,
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
            mt_buf_addf(body, " (r%u \",\"%s)?", rules[i], space(g));
        mt_buf_addf(body, " r%u", rules[first]);
        for (size_t i = first + 1; i < n; i++)
            mt_buf_addf(body, " (\",\"%s r%u)%s", space(g), rules[i],
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
        mt_buf_addf(&tail, " (\",\"%s r%u)?", space(g), rules[i]);
        if (i + 1 < n)
            mt_buf_addf(&tail, " r%u", rest);
        MT_TRY(new_rule(g, &rest, err));
        MT_TRY(write_rule(g, rest, &tail, err));
    }
    mt_buf_addf(body, " (%s)?", mt_buf_cstr(&any));
    return mt_buf_check(&any, "grammar", err);
}

static unsigned free_depth(const struct grammar *g)
{
    return g->bounds->depth_max > 0 ? g->bounds->depth_max : DEPTH_DEFAULT;
}

static mt_rc add_map(struct grammar *g, const struct mt_json *node, unsigned depth,
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
        mt_buf_addf(body, " object%u", free_depth(g));
        return MT_OK;
    }
    MT_TRY(add_node(g, extra, depth + 1, &value, err));
    mt_buf_addf(body, " \"{\"%s (string \":\"%s r%u (\",\"%s string \":\"%s r%u)", space(g),
                space(g), value, space(g), space(g), value);
    add_repeat(body, 0, g->bounds->items_max);
    mt_buf_addf(body, ")?%s \"}\"", space(g));
    return MT_OK;
}

static mt_rc add_object(struct grammar *g, const struct mt_json *node, unsigned depth,
                        struct mt_buf *body, struct mt_err *err)
{
    struct property list[PROPERTIES_MAX];
    size_t n = 0;

    MT_TRY(gather(g, node, list, &n, depth, err));
    if (n == 0)
        return add_map(g, node, depth, body, err);
    mt_buf_addf(body, " \"{\"%s", space(g));
    MT_TRY(add_members(g, list, n, depth, body, err));
    mt_buf_addf(body, "%s \"}\"", space(g));
    return MT_OK;
}

static mt_rc add_tuple(struct grammar *g, const struct mt_json *items, unsigned depth,
                       struct mt_buf *body, struct mt_err *err)
{
    const char *comma = "";

    mt_buf_addf(body, " \"[\"%s", space(g));
    for (const struct mt_json *item = mt_json_first(items); item != NULL;
         item = mt_json_next(item)) {
        unsigned rule;
        MT_TRY(add_node(g, item, depth + 1, &rule, err));
        if (*comma != '\0')
            mt_buf_addf(body, " \",\"%s", space(g));
        mt_buf_addf(body, " r%u", rule);
        comma = ",";
    }
    mt_buf_addf(body, "%s \"]\"", space(g));
    return MT_OK;
}

static mt_rc add_array(struct grammar *g, const struct mt_json *node, unsigned depth,
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
    (void)get_count(node, "minItems", &min);
    bool has_max = get_count(node, "maxItems", &max);
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
    MT_TRY(add_node(g, items, depth + 1, &rule, err));
    mt_buf_addf(body, " \"[\"%s%s r%u", space(g), min == 0 ? " (" : "", rule);
    if (max != 1) {
        mt_buf_addf(body, " (\",\"%s r%u)", space(g), rule);
        add_repeat(body, min > 0 ? (unsigned)min - 1 : 0, max > 0 ? (unsigned)max - 1 : 0);
    }
    mt_buf_addf(body, "%s%s \"]\"", min == 0 ? ")?" : "", space(g));
    return MT_OK;
}

/* --- any node --- */

static mt_rc add_choice(struct grammar *g, const struct mt_json *list, unsigned depth,
                        struct mt_buf *body, struct mt_err *err)
{
    const char *bar = "";

    if (mt_json_first(list) == NULL)
        return MT_FAIL(err, MT_E_INVALID, "schema: anyOf or oneOf without alternatives");
    for (const struct mt_json *item = mt_json_first(list); item != NULL;
         item = mt_json_next(item)) {
        unsigned rule;
        MT_TRY(add_node(g, item, depth + 1, &rule, err));
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
        add_literal(body, mt_json_raw(item));
        bar = " | ";
    }
    return MT_OK;
}

static mt_rc add_typed(struct grammar *g, const struct mt_json *node,
                       const struct mt_json *type, unsigned depth, struct mt_buf *body,
                       struct mt_err *err)
{
    if (mt_json_is(type, "object"))
        return add_object(g, node, depth, body, err);
    if (mt_json_is(type, "array"))
        return add_array(g, node, depth, body, err);
    if (mt_json_is(type, "integer"))
        return add_integer(node, body, err);
    if (mt_json_is(type, "string"))
        add_string(g, node, body);
    else if (mt_json_is(type, "number"))
        add_number(g, node, body);
    else if (mt_json_is(type, "boolean"))
        mt_buf_add_cstr(body, " (\"true\" | \"false\")");
    else if (mt_json_is(type, "null"))
        mt_buf_add_cstr(body, " \"null\"");
    else
        return MT_FAIL(err, MT_E_INVALID, "schema: unknown type %.*s",
                       MT_STR_ARG(mt_str_sub(mt_json_raw(type), 0, 40)));
    return MT_OK;
}

static mt_rc add_types(struct grammar *g, const struct mt_json *node, unsigned depth,
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
static mt_rc add_untyped(struct grammar *g, const struct mt_json *node, unsigned depth,
                         struct mt_buf *body, struct mt_err *err)
{
    if (mt_json_get(node, "properties") != NULL || mt_json_get(node, "allOf") != NULL ||
        mt_json_get(node, "additionalProperties") != NULL)
        return add_object(g, node, depth, body, err);
    if (mt_json_get(node, "items") != NULL || mt_json_get(node, "prefixItems") != NULL)
        return add_array(g, node, depth, body, err);
    if (mt_json_get(node, "pattern") != NULL || mt_json_get(node, "maxLength") != NULL)
        add_string(g, node, body);
    else
        mt_buf_addf(body, " value%u", free_depth(g));
    return MT_OK;
}

static mt_rc add_body(struct grammar *g, const struct mt_json *node, unsigned depth,
                      struct mt_buf *body, struct mt_err *err)
{
    struct mt_str path;
    const struct mt_json *all = mt_json_get(node, "allOf");

    if (mt_json_str(mt_json_get(node, "$ref"), g->arena, &path))
        return add_ref(g, path, body, err);
    if (mt_json_get(node, "const") != NULL) {
        mt_buf_add_char(body, ' ');
        add_literal(body, mt_json_raw(mt_json_get(node, "const")));
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

static void note_unknown(struct grammar *g, const struct mt_json *node)
{
    static const char *const keys[] = {
        "not",      "if",           "multipleOf", "patternProperties", "dependentRequired",
        "contains", "minProperties"};

    for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++)
        if (mt_json_get(node, keys[i]) != NULL)
            mt_chat_note(g->notes, "schema: %s is not enforced", keys[i]);
}

static mt_rc add_rule(struct grammar *g, const struct mt_json *node, unsigned depth,
                      unsigned rule, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    bool can_be_null = false;

    note_unknown(g, node);
    MT_TRY(add_body(g, node, depth, &body, err));
    if (mt_json_bool(mt_json_get(node, "nullable"), &can_be_null) && can_be_null)
        mt_buf_add_cstr(&body, " | \"null\"");
    return write_rule(g, rule, &body, err);
}

static mt_rc add_node(struct grammar *g, const struct mt_json *node, unsigned depth,
                      unsigned *rule, struct mt_err *err)
{
    bool is_true;

    if (depth > NESTING_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "schema: nested deeper than %d", NESTING_MAX);
    if (node != NULL && mt_json_type(node) != MT_JSON_OBJECT &&
        !(mt_json_bool(node, &is_true) && is_true))
        return MT_FAIL(err, MT_E_INVALID, "schema: expected an object, found %s",
                       mt_json_type_name(mt_json_type(node)));
    MT_TRY(new_rule(g, rule, err));
    return add_rule(g, node, depth, *rule, err);
}

static mt_rc finish_refs(struct grammar *g, struct mt_err *err)
{
    for (; g->refs_done < g->refs_n; g->refs_done++)
        MT_TRY(add_rule(g, g->refs[g->refs_done].node, 0, g->refs[g->refs_done].rule, err));
    return MT_OK;
}

/* The rules that all grammars share, and free JSON down to the depth. */
static void add_common(const struct grammar *g)
{
    struct mt_buf *out = g->out;

    mt_buf_add_cstr(out, "ws ::= \" \"?\n"
                         "char ::= [^\"\\\\\\x00-\\x1F\\x7F] | \"\\\\\" [\"\\\\/bfnrt]\n");
    mt_buf_addf(out, "integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,%d})\n", INTEGER_DIGITS - 1);
    mt_buf_addf(out, "decimal ::= (\"0\" | [1-9] [0-9]{0,%d}) (\".\" [0-9]{1,6})?\n",
                INTEGER_DIGITS - 1);
    mt_buf_add_cstr(out, "number ::= \"-\"? decimal\nstring ::= [\"] char");
    add_repeat(out, 0, g->bounds->string_max);
    mt_buf_add_cstr(out,
                    " [\"]\nvalue0 ::= string | number | \"true\" | \"false\" | \"null\"\n");
    for (unsigned d = 1; d <= free_depth(g); d++) {
        const char *s = space(g);
        mt_buf_addf(
            out,
            "object%u ::= \"{\"%s (string \":\"%s value%u (\",\"%s string \":\"%s value%u)", d,
            s, s, d - 1, s, s, d - 1);
        add_repeat(out, 0, g->bounds->items_max);
        mt_buf_addf(out, ")?%s \"}\"\narray%u ::= \"[\"%s (value%u (\",\"%s value%u)", s, d, s,
                    d - 1, s, d - 1);
        add_repeat(out, 0, g->bounds->items_max);
        mt_buf_addf(out, ")?%s \"]\"\nvalue%u ::= value0 | object%u | array%u\n", s, d, d, d);
    }
}

struct mt_grammar_bounds mt_grammar_bounds_for(int64_t tokens)
{
    if (tokens < 0 || tokens > 4096)
        return (struct mt_grammar_bounds){0};
    unsigned share = (unsigned)tokens / 8;
    return (struct mt_grammar_bounds){
        .string_max = share < 8     ? 8
                      : share > 256 ? 256
                                    : share,
        .items_max = tokens < 1024 ? 4 : 16,
        .depth_max = tokens < 1024 ? 2 : 4,
        .is_compact = true,
    };
}

mt_rc mt_grammar_object(const struct mt_grammar_bounds *bounds, struct mt_buf *out,
                        struct mt_err *err)
{
    struct grammar g = {.bounds = bounds, .out = out};

    add_common(&g);
    mt_buf_addf(out, "root ::= object%u\n", free_depth(&g));
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
static mt_rc add_schema(struct grammar *g, struct mt_str json, unsigned *rule,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(MT_GRAMMAR_BYTES_MAX);
    MT_CLEANUP(schema_fini) struct schema_text schema = {.doc = NULL};

    MT_TRY(schema_read(&schema, json, err));
    g->arena = &arena;
    g->root = schema.root;
    g->refs_n = g->refs_done = 0; /* references are this schema's own */
    MT_TRY(add_node(g, schema.root, 0, rule, err));
    mt_rc rc = finish_refs(g, err);
    g->arena = NULL;
    g->root = NULL;
    return rc;
}

mt_rc mt_grammar_schema(struct mt_str schema_json, const struct mt_grammar_bounds *bounds,
                        struct mt_buf *out, struct mt_chat_notes *notes, struct mt_err *err)
{
    struct grammar g = {.bounds = bounds, .out = out, .notes = notes};
    unsigned rule;

    add_common(&g);
    MT_TRY(add_schema(&g, schema_json, &rule, err));
    mt_buf_addf(out, "root ::= r%u\n", rule);
    return mt_buf_check(out, "grammar", err);
}

static mt_rc add_call(struct grammar *g, const struct mt_chat_tool *tool, size_t nth,
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
    add_literal(g->out, mt_buf_str(&head));
    mt_buf_addf(g->out, " r%u \"}\"\n", rule);
    return MT_OK;
}

mt_rc mt_grammar_calls(const struct mt_grammar_tools *tools,
                       const struct mt_grammar_bounds *bounds, struct mt_buf *out,
                       struct mt_chat_notes *notes, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf calls = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    struct grammar g = {.bounds = bounds, .out = out, .notes = notes};

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
