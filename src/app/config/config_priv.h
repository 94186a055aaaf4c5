/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of config share: its table of keys, the snapshot, a load on its way. */
#ifndef MT_CONFIG_PRIV_H
#define MT_CONFIG_PRIV_H

#include <stdatomic.h>

#include "base/arena.h"
#include "config/config.h"
#include "settings/read.h"

extern const struct mt_settings_group mt_config__root;

/** The name in the environment: "cache.ttl" -> "MOTET_CACHE_TTL". */
enum { MT_CONFIG__ENV_MAX = 64 };
void mt_config__env_name(const struct mt_settings_key *key, char out[MT_CONFIG__ENV_MAX]);

/* ---------------------------------------------------------------- the snapshot (snapshot.c) */

struct mt_config__snapshot {
    struct mt_config config; /* first: the public pointer is one to here */
    atomic_int refs;
    struct mt_arena arena;
    const struct mt_config *base; /* referenced: it owns what this one borrows; or NULL */
    struct mt_settings_origin *origins;
};

mt_rc mt_config__snapshot_new(struct mt_config__snapshot **out, struct mt_err *err);
void mt_config__snapshot_freep(struct mt_config__snapshot **snapshot);
const struct mt_config__snapshot *mt_config__snapshot_of(const struct mt_config *config);

/* ---------------------------------------------------------------- loading */

/* One load on its way. */
struct mt_config__load {
    struct mt_settings_reader reader;
    struct mt_config__snapshot *made;
    bool is_keyless; /* API keys that stand elsewhere are not fetched */
};

/** The reader's fetch: an API key from its variable or file (secret.c).
 *  @param context a struct mt_config__load */
mt_rc mt_config__fetch(void *context, const struct mt_settings_key *key, struct mt_str *text,
                       struct mt_err *err);

/** Start an error about a value with its place: "FILE:LINE:COLUMN: listen: ...",
 *  "MOTET_LISTEN: ...", "--listen: ...". @return MT_E_INVALID */
mt_rc mt_config__blame(const struct mt_config__load *load, const struct mt_settings_key *key,
                       const struct mt_settings_origin *origin, struct mt_err *err,
                       const char *format, ...) MT_PRINTF(5, 6);

/** What no key can know alone (check.c). */
mt_rc mt_config__check(const struct mt_config__load *load, struct mt_err *err);

#endif
