/* SPDX-License-Identifier: Apache-2.0 */
/* load_options.c - see load.h. Two tables: options with a number, options with a text. */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const load_mode_name[MODE_COUNT] = {"closed", "streams", "cut"};
struct load_settings load_set = {.path = "/v1/chat/completions",
                                 .connections = 1,
                                 .duration_ms = 1000,
                                 .status = 200,
                                 .tokens = LOAD_NOT_SET,
                                 .cut_tokens = LOAD_NOT_SET,
                                 .cut_ms = LOAD_NOT_SET,
                                 .timeout_ms = 30000};

static const struct number_option {
    const char *name;
    int *value;
    int max;
    const char *help;
} numbers[] = {
    {"connections", &load_set.connections, LOAD_SLOTS_MAX, "clients at once"},
    {"milliseconds", &load_set.duration_ms, 3600000, "closed: how long new requests are sent"},
    {"status", &load_set.status, 599, "status every answer must have"},
    {"tokens", &load_set.tokens, 9999, "tokens every answer must have, in order"},
    {"gap-ms", &load_set.gap_ms, 60000, "pace of the tokens, to judge gaps by"},
    {"ramp-ms", &load_set.ramp_ms, 600000, "spread the first requests over this time"},
    {"cut-tokens", &load_set.cut_tokens, 9999, "cut: leave after so many tokens"},
    {"cut-ms", &load_set.cut_ms, 600000, "cut: leave so long after the request"},
    {"pause-ms", &load_set.pause_ms, 600000, "stop reading so long after an answer began"},
    {"timeout-ms", &load_set.timeout_ms, 600000, "an answer that takes longer is an error"},
};
enum { NUMBERS_N = sizeof numbers / sizeof *numbers };
enum { OPT_NUMBER = 1, OPT_MODE, OPT_TO, OPT_PATH, OPT_BODY, OPT_HEADER, OPT_EXPECT, OPT_NOTE };

static const struct text_option {
    const char *name;
    int code;
    const char *help;
} texts[] = {
    {"mode", OPT_MODE, "closed, streams or cut"},
    {"to", OPT_TO, "ADDRESS:PORT (IPv4)"},
    {"path", OPT_PATH, "path of the request"},
    {"body", OPT_BODY, "file with the request's body; digits after \"cut-000000 are numbered"},
    {"header", OPT_HEADER, "'Name: value', may be repeated"},
    {"expect", OPT_EXPECT, "text every body must have, may be repeated"},
    {"note", OPT_NOTE, "text whose presence is counted, not demanded"},
};
enum { TEXT_OPTIONS_N = sizeof texts / sizeof *texts };

static bool number_option(const struct number_option *o, const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < 0 || value > o->max)
        return false;
    *o->value = (int)value;
    return true;
}

static bool address_option(const char *text)
{
    char host[64];
    int port;

    if (sscanf(text, "%63[0-9.]:%d", host, &port) != 2 || port <= 0 || port > 65535)
        return false;
    load_set.to =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &load_set.to.sin_addr) == 1;
}

static bool mode_option(const char *text)
{
    for (int i = 0; i < MODE_COUNT; i++) {
        if (strcmp(text, load_mode_name[i]) == 0) {
            load_set.mode = (enum load_mode)i;
            return true;
        }
    }
    return false;
}

static bool list_option(const char **list, int *n, const char *text)
{
    if (*n == LOAD_TEXTS_MAX)
        return false;
    list[(*n)++] = text;
    return true;
}

static bool text_option(int code, const char *text)
{
    switch (code) {
    case OPT_MODE:
        return mode_option(text);
    case OPT_TO:
        return address_option(text);
    case OPT_PATH:
        load_set.path = text;
        return true;
    case OPT_BODY:
        load_set.body_file = text;
        return true;
    case OPT_HEADER:
        return list_option(load_set.headers, &load_set.headers_n, text);
    case OPT_EXPECT:
        return list_option(load_set.expects, &load_set.expects_n, text);
    case OPT_NOTE:
        load_set.note = text;
        return true;
    }
    return false;
}

static void usage_print(void)
{
    puts("usage: load --to ADDRESS:PORT [--OPTION VALUE]...\n");
    for (int i = 0; i < TEXT_OPTIONS_N; i++)
        printf("  --%-13s %s\n", texts[i].name, texts[i].help);
    for (int i = 0; i < NUMBERS_N; i++)
        printf("  --%-13s %s\n", numbers[i].name, numbers[i].help);
}

static bool args_read(int argc, char **argv)
{
    struct option long_opts[NUMBERS_N + TEXT_OPTIONS_N + 1] = {0};
    int at = 0;

    for (int i = 0; i < NUMBERS_N; i++)
        long_opts[i] = (struct option){numbers[i].name, required_argument, NULL, OPT_NUMBER};
    for (int i = 0; i < TEXT_OPTIONS_N; i++)
        long_opts[NUMBERS_N + i] =
            (struct option){texts[i].name, required_argument, NULL, texts[i].code};
    for (int got; (got = getopt_long(argc, argv, "", long_opts, &at)) != -1;) {
        if (got == '?')
            return false;
        bool is_ok =
            got == OPT_NUMBER ? number_option(&numbers[at], optarg) : text_option(got, optarg);
        if (!is_ok) {
            fprintf(stderr, "load: --%s: '%s' is not allowed\n", long_opts[at].name, optarg);
            return false;
        }
    }
    return optind == argc && load_set.to.sin_port != 0 && load_set.connections > 0;
}

bool load_settings_read(int argc, char **argv)
{
    bool is_ok = args_read(argc, argv);

    if (!is_ok)
        usage_print();
    return is_ok;
}
