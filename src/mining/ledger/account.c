/* SPDX-License-Identifier: Apache-2.0 */
/* Subjects are made when first named and live as long as the account, so a hold keeps plain
 * pointers to them. The clock of the account never goes back: a wall clock that was set back
 * must not open a window a second time. */
#include "ledger/account.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/map.h"
#include "ledger/price.h"
#include "limits_priv.h"
#include "meter_priv.h"

enum { BY_NODE, BY_KEY, BY_MODEL, BY_PAIR, SUBJECT_KINDS };
enum { PART_SUBJECTS = 2 * MT_ACCOUNT_PART_MODELS };

struct mt_account_subject {
    struct mt_meter meter;
    struct mt_account_subject *next; /* of all */
    size_t key_len, model_len;
    char names[]; /* key, NUL, model, NUL */
};

struct mt_account {
    pthread_mutex_t lock;
    int64_t now_ms;
    struct mt_limits limits;
    struct mt_account_subject *all;
    struct mt_account_subject *node;
    struct mt_map subjects; /* "key NUL model" -> struct mt_account_subject */
};

static struct mt_str subject_key(const struct mt_account_subject *s)
{
    return (struct mt_str){s->names, s->key_len};
}

static struct mt_str subject_model(const struct mt_account_subject *s)
{
    return (struct mt_str){s->names + s->key_len + 1, s->model_len};
}

/* "key NUL model" in a caller's array. */
struct pair_name {
    char at[2 * MT_LIMIT_NAME_MAX + 2];
};

static struct mt_str join(struct mt_str key, struct mt_str model, struct pair_name *to)
{
    char *at = to->at;

    (void)mt_limits__copy_name(key, &at);
    *at++ = '\0';
    (void)mt_limits__copy_name(model, &at);
    return (struct mt_str){to->at, (size_t)(at - to->at)};
}

static void subject_free(struct mt_account_subject *s)
{
    if (s == NULL)
        return;
    mt_meter__fini(&s->meter);
    mt_free(s);
}

static void subject_freep(struct mt_account_subject **s)
{
    subject_free(*s);
}

static mt_rc make_subject(struct mt_account *a, struct mt_str key, struct mt_str model,
                          struct mt_str name, struct mt_account_subject **out,
                          struct mt_err *err)
{
    MT_CLEANUP(subject_freep)
    struct mt_account_subject *s = mt_alloc(1, sizeof *s + key.len + model.len + 2);
    int64_t max[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS];

    if (s == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "account of '%.*s'", MT_STR_ARG(key));
    s->key_len = key.len;
    s->model_len = model.len;
    memcpy(s->names, name.at, name.len);
    mt_meter__init(&s->meter);
    mt_limits__resolve(&a->limits, key, model, max);
    if (!mt_meter__make_slides(&s->meter, max))
        return MT_FAIL(err, MT_E_NOMEM, "account of '%.*s'", MT_STR_ARG(key));
    memcpy(s->meter.max, max, sizeof max);
    mt_meter__advance(&s->meter, a->now_ms);
    MT_TRY(mt_map_put(&a->subjects, name, s, NULL, err));
    s->next = a->all;
    a->all = s;
    *out = MT_MOVE(s);
    return MT_OK;
}

static mt_rc get_subject(struct mt_account *a, struct mt_str key, struct mt_str model,
                         struct mt_account_subject **out, struct mt_err *err)
{
    struct pair_name buffer;
    struct mt_str name = join(key, model, &buffer);
    struct mt_account_subject *found = mt_map_find(&a->subjects, name);

    if (found == NULL)
        return make_subject(a, key, model, name, out, err);
    *out = found;
    return MT_OK;
}

/* Those a request counts against; NULL where there is none. */
static mt_rc subjects_of(struct mt_account *a, struct mt_str key, struct mt_str model,
                         struct mt_account_subject *out[SUBJECT_KINDS], struct mt_err *err)
{
    const struct mt_str none = {"", 0};
    struct mt_account_subject *found[SUBJECT_KINDS] = {a->node};

    if (key.len > MT_LIMIT_NAME_MAX || model.len > MT_LIMIT_NAME_MAX)
        return MT_FAIL(err, MT_E_INVALID, "account: a name longer than %d bytes",
                       MT_LIMIT_NAME_MAX);
    if (key.len > 0)
        MT_TRY(get_subject(a, key, none, &found[BY_KEY], err));
    if (model.len > 0)
        MT_TRY(get_subject(a, none, model, &found[BY_MODEL], err));
    if (key.len > 0 && model.len > 0 && a->limits.has_pairs)
        MT_TRY(get_subject(a, key, model, &found[BY_PAIR], err));
    memcpy(out, found, sizeof found);
    return MT_OK;
}

static int64_t tick(struct mt_account *a, int64_t now_ms)
{
    if (now_ms > a->now_ms)
        a->now_ms = now_ms;
    return a->now_ms;
}

/* Do all subjects have room? Nothing changes either way. */
static mt_rc check_room(struct mt_account *a, struct mt_account_subject *const subjects[],
                        size_t n, const int64_t asked[MT_LIMIT_KINDS], struct mt_limit_hit *hit,
                        struct mt_err *err)
{
    struct mt_limit_hit own = {0};

    for (size_t i = 0; i < n; i++) {
        if (subjects[i] == NULL)
            continue;
        mt_meter__advance(&subjects[i]->meter, a->now_ms);
        if (mt_meter__has_room(&subjects[i]->meter, a->now_ms, asked, &own))
            continue;
        own.key = subject_key(subjects[i]);
        own.model = subject_model(subjects[i]);
        if (hit != NULL)
            *hit = own;
        return mt_limits__tell(&own, err);
    }
    return MT_OK;
}

static void add_held(struct mt_account_subject *const subjects[], size_t n, int64_t tokens_n,
                     int64_t cost_usd_nano)
{
    for (size_t i = 0; i < n; i++) {
        if (subjects[i] == NULL)
            continue;
        int64_t *held = subjects[i]->meter.held;
        held[MT_LIMIT_TOKENS] += tokens_n;
        held[MT_LIMIT_MONEY] += cost_usd_nano;
        MT_ASSERT(held[MT_LIMIT_TOKENS] >= 0 && held[MT_LIMIT_MONEY] >= 0);
    }
}

/* The hold and its parts together. */
static void grow(struct mt_account_hold *hold, int64_t tokens_n, int64_t cost_usd_nano)
{
    hold->tokens_n += tokens_n;
    hold->cost_usd_nano += cost_usd_nano;
    add_held(hold->subjects_, SUBJECT_KINDS, tokens_n, cost_usd_nano);
    for (struct mt_account_part *part = hold->parts_; part != NULL; part = part->next_)
        add_held(part->subjects_, PART_SUBJECTS, tokens_n, cost_usd_nano);
}

static void book(struct mt_account_subject *const subjects[], size_t n, int64_t now_ms,
                 const int64_t amounts[MT_LIMIT_KINDS])
{
    for (size_t i = 0; i < n; i++) {
        if (subjects[i] == NULL)
            continue;
        mt_meter__advance(&subjects[i]->meter, now_ms);
        mt_meter__book(&subjects[i]->meter, amounts, MT_METER_IN_LONG | MT_METER_IN_SHORT);
    }
}

static void unbook_request(struct mt_account_subject *const subjects[], size_t n,
                           int64_t now_ms, int64_t at_ms)
{
    for (size_t i = 0; i < n; i++) {
        if (subjects[i] == NULL)
            continue;
        mt_meter__advance(&subjects[i]->meter, now_ms);
        mt_meter__unbook_request(&subjects[i]->meter, at_ms);
    }
}

/* So large that nobody means it, so small that sums of holds stay far from overflow. */
static mt_rc check_amounts(int64_t tokens_n, int64_t cost_usd_nano, struct mt_err *err)
{
    const int64_t most = INT64_MAX / 1048576;

    if (tokens_n < 0 || cost_usd_nano < 0 || tokens_n > most || cost_usd_nano > most)
        return MT_FAIL(err, MT_E_INVALID, "account: %lld tokens and %lld nano-USD asked",
                       (long long)tokens_n, (long long)cost_usd_nano);
    return MT_OK;
}

static const int64_t one_request[MT_LIMIT_KINDS] = {[MT_LIMIT_REQUESTS] = 1};

static mt_rc reserve(struct mt_account *a, const struct mt_account_ask *ask,
                     struct mt_account_hold *out, struct mt_limit_hit *hit, struct mt_err *err)
{
    const int64_t asked[MT_LIMIT_KINDS] = {1, ask->tokens_n, ask->cost_usd_nano};
    struct mt_account_hold hold = {.at_ms = a->now_ms};

    MT_TRY(subjects_of(a, ask->key, ask->model, hold.subjects_, err));
    MT_TRY(check_room(a, hold.subjects_, SUBJECT_KINDS, asked, hit, err));
    book(hold.subjects_, SUBJECT_KINDS, a->now_ms, one_request);
    grow(&hold, ask->tokens_n, ask->cost_usd_nano);
    *out = hold;
    return MT_OK;
}

mt_rc mt_account_reserve(struct mt_account *a, int64_t now_ms, const struct mt_account_ask *ask,
                         struct mt_account_hold *hold, struct mt_limit_hit *hit,
                         struct mt_err *err)
{
    MT_TRY(check_amounts(ask->tokens_n, ask->cost_usd_nano, err));
    pthread_mutex_lock(&a->lock);
    tick(a, now_ms);
    mt_rc rc = reserve(a, ask, hold, hit, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

mt_rc mt_account_extend(struct mt_account *a, int64_t now_ms, struct mt_account_hold *hold,
                        int64_t more_tokens_n, int64_t more_cost_usd_nano,
                        struct mt_limit_hit *hit, struct mt_err *err)
{
    const int64_t asked[MT_LIMIT_KINDS] = {0, more_tokens_n, more_cost_usd_nano};

    MT_ASSERT(hold->subjects_[BY_NODE] != NULL);
    MT_TRY(check_amounts(mt_ledger_add(hold->tokens_n, more_tokens_n),
                         mt_ledger_add(hold->cost_usd_nano, more_cost_usd_nano), err));
    MT_TRY(check_amounts(more_tokens_n, more_cost_usd_nano, err));
    pthread_mutex_lock(&a->lock);
    tick(a, now_ms);
    mt_rc rc = check_room(a, hold->subjects_, SUBJECT_KINDS, asked, hit, err);
    for (struct mt_account_part *p = hold->parts_; p != NULL && rc == MT_OK; p = p->next_)
        rc = check_room(a, p->subjects_, PART_SUBJECTS, asked, hit, err);
    if (rc == MT_OK)
        grow(hold, more_tokens_n, more_cost_usd_nano);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

/* ---- parts ---- */

static mt_rc part_subjects(struct mt_account *a, const struct mt_account_join *join,
                           struct mt_account_part *part, struct mt_err *err)
{
    struct mt_account_subject *found[SUBJECT_KINDS];

    for (size_t i = 0; i < join->models_n; i++) {
        MT_TRY(subjects_of(a, join->key, join->models[i], found, err));
        part->subjects_[2 * i] = found[BY_MODEL];
        part->subjects_[2 * i + 1] = found[BY_PAIR];
    }
    return MT_OK;
}

static mt_rc join_part(struct mt_account *a, struct mt_account_hold *hold,
                       struct mt_account_part *part, const struct mt_account_join *join,
                       struct mt_limit_hit *hit, struct mt_err *err)
{
    struct mt_account_part fresh = {.at_ms = part->is_counted ? part->at_ms : a->now_ms,
                                    .is_counted = true,
                                    .is_held = true,
                                    .was_first_ = !part->is_counted};
    const int64_t asked[MT_LIMIT_KINDS] = {fresh.was_first_, join->tokens_n,
                                           join->cost_usd_nano};

    MT_TRY(part_subjects(a, join, &fresh, err));
    MT_TRY(check_room(a, fresh.subjects_, PART_SUBJECTS, asked, hit, err));
    if (fresh.was_first_)
        book(fresh.subjects_, PART_SUBJECTS, a->now_ms, one_request);
    grow(hold, join->tokens_n - hold->tokens_n, join->cost_usd_nano - hold->cost_usd_nano);
    add_held(fresh.subjects_, PART_SUBJECTS, hold->tokens_n, hold->cost_usd_nano);
    fresh.next_ = hold->parts_;
    *part = fresh;
    hold->parts_ = part;
    return MT_OK;
}

mt_rc mt_account_join(struct mt_account *a, int64_t now_ms, struct mt_account_hold *hold,
                      struct mt_account_part *part, const struct mt_account_join *join,
                      struct mt_limit_hit *hit, struct mt_err *err)
{
    MT_ASSERT(hold->subjects_[BY_NODE] != NULL && !part->is_held);
    MT_ASSERT(join->models_n <= MT_ACCOUNT_PART_MODELS);
    MT_ASSERT(join->tokens_n <= hold->tokens_n && join->cost_usd_nano <= hold->cost_usd_nano);
    if (join->models_n == 0)
        return MT_OK;
    MT_TRY(check_amounts(join->tokens_n, join->cost_usd_nano, err));
    pthread_mutex_lock(&a->lock);
    tick(a, now_ms);
    mt_rc rc = join_part(a, hold, part, join, hit, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

/* Out of the hold's list, with nothing held any more. */
static void take_out(struct mt_account_hold *hold, struct mt_account_part *part)
{
    struct mt_account_part **at = &hold->parts_;

    while (*at != part) {
        MT_ASSERT(*at != NULL);
        at = &(*at)->next_;
    }
    *at = part->next_;
    part->next_ = NULL;
    part->is_held = false;
    add_held(part->subjects_, PART_SUBJECTS, -hold->tokens_n, -hold->cost_usd_nano);
}

void mt_account_leave(struct mt_account *a, int64_t now_ms, struct mt_account_hold *hold,
                      struct mt_account_part *part, int64_t tokens_n, int64_t cost_usd_nano)
{
    const int64_t actual[MT_LIMIT_KINDS] = {0, tokens_n > 0 ? tokens_n : 0,
                                            cost_usd_nano > 0 ? cost_usd_nano : 0};

    if (!part->is_held)
        return;
    pthread_mutex_lock(&a->lock);
    tick(a, now_ms);
    take_out(hold, part);
    book(part->subjects_, PART_SUBJECTS, a->now_ms, actual);
    pthread_mutex_unlock(&a->lock);
}

void mt_account_unjoin(struct mt_account *a, int64_t now_ms, struct mt_account_hold *hold,
                       struct mt_account_part *part)
{
    if (!part->is_held)
        return;
    pthread_mutex_lock(&a->lock);
    tick(a, now_ms);
    take_out(hold, part);
    if (part->was_first_) {
        unbook_request(part->subjects_, PART_SUBJECTS, a->now_ms, part->at_ms);
        part->is_counted = false;
    }
    pthread_mutex_unlock(&a->lock);
}

/* ---- the end ---- */

void mt_account_settle(struct mt_account *a, int64_t now_ms, struct mt_account_hold *hold,
                       int64_t tokens_n, int64_t cost_usd_nano)
{
    const int64_t actual[MT_LIMIT_KINDS] = {0, tokens_n > 0 ? tokens_n : 0,
                                            cost_usd_nano > 0 ? cost_usd_nano : 0};

    MT_ASSERT(hold->parts_ == NULL);
    pthread_mutex_lock(&a->lock);
    tick(a, now_ms);
    grow(hold, -hold->tokens_n, -hold->cost_usd_nano);
    book(hold->subjects_, SUBJECT_KINDS, a->now_ms, actual);
    *hold = (struct mt_account_hold){.parts_ = NULL};
    pthread_mutex_unlock(&a->lock);
}

void mt_account_release(struct mt_account *a, int64_t now_ms, struct mt_account_hold *hold)
{
    MT_ASSERT(hold->parts_ == NULL);
    pthread_mutex_lock(&a->lock);
    tick(a, now_ms);
    grow(hold, -hold->tokens_n, -hold->cost_usd_nano);
    unbook_request(hold->subjects_, SUBJECT_KINDS, a->now_ms, hold->at_ms);
    *hold = (struct mt_account_hold){.parts_ = NULL};
    pthread_mutex_unlock(&a->lock);
}

static bool is_same_period(int64_t at_ms, int64_t now_ms, int which)
{
    if (which == 0)
        return at_ms / 86400000 == now_ms / 86400000;
    return which > 1 || mt_meter__month_of(at_ms) == mt_meter__month_of(now_ms);
}

static void restore_long(struct mt_meter *meter, int64_t at_ms, int64_t now_ms,
                         const int64_t amounts[MT_LIMIT_KINDS])
{
    mt_meter__advance(meter, now_ms);
    for (int p = 0; p < MT_METER_LONG; p++) {
        if (!is_same_period(at_ms, now_ms, p))
            continue;
        for (int k = 0; k < MT_LIMIT_KINDS; k++)
            meter->periods[p].used[k] = mt_ledger_add(meter->periods[p].used[k], amounts[k]);
    }
}

mt_rc mt_account_restore(struct mt_account *a, enum mt_account_restore what,
                         enum mt_account_whose whose, int64_t now_ms, int64_t at_ms,
                         int64_t requests_n, const struct mt_account_ask *spent,
                         struct mt_err *err)
{
    const int64_t amounts[MT_LIMIT_KINDS] = {
        requests_n > 0 ? requests_n : 0, spent->tokens_n > 0 ? spent->tokens_n : 0,
        spent->cost_usd_nano > 0 ? spent->cost_usd_nano : 0};
    struct mt_account_subject *subjects[SUBJECT_KINDS];

    pthread_mutex_lock(&a->lock);
    tick(a, what == MT_RESTORE_LONG || at_ms > now_ms ? now_ms : at_ms);
    mt_rc rc = subjects_of(a, spent->key, spent->model, subjects, err);
    for (int i = whose == MT_RESTORE_PART ? BY_MODEL : BY_NODE;
         i < SUBJECT_KINDS && rc == MT_OK; i++) {
        if (subjects[i] == NULL)
            continue;
        struct mt_meter *meter = &subjects[i]->meter;
        if (what == MT_RESTORE_LONG) {
            restore_long(meter, at_ms, now_ms, amounts);
        } else {
            mt_meter__advance(meter, a->now_ms);
            mt_meter__book(meter, amounts, MT_METER_IN_SHORT);
        }
    }
    pthread_mutex_unlock(&a->lock);
    return rc;
}

void mt_account_look(struct mt_account *a, int64_t now_ms, struct mt_str key,
                     struct mt_str model, enum mt_limit_window window,
                     struct mt_account_used *out)
{
    struct pair_name buffer;
    struct mt_account_subject *found = NULL;

    *out = (struct mt_account_used){{0}, {0}, {-1, -1, -1}};
    if (key.len > MT_LIMIT_NAME_MAX || model.len > MT_LIMIT_NAME_MAX)
        return;
    pthread_mutex_lock(&a->lock);
    tick(a, now_ms);
    found = mt_map_find(&a->subjects, join(key, model, &buffer));
    for (int k = 0; found != NULL && k < MT_LIMIT_KINDS; k++) {
        mt_meter__advance(&found->meter, a->now_ms);
        out->used[k] = mt_meter__used(&found->meter, (enum mt_limit_kind)k, window);
        out->held[k] = found->meter.held[k];
        out->max[k] = found->meter.max[k][window];
    }
    pthread_mutex_unlock(&a->lock);
}

/* First whatever may fail, for all; then what cannot. */
static mt_rc swap_limits(struct mt_account *a, struct mt_limits *fresh, struct mt_err *err)
{
    int64_t max[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS];

    for (struct mt_account_subject *s = a->all; s != NULL; s = s->next) {
        mt_limits__resolve(fresh, subject_key(s), subject_model(s), max);
        if (!mt_meter__make_slides(&s->meter, max))
            return MT_FAIL(err, MT_E_NOMEM, "limits");
    }
    for (struct mt_account_subject *s = a->all; s != NULL; s = s->next)
        mt_limits__resolve(fresh, subject_key(s), subject_model(s), s->meter.max);
    struct mt_limits old = a->limits;
    a->limits = *fresh;
    *fresh = old;
    return MT_OK;
}

mt_rc mt_account_set_limits(struct mt_account *a, const struct mt_limit *limits,
                            size_t limits_n, struct mt_err *err)
{
    struct mt_limits fresh;

    MT_TRY(mt_limits__copy(limits, limits_n, &fresh, err));
    pthread_mutex_lock(&a->lock);
    mt_rc rc = swap_limits(a, &fresh, err);
    pthread_mutex_unlock(&a->lock);
    mt_free(fresh.rows); /* the old ones, or those refused */
    return rc;
}

static void freep(struct mt_account **account)
{
    mt_account_free(*account);
}

mt_rc mt_account_new(const struct mt_limit *limits, size_t limits_n, struct mt_account **out,
                     struct mt_err *err)
{
    MT_CLEANUP(freep) struct mt_account *a = mt_alloc(1, sizeof *a);

    if (a == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "account");
    pthread_mutex_init(&a->lock, NULL);
    mt_map_init(&a->subjects, MT_LIMIT_SUBJECTS_MAX, (uint64_t)(uintptr_t)a);
    MT_TRY(mt_limits__copy(limits, limits_n, &a->limits, err));
    MT_TRY(get_subject(a, MT_STR(""), MT_STR(""), &a->node, err));
    *out = MT_MOVE(a);
    return MT_OK;
}

void mt_account_free(struct mt_account *a)
{
    if (a == NULL)
        return;
    for (struct mt_account_subject *s = a->all, *next; s != NULL; s = next) {
        next = s->next;
        subject_free(s);
    }
    mt_map_fini(&a->subjects);
    mt_free(a->limits.rows);
    pthread_mutex_destroy(&a->lock);
    mt_free(a);
}
