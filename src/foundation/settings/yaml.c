/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML text as a tree: the door to libyaml.
 *
 * Bounded in bytes, depth, nodes and anchors. An alias shares the tree of its anchor, but
 * counts as if it were a copy, so a file that multiplies itself is refused before anybody walks
 * it. An alias within its own anchor, a second document and tags are refused. */
#include "settings/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    struct mt_str name;
    struct mt_settings_node *node;
    bool is_whole; /* its end has been read */
};

struct frame { /* a map or list that is open */
    struct mt_settings_node *node;
    const struct mt_settings_node *key; /* of a map: read, its value not yet */
    size_t anchor;                      /* index + 1; 0: none */
};

struct reader {
    yaml_parser_t *parser;
    const char *name;
    struct mt_arena *arena;
    struct frame frames[MT_SETTINGS_DEPTH_MAX];
    size_t depth;
    struct anchor anchors[MT_SETTINGS_ANCHORS_MAX];
    size_t anchors_n;
    size_t nodes_n;
    struct mt_settings_node *root;
};

mt_rc mt_settings_fail_at(struct mt_err *err, const char *name, unsigned line, unsigned column,
                          const char *format, ...)
{
    enum { NAME_SHOWN = 80 };
    char words[MT_ERR_TEXT_MAX];
    size_t len = strlen(name);
    bool is_cut = len > NAME_SHOWN; /* the end of a path says more than its beginning */
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return MT_FAIL(err, MT_E_INVALID, "%s%s:%u:%u: %s", is_cut ? "..." : "",
                   is_cut ? name + len - NAME_SHOWN : name, line, column, words);
}

static mt_rc fail_mark(struct reader *r, const yaml_mark_t *mark, const char *words,
                       struct mt_err *err)
{
    return mt_settings_fail_at(err, r->name, (unsigned)mark->line + 1,
                               (unsigned)mark->column + 1, "%s", words);
}

static struct mt_str text_of(const yaml_char_t *at, size_t len)
{
    return (struct mt_str){(const char *)at, len};
}

static struct mt_str name_of(const yaml_char_t *at)
{
    return mt_str_of((const char *)at);
}

/* Count nodes that a walk of the tree will meet. */
static mt_rc count(struct reader *r, size_t nodes_n, const yaml_mark_t *mark,
                   struct mt_err *err)
{
    if (nodes_n > MT_SETTINGS_NODES_MAX - r->nodes_n)
        return fail_mark(r, mark, "too many values, those of aliases counted", err);
    r->nodes_n += nodes_n;
    return MT_OK;
}

static mt_rc node_new(struct reader *r, const yaml_event_t *event,
                      enum mt_settings_node_kind kind, struct mt_settings_node **out,
                      struct mt_err *err)
{
    MT_TRY(count(r, 1, &event->start_mark, err));
    struct mt_settings_node *node = mt_arena_get(r->arena, 1, sizeof *node);
    if (node == NULL)
        return mt_arena_fail(r->arena, err);
    node->kind = kind;
    node->line = (unsigned)event->start_mark.line + 1;
    node->column = (unsigned)event->start_mark.column + 1;
    node->size = 1;
    *out = node;
    return MT_OK;
}

/* Hang a whole value where it belongs: into the innermost map or list, or at the root. */
static mt_rc attach(struct reader *r, struct mt_settings_node *node, struct mt_err *err)
{
    if (r->depth == 0) {
        r->root = node;
        return MT_OK;
    }
    struct frame *frame = &r->frames[r->depth - 1];
    frame->node->size += node->size;
    if (frame->node->kind == MT_SETTINGS_MAP_NODE && frame->key == NULL) {
        if (node->kind != MT_SETTINGS_SCALAR_NODE)
            return mt_settings_fail_at(err, r->name, node->line, node->column,
                                       "expected a key, found a list or a map");
        frame->key = node;
        return MT_OK;
    }
    struct mt_settings_entry *entry = mt_arena_get(r->arena, 1, sizeof *entry);
    if (entry == NULL)
        return mt_arena_fail(r->arena, err);
    *entry = (struct mt_settings_entry){.key = frame->key, .value = node};
    frame->key = NULL;
    if (frame->node->last != NULL)
        frame->node->last->next = entry;
    else
        frame->node->first = entry;
    frame->node->last = entry;
    return MT_OK;
}

static mt_rc anchor_add(struct reader *r, const yaml_char_t *name,
                        struct mt_settings_node *node, bool is_whole, const yaml_mark_t *mark,
                        struct mt_err *err)
{
    if (name == NULL)
        return MT_OK;
    if (r->anchors_n == MT_SETTINGS_ANCHORS_MAX)
        return fail_mark(r, mark, "too many anchors", err);
    struct mt_str kept = mt_arena_str(r->arena, name_of(name));
    if (kept.at == NULL)
        return mt_arena_fail(r->arena, err);
    r->anchors[r->anchors_n++] = (struct anchor){kept, node, is_whole};
    return MT_OK;
}

static mt_rc on_alias(struct reader *r, const yaml_event_t *event, struct mt_err *err)
{
    struct mt_str name = name_of(event->data.alias.anchor);

    for (size_t i = r->anchors_n; i > 0; i--) { /* the last of a name counts */
        struct anchor *anchor = &r->anchors[i - 1];
        if (!mt_str_eq(anchor->name, name))
            continue;
        if (!anchor->is_whole)
            return fail_mark(r, &event->start_mark, "alias within its own anchor", err);
        MT_TRY(count(r, anchor->node->size, &event->start_mark, err));
        return attach(r, anchor->node, err);
    }
    return fail_mark(r, &event->start_mark, "alias of an anchor that is not there", err);
}

static bool is_null_word(struct mt_str text)
{
    return text.len == 0 || mt_str_is(text, "~") || mt_str_is(text, "null");
}

static mt_rc on_scalar(struct reader *r, const yaml_event_t *event, struct mt_err *err)
{
    struct mt_settings_node *node;
    struct mt_str text = text_of(event->data.scalar.value, event->data.scalar.length);

    if (event->data.scalar.tag != NULL)
        return fail_mark(r, &event->start_mark, "tags are not supported", err);
    MT_TRY(node_new(r, event, MT_SETTINGS_SCALAR_NODE, &node, err));
    node->text = mt_arena_str(r->arena, text);
    if (node->text.at == NULL)
        return mt_arena_fail(r->arena, err);
    node->is_null = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null_word(text);
    MT_TRY(anchor_add(r, event->data.scalar.anchor, node, true, &event->start_mark, err));
    return attach(r, node, err);
}

static mt_rc on_open(struct reader *r, const yaml_event_t *event,
                     enum mt_settings_node_kind kind, const yaml_char_t *anchor,
                     const yaml_char_t *tag, struct mt_err *err)
{
    struct mt_settings_node *node;

    if (tag != NULL)
        return fail_mark(r, &event->start_mark, "tags are not supported", err);
    if (r->depth == MT_SETTINGS_DEPTH_MAX)
        return fail_mark(r, &event->start_mark, "nested too deep", err);
    MT_TRY(node_new(r, event, kind, &node, err));
    MT_TRY(anchor_add(r, anchor, node, false, &event->start_mark, err));
    r->frames[r->depth++] =
        (struct frame){.node = node, .anchor = anchor != NULL ? r->anchors_n : 0};
    return MT_OK;
}

static mt_rc on_close(struct reader *r, struct mt_err *err)
{
    struct frame *frame = &r->frames[--r->depth];

    if (frame->anchor > 0)
        r->anchors[frame->anchor - 1].is_whole = true;
    return attach(r, frame->node, err);
}

static mt_rc on_event(struct reader *r, const yaml_event_t *event, struct mt_err *err)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->root != NULL)
            return fail_mark(r, &event->start_mark, "a second document, expected one", err);
        return MT_OK;
    case YAML_ALIAS_EVENT:
        return on_alias(r, event, err);
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event, err);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, event, MT_SETTINGS_LIST_NODE, event->data.sequence_start.anchor,
                       event->data.sequence_start.tag, err);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, event, MT_SETTINGS_MAP_NODE, event->data.mapping_start.anchor,
                       event->data.mapping_start.tag, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(r, err);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return MT_OK;
}

static mt_rc fail_parser(const struct reader *r, struct mt_err *err)
{
    const yaml_parser_t *parser = r->parser;
    const char *words = parser->problem != NULL ? parser->problem : "not YAML";

    if (parser->error == YAML_MEMORY_ERROR)
        return MT_FAIL(err, MT_E_NOMEM, "%s", r->name);
    if (parser->error == YAML_READER_ERROR)
        return MT_FAIL(err, MT_E_INVALID, "%s: byte %zu: %s", r->name, parser->problem_offset,
                       words);
    return mt_settings_fail_at(err, r->name, (unsigned)parser->problem_mark.line + 1,
                               (unsigned)parser->problem_mark.column + 1, "%s", words);
}

static mt_rc read_all(struct reader *r, struct mt_err *err)
{
    for (bool is_end = false; !is_end;) {
        yaml_event_t event;

        if (yaml_parser_parse(r->parser, &event) == 0)
            return fail_parser(r, err);
        is_end = event.type == YAML_STREAM_END_EVENT;
        mt_rc rc = on_event(r, &event, err);
        yaml_event_delete(&event);
        MT_TRY(rc);
    }
    return MT_OK;
}

mt_rc mt_settings_yaml(struct mt_str text, const char *name, struct mt_arena *arena,
                       const struct mt_settings_node **root, struct mt_err *err)
{
    yaml_parser_t parser;

    if (text.len > MT_SETTINGS_FILE_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "%s: over the limit of %d bytes", name,
                       MT_SETTINGS_FILE_MAX);
    struct reader *r = mt_arena_get(arena, 1, sizeof *r);
    if (r == NULL)
        return mt_arena_fail(arena, err);
    if (yaml_parser_initialize(&parser) == 0)
        return MT_FAIL(err, MT_E_NOMEM, "%s", name);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    const char *at = text.at != NULL ? text.at : ""; /* libyaml insists */
    yaml_parser_set_input_string(&parser, (const unsigned char *)at, text.len);
    r->parser = &parser;
    r->name = name;
    r->arena = arena;
    mt_rc rc = read_all(r, err);
    yaml_parser_delete(&parser);
    MT_TRY(rc);
    *root = r->root;
    return MT_OK;
}
