/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - bytes that grow, for the benchmark tools. */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>

enum { TEXT_ADD_BYTES_MAX = 1024 };

/* Zeroed is empty; free(at) ends it. */
struct text {
    char *at; /* owned */
    size_t len;
    size_t cap;
};

/** Append formatted text, at most TEXT_ADD_BYTES_MAX - 1 bytes at a time; exits the program
 * when memory is out. */
__attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *format, ...);

/** Append bytes. */
void text_add_bytes(struct text *t, const char *at, size_t len);

#endif
