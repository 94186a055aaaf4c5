/* SPDX-License-Identifier: Apache-2.0 */
/* Members in both spellings that protobuf's JSON knows. */
#include "gemini_priv.h"

/* "topP" -> "top_p"; false when it is one word, or does not fit. */
static bool to_snake(const char *key, char snake[MT_GEMINI_KEY_MAX])
{
    size_t n = 0;
    bool has_hump = false;

    for (; *key != '\0'; key++) {
        bool is_hump = *key >= 'A' && *key <= 'Z';
        if (n + 3 > MT_GEMINI_KEY_MAX)
            return false;
        if (is_hump)
            snake[n++] = '_';
        snake[n++] = is_hump ? (char)(*key | 0x20) : *key;
        has_hump = has_hump || is_hump;
    }
    snake[n] = '\0';
    return has_hump;
}

const char *mt_gemini__spelt(const struct mt_json *object, const char *key,
                             char snake[MT_GEMINI_KEY_MAX])
{
    if (mt_json_get(object, key) != NULL || !to_snake(key, snake))
        return key;
    return mt_json_get(object, snake) != NULL ? snake : key;
}

const struct mt_json *mt_gemini__get(const struct mt_json *object, const char *key)
{
    char snake[MT_GEMINI_KEY_MAX];

    return mt_json_get(object, mt_gemini__spelt(object, key, snake));
}

mt_rc mt_gemini__str(const struct mt_json *object, const char *where, const char *key,
                     struct mt_arena *arena, struct mt_str *out, struct mt_err *err)
{
    char snake[MT_GEMINI_KEY_MAX];

    return mt_chat__str(object, where, mt_gemini__spelt(object, key, snake), arena, out, err);
}

mt_rc mt_gemini__list(const struct mt_json *value, const char *where, size_t max,
                      const struct mt_json **first, size_t *n, struct mt_err *err)
{
    *first = NULL;
    *n = 0;
    if (mt_json_type(value) <= MT_JSON_NULL)
        return MT_OK;
    if (mt_json_type(value) == MT_JSON_OBJECT) {
        *first = value;
        *n = 1;
        return MT_OK;
    }
    if (mt_json_type(value) != MT_JSON_ARRAY)
        return mt_chat__expected(value, where, "an array", err);
    if (mt_json_count(value) > max)
        return MT_FAIL(err, MT_E_TOOBIG, "%s: expected at most %zu items, found %zu", where,
                       max, mt_json_count(value));
    *first = mt_json_first(value);
    *n = mt_json_count(value);
    return MT_OK;
}
