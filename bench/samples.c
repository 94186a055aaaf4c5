/* SPDX-License-Identifier: Apache-2.0 */
/* samples.c - see samples.h. */
#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

void samples_add(struct samples *s, int64_t ns)
{
    if (s->n == s->cap) {
        size_t cap = s->cap != 0 ? s->cap * 2 : 4096;
        uint32_t *grown = realloc(s->at, cap * sizeof *grown);
        if (grown == NULL) {
            fputs("load: out of memory\n", stderr);
            exit(1);
        }
        s->at = grown;
        s->cap = cap;
    }
    int64_t tenths = ns / 100;
    uint32_t value = tenths < 0 ? 0 : tenths > UINT32_MAX ? UINT32_MAX : (uint32_t)tenths;
    s->at[s->n++] = value;
    s->sum += value;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

void samples_sort(struct samples *s)
{
    if (s->n > 0)
        qsort(s->at, s->n, sizeof *s->at, compare);
}

double samples_us(const struct samples *s, unsigned ppm)
{
    if (s->n == 0)
        return 0;
    return s->at[(s->n - 1) * ppm / 1000000] / 10.0;
}

double samples_mean_us(const struct samples *s)
{
    return s->n == 0 ? 0 : (double)s->sum / (double)s->n / 10.0;
}

void samples_fini(struct samples *s)
{
    free(s->at);
    *s = (struct samples){0};
}
