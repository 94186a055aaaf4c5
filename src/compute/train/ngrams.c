/* SPDX-License-Identifier: Apache-2.0 */
/* Counting and hashing: each n-gram is a run of bytes, hashed with a seed of its kind. */
#include "train/ngrams.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { RUN_MAX = 4, TEXT_MAX = 1024, OF_BYTES = 1, OF_WORDS = 2, OF_SHAPE = 4 };

struct mt_ngrams {
    unsigned way;
    float rarity[MT_NGRAMS_N]; /* 1 without MT_NGRAMS_RARE */
};

static void add(struct mt_str run, uint64_t kind, float *row)
{
    uint64_t hash = mt_str_hash(run, kind);

    /* FNV's low bits alone are poor for runs of one byte. */
    hash = (hash ^ (hash >> 29)) * 0x9e3779b97f4a7c15;
    row[(hash >> 32) % MT_NGRAMS_N] += (hash >> 63) != 0 ? 1.0F : -1.0F;
}

static void add_bytes(struct mt_str text, uint64_t kind, float *row)
{
    for (size_t from = 0; from < text.len; from++) {
        for (size_t n = 1; n <= RUN_MAX && from + n <= text.len; n++)
            add(mt_str_sub(text, from, from + n), kind, row);
    }
}

/* Runs of words are runs of bytes as well: they begin behind a space and end before one. */
static void add_words(struct mt_str text, uint64_t kind, float *row)
{
    size_t begins[RUN_MAX]; /* of the latest words, the newest first */
    size_t words_n = 0;

    for (struct mt_str rest = text; rest.len > 0;) {
        struct mt_str word = mt_str_take(&rest, ' ');
        size_t begin = (size_t)(word.at - text.at);

        memmove(begins + 1, begins, sizeof begins - sizeof *begins);
        begins[0] = begin;
        words_n++;
        for (size_t n = 0; n < RUN_MAX && n < words_n; n++)
            add(mt_str_sub(text, begins[n], begin + word.len), kind, row);
    }
}

static char shape_of(char byte)
{
    if (byte >= '0' && byte <= '9')
        return '0';
    if (byte >= 'a' && byte <= 'z')
        return 'a';
    return byte >= 'A' && byte <= 'Z' ? 'A' : byte;
}

/* Between two bytes that no text has. @param room TEXT_MAX + 2 bytes */
static struct mt_str bounded(struct mt_str text, char *room)
{
    size_t n = text.len < TEXT_MAX ? text.len : TEXT_MAX;

    room[0] = '\x02';
    memcpy(room + 1, text.at, n);
    room[n + 1] = '\x03';
    return (struct mt_str){room, n + 2};
}

static void count(struct mt_str text, unsigned way, float *row)
{
    char room[TEXT_MAX + 2];
    struct mt_str whole = bounded(text, room);

    memset(row, 0, MT_NGRAMS_N * sizeof *row);
    add_bytes(whole, OF_BYTES, row);
    add_words(mt_str_sub(whole, 1, whole.len - 1), OF_WORDS, row);
    if ((way & MT_NGRAMS_SHAPES) == 0)
        return;
    for (size_t i = 0; i < whole.len; i++)
        room[i] = shape_of(room[i]);
    add_bytes(whole, OF_SHAPE | OF_BYTES, row);
    add_words(mt_str_sub(whole, 1, whole.len - 1), OF_SHAPE | OF_WORDS, row);
}

static void weigh(const struct mt_ngrams *ngrams, float *row)
{
    double squares = 0;

    for (size_t i = 0; i < MT_NGRAMS_N; i++) {
        float size = fabsf(row[i]);

        if (size > 0 && (ngrams->way & MT_NGRAMS_LOG) != 0)
            row[i] *= (1 + logf(size)) / size;
        row[i] *= ngrams->rarity[i];
        squares += (double)row[i] * (double)row[i];
    }
    float by = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
    for (size_t i = 0; i < MT_NGRAMS_N; i++)
        row[i] *= by;
}

static void count_rarity(struct mt_ngrams *ngrams, const struct mt_str *known, uint32_t known_n,
                         float *row)
{
    uint32_t seen_in[MT_NGRAMS_N] = {0};

    for (uint32_t i = 0; i < known_n; i++) {
        count(known[i], ngrams->way, row);
        for (size_t j = 0; j < MT_NGRAMS_N; j++)
            seen_in[j] += row[j] != 0;
    }
    for (size_t j = 0; j < MT_NGRAMS_N; j++)
        ngrams->rarity[j] = logf((1 + (float)known_n) / (1 + (float)seen_in[j])) + 1;
}

mt_rc mt_ngrams_new(unsigned way, const struct mt_str *known, uint32_t known_n,
                    struct mt_ngrams **out, struct mt_err *err)
{
    MT_CLEANUP(mt_ngrams_freep) struct mt_ngrams *ngrams = mt_alloc(1, sizeof *ngrams);
    MT_CLEANUP(mt_freep) float *row = mt_alloc(MT_NGRAMS_N, sizeof *row);

    if (ngrams == NULL || row == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "n-grams");
    ngrams->way = way;
    for (size_t i = 0; i < MT_NGRAMS_N; i++)
        ngrams->rarity[i] = 1;
    if ((way & MT_NGRAMS_RARE) != 0)
        count_rarity(ngrams, known, known_n, row);
    *out = MT_MOVE(ngrams);
    return MT_OK;
}

void mt_ngrams_free(struct mt_ngrams *ngrams)
{
    mt_free(ngrams);
}

void mt_ngrams_freep(struct mt_ngrams **ngrams)
{
    mt_ngrams_free(*ngrams);
    *ngrams = NULL;
}

void mt_ngrams_run(const struct mt_ngrams *ngrams, const struct mt_str *texts, uint32_t n,
                   float *rows)
{
    for (uint32_t i = 0; i < n; i++) {
        float *row = rows + (size_t)i * MT_NGRAMS_N;

        count(texts[i], ngrams->way, row);
        weigh(ngrams, row);
    }
}
