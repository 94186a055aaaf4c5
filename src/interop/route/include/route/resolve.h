/* SPDX-License-Identifier: Apache-2.0 */
/* route/resolve.h - from a model name to the targets that may answer, in the order to try them.
 *
 * Forms of a name, first match counts:
 *   1. a model of the table: local, or an alias whose targets are names again (depth <= 4)
 *   2. ENDPOINT/MODEL
 *   3. a name that endpoints list, exactly or by a pattern ("gpt-*"): all of them, in order
 *   4. the same without ":latest"
 *   5. any name, at endpoints that list nothing
 * Pure: the table is borrowed, and so is everything in the plan. */
#ifndef MT_ROUTE_RESOLVE_H
#define MT_ROUTE_RESOLVE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { MT_ROUTE_TARGETS_MAX = 8, MT_ROUTE_DEPTH_MAX = 4 };

struct mt_route_endpoint {
    struct mt_str name;
    const struct mt_str *models;
    size_t models_n; /* 0 = whatever is asked */
};

struct mt_route_model {
    struct mt_str name;
    bool is_local;
    const struct mt_str *targets;
    size_t targets_n;
};

struct mt_route_table {
    const struct mt_route_endpoint *endpoints;
    size_t endpoints_n;
    const struct mt_route_model *models;
    size_t models_n;
    struct mt_str default_model; /* what an empty name means; may be empty */
};

enum { MT_ROUTE_LOCAL = -1 };

enum { MT_ROUTE_PATH_MAX = MT_ROUTE_DEPTH_MAX + 1 };

/** The models of the table that a name led through, as indices, the one named first. */
struct mt_route_path {
    int models[MT_ROUTE_PATH_MAX];
    size_t n;
};

struct mt_route_target {
    int endpoint;              /* index into the table's endpoints, or MT_ROUTE_LOCAL */
    struct mt_str model;       /* the name the target knows it by */
    struct mt_route_path path; /* to it; of several, the first */
};

struct mt_route_plan {
    struct mt_route_target targets[MT_ROUTE_TARGETS_MAX];
    size_t n;
    int model; /* index of the table's model that was named, for its policy; -1 if none */
};

/** @return MT_OK with plan->n > 0, or MT_E_NOTFOUND (names the nearest known model),
 *          MT_E_INVALID (empty name and no default; aliases nested too deep) */
mt_rc mt_route_resolve(const struct mt_route_table *table, struct mt_str name,
                       struct mt_route_plan *plan, struct mt_err *err);

/** Does a name match a pattern with '*' for any run of characters? */
bool mt_route_matches(struct mt_str pattern, struct mt_str name);

#endif
