/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as text: `motet config show`, and what a reload cannot change. */
#include "config_priv.h"

#include <string.h>

#include "wire/json_writer.h"

static bool is_alias_of_another(const struct mt_config__key *key)
{
    return (key->flags & (KEY_FROM_ENV | KEY_FROM_FILE)) != 0;
}

static struct mt_str section_of(const struct mt_config__key *key)
{
    struct mt_str name = mt_str_of(key->name);
    size_t dot = mt_str_find_char(name, '.');

    return mt_str_sub(name, 0, dot < name.len ? dot : 0);
}

static const char *last_of(const struct mt_config__key *key)
{
    struct mt_str section = section_of(key);

    return section.len > 0 ? key->name + section.len + 1 : key->name;
}

/* What was added to a snapshot has no origins: it was found around the node. */
static void origin_text(const struct mt_config *config, const struct mt_config__key *key,
                        const struct mt_config__origin *origin, struct mt_buf *out)
{
    char env[MT_CONFIG__ENV_MAX];

    switch (origin != NULL ? origin->source : FROM_ELSEWHERE) {
    case FROM_DEFAULT:
        mt_buf_add_cstr(out, "default");
        return;
    case FROM_FILE:
        mt_buf_addf(out, "%.*s:%u", MT_STR_ARG(config->file), origin->line);
        return;
    case FROM_ENV:
        mt_config__env_name(key, env);
        mt_buf_addf(out, "environment, %s", env);
        return;
    case FROM_FLAG:
        mt_buf_addf(out, "flag, --%s", key->name);
        return;
    case FROM_ELSEWHERE:
        mt_buf_add_cstr(out, "found");
        return;
    }
}

/* A value's text; what is secret only whether it is there. */
static bool value_text(const struct mt_config__key *key, const void *object, struct mt_buf *out)
{
    union mt_config__value value = mt_config__get(key, object);

    if ((key->flags & KEY_SECRET) != 0) {
        if (value.text.len > 0)
            mt_buf_add_cstr(out, "(set)");
        return value.text.len > 0;
    }
    mt_config__format(key, &value, out);
    return out->len > 0;
}

/* ------------------------------------------------------------------ JSON */

struct json {
    struct mt_jw w;
    const struct mt_config *config;
    bool with_origins;
};

static void json_group(struct json *j, const struct mt_config__group *group, const void *object,
                       const struct mt_config__origin *origins);

static void json_list(struct json *j, const struct mt_config__key *key, const void *object,
                      const struct mt_config__origin *origin)
{
    struct mt_config__list list = mt_config__get_list(key, object);

    mt_jw_array(&j->w);
    for (size_t i = 0; i < list.n; i++) {
        if (key->type == TYPE_TEXTS)
            mt_jw_str(&j->w, ((const struct mt_str *)list.at)[i]);
        else if (key->type == TYPE_HEADERS)
            mt_jw_str(&j->w, ((const struct mt_config_header *)list.at)[i].name);
        else
            json_group(j, key->items, (const char *)list.at + i * key->items->size,
                       origin != NULL && origin->items != NULL ? origin->items[i] : NULL);
    }
    mt_jw_end(&j->w);
}

static void json_value(struct json *j, const struct mt_config__key *key, const void *object,
                       const struct mt_config__origin *origin)
{
    struct mt_buf text = MT_BUF_INIT(MT_CONFIG__FILE_MAX);

    if (!mt_config__is_scalar(key)) {
        json_list(j, key, object, origin);
    } else if (key->type == TYPE_BOOL) {
        mt_jw_bool(&j->w, mt_config__get(key, object).is_true);
    } else if (!value_text(key, object, &text) && text.rc == MT_OK) {
        mt_jw_null(&j->w);
    } else {
        mt_jw_str(&j->w, mt_buf_str(&text));
    }
    if (text.rc != MT_OK)
        j->w.buf->rc = text.rc;
    mt_buf_fini(&text);
}

static void json_key(struct json *j, const struct mt_config__key *key, const void *object,
                     const struct mt_config__origin *origin)
{
    struct mt_buf from = MT_BUF_INIT(8192);

    mt_jw_key(&j->w, last_of(key));
    if (!j->with_origins) {
        json_value(j, key, object, origin);
        return;
    }
    origin_text(j->config, key, origin, &from);
    mt_jw_object(&j->w);
    mt_jw_key(&j->w, "value");
    json_value(j, key, object, origin);
    mt_jw_kstr(&j->w, "origin", mt_buf_str(&from));
    mt_jw_end(&j->w);
    mt_buf_fini(&from);
}

static void json_group(struct json *j, const struct mt_config__group *group, const void *object,
                       const struct mt_config__origin *origins)
{
    struct mt_str section = {0};

    mt_jw_object(&j->w);
    for (size_t i = 0; i < group->n; i++) {
        const struct mt_config__key *key = &group->keys[i];
        struct mt_str next = section_of(key);

        if (is_alias_of_another(key))
            continue;
        if (!mt_str_eq(section, next)) {
            if (section.len > 0)
                mt_jw_end(&j->w);
            if (next.len > 0) {
                mt_jw_key_str(&j->w, next);
                mt_jw_object(&j->w);
            }
            section = next;
        }
        json_key(j, key, object, origins != NULL ? &origins[i] : NULL);
    }
    if (section.len > 0)
        mt_jw_end(&j->w);
    mt_jw_end(&j->w);
}

/* ------------------------------------------------------------------ YAML */

struct yaml {
    struct mt_buf *out;
    const struct mt_config *config;
    bool with_origins;
};

/* Plain when nothing in it could be read as something else. */
static bool is_plain(struct mt_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c >= '0' && c <= '9') || (c != '\0' && strchr("/_.", c) != NULL) ||
                       (i > 0 && (c == '-' || (c == ':' && i + 1 < text.len)));
        if (!is_safe)
            return false;
    }
    return text.len > 0 && !mt_str_is(text, "null");
}

static void yaml_text(struct mt_buf *out, struct mt_str text)
{
    if (is_plain(text)) {
        mt_buf_add(out, text);
        return;
    }
    mt_buf_add_char(out, '"');
    mt_json_escape(out, text); /* JSON's strings are YAML's */
    mt_buf_add_char(out, '"');
}

static void yaml_texts(struct mt_buf *out, const struct mt_config__key *key,
                       struct mt_config__list list)
{
    const struct mt_str *texts = list.at;
    const struct mt_config_header *headers = list.at;

    mt_buf_add_char(out, key->type == TYPE_TEXTS ? '[' : '{');
    for (size_t i = 0; i < list.n; i++) {
        if (i > 0)
            mt_buf_add_cstr(out, ", ");
        yaml_text(out, key->type == TYPE_TEXTS ? texts[i] : headers[i].name);
        if (key->type == TYPE_HEADERS)
            mt_buf_add_cstr(out, ": (set)");
    }
    mt_buf_add_char(out, key->type == TYPE_TEXTS ? ']' : '}');
}

static void indent(struct mt_buf *out, unsigned by)
{
    mt_buf_addf(out, "%*s", (int)by, "");
}

static void yaml_group(struct yaml *y, const struct mt_config__group *group, const void *object,
                       const struct mt_config__origin *origins, unsigned by, bool is_item);

static void yaml_items(struct yaml *y, const struct mt_config__key *key,
                       struct mt_config__list list, const struct mt_config__origin *origin,
                       unsigned by)
{
    mt_buf_add_char(y->out, '\n');
    for (size_t i = 0; i < list.n; i++)
        yaml_group(y, key->items, (const char *)list.at + i * key->items->size,
                   origin != NULL && origin->items != NULL ? origin->items[i] : NULL, by, true);
}

static void yaml_origin(struct yaml *y, const struct mt_config__key *key,
                        const struct mt_config__origin *origin)
{
    if (!y->with_origins)
        return;
    mt_buf_add_cstr(y->out, "  # ");
    origin_text(y->config, key, origin, y->out);
}

/* A key and its value; keys of items that say nothing are left out. False then. */
static bool yaml_key(struct yaml *y, const struct mt_config__key *key, const void *object,
                     const struct mt_config__origin *origin, unsigned by, const char *lead)
{
    struct mt_buf text = MT_BUF_INIT(MT_CONFIG__FILE_MAX);
    struct mt_config__list list = {0};
    bool is_there;

    if (mt_config__is_scalar(key)) {
        is_there = value_text(key, object, &text);
    } else {
        list = mt_config__get_list(key, object);
        is_there = list.n > 0;
    }
    if (is_there) {
        indent(y->out, by);
        mt_buf_addf(y->out, "%s%s: ", lead, last_of(key));
        if (key->type == TYPE_ITEMS) {
            mt_buf_cut(y->out, y->out->len - 1);
            yaml_items(y, key, list, origin, by + 2 + (unsigned)strlen(lead));
        } else {
            if (mt_config__is_scalar(key))
                yaml_text(y->out, mt_buf_str(&text));
            else
                yaml_texts(y->out, key, list);
            yaml_origin(y, key, origin);
            mt_buf_add_char(y->out, '\n');
        }
    }
    if (text.rc != MT_OK)
        y->out->rc = text.rc;
    mt_buf_fini(&text);
    return is_there;
}

static void yaml_group(struct yaml *y, const struct mt_config__group *group, const void *object,
                       const struct mt_config__origin *origins, unsigned by, bool is_item)
{
    struct mt_str section = {0};
    const char *lead = is_item ? "- " : "";

    for (size_t i = 0; i < group->n; i++) {
        const struct mt_config__key *key = &group->keys[i];
        struct mt_str next = section_of(key);

        if (is_alias_of_another(key))
            continue;
        if (next.len > 0 && !mt_str_eq(section, next))
            mt_buf_addf(y->out, "%.*s:\n", MT_STR_ARG(next));
        section = next;
        if (yaml_key(y, key, object, origins != NULL ? &origins[i] : NULL,
                     by + (next.len > 0 ? 2 : 0), lead) &&
            is_item && lead[0] != '\0') {
            lead = ""; /* only the first line of an item has the dash */
            by += 2;
        }
    }
}

mt_rc mt_config_show(const struct mt_config *config, enum mt_config_format format,
                     bool with_origins, struct mt_buf *out, struct mt_err *err)
{
    const struct mt_config__origin *origins = mt_config__snapshot_of(config)->origins;

    if (format == MT_CONFIG_JSON) {
        struct json j = {.config = config, .with_origins = with_origins};
        mt_jw_begin(&j.w, out);
        json_group(&j, &mt_config__root, config, origins);
        mt_buf_add_char(out, '\n');
    } else {
        struct yaml y = {out, config, with_origins};
        yaml_group(&y, &mt_config__root, config, origins, 0, false);
    }
    return mt_buf_check(out, "configuration", err);
}

void mt_config_unreloadable(const struct mt_config *old, const struct mt_config *now,
                            struct mt_buf *names)
{
    struct mt_buf before = MT_BUF_INIT(16 * 1024);
    struct mt_buf after = MT_BUF_INIT(16 * 1024);

    for (size_t i = 0; i < mt_config__root.n; i++) {
        const struct mt_config__key *key = &mt_config__root.keys[i];
        union mt_config__value a = mt_config__get(key, old);
        union mt_config__value b = mt_config__get(key, now);

        if ((key->flags & KEY_FIXED) == 0)
            continue;
        mt_buf_clear(&before);
        mt_buf_clear(&after);
        mt_config__format(key, &a, &before);
        mt_config__format(key, &b, &after);
        if (!mt_str_eq(mt_buf_str(&before), mt_buf_str(&after)))
            mt_buf_addf(names, "%s%s", names->len > 0 ? ", " : "", key->name);
    }
    mt_buf_fini(&before);
    mt_buf_fini(&after);
}
