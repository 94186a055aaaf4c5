/* SPDX-License-Identifier: Apache-2.0 */
/* An object as YAML or JSON by its table, and what differs between two. Pure. */
#include "settings/show.h"

#include <string.h>

#include "settings/yaml.h"
#include "wire/json_writer.h"

static bool is_alias_of_another(const struct mt_settings_key *key)
{
    return (key->flags & (MT_SETTINGS_FROM_ENV | MT_SETTINGS_FROM_FILE)) != 0;
}

/* A value's text; what is secret only whether it is there. */
static bool value_text(const struct mt_settings_key *key, const void *object,
                       struct mt_buf *out)
{
    union mt_settings_value value = mt_settings_get(key, object);

    if ((key->flags & MT_SETTINGS_SECRET) != 0) {
        if (value.text.len > 0)
            mt_buf_add_cstr(out, "(set)");
        return value.text.len > 0;
    }
    mt_settings_format(key, &value, out);
    return out->len > 0;
}

/* ------------------------------------------------------------------ JSON */

struct json {
    struct mt_jw w;
    const struct mt_settings_show *show;
};

static void json_group(struct json *j, const struct mt_settings_group *group,
                       const void *object, const struct mt_settings_origin *origins);

static void json_list(struct json *j, const struct mt_settings_key *key, const void *object,
                      const struct mt_settings_origin *origin)
{
    struct mt_settings_list list = mt_settings_get_list(key, object);

    mt_jw_array(&j->w);
    for (size_t i = 0; i < list.n; i++) {
        if (key->type == MT_SETTINGS_TEXTS)
            mt_jw_str(&j->w, ((const struct mt_str *)list.at)[i]);
        else if (key->type == MT_SETTINGS_HEADERS)
            mt_jw_str(&j->w, ((const struct mt_settings_header *)list.at)[i].name);
        else
            json_group(j, key->items, (const char *)list.at + i * key->items->size,
                       origin != NULL && origin->items != NULL ? origin->items[i] : NULL);
    }
    mt_jw_end(&j->w);
}

static void json_value(struct json *j, const struct mt_settings_key *key, const void *object,
                       const struct mt_settings_origin *origin)
{
    struct mt_buf text = MT_BUF_INIT(MT_SETTINGS_FILE_MAX);

    if (!mt_settings_is_scalar(key)) {
        json_list(j, key, object, origin);
    } else if (key->type == MT_SETTINGS_BOOL) {
        mt_jw_bool(&j->w, mt_settings_get(key, object).is_true);
    } else if (!value_text(key, object, &text) && text.rc == MT_OK) {
        mt_jw_null(&j->w);
    } else {
        mt_jw_str(&j->w, mt_buf_str(&text));
    }
    if (text.rc != MT_OK)
        j->w.buf->rc = text.rc;
    mt_buf_fini(&text);
}

static void json_key(struct json *j, const struct mt_settings_key *key, const void *object,
                     const struct mt_settings_origin *origin)
{
    struct mt_buf from = MT_BUF_INIT(8192);

    mt_jw_key(&j->w, mt_settings_last(key));
    if (j->show->say_origin == NULL) {
        json_value(j, key, object, origin);
        return;
    }
    j->show->say_origin(j->show->context, key, origin, &from);
    mt_jw_object(&j->w);
    mt_jw_key(&j->w, "value");
    json_value(j, key, object, origin);
    mt_jw_kstr(&j->w, "origin", mt_buf_str(&from));
    mt_jw_end(&j->w);
    mt_buf_fini(&from);
}

static void json_group(struct json *j, const struct mt_settings_group *group,
                       const void *object, const struct mt_settings_origin *origins)
{
    struct mt_str section = {0};

    mt_jw_object(&j->w);
    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];
        struct mt_str next = mt_settings_section(key);

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
    const struct mt_settings_show *show;
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

static void yaml_texts(struct mt_buf *out, const struct mt_settings_key *key,
                       struct mt_settings_list list)
{
    const struct mt_str *texts = list.at;
    const struct mt_settings_header *headers = list.at;

    mt_buf_add_char(out, key->type == MT_SETTINGS_TEXTS ? '[' : '{');
    for (size_t i = 0; i < list.n; i++) {
        if (i > 0)
            mt_buf_add_cstr(out, ", ");
        yaml_text(out, key->type == MT_SETTINGS_TEXTS ? texts[i] : headers[i].name);
        if (key->type == MT_SETTINGS_HEADERS)
            mt_buf_add_cstr(out, ": (set)");
    }
    mt_buf_add_char(out, key->type == MT_SETTINGS_TEXTS ? ']' : '}');
}

static void indent(struct mt_buf *out, unsigned by)
{
    mt_buf_addf(out, "%*s", (int)by, "");
}

static void yaml_group(struct yaml *y, const struct mt_settings_group *group,
                       const void *object, const struct mt_settings_origin *origins,
                       unsigned by, bool is_item);

static void yaml_items(struct yaml *y, const struct mt_settings_key *key,
                       struct mt_settings_list list, const struct mt_settings_origin *origin,
                       unsigned by)
{
    mt_buf_add_char(y->out, '\n');
    for (size_t i = 0; i < list.n; i++)
        yaml_group(y, key->items, (const char *)list.at + i * key->items->size,
                   origin != NULL && origin->items != NULL ? origin->items[i] : NULL, by, true);
}

static void yaml_origin(struct yaml *y, const struct mt_settings_key *key,
                        const struct mt_settings_origin *origin)
{
    if (y->show->say_origin == NULL)
        return;
    mt_buf_add_cstr(y->out, "  # ");
    y->show->say_origin(y->show->context, key, origin, y->out);
}

/* A key and its value; keys of items that say nothing are left out. False then. */
static bool yaml_key(struct yaml *y, const struct mt_settings_key *key, const void *object,
                     const struct mt_settings_origin *origin, unsigned by, const char *lead)
{
    struct mt_buf text = MT_BUF_INIT(MT_SETTINGS_FILE_MAX);
    struct mt_settings_list list = {0};
    bool is_there;

    if (mt_settings_is_scalar(key)) {
        is_there = value_text(key, object, &text);
    } else {
        list = mt_settings_get_list(key, object);
        is_there = list.n > 0;
    }
    if (is_there) {
        indent(y->out, by);
        mt_buf_addf(y->out, "%s%s: ", lead, mt_settings_last(key));
        if (key->type == MT_SETTINGS_ITEMS) {
            mt_buf_cut(y->out, y->out->len - 1);
            yaml_items(y, key, list, origin, by + 2 + (unsigned)strlen(lead));
        } else {
            if (mt_settings_is_scalar(key))
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

static void yaml_group(struct yaml *y, const struct mt_settings_group *group,
                       const void *object, const struct mt_settings_origin *origins,
                       unsigned by, bool is_item)
{
    struct mt_str section = {0};
    const char *lead = is_item ? "- " : "";

    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];
        struct mt_str next = mt_settings_section(key);

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

void mt_settings_show_yaml(const struct mt_settings_show *show, struct mt_buf *out)
{
    struct yaml y = {out, show};

    yaml_group(&y, show->group, show->object, show->origins, 0, false);
}

void mt_settings_show_json(const struct mt_settings_show *show, struct mt_buf *out)
{
    struct json j = {.show = show};

    mt_jw_begin(&j.w, out);
    json_group(&j, show->group, show->object, show->origins);
    mt_buf_add_char(out, '\n');
}

static void key_text(const struct mt_settings_key *key, const void *object, struct mt_buf *out)
{
    static const struct mt_settings_show bare;
    struct yaml y = {out, &bare};

    mt_buf_clear(out);
    (void)yaml_key(&y, key, object, NULL, 0, "");
}

void mt_settings_differ(const struct mt_settings_group *group, enum mt_settings_flag flag,
                        const void *old, const void *now, struct mt_buf *names)
{
    struct mt_buf before = MT_BUF_INIT(MT_SETTINGS_FILE_MAX);
    struct mt_buf after = MT_BUF_INIT(MT_SETTINGS_FILE_MAX);

    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];

        if ((key->flags & (unsigned)flag) == 0)
            continue;
        key_text(key, old, &before);
        key_text(key, now, &after);
        if (!mt_str_eq(mt_buf_str(&before), mt_buf_str(&after)))
            mt_buf_addf(names, "%s%s", names->len > 0 ? ", " : "", key->name);
    }
    mt_buf_fini(&before);
    mt_buf_fini(&after);
}
