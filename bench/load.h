/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - what the load driver was told. load_options.c reads it, load.c acts on it. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>

enum { LOAD_TEXTS_MAX = 16, LOAD_SLOTS_MAX = 20000, LOAD_NOT_SET = -1 };

enum load_mode { MODE_CLOSED, MODE_STREAMS, MODE_CUT };
enum { MODE_COUNT = MODE_CUT + 1 };

struct load_settings {
    struct sockaddr_in to;
    enum load_mode mode;
    const char *path;
    const char *body_file; /* NULL = GET */
    const char *headers[LOAD_TEXTS_MAX];
    const char *expects[LOAD_TEXTS_MAX];
    const char *note;
    int headers_n;
    int expects_n;
    int connections;
    int duration_ms;
    int status;
    int tokens; /* LOAD_NOT_SET = do not look for tokens */
    int gap_ms; /* 0 = do not judge gaps */
    int ramp_ms;
    int cut_tokens; /* LOAD_NOT_SET = no such cut, as cut_ms */
    int cut_ms;
    int timeout_ms;
    int pause_ms; /* 0 = read at once */
};

extern struct load_settings load_set;
extern const char *const load_mode_name[MODE_COUNT];

/** Take the command line. @return false after saying what is wrong */
bool load_settings_read(int argc, char **argv);

#endif
