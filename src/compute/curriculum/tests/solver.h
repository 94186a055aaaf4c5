/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the curriculum's prompts by reading them, sharing no code with what made them. */
#ifndef MT_CURRICULUM_TESTS_SOLVER_H
#define MT_CURRICULUM_TESTS_SOLVER_H

#include <stdbool.h>

enum { SOLVER_TEXT_MAX = 160 };

/** @param answer room for SOLVER_TEXT_MAX; @return false when the prompt cannot be read */
bool solve(const char *prompt, char *answer);

/** Does a name told in the prompt differ from the one asked for in one letter? */
bool has_near_name(const char *prompt);

#endif
