/* SPDX-License-Identifier: Apache-2.0 */
/* mock_settings.c - see mock.h. One table: command line, /control and help come from it. */
#include "mock.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mock_settings mock_set = {.port = 9000, .tokens = 32, .fault_every = 1};
const char *const mock_fault_name[FAULT_COUNT] = {"none", "429", "500", "reset", "hang"};

static const struct setting {
    const char *name;
    int *value;
    int min;
    int max;
    const char *help;
} settings[] = {
    {"port", &mock_set.port, 1, 65535, "listen on 127.0.0.1, this port"},
    {"latency-ms", &mock_set.latency_ms, 0, 600000, "wait before the first byte of an answer"},
    {"tokens", &mock_set.tokens, 0, 9999, "tokens in a streamed answer"},
    {"gap-ms", &mock_set.gap_ms, 0, 60000, "pause between tokens; 0 = all in one write"},
    {"fault", &mock_set.fault, FAULT_NONE, FAULT_COUNT - 1,
     "none, 429 (with Retry-After), 500, reset (mid-stream), hang (no first byte)"},
    {"fault-every", &mock_set.fault_every, 1, 1000000, "the fault hits every n-th request"},
};
enum { SETTINGS_N = sizeof settings / sizeof *settings };

static bool fault_apply(const char *text)
{
    for (int f = 0; f < FAULT_COUNT; f++) {
        if (strcmp(text, mock_fault_name[f]) == 0) {
            mock_set.fault = f;
            return true;
        }
    }
    return false;
}

/* @return false if the text is not a value of this setting */
static bool setting_apply(const struct setting *s, const char *text)
{
    char *end;

    if (s->value == &mock_set.fault)
        return fault_apply(text);
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < s->min || value > s->max)
        return false;
    *s->value = (int)value;
    return true;
}

static void usage_print(void)
{
    puts("usage: mock_upstream [--OPTION VALUE]...\n");
    for (size_t i = 0; i < SETTINGS_N; i++)
        printf("  --%-12s %s\n", settings[i].name, settings[i].help);
}

static bool args_read(int argc, char **argv)
{
    struct option long_opts[SETTINGS_N + 1] = {0};
    int at = 0;

    for (size_t i = 0; i < SETTINGS_N; i++)
        long_opts[i] = (struct option){settings[i].name, required_argument, NULL, 1};
    for (int got; (got = getopt_long(argc, argv, "", long_opts, &at)) != -1;) {
        if (got != 1)
            return false;
        if (!setting_apply(&settings[at], optarg)) {
            fprintf(stderr, "mock: --%s: '%s' is not allowed\n", settings[at].name, optarg);
            return false;
        }
    }
    return optind == argc;
}

bool mock_settings_read(int argc, char **argv)
{
    bool is_ok = args_read(argc, argv);

    if (!is_ok)
        usage_print();
    return is_ok;
}

bool mock_setting_apply(const char *name, const char *text)
{
    for (size_t i = 0; i < SETTINGS_N; i++) {
        if (settings[i].value != &mock_set.port && strcmp(settings[i].name, name) == 0)
            return setting_apply(&settings[i], text);
    }
    return false;
}
