/* SPDX-License-Identifier: Apache-2.0 */
#include "run_priv.h"

#include <string.h>

#include "wire/json.h"
#include "wire/json_writer.h"

enum { FORMAT = 2, ARENA_MAX = 8 * 1024 * 1024, NAMES_MAX = 4096 };

/* Numbers of 64 bits as text: a number of JSON has 53. */
static void add_u64(struct mt_jw *w, const char *name, uint64_t value)
{
    char text[24];
    size_t at = sizeof text;

    do
        text[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    mt_jw_kstr(w, name, (struct mt_str){text + at, sizeof text - at});
}

void mt_run__state_write(const struct mt_run__state *state, const struct mt_recipe *recipe,
                         struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_ki64(&w, "format", FORMAT);
    mt_jw_kstr(&w, "recipe", recipe->text);
    mt_jw_kstr(&w, "folder", recipe->folder);
    mt_jw_ki64(&w, "steps", (int64_t)state->steps);
    mt_jw_ki64(&w, "position", (int64_t)state->position);
    mt_jw_ki64(&w, "tokens", (int64_t)state->tokens);
    mt_jw_ki64(&w, "spent_ms", state->spent_ms);
    add_u64(&w, "data_checksum", state->data_checksum);
    uint64_t price_bits; /* as text it would be another number */
    memcpy(&price_bits, &state->price, sizeof price_bits);
    add_u64(&w, "price_bits", price_bits);
    mt_jw_end(&w);
}

static bool read_i64(const struct mt_json *root, const char *name, int64_t *out)
{
    return mt_json_i64(mt_json_get(root, name), 0, (int64_t)1 << 53, out);
}

static bool read_u64(const struct mt_json *root, const char *name, struct mt_arena *arena,
                     uint64_t *out)
{
    struct mt_str text;
    uint64_t value = 0;

    if (!mt_json_str(mt_json_get(root, name), arena, &text) || text.len == 0 || text.len > 20)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

static mt_rc compare(struct mt_str text, struct mt_str folder, const struct mt_recipe *recipe,
                     struct mt_err *err)
{
    MT_CLEANUP(mt_recipe_freep) const struct mt_recipe *old = NULL;
    MT_CLEANUP(mt_buf_fini) struct mt_buf names = MT_BUF_INIT(NAMES_MAX);
    struct mt_err why = {0};

    mt_rc rc = mt_recipe_parse(text, "recipe", folder, &old, &why);
    if (rc == MT_E_INVALID) /* the table has changed since */
        return MT_FAIL(err, MT_E_EXISTS, "it is of a recipe that is none any more: %s",
                       why.text);
    if (rc != MT_OK)
        return MT_FAIL(err, rc, "%s", why.text);
    mt_recipe_differ(old, recipe->written != NULL ? recipe->written : recipe, &names);
    MT_TRY(mt_buf_check(&names, "keys that differ", err));
    if (names.len > 0)
        return MT_FAIL(err, MT_E_EXISTS, "it is of another recipe, with other values of %s",
                       mt_buf_cstr(&names));
    return MT_OK;
}

static mt_rc take(const struct mt_json *root, struct mt_arena *arena,
                  const struct mt_recipe *recipe, struct mt_run__state *out, struct mt_err *err)
{
    struct mt_str text, folder;
    int64_t format, steps, position, tokens, spent_ms;
    uint64_t checksum, price_bits;

    if (!read_i64(root, "format", &format) || format != FORMAT ||
        !mt_json_str(mt_json_get(root, "recipe"), arena, &text) ||
        !mt_json_str(mt_json_get(root, "folder"), arena, &folder) ||
        !read_i64(root, "steps", &steps) || !read_i64(root, "position", &position) ||
        !read_i64(root, "tokens", &tokens) || !read_i64(root, "spent_ms", &spent_ms) ||
        !read_u64(root, "data_checksum", arena, &checksum) ||
        !read_u64(root, "price_bits", arena, &price_bits))
        return MT_FAIL(err, MT_E_CORRUPT, "its state is not one of this program");
    MT_TRY(compare(text, folder, recipe, err));
    *out = (struct mt_run__state){(uint64_t)steps, (uint64_t)position, (uint64_t)tokens,
                                  spent_ms,        checksum,           0};
    memcpy(&out->price, &price_bits, sizeof price_bits);
    if (!(out->price >= 0 && out->price <= 2))
        return MT_FAIL(err, MT_E_CORRUPT, "its state: a price of %g", out->price);
    return MT_OK;
}

mt_rc mt_run__state_read(struct mt_str text, const struct mt_recipe *recipe,
                         struct mt_run__state *out, struct mt_err *err)
{
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(ARENA_MAX);
    const struct mt_json *root;
    struct mt_err why = {0};

    MT_TRY(mt_json_doc_new(&doc, err));
    mt_rc rc = mt_json_parse(doc, text, &root, &why);
    if (rc == MT_E_NOMEM)
        return MT_FAIL(err, rc, "%s", why.text);
    if (rc != MT_OK)
        return MT_FAIL(err, MT_E_CORRUPT, "its state: %s", why.text);
    return take(root, &arena, recipe, out, err);
}
