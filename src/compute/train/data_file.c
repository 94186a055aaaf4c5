/* SPDX-License-Identifier: Apache-2.0 */
#include "data_file.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "system/file.h"
#include "train/vocab.h"
#include "wire/json.h"

/* A file on its way in. */
struct reader {
    const char *path;
    size_t line; /* from 1 */
    uint32_t context_n;
    int32_t *tokens; /* [context_n] to see whether a pair fits */
    struct mt_json_doc *doc;
    struct mt_arena arena; /* strings that had escapes, of one line */
    struct mt_buf kept;    /* prompts and answers, one behind the other */
    size_t *lens;          /* [2 pairs_max] of them */
    size_t pairs_n, pairs_max;
};

static mt_rc fail_line(const struct reader *r, struct mt_err *err, const char *words)
{
    return MT_FAIL(err, MT_E_INVALID, "%s:%zu: %s", r->path, r->line, words);
}

static mt_rc take_string(struct reader *r, const struct mt_json *object, const char *name,
                         struct mt_str *out, struct mt_err *err)
{
    const struct mt_json *value = mt_json_get(object, name);

    if (mt_json_type(value) != MT_JSON_STRING)
        return MT_FAIL(err, MT_E_INVALID, "%s:%zu: expected a string '%s', found %s", r->path,
                       r->line, name,
                       value != NULL ? mt_json_type_name(mt_json_type(value)) : "none");
    if (!mt_json_str(value, &r->arena, out))
        return mt_arena_fail(&r->arena, err);
    if (out->len == 0)
        return MT_FAIL(err, MT_E_INVALID, "%s:%zu: '%s' is empty", r->path, r->line, name);
    return MT_OK;
}

static mt_rc refuse_others(const struct reader *r, const struct mt_json *object,
                           struct mt_err *err)
{
    const struct mt_json *member = mt_json_first(object);

    for (; member != NULL; member = mt_json_next(member)) {
        struct mt_str key = mt_json_key(member);
        if (!mt_json_key_is(member, "prompt") && !mt_json_key_is(member, "answer"))
            return MT_FAIL(err, MT_E_INVALID,
                           "%s:%zu: unknown key '%.*s', expected prompt and answer", r->path,
                           r->line, (int)(key.len > 40 ? 40 : key.len), key.at);
    }
    return MT_OK;
}

static mt_rc check_tokens(const struct reader *r, const struct mt_data_pair *pair,
                          struct mt_err *err)
{
    uint32_t prompt_n = mt_vocab_prompt(pair->prompt, r->tokens, r->context_n);
    uint32_t answer_n = prompt_n == 0 ? 0
                                      : mt_vocab_answer(pair->answer, r->tokens + prompt_n,
                                                        r->context_n - prompt_n);

    if (answer_n == 0)
        return MT_FAIL(err, MT_E_INVALID,
                       "%s:%zu: longer than the context of %u tokens, with %zu bytes", r->path,
                       r->line, r->context_n, pair->prompt.len + pair->answer.len);
    return MT_OK;
}

static mt_rc keep(struct reader *r, const struct mt_data_pair *pair, struct mt_err *err)
{
    if (r->pairs_n == MT_DATA_LINES_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "%s: more than %d lines", r->path, MT_DATA_LINES_MAX);
    if (r->pairs_n == r->pairs_max) {
        size_t max = r->pairs_max > 0 ? 2 * r->pairs_max : 256;
        size_t *lens = mt_realloc(r->lens, 2 * max, sizeof *lens);
        if (lens == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "%s: %zu lines", r->path, max);
        r->lens = lens;
        r->pairs_max = max;
    }
    r->lens[2 * r->pairs_n] = pair->prompt.len;
    r->lens[2 * r->pairs_n + 1] = pair->answer.len;
    r->pairs_n++;
    mt_buf_add(&r->kept, pair->prompt);
    mt_buf_add(&r->kept, pair->answer);
    return mt_buf_check(&r->kept, r->path, err);
}

static mt_rc take_line(struct reader *r, struct mt_str line, struct mt_err *err)
{
    const struct mt_json *object;
    struct mt_data_pair pair;
    struct mt_err why = {0};

    mt_rc rc = mt_json_parse(r->doc, line, &object, &why);
    if (rc == MT_E_INVALID)
        return fail_line(r, err, why.text);
    if (rc != MT_OK)
        return MT_FAIL(err, rc, "%s:%zu: %s", r->path, r->line, why.text);
    if (mt_json_type(object) != MT_JSON_OBJECT)
        return MT_FAIL(err, MT_E_INVALID, "%s:%zu: expected an object, found %s", r->path,
                       r->line, mt_json_type_name(mt_json_type(object)));
    MT_TRY(refuse_others(r, object, err));
    MT_TRY(take_string(r, object, "prompt", &pair.prompt, err));
    MT_TRY(take_string(r, object, "answer", &pair.answer, err));
    MT_TRY(check_tokens(r, &pair, err));
    return keep(r, &pair, err);
}

static mt_rc take_lines(struct reader *r, struct mt_str text, struct mt_err *err)
{
    while (text.len > 0) {
        struct mt_str line = mt_str_trim(mt_str_take(&text, '\n'));

        r->line++;
        if (line.len == 0)
            continue;
        mt_arena_clear(&r->arena);
        MT_TRY(take_line(r, line, err));
    }
    if (r->pairs_n == 0)
        return MT_FAIL(err, MT_E_INVALID, "%s: expected lines, found none", r->path);
    return MT_OK;
}

static mt_rc publish(struct reader *r, struct mt_data_file *out, struct mt_err *err)
{
    struct mt_data_pair *pairs = mt_alloc(r->pairs_n, sizeof *pairs);
    const char *at = r->kept.at;

    if (pairs == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%s: %zu lines", r->path, r->pairs_n);
    for (size_t i = 0; i < r->pairs_n; i++) {
        pairs[i].prompt = (struct mt_str){at, r->lens[2 * i]};
        at += pairs[i].prompt.len;
        pairs[i].answer = (struct mt_str){at, r->lens[2 * i + 1]};
        at += pairs[i].answer.len;
    }
    out->pairs = pairs;
    out->pairs_n = r->pairs_n;
    return MT_OK;
}

static mt_rc prepare(struct reader *r, struct mt_err *err)
{
    r->tokens = mt_alloc(r->context_n, sizeof *r->tokens);
    if (r->tokens == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%s", r->path);
    mt_arena_init(&r->arena, MT_DATA_FILE_MAX);
    mt_buf_init(&r->kept, MT_DATA_FILE_MAX);
    return mt_json_doc_new(&r->doc, err);
}

static void reader_fini(struct reader *r)
{
    mt_free(r->tokens);
    mt_free(r->lens);
    mt_json_doc_free(r->doc);
    mt_arena_fini(&r->arena);
    mt_buf_fini(&r->kept);
}

mt_rc mt_data_file_read(const char *path, uint32_t context_n, struct mt_data_file *out,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(MT_DATA_FILE_MAX);
    MT_CLEANUP(reader_fini)
    struct reader r = {.path = path, .context_n = context_n};

    MT_TRY(mt_file_read(path, MT_DATA_FILE_MAX, &text, err));
    MT_TRY(prepare(&r, err));
    MT_TRY(take_lines(&r, mt_buf_str(&text), err));
    MT_TRY(publish(&r, out, err));
    out->checksum = mt_str_hash(mt_buf_str(&text), 0);
    out->kept = r.kept; /* the pairs point into it */
    r.kept = (struct mt_buf)MT_BUF_INIT(0);
    return MT_OK;
}

void mt_data_file_fini(struct mt_data_file *file)
{
    mt_free((void *)(uintptr_t)file->pairs);
    mt_buf_fini(&file->kept);
    *file = (struct mt_data_file){0};
}
