/* SPDX-License-Identifier: Apache-2.0 */
#include "solver.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_char(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

static bool solve_word(const char *task, const char *word, char *answer)
{
    size_t len = strlen(word);

    for (size_t i = 0; i <= len; i++)
        answer[i] = word[i];
    if (strcmp(task, "copy") == 0)
        return true;
    for (size_t i = 0; i < len; i++) {
        if (strcmp(task, "upper") == 0)
            answer[i] = (char)toupper(word[i]);
        else if (strcmp(task, "lower") == 0)
            answer[i] = (char)tolower(word[i]);
        else if (strcmp(task, "reverse") == 0)
            answer[i] = word[len - 1 - i];
    }
    if (strcmp(task, "sort") == 0)
        qsort(answer, len, 1, by_char);
    return strcmp(task, "upper") == 0 || strcmp(task, "lower") == 0 ||
           strcmp(task, "reverse") == 0 || strcmp(task, "sort") == 0;
}

static bool solve_compare(bool is_max, const char *list, char *answer)
{
    long best = -1;

    while (*list != '\0') {
        char *end = NULL;
        long number = strtol(list, &end, 10);
        if (end == list)
            return false;
        if (best < 0 || (is_max ? number > best : number < best))
            best = number;
        list = end;
    }
    (void)snprintf(answer, SOLVER_TEXT_MAX, "%ld", best);
    return best >= 0;
}

/* "a=1 b=2 b?": the text between the name with "=" and the next space. */
static bool solve_told(const char *prompt, char *answer)
{
    const char *asked = strrchr(prompt, ' ') + 1;
    char key[SOLVER_TEXT_MAX];

    (void)snprintf(key, sizeof key, " %.*s=", (int)(strlen(asked) - 1), asked);
    const char *told = strncmp(prompt, key + 1, strlen(key) - 1) == 0 ? prompt : NULL;
    if (told == NULL && strstr(prompt, key) != NULL)
        told = strstr(prompt, key) + 1;
    if (told == NULL) {
        (void)snprintf(answer, SOLVER_TEXT_MAX, "unknown");
        return true;
    }
    told += strlen(key) - 1;
    (void)snprintf(answer, SOLVER_TEXT_MAX, "%.*s", (int)strcspn(told, " "), told);
    return true;
}

static bool solve_sum(const char *prompt, char *answer)
{
    char *sign = NULL;
    char *end = NULL;
    long x = strtol(prompt, &sign, 10);

    if (sign == prompt || strchr("+-*", *sign) == NULL || !isdigit((unsigned char)sign[1]))
        return false;
    long y = strtol(sign + 1, &end, 10);
    long result = *sign == '+' ? x + y : *sign == '-' ? x - y : x * y;
    (void)snprintf(answer, SOLVER_TEXT_MAX, "%ld", result);
    return *end == '\0' && result >= 0;
}

static bool solve_count(const char *rest, char *answer)
{
    unsigned n = 0;

    if (strlen(rest) < 6 || strncmp(rest + 1, " in ", 4) != 0)
        return false;
    for (const char *at = rest + 5; *at != '\0'; at++)
        n += *at == rest[0];
    (void)snprintf(answer, SOLVER_TEXT_MAX, "%u", n);
    return true;
}

static bool solve_one(const char *prompt, char *answer)
{
    char task[SOLVER_TEXT_MAX];
    size_t len = strcspn(prompt, " ");

    if (strchr(prompt, '?') != NULL)
        return solve_told(prompt, answer);
    if (prompt[len] == '\0')
        return solve_sum(prompt, answer);
    (void)snprintf(task, sizeof task, "%.*s", (int)len, prompt);
    if (strcmp(task, "count") == 0)
        return solve_count(prompt + len + 1, answer);
    if (strcmp(task, "max") == 0 || strcmp(task, "min") == 0)
        return solve_compare(strcmp(task, "max") == 0, prompt + len, answer);
    return solve_word(task, prompt + len + 1, answer);
}

/* Put what is known for the word "it". */
static bool fill_in(const char *step, const char *known, char *to)
{
    const char *it = strncmp(step, "it", 2) == 0 ? step : strstr(step, " it");

    if (it == NULL)
        return false;
    it += *it == ' ';
    (void)snprintf(to, SOLVER_TEXT_MAX, "%.*s%s%s", (int)(it - step), step, known, it + 2);
    return true;
}

bool solve(const char *prompt, char *answer)
{
    char step[SOLVER_TEXT_MAX];
    char filled[SOLVER_TEXT_MAX];
    bool is_first = true;

    for (const char *at = prompt; at != NULL; is_first = false) {
        const char *end = strstr(at, " then ");
        size_t len = end != NULL ? (size_t)(end - at) : strlen(at);
        (void)snprintf(step, sizeof step, "%.*s", (int)len, at);
        if (!is_first && !fill_in(step, answer, filled))
            return false;
        if (!solve_one(is_first ? step : filled, answer))
            return false;
        at = end != NULL ? end + 6 : NULL;
    }
    return true;
}

bool has_near_name(const char *prompt)
{
    const char *asked = strrchr(prompt, ' ') + 1;
    size_t len = strlen(asked) - 1;

    for (const char *at = prompt; at != asked; at = strchr(at, ' ') + 1) {
        unsigned differing_n = 0;
        for (size_t i = 0; i < len; i++)
            differing_n += at[i] != asked[i];
        if (differing_n == 1)
            return true;
    }
    return false;
}
