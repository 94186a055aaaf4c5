/* SPDX-License-Identifier: Apache-2.0 */
#include "route/resolve.h"

#include "base/assert.h"

bool mt_route_matches(struct mt_str pattern, struct mt_str name)
{
    size_t p = 0;
    size_t n = 0;
    size_t star = SIZE_MAX; /* where to come back to: just behind the last '*' ... */
    size_t mark = 0;        /* ... having let it swallow the name up to here */

    while (n < name.len) {
        if (p < pattern.len && pattern.at[p] == '*') {
            star = ++p;
            mark = n;
        } else if (p < pattern.len && pattern.at[p] == name.at[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star;
            n = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*')
        p++;
    return p == pattern.len;
}

/* A target is added once; what does not fit any more is the least wanted. */
static void add_target(struct mt_route_plan *plan, int endpoint, struct mt_str model,
                       const struct mt_route_path *path)
{
    for (size_t i = 0; i < plan->n; i++) {
        if (plan->targets[i].endpoint == endpoint && mt_str_eq(plan->targets[i].model, model))
            return;
    }
    if (plan->n < MT_ROUTE_TARGETS_MAX)
        plan->targets[plan->n++] = (struct mt_route_target){endpoint, model, *path};
}

static int find_model(const struct mt_route_table *table, struct mt_str name)
{
    for (size_t i = 0; i < table->models_n; i++) {
        if (mt_str_eq(table->models[i].name, name))
            return (int)i;
    }
    return -1;
}

static bool add_prefixed(const struct mt_route_table *table, struct mt_str name,
                         const struct mt_route_path *path, struct mt_route_plan *plan)
{
    for (size_t i = 0; i < table->endpoints_n; i++) {
        struct mt_str prefix = table->endpoints[i].name;
        if (name.len > prefix.len + 1 && mt_str_starts(name, prefix) &&
            name.at[prefix.len] == '/') {
            add_target(plan, (int)i, mt_str_sub(name, prefix.len + 1, name.len), path);
            return true;
        }
    }
    return false;
}

static bool add_listed(const struct mt_route_table *table, struct mt_str name,
                       const struct mt_route_path *path, struct mt_route_plan *plan)
{
    size_t before = plan->n;

    for (size_t i = 0; i < table->endpoints_n; i++) {
        const struct mt_route_endpoint *endpoint = &table->endpoints[i];
        for (size_t j = 0; j < endpoint->models_n; j++) {
            if (mt_route_matches(endpoint->models[j], name)) {
                add_target(plan, (int)i, name, path);
                break;
            }
        }
    }
    return plan->n > before;
}

static bool add_open(const struct mt_route_table *table, struct mt_str name,
                     const struct mt_route_path *path, struct mt_route_plan *plan)
{
    size_t before = plan->n;

    for (size_t i = 0; i < table->endpoints_n; i++) {
        if (table->endpoints[i].models_n == 0)
            add_target(plan, (int)i, name, path);
    }
    return plan->n > before;
}

static mt_rc add_name(const struct mt_route_table *table, struct mt_str name,
                      const struct mt_route_path *path, struct mt_route_plan *plan,
                      struct mt_err *err);

static mt_rc add_alias(const struct mt_route_table *table, const struct mt_route_model *model,
                       const struct mt_route_path *path, struct mt_route_plan *plan,
                       struct mt_err *err)
{
    if (path->n > MT_ROUTE_DEPTH_MAX)
        return MT_FAIL(err, MT_E_INVALID, "model '%.*s': aliases are nested deeper than %d",
                       MT_STR_ARG(model->name), MT_ROUTE_DEPTH_MAX);
    for (size_t i = 0; i < model->targets_n; i++)
        MT_TRY(add_name(table, model->targets[i], path, plan, err));
    return MT_OK;
}

static void consider(struct mt_str candidate, struct mt_str name, struct mt_str *best,
                     unsigned *distance)
{
    unsigned d = mt_str_distance(candidate, name, *distance);

    if (d < *distance) {
        *distance = d;
        *best = candidate;
    }
}

static mt_rc unknown(const struct mt_route_table *table, struct mt_str name, struct mt_err *err)
{
    struct mt_str best = {NULL, 0};
    unsigned distance = 4;

    for (size_t i = 0; i < table->models_n; i++)
        consider(table->models[i].name, name, &best, &distance);
    for (size_t i = 0; i < table->endpoints_n; i++) {
        for (size_t j = 0; j < table->endpoints[i].models_n; j++)
            consider(table->endpoints[i].models[j], name, &best, &distance);
    }
    if (best.len > 0)
        return MT_FAIL(err, MT_E_NOTFOUND,
                       "model '%.*s' is not known here; did you mean '%.*s'?", MT_STR_ARG(name),
                       MT_STR_ARG(best));
    return MT_FAIL(err, MT_E_NOTFOUND, "model '%.*s' is not known here", MT_STR_ARG(name));
}

static mt_rc add_name(const struct mt_route_table *table, struct mt_str name,
                      const struct mt_route_path *path, struct mt_route_plan *plan,
                      struct mt_err *err)
{
    static const struct mt_str latest = MT_STR_INIT(":latest");
    bool is_latest = mt_str_ends(name, latest) && name.len > latest.len;
    struct mt_str plain = is_latest ? mt_str_sub(name, 0, name.len - latest.len) : name;
    int found = find_model(table, name);

    if (found < 0) /* what is configured here comes before what an endpoint happens to have */
        found = find_model(table, plain);
    if (found >= 0) {
        const struct mt_route_model *model = &table->models[found];
        struct mt_route_path on = *path;
        MT_ASSERT(on.n < MT_ROUTE_PATH_MAX); /* add_alias sees to it */
        on.models[on.n++] = found;
        if (path->n == 0)
            plan->model = found;
        if (!model->is_local)
            return add_alias(table, model, &on, plan, err);
        add_target(plan, MT_ROUTE_LOCAL, model->name, &on);
        return MT_OK;
    }
    if (add_prefixed(table, name, path, plan) || add_listed(table, name, path, plan))
        return MT_OK;
    if (is_latest)
        return add_name(table, plain, path, plan, err);
    return add_open(table, name, path, plan) ? MT_OK : unknown(table, name, err);
}

mt_rc mt_route_resolve(const struct mt_route_table *table, struct mt_str name,
                       struct mt_route_plan *plan, struct mt_err *err)
{
    const struct mt_route_path nowhere = {.n = 0};
    struct mt_route_plan made = {.model = -1};

    if (name.len == 0)
        name = table->default_model;
    if (name.len == 0)
        return MT_FAIL(err, MT_E_INVALID,
                       "model: no model was named and there is no default one");
    MT_TRY(add_name(table, name, &nowhere, &made, err));
    if (made.n == 0)
        return MT_FAIL(err, MT_E_NOTFOUND, "model '%.*s' has no target", MT_STR_ARG(name));
    *plan = made;
    return MT_OK;
}
