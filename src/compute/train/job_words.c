/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer's words: "{name}" with a name of small letters is a placeholder, any other brace is
 * itself. Pure. */
#include "job_priv.h"

#include <string.h>

enum { WORD_MAX = 64 * 1024 };

enum place { BASE, DATA, OUTPUT, WORK, THREADS };
static const char *const names[] = {"base", "data", "output", "work", "threads"};
enum { PLACES_N = MT_ARRAY_LEN(names) };

/* The text in front of the next placeholder goes to *before, its name to *name, and *text
 * begins behind it; false: there is none, and all is before it. */
static bool take_placeholder(struct mt_str *text, struct mt_str *before, struct mt_str *name)
{
    for (size_t at = 0; at < text->len; at++) {
        size_t end = at + 1;

        while (text->at[at] == '{' && end < text->len &&
               ((text->at[end] >= 'a' && text->at[end] <= 'z') || text->at[end] == '_'))
            end++;
        if (text->at[at] != '{' || end == at + 1 || end == text->len || text->at[end] != '}')
            continue;
        *before = mt_str_sub(*text, 0, at);
        *name = mt_str_sub(*text, at + 1, end);
        *text = mt_str_sub(*text, end + 1, text->len);
        return true;
    }
    *before = *text;
    *text = (struct mt_str){0};
    return false;
}

static size_t place_of(struct mt_str name)
{
    size_t i = 0;

    while (i < PLACES_N && !mt_str_is(name, names[i]))
        i++;
    return i;
}

static mt_rc refuse_unknown(struct mt_str name, struct mt_err *err)
{
    enum { FAR = 3 };
    size_t near = PLACES_N;
    unsigned best = FAR;

    for (size_t i = 0; i < PLACES_N; i++) {
        unsigned far = mt_str_distance(name, mt_str_of(names[i]), FAR);
        near = far < best ? i : near;
        best = far < best ? far : best;
    }
    if (near == PLACES_N)
        return MT_FAIL(err, MT_E_INVALID, "unknown placeholder '{%.*s}'", MT_STR_ARG(name));
    return MT_FAIL(err, MT_E_INVALID, "unknown placeholder '{%.*s}', did you mean '{%s}'?",
                   MT_STR_ARG(name), names[near]);
}

static mt_rc check_place(const struct mt_job *job, struct mt_str word, struct mt_str name,
                         struct mt_err *err)
{
    size_t place = place_of(name);

    if (place == PLACES_N)
        return refuse_unknown(name, err);
    if (place == BASE && job->base.path.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "'{base}', and the job has no base");
    if (place == DATA && job->data_n == 0)
        return MT_FAIL(err, MT_E_INVALID, "'{data}', and the job has no data");
    if (place == DATA && job->data_n > 1 && !mt_str_is(word, "{data}"))
        return MT_FAIL(err, MT_E_INVALID,
                       "'%.*s': expected '{data}' alone, it stands for %zu files",
                       MT_STR_ARG(mt_str_sub(word, 0, 64)), job->data_n);
    return MT_OK;
}

mt_rc mt_job__words_check(const struct mt_job *job, struct mt_err *err)
{
    bool has_output = false;

    for (size_t i = 0; i < job->trainer_n; i++) {
        struct mt_str rest = job->trainer[i];
        struct mt_str before, name;

        while (take_placeholder(&rest, &before, &name)) {
            MT_TRY(check_place(job, job->trainer[i], name, err));
            has_output = has_output || place_of(name) == OUTPUT || place_of(name) == WORK;
        }
    }
    if (!has_output)
        return MT_FAIL(err, MT_E_INVALID, "expected '{output}', or nothing comes out");
    return MT_OK;
}

static struct mt_str value_of(const struct mt_job__places *places, enum place place)
{
    switch (place) {
    case BASE:
        return places->base;
    case DATA:
        return places->data[0];
    case OUTPUT:
        return places->output;
    case WORK:
        return places->work;
    case THREADS:
        return places->threads;
    }
    return (struct mt_str){0};
}

static mt_rc keep(struct mt_str text, struct mt_arena *arena, const char **out,
                  struct mt_err *err)
{
    *out = mt_arena_str(arena, text).at;
    return *out != NULL ? MT_OK : mt_arena_fail(arena, err);
}

static mt_rc expand(struct mt_str word, const struct mt_job__places *places,
                    struct mt_arena *arena, const char **out, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(WORD_MAX);
    struct mt_str before, name;

    while (take_placeholder(&word, &before, &name)) {
        mt_buf_add(&text, before);
        mt_buf_add(&text, value_of(places, (enum place)place_of(name)));
    }
    mt_buf_add(&text, before);
    MT_TRY(mt_buf_check(&text, "trainer", err));
    return keep(mt_buf_str(&text), arena, out, err);
}

mt_rc mt_job__words(const struct mt_job *job, const struct mt_job__places *places,
                    struct mt_arena *arena, const char *const **out, struct mt_err *err)
{
    size_t most = 1 + job->trainer_n * (places->data_n > 1 ? places->data_n : 1);
    const char **words = mt_arena_get(arena, most, sizeof *words);
    size_t n = 0;

    if (words == NULL)
        return mt_arena_fail(arena, err);
    for (size_t i = 0; i < job->trainer_n; i++) {
        bool is_data = mt_str_is(job->trainer[i], "{data}");

        if (!is_data)
            MT_TRY(expand(job->trainer[i], places, arena, &words[n++], err));
        for (size_t j = 0; is_data && j < places->data_n; j++)
            MT_TRY(keep(places->data[j], arena, &words[n++], err));
    }
    *out = words;
    return MT_OK;
}
