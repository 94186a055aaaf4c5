/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - see text.h. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text_reserve(struct text *t, size_t more)
{
    size_t cap = t->cap != 0 ? t->cap : 1024;

    while (cap < t->len + more)
        cap *= 2;
    if (cap == t->cap)
        return;
    char *grown = realloc(t->at, cap);
    if (grown == NULL) {
        fputs("bench: out of memory\n", stderr);
        exit(1);
    }
    t->at = grown;
    t->cap = cap;
}

void text_add_bytes(struct text *t, const char *at, size_t len)
{
    text_reserve(t, len);
    memcpy(t->at + t->len, at, len);
    t->len += len;
}

__attribute__((format(printf, 2, 0))) static void text_addv(struct text *t, const char *format,
                                                            va_list args)
{
    text_reserve(t, TEXT_ADD_BYTES_MAX);
    int n = vsnprintf(t->at + t->len, TEXT_ADD_BYTES_MAX, format, args);
    t->len += n < TEXT_ADD_BYTES_MAX ? (size_t)n : TEXT_ADD_BYTES_MAX - 1;
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text_addv(t, format, args);
    va_end(args);
}
