/* SPDX-License-Identifier: Apache-2.0 */
/* system/env.h - where time and chance come from: the real ones, or simulated ones for tests.
 *
 * Thread rule: the real environment is for any thread; a simulated one belongs to one thread.
 */
#ifndef MT_SYSTEM_ENV_H
#define MT_SYSTEM_ENV_H

#include <stddef.h>
#include <stdint.h>

struct mt_env;

/** None of these fails, blocks or re-enters. */
struct mt_env_ops {
    int64_t (*now_mono_ns)(struct mt_env *env);
    int64_t (*now_wall_ms)(struct mt_env *env);
    void (*random)(struct mt_env *env, void *to, size_t n);
};

struct mt_env {
    const struct mt_env_ops *ops;
};

static inline int64_t mt_env_now_mono_ns(struct mt_env *env)
{
    return env->ops->now_mono_ns(env);
}

/** Milliseconds since 1970 UTC; may step. */
static inline int64_t mt_env_now_wall_ms(struct mt_env *env)
{
    return env->ops->now_wall_ms(env);
}

static inline void mt_env_random(struct mt_env *env, void *to, size_t n)
{
    env->ops->random(env, to, n);
}

/** The clock and the generator of the system; static. */
struct mt_env *mt_env_real(void);

/** Virtual time that moves only when told, and a seeded generator: same seed, same run. */
struct mt_env_sim {
    struct mt_env env; /* hand out &sim.env */
    int64_t mono_ns;
    int64_t wall_ms;
    uint64_t random_[4];
};

/** Starts at monotonic 0 and 2026-01-01T00:00:00Z. */
void mt_env_sim_init(struct mt_env_sim *sim, uint64_t seed);

/** Move both clocks. */
void mt_env_sim_advance_ms(struct mt_env_sim *sim, int64_t by_ms);

/** A seeded number; below(n) is uniform in [0, n), n > 0. */
uint64_t mt_env_sim_u64(struct mt_env_sim *sim);
uint64_t mt_env_sim_below(struct mt_env_sim *sim, uint64_t n);

#endif
